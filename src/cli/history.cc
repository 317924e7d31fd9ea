// kumactl history, diff and rollback: what users changed, and back again.

#include <algorithm>
#include <istream>
#include <ostream>
#include <string>

#include "base/format.h"
#include "base/strings.h"
#include "cli/commands.h"
#include "cli/kinds.h"
#include "cli/output.h"
#include "model/duration.h"
#include "net/http.h"

namespace kuma::cli {
namespace {

struct HistoryOptions {
  std::string mesh;
  std::string since;
  std::string before;
  int64_t size = 0;
  std::string output = "table";
};

struct RollbackOptions {
  int64_t to = -1;
  bool yes = false;
  bool dry_run = false;
  std::string output = "table";
};

std::string Text(const model::Value& object, std::string_view field) {
  const model::Value* value = object.Find(field);
  return value != nullptr && value->if_string() != nullptr ? *value->if_string() : "";
}

int64_t Number(const model::Value& object, std::string_view field) {
  const model::Value* value = object.Find(field);
  return value != nullptr && value->if_int() != nullptr ? *value->if_int() : 0;
}

const model::Array& List(const model::Value& object, std::string_view field) {
  static const model::Array nothing;
  const model::Value* value = object.Find(field);
  return value != nullptr && value->if_array() != nullptr ? *value->if_array() : nothing;
}

// "default/web", or "web" of a global kind.
std::string NameOf(const model::Value& change) {
  const std::string mesh = Text(change, "mesh");
  return mesh.empty() ? Text(change, "name") : mesh + "/" + Text(change, "name");
}

base::Result<model::Value> Ask(Invocation& invocation, std::string_view method,
                               const std::string& target, std::string body = {}) {
  TRY_ASSIGN(ControlPlane * server, invocation.Server());
  TRY_ASSIGN(const Reply reply, server->Call(method, target, std::move(body)));
  if (!reply.ok()) return base::Invalid(DescribeFailure(reply));
  return model::ParseJson(reply.body);
}

// Cuts the last column so that lines fit.
void CutLast(Table& table, size_t width) {
  if (width == 0) return;
  const size_t last = table.headers.size() - 1;
  size_t used = 0;
  for (size_t column = 0; column < last; ++column) {
    size_t widest = table.headers[column].size();
    for (const auto& row : table.rows) widest = std::max(widest, row[column].size());
    used += widest + 3;
  }
  const size_t left = std::max(table.headers[last].size(), width > used ? width - used : 0);
  for (auto& row : table.rows) {
    if (row[last].size() > left) row[last] = row[last].substr(0, left - 3) + "...";
  }
}

base::Status History(Invocation& invocation, const HistoryOptions& options,
                     const Strings& arguments) {
  TRY_ASSIGN(const OutputFormat format, ParseOutputFormat(options.output));
  std::vector<std::string> query;
  const auto add = [&query](std::string_view name, const std::string& value) {
    if (!value.empty()) query.push_back(base::Format("{}={}", name, net::PercentEncode(value)));
  };
  if (!arguments.empty()) {
    const Kind* kind = FindKindBySingular(arguments[0]);
    if (kind == nullptr) kind = FindKind(arguments[0]);
    if (kind == nullptr) {
      std::vector<std::string> names;
      for (const Kind& row : AllKinds()) names.emplace_back(row.singular);
      return base::Invalid(base::Format("unknown TYPE: {}. Allowed values: {}", arguments[0],
                                        base::Join(names, ", ")));
    }
    add("type", std::string(kind->kind));
  }
  if (arguments.size() > 1) add("name", arguments[1]);
  add("mesh", options.mesh);
  std::string since = options.since;
  if (!since.empty() && !base::ParseUint(since)) {
    // "24h" is a time before now.
    if (const auto ago = model::ParseDuration(since)) {
      since = model::ToRfc3339(invocation.environment().clock.WallNow() - ago->value);
    }
  }
  add("since", since);
  add("before", options.before);
  if (options.size != 0) add("limit", std::to_string(options.size));
  std::string target = "/history";
  if (!query.empty()) target += "?" + base::Join(query, "&");
  auto list = Ask(invocation, "GET", target);
  if (!list.has_value()) return std::move(list).error().Context("failed to get the history");
  if (format != OutputFormat::kTable) {
    PrintValue(*list, format, invocation.out());
    return base::Ok{};
  }
  Table table;
  table.headers = {"REVISION", "AGE", "USER", "FROM", "VERB", "TYPE", "NAME", "CHANGED"};
  const auto now = invocation.environment().clock.WallNow();
  for (const model::Value& item : List(*list, "items")) {
    std::vector<std::string> fields;
    for (const model::Value& field : List(item, "fields")) {
      if (field.if_string() != nullptr) fields.push_back(*field.if_string());
    }
    if (item.Find("secret") != nullptr) fields.emplace_back("(value not kept)");
    if (const std::string note = Text(item, "note"); !note.empty()) {
      fields.insert(fields.begin(), "(" + note + ")");
    }
    table.rows.push_back({std::to_string(Number(item, "revision")), Age(Text(item, "time"), now),
                          Text(item, "user"), Text(item, "address"), Text(item, "verb"),
                          Text(item, "type"), NameOf(item), base::Join(fields, " ")});
  }
  CutLast(table, invocation.environment().width);
  if (!Text(*list, "next").empty() && !table.rows.empty()) {
    table.footer = base::Format("Rerun command with --before={} argument to see earlier changes",
                                table.rows.back().front());
  }
  table.Print(invocation.out());
  return base::Ok{};
}

// "  ~ spec.to[0].default.idleTimeout: "1h" -> "2h""
void PrintChanges(const model::Array& changes, std::ostream& out) {
  for (const model::Value& change : changes) {
    out << base::Format("{} {} {}\n", Text(change, "verb"), Text(change, "type"), NameOf(change));
    if (change.Find("secret") != nullptr) out << "    the value, which is not kept\n";
    for (const model::Value& field : List(change, "diff")) {
      const model::Value* before = field.Find("before");
      const model::Value* after = field.Find("after");
      const std::string path = Text(field, "path");
      if (before == nullptr && after != nullptr) {
        out << base::Format("  + {}: {}\n", path, model::ToJson(*after));
      } else if (before != nullptr && after == nullptr) {
        out << base::Format("  - {}: {}\n", path, model::ToJson(*before));
      } else if (before != nullptr && after != nullptr) {
        out << base::Format("  ~ {}: {} -> {}\n", path, model::ToJson(*before),
                            model::ToJson(*after));
      }
    }
  }
}

base::Status Diff(Invocation& invocation, const std::string& output, const Strings& revisions) {
  TRY_ASSIGN(const OutputFormat format, ParseOutputFormat(output));
  for (const std::string& revision : revisions) {
    if (!base::ParseUint(revision)) {
      return base::Invalid(base::Format(
          "{} is not a revision: kumactl history and the answer of each write tell them",
          revision));
    }
  }
  auto changes = Ask(invocation, "GET",
                     revisions.size() == 1
                         ? "/history/" + revisions[0]
                         : base::Format("/history/diff?from={}&to={}", revisions[0], revisions[1]));
  if (!changes.has_value()) return std::move(changes).error().Context("failed to compare");
  if (format != OutputFormat::kTable) {
    PrintValue(*changes, format, invocation.out());
    return base::Ok{};
  }
  if (List(*changes, "changes").empty()) {
    invocation.out() << base::Format("nothing that users write changed between {} and {}\n",
                                     revisions[0], revisions[1]);
  }
  PrintChanges(List(*changes, "changes"), invocation.out());
  return base::Ok{};
}

base::Status RollBack(Invocation& invocation, const RollbackOptions& options) {
  TRY_ASSIGN(const OutputFormat format, ParseOutputFormat(options.output));
  if (options.to < 0) return base::Invalid("--to must be a revision: kumactl history lists them");
  model::Object request{{"to", options.to}, {"dryRun", true}};
  auto preview = Ask(invocation, "POST", "/history/rollback", model::ToJson(request));
  if (!preview.has_value()) return std::move(preview).error().Context("failed to roll back");
  const model::Array& changes = List(*preview, "changes");
  std::ostream& out = invocation.out();
  if (format != OutputFormat::kTable) {
    if (options.dry_run) PrintValue(*preview, format, out);
  } else {
    if (changes.empty()) {
      out << base::Format("everything is as it was at revision {}\n", options.to);
    } else {
      out << base::Format("going back to revision {} changes {} resource{}:\n", options.to,
                          changes.size(), changes.size() == 1 ? "" : "s");
      PrintChanges(changes, out);
    }
    if (const model::Array& left = List(*preview, "notRestored"); !left.empty()) {
      out << "not put back:\n";
      for (const model::Value& item : left) {
        out << base::Format("  {} {}: {}\n", Text(item, "type"), NameOf(item),
                            Text(item, "reason"));
      }
    }
  }
  if (options.dry_run || changes.empty()) {
    if (!options.dry_run && format != OutputFormat::kTable) PrintValue(*preview, format, out);
    return base::Ok{};
  }
  if (!options.yes) {
    invocation.err() << "Roll back? [y/N] " << std::flush;
    out.flush();
    std::string answer;
    if (!std::getline(invocation.environment().in, answer)) {
      return base::Invalid("nothing was changed: confirm with y, or give --yes");
    }
    if (answer != "y" && answer != "Y" && answer != "yes") {
      return base::Invalid("nothing was changed");
    }
  }
  request.Set("dryRun", false);
  request.Set("expected", Number(*preview, "newest"));
  auto done = Ask(invocation, "POST", "/history/rollback", model::ToJson(request));
  if (!done.has_value()) return std::move(done).error().Context("failed to roll back");
  if (format != OutputFormat::kTable) {
    PrintValue(*done, format, out);
  } else {
    out << base::Format("rolled back to revision {}: this is revision {}\n", options.to,
                        Number(*done, "revision"));
  }
  return base::Ok{};
}

}  // namespace

void AddHistory(Invocation& invocation, Command& root) {
  const auto output_flag = [](std::string* target) {
    return Flag{.name = "output",
                .letter = 'o',
                .help = "output format",
                .target = target,
                .values = {"table", "yaml", "json"}};
  };
  Strings types;
  for (const Kind& kind : AllKinds()) types.emplace_back(kind.singular);
  auto history = std::make_shared<HistoryOptions>();
  root.children.push_back(
      {.name = "history",
       .aliases = {},
       .arguments = "[TYPE NAME]",
       .help = "Show who changed what, when and from where",
       .flags = {{.name = "before",
                  .help = "only revisions before this one",
                  .target = &history->before},
                 {.name = "mesh",
                  .letter = 'm',
                  .help = "only resources of this mesh",
                  .target = &history->mesh},
                 output_flag(&history->output),
                 {.name = "since",
                  .help = "only after this revision, time (RFC 3339) or this long ago (24h)",
                  .target = &history->since},
                 {.name = "size",
                  .help = "maximum number of changes to show",
                  .target = &history->size}},
       .children = {},
       .run = [&invocation, history](
                  const Strings& arguments) { return History(invocation, *history, arguments); },
       .first_argument = std::move(types)});
  auto output = std::make_shared<std::string>("table");
  root.children.push_back({.name = "diff",
                           .aliases = {},
                           .arguments = "REV1 [REV2]",
                           .help = "Show what changed between two revisions, or in one",
                           .flags = {output_flag(output.get())},
                           .children = {},
                           .run = [&invocation, output](const Strings& revisions) {
                             return Diff(invocation, *output, revisions);
                           }});
  auto rollback = std::make_shared<RollbackOptions>();
  root.children.push_back(
      {.name = "rollback",
       .aliases = {},
       .arguments = "",
       .help = "Put back what was at a revision, as a new revision",
       .flags = {{.name = "dry-run",
                  .help = "only show what would change",
                  .target = &rollback->dry_run},
                 output_flag(&rollback->output),
                 {.name = "to",
                  .help = "the revision to go back to",
                  .target = &rollback->to,
                  .required = true},
                 {.name = "yes", .letter = 'y', .help = "do not ask", .target = &rollback->yes}},
       .children = {},
       .run = [&invocation, rollback](const Strings&) { return RollBack(invocation, *rollback); }});
}

}  // namespace kuma::cli

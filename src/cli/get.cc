#include "base/format.h"
#include "base/strings.h"
#include "cli/commands.h"
#include "cli/kinds.h"
#include "cli/output.h"
#include "net/http.h"

namespace kuma::cli {
namespace {

struct Options {
  std::string mesh = "default";
  int64_t size = 0;
  std::string offset;
};

void AddRow(const Kind& kind, const model::Value& item, runtime::WallTime now, bool wide,
            Table& table) {
  std::vector<std::string> row;
  if (kind.in_mesh) row.push_back(TextOf(item.Find("mesh")));
  row.push_back(TextOf(item.Find("name")));
  if (kind.kind == "Dataplane") {
    row.push_back(LabelsText(item.Find("labels")));
    row.push_back(TextOf(item.At({"networking", "address"})));
  }
  row.push_back(Age(TextOf(item.Find("modificationTime")), now));
  if (wide) {
    row.push_back(Age(TextOf(item.Find("creationTime")), now));
    if (kind.kind != "Dataplane") row.push_back(LabelsText(item.Find("labels")));
    row.push_back(TextOf(item.Find("kri")));
  }
  table.rows.push_back(std::move(row));
}

Table EmptyTable(const Kind& kind, bool wide) {
  Table table;
  if (kind.in_mesh) table.headers.emplace_back("MESH");
  table.headers.emplace_back("NAME");
  if (kind.kind == "Dataplane") table.headers.insert(table.headers.end(), {"TAGS", "ADDRESS"});
  table.headers.emplace_back("AGE");
  if (wide) {
    table.headers.emplace_back("CREATED");
    if (kind.kind != "Dataplane") table.headers.emplace_back("LABELS");
    table.headers.emplace_back("KRI");
  }
  return table;
}

base::Status GetOne(Invocation& invocation, const Kind& kind, const Options& options,
                    const std::string& name, const std::string& output) {
  TRY_ASSIGN(const OutputFormat format, ParseOutputFormat(output));
  TRY_ASSIGN(ControlPlane * server, invocation.Server());
  auto answer = server->GetJson(PathOf(kind, options.mesh, name));
  if (!answer.has_value()) {
    if (answer.error().code() == base::Code::kNotFound) return base::NotFound("No resources found");
    return std::move(answer).error().Context(base::Format("failed to get a {}", kind.singular));
  }
  const model::Value& item = *answer;
  if (!IsTable(format)) {
    PrintResource(item, format, invocation.out());
    return base::Ok{};
  }
  const bool wide = format == OutputFormat::kWide;
  Table table = EmptyTable(kind, wide);
  AddRow(kind, item, invocation.environment().clock.WallNow(), wide, table);
  table.Print(invocation.out());
  return base::Ok{};
}

base::Status GetList(Invocation& invocation, const Kind& kind, const Options& options,
                     const std::string& output) {
  TRY_ASSIGN(const OutputFormat format, ParseOutputFormat(output));
  TRY_ASSIGN(ControlPlane * server, invocation.Server());
  std::vector<std::string> query;
  if (!options.offset.empty()) query.push_back("offset=" + net::PercentEncode(options.offset));
  if (options.size != 0) query.push_back(base::Format("size={}", options.size));
  std::string target = PathOf(kind, options.mesh);
  if (!query.empty()) target += "?" + base::Join(query, "&");
  auto answer = server->GetJson(target);
  if (!answer.has_value())
    return std::move(answer).error().Context(base::Format("failed to list {}", kind.kind));
  const model::Value& list = *answer;
  if (!IsTable(format)) {
    PrintValue(list, format, invocation.out());
    return base::Ok{};
  }
  const bool wide = format == OutputFormat::kWide;
  Table table = EmptyTable(kind, wide);
  const model::Value* items = list.Find("items");
  if (items != nullptr && items->if_array() != nullptr) {
    const auto now = invocation.environment().clock.WallNow();
    for (const model::Value& item : *items->if_array()) AddRow(kind, item, now, wide, table);
  }
  if (const std::string offset = NextOffset(list); !offset.empty()) {
    table.footer =
        base::Format("Rerun command with --offset={} argument to retrieve more resources", offset);
  }
  table.Print(invocation.out());
  return base::Ok{};
}

std::vector<std::string> AliasList(std::string_view alias) {
  return alias.empty() ? std::vector<std::string>() : std::vector<std::string>{std::string(alias)};
}

}  // namespace

void AddGet(Invocation& invocation, Command& root) {
  auto output = std::make_shared<std::string>("table");
  Command group{.name = "get",
                .aliases = {},
                .arguments = "",
                .help = "Show Kuma resources",
                .flags = {{.name = "output",
                           .letter = 'o',
                           .help = "output format",
                           .target = output.get(),
                           .values = OutputFormats()}},
                .children = {},
                .run = nullptr};
  for (const Kind& kind : AllKinds()) {
    auto options = std::make_shared<Options>();
    const Flag mesh{.name = "mesh", .letter = 'm', .help = "mesh to use", .target = &options->mesh};
    group.children.push_back(
        {.name = std::string(kind.singular),
         .aliases = AliasList(kind.singular_alias),
         .arguments = "NAME",
         .help = base::Format("Show a single {} resource", kind.kind),
         .flags = {mesh},
         .children = {},
         .run = [&invocation, &kind, options, output](const Strings& arguments) {
           return GetOne(invocation, kind, *options, arguments[0], *output);
         }});
    group.children.push_back(
        {.name = std::string(kind.plural),
         .aliases = AliasList(kind.plural_alias),
         .arguments = "",
         .help = base::Format("Show {}", kind.kind),
         .flags = {mesh,
                   {.name = "offset",
                    .help = "the offset that indicates starting element of the "
                            "resources list to retrieve",
                    .target = &options->offset},
                   {.name = "size",
                    .help = "maximum number of elements to return",
                    .target = &options->size}},
         .children = {},
         .run = [&invocation, &kind, options, output](const Strings&) {
           return GetList(invocation, kind, *options, *output);
         }});
  }
  root.children.push_back(std::move(group));
}

}  // namespace kuma::cli

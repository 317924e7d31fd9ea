#include "rest/history_endpoint.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/format.h"
#include "base/strings.h"
#include "model/duration.h"
#include "model/value.h"
#include "resources/dataplane/probes.h"
#include "rest/diff.h"
#include "rest/problem.h"

namespace kuma::rest {
namespace {

using model::Array;
using model::Object;
using model::ResourceKey;
using model::ResourcePtr;
using model::ResourceType;
using model::Revision;
using model::Value;
using store::HistoryEntry;
using store::HistoryState;

constexpr std::string_view kRetrieve = "Could not retrieve the history";
constexpr std::string_view kRollBack = "Could not roll back";
constexpr size_t kPage = 100;
constexpr size_t kLargestPage = 1'000;
constexpr int kAttempts = 10;  // of a rollback while statuses are written

// Labels and spec as they stand in the REST form.
Object Body(const HistoryState& state, const ResourceType* type) {
  Object body;
  if (!state.labels.empty()) {
    Object labels;
    for (const auto& [label, value] : state.labels) labels.Set(label, value);
    body.Set("labels", std::move(labels));
  }
  if (state.spec.is_null()) return body;
  if (type != nullptr && type->inline_spec && state.spec.if_object() != nullptr) {
    for (const auto& [key, value] : *state.spec.if_object()) body.Set(key, value);
  } else {
    body.Set("spec", state.spec);
  }
  return body;
}

Value BodyOf(const std::optional<HistoryState>& state, const ResourceType* type) {
  return state.has_value() ? Value(Body(*state, type)) : Value(Object());
}

// What a put of the state would send.
Value Document(const ResourceKey& key, const HistoryState& state, const ResourceType& type) {
  Object document{{"type", key.kind}};
  if (!key.mesh.empty()) document.Set("mesh", key.mesh);
  document.Set("name", key.name);
  for (auto& [member, value] : Body(state, &type)) document.Set(member, std::move(value));
  return Value(std::move(document));
}

std::string_view Verb(bool before, bool after) {
  return !before ? "create" : after ? "update" : "delete";
}

void SetKey(const ResourceKey& key, Object& out) {
  out.Set("type", key.kind);
  if (!key.mesh.empty()) out.Set("mesh", key.mesh);
  out.Set("name", key.name);
}

Value ToJson(const std::vector<FieldChange>& changes) {
  Array list;
  for (const FieldChange& change : changes) {
    Object field{{"path", change.path}};
    if (change.before.has_value()) field.Set("before", *change.before);
    if (change.after.has_value()) field.Set("after", *change.after);
    list.emplace_back(std::move(field));
  }
  return Value(std::move(list));
}

void SetOrigin(const HistoryEntry& entry, Object& out) {
  out.Set("revision", entry.revision.value);
  out.Set("time", model::ToRfc3339(entry.time));
  out.Set("user", entry.origin.user);
  out.Set("address", entry.origin.address);
  if (!entry.origin.note.empty()) out.Set("note", entry.origin.note);
}

// What happened to one resource over several revisions.
struct NetChange {
  std::optional<HistoryState> before;
  std::optional<HistoryState> after;
};
using NetChanges = std::map<ResourceKey, NetChange>;

NetChanges Merge(const std::vector<HistoryEntry>& newest_first) {
  // Entries of one revision stand in order, revisions in reverse.
  std::vector<const HistoryEntry*> entries;
  for (const HistoryEntry& entry : newest_first) entries.push_back(&entry);
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto* a, const auto* b) { return a->revision < b->revision; });
  NetChanges changes;
  for (const HistoryEntry* entry : entries) {
    const auto [change, is_new] = changes.try_emplace(entry->key);
    if (is_new) change->second.before = entry->before;
    change->second.after = entry->after;
  }
  return changes;
}

Problem Bad(std::string_view title, std::string_view field, std::string reason,
            std::string hint = {}) {
  model::Violations violations;
  violations.Add(std::string(field), std::move(reason), std::move(hint));
  return Problem{400, std::string(title), "Invalid request", std::move(violations), {}};
}

Problem NotKept(std::string_view title, uint64_t revision, Revision complete_after) {
  return Problem{410,
                 std::string(title),
                 base::Format("the history of revision {} is not kept any more", revision),
                 {},
                 base::Format("the oldest revision that can be compared with or gone back to is "
                              "{}; store.history of kuma-cp's configuration says how much is kept, "
                              "kuma-cp restore puts back a backup",
                              complete_after.value)};
}

// The state that is stored now, as the history would spell it.
HistoryState StateOf(const model::Resource& resource) {
  HistoryState state{resource.meta().labels, {}};
  // Through text, so that 1.0 and 1 are the same on both sides.
  const auto spec =
      model::ParseJson(model::ToJson(resource.type().spec.encode(resource.spec().get())));
  if (spec) state.spec = *spec;
  return state;
}

// What a rollback would do.
struct RollbackPlan {
  Revision newest;  // of the user changes that it takes back; `to` if there is none
  std::vector<store::Write> writes;
  Array changes;
  Array not_restored;
  model::Violations violations;
};

class RollbackPlanner {
 public:
  RollbackPlanner(store::Store& store, const model::TypeTable& types)
      : store_(store), types_(types) {}

  base::Result<RollbackPlan> Make(const NetChanges& taken_back) {
    for (const auto& [key, change] : taken_back) TRY(Add(key, change));
    TRY(CheckMeshes());
    // Owners first on the way in, last on the way out.
    std::stable_sort(deletes_.begin(), deletes_.end(),
                     [](const auto& a, const auto& b) { return a.key.mesh > b.key.mesh; });
    for (store::Write& write : deletes_) plan_.writes.push_back(std::move(write));
    return std::move(plan_);
  }

 private:
  base::Status Add(const ResourceKey& key, const NetChange& change) {
    const ResourceType* type = types_.Find(key.kind);
    if (type == nullptr) {
      Leave(key, "this version does not know the kind");
      return base::Ok{};
    }
    ResourcePtr current;
    if (auto found = store_.Get(key)) {
      current = *std::move(found);
    } else if (found.error().code() != base::Code::kNotFound) {
      return std::move(found).error();
    }
    if (type->admin_only) {
      const bool was = change.before.has_value();
      if (!was && current == nullptr) return base::Ok{};
      Leave(key, base::Format("it was {} since, and values of secrets are not kept: {}",
                              !was                 ? "created"
                              : current == nullptr ? "deleted"
                                                   : "changed",
                              current == nullptr ? "apply it again" : "it stays as it is"));
      return base::Ok{};
    }
    if (current != nullptr && current->meta().owned_by_proxy) {
      Leave(key, "its proxy has registered it: it stays as long as the proxy is connected");
      return base::Ok{};
    }
    const Value now = current != nullptr ? Value(Body(StateOf(*current), type)) : Value(Object());
    const Value then = BodyOf(change.before, type);
    if ((current == nullptr) != change.before.has_value() && now == then) return base::Ok{};

    store::Write write;
    write.expected = current != nullptr ? current->meta().revision : Revision{};
    if (!change.before.has_value()) {
      write.kind = store::Write::Kind::kDelete;
      write.key = key;
      deletes_.push_back(std::move(write));
    } else {
      model::Decoded decoded = model::DecodeResource(Document(key, *change.before, *type), types_);
      if (decoded.resource == nullptr) {
        for (const model::Violation& violation : decoded.violations.list()) {
          plan_.violations.Add(base::Format("{}: {}", key.ToString(), violation.path),
                               violation.message, violation.hint);
        }
        if (!decoded.unreadable.empty()) {
          plan_.violations.Add(key.ToString(), decoded.unreadable);
        }
        return base::Ok{};
      }
      model::Metadata meta = decoded.resource->meta();
      meta.labels = change.before->labels;
      if (current != nullptr) {
        meta.owner = current->meta().owner;
      } else if (type->scope == model::Scope::kMesh) {
        meta.owner = ResourceKey{"Mesh", "", key.mesh};
      }
      // What probes found of a workload is not the user's.
      const auto spec = key.kind == "Dataplane" ? resources::dataplane::KeepHealth(
                                                      current.get(), decoded.resource->spec())
                                                : decoded.resource->spec();
      write.resource = std::make_shared<const model::Resource>(
          *type, std::move(meta), spec, current != nullptr ? current->status() : nullptr);
      plan_.writes.push_back(std::move(write));
    }
    Object shown{{"verb", Verb(current != nullptr, change.before.has_value())}};
    SetKey(key, shown);
    shown.Set("diff", ToJson(Diff(now, then)));
    plan_.changes.emplace_back(std::move(shown));
    return base::Ok{};
  }

  void Leave(const ResourceKey& key, std::string reason) {
    Object left;
    SetKey(key, left);
    left.Set("reason", std::move(reason));
    plan_.not_restored.emplace_back(std::move(left));
  }

  // As for a deletion by hand.
  base::Status CheckMeshes() {
    for (const store::Write& write : deletes_) {
      if (write.key.kind != "Mesh") continue;
      store::ListQuery query;
      query.kind = "Dataplane";
      query.mesh = write.key.name;
      TRY_ASSIGN(const store::Page page, store_.List(query));
      const auto left = std::count_if(page.items.begin(), page.items.end(), [&](const auto& item) {
        return std::none_of(deletes_.begin(), deletes_.end(),
                            [&](const auto& other) { return other.key == item->key(); });
      });
      if (left == 0) continue;
      plan_.violations.Add(
          base::Format("Mesh {}", write.key.name),
          "unable to delete mesh, there are still some dataplanes attached",
          base::Format("{} Dataplanes are left: stop their proxies or delete them first", left));
    }
    return base::Ok{};
  }

  store::Store& store_;
  const model::TypeTable& types_;
  RollbackPlan plan_;
  std::vector<store::Write> deletes_;
};

}  // namespace

store::Origin OriginOf(const net::HttpRequest& request, const Principal& principal) {
  return {principal.name, request.peer.remote.host};
}

HistoryEndpoint::HistoryEndpoint(store::Store& store, const model::TypeTable& types,
                                 AccessRules access, std::string url_prefix, bool read_only)
    : store_(store),
      types_(types),
      access_(std::move(access)),
      url_prefix_(std::move(url_prefix)),
      read_only_(read_only) {}

net::HttpResponse HistoryEndpoint::Answer(const net::HttpRequest& request,
                                          const Principal& principal,
                                          std::span<const std::string> rest) const {
  const auto only = [&](std::string_view method) {
    net::HttpResponse response = Text(405, "405: Method Not Allowed");
    response.headers.Set("allow", std::string(method));
    return response;
  };
  const bool is_get = request.method == "GET" || request.method == "HEAD";
  if (rest.size() > 1) return Text(404, "404: Page Not Found");
  if (!rest.empty() && rest[0] == "rollback") {
    return request.method == "POST" ? RollBack(request, principal) : only("POST");
  }
  if (!is_get) return only("GET");
  if (const base::Status may = Check(access_.control_plane_metadata, principal, "view the history");
      !may) {
    return ToResponse(ProblemOf(may.error(), kRetrieve));
  }
  if (rest.empty()) return List(request, principal);
  if (rest[0] == "diff") return Compare(request, principal);
  return One(principal, rest[0]);
}

void HistoryEndpoint::HideSecrets(const Principal& principal,
                                  std::vector<HistoryEntry>& entries) const {
  if (access_.admin_resources.Includes(principal)) return;
  std::erase_if(entries, [this](const HistoryEntry& entry) {
    const ResourceType* type = types_.Find(entry.key.kind);
    return type == nullptr || type->admin_only;
  });
}

net::HttpResponse HistoryEndpoint::List(const net::HttpRequest& request,
                                        const Principal& principal) const {
  store::HistoryQuery query;
  query.limit = kPage;
  const auto text = [&request](std::string_view name) {
    const std::string* value = request.FindQuery(name);
    return value != nullptr ? *value : std::string();
  };
  query.kind = text("type");
  query.mesh = text("mesh");
  query.name = text("name");
  if (!query.kind.empty() && types_.Find(query.kind) == nullptr) {
    // Paths and commands say "meshtimeouts" and "meshtimeout".
    const ResourceType* type = types_.FindByPath(query.kind);
    if (type == nullptr) type = types_.FindBySingular(query.kind);
    if (type == nullptr) {
      return ToResponse(Bad(kRetrieve, "type", base::Format("unknown type \"{}\"", query.kind),
                            "give a kind such as MeshTimeout"));
    }
    query.kind = type->kind;
  }
  if (const std::string since = text("since"); !since.empty()) {
    if (const auto revision = base::ParseUint(since)) {
      query.after = Revision{*revision};
    } else if (const auto time = model::ParseRfc3339(since)) {
      query.since = *time;
    } else {
      return ToResponse(Bad(kRetrieve, "since", "must be a revision or a time",
                            "such as 4711 or 2026-01-31T12:00:00Z"));
    }
  }
  if (const std::string before = text("before"); !before.empty()) {
    const auto revision = base::ParseUint(before);
    if (!revision) return ToResponse(Bad(kRetrieve, "before", "must be a revision"));
    query.before = Revision{std::min<uint64_t>(*revision, INT64_MAX)};
  }
  if (const std::string limit = text("limit"); !limit.empty()) {
    const auto number = base::ParseUint(limit);
    if (!number || *number == 0 || *number > kLargestPage) {
      return ToResponse(
          Bad(kRetrieve, "limit", base::Format("must be a number from 1 to {}", kLargestPage)));
    }
    query.limit = static_cast<size_t>(*number);
  }
  auto page = store_.History(query);
  if (!page) return ToResponse(ProblemOf(page.error(), kRetrieve));
  const Revision last = page->entries.empty() ? Revision{} : page->entries.back().revision;
  HideSecrets(principal, page->entries);

  Array items;
  for (const HistoryEntry& entry : page->entries) {
    const ResourceType* type = types_.Find(entry.key.kind);
    Object item;
    SetOrigin(entry, item);
    item.Set("verb", Verb(entry.before.has_value(), entry.after.has_value()));
    SetKey(entry.key, item);
    if (type != nullptr && type->admin_only) item.Set("secret", true);
    Array fields;
    for (const FieldChange& change : Diff(BodyOf(entry.before, type), BodyOf(entry.after, type))) {
      fields.emplace_back(change.path);
    }
    item.Set("fields", std::move(fields));
    items.emplace_back(std::move(item));
  }
  Value next;
  if (page->more) {
    std::vector<std::string> parts;
    for (const auto& [name, value] : request.query) {
      if (name != "before")
        parts.push_back(net::PercentEncode(name) + "=" + net::PercentEncode(value));
    }
    parts.push_back(base::Format("before={}", last.value));
    next = base::Format("{}://{}{}/history?{}", request.scheme, request.authority, url_prefix_,
                        base::Join(parts, "&"));
  }
  return Json(200, Value(Object{{"items", std::move(items)},
                                {"next", std::move(next)},
                                {"completeAfter", page->complete_after.value}}));
}

net::HttpResponse HistoryEndpoint::One(const Principal& principal,
                                       const std::string& revision) const {
  const auto number = base::ParseUint(revision);
  if (!number || *number == 0 || *number > INT64_MAX) {
    return ToResponse(Bad(kRetrieve, "revision", "must be a positive number"));
  }
  auto page = store_.History({.after = {*number - 1}, .before = {*number + 1}});
  if (!page) return ToResponse(ProblemOf(page.error(), kRetrieve));
  HideSecrets(principal, page->entries);
  if (page->entries.empty()) {
    if (*number <= page->complete_after.value) {
      return ToResponse(NotKept(kRetrieve, *number, page->complete_after));
    }
    return ToResponse(
        Problem{404,
                std::string(kRetrieve),
                Revision{*number} > store_.revision()
                    ? base::Format("revision {} does not exist yet", *number)
                    : base::Format("revision {} changed nothing that users write", *number),
                {},
                "GET /history lists the revisions"});
  }
  Object body;
  SetOrigin(page->entries.front(), body);
  Array changes;
  for (const HistoryEntry& entry : page->entries) {
    const ResourceType* type = types_.Find(entry.key.kind);
    Object change{{"verb", Verb(entry.before.has_value(), entry.after.has_value())}};
    SetKey(entry.key, change);
    if (type != nullptr && type->admin_only) change.Set("secret", true);
    change.Set("diff", ToJson(Diff(BodyOf(entry.before, type), BodyOf(entry.after, type))));
    changes.emplace_back(std::move(change));
  }
  body.Set("changes", std::move(changes));
  return Json(200, Value(std::move(body)));
}

net::HttpResponse HistoryEndpoint::Compare(const net::HttpRequest& request,
                                           const Principal& principal) const {
  uint64_t ends[2] = {};
  const char* const names[2] = {"from", "to"};
  for (int i = 0; i < 2; ++i) {
    const std::string* text = request.FindQuery(names[i]);
    const auto number = text != nullptr ? base::ParseUint(*text) : std::nullopt;
    if (!number) return ToResponse(Bad(kRetrieve, names[i], "must be a revision"));
    if (Revision{*number} > store_.revision()) {
      return ToResponse(Bad(kRetrieve, names[i],
                            base::Format("revision {} does not exist yet", *number),
                            base::Format("the newest is {}", store_.revision().value)));
    }
    ends[i] = *number;
  }
  const auto [earlier, later] = std::minmax(ends[0], ends[1]);
  auto page = store_.History({.after = {earlier}, .before = {later + 1}});
  if (!page) return ToResponse(ProblemOf(page.error(), kRetrieve));
  if (earlier < page->complete_after.value) {
    return ToResponse(NotKept(kRetrieve, earlier, page->complete_after));
  }
  HideSecrets(principal, page->entries);
  Array changes;
  for (auto& [key, change] : Merge(page->entries)) {
    const ResourceType* type = types_.Find(key.kind);
    const bool secret = type != nullptr && type->admin_only;
    if (!secret && change.before == change.after) continue;
    const bool forward = ends[0] <= ends[1];
    const auto& before = forward ? change.before : change.after;
    const auto& after = forward ? change.after : change.before;
    if (!before.has_value() && !after.has_value()) continue;
    Object shown{{"verb", Verb(before.has_value(), after.has_value())}};
    SetKey(key, shown);
    if (secret) shown.Set("secret", true);
    shown.Set("diff", ToJson(Diff(BodyOf(before, type), BodyOf(after, type))));
    changes.emplace_back(std::move(shown));
  }
  return Json(200,
              Value(Object{{"from", ends[0]}, {"to", ends[1]}, {"changes", std::move(changes)}}));
}

net::HttpResponse HistoryEndpoint::RollBack(const net::HttpRequest& request,
                                            const Principal& principal) const {
  if (read_only_) {
    return ToResponse(Problem{405,
                              "Method not allowed",
                              "this control plane's API is read-only (apiServer.readOnly)",
                              {},
                              {}});
  }
  const auto body = model::ParseJson(request.body);
  if (!body || body->if_object() == nullptr) {
    return ToResponse(Bad(kRollBack, "body", "must be a JSON object such as {\"to\": 17}"));
  }
  const auto number = [&body](std::string_view field) -> std::optional<uint64_t> {
    const Value* value = body->Find(field);
    if (value == nullptr || value->if_int() == nullptr || *value->if_int() < 0) return {};
    return static_cast<uint64_t>(*value->if_int());
  };
  const auto to = number("to");
  if (!to) return ToResponse(Bad(kRollBack, "to", "must be a revision"));
  if (body->Find("expected") != nullptr && !number("expected")) {
    return ToResponse(Bad(kRollBack, "expected", "must be a revision"));
  }
  const Value* dry = body->Find("dryRun");
  if (dry != nullptr && dry->if_bool() == nullptr) {
    return ToResponse(Bad(kRollBack, "dryRun", "must be true or false"));
  }
  const bool dry_run = dry != nullptr && *dry->if_bool();
  if (const base::Status may = Check(access_.write_resources, principal, "roll back"); !may) {
    return ToResponse(ProblemOf(may.error(), kRollBack));
  }
  if (Revision{*to} > store_.revision()) {
    return ToResponse(Bad(kRollBack, "to", base::Format("revision {} does not exist yet", *to),
                          base::Format("the newest is {}", store_.revision().value)));
  }

  // Statuses are written all the time: a conflict with one means that the plan is made anew.
  for (int attempt = 1;; ++attempt) {
    auto page = store_.History({.after = {*to}});
    if (!page) return ToResponse(ProblemOf(page.error(), kRollBack));
    if (*to < page->complete_after.value) {
      return ToResponse(NotKept(kRollBack, *to, page->complete_after));
    }
    const Revision newest = page->entries.empty() ? Revision{*to} : page->entries.front().revision;
    if (const auto expected = number("expected"); expected && *expected != newest.value) {
      return ToResponse(Problem{
          409,
          "Conflict",
          base::Format("somebody changed something since the preview: it was of revision {}, the "
                       "newest is {}",
                       *expected, newest.value),
          {},
          "look at a new preview"});
    }
    HideSecrets(principal, page->entries);
    auto plan = RollbackPlanner(store_, types_).Make(Merge(page->entries));
    if (!plan) return ToResponse(ProblemOf(plan.error(), kRollBack));
    if (!plan->violations.empty()) {
      return ToResponse(NotValid(kRollBack, std::move(plan->violations)));
    }
    Object answer{{"to", *to},
                  {"newest", newest.value},
                  {"changes", std::move(plan->changes)},
                  {"notRestored", std::move(plan->not_restored)}};
    if (dry_run || plan->writes.empty()) return Json(200, Value(std::move(answer)));

    store::Transaction transaction;
    transaction.writes = std::move(plan->writes);
    transaction.origin = OriginOf(request, principal);
    transaction.origin->note = base::Format("rollback to {}", *to);
    auto committed = store_.Commit(std::move(transaction));
    if (committed) {
      answer.Set("revision", committed->revision.value);
      net::HttpResponse response = Json(200, Value(std::move(answer)));
      response.headers.Set("kuma-revision", std::to_string(committed->revision.value));
      return response;
    }
    if (committed.error().code() != base::Code::kConflict || attempt == kAttempts) {
      return ToResponse(ProblemOf(committed.error(), kRollBack));
    }
  }
}

}  // namespace kuma::rest

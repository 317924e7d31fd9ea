#include "rest/resource_endpoint.h"

#include <algorithm>
#include <map>

#include "base/format.h"
#include "base/strings.h"
#include "insight/mesh_insights.h"
#include "model/kri.h"
#include "model/labels.h"
#include "model/names.h"
#include "resources/dataplane/dataplane.h"
#include "resources/dataplane/probes.h"
#include "rest/history_endpoint.h"
#include "rest/internal/kubernetes_form.h"
#include "rest/internal/list_request.h"
#include "rest/problem.h"

namespace kuma::rest {
namespace {

using model::Array;
using model::Object;
using model::Resource;
using model::ResourceKey;
using model::ResourcePtr;
using model::ResourceType;
using model::Value;

constexpr std::string_view kRetrieve = "Could not retrieve a resource";
constexpr std::string_view kRetrieveAll = "Could not retrieve resources";
constexpr std::string_view kProcess = "Could not process a resource";
constexpr std::string_view kCreate = "Failed to create a resource";
constexpr std::string_view kUpdate = "Failed to update a resource";
constexpr std::string_view kDelete = "Could not delete a resource";

// What Kuma's tools print when a kind cannot be written here.
constexpr std::string_view kReadOnlyInZone =
    "On zone control plane you can only modify zone resources with 'kumactl apply' or via the "
    "HTTP API. You can still use 'kumactl' or the HTTP API to modify the rest of the resource on "
    "the global control plane.\n";

Problem UnknownMesh() { return NotFound("Failed to retrieve Mesh"); }

Problem BadRequest(std::string_view detail) {
  return Problem{400, "Bad Request", std::string(detail), {}, {}};
}

bool IsHead(std::string_view member) {
  for (const std::string_view head :
       {"type", "mesh", "name", "creationTime", "modificationTime", "labels", "kri"}) {
    if (member == head) return true;
  }
  return false;
}

// A Dataplane or Zone with its insight, which may be null.
Value EncodeOverview(const Resource& resource, const Resource* insight) {
  const bool is_zone = resource.type().kind == "Zone";
  Value plain = model::EncodeResource(resource);
  Object overview;
  Object own;
  for (auto& [key, value] : *plain.if_object()) {
    if (key == "type") {
      overview.AppendNew(key, *value.if_string() + "Overview");
    } else {
      (IsHead(key) ? overview : own).AppendNew(key, std::move(value));
    }
  }
  overview.AppendNew(is_zone ? "zone" : "dataplane", std::move(own));
  if (insight != nullptr) {
    overview.AppendNew(is_zone ? "zoneInsight" : "dataplaneInsight",
                       insight->type().spec.encode(insight->spec().get()));
  }
  return overview;
}

ResourceKey InsightKey(const Resource& resource) {
  return {std::string(resource.type().kind) + "Insight", resource.mesh(), resource.name()};
}

bool IsJson(const net::HttpRequest& request) {
  const std::string_view media = request.headers.Get("content-type");
  return base::EqualsIgnoreCase(base::Trim(media.substr(0, media.find(';'))), "application/json");
}

std::string TextOf(const Value& object, std::string_view member) {
  const Value* value = object.Find(member);
  const std::string* text = value != nullptr ? value->if_string() : nullptr;
  return text != nullptr ? *text : std::string();
}

// An answer to people: beyond some, only how many.
Array WarningsOf(const std::vector<std::string>& unknown) {
  constexpr size_t kMost = 100;
  Array warnings;
  for (size_t i = 0; i < std::min(unknown.size(), kMost); ++i) {
    warnings.emplace_back(base::Format("{}: unknown field, ignored", unknown[i]));
  }
  if (unknown.size() > kMost) {
    warnings.emplace_back(base::Format("and {} more", unknown.size() - kMost));
  }
  return warnings;
}

// `ns`: the namespace of the Kubernetes form.
net::HttpResponse InFormat(const net::HttpRequest& request, const Resource& resource,
                           std::string_view ns, std::string_view title) {
  const std::string* text = request.FindQuery("format");
  const std::string_view format = text != nullptr ? std::string_view(*text) : "";
  if (format.empty() || format == "universal") return Json(200, model::EncodeResource(resource));
  if (format == "k8s" || format == "kubernetes") return Json(200, KubernetesForm(resource, ns));
  model::Violations violations;
  violations.Add("", R"("format" must be one of ["k8s", "kubernetes", "universal"])");
  return ToResponse(NotValid(title, std::move(violations)));
}

}  // namespace

ResourceEndpoint::ResourceEndpoint(store::Store& store, const model::TypeTable& types,
                                   Settings settings)
    : store_(store), types_(types), settings_(std::move(settings)) {}

bool ResourceEndpoint::MeshExists(const std::string& mesh) const {
  return store_.Get(ResourceKey{"Mesh", "", mesh}).has_value();
}

base::Result<ResourcePtr> ResourceEndpoint::Find(const ResourceKey& key) const {
  if (key.kind == "MeshInsight" && settings_.mesh_insights != nullptr) {
    return settings_.mesh_insights->Get(key.name);
  }
  return store_.Get(key);
}

base::Result<store::Page> ResourceEndpoint::FindAll(const store::ListQuery& query) const {
  if (query.kind == "MeshInsight" && settings_.mesh_insights != nullptr) {
    return settings_.mesh_insights->List(query);
  }
  return store_.List(query);
}

base::Status ResourceEndpoint::MayRead(const ResourceType& type, const Principal& principal) const {
  if (!type.admin_only) return base::Ok{};
  return Check(settings_.access.admin_resources, principal, base::Format("get {}", type.kind));
}

Problem ResourceEndpoint::ReadOnly(const ResourceType& type) const {
  return Problem{405,
                 "Method not allowed",
                 std::string(kReadOnlyInZone),
                 {},
                 type.read_only ? base::Format("{} is written by the control plane", type.kind)
                                : "apiServer.readOnly is set: nothing can be written here"};
}

net::HttpResponse ResourceEndpoint::Get(const net::HttpRequest& request, const Principal& principal,
                                        const ResourcePath& path) const {
  const ResourceType& type = *path.type;
  if (type.scope == model::Scope::kMesh && !MeshExists(path.mesh)) return ToResponse(UnknownMesh());
  if (const base::Status may = MayRead(type, principal); !may) {
    return ToResponse(ProblemOf(may.error(), kRetrieve));
  }
  const auto found = Find(ResourceKey{std::string(type.kind), path.mesh, path.name});
  if (!found) return ToResponse(ProblemOf(found.error(), kRetrieve));
  if (!path.overview) {
    const std::string* ns = request.FindQuery("namespace");
    return InFormat(request, **found, ns != nullptr ? *ns : "", kRetrieve);
  }
  const auto insight = store_.Get(InsightKey(**found));
  return Json(200, EncodeOverview(**found, insight ? insight->get() : nullptr));
}

net::HttpResponse ResourceEndpoint::List(const net::HttpRequest& request,
                                         const Principal& principal,
                                         const ResourcePath& path) const {
  const ResourceType& type = *path.type;
  PageRequest page;
  if (const auto problem = ReadPage(request, kRetrieveAll, page)) return ToResponse(*problem);
  store::ListQuery query;
  query.kind = type.kind;
  if (const auto problem = ReadLabelFilters(request, path.route, query)) {
    return ToResponse(*problem);
  }
  DataplaneFilter filter;
  if (type.kind == "Dataplane") {
    if (const auto problem = ReadDataplaneFilter(request, path.route, filter)) {
      return ToResponse(*problem);
    }
  }
  if (const std::string* name = request.FindQuery("name")) query.name_contains = *name;
  if (!path.mesh.empty()) {
    if (!MeshExists(path.mesh)) return ToResponse(UnknownMesh());
    query.mesh = path.mesh;
  }
  if (const base::Status may = MayRead(type, principal); !may) {
    return ToResponse(ProblemOf(may.error(), kRetrieveAll));
  }

  // What the store cannot filter is filtered here, out of everything.
  if (!filter.any()) {
    query.offset = page.offset;
    query.limit = page.size;
  }
  auto listed = FindAll(query);
  if (!listed) return ToResponse(ProblemOf(listed.error(), kRetrieveAll));
  std::vector<ResourcePtr>& items = listed->items;
  size_t total = listed->total;
  if (filter.any()) {
    std::erase_if(items, [&filter](const ResourcePtr& item) { return !filter.Matches(*item); });
    total = items.size();
    KeepPage(page, items);
  }
  Array encoded;
  encoded.reserve(items.size());
  for (const ResourcePtr& item : items) {
    if (!path.overview) {
      encoded.push_back(model::EncodeResource(*item));
      continue;
    }
    const auto insight = store_.Get(InsightKey(*item));
    encoded.push_back(EncodeOverview(*item, insight ? insight->get() : nullptr));
  }
  return Json(200, ListBody(request, page, total, std::move(encoded)));
}

net::HttpResponse ResourceEndpoint::Put(const net::HttpRequest& request, const Principal& principal,
                                        const ResourcePath& path) {
  const ResourceType& type = *path.type;
  const bool mesh_scoped = type.scope == model::Scope::kMesh;
  if (type.read_only || settings_.read_only) return ToResponse(ReadOnly(type));
  if (mesh_scoped && !MeshExists(path.mesh)) return ToResponse(UnknownMesh());
  if (!IsJson(request)) return Text(415, "415: Unsupported Media Type");

  // The body by itself: its syntax, its schema, what its kind demands.
  const auto unparsable = [&type](std::string_view reason) {
    return BadRequest(base::Format("invalid {} object: \"{}\"", type.kind, reason));
  };
  auto parsed = model::ParseJson(request.body);
  if (!parsed) {
    const std::string& message = parsed.error().message();
    const std::string_view reason = model::WithoutPosition(message);
    Problem problem = unparsable(reason);
    problem.hint = std::string(base::Trim(std::string_view(message).substr(reason.size())));
    return ToResponse(problem);
  }
  model::Metadata meta;
  const std::string body_type = TextOf(*parsed, "type");
  meta.name = TextOf(*parsed, "name");
  if (mesh_scoped) {
    meta.mesh = TextOf(*parsed, "mesh");
    // The schemas of the newer kinds have this default.
    if (meta.mesh.empty() && !type.inline_spec) meta.mesh = "default";
  }
  const Value* given_type = parsed->Find("type");
  if (parsed->if_object() && (!given_type || given_type->is_null() || given_type->if_string())) {
    parsed->if_object()->Set("type", type.kind);
  }
  model::Decoded decoded = model::DecodeResource(*parsed, types_);
  if (!decoded.unreadable.empty()) return ToResponse(unparsable(decoded.unreadable));
  const policy::PolicyType* row =
      settings_.policies == nullptr ? nullptr : policy::FindPolicy(*settings_.policies, type.kind);
  if (decoded.resource != nullptr && row != nullptr && row->check != nullptr)
    row->check(*decoded.resource, decoded.violations, decoded.unknown);
  if (settings_.strict) {
    for (const std::string& field : decoded.unknown) {
      decoded.violations.Add(field, "unknown field",
                             "strict validation is on: apiServer.strictValidation");
    }
  }
  if (!decoded.violations.empty() || decoded.resource == nullptr) {
    return ToResponse(NotValid(kProcess, std::move(decoded.violations)));
  }
  meta.labels = decoded.resource->meta().labels;

  const ResourceKey key{std::string(type.kind), path.mesh, path.name};
  auto existing = store_.Get(key);
  if (!existing && existing.error().code() != base::Code::kNotFound) {
    return ToResponse(ProblemOf(existing.error(), "Failed to find a resource"));
  }
  const bool is_new = !existing;

  // Name, type, mesh and labels: what the URL and the rules of names say about the body.
  model::Violations violations;
  if (meta.name != path.name) {
    violations.Add("name", "name from the URL has to be the same as in body");
  }
  if (body_type != type.kind) {
    violations.Add("type", "type from the URL has to be the same as in body");
  }
  if (mesh_scoped && meta.mesh != path.mesh) {
    violations.Add("mesh", "mesh from the URL has to be the same as in body");
  }
  model::CheckLabels(type, meta, settings_.here, violations);
  model::ValidateMetadata(type, meta, violations);
  if (!violations.empty()) return ToResponse(NotValid(kProcess, std::move(violations)));

  const Allowed& allowed =
      type.admin_only ? settings_.access.admin_resources : settings_.access.write_resources;
  if (const base::Status may =
          Check(allowed, principal, base::Format("{} {}", is_new ? "create" : "update", type.kind));
      !may) {
    Problem problem = ProblemOf(may.error(), kProcess);
    if (!type.admin_only) {
      problem.hint =
          "send a user token (kumactl generate user-token), or call from the control plane's own "
          "host; access.static.writeResources says who may write";
    }
    return ToResponse(problem);
  }

  const std::string_view operation = is_new ? kCreate : kUpdate;
  meta.labels = model::ComputeLabels(type, meta, settings_.here);
  if (type.kind == "Dataplane") {
    const auto& spec = decoded.resource->Spec<resources::dataplane::Spec>();
    resources::dataplane::ComputeListenerLabels(spec, meta.labels);
    const std::string fault = resources::dataplane::WorkloadLabelFault(meta.labels);
    if (!fault.empty()) {
      return ToResponse(BadRequest(base::Format("bad request: {}", fault)));
    }
  }
  if (!is_new) {
    const model::Labels before = model::ComputeLabels(type, (*existing)->meta(), settings_.here);
    model::CheckImmutableLabels(before, meta.labels, violations);
    if (!violations.empty()) {
      return ToResponse(NotValid("Could not update a resource", std::move(violations)));
    }
    meta.owner = (*existing)->meta().owner;
    meta.owned_by_proxy = false;  // whoever writes it by hand takes it over
  } else if (mesh_scoped) {
    meta.owner = ResourceKey{"Mesh", "", path.mesh};
  }
  model::ValidateKindName(type, meta, is_new, violations);
  if (!violations.empty()) return ToResponse(NotValid(operation, std::move(violations)));

  // What probes found of a workload is not the writer's to say.
  const auto spec_over = [&](const Resource* stored) {
    const auto& written = decoded.resource->spec();
    return type.kind == "Dataplane" ? resources::dataplane::KeepHealth(stored, written) : written;
  };
  store::Write write;
  write.resource = std::make_shared<const Resource>(type, std::move(meta),
                                                    spec_over(is_new ? nullptr : existing->get()),
                                                    is_new ? nullptr : (*existing)->status());
  write.expected = is_new ? model::Revision{} : (*existing)->meta().revision;
  // Somebody else may write the same resource meanwhile (statuses do all the time): then the newer
  // one counts as `existing`, and this write is tried again on top of it.
  for (int attempt = 0;; ++attempt) {
    auto committed =
        store_.Commit({.writes = {write}, .cause = {}, .origin = OriginOf(request, principal)});
    if (committed) {
      Object body;
      if (!decoded.unknown.empty()) body.Set("warnings", WarningsOf(decoded.unknown));
      net::HttpResponse response = Json(is_new ? 201 : 200, Value(std::move(body)));
      response.headers.Set("kuma-revision", std::to_string(committed->revision.value));
      return response;
    }
    if (mesh_scoped && committed.error().code() == base::Code::kNotFound) {
      violations.Add("mesh", base::Format("mesh of name {} is not found", path.mesh));
      return ToResponse(
          Problem{400, std::string(operation), "Mesh is not found", std::move(violations), {}});
    }
    const bool again = committed.error().code() == base::Code::kConflict && !is_new && attempt < 10;
    if (!again) return ToResponse(ProblemOf(committed.error(), operation));
    const auto newer = store_.Get(key);
    if (!newer) return ToResponse(ProblemOf(newer.error(), operation));
    write.resource = std::make_shared<const Resource>(type, write.resource->meta(),
                                                      spec_over(newer->get()), (*newer)->status());
    write.expected = (*newer)->meta().revision;
  }
}

net::HttpResponse ResourceEndpoint::Delete(const net::HttpRequest& request,
                                           const Principal& principal, const ResourcePath& path) {
  const ResourceType& type = *path.type;
  if (type.read_only || settings_.read_only) return ToResponse(ReadOnly(type));
  if (type.scope == model::Scope::kMesh && !MeshExists(path.mesh)) return ToResponse(UnknownMesh());
  const ResourceKey key{std::string(type.kind), path.mesh, path.name};
  const auto existing = store_.Get(key);
  if (!existing) return ToResponse(ProblemOf(existing.error(), kDelete));
  model::Violations violations;
  model::CheckOriginForWrite(type, (*existing)->meta(), settings_.here, "", violations);
  if (!violations.empty()) return ToResponse(NotValid(kDelete, std::move(violations)));
  const Allowed& allowed =
      type.admin_only ? settings_.access.admin_resources : settings_.access.write_resources;
  if (const base::Status may = Check(allowed, principal, base::Format("delete {}", type.kind));
      !may) {
    return ToResponse(ProblemOf(may.error(), kDelete));
  }
  if (type.kind == "Mesh") {
    store::ListQuery query;
    query.kind = "Dataplane";
    query.mesh = path.name;
    query.limit = 1;
    if (const auto dataplanes = store_.List(query); dataplanes && dataplanes->total > 0) {
      violations.Add("mesh", "unable to delete mesh, there are still some dataplanes attached",
                     base::Format("{} Dataplanes are left: stop their proxies or delete them first",
                                  dataplanes->total));
      return ToResponse(NotValid(kDelete, std::move(violations)));
    }
  }
  store::Write write;
  write.kind = store::Write::Kind::kDelete;
  write.key = key;
  auto committed = store_.Commit(
      {.writes = {std::move(write)}, .cause = {}, .origin = OriginOf(request, principal)});
  if (!committed) return ToResponse(ProblemOf(committed.error(), kDelete));
  net::HttpResponse response = Json(200, Value(Object()));
  response.headers.Set("kuma-revision", std::to_string(committed->revision.value));
  return response;
}

net::HttpResponse ResourceEndpoint::ByKri(const net::HttpRequest& request,
                                          const Principal& principal, std::string_view text) const {
  const auto bad = [](std::string_view reason) {
    return ToResponse(BadRequest(base::Format("bad request: {}", reason)));
  };
  const auto kri = model::ParseKri(text);
  if (!kri) return bad(kri.error().message());
  const ResourceType* type = types_.FindByShortName(kri->short_name);
  if (type == nullptr) {
    return bad(base::Format("unknown short name of resource type: \"{}\"", kri->short_name));
  }
  if (const base::Status may = MayRead(*type, principal); !may) {
    return ToResponse(ProblemOf(may.error(), kRetrieve));
  }
  // Resources of here have their own name, those of another control plane the hashed one. In a zone
  // an empty zone may be either: a global kind of here, or what came from the global control plane.
  const bool is_zone = settings_.here.mode == model::ControlPlane::Mode::kZone;
  const bool local = kri->zone == (is_zone ? settings_.here.zone : "");
  std::vector<std::string> names;
  if (local || kri->zone.empty()) names.push_back(kri->name);
  if (!local) names.push_back(model::HashedName(kri->mesh, kri->name, kri->zone, kri->ns));
  const std::string mesh = type->scope == model::Scope::kMesh ? kri->mesh : "";
  for (const std::string& name : names) {
    const auto found = Find(ResourceKey{std::string(type->kind), mesh, name});
    if (found) return InFormat(request, **found, kri->ns, "Could not format a resource");
    if (found.error().code() != base::Code::kNotFound) {
      return ToResponse(ProblemOf(found.error(), kRetrieve));
    }
  }
  return ToResponse(NotFound(kRetrieve));
}

}  // namespace kuma::rest

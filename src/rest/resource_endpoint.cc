#include "rest/resource_endpoint.h"

#include <algorithm>

#include "base/format.h"
#include "base/strings.h"
#include "model/kri.h"
#include "model/labels.h"
#include "model/names.h"
#include "resources/dataplane/probes.h"
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
constexpr std::string_view kMesh = "Failed to retrieve Mesh";

struct PageRequest {
  size_t size = 100;
  size_t offset = 0;
};

std::optional<Problem> ParsePage(const net::HttpRequest& request, PageRequest& page) {
  const auto bad_size = [](std::string reason) {
    model::Violations violations;
    violations.Add("size", std::move(reason));
    return Problem{400, std::string(kRetrieveAll), "Invalid page size", std::move(violations), {}};
  };
  if (const std::string* size = request.FindQuery("size"); size != nullptr && !size->empty()) {
    const auto number = base::ParseInt(*size);
    if (!number || *number < 1) return bad_size("invalid format");
    if (*number > 1000) {
      return bad_size(base::Format("invalid page size of {}. Maximum page size is 1000", *number));
    }
    page.size = static_cast<size_t>(*number);
  }
  if (const std::string* offset = request.FindQuery("offset");
      offset != nullptr && !offset->empty()) {
    const auto number = base::ParseUint(*offset);
    if (!number) {
      Problem problem;
      problem.status = 400;
      problem.title = kRetrieveAll;
      problem.detail = base::Format(
          "invalid: invalid offset: strconv.Atoi: parsing \"{}\": invalid syntax", *offset);
      return problem;
    }
    page.offset = *number;
  }
  return std::nullopt;
}

// filter[labels.<key>]=<value>
std::optional<Problem> ParseFilters(const net::HttpRequest& request, const ResourcePath& path,
                                    store::ListQuery& query) {
  model::Violations violations;
  const std::string where = path.type->scope == model::Scope::kMesh && !path.mesh.empty()
                                ? base::Format("/meshes/{{mesh}}/{}", path.type->plural)
                                : base::Format("/{}", path.type->plural);
  constexpr std::string_view kPrefix = "filter[";
  constexpr std::string_view kLabels = "labels.";
  for (const auto& [name, value] : request.query) {
    if (!name.starts_with(kPrefix)) continue;
    std::string_view key = std::string_view(name).substr(kPrefix.size());
    const size_t end = key.find(']');
    if (end == std::string_view::npos || end + 1 != key.size()) {
      violations.Add(where + "." + name, "advanced filters are not supported");
      continue;
    }
    key.remove_suffix(1);
    if (!key.starts_with(kLabels)) {
      violations.Add(where + "." + name, "filters are only supported on labels");
      continue;
    }
    const std::string label(key.substr(kLabels.size()));
    std::erase_if(query.labels, [&label](const auto& entry) { return entry.first == label; });
    query.labels.emplace_back(label, value);
  }
  if (violations.empty()) return std::nullopt;
  return NotValid(kRetrieveAll, std::move(violations));
}

// The absolute URL of the next page: the other parameters stay.
std::string NextUrl(const net::HttpRequest& request, size_t offset) {
  std::vector<std::string> parts;
  bool has_offset = false;
  std::vector<std::pair<std::string, std::string>> query = request.query;
  for (auto& [name, value] : query) {
    if (name != "offset") continue;
    value = std::to_string(offset);
    has_offset = true;
  }
  if (!has_offset) query.emplace_back("offset", std::to_string(offset));
  std::sort(query.begin(), query.end());
  for (const auto& [name, value] : query) {
    parts.push_back(net::PercentEncode(name) + "=" + net::PercentEncode(value));
  }
  return base::Format("{}://{}{}?{}", request.scheme, request.authority, request.path,
                      base::Join(parts, "&"));
}

Problem UnknownMesh() { return NotFound(kMesh); }

}  // namespace

ResourceEndpoint::ResourceEndpoint(store::Store& store, const model::TypeTable& types,
                                   Settings settings)
    : store_(store), types_(types), settings_(std::move(settings)) {}

bool ResourceEndpoint::MeshExists(const std::string& mesh) const {
  return store_.Get(ResourceKey{"Mesh", "", mesh}).has_value();
}

base::Status ResourceEndpoint::MayRead(const ResourceType& type, const Principal& principal) const {
  if (!type.admin_only) return base::Ok{};
  return Check(settings_.access.admin_resources, principal, base::Format("get {}", type.kind));
}

net::HttpResponse ResourceEndpoint::Get(const net::HttpRequest& request, const Principal& principal,
                                        const ResourcePath& path) const {
  if (const base::Status may = MayRead(*path.type, principal); !may) {
    return ToResponse(ProblemOf(may.error(), kRetrieve));
  }
  if (const std::string* format = request.FindQuery("format");
      format != nullptr && !format->empty() && *format != "universal") {
    model::Violations violations;
    violations.Add("format", "invalid format. Allowed values are: 'universal'",
                   "the Kubernetes shape is not served by this version");
    return ToResponse(NotValid(kRetrieve, std::move(violations)));
  }
  if (path.type->scope == model::Scope::kMesh && !MeshExists(path.mesh)) {
    return ToResponse(UnknownMesh());
  }
  const auto found = store_.Get(ResourceKey{std::string(path.type->kind), path.mesh, path.name});
  if (!found) return ToResponse(ProblemOf(found.error(), kRetrieve));
  return Json(200, model::EncodeResource(**found));
}

net::HttpResponse ResourceEndpoint::ListBody(
    const net::HttpRequest& request, const ResourcePath& path,
    const std::function<Value(const Resource&)>& encode) const {
  if (!path.mesh.empty() && !MeshExists(path.mesh)) return ToResponse(UnknownMesh());
  PageRequest page;
  if (const auto problem = ParsePage(request, page)) return ToResponse(*problem);
  store::ListQuery query;
  query.kind = path.type->kind;
  if (!path.mesh.empty()) query.mesh = path.mesh;
  query.offset = page.offset;
  query.limit = page.size;
  if (const std::string* name = request.FindQuery("name")) query.name_contains = *name;
  if (const auto problem = ParseFilters(request, path, query)) return ToResponse(*problem);

  // Filters of Dataplanes that the store does not know are applied here, so everything is read
  // first.
  const bool filter_here =
      path.type->kind == "Dataplane" &&
      (request.FindQuery("tag") != nullptr || request.FindQuery("gateway") != nullptr);
  if (filter_here) {
    query.offset = 0;
    query.limit = SIZE_MAX;
  }
  auto listed = store_.List(query);
  if (!listed) return ToResponse(ProblemOf(listed.error(), kRetrieveAll));
  std::vector<ResourcePtr> items = std::move(listed->items);
  size_t total = listed->total;
  if (filter_here) {
    std::string gateway;
    if (const std::string* wanted = request.FindQuery("gateway")) gateway = base::ToLower(*wanted);
    if (!gateway.empty() && gateway != "true" && gateway != "false" && gateway != "delegated") {
      model::Violations violations;
      violations.Add("gateway", "supported values are true, false, delegated");
      return ToResponse(NotValid(kRetrieveAll, std::move(violations)));
    }
    std::erase_if(items, [&](const ResourcePtr& item) {
      const Value body = model::EncodeResource(*item);
      const bool is_gateway = body.At({"networking", "gateway"}) != nullptr;
      if (!gateway.empty() && is_gateway != (gateway != "false")) return true;
      for (const auto& [name, value] : request.query) {
        if (name != "tag") continue;
        const size_t colon = value.find(':');
        if (colon == std::string::npos) continue;
        const std::string_view held = item->meta().Label(value.substr(0, colon));
        if (held.find(value.substr(colon + 1)) == std::string_view::npos ||
            !item->meta().labels.contains(value.substr(0, colon))) {
          return true;
        }
      }
      return false;
    });
    total = items.size();
    items.erase(items.begin(),
                items.begin() + static_cast<std::ptrdiff_t>(std::min(page.offset, items.size())));
    if (items.size() > page.size) items.resize(page.size);
  }
  Array encoded;
  encoded.reserve(items.size());
  for (const ResourcePtr& item : items) encoded.push_back(encode(*item));
  const size_t end = page.offset + items.size();
  return Json(200,
              Value(Object{{"total", static_cast<uint64_t>(total)},
                           {"items", std::move(encoded)},
                           {"next", end < total && !items.empty() ? Value(NextUrl(request, end))
                                                                  : Value(nullptr)}}));
}

net::HttpResponse ResourceEndpoint::List(const net::HttpRequest& request,
                                         const Principal& principal,
                                         const ResourcePath& path) const {
  if (const base::Status may = MayRead(*path.type, principal); !may) {
    return ToResponse(ProblemOf(may.error(), kRetrieveAll));
  }
  return ListBody(request, path, model::EncodeResource);
}

net::HttpResponse ResourceEndpoint::Put(const net::HttpRequest& request, const Principal& principal,
                                        const ResourcePath& path) {
  const ResourceType& type = *path.type;
  if (type.read_only) {
    return ToResponse(Problem{405,
                              "Method not allowed",
                              base::Format("{} is written by the control plane only", type.kind),
                              {},
                              {}});
  }
  if (type.scope == model::Scope::kMesh && !MeshExists(path.mesh)) return ToResponse(UnknownMesh());
  const std::string_view media = request.headers.Get("content-type");
  if (media.substr(0, media.find(';')) != "application/json") {
    return Text(415, "415: Unsupported Media Type");
  }

  const auto unparsable = [&](std::string_view reason) {
    Problem problem;
    problem.status = 400;
    problem.title = "Bad Request";
    problem.detail = base::Format("invalid {} object: \"{}\"", type.kind, reason);
    return ToResponse(problem);
  };
  auto parsed = model::ParseJson(request.body);
  if (!parsed) return unparsable(parsed.error().message());
  if (parsed->if_object() == nullptr) return unparsable("not a JSON object");
  for (const std::string_view field : {"type", "mesh", "name"}) {
    if (const Value* value = parsed->Find(field);
        value != nullptr && !value->is_null() && !value->if_string()) {
      return unparsable(base::Format(
          "json: cannot unmarshal {} into Go struct field ResourceMeta.{} of type string",
          value->TypeName(), field));
    }
  }

  const ResourceKey key{std::string(type.kind), type.scope == model::Scope::kMesh ? path.mesh : "",
                        path.name};
  const auto existing = store_.Get(key);
  const bool is_new = !existing.has_value();
  if (is_new && existing.error().code() != base::Code::kNotFound) {
    return ToResponse(ProblemOf(existing.error(), kProcess));
  }

  // Name, type, mesh and labels: what the URL and the rules of names say about the body.
  model::Violations violations;
  const auto text_of = [&parsed](std::string_view field) {
    const Value* value = parsed->Find(field);
    return value != nullptr && value->if_string() ? *value->if_string() : std::string();
  };
  model::Metadata meta;
  meta.name = text_of("name");
  if (type.scope == model::Scope::kMesh) meta.mesh = text_of("mesh");
  if (meta.name != path.name) {
    violations.Add("name", "name from the URL has to be the same as in body");
  }
  if (text_of("type") != type.kind) {
    violations.Add("type", "type from the URL has to be the same as in body");
  }
  if (type.scope == model::Scope::kMesh && meta.mesh != path.mesh) {
    violations.Add("mesh", "mesh from the URL has to be the same as in body");
  }
  if (const Value* labels = parsed->Find("labels"); labels != nullptr && !labels->is_null()) {
    if (labels->if_object() == nullptr) return unparsable("labels must be an object");
    for (const auto& [label, value] : *labels->if_object()) {
      if (value.if_string() == nullptr) {
        return unparsable(base::Format("labels[\"{}\"] must be a string", label));
      }
      meta.labels[label] = *value.if_string();
    }
  }
  model::ValidateMetadata(type, meta, is_new, violations);
  model::CheckLabels(type, meta, is_new ? nullptr : &(*existing)->meta(), settings_.here,
                     violations);
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
          "host; "
          "access.static.writeResources says who may write";
    }
    return ToResponse(problem);
  }

  model::Decoded decoded = model::DecodeResource(*parsed, types_);
  if (!decoded.unreadable.empty()) return unparsable(decoded.unreadable);
  const std::string_view operation = is_new ? kCreate : kUpdate;
  if (settings_.strict) {
    for (const std::string& field : decoded.unknown) {
      decoded.violations.Add(field, "unknown field",
                             "strict validation is on: apiServer.strictValidation");
    }
  }
  model::ValidateKindName(type, meta, is_new, decoded.violations);
  if (!decoded.violations.empty() || decoded.resource == nullptr) {
    return ToResponse(NotValid(operation, std::move(decoded.violations)));
  }
  if (!is_new) {
    meta.owner = (*existing)->meta().owner;
    meta.owned_by_proxy = false;  // whoever writes it by hand takes it over
  } else if (type.scope == model::Scope::kMesh) {
    meta.owner = ResourceKey{"Mesh", "", path.mesh};
  }
  meta.labels = model::ComputeLabels(type, meta, settings_.here);

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
    auto committed = store_.Commit({.writes = {write}, .cause = {}});
    if (committed) {
      Object body;
      if (!decoded.unknown.empty()) {
        Array warnings;
        for (const std::string& field : decoded.unknown) {
          warnings.emplace_back(base::Format("{}: unknown field, ignored", field));
        }
        body.Set("warnings", std::move(warnings));
      }
      net::HttpResponse response = Json(is_new ? 201 : 200, Value(std::move(body)));
      response.headers.Set("kuma-revision", std::to_string(committed->revision.value));
      return response;
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

net::HttpResponse ResourceEndpoint::Delete(const net::HttpRequest&, const Principal& principal,
                                           const ResourcePath& path) {
  const ResourceType& type = *path.type;
  if (type.read_only) {
    return ToResponse(Problem{405,
                              "Method not allowed",
                              base::Format("{} is written by the control plane only", type.kind),
                              {},
                              {}});
  }
  if (type.scope == model::Scope::kMesh && !MeshExists(path.mesh)) return ToResponse(UnknownMesh());
  const ResourceKey key{std::string(type.kind), type.scope == model::Scope::kMesh ? path.mesh : "",
                        path.name};
  const auto existing = store_.Get(key);
  if (!existing) return ToResponse(ProblemOf(existing.error(), kDelete));
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
      model::Violations violations;
      violations.Add("mesh", "unable to delete mesh, there are still some dataplanes attached",
                     base::Format("{} Dataplanes are left: stop their proxies or delete them first",
                                  dataplanes->total));
      return ToResponse(NotValid(kDelete, std::move(violations)));
    }
  }
  store::Write write;
  write.kind = store::Write::Kind::kDelete;
  write.key = key;
  auto committed = store_.Commit({.writes = {std::move(write)}, .cause = {}});
  if (!committed) return ToResponse(ProblemOf(committed.error(), kDelete));
  net::HttpResponse response = Json(200, Value(Object()));
  response.headers.Set("kuma-revision", std::to_string(committed->revision.value));
  return response;
}

Value ResourceEndpoint::EncodeOverview(const Resource& resource) const {
  const Value plain = model::EncodeResource(resource);
  Object overview;
  Object own;
  for (const auto& [key, value] : *plain.if_object()) {
    const bool is_meta = key == "type" || key == "mesh" || key == "name" || key == "creationTime" ||
                         key == "modificationTime" || key == "labels" || key == "kri";
    if (key == "type") {
      overview.Set(key, *value.if_string() + "Overview");
    } else if (is_meta) {
      overview.Set(key, value);
    } else {
      own.Set(key, value);
    }
  }
  const bool is_zone = resource.type().kind == "Zone";
  overview.Set(is_zone ? "zone" : "dataplane", std::move(own));
  const std::string insight = std::string(resource.type().kind) + "Insight";
  if (const auto found = store_.Get(ResourceKey{insight, resource.mesh(), resource.name()})) {
    const Value encoded = model::EncodeResource(**found);
    Object body;
    for (const auto& [key, value] : *encoded.if_object()) {
      if (key != "type" && key != "mesh" && key != "name" && key != "creationTime" &&
          key != "modificationTime" && key != "labels" && key != "kri") {
        body.Set(key, value);
      }
    }
    overview.Set(is_zone ? "zoneInsight" : "dataplaneInsight", std::move(body));
  }
  return Value(std::move(overview));
}

net::HttpResponse ResourceEndpoint::Overview(const net::HttpRequest& request,
                                             const Principal& principal,
                                             const ResourcePath& path) const {
  if (path.name.empty()) {
    if (const base::Status may = MayRead(*path.type, principal); !may) {
      return ToResponse(ProblemOf(may.error(), kRetrieveAll));
    }
    return ListBody(request, path, [this](const Resource& item) { return EncodeOverview(item); });
  }
  if (path.type->scope == model::Scope::kMesh && !MeshExists(path.mesh)) {
    return ToResponse(UnknownMesh());
  }
  const auto found = store_.Get(ResourceKey{std::string(path.type->kind), path.mesh, path.name});
  if (!found) return ToResponse(ProblemOf(found.error(), kRetrieve));
  return Json(200, EncodeOverview(**found));
}

net::HttpResponse ResourceEndpoint::ByKri(const net::HttpRequest& request,
                                          const Principal& principal, std::string_view text) const {
  const auto bad = [](std::string_view reason) {
    Problem problem;
    problem.status = 400;
    problem.title = "Bad Request";
    problem.detail = base::Format("bad request: {}", reason);
    return ToResponse(problem);
  };
  const auto kri = model::ParseKri(text);
  if (!kri) return bad(kri.error().message());
  const ResourceType* type = types_.FindByShortName(kri->short_name);
  if (type == nullptr) {
    return bad(base::Format("unknown short name of resource type: \"{}\"", kri->short_name));
  }
  return Get(request, principal,
             {type, type->scope == model::Scope::kMesh ? kri->mesh : "", kri->name});
}

}  // namespace kuma::rest

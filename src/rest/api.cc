#include "rest/api.h"

#include <algorithm>
#include <span>

#include "base/format.h"
#include "base/strings.h"
#include "base/version.h"
#include "rest/open_api.h"
#include "rest/problem.h"

namespace kuma::rest {
namespace {

using model::Array;
using model::Object;
using model::ResourceType;
using model::Value;

// Of the REST API. A read takes less than a millisecond: the last one waits for about a second.
constexpr size_t kWaitingRequests = 1024;

net::HttpResponse PageNotFound() { return Text(404, "404: Page Not Found"); }

net::HttpResponse MethodNotAllowed(std::string_view allow) {
  net::HttpResponse response = Text(405, "405: Method Not Allowed");
  response.headers.Set("allow", std::string(allow));
  return response;
}

// "/meshes//x/" -> {"meshes", "x"}
std::vector<std::string> Segments(std::string_view path) {
  std::vector<std::string> segments = base::Split(path, '/');
  std::erase(segments, "");
  return segments;
}

template <class Settings>
Settings WithInsights(Settings settings, const ApiSettings& all,
                      const insight::MeshInsights& insights) {
  settings.mesh_insights = all.compute_mesh_insights ? &insights : nullptr;
  return settings;
}

std::vector<const ResourceType*> SortedByKind(const model::TypeTable& types) {
  std::vector<const ResourceType*> sorted = types.all();
  std::sort(sorted.begin(), sorted.end(),
            [](const ResourceType* a, const ResourceType* b) { return a->kind < b->kind; });
  return sorted;
}

}  // namespace

Api::Api(store::Store& store, const model::TypeTable& types, TokenEndpoint& tokens,
         VerifyUserToken verify, runtime::Pool& pool, ApiSettings settings)
    : types_(types),
      tokens_(tokens),
      verify_(std::move(verify)),
      queue_(pool, kWaitingRequests),
      settings_(std::move(settings)),
      cors_(settings_.cors_domains),
      mesh_insights_(store, types),
      resources_(store, types, WithInsights(settings_.resources, settings_, mesh_insights_)),
      insights_(store, types, WithInsights(settings_.insights, settings_, mesh_insights_)),
      history_(store, types, settings_.resources.access, settings_.base_path,
               settings_.resources.read_only),
      inspect_(store, types, settings_.inspection) {}

void Api::Handle(net::HttpRequest request, net::HttpResponder responder) {
  queue_.Put(
      std::move(request), std::move(responder),
      [this](const net::HttpRequest& taken, const net::HttpResponder& to) { Serve(taken, to); });
}

void Api::Serve(const net::HttpRequest& request, const net::HttpResponder& responder) {
  if (request.path.starts_with(settings_.base_path)) {
    const auto at = Segments(std::string_view(request.path).substr(settings_.base_path.size()));
    const bool of_progress = settings_.progress != nullptr && ProgressEndpoint::Has(at);
    const bool of_envoy = settings_.envoy_admin != nullptr && EnvoyAdmin::Has(at);
    const auto who = of_progress || of_envoy ? WhoAsks(request) : base::Denied("");
    if (who) {
      const auto answer = [this, request, responder](net::HttpResponse response) {
        responder.Send(Finish(request, std::move(response)));
      };
      return of_progress ? settings_.progress->Serve(request, at, answer)
                         : settings_.envoy_admin->Serve(request, at, *who, answer);
    }
  }
  responder.Send(Answer(request));
}

base::Result<Principal> Api::WhoAsks(const net::HttpRequest& request) const {
  return Authenticate(request, settings_.localhost_is_admin, verify_);
}

net::HttpResponse Api::Answer(const net::HttpRequest& request) {
  if (auto preflight = cors_.Preflight(request)) return Finish(request, *std::move(preflight));
  const auto principal = WhoAsks(request);
  if (!principal) {
    return Finish(request, ToResponse({401,
                                       "Invalid authentication data",
                                       "Unauthenticated",
                                       {},
                                       principal.error().message()}));
  }
  return Finish(request, Route(request, *principal));
}

// What every answer has.
net::HttpResponse Api::Finish(const net::HttpRequest& request, net::HttpResponse response) const {
  cors_.AddHeaders(request, response);
  if (request.method == "HEAD") response.body.clear();
  return response;
}

net::HttpResponse Api::Route(const net::HttpRequest& request, const Principal& principal) {
  if (!request.path.starts_with(settings_.base_path)) return PageNotFound();
  const std::string_view path = std::string_view(request.path).substr(settings_.base_path.size());
  if (!path.empty() && path[0] != '/') return PageNotFound();
  const std::vector<std::string> at = Segments(path);
  const bool is_get = request.method == "GET" || request.method == "HEAD";

  if (at.size() == 2 && at[0] == "tokens") {
    if (request.method != "POST") return MethodNotAllowed("POST");
    return tokens_.Issue(at[1], request, principal);
  }

  if (at.size() == 3 && at[0] == "mass-removals" && at[2] == "release") {
    if (request.method != "POST") return MethodNotAllowed("POST");
    if (const base::Status may =
            Check(settings_.resources.access.write_resources, principal, "release mass removals");
        !may) {
      return ToResponse(ProblemOf(may.error(), "Could not release the removals"));
    }
    settings_.release_removals(at[1]);
    return Json(200, Value(Object()));
  }

  if (!at.empty() && at[0] == "history") {
    return history_.Answer(request, principal, std::span(at).subspan(1));
  }

  // What has one path and is only read.
  if (at.empty()) return is_get ? Index() : MethodNotAllowed("GET");
  if (at.size() == 1) {
    if (at[0] == "config") {
      if (!is_get) return MethodNotAllowed("GET");
      if (const base::Status may = Check(settings_.resources.access.control_plane_metadata,
                                         principal, "view control plane metadata");
          !may) {
        return ToResponse(ProblemOf(may.error(), "Could not get the configuration"));
      }
      net::HttpResponse response = Json(200, Value());
      response.body = model::ToJson(settings_.config);
      return response;
    }
    if (at[0] == "who-am-i") {
      Array groups;
      for (const std::string& group : principal.groups) groups.emplace_back(group);
      return is_get
                 ? Json(200, Value(Object{{"name", principal.name}, {"groups", std::move(groups)}}))
                 : MethodNotAllowed("GET");
    }
    if (at[0] == "_resources") return is_get ? ResourceTypes() : MethodNotAllowed("GET");
    if (at[0] == "policies") return is_get ? Policies() : MethodNotAllowed("GET");
    if (at[0] == "openapi") {
      return is_get ? Json(200, OpenApiDocument(types_, settings_.base_path,
                                                settings_.resources.read_only))
                    : MethodNotAllowed("GET");
    }
    if (at[0] == "global-insight") return is_get ? insights_.Global() : MethodNotAllowed("GET");
    if (at[0] == "global-insights") {
      return is_get ? insights_.GlobalKinds() : MethodNotAllowed("GET");
    }
  }
  if (at.size() == 2 && at[0] == "_kri") {
    return is_get ? resources_.ByKri(request, principal, at[1]) : MethodNotAllowed("GET");
  }
  if (auto answer = inspect_.Answer(request, at)) return *std::move(answer);
  return Resources(request, principal, at);
}

// [/meshes/{mesh}]/{type}[/{name}][/_overview]
net::HttpResponse Api::Resources(const net::HttpRequest& request, const Principal& principal,
                                 std::vector<std::string> at) {
  const bool is_get = request.method == "GET" || request.method == "HEAD";
  ResourcePath path;
  path.route = settings_.base_path;
  if (at[0] == "meshes" && at.size() >= 3 && at[2] != "_overview") {
    path.mesh = at[1];
    path.route += "/meshes/{mesh}";
    at.erase(at.begin(), at.begin() + 2);
  }
  path.route += "/" + at[0];
  std::string type_path = at[0];
  constexpr std::string_view kWithInsights = "+insights";
  if (type_path.ends_with(kWithInsights)) {
    type_path.resize(type_path.size() - kWithInsights.size());
    path.overview = true;
  } else if (at.size() > 1 && at.back() == "_overview") {
    path.route += "/_overview";
    path.overview = true;
    at.pop_back();
  }
  path.type = types_.FindByPath(type_path);
  if (path.type == nullptr || at.size() > 2) return PageNotFound();
  if (at.size() == 2) path.name = at[1];
  const bool mesh_scoped = path.type->scope == model::Scope::kMesh;
  if (!mesh_scoped && !path.mesh.empty()) return PageNotFound();
  // A mesh-scoped kind without a mesh has a list only.
  if (mesh_scoped && path.mesh.empty() && !path.name.empty()) return PageNotFound();
  if (path.overview) {
    if (path.type->kind != "Dataplane" && path.type->kind != "Zone") return PageNotFound();
    if (!is_get) return MethodNotAllowed("GET");
  }

  if (is_get) {
    if (path.type->kind == "ServiceInsight") {
      return insights_.Services(request, path.mesh, path.name);
    }
    return path.name.empty() ? resources_.List(request, principal, path)
                             : resources_.Get(request, principal, path);
  }
  if (path.name.empty()) return MethodNotAllowed("GET");
  if (request.method == "PUT") return resources_.Put(request, principal, path);
  if (request.method == "DELETE") return resources_.Delete(request, principal, path);
  return MethodNotAllowed("GET, PUT, DELETE");
}

net::HttpResponse Api::Index() const {
  return Json(200, Value(Object{{"hostname", settings_.hostname},
                                {"product", base::Version().product},
                                {"version", base::Version().version},
                                {"instanceId", settings_.instance_id},
                                {"clusterId", settings_.cluster_id()},
                                {"gui", ""}}));
}

net::HttpResponse Api::ResourceTypes() const {
  Array list;
  for (const ResourceType* type : SortedByKind(types_)) {
    if (type->plural.empty()) continue;
    Object row{{"includeInFederation", type->in_federation_export},
               {"name", type->kind},
               {"path", type->plural},
               {"pluralDisplayName", type->plural_display_name}};
    if (type->is_policy) {
      row.Set("policy", Object{{"hasFromTargetRef", false},
                               {"hasRulesTargetRef", type->policy_has_rules},
                               {"hasToTargetRef", type->policy_has_to},
                               {"isFromAsRules", false},
                               {"isTargetRef", true}});
    }
    row.Set("readOnly", type->read_only || settings_.resources.read_only);
    row.Set("scope", type->scope == model::Scope::kMesh ? "Mesh" : "Global");
    row.Set("shortName", type->short_name);
    row.Set("singularDisplayName", type->singular_display_name);
    list.emplace_back(std::move(row));
  }
  return Json(200, Value(Object{{"resources", std::move(list)}}));
}

net::HttpResponse Api::Policies() const {
  Array list;
  for (const ResourceType* type : SortedByKind(types_)) {
    if (!type->is_policy) continue;
    list.emplace_back(Object{{"name", type->kind},
                             {"readOnly", type->read_only || settings_.resources.read_only},
                             {"path", type->plural},
                             {"singularDisplayName", type->singular_display_name},
                             {"pluralDisplayName", type->plural_display_name},
                             {"isExperimental", false},
                             {"isTargetRefBased", true},
                             {"isInbound", type->policy_has_rules},
                             {"isOutbound", type->policy_has_to}});
  }
  return Json(200, Value(Object{{"policies", std::move(list)}}));
}

}  // namespace kuma::rest

#include "rest/open_api.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/format.h"
#include "base/version.h"

namespace kuma::rest {
namespace {

using model::Array;
using model::Object;
using model::ResourceType;
using model::Value;

Object Ref(std::string_view where, std::string_view name) {
  return {{"$ref", base::Format("#/components/{}/{}", where, name)}};
}
Object Text(std::string_view description) {
  return {{"type", "string"}, {"description", description}};
}
Object ReadOnlyTime(std::string_view description) {
  return {{"type", "string"},
          {"format", "date-time"},
          {"readOnly", true},
          {"description", description}};
}
Object Number(std::string_view description) {
  return {{"type", "integer"}, {"description", description}};
}
Object ListOf(Value items) { return {{"type", "array"}, {"items", std::move(items)}}; }
Object Body(Value schema) {
  return {{"content", Object{{"application/json", Object{{"schema", std::move(schema)}}}}}};
}
Object Response(std::string_view description, Value schema) {
  Object response = Body(std::move(schema));
  response.Set("description", description);
  return response;
}

// ------------------------------------------------------------------------------------------------
// What is not a resource by itself. `result` names a schema below; empty: an object.

struct Plain {
  std::string_view path;
  std::string_view method;
  std::string_view operation;
  std::string_view tag;
  std::string_view summary;
  std::string_view result;
};
constexpr Plain kPlain[] = {
    {"/", "get", "index", "System", "The control plane's name and version", "Index"},
    {"/config", "get", "getConfig", "System", "The effective configuration without secrets", ""},
    {"/openapi", "get", "getOpenApi", "System", "This document", ""},
    {"/who-am-i", "get", "whoAmI", "System", "Whom the control plane takes the caller for",
     "WhoAmI"},
    {"/_resources", "get", "get-resource-type-description", "System", "All kinds of resources",
     "ResourceTypeDescriptionList"},
    {"/policies", "get", "getPolicies", "System", "All kinds of policies", "PolicyList"},
    {"/global-insight", "get", "get-global-insight", "GlobalInsight", "Everything in numbers",
     "GlobalInsightBase"},
    {"/global-insights", "get", "getGlobalInsights", "GlobalInsight",
     "Numbers of resources outside of meshes", "GlobalInsights"},
    {"/_kri/{kri}", "get", "getByKri", "System", "The resource of a Kuma Resource Identifier", ""},
    {"/tokens/dataplane", "post", "generateDataplaneToken", "Tokens", "Issues a dataplane token",
     "Token"},
    {"/tokens/zone", "post", "generateZoneToken", "Tokens", "Issues a zone token", "Token"},
    {"/tokens/user", "post", "generateUserToken", "Tokens", "Issues a user token", "Token"},
    {"/history", "get", "getHistory", "History", "What was written, newest first", ""},
    {"/history/{revision}", "get", "getHistoryRevision", "History",
     "One revision with its differences", ""},
    {"/history/diff", "get", "getHistoryDiff", "History", "What changed between two revisions", ""},
    {"/history/rollback", "post", "rollBack", "History", "Puts back what was at a revision", ""},
    {"/rollouts", "get", "getRollouts", "Progress", "Who has which revision", ""},
    {"/rollouts/{revision}", "get", "getRollout", "Progress", "Who has this revision", ""},
    {"/degraded", "get", "getDegraded", "Progress", "What could not be made or was refused", ""},
    {"/meshes/{mesh}/dataplanes/{name}/_timeline", "get", "getTimeline", "Progress",
     "What a proxy was sent and answered lately", ""},
    {"/meshes/{mesh}/dataplanes/{name}/xds", "get", "getDataplaneConfigDump", "EnvoyAdmin",
     "Envoy's own configuration", ""},
    {"/meshes/{mesh}/dataplanes/{name}/stats", "get", "getDataplaneStats", "EnvoyAdmin",
     "Envoy's statistics", ""},
    {"/meshes/{mesh}/dataplanes/{name}/clusters", "get", "getDataplaneClusters", "EnvoyAdmin",
     "Envoy's clusters", ""},
    {"/meshes/{mesh}/dataplanes/{name}/_config", "get", "getProxyConfig", "Inspection",
     "The Envoy configuration of a proxy", ""},
    {"/meshes/{mesh}/dataplanes/{name}/_layout", "get", "getProxyLayout", "Inspection",
     "What a proxy listens on and can call", ""},
    {"/meshes/{mesh}/dataplanes/{name}/_rules", "get", "getProxyRules", "Inspection",
     "What policies say about a proxy", ""},
    {"/meshes/{mesh}/dataplanes/{name}/_policies", "get", "getProxyPolicies", "Inspection",
     "Policies of a proxy as a whole", ""},
    {"/meshes/{mesh}/dataplanes/{name}/_inbounds/{inbound_kri}/_policies", "get",
     "getInboundPolicies", "Inspection", "Policies of an inbound", ""},
    {"/meshes/{mesh}/dataplanes/{name}/_outbounds/{outbound_kri}/_policies", "get",
     "getOutboundPolicies", "Inspection", "Policies of an outbound", ""},
    {"/meshes/{mesh}/dataplanes/{name}/_outbounds/{outbound_kri}/_routes", "get",
     "getOutboundRoutes", "Inspection", "Routes of an outbound", ""},
    {"/meshes/{mesh}/dataplanes/{name}/_outbounds/{outbound_kri}/_routes/{route_kri}/_policies",
     "get", "getRoutePolicies", "Inspection", "Policies of a route", ""},
    {"/meshes/{mesh}/meshservices/{name}/_dataplanes", "get", "getDataplanesOfService",
     "Inspection", "Dataplanes that a MeshService selects", ""},
    {"/meshes/{mesh}/meshservices/{name}/_hostnames", "get", "getHostnamesOfService", "Inspection",
     "Host names of a MeshService", ""},
    {"/mass-removals/{mesh}/release", "post", "releaseMassRemoval", "System",
     "Removes the Dataplanes whose removal is held", ""},
};

Object PlainSchemas() {
  const auto status = [](bool full) {
    Object properties{{"online", Number("Online.")}, {"total", Number("All.")}};
    Array required{"online", "total"};
    if (full) {
      properties.Set("offline", Number("Offline."));
      properties.Set("partiallyDegraded", Number("Not wholly online."));
      required.insert(required.end(), {"offline", "partiallyDegraded"});
    }
    return Object{{"type", "object"},
                  {"properties", std::move(properties)},
                  {"required", std::move(required)}};
  };
  const auto object = [](Object properties, Array required = {}) {
    Object schema{{"type", "object"}, {"properties", std::move(properties)}};
    if (!required.empty()) schema.Set("required", std::move(required));
    return schema;
  };
  const Object total = object({{"total", Number("All.")}}, {"total"});
  const Object full = Ref("schemas", "FullStatus");
  const Object base = Ref("schemas", "BaseStatus");
  const Object boolean{{"type", "boolean"}};
  const Object string{{"type", "string"}};
  return {
      {"Error", object({{"type", Text("Always /std-errors.")},
                        {"status", Number("The HTTP status.")},
                        {"title", Text("What could not be done.")},
                        {"detail", Text("Why.")},
                        {"instance", Text("The trace, while tracing.")},
                        {"hint", Text("The way out.")},
                        {"invalid_parameters", ListOf(Ref("schemas", "InvalidParameters"))},
                        {"details", Text("Deprecated: detail.")},
                        {"causes", ListOf(object({{"field", Text("Path of the field.")},
                                                  {"message", Text("Why.")}}))}},
                       {"type", "status", "title", "detail"})},
      {"InvalidParameters", object({{"field", Text("Path of the field, or name of the parameter.")},
                                    {"reason", Text("What is wrong with it.")},
                                    {"hint", Text("The way out.")}},
                                   {"field", "reason"})},
      {"Index", object({{"hostname", string},
                        {"product", string},
                        {"version", string},
                        {"instanceId", string},
                        {"clusterId", string},
                        {"gui", Text("Where the web application is; empty: nowhere.")},
                        {"basedOnKuma", string}},
                       {"hostname", "product", "version", "instanceId", "clusterId", "gui"})},
      {"WhoAmI", object({{"name", string}, {"groups", ListOf(string)}}, {"name", "groups"})},
      {"Token", Object{{"type", "string"}}},
      {"PolicyDescription", object({{"hasToTargetRef", boolean},
                                    {"hasFromTargetRef", boolean},
                                    {"hasRulesTargetRef", boolean},
                                    {"isFromAsRules", boolean},
                                    {"isTargetRef", boolean}})},
      {"ResourceTypeDescription",
       object({{"name", string},
               {"scope", Object{{"type", "string"}, {"enum", Array{"Global", "Mesh"}}}},
               {"readOnly", boolean},
               {"path", string},
               {"shortName", string},
               {"singularDisplayName", string},
               {"pluralDisplayName", string},
               {"includeInFederation", boolean},
               {"policy", Ref("schemas", "PolicyDescription")}},
              {"name", "scope", "readOnly", "path", "singularDisplayName", "pluralDisplayName",
               "includeInFederation"})},
      {"ResourceTypeDescriptionList",
       object({{"resources", ListOf(Ref("schemas", "ResourceTypeDescription"))}}, {"resources"})},
      {"PolicyList", object({{"policies", ListOf(object({{"name", string},
                                                         {"readOnly", boolean},
                                                         {"path", string},
                                                         {"singularDisplayName", string},
                                                         {"pluralDisplayName", string},
                                                         {"isExperimental", boolean},
                                                         {"isTargetRefBased", boolean},
                                                         {"isInbound", boolean},
                                                         {"isOutbound", boolean}}))}},
                            {"policies"})},
      {"BaseStatus", status(false)},
      {"FullStatus", status(true)},
      {"GlobalInsightBase",
       object({{"createdAt", Object{{"type", "string"}, {"format", "date-time"}}},
               {"services",
                object({{"internal", full}, {"external", total}, {"gatewayDelegated", full}},
                       {"internal", "external", "gatewayDelegated"})},
               {"zones",
                object({{"controlPlanes", base}, {"zoneIngresses", base}, {"zoneEgresses", base}},
                       {"controlPlanes", "zoneIngresses", "zoneEgresses"})},
               {"dataplanes", object({{"standard", full}, {"gatewayDelegated", full}},
                                     {"standard", "gatewayDelegated"})},
               {"policies", total},
               {"meshes", total},
               {"resources", Object{{"type", "object"}, {"additionalProperties", total}}}},
              {"createdAt", "services", "zones", "dataplanes", "policies", "meshes", "resources"})},
      {"GlobalInsights",
       object({{"type", string},
               {"creationTime", Object{{"type", "string"}, {"format", "date-time"}}},
               {"resources", Object{{"type", "object"}, {"additionalProperties", total}}}},
              {"type", "creationTime", "resources"})},
  };
}

// ------------------------------------------------------------------------------------------------
// Kinds

// The resource as it is read and written.
Object ItemSchema(const ResourceType& type) {
  const bool mesh_scoped = type.scope == model::Scope::kMesh;
  Object properties{{"type", Object{{"type", "string"},
                                    {"enum", Array{type.kind}},
                                    {"description", "The type of the resource."}}}};
  Array required{"type", "name"};
  if (mesh_scoped) {
    properties.Set("mesh", Object{{"type", "string"},
                                  {"default", "default"},
                                  {"description", "The mesh that the resource belongs to."}});
  }
  properties.Set("name", Text("The name of the resource."));
  properties.Set("labels", Object{{"type", "object"},
                                  {"additionalProperties", Object{{"type", "string"}}},
                                  {"description", "Labels that find the resource."}});
  if (!type.short_name.empty()) {
    properties.Set("kri", Object{{"type", "string"},
                                 {"readOnly", true},
                                 {"description", "The Kuma Resource Identifier."}});
  }
  properties.Set("creationTime", ReadOnlyTime("When the resource was created."));
  properties.Set("modificationTime", ReadOnlyTime("When the resource was written last."));
  if (type.add_computed != nullptr) {
    properties.Set("snis",
                   Object{{"type", "array"},
                          {"readOnly", true},
                          {"description", "Server names by which mesh traffic finds its ports."},
                          {"items", Object{{"type", "object"},
                                           {"properties", Object{{"port", Number("The port.")},
                                                                 {"sni", Text("Its name.")}}}}}});
  }
  Value spec = type.spec.schema();
  if (type.inline_spec) {
    if (const Value* members = spec.Find("properties")) {
      for (const auto& [name, schema] : *members->if_object()) properties.Set(name, schema);
    }
    if (const Value* names = spec.Find("required")) {
      for (const Value& name : *names->if_array()) required.push_back(name);
    }
  } else {
    spec.if_object()->Set("description", "What is wanted.");
    properties.Set("spec", std::move(spec));
    required.emplace_back("spec");
  }
  if (type.status.schema != nullptr) {
    Value status = type.status.schema();
    status.if_object()->Set("readOnly", true);
    status.if_object()->Set("description", "What is observed.");
    properties.Set("status", std::move(status));
  }
  return {
      {"type", "object"}, {"properties", std::move(properties)}, {"required", std::move(required)}};
}

bool HasOverview(const ResourceType& type) {
  return type.kind == "Dataplane" || type.kind == "Zone";
}

// The head of the item, and the item's own part and its insight as members.
Object OverviewSchema(const ResourceType& type, const ResourceType& insight) {
  const bool is_zone = type.kind == "Zone";
  const Object item = ItemSchema(type);
  Object properties;
  for (const std::string_view head :
       {"mesh", "name", "labels", "kri", "creationTime", "modificationTime"}) {
    if (const Value* schema = item.Find("properties")->Find(head)) properties.Set(head, *schema);
  }
  properties.Set(
      "type", Object{{"type", "string"}, {"enum", Array{base::Format("{}Overview", type.kind)}}});
  properties.Set(is_zone ? "zone" : "dataplane", type.spec.schema());
  properties.Set(is_zone ? "zoneInsight" : "dataplaneInsight", insight.spec.schema());
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"required", Array{"type", "name"}}};
}

Object ListSchema(std::string_view item) {
  return {{"type", "object"},
          {"properties",
           Object{{"items", ListOf(Ref("schemas", item))},
                  {"total", Number("All that match, on whatever page.")},
                  {"next", Object{{"type", Array{"string", "null"}},
                                  {"description", "The next page; null: there is none."}}}}},
          {"required", Array{"items", "total", "next"}}};
}

Object PathParameter(std::string_view name, std::string_view description) {
  return {{"in", "path"},
          {"name", name},
          {"required", true},
          {"schema", Object{{"type", "string"}}},
          {"description", description}};
}
Object QueryParameter(std::string_view name, std::string_view description, Object schema) {
  return {{"in", "query"},
          {"name", name},
          {"required", false},
          {"schema", std::move(schema)},
          {"description", description}};
}

Array ListParameters(const ResourceType& type) {
  const Object string{{"type", "string"}};
  Array parameters{
      QueryParameter("size", "The number of items of a page.",
                     {{"type", "integer"}, {"default", 100}, {"minimum", 1}, {"maximum", 1000}}),
      QueryParameter("offset", "The first item of the page, as in next.",
                     {{"type", "integer"}, {"default", 0}, {"minimum", 0}}),
      QueryParameter("name", "A part of the name.", string)};
  if (type.kind == "ServiceInsight") {
    parameters.push_back(QueryParameter(
        "type", "Types of services, with commas: internal, external, gateway_delegated.", string));
    return parameters;
  }
  Object filter = QueryParameter(
      "filter", "filter[labels.<key>]=<value>: resources with this label; several: with all.",
      {{"type", "object"}, {"additionalProperties", Object{{"type", "string"}}}});
  filter.Set("style", "deepObject");
  parameters.emplace_back(std::move(filter));
  if (type.kind == "Dataplane") {
    parameters.push_back(QueryParameter(
        "tag", "<key>:<part of the value> of labels or of the tags of gateways; may repeat.",
        ListOf(Object{{"type", "string"}})));
    parameters.push_back(
        QueryParameter("gateway", "Gateways only, or none of them.",
                       {{"type", "string"}, {"enum", Array{"true", "false", "delegated"}}}));
  }
  return parameters;
}

Object Operation(std::string_view id, std::string_view summary, std::string_view tag,
                 Array parameters, Object responses) {
  responses.Set("400", Ref("responses", "BadRequest"));
  responses.Set("401", Ref("responses", "Unauthenticated"));
  responses.Set("403", Ref("responses", "Forbidden"));
  responses.Set("500", Ref("responses", "Internal"));
  Object operation{{"operationId", id}, {"summary", summary}, {"tags", Array{tag}}};
  if (!parameters.empty()) operation.Set("parameters", std::move(parameters));
  operation.Set("responses", std::move(responses));
  return operation;
}

class Document {
 public:
  Document(const model::TypeTable& types, std::string_view base_path, bool read_only)
      : types_(types), base_path_(base_path), read_only_(read_only), schemas_(PlainSchemas()) {}

  Value Make() {
    for (const Plain& plain : kPlain) AddPlain(plain);
    responses_.Set("BadRequest", Response("The request is wrong", Ref("schemas", "Error")));
    responses_.Set("Unauthenticated", Response("The token is bad", Ref("schemas", "Error")));
    responses_.Set("Forbidden", Response("The caller may not do this", Ref("schemas", "Error")));
    responses_.Set("NotFound", Response("There is no such thing", Ref("schemas", "Error")));
    responses_.Set("MethodNotAllowed",
                   Response("The kind cannot be written here", Ref("schemas", "Error")));
    responses_.Set("Conflict", Response("Somebody else wrote first", Ref("schemas", "Error")));
    responses_.Set("Internal",
                   Response("The control plane could not do it", Ref("schemas", "Error")));
    for (const ResourceType* type : types_.all()) {
      if (!type->plural.empty()) AddKind(*type);
    }
    return Object{{"openapi", "3.1.0"},
                  {"info", Object{{"title", "Kuma API"},
                                  {"description", "The REST API of the control plane."},
                                  {"version", "v1alpha1"},
                                  {"x-control-plane-version", base::Version().version}}},
                  {"security", Array{Object{{"BearerAuth", Array()}}, Object()}},
                  {"paths", std::move(paths_)},
                  {"components",
                   Object{{"securitySchemes",
                           Object{{"BearerAuth", Object{{"type", "http"}, {"scheme", "bearer"}}}}},
                          {"schemas", std::move(schemas_)},
                          {"responses", std::move(responses_)}}}};
  }

 private:
  void Add(const std::string& path, std::string_view method, Object operation) {
    Value& item = paths_[base_path_ + path];
    if (item.is_null()) item = Object();
    item.if_object()->Set(method, std::move(operation));
  }

  void AddPlain(const Plain& plain) {
    const Object result =
        plain.result.empty() ? Object{{"type", "object"}} : Ref("schemas", plain.result);
    Object responses{{"200", Response("Success", result)}};
    Array parameters;
    if (plain.path.find("{kri}") != std::string_view::npos) {
      parameters.push_back(PathParameter("kri", "The Kuma Resource Identifier."));
      parameters.push_back(FormatParameter());
      responses.Set("404", Ref("responses", "NotFound"));
    }
    for (const auto& [name, description] :
         {std::pair("mesh", "The name of the mesh."),
          std::pair("name", "The name of the resource."),
          std::pair("inbound_kri", "The KRI of an inbound, with its section."),
          std::pair("outbound_kri", "The KRI of a service, with its port as section."),
          std::pair("route_kri", "The KRI of a MeshHTTPRoute."),
          std::pair("revision", "A revision of the store.")}) {
      if (plain.path.find(base::Format("{{{}}}", name)) == std::string_view::npos) continue;
      parameters.push_back(PathParameter(name, description));
      responses.Set("404", Ref("responses", "NotFound"));
    }
    Object operation = Operation(plain.operation, plain.summary, plain.tag, std::move(parameters),
                                 std::move(responses));
    if (plain.result == "Token") {
      Object body = Body(Object{{"type", "object"}});
      body.Set("required", true);
      operation.Set("requestBody", std::move(body));
      *operation.Find("responses")->if_object()->Find("200") =
          Object{{"description", "The token"},
                 {"content", Object{{"text/plain", Object{{"schema", result}}}}}};
    }
    Add(std::string(plain.path), plain.method, std::move(operation));
  }

  static Object FormatParameter() {
    return QueryParameter("format", "The shape: that of Universal, or that of Kubernetes.",
                          {{"type", "string"},
                           {"enum", Array{"universal", "k8s", "kubernetes"}},
                           {"default", "universal"}});
  }

  void AddKind(const ResourceType& type) {
    const std::string kind(type.kind);
    const bool mesh_scoped = type.scope == model::Scope::kMesh;
    const bool flat_services = kind == "ServiceInsight";
    const std::string list =
        base::Format("/{}{}", mesh_scoped ? "meshes/{mesh}/" : "", type.plural);
    const std::string one = list + (flat_services ? "/{service}" : "/{name}");
    Array mesh;
    if (mesh_scoped) mesh.push_back(PathParameter("mesh", "The name of the mesh."));
    Array path = mesh;
    path.push_back(PathParameter(flat_services ? "service" : "name",
                                 base::Format("The name of the {}.", kind)));

    schemas_.Set(kind + "Item", flat_services ? FlatService(type) : ItemSchema(type));
    responses_.Set(kind + "Item", Response("Success", Ref("schemas", kind + "Item")));
    responses_.Set(kind + "List", Response("A page", ListSchema(kind + "Item")));

    Array get_parameters = path;
    if (!flat_services) {
      get_parameters.push_back(FormatParameter());
      get_parameters.push_back(QueryParameter("namespace", "The namespace of the Kubernetes shape.",
                                              {{"type", "string"}}));
    }
    Add(one, "get",
        Operation(
            "get" + kind, "Returns the " + kind, kind, std::move(get_parameters),
            {{"200", Ref("responses", kind + "Item")}, {"404", Ref("responses", "NotFound")}}));
    AddList(list, "get" + kind + "List", type, mesh, kind + "List");
    if (mesh_scoped) {
      AddList(base::Format("/{}", type.plural), "get" + kind + "ListOfAllMeshes", type, {},
              kind + "List");
    }
    AddWrites(type, one, path);
    if (HasOverview(type)) {
      const ResourceType* insight = types_.Find(kind + "Insight");
      if (insight == nullptr) return;
      const std::string overview = kind + "Overview";
      schemas_.Set(overview + "WithMeta", OverviewSchema(type, *insight));
      responses_.Set(overview + "Response",
                     Response("Success", Ref("schemas", overview + "WithMeta")));
      responses_.Set(overview + "List", Response("A page", ListSchema(overview + "WithMeta")));
      Add(one + "/_overview", "get",
          Operation("get" + overview, "Returns the " + kind + " and what is observed of it", kind,
                    path,
                    {{"200", Ref("responses", overview + "Response")},
                     {"404", Ref("responses", "NotFound")}}));
      AddList(list + "/_overview", "get" + overview + "List", type, mesh, overview + "List");
    }
  }

  void AddList(const std::string& path, const std::string& operation, const ResourceType& type,
               Array parameters, const std::string& response) {
    const Array query = ListParameters(type);
    parameters.insert(parameters.end(), query.begin(), query.end());
    Object responses{{"200", Ref("responses", response)}};
    if (path.find("{mesh}") != std::string::npos) {
      responses.Set("404", Ref("responses", "NotFound"));
    }
    Add(path, "get",
        Operation(operation, base::Format("Returns a page of {}", type.plural_display_name),
                  type.kind, std::move(parameters), std::move(responses)));
  }

  void AddWrites(const ResourceType& type, const std::string& path, const Array& parameters) {
    if (type.read_only || read_only_) return;
    const std::string kind(type.kind);
    const std::string written = kind + "CreateOrUpdateSuccessResponse";
    const std::string deleted = kind + "DeleteSuccessResponse";
    responses_.Set(
        written,
        Response("Success",
                 Object{{"type", "object"},
                        {"properties", Object{{"warnings", ListOf(Object{{"type", "string"}})}}}}));
    responses_.Set(deleted, Response("Success", Object{{"type", "object"}}));
    Object put = Operation("put" + kind, "Creates or replaces the " + kind, kind, parameters,
                           {{"200", Ref("responses", written)},
                            {"201", Ref("responses", written)},
                            {"404", Ref("responses", "NotFound")},
                            {"409", Ref("responses", "Conflict")}});
    Object body = Body(Ref("schemas", kind + "Item"));
    body.Set("required", true);
    put.Set("requestBody", std::move(body));
    Add(path, "put", std::move(put));
    Add(path, "delete",
        Operation("delete" + kind, "Deletes the " + kind, kind, parameters,
                  {{"200", Ref("responses", deleted)}, {"404", Ref("responses", "NotFound")}}));
  }

  // A ServiceInsight is served as one item for each service.
  static Object FlatService(const ResourceType& type) {
    Object item = ItemSchema(type);
    Object& properties = *item.Find("properties")->if_object();
    const Value service = *properties.Find("services")->Find("additionalProperties");
    properties.Erase("services");
    for (const auto& [name, schema] : *service.Find("properties")->if_object()) {
      properties.Set(name, schema);
    }
    return item;
  }

  const model::TypeTable& types_;
  const std::string base_path_;
  const bool read_only_;
  Object paths_;
  Object schemas_;
  Object responses_;
};

}  // namespace

Value OpenApiDocument(const model::TypeTable& types, std::string_view base_path, bool read_only) {
  return Document(types, base_path, read_only).Make();
}

}  // namespace kuma::rest

#include "rest/inspect_endpoint.h"

#include <algorithm>
#include <array>

#include "base/format.h"
#include "base/strings.h"
#include "model/kri.h"
#include "policy/view.h"
#include "resources/dataplane_insight/dataplane_insight.h"
#include "rest/inspection.h"
#include "rest/internal/list_request.h"
#include "rest/json_patch.h"
#include "rest/problem.h"

namespace kuma::rest {
namespace {

using model::Array;
using model::Object;
using model::ResourcePtr;
using model::Value;

constexpr std::array<std::string_view, 3> kServicePaths = {"meshservices", "meshexternalservices",
                                                           "meshmultizoneservices"};

net::HttpResponse BadRequest(std::string_view reason) {
  Problem problem;
  problem.status = 400;
  problem.title = "Bad Request";
  problem.detail = base::Format("bad request: {}", reason);
  return ToResponse(problem);
}

net::HttpResponse Absent(std::string_view title, std::string hint = {}) {
  Problem problem = NotFound(title);
  problem.hint = std::move(hint);
  return ToResponse(problem);
}

// As Go's strconv.ParseBool.
std::optional<bool> ParseFlag(std::string_view text) {
  for (const char* word : {"1", "t", "T", "TRUE", "true", "True"})
    if (text == word) return true;
  for (const char* word : {"0", "f", "F", "FALSE", "false", "False"})
    if (text == word) return false;
  return std::nullopt;
}

// Dataplanes of a mesh that fit, by name, one page of them.
net::HttpResponse ListProxies(const net::HttpRequest& request, const PageRequest& page,
                              const std::vector<ResourcePtr>& fitting) {
  const std::string* part = request.FindQuery("name");
  std::vector<const model::Resource*> named;
  for (const ResourcePtr& dataplane : fitting) {
    if (part == nullptr || dataplane->name().find(*part) != std::string::npos)
      named.push_back(dataplane.get());
  }
  const size_t total = named.size();
  KeepPage(page, named);
  Array items;
  for (const model::Resource* dataplane : named) items.push_back(MetaOf(*dataplane));
  Value body = ListBody(request, page, total, std::move(items));
  if (body.Find("next")->is_null()) body.if_object()->Erase("next");
  return Json(200, body);
}

}  // namespace

// /meshes/{mesh}/{type}/{name}/...
struct InspectEndpoint::Question {
  const net::HttpRequest& request;
  const std::string& mesh;
  const std::string& type;
  const std::string& name;
  std::span<const std::string> rest;  // behind the name

  bool Asks(std::initializer_list<std::string_view> words) const {
    // An empty word stands for any.
    return std::equal(rest.begin(), rest.end(), words.begin(), words.end(),
                      [](const std::string& segment, std::string_view word) {
                        return word.empty() || segment == word;
                      });
  }
};

InspectEndpoint::InspectEndpoint(store::Store& store, const model::TypeTable& types,
                                 Sources sources)
    : store_(store), types_(types), sources_(std::move(sources)) {}

std::optional<net::HttpResponse> InspectEndpoint::Answer(const net::HttpRequest& request,
                                                         std::span<const std::string> at) const {
  if (sources_.generator == nullptr || at.size() < 5 || at[0] != "meshes") return std::nullopt;
  const Question question{request, at[1], at[2], at[3], at.subspan(4)};
  const bool of_proxy =
      question.type == "dataplanes" &&
      (question.Asks({"_rules"}) || question.Asks({"policies"}) || question.Asks({"_config"}) ||
       question.Asks({"_layout"}) || question.Asks({"_policies"}) ||
       question.Asks({"_inbounds", "", "_policies"}) ||
       question.Asks({"_outbounds", "", "_policies"}) ||
       question.Asks({"_outbounds", "", "_routes"}) ||
       question.Asks({"_outbounds", "", "_routes", "", "_policies"}));
  const model::ResourceType* type = types_.FindByPath(question.type);
  const policy::PolicyType* policy =
      type == nullptr ? nullptr : policy::FindPolicy(sources_.generator->policies(), type->kind);
  const bool of_policy = policy != nullptr && (question.Asks({"_resources", "dataplanes"}) ||
                                               question.Asks({"dataplanes"}));
  const bool of_service = question.type == "meshservices" && question.Asks({"_dataplanes"});
  const bool hostnames = question.Asks({"_hostnames"});
  if (!of_proxy && !of_policy && !of_service && !hostnames) return std::nullopt;

  if (request.method != "GET" && request.method != "HEAD") {
    net::HttpResponse response = Text(405, "405: Method Not Allowed");
    response.headers.Set("allow", "GET");
    return response;
  }
  const mesh::SnapshotPtr snapshot = sources_.snapshot();
  const mesh::MeshSnapshot* mesh = snapshot->Mesh(question.mesh);
  if (mesh != nullptr && mesh->mesh() == nullptr) mesh = nullptr;
  if (hostnames) return Hostnames(question, *snapshot);
  if (of_service) return ProxiesOfService(question, mesh);
  if (question.Asks({"_layout"})) return Layout(question, mesh);
  if (mesh == nullptr) return Absent("Failed to retrieve Mesh");
  if (of_policy) return ProxiesOfPolicy(question, *policy, *mesh);
  if (question.Asks({"_config"})) return Config(question, *snapshot);
  return AnswerProxy(question, *mesh);
}

net::HttpResponse InspectEndpoint::AnswerProxy(const Question& question,
                                               const mesh::MeshSnapshot& mesh) const {
  const ResourcePtr dataplane = mesh.Find("Dataplane", question.name);
  if (dataplane == nullptr) return Absent("Could not retrieve Dataplane");
  const Subject subject{mesh, *dataplane, sources_.generator->policies()};
  if (question.Asks({"_rules"})) return Json(200, RulesOf(subject));
  if (question.Asks({"_policies"})) return Json(200, ProxyPoliciesOf(subject));
  if (question.Asks({"policies"})) return Json(200, OldPoliciesOf(subject));

  // What is left names an inbound or an outbound, and maybe a route.
  std::vector<model::Kri> kris;
  for (size_t i = 1; i < question.rest.size(); i += 2) {
    if (question.rest[i].starts_with("_")) break;
    const auto kri = model::ParseKri(question.rest[i]);
    if (!kri) return BadRequest(kri.error().message());
    if (types_.FindByShortName(kri->short_name) == nullptr) {
      return BadRequest(
          base::Format("unknown short name of resource type: \"{}\"", kri->short_name));
    }
    kris.push_back(*kri);
  }
  const std::string hint =
      base::Format("/meshes/{}/dataplanes/{}/_layout lists the KRIs", question.mesh, question.name);
  if (question.rest[0] == "_inbounds") {
    auto policies = InboundPoliciesOf(subject, kris[0].section);
    return policies ? Json(200, *std::move(policies)) : Absent("Could not retrieve inbound", hint);
  }
  const auto outbound = generate::FindOutbound(mesh, kris[0]);
  if (!outbound) return Absent("Could not retrieve outbound", hint);
  if (question.Asks({"_outbounds", "", "_policies"}))
    return Json(200, OutboundPoliciesOf(subject, *outbound));
  if (question.Asks({"_outbounds", "", "_routes"})) return Json(200, RoutesOf(subject, *outbound));
  return Json(200, RoutePoliciesOf(subject, *outbound,
                                   generate::FindByKri(mesh, "MeshHTTPRoute", kris[1])));
}

net::HttpResponse InspectEndpoint::Config(const Question& question,
                                          const mesh::Snapshot& snapshot) const {
  bool shadow = false;
  if (const std::string* text = question.request.FindQuery("shadow");
      text != nullptr && !text->empty()) {
    const auto flag = ParseFlag(*text);
    if (!flag) return BadRequest("unsupported value for query parameter 'shadow'");
    shadow = *flag;
  }
  bool diff = false;
  if (const std::string* text = question.request.FindQuery("include");
      text != nullptr && !text->empty()) {
    for (const std::string& word : base::Split(*text, ',')) {
      if (word != "diff") return BadRequest("unsupported value for query parameter 'include'");
      diff = true;
    }
  }
  // What the proxy told about itself when it was last connected.
  const auto insight =
      store_.Get(model::ResourceKey{"DataplaneInsight", question.mesh, question.name});
  if (!insight) return ToResponse(ProblemOf(insight.error(), "Failed to fetch dataplane insight"));
  const std::string& metadata =
      (*insight)->Spec<resources::dataplane_insight::Spec>().metadata.text;
  const auto node = generate::ParseProxyNode(metadata.empty() ? "{}" : metadata);

  constexpr std::string_view kFailed = "Failed to inspect proxy config";
  const auto build = [&](policy::Shadow with) -> base::Result<Value> {
    if (!node) return node.error();
    return EnvoyConfigOf(*sources_.generator, snapshot, {question.mesh, question.name}, *node,
                         with);
  };
  auto config = build(shadow ? policy::Shadow::kInclude : policy::Shadow::kIgnore);
  base::Result<Value> current = diff ? build(policy::Shadow::kIgnore) : Value();
  for (const auto* result : {&config, &current}) {
    if (*result) continue;
    if (result->error().code() == base::Code::kNotFound) return Absent(kFailed);
    // What is stored cannot be applied: that is no fault of the request.
    Problem problem;
    problem.title = kFailed;
    problem.detail = result->error().message();
    return ToResponse(problem);
  }
  Object body;
  if (diff) body.Set("diff", JsonPatch(*current, *config));
  body.Set("xds", *std::move(config));
  return Json(200, Value(std::move(body)));
}

net::HttpResponse InspectEndpoint::Layout(const Question& question,
                                          const mesh::MeshSnapshot* mesh) const {
  if (mesh == nullptr) return Absent("Failed to build MeshContext");
  const ResourcePtr dataplane = mesh->Find("Dataplane", question.name);
  if (dataplane == nullptr) return Absent("Failed to retrieve Dataplane");
  return Json(200, LayoutOf({*mesh, *dataplane, sources_.generator->policies()}));
}

net::HttpResponse InspectEndpoint::ProxiesOfPolicy(const Question& question,
                                                   const policy::PolicyType& type,
                                                   const mesh::MeshSnapshot& mesh) const {
  constexpr std::string_view kTitle = "Could not retrieve policy";
  PageRequest page;
  if (const auto problem = ReadPage(question.request, kTitle, page)) return ToResponse(*problem);
  const ResourcePtr policy = mesh.Find(type.kind(), question.name);
  if (policy == nullptr) return Absent(kTitle);
  std::vector<ResourcePtr> fitting;
  mesh.Of("Dataplane").ForEach([&](const std::string&, const ResourcePtr& dataplane) {
    if (policy::Selects(type, *policy, *dataplane)) fitting.push_back(dataplane);
  });
  if (question.Asks({"dataplanes"})) {
    Array items;
    for (const ResourcePtr& dataplane : fitting) items.push_back(OldEntryOf(*dataplane));
    const auto total = static_cast<uint64_t>(items.size());
    return Json(200, Value(Object{{"total", total}, {"items", std::move(items)}}));
  }
  return ListProxies(question.request, page, fitting);
}

net::HttpResponse InspectEndpoint::ProxiesOfService(const Question& question,
                                                    const mesh::MeshSnapshot* mesh) const {
  constexpr std::string_view kTitle = "Could not retrieve policy";  // so says Kuma
  PageRequest page;
  if (const auto problem = ReadPage(question.request, kTitle, page)) return ToResponse(*problem);
  if (mesh == nullptr || mesh->Find("MeshService", question.name) == nullptr) return Absent(kTitle);
  return ListProxies(question.request, page, *mesh->MembersOf(question.name));
}

net::HttpResponse InspectEndpoint::Hostnames(const Question& question,
                                             const mesh::Snapshot& snapshot) const {
  if (std::find(kServicePaths.begin(), kServicePaths.end(), question.type) == kServicePaths.end()) {
    std::vector<std::string> paths(kServicePaths.begin(), kServicePaths.end());
    return ToResponse(NotValid(
        base::Format("only \"{}\" are available for inspection", base::Join(paths, ",")), {}));
  }
  const model::ResourceType* type = types_.FindByPath(question.type);
  const ResourcePtr service =
      type == nullptr ? nullptr
                      : snapshot.Find({std::string(type->kind), question.mesh, question.name});
  if (service == nullptr) return Absent("could not retrieve service");
  // A service that does not name its zone: Kuma takes the first part of its name.
  std::string zone(service->meta().Label("kuma.io/zone"));
  if (zone.empty()) zone = service->name().substr(0, service->name().find('.'));
  Array items;
  for (std::string& hostname : sources_.hostnames(snapshot, *service)) {
    items.emplace_back(
        Object{{"hostname", std::move(hostname)}, {"zones", Array{Object{{"name", zone}}}}});
  }
  const size_t total = items.size();
  return Json(200, Value(Object{{"total", static_cast<uint64_t>(total)},
                                {"items", items.empty() ? Value() : Value(std::move(items))}}));
}

}  // namespace kuma::rest

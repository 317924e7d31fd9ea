#include "rest/insight_endpoint.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/format.h"
#include "base/strings.h"
#include "model/duration.h"
#include "model/names.h"
#include "resources/dataplane/dataplane.h"
#include "resources/mesh_service/mesh_service.h"
#include "resources/service_insight/service_insight.h"
#include "resources/zone_insight/zone_insight.h"
#include "rest/internal/list_request.h"
#include "rest/problem.h"

namespace kuma::rest {
namespace {

namespace dataplane = resources::dataplane;
namespace mesh_insight = resources::mesh_insight;
namespace service_insight = resources::service_insight;
using model::Array;
using model::Object;
using model::ResourceKey;
using model::ResourcePtr;
using model::ResourceType;
using model::Value;

constexpr std::string_view kRetrieve = "Could not retrieve a resource";
constexpr std::string_view kRetrieveAll = "Could not retrieve resources";

// Numbers of one group in the words of the answer; those that a group does not have stay out.
struct Totals {
  uint64_t total = 0;
  uint64_t online = 0;
  uint64_t offline = 0;
  uint64_t partially_degraded = 0;

  void Add(const mesh_insight::DataplaneStat& stat) {
    total += stat.total;
    online += stat.online;
    offline += stat.offline;
    partially_degraded += stat.partially_degraded;
  }
  void AddService(uint64_t serving, uint64_t all) {
    ++total;
    if (serving == 0) {
      ++offline;
    } else if (serving >= all) {
      ++online;
    } else {
      ++partially_degraded;
    }
  }
  Object Full() const {
    return {{"total", total},
            {"online", online},
            {"offline", offline},
            {"partiallyDegraded", partially_degraded}};
  }
};

Object OnlineOf(uint64_t online, uint64_t total) { return {{"online", online}, {"total", total}}; }

// What a gateway belongs to: its service, else its workload, else itself.
std::string GatewayService(const model::Resource& gateway) {
  const auto& tags = gateway.Spec<dataplane::Spec>().networking->gateway->tags;
  if (const auto tag = tags.find("kuma.io/service"); tag != tags.end() && !tag->second.empty()) {
    return base::Format("{}/tag:{}", gateway.mesh(), tag->second);
  }
  const std::string_view workload = gateway.meta().Label(model::kWorkloadLabel);
  if (!workload.empty()) return base::Format("{}/workload:{}", gateway.mesh(), workload);
  return base::Format("{}/dataplane:{}", gateway.mesh(), gateway.name());
}

}  // namespace

base::Result<std::vector<ResourcePtr>> InsightEndpoint::All(std::string_view kind) const {
  if (types_.Find(kind) == nullptr) return std::vector<ResourcePtr>();
  store::ListQuery query;
  query.kind = kind;
  if (kind == "MeshInsight" && settings_.mesh_insights != nullptr) {
    TRY_ASSIGN(store::Page page, settings_.mesh_insights->List(query));
    return std::move(page.items);
  }
  TRY_ASSIGN(store::Page page, store_.List(query));
  return std::move(page.items);
}

base::Result<Value> InsightEndpoint::GlobalBody() const {
  TRY_ASSIGN(const auto meshes, All("MeshInsight"));
  Totals standard;
  Totals delegated;
  uint64_t policies = 0;
  std::map<std::string, uint64_t> kinds;
  for (const ResourcePtr& mesh : meshes) {
    const auto& spec = mesh->Spec<mesh_insight::Spec>();
    if (spec.dataplanes_by_type) {
      standard.Add(spec.dataplanes_by_type->standard);
      delegated.Add(spec.dataplanes_by_type->gateway_delegated);
    }
    for (const auto& [kind, stat] : spec.resources) {
      kinds[kind] += stat.total;
      const ResourceType* type = types_.Find(kind);
      if (type != nullptr && type->is_policy) policies += stat.total;
    }
  }
  for (const ResourceType* type : types_.all()) {
    if (type->scope != model::Scope::kGlobal || type->plural.empty() || type->admin_only ||
        type->is_insight || type->kind == "Mesh" || type->kind == "Zone") {
      continue;
    }
    TRY_ASSIGN(const auto all, All(type->kind));
    if (!all.empty()) kinds[std::string(type->kind)] = all.size();
  }
  Object resources;
  for (const auto& [kind, total] : kinds) resources.AppendNew(kind, Object{{"total", total}});

  Totals internal;
  TRY_ASSIGN(const auto services, All("MeshService"));
  for (const ResourcePtr& service : services) {
    const auto* status = service->Status<resources::mesh_service::Status>();
    const auto proxies =
        status != nullptr ? status->dataplane_proxies : resources::mesh_service::DataplaneProxies{};
    // A proxy serves when it is connected and healthy; the two counts bound those that are both.
    internal.AddService(static_cast<uint64_t>(std::min(proxies.connected, proxies.healthy)),
                        static_cast<uint64_t>(proxies.total));
  }
  TRY_ASSIGN(const auto external, All("MeshExternalService"));

  Totals gateways;
  TRY_ASSIGN(const auto proxies, All("Dataplane"));
  std::map<std::string, std::pair<uint64_t, uint64_t>> by_service;  // online, all
  for (const ResourcePtr& proxy : proxies) {
    const auto& networking = proxy->Spec<dataplane::Spec>().networking;
    if (!networking || !networking->gateway) continue;
    const auto insight = store_.Get(ResourceKey{"DataplaneInsight", proxy->mesh(), proxy->name()});
    auto& [online, all] = by_service[GatewayService(*proxy)];
    ++all;
    if (insight::StateOf(*proxy, insight ? insight->get() : nullptr) ==
        insight::ProxyState::kOnline) {
      ++online;
    }
  }
  for (const auto& [service, numbers] : by_service) {
    gateways.AddService(numbers.first, numbers.second);
  }

  TRY_ASSIGN(const auto zones, All("ZoneInsight"));
  const auto zones_online = std::count_if(zones.begin(), zones.end(), [](const ResourcePtr& zone) {
    return IsOnline(zone->Spec<resources::zone_insight::Spec>());
  });

  return Value(Object{
      {"createdAt", model::ToRfc3339(settings_.now())},
      {"services", Object{{"internal", internal.Full()},
                          {"external", Object{{"total", static_cast<uint64_t>(external.size())}}},
                          {"gatewayDelegated", gateways.Full()}}},
      // Zone proxies are Dataplanes with listeners now; Kuma counts none of them here.
      {"zones", Object{{"controlPlanes", OnlineOf(static_cast<uint64_t>(zones_online),
                                                  static_cast<uint64_t>(zones.size()))},
                       {"zoneIngresses", OnlineOf(0, 0)},
                       {"zoneEgresses", OnlineOf(0, 0)}}},
      {"dataplanes", Object{{"standard", standard.Full()}, {"gatewayDelegated", delegated.Full()}}},
      {"policies", Object{{"total", policies}}},
      {"meshes", Object{{"total", static_cast<uint64_t>(meshes.size())}}},
      {"resources", std::move(resources)}});
}

net::HttpResponse InsightEndpoint::Global() const {
  const auto body = GlobalBody();
  if (!body) return ToResponse(ProblemOf(body.error(), "Could not retrieve GlobalInsight"));
  return Json(200, *body);
}

net::HttpResponse InsightEndpoint::GlobalKinds() const {
  std::map<std::string, Value> sorted;
  for (const ResourceType* type : types_.all()) {
    if (type->scope != model::Scope::kGlobal || type->kind == "Config" || type->is_insight) {
      continue;
    }
    store::ListQuery query;
    query.kind = type->kind;
    query.limit = 0;
    const auto page = store_.List(query);
    if (!page) return ToResponse(ProblemOf(page.error(), "Could not retrieve global insights"));
    sorted.emplace(type->kind, Object{{"total", static_cast<uint64_t>(page->total)}});
  }
  Object resources;
  for (auto& [kind, total] : sorted) resources.AppendNew(kind, std::move(total));
  return Json(200, Object{{"type", "GlobalInsights"},
                          {"creationTime", model::ToRfc3339(settings_.now())},
                          {"resources", std::move(resources)}});
}

Value InsightEndpoint::ServiceItem(const model::Resource& insight, const std::string& name) const {
  const auto& services = insight.Spec<service_insight::Spec>().services;
  const auto found = services.find(name);
  service_insight::Service service;
  if (found != services.end()) service = found->second;
  if (!service.dataplanes) service.dataplanes.emplace();
  service.dataplanes->total = service.dataplanes->online + service.dataplanes->offline;
  if (service.service_type == service_insight::ServiceType::kInternal) {
    service.address_port =
        base::Format("{}.{}:{}", name, settings_.dns_domain, settings_.service_port);
  }
  // The head of the stored resource with the service's name; its display name would be that of the
  // stored one.
  model::Metadata meta = insight.meta();
  meta.name = name;
  meta.labels.erase(std::string(model::kDisplayNameLabel));
  const model::Resource head(insight.type(), std::move(meta), insight.type().spec.empty());
  Value item = model::EncodeResource(head);
  Value body = model::Encode(service, {.proto_json = true, .redact = false});
  for (auto& [key, value] : *body.if_object()) item.if_object()->Set(key, std::move(value));
  return item;
}

net::HttpResponse InsightEndpoint::Services(const net::HttpRequest& request,
                                            const std::string& mesh,
                                            const std::string& service) const {
  if (!mesh.empty() && !store_.Get(ResourceKey{"Mesh", "", mesh})) {
    return ToResponse(NotFound("Failed to retrieve Mesh"));
  }
  if (!service.empty()) {
    const auto found =
        store_.Get(ResourceKey{"ServiceInsight", mesh, base::Format("all-services-{}", mesh)});
    if (!found) return ToResponse(ProblemOf(found.error(), kRetrieve));
    return Json(200, ServiceItem(**found, service));
  }

  store::ListQuery query;
  query.kind = "ServiceInsight";
  if (!mesh.empty()) query.mesh = mesh;
  const auto insights = store_.List(query);
  if (!insights) return ToResponse(ProblemOf(insights.error(), kRetrieveAll));
  const std::string* text = request.FindQuery("name");
  const std::string_view part = text != nullptr ? std::string_view(*text) : "";
  std::set<service_insight::ServiceType> wanted;  // empty: all
  if (const std::string* types = request.FindQuery("type"); types != nullptr && !types->empty()) {
    for (const std::string& name : base::Split(*types, ',')) {
      const auto type =
          model::EnumFromName<service_insight::ServiceType>(base::ToLower(base::Trim(name)));
      if (!type) {
        return ToResponse(Problem{400,
                                  "Bad Request",
                                  "bad request: unsupported service type",
                                  {},
                                  "internal, external and gateway_delegated are supported"});
      }
      wanted.insert(*type);
    }
  }
  PageRequest page;
  if (const auto problem = ReadPage(request, "Could not paginate resources", page)) {
    return ToResponse(*problem);
  }
  std::map<std::pair<std::string, std::string>, const model::Resource*> services;
  for (const ResourcePtr& insight : insights->items) {
    for (const auto& [name, entry] : insight->Spec<service_insight::Spec>().services) {
      if (name.find(part) == std::string::npos) continue;
      if (!wanted.empty() && !wanted.contains(entry.service_type)) continue;
      services.emplace(std::pair(insight->mesh(), name), insight.get());
    }
  }
  std::vector<std::pair<const model::Resource*, std::string>> kept;
  kept.reserve(services.size());
  for (const auto& [key, insight] : services) kept.emplace_back(insight, key.second);
  KeepPage(page, kept);
  Array items;
  for (const auto& [insight, name] : kept) items.push_back(ServiceItem(*insight, name));
  return Json(200, ListBody(request, page, services.size(), std::move(items)));
}

}  // namespace kuma::rest

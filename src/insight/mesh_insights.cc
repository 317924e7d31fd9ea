#include "insight/mesh_insights.h"

#include <algorithm>
#include <map>
#include <string>

#include "model/describe.h"
#include "resources/dataplane/dataplane.h"
#include "resources/dataplane_insight/dataplane_insight.h"

namespace kuma::insight {
namespace {

namespace dataplane = resources::dataplane;
namespace dataplane_insight = resources::dataplane_insight;
namespace mesh_insight = resources::mesh_insight;
using mesh_insight::DataplaneStat;
using model::ResourceKey;
using model::ResourcePtr;

void Count(ProxyState state, DataplaneStat& stat) {
  ++stat.total;
  switch (state) {
    case ProxyState::kOnline: ++stat.online; break;
    case ProxyState::kPartiallyDegraded: ++stat.partially_degraded; break;
    case ProxyState::kOffline: ++stat.offline; break;
  }
}

std::string OrUnknown(const std::string& version) { return version.empty() ? "unknown" : version; }

}  // namespace

ProxyState StateOf(const model::Resource& resource, const model::Resource* insight) {
  const bool connected =
      insight != nullptr && dataplane_insight::IsOnline(insight->Spec<dataplane_insight::Spec>());
  const auto& spec = resource.Spec<dataplane::Spec>();
  if (spec.networking && spec.networking->gateway) {
    return connected ? ProxyState::kOnline : ProxyState::kOffline;
  }
  size_t total = 0;
  size_t ready = 0;
  if (spec.networking) {
    for (const dataplane::Inbound& inbound : spec.networking->inbound) {
      ++total;
      const bool sick = inbound.health && !inbound.health->ready;
      if (!sick && inbound.state != dataplane::InboundState::kNotReady) ++ready;
    }
    for (const dataplane::Listener& listener : spec.networking->listeners) {
      ++total;
      if (listener.state == dataplane::ListenerState::kReady) ++ready;
    }
  }
  if (!connected || ready == 0) return ProxyState::kOffline;
  return ready < total ? ProxyState::kPartiallyDegraded : ProxyState::kOnline;
}

mesh_insight::Spec CountProxies(std::span<const ResourcePtr> dataplanes,
                                std::span<const ResourcePtr> insights) {
  std::map<std::string_view, const model::Resource*> insight_of;
  for (const ResourcePtr& insight : insights) insight_of.emplace(insight->name(), insight.get());

  mesh_insight::Spec result;
  DataplaneStat& all = result.dataplanes.emplace();
  mesh_insight::DpVersions& versions = result.dp_versions.emplace();
  mesh_insight::Mtls& mtls = result.mtls.emplace();
  mesh_insight::DataplanesByType& by_type = result.dataplanes_by_type.emplace();
  for (const ResourcePtr& proxy : dataplanes) {
    const auto found = insight_of.find(proxy->name());
    const model::Resource* insight = found == insight_of.end() ? nullptr : found->second;
    const ProxyState state = StateOf(*proxy, insight);
    Count(state, all);
    const auto& networking = proxy->Spec<dataplane::Spec>().networking;
    Count(state, networking && networking->gateway ? by_type.gateway_delegated : by_type.standard);

    const auto* observed = insight == nullptr ? nullptr : &insight->Spec<dataplane_insight::Spec>();
    const auto* last = observed == nullptr ? nullptr : LastSubscription(*observed);
    std::string kuma_dp;
    std::string envoy;
    if (last != nullptr && last->version) {
      if (last->version->kuma_dp) kuma_dp = last->version->kuma_dp->version;
      if (last->version->envoy) envoy = last->version->envoy->version;
    }
    Count(state, versions.kuma_dp[OrUnknown(kuma_dp)]);
    Count(state, versions.envoy[OrUnknown(envoy)]);
    if (observed != nullptr && observed->mtls) {
      Count(state, mtls.issued_backends[observed->mtls->issued_backend]);
      for (const std::string& backend : observed->mtls->supported_backends) {
        Count(state, mtls.supported_backends[backend]);
      }
    }
  }
  by_type.gateway = by_type.gateway_delegated;
  return result;
}

base::Result<ResourcePtr> MeshInsights::Of(const model::Resource& mesh) const {
  const auto list = [&](std::string_view kind, size_t limit) {
    store::ListQuery query;
    query.kind = kind;
    query.mesh = mesh.name();
    query.limit = limit;
    return store_.List(query);
  };
  TRY_ASSIGN(const store::Page dataplanes, list("Dataplane", SIZE_MAX));
  TRY_ASSIGN(const store::Page insights, list("DataplaneInsight", SIZE_MAX));
  mesh_insight::Spec spec = CountProxies(dataplanes.items, insights.items);
  for (const model::ResourceType* type : types_.all()) {
    if (type->scope != model::Scope::kMesh || type->is_insight) continue;
    TRY_ASSIGN(const store::Page page, list(type->kind, 0));
    if (page.total == 0) continue;
    spec.resources[std::string(type->kind)].total = static_cast<uint32_t>(page.total);
  }
  model::Metadata meta;
  meta.name = mesh.name();
  meta.creation_time = mesh.meta().creation_time;
  meta.modification_time = mesh.meta().modification_time;
  for (const store::Page* page : {&dataplanes, &insights}) {
    for (const ResourcePtr& item : page->items) {
      meta.modification_time = std::max(meta.modification_time, item->meta().modification_time);
    }
  }
  return model::MakeResource(mesh_insight::Type(), std::move(meta), std::move(spec));
}

base::Result<ResourcePtr> MeshInsights::Get(std::string_view mesh) const {
  TRY_ASSIGN(const ResourcePtr found, store_.Get(ResourceKey{"Mesh", "", std::string(mesh)}));
  return Of(*found);
}

base::Result<store::Page> MeshInsights::List(const store::ListQuery& query) const {
  if (!query.labels.empty()) return store::Page{{}, 0, store_.revision()};
  store::ListQuery meshes = query;
  meshes.kind = "Mesh";
  TRY_ASSIGN(store::Page page, store_.List(meshes));
  for (ResourcePtr& item : page.items) {
    auto insight = Of(*item);
    if (!insight) return std::move(insight).error();
    item = *std::move(insight);
  }
  return page;
}

}  // namespace kuma::insight

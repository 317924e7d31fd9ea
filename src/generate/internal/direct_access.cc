#include "generate/internal/direct_access.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <string_view>

#include "base/format.h"
#include "envoy/builders.h"
#include "model/names.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::generate {
namespace {

namespace dataplane = resources::dataplane;

constexpr std::string_view kCluster = "direct_access";
constexpr std::string_view kAll = "*";
constexpr std::chrono::seconds kConnectTimeout(5);

}  // namespace

std::optional<std::vector<DirectAddress>> DirectAccessOf(const mesh::MeshSnapshot& mesh,
                                                         const model::Resource& caller) {
  const auto& networking = caller.Spec<dataplane::Spec>().networking;
  if (!networking || !networking->transparent_proxying) return std::nullopt;
  const auto& listed = networking->transparent_proxying->direct_access_services;
  if (listed.empty()) return std::nullopt;
  const std::set<std::string_view> services(listed.begin(), listed.end());

  std::set<DirectAddress> addresses;
  mesh.Of("Dataplane").ForEach([&](const std::string& name, const model::ResourcePtr& other) {
    const auto& of_other = other->Spec<dataplane::Spec>().networking;
    if (name == caller.meta().name || !of_other) return;
    if (!services.contains(kAll) && !services.contains(other->meta().Label(model::kServiceLabel)))
      return;
    for (const dataplane::Inbound& inbound : of_other->inbound) {
      if (inbound.port != kNoServicePort)
        addresses.insert({std::string(dataplane::AddressOf(*of_other, inbound)), inbound.port});
    }
  });
  for (const dataplane::Outbound& outbound : networking->outbound)
    addresses.erase({std::string(outbound.EffectiveAddress()), outbound.port});
  return std::vector<DirectAddress>(addresses.begin(), addresses.end());
}

void AddDirectAccess(const OwnCell& own, envoy::ProxyDraft& draft) {
  if (!own.direct_access) return;
  for (const auto& [address, port] : *own.direct_access) {
    const std::string name = base::Format("{}_{}:{}", kCluster, address, port);
    envoy::ListenerDraft& listener = draft.direct_access.emplace_back();
    listener.notes.made_by = envoy::made_by::kDirectAccess;
    listener.listener.set_name(name);
    listener.listener.set_traffic_direction(::envoy::config::core::v3::OUTBOUND);
    *listener.listener.mutable_address() = envoy::SocketAddress(address, port);
    listener.listener.mutable_bind_to_port()->set_value(false);
    listener.chains.emplace_back().tcp = envoy::TcpProxyTo(envoy::StatName(name), kCluster);
  }
  envoy::ClusterDraft& cluster = draft.clusters.emplace_back(envoy::OriginalDstCluster(kCluster));
  cluster.notes.made_by = envoy::made_by::kDirectAccess;
  envoy::SetDuration(kConnectTimeout, cluster.cluster.mutable_connect_timeout());
}

}  // namespace kuma::generate

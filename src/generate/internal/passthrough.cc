#include "generate/internal/passthrough.h"

#include <chrono>
#include <string>
#include <string_view>

#include "base/format.h"
#include "envoy/builders.h"

namespace kuma::generate {
namespace {

constexpr std::string_view kNoDestination = "self_transparentproxy_no_destination_inbound";
constexpr std::string_view kReusePort = "feature-reuse-port";
constexpr std::chrono::seconds kConnectTimeout(5);

struct Family {
  bool ipv6;
  std::string_view every_address;
  // The rules of transparent proxying let pass what comes from here.
  std::string_view inbound_source;
};
constexpr Family kFamilies[] = {{false, "0.0.0.0", "127.0.0.6"}, {true, "::", "::6"}};

std::string NameOf(std::string_view direction, const Family& family) {
  return base::Format("self_transparentproxy_passthrough_{}_ipv{}", direction, family.ipv6 ? 6 : 4);
}

envoy::ClusterDraft ClusterOf(std::string_view name) {
  envoy::ClusterDraft cluster = envoy::OriginalDstCluster(name);
  envoy::SetDuration(kConnectTimeout, cluster.cluster.mutable_connect_timeout());
  cluster.notes.made_by = envoy::made_by::kTransparent;
  return cluster;
}

envoy::ListenerDraft ListenerOf(const std::string& name, const Family& family, uint32_t port) {
  envoy::ListenerDraft draft;
  draft.notes.made_by = envoy::made_by::kTransparent;
  draft.listener.set_name(name);
  draft.listener.set_stat_prefix(name);
  *draft.listener.mutable_address() = envoy::SocketAddress(family.every_address, port);
  draft.listener.mutable_use_original_dst()->set_value(true);
  return draft;
}

envoy::FilterChainDraft ChainTo(const std::string& listener, std::string_view cluster) {
  envoy::FilterChainDraft chain;
  chain.tcp = envoy::TcpProxyTo(listener, cluster);
  return chain;
}

envoy::PassthroughDraft PassthroughOf(const OwnCell& own, const Family& family) {
  const TransparentProxy& tproxy = own.transparent_proxy;
  envoy::PassthroughDraft draft;
  draft.ipv6 = family.ipv6;

  const std::string outbound = NameOf("outbound", family);
  draft.outbound = ListenerOf(outbound, family, tproxy.outbound_port);
  draft.outbound.listener.set_traffic_direction(::envoy::config::core::v3::OUTBOUND);
  draft.outbound.chains.push_back(ChainTo(outbound, outbound));
  draft.outbound.may_lack.push_back(outbound);
  draft.outbound_cluster = ClusterOf(outbound);
  draft.outbound_cluster->dispensable = true;

  const std::string inbound = NameOf("inbound", family);
  draft.inbound = ListenerOf(inbound, family, tproxy.inbound_port);
  draft.inbound.listener.set_traffic_direction(::envoy::config::core::v3::INBOUND);
  draft.inbound.listener.mutable_enable_reuse_port()->set_value(own.proxy.HasFeature(kReusePort));
  for (const uint32_t port : own.strict_ports) {
    // Whoever asks for a proxy that offers nothing finds nothing.
    envoy::FilterChainDraft chain =
        ChainTo(inbound, port == kNoServicePort ? kNoDestination : std::string_view(inbound));
    chain.chain.mutable_filter_chain_match()->mutable_destination_port()->set_value(port);
    draft.inbound.chains.push_back(std::move(chain));
  }
  if (own.strict_ports.empty()) draft.inbound.chains.push_back(ChainTo(inbound, inbound));
  draft.inbound_cluster = ClusterOf(inbound);
  auto* source = draft.inbound_cluster.cluster.mutable_upstream_bind_config();
  source->mutable_source_address()->set_address(std::string(family.inbound_source));
  source->mutable_source_address()->set_port_value(0);
  return draft;
}

}  // namespace

void AddPassthrough(const OwnCell& own, envoy::ProxyDraft& draft) {
  const TransparentProxy& tproxy = own.transparent_proxy;
  if (!tproxy.HasPassthrough()) return;
  envoy::ClusterDraft& nowhere = draft.clusters.emplace_back();
  nowhere.notes.made_by = envoy::made_by::kTransparent;
  nowhere.cluster.set_name(std::string(kNoDestination));
  nowhere.cluster.set_alt_stat_name(std::string(kNoDestination));
  nowhere.cluster.set_type(envoy::api::Cluster::STATIC);
  envoy::SetDuration(kConnectTimeout, nowhere.cluster.mutable_connect_timeout());
  for (const Family& family : kFamilies) {
    if (family.ipv6 && !tproxy.ipv6) continue;
    draft.passthrough.push_back(PassthroughOf(own, family));
  }
}

}  // namespace kuma::generate

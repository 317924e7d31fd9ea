#include "generate/transparent_proxy.h"

#include <algorithm>

#include "model/address.h"

namespace kuma::generate {
namespace {

namespace dataplane = resources::dataplane;

constexpr std::string_view kConfiguredByNode = "feature-transparent-proxy-in-dataplane-metadata";

bool HasFeature(const ProxyNode& node, std::string_view feature) {
  return std::binary_search(node.features.begin(), node.features.end(), feature);
}

NodeTransparentProxy ConfigOf(const dataplane::Networking& networking, const ProxyNode& node) {
  if (HasFeature(node, kConfiguredByNode))
    return node.transparent_proxy.value_or(NodeTransparentProxy());
  NodeTransparentProxy config;
  config.inbound = config.outbound = {.enabled = false, .port = 0};
  if (!networking.transparent_proxying) return config;
  const dataplane::TransparentProxying& given = *networking.transparent_proxying;
  config.ipv4_only = given.ip_family_mode == dataplane::IpFamilyMode::kIpv4;
  config.inbound = {given.redirect_port_inbound != 0, given.redirect_port_inbound};
  config.outbound = {given.redirect_port_outbound != 0, given.redirect_port_outbound};
  return config;
}

bool IsIpv4(std::string_view address) {
  return model::IsIpAddress(address) && !model::IsIpv6Address(address);
}

}  // namespace

TransparentProxy TransparentProxyOf(const dataplane::Networking& networking,
                                    const ProxyNode& node) {
  const NodeTransparentProxy config = ConfigOf(networking, node);
  TransparentProxy result;
  result.enabled = (config.inbound.enabled || config.outbound.enabled) &&
                   (!config.ipv4_only || IsIpv4(networking.address));
  result.redirects_out = config.outbound.enabled;
  result.ipv6 = !config.ipv4_only;
  result.bind_outbounds = HasFeature(node, kBindOutbounds);
  result.inbound_port = config.inbound.port;
  result.outbound_port = config.outbound.port;
  result.dns_port = node.dns_port;
  return result;
}

}  // namespace kuma::generate

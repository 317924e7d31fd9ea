#pragma once

// How traffic comes into a proxy whose workload knows nothing of it. Pure, thread-safe.

#include <cstdint>
#include <string_view>

#include "generate/generate.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::generate {

// What the Dataplane and kuma-dp say of it, together.
struct TransparentProxy {
  bool enabled = false;         // the workload's traffic is redirected to Envoy
  bool redirects_out = false;   // also what the workload sends
  bool ipv6 = false;            // also over IPv6
  bool bind_outbounds = false;  // nothing is redirected: outbounds listen where they are called
  uint32_t inbound_port = 0;    // that Envoy takes redirected connections on; 0: none
  uint32_t outbound_port = 0;
  uint32_t dns_port = 0;  // of kuma-dp's DNS proxy; 0: none

  // Services are called at their virtual addresses; else at what the Dataplane's outbounds say.
  bool UsesVirtualAddresses() const { return enabled || bind_outbounds; }
  bool HasPassthrough() const { return redirects_out && !bind_outbounds; }
  bool HasDns() const { return enabled && dns_port != 0 && !bind_outbounds; }
};
TransparentProxy TransparentProxyOf(const resources::dataplane::Networking& networking,
                                    const ProxyNode& node);

// Feature of kuma-dp: outbounds listen at addresses of their own in 127.0.0.0/8.
inline constexpr std::string_view kBindOutbounds = "feature-bind-outbounds";

}  // namespace kuma::generate

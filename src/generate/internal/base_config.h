#pragma once

// What cells look like before policies shape them.

#include <span>
#include <string_view>

#include "envoy/drafts.h"
#include "generate/generate.h"
#include "generate/internal/admin_memo.h"
#include "generate/internal/cell_context.h"

namespace kuma::generate {

envoy::ListenerDraft OutboundListener(const policy::ListenerContext& context,
                                      std::span<const std::string_view> internal_ranges);
envoy::ClusterDraft OutboundCluster(const policy::ClusterContext& context);
envoy::EndpointsDraft OutboundEndpoints(const policy::EndpointsContext& context);
envoy::InboundDraft Inbound(const policy::InboundContext& context,
                            const policy::ProxyContext& proxy,
                            std::span<const std::string_view> internal_ranges);
// Adds listener and clusters for Envoy's admin interface and the readiness of kuma-dp. Nothing
// without an admin port. `authority` may be empty; `memo` belongs to it.
base::Status AddAdmin(const OwnCell& own, const AdminAuthority& authority, AdminMemo& memo,
                      envoy::ProxyDraft& draft);
// Turns the draft's documents for kuma-dp into the listener that serves them. Nothing without any.
void AddDynamicConfig(const policy::ProxyContext& proxy, envoy::ProxyDraft& draft);

}  // namespace kuma::generate

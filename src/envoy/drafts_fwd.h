#pragma once

// Names of the drafts for headers that must not see Envoy's API; see drafts.h.

namespace kuma::envoy {

struct ListenerDraft;
struct ClusterDraft;
struct EndpointsDraft;
struct InboundDraft;
struct PassthroughDraft;
struct ProxyDraft;

}  // namespace kuma::envoy

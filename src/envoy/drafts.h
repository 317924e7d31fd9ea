#pragma once

// Drafts: Envoy resources under construction. They hold Envoy's own messages, unpacked and indexed
// by meaning, so that policies neither search by name nor unpack and repack. Seal() (seal.h) packs
// each draft once. A draft is a plain value, confined to the job that builds its cell.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "envoy/api.h"
#include "envoy/drafts_fwd.h"
#include "envoy/protocol.h"

namespace kuma::envoy {

// One route of a virtual host.
struct RouteDraft {
  api::Route route;
  // KRI without section of the MeshHTTPRoute that it came from; empty: implicit route. Policies
  // find their configuration for the route by it.
  std::string origin;
};

// An HTTP connection manager with one virtual host for all domains, and maybe others for some.
struct HttpManagerDraft {
  api::HttpConnectionManager manager;    // without filters and routes
  std::vector<api::HttpFilter> filters;  // in order, without the router, which is always last
  api::RouteConfiguration route_config;  // without virtual hosts
  std::vector<api::VirtualHost> hosts;   // whole, before the one below
  api::VirtualHost virtual_host;         // without routes
  std::vector<RouteDraft> routes;
};

// A filter chain ends in exactly one of `http` and `tcp`.
struct FilterChainDraft {
  api::FilterChain chain;                    // match, name; without filters and transport socket
  std::vector<api::Filter> network_filters;  // in order, before the terminal one
  std::optional<HttpManagerDraft> http;
  std::optional<api::TcpProxy> tcp;
  std::optional<api::DownstreamTlsContext> tls;
};

// What made a listener or cluster, in the words that users of MeshProxyPatch know as `origin`.
namespace made_by {
inline constexpr std::string_view kInbound = "inbound";
inline constexpr std::string_view kOutbound = "outbound";
inline constexpr std::string_view kAdmin = "admin";
inline constexpr std::string_view kTransparent = "transparent";
inline constexpr std::string_view kDirectAccess = "direct-access";
inline constexpr std::string_view kPrometheus = "prometheus";
inline constexpr std::string_view kOpenTelemetry = "open-telemetry";
inline constexpr std::string_view kMeshAccessLog = "meshaccesslog";
inline constexpr std::string_view kMeshTrace = "mesh-trace";
inline constexpr std::string_view kMeshPassthrough = "meshpassthrough";
inline constexpr std::string_view kDynamicConfig = "dynamic-config";
inline constexpr std::string_view kIngress = "ingress";
inline constexpr std::string_view kEgress = "egress";
inline constexpr std::string_view kPatchedListener = "mesh-proxy-patch";
inline constexpr std::string_view kPatchedCluster = "proxy-template-modifications";
}  // namespace made_by

// What is not part of the resource itself.
struct DraftNotes {
  std::string_view made_by;  // one of made_by; empty: nothing that users have a word for
  bool removed = false;      // Seal() gives nothing
  // Policies that touched it, of the kinds that do not touch everything that they select
  // (PolicyType::notes_what_it_touches).
  std::vector<std::string> touched_by;
};

struct ListenerDraft {
  api::Listener listener;  // without filter chains and listener filters, until Finish() (seal.h)
  std::vector<api::ListenerFilter> listener_filters;
  std::vector<FilterChainDraft> chains;
  Protocol protocol = Protocol::kTcp;
  // Clusters that must be at the proxy although no route names them.
  std::vector<std::string> more_clusters;
  // Clusters that chains name and that the proxy need not have: without them, what goes there is
  // refused. Such a cluster can be taken away while the listener stays as it is.
  std::vector<std::string> may_lack;
  DraftNotes notes;

  // Calls f(HttpManagerDraft&) for each chain that ends in HTTP.
  template <class F>
  void ForEachHttp(F f) {
    for (FilterChainDraft& chain : chains) {
      if (chain.http) f(*chain.http);
    }
  }
  template <class F>
  void ForEachTcp(F f) {
    for (FilterChainDraft& chain : chains) {
      if (chain.tcp) f(*chain.tcp);
    }
  }
  // Names of all clusters that routes, mirrors, TCP proxies and more_clusters name, without those of
  // may_lack; sorted, unique.
  std::vector<std::string> Clusters() const;
};

struct ClusterDraft {
  api::Cluster cluster;  // without HTTP protocol options and transport socket, until Finish()
  std::optional<api::HttpProtocolOptions> http;
  std::optional<api::UpstreamTlsContext> tls;
  Protocol protocol = Protocol::kTcp;  // of the destination's application
  // What names it in ListenerDraft::may_lack: it goes at once when the proxy should not have it.
  bool dispensable = false;
  DraftNotes notes;

  api::HttpProtocolOptions& Http() {
    if (!http) http.emplace();
    return *http;
  }
};

struct EndpointDraft {
  api::LbEndpoint endpoint;
  std::string zone;      // empty: no locality
  std::string sub_zone;  // a part of the zone, or empty
  // Endpoints of one zone, sub-zone and priority are one locality, and agree on its weight.
  uint32_t priority = 0;
  uint32_t locality_weight = 0;  // 0: none
};

struct EndpointsDraft {
  api::ClusterLoadAssignment assignment;  // without endpoints
  std::vector<EndpointDraft> endpoints;   // in any order
};

// An inbound: its listener and the cluster of the application behind it.
struct InboundDraft {
  ListenerDraft listener;
  ClusterDraft cluster;
};

// Where redirected traffic of one IP family goes that no other listener takes.
struct PassthroughDraft {
  bool ipv6 = false;
  ListenerDraft outbound;
  // To the original destination. Without it, what leaves the workload for an unknown destination is
  // refused.
  std::optional<ClusterDraft> outbound_cluster;
  ListenerDraft inbound;
  ClusterDraft inbound_cluster;
};
// A document for kuma-dp, which asks Envoy for it over a Unix socket.
struct DynamicConfig {
  std::string name;  // "dns"
  std::string path;  // "/dns"
  std::string body;
};

// What only this proxy has besides its inbounds.
struct ProxyDraft {
  std::vector<ListenerDraft> listeners;
  std::vector<ClusterDraft> clusters;
  std::vector<PassthroughDraft>
      passthrough;                           // one for each IP family; empty: nothing is redirected
  std::vector<ListenerDraft> direct_access;  // calls of peers by their own addresses
  std::vector<DynamicConfig> dynamic_config;
  std::vector<api::Secret> secrets;

  // Calls f(ClusterDraft&) for each cluster.
  template <class F>
  void ForEachCluster(F f) {
    for (ClusterDraft& cluster : clusters) f(cluster);
    for (PassthroughDraft& family : passthrough) {
      if (family.outbound_cluster) f(*family.outbound_cluster);
      f(family.inbound_cluster);
    }
  }
  // Calls f(ListenerDraft&) for each listener.
  template <class F>
  void ForEachListener(F f) {
    for (ListenerDraft& listener : listeners) f(listener);
    for (ListenerDraft& listener : direct_access) f(listener);
    for (PassthroughDraft& family : passthrough) {
      f(family.outbound);
      f(family.inbound);
    }
  }
};

}  // namespace kuma::envoy

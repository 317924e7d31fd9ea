#include "generate/internal/base_config.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/format.h"
#include "base/strings.h"
#include "envoy/builders.h"
#include "generate/bootstrap.h"
#include "identity/digest.h"

namespace kuma::generate {
namespace {

namespace api = envoy::api;
using envoy::Protocol;
using std::chrono::seconds;

constexpr std::string_view kAdmin = "system_envoy_admin";
constexpr std::string_view kReadiness = "system_probe_readiness";
constexpr std::string_view kDynamicConfig = "system_dynamicconfig";
constexpr std::string_view kReusePort = "feature-reuse-port";
constexpr std::string_view kReadinessSocket = "feature-readiness-unix-socket";
// Where proxied traffic leaves from towards an application that does not listen on loopback, so
// that the rules of transparent proxying let it pass.
constexpr std::string_view kPassthroughSource = "127.0.0.6";
constexpr std::string_view kPassthroughSource6 = "::6";

// Inbounds begin with twice the usual limits; MeshTimeout replaces them unless its rules are for
// some clients only.
constexpr seconds kConnectTimeout(5);
constexpr seconds kInboundConnectTimeout(10);
constexpr seconds kInboundIdleTimeout(7200);
constexpr seconds kInboundStreamIdleTimeout(3600);

bool IsLoopback(std::string_view address) { return address == "127.0.0.1" || address == "::1"; }

// ---- admin

struct StaticPath {
  std::string_view path;
  std::string_view cluster;
};

envoy::FilterChainDraft StaticPaths(std::span<const StaticPath> paths, bool ipv6) {
  envoy::FilterChainDraft chain;
  chain.http = envoy::HttpManager(kAdmin, envoy::kLoopbackRanges, ipv6);
  for (const StaticPath& path : paths) {
    envoy::RouteDraft route;
    route.route.mutable_match()->set_prefix(std::string(path.path));
    route.route.mutable_route()->set_cluster(std::string(path.cluster));
    route.route.mutable_route()->set_prefix_rewrite(std::string(path.path));
    chain.http->routes.push_back(std::move(route));
  }
  return chain;
}

void SetPem(const std::string& pem, api::DataSource* source) { source->set_inline_bytes(pem); }

void RequireControlPlane(const AdminPair& pair, const std::string& ca_pem,
                         envoy::FilterChainDraft& chain) {
  chain.chain.mutable_filter_chain_match()->set_transport_protocol("tls");
  api::DownstreamTlsContext& tls = chain.tls.emplace();
  tls.mutable_require_client_certificate()->set_value(true);
  auto* common = tls.mutable_common_tls_context();
  auto* certificate = common->add_tls_certificates();
  SetPem(pair.certificate_pem, certificate->mutable_certificate_chain());
  SetPem(pair.key_pem.Reveal(), certificate->mutable_private_key());
  auto* validation = common->mutable_validation_context();
  SetPem(ca_pem, validation->mutable_trusted_ca());
  auto* name = validation->add_match_typed_subject_alt_names();
  name->set_san_type(::envoy::extensions::transport_sockets::tls::v3::SubjectAltNameMatcher::DNS);
  name->mutable_matcher()->set_exact("kuma-cp");
}

envoy::ClusterDraft SystemCluster(std::string_view name, const api::Address& address, bool ipv6) {
  envoy::ClusterDraft cluster = envoy::StaticCluster(name, address, ipv6);
  cluster.notes.made_by = envoy::made_by::kAdmin;
  envoy::SetDuration(kConnectTimeout, cluster.cluster.mutable_connect_timeout());
  return cluster;
}

}  // namespace

envoy::ListenerDraft OutboundListener(const policy::ListenerContext& context,
                                      std::span<const std::string_view> internal_ranges) {
  const std::string name = context.destination.Name();
  envoy::ListenerDraft draft;
  draft.protocol = context.destination.protocol;
  draft.notes.made_by = envoy::made_by::kOutbound;
  draft.listener.set_name(name);
  draft.listener.set_stat_prefix(name);
  draft.listener.set_traffic_direction(::envoy::config::core::v3::OUTBOUND);
  *draft.listener.mutable_address() = envoy::SocketAddress(context.bind_address, context.bind_port);
  if (context.traits.transparent_proxy && !context.traits.HasFeature(kBindOutbounds))
    draft.listener.mutable_bind_to_port()->set_value(false);
  envoy::SetTags({{"kuma.io/unified-name", name}}, draft);

  envoy::FilterChainDraft& chain = draft.chains.emplace_back();
  if (!envoy::IsHttpBased(draft.protocol)) {
    chain.tcp = envoy::TcpProxyTo(name, name);
    return draft;
  }
  chain.http = envoy::HttpManager(name, internal_ranges, context.traits.ipv6);
  chain.http->manager.mutable_normalize_path()->set_value(true);
  chain.http->route_config.set_name(name);
  if (draft.protocol == Protocol::kGrpc) chain.http->filters.push_back(envoy::GrpcStats());
  envoy::RouteDraft route = envoy::CatchAllRoute(envoy::kImplicitRouteName, name);
  envoy::SetDuration(seconds(0), route.route.mutable_route()->mutable_timeout());
  chain.http->routes.push_back(std::move(route));
  return draft;
}

envoy::ClusterDraft OutboundCluster(const policy::ClusterContext& context) {
  const policy::Destination& destination = context.destination;
  envoy::ClusterDraft draft = envoy::EdsCluster(destination.Name(), destination.protocol);
  draft.notes.made_by = envoy::made_by::kOutbound;
  if (destination.service.kind != "MeshExternalService") {
    // Between two proxies it is HTTP/2 whatever the applications speak.
    envoy::SpeakHttp2(draft);
  } else if (destination.protocol == Protocol::kHttp) {
    envoy::SpeakHttp1(draft);
  } else if (envoy::IsHttpBased(destination.protocol)) {
    envoy::SpeakHttp2(draft);
  }
  return draft;
}

envoy::EndpointsDraft OutboundEndpoints(const policy::EndpointsContext& context) {
  envoy::EndpointsDraft draft;
  draft.assignment.set_cluster_name(context.destination.Name());
  for (const policy::Endpoint& endpoint : context.endpoints) {
    envoy::EndpointDraft& entry = draft.endpoints.emplace_back(
        envoy::EndpointOf(endpoint.address, endpoint.port, endpoint.weight, endpoint.labels));
    entry.zone = endpoint.zone;
    entry.priority = endpoint.priority;
  }
  return draft;
}

envoy::InboundDraft Inbound(const policy::InboundContext& context,
                            const policy::ProxyContext& proxy,
                            std::span<const std::string_view> internal_ranges) {
  const std::string name = context.Name();
  envoy::InboundDraft draft;

  draft.cluster = envoy::StaticCluster(
      name, envoy::SocketAddress(context.service_address, context.service_port), false);
  draft.cluster.protocol = context.protocol;
  draft.cluster.notes.made_by = envoy::made_by::kInbound;
  envoy::SetDuration(kInboundConnectTimeout, draft.cluster.cluster.mutable_connect_timeout());
  if (envoy::IsHttpBased(context.protocol)) {
    envoy::SetDuration(
        kInboundIdleTimeout,
        draft.cluster.Http().mutable_common_http_protocol_options()->mutable_idle_timeout());
    if (context.protocol == Protocol::kHttp) {
      envoy::SpeakHttp1(draft.cluster);
    } else {
      envoy::SpeakHttp2(draft.cluster);
    }
  }
  if (context.traits.transparent_proxy && !IsLoopback(context.service_address)) {
    auto* source = draft.cluster.cluster.mutable_upstream_bind_config()->mutable_source_address();
    source->set_address(std::string(
        envoy::IsIpv6Address(context.service_address) ? kPassthroughSource6 : kPassthroughSource));
    source->set_port_value(0);
  }

  envoy::ListenerDraft& listener = draft.listener;
  listener.protocol = context.protocol;
  listener.notes.made_by = envoy::made_by::kInbound;
  listener.listener.set_name(name);
  listener.listener.set_stat_prefix(name);
  listener.listener.set_traffic_direction(::envoy::config::core::v3::INBOUND);
  *listener.listener.mutable_address() = envoy::SocketAddress(context.address, context.port);
  listener.listener.mutable_enable_reuse_port()->set_value(proxy.HasFeature(kReusePort));
  if (context.traits.transparent_proxy) listener.listener.mutable_bind_to_port()->set_value(false);
  envoy::SetTags(
      proxy.labels.empty() ? model::Labels{{"kuma.io/unified-name", name}} : proxy.labels,
      listener);

  envoy::FilterChainDraft& chain = listener.chains.emplace_back();
  if (!envoy::IsHttpBased(context.protocol)) {
    chain.tcp = envoy::TcpProxyTo(name, name);
    envoy::SetDuration(kInboundIdleTimeout, chain.tcp->mutable_idle_timeout());
    return draft;
  }
  chain.http = envoy::HttpManager(name, internal_ranges, context.traits.ipv6);
  api::HttpConnectionManager& manager = chain.http->manager;
  manager.set_forward_client_cert_details(api::HttpConnectionManager::SANITIZE_SET);
  manager.mutable_set_current_client_cert_details()->set_uri(true);
  envoy::SetDuration(kInboundIdleTimeout,
                     manager.mutable_common_http_protocol_options()->mutable_idle_timeout());
  envoy::SetDuration(kInboundStreamIdleTimeout, manager.mutable_stream_idle_timeout());
  chain.http->route_config.set_name(name);
  chain.http->route_config.add_request_headers_to_remove("x-kuma-tags");
  if (context.protocol == Protocol::kGrpc) chain.http->filters.push_back(envoy::GrpcStats());
  envoy::RouteDraft route = envoy::CatchAllRoute("", name);
  envoy::SetDuration(seconds(0), route.route.mutable_route()->mutable_timeout());
  chain.http->routes.push_back(std::move(route));
  return draft;
}

base::Status AddAdmin(const OwnCell& own, const AdminAuthority& authority, AdminMemo& memo,
                      envoy::ProxyDraft& draft) {
  if (own.admin_port == 0) return base::Ok{};
  if (own.readiness_port == 0) return base::Invalid("ReadinessPort has to be in (0, 65535] range");

  // The address comes from the proxy itself. Only local ones are believed: with another one, the
  // listener below would be a way to any host.
  std::string address = own.admin_address;
  if (address.empty() || address == "0.0.0.0") address = "127.0.0.1";
  if (address == "::") address = "::1";
  if (!IsLoopback(address)) {
    return base::Invalid(
        R"(envoy admin cluster is not allowed to have addresses other than "", "0.0.0.0", "127.0.0.1", "::", "::1")");
  }
  const bool ipv6 = envoy::IsIpv6Address(address);

  if (own.proxy.address != address) {
    envoy::ListenerDraft& listener = draft.listeners.emplace_back();
    listener.notes.made_by = envoy::made_by::kAdmin;
    listener.listener.set_name(std::string(kAdmin));
    listener.listener.set_traffic_direction(::envoy::config::core::v3::INBOUND);
    *listener.listener.mutable_address() = envoy::SocketAddress(own.proxy.address, own.admin_port);
    listener.listener.mutable_enable_reuse_port()->set_value(own.proxy.HasFeature(kReusePort));
    envoy::AddTlsInspector(listener);
    constexpr std::array<StaticPath, 1> kOpen = {{{"/ready", kReadiness}}};
    listener.chains.push_back(StaticPaths(kOpen, own.proxy.traits.ipv6));
    if (authority) {
      constexpr std::array<StaticPath, 2> kProtected = {{{"/ready", kReadiness}, {"/", kAdmin}}};
      TRY_ASSIGN(const AdminPair pair, memo.Get(authority, own.proxy.address, own.admin_epoch));
      listener.chains.push_back(StaticPaths(kProtected, own.proxy.traits.ipv6));
      RequireControlPlane(pair, authority.ca_pem, listener.chains.back());
    }
  }
  draft.clusters.push_back(SystemCluster(kAdmin,
                                         own.admin_socket_path.empty()
                                             ? envoy::SocketAddress(address, own.admin_port)
                                             : envoy::PipeAddress(own.admin_socket_path),
                                         ipv6));
  draft.clusters.push_back(
      SystemCluster(kReadiness,
                    own.proxy.HasFeature(kReadinessSocket)
                        ? envoy::PipeAddress(ReadinessSocket(own.proxy.workdir))
                        : envoy::SocketAddress(address, own.readiness_port),
                    ipv6));
  return base::Ok{};
}

void AddDynamicConfig(const policy::ProxyContext& proxy, envoy::ProxyDraft& draft) {
  if (draft.dynamic_config.empty()) return;
  envoy::ListenerDraft& listener = draft.listeners.emplace_back();
  listener.notes.made_by = envoy::made_by::kDynamicConfig;
  listener.listener.set_name(std::string(kDynamicConfig));
  listener.listener.set_stat_prefix(std::string(kDynamicConfig));
  *listener.listener.mutable_address() = envoy::PipeAddress(DynamicConfigSocket(proxy.workdir));
  envoy::HttpManagerDraft& http = listener.chains.emplace_back().http.emplace(
      envoy::HttpManager(kDynamicConfig, envoy::kLoopbackRanges, proxy.traits.ipv6));
  http.route_config.clear_validate_clusters();
  size_t longest = 0;
  for (const envoy::DynamicConfig& config : draft.dynamic_config) {
    const std::string tag = base::ToHex(identity::Sha256(config.body));
    longest = std::max(longest, config.body.size());

    // kuma-dp asks again and again; who has the newest gets no body.
    api::Route& unchanged = http.routes.emplace_back().route;
    unchanged.set_name(base::Format("{}_{}_not_modified", kDynamicConfig, config.name));
    unchanged.mutable_match()->set_path(config.path);
    *unchanged.mutable_match()->add_headers() =
        envoy::HeaderMatcherOf(envoy::HeaderMatchKind::kExact, "If-None-Match", tag);
    unchanged.mutable_direct_response()->set_status(304);

    api::Route& whole = http.routes.emplace_back().route;
    whole.set_name(base::Format("{}_{}", kDynamicConfig, config.name));
    whole.mutable_match()->set_path(config.path);
    auto& header = *whole.add_response_headers_to_add()->mutable_header();
    header.set_key("Etag");
    header.set_value(tag);
    whole.mutable_direct_response()->set_status(200);
    whole.mutable_direct_response()->mutable_body()->set_inline_string(config.body);
  }
  http.route_config.mutable_max_direct_response_body_size_bytes()->set_value(
      static_cast<uint32_t>(longest));
}

}  // namespace kuma::generate

#include "envoy/seal.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include <envoy/extensions/filters/http/router/v3/router.pb.h>
#include <envoy/service/discovery/v3/discovery.pb.h>
#include "envoy/builders.h"
#include "envoy/message_types.h"

namespace kuma::envoy {
namespace {

constexpr std::string_view kHttpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

bundle::SealedPtr SealMessage(bundle::XdsType type, const std::string& name,
                              const google::protobuf::Message& message,
                              std::vector<std::string> clusters, std::vector<std::string> origins,
                              bool dispensable = false) {
  const std::string content = SerializeDeterministic(message);
  std::sort(origins.begin(), origins.end());
  origins.erase(std::unique(origins.begin(), origins.end()), origins.end());
  bundle::SealInput input;
  input.type = type;
  input.name = name;
  input.message = content;
  input.clusters = std::move(clusters);
  input.origins = std::move(origins);
  input.dispensable = dispensable;
  return bundle::Seal(std::move(input));
}

const api::HttpFilter& Router() {
  static const api::HttpFilter& filter = *new api::HttpFilter(HttpFilterOf(
      "envoy.filters.http.router", ::envoy::extensions::filters::http::router::v3::Router()));
  return filter;
}

api::HttpConnectionManager Finish(HttpManagerDraft&& draft) {
  api::HttpConnectionManager manager = std::move(draft.manager);
  for (api::HttpFilter& filter : draft.filters) *manager.add_http_filters() = std::move(filter);
  *manager.add_http_filters() = Router();
  api::RouteConfiguration& routes = *manager.mutable_route_config();
  routes = std::move(draft.route_config);
  for (api::VirtualHost& whole : draft.hosts) *routes.add_virtual_hosts() = std::move(whole);
  api::VirtualHost& host = *routes.add_virtual_hosts();
  host = std::move(draft.virtual_host);
  for (RouteDraft& route : draft.routes) *host.add_routes() = std::move(route.route);
  return manager;
}

void Join(const std::vector<std::string>& more, std::vector<std::string>& into) {
  into.insert(into.end(), more.begin(), more.end());
}

void PackTls(const google::protobuf::Message& context, api::TransportSocket* socket) {
  socket->set_name("envoy.transport_sockets.tls");
  Pack(context, socket->mutable_typed_config());
}

// Localities in the order of zone and sub-zone written as one text (so that those without come
// first), then by priority; endpoints by address and port.
void AddLocalities(std::vector<EndpointDraft> endpoints, api::ClusterLoadAssignment& assignment) {
  const auto place = [](const EndpointDraft& endpoint) {
    return std::pair(endpoint.zone + endpoint.sub_zone, endpoint.priority);
  };
  std::map<std::pair<std::string, uint32_t>, std::vector<EndpointDraft*>> localities;
  for (EndpointDraft& endpoint : endpoints) localities[place(endpoint)].push_back(&endpoint);
  for (auto& [key, members] : localities) {
    std::stable_sort(members.begin(), members.end(), [](const auto* a, const auto* b) {
      const auto& x = a->endpoint.endpoint().address().socket_address();
      const auto& y = b->endpoint.endpoint().address().socket_address();
      return std::pair(std::string_view(x.address()), x.port_value()) <
             std::pair(std::string_view(y.address()), y.port_value());
    });
    const EndpointDraft& first = *members.front();
    api::LocalityLbEndpoints& locality = *assignment.add_endpoints();
    if (!first.zone.empty()) {
      locality.mutable_locality()->set_zone(first.zone);
      locality.mutable_locality()->set_sub_zone(first.sub_zone);
    }
    if (first.locality_weight > 0)
      locality.mutable_load_balancing_weight()->set_value(first.locality_weight);
    locality.set_priority(first.priority);
    for (EndpointDraft* member : members)
      *locality.add_lb_endpoints() = std::move(member->endpoint);
  }
}

}  // namespace

void Finish(ListenerDraft& draft) {
  draft.more_clusters = draft.Clusters();
  api::Listener& listener = draft.listener;
  for (api::ListenerFilter& filter : draft.listener_filters)
    *listener.add_listener_filters() = std::move(filter);
  for (FilterChainDraft& from : draft.chains) {
    api::FilterChain& chain = *listener.add_filter_chains();
    chain = std::move(from.chain);
    for (api::Filter& filter : from.network_filters) *chain.add_filters() = std::move(filter);
    if (from.http) {
      *chain.add_filters() = NetworkFilterOf(kHttpConnectionManager, Finish(*std::move(from.http)));
    } else if (from.tcp) {
      *chain.add_filters() = NetworkFilterOf("envoy.filters.network.tcp_proxy", *from.tcp);
    }
    if (from.tls) PackTls(*from.tls, chain.mutable_transport_socket());
  }
  draft.listener_filters.clear();
  draft.chains.clear();
}

void Finish(ClusterDraft& draft) {
  if (draft.http) {
    Pack(*draft.http,
         &(*draft.cluster.mutable_typed_extension_protocol_options())[std::string(kHttpOptions)]);
    draft.http.reset();
  }
  if (draft.tls) {
    PackTls(*draft.tls, draft.cluster.mutable_transport_socket());
    draft.tls.reset();
  }
}

bundle::SealedPtr Seal(ListenerDraft&& draft, std::vector<std::string> origins) {
  if (draft.notes.removed) return nullptr;
  Finish(draft);
  Join(draft.notes.touched_by, origins);
  return SealMessage(bundle::XdsType::kListener, draft.listener.name(), draft.listener,
                     std::move(draft.more_clusters), std::move(origins));
}

bundle::SealedPtr Seal(ClusterDraft&& draft, std::vector<std::string> origins) {
  if (draft.notes.removed) return nullptr;
  Finish(draft);
  Join(draft.notes.touched_by, origins);
  return SealMessage(bundle::XdsType::kCluster, draft.cluster.name(), draft.cluster, {},
                     std::move(origins), draft.dispensable);
}

bundle::SealedPtr Seal(EndpointsDraft&& draft, std::vector<std::string> origins) {
  AddLocalities(std::move(draft.endpoints), draft.assignment);
  return SealMessage(bundle::XdsType::kEndpoints, draft.assignment.cluster_name(), draft.assignment,
                     {}, std::move(origins));
}

bundle::SealedPtr Seal(const api::Secret& secret, std::vector<std::string> origins) {
  return SealMessage(bundle::XdsType::kSecret, secret.name(), secret, {}, std::move(origins));
}

std::string ResourceJson(const bundle::SealedResource& resource) {
  ::envoy::service::discovery::v3::DeltaDiscoveryResponse response;
  if (!response.ParseFromString(*resource.Bytes()) || response.resources_size() != 1) return {};
  auto json = ToJson(response.resources(0).resource());
  return json.has_value() ? *std::move(json) : std::string();
}

}  // namespace kuma::envoy

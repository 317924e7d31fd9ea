#include <algorithm>
#include <chrono>
#include <string_view>

#include <envoy/extensions/filters/network/set_filter_state/v3/set_filter_state.pb.h>

#include "envoy/builders.h"
#include "policies/mesh_timeout/mesh_timeout.h"
#include "policy/describe_policy.h"
#include "policy/effective.h"

namespace kuma::policies::mesh_timeout {
namespace {

namespace api = envoy::api;
using policy::TrafficMatch;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr seconds kConnectTimeout(5);
constexpr seconds kIdleTimeout(3600);
constexpr minutes kStreamIdleTimeout(30);
constexpr seconds kRequestTimeout(15);

constexpr std::string_view kFilterState = "envoy.filters.network.set_filter_state";
constexpr std::string_view kSpiffeIdKey = "kuma.mesh_timeout.match.spiffe_id";
constexpr std::string_view kSniKey = "kuma.mesh_timeout.match.sni";

void Set(const std::optional<Duration>& value, nanoseconds otherwise,
         google::protobuf::Duration* into) {
  envoy::SetDuration(value ? value->value : otherwise, into);
}

Http HttpOf(const Conf& conf) { return conf.http.value_or(Http()); }

void ConfigureRoute(const Http& http, api::Route& route) {
  if (!route.has_route()) return;
  api::RouteAction& action = *route.mutable_route();
  Set(http.request_timeout, kRequestTimeout, action.mutable_timeout());
  if (http.stream_idle_timeout || !action.has_idle_timeout())
    Set(http.stream_idle_timeout, kStreamIdleTimeout, action.mutable_idle_timeout());
}

void ConfigureChains(const Conf& conf, envoy::ListenerDraft& listener) {
  const Http http = HttpOf(conf);
  listener.ForEachHttp([&](envoy::HttpManagerDraft& manager) {
    for (envoy::RouteDraft& route : manager.routes) ConfigureRoute(http, route.route);
    Set(http.request_headers_timeout, seconds(0),
        manager.manager.mutable_request_headers_timeout());
    // Idle connections are closed by the cluster's side.
    envoy::SetDuration(
        seconds(0), manager.manager.mutable_common_http_protocol_options()->mutable_idle_timeout());
  });
  listener.ForEachTcp([&](api::TcpProxy& proxy) {
    Set(conf.idle_timeout, kIdleTimeout, proxy.mutable_idle_timeout());
  });
}

void ConfigureCluster(const Conf& conf, envoy::ClusterDraft& cluster) {
  Set(conf.connection_timeout, kConnectTimeout, cluster.cluster.mutable_connect_timeout());
  // Not for grpc: its streams live long.
  if (cluster.protocol != envoy::Protocol::kHttp && cluster.protocol != envoy::Protocol::kHttp2)
    return;
  const Http http = HttpOf(conf);
  auto& options = *cluster.Http().mutable_common_http_protocol_options();
  Set(conf.idle_timeout, kIdleTimeout, options.mutable_idle_timeout());
  Set(http.max_stream_duration, seconds(0), options.mutable_max_stream_duration());
  Set(http.max_connection_duration, seconds(0), options.mutable_max_connection_duration());
}

// ---- rules for clients with certain SPIFFE ids: copies of each route, most specific first, that
// match on what a network filter noted about the connection

struct MatchedRule {
  TrafficMatch match;
  Conf conf;
};

bool SetsRouteTimeouts(const Conf& conf) {
  return conf.http && (conf.http->request_timeout || conf.http->stream_idle_timeout);
}

// Among prefixes a longer one is more specific.
int CompareSpecificity(const TrafficMatch& a, const TrafficMatch& b) {
  if (const int order = policy::CompareMatches(a, b); order != 0) return order;
  const auto prefix_size = [](const TrafficMatch& match) {
    return match.spiffe_id && match.spiffe_id->type == policy::MatchType::kPrefix
               ? match.spiffe_id->value.size()
               : 0;
  };
  const size_t size_a = prefix_size(a);
  const size_t size_b = prefix_size(b);
  if (size_a == 0 || size_b == 0 || size_a == size_b) return 0;
  return size_a > size_b ? -1 : 1;
}

// Does everything that fits `narrow` fit `wide`?
bool Covers(const TrafficMatch& wide, const TrafficMatch& narrow) {
  const bool exact = wide.spiffe_id->type == policy::MatchType::kExact;
  const bool covers_id = exact ? *wide.spiffe_id == *narrow.spiffe_id
                               : narrow.spiffe_id->value.starts_with(wide.spiffe_id->value);
  return covers_id && (!wide.sni || wide.sni == narrow.sni);
}

std::vector<MatchedRule> MatchedRules(const std::vector<policy::InboundRule>& rules) {
  std::vector<MatchedRule> given;
  for (const policy::InboundRule& rule : rules) {
    const Conf* conf = rule.conf.As<Conf>();
    if (rule.match && rule.match->spiffe_id && conf != nullptr && SetsRouteTimeouts(*conf))
      given.push_back({*rule.match, *conf});
  }
  const auto more_specific = [](const MatchedRule& a, const MatchedRule& b) {
    return CompareSpecificity(a.match, b.match) < 0;
  };
  std::stable_sort(given.begin(), given.end(), more_specific);
  std::vector<MatchedRule> effective;
  for (const MatchedRule& rule : given) {
    const auto same = [&rule](const MatchedRule& other) { return other.match == rule.match; };
    if (std::any_of(effective.begin(), effective.end(), same)) continue;
    std::vector<MatchedRule> applicable;
    std::copy_if(given.begin(), given.end(), std::back_inserter(applicable),
                 [&rule](const MatchedRule& other) { return Covers(other.match, rule.match); });
    std::stable_sort(
        applicable.begin(), applicable.end(),
        [&](const MatchedRule& a, const MatchedRule& b) { return more_specific(b, a); });
    MatchedRule merged{rule.match, applicable[0].conf};
    for (size_t i = 1; i < applicable.size(); ++i)
      merged.conf = model::Merge(merged.conf, applicable[i].conf);
    effective.push_back(std::move(merged));
  }
  return effective;
}

void AddNote(std::string_view key, std::string_view format,
             ::envoy::extensions::filters::network::set_filter_state::v3::Config& config) {
  auto& value = *config.add_on_downstream_tls_handshake();
  value.set_object_key(std::string(key));
  value.set_factory_key("envoy.string");
  value.mutable_format_string()->mutable_text_format_source()->set_inline_string(
      std::string(format));
  value.set_read_only(true);
  value.set_skip_if_empty(true);
}

void NoteConnection(const std::vector<MatchedRule>& rules, envoy::FilterChainDraft& chain) {
  for (const api::Filter& filter : chain.network_filters) {
    if (filter.name() == kFilterState) return;
  }
  ::envoy::extensions::filters::network::set_filter_state::v3::Config config;
  AddNote(kSpiffeIdKey, "%DOWNSTREAM_PEER_URI_SAN%", config);
  if (std::any_of(rules.begin(), rules.end(),
                  [](const MatchedRule& rule) { return rule.match.sni.has_value(); }))
    AddNote(kSniKey, "%REQUESTED_SERVER_NAME%", config);
  chain.network_filters.insert(chain.network_filters.begin(),
                               envoy::NetworkFilterOf(kFilterState, config));
}

bool HasTarget(const api::RouteAction& action) {
  return !action.cluster().empty() || !action.cluster_header().empty() ||
         action.weighted_clusters().clusters_size() > 0;
}

envoy::RouteDraft CopyFor(const MatchedRule& rule, envoy::RouteDraft route) {
  const auto add_state = [&route](std::string_view key, const policy::TextMatch& match) {
    auto& state = *route.route.mutable_match()->add_filter_state();
    state.set_key(std::string(key));
    if (match.type == policy::MatchType::kPrefix) {
      state.mutable_string_match()->set_prefix(match.value);
    } else {
      state.mutable_string_match()->set_exact(match.value);
    }
  };
  add_state(kSpiffeIdKey, *rule.match.spiffe_id);
  if (rule.match.sni) add_state(kSniKey, *rule.match.sni);
  api::RouteAction& action = *route.route.mutable_route();
  const Http http = HttpOf(rule.conf);
  if (http.request_timeout)
    envoy::SetDuration(http.request_timeout->value, action.mutable_timeout());
  if (http.stream_idle_timeout)
    envoy::SetDuration(http.stream_idle_timeout->value, action.mutable_idle_timeout());
  return route;
}

void ConfigureMatchedRoutes(const std::vector<policy::InboundRule>& rules,
                            envoy::ListenerDraft& listener) {
  const std::vector<MatchedRule> matched = MatchedRules(rules);
  if (matched.empty()) return;
  for (envoy::FilterChainDraft& chain : listener.chains) {
    NoteConnection(matched, chain);
    if (!chain.http) continue;
    std::vector<envoy::RouteDraft> routes;
    for (envoy::RouteDraft& route : chain.http->routes) {
      if (route.route.has_route() && HasTarget(route.route.route())) {
        for (const MatchedRule& rule : matched) routes.push_back(CopyFor(rule, route));
      }
      routes.push_back(std::move(route));
    }
    chain.http->routes = std::move(routes);
  }
}

// ---- hooks

const Conf& ConfOr(const Conf* conf) {
  static const Conf kNothing;
  return conf == nullptr ? kNothing : *conf;
}

base::Status ApplyListener(const policy::ListenerContext& context, envoy::ListenerDraft& listener) {
  ConfigureChains(ConfOr(context.Conf<Conf>()), listener);
  listener.ForEachHttp([&](envoy::HttpManagerDraft& manager) {
    for (envoy::RouteDraft& route : manager.routes) {
      if (route.origin.empty()) continue;
      ConfigureRoute(HttpOf(ConfOr(context.RouteConf<Conf>(route.origin))), route.route);
    }
  });
  return base::Ok{};
}

base::Status ApplyCluster(const policy::ClusterContext& context, envoy::ClusterDraft& cluster) {
  ConfigureCluster(ConfOr(context.Conf<Conf>()), cluster);
  return base::Ok{};
}

base::Status ApplyInbound(const policy::InboundContext& context, envoy::InboundDraft& inbound) {
  const std::vector<policy::InboundRule>& rules = context.Rules<Conf>();
  const bool for_all =
      rules.empty() || std::any_of(rules.begin(), rules.end(),
                                   [](const policy::InboundRule& rule) { return !rule.match; });
  if (for_all) {
    const Conf& conf = ConfOr(context.Conf<Conf>());
    ConfigureChains(conf, inbound.listener);
    ConfigureCluster(conf, inbound.cluster);
  }
  ConfigureMatchedRoutes(rules, inbound.listener);
  return base::Ok{};
}

std::shared_ptr<const void> PartOfListeners(const void* merged) {
  auto part = std::make_shared<Conf>(*static_cast<const Conf*>(merged));
  part->connection_timeout.reset();
  if (part->http) {
    part->http->max_stream_duration.reset();
    part->http->max_connection_duration.reset();
  }
  return part;
}

std::shared_ptr<const void> PartOfClusters(const void* merged) {
  auto part = std::make_shared<Conf>(*static_cast<const Conf*>(merged));
  if (part->http) {
    part->http->request_timeout.reset();
    part->http->stream_idle_timeout.reset();
    part->http->request_headers_timeout.reset();
  }
  return part;
}

}  // namespace

policy::PolicyType Policy() {
  policy::PolicyType type = policy::Describe<Spec, Conf>(Schema(), {.listener = ApplyListener,
                                                                    .cluster = ApplyCluster,
                                                                    .endpoints = nullptr,
                                                                    .inbound = ApplyInbound,
                                                                    .proxy = nullptr});
  type.listener_part = PartOfListeners;
  type.cluster_part = PartOfClusters;
  return type;
}

}  // namespace kuma::policies::mesh_timeout

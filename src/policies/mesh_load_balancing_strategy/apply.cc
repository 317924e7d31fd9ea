#include <algorithm>

#include "base/format.h"
#include "envoy/builders.h"
#include "policies/mesh_load_balancing_strategy/mesh_load_balancing_strategy.h"
#include "policy/describe_policy.h"

namespace kuma::policies::mesh_load_balancing_strategy {
namespace {

namespace api = envoy::api;

// Percentages of live endpoints become factors: a locality gives traffic away when so many times
// its share of live endpoints is below 100 %.
constexpr uint32_t kPercent = 100;
constexpr uint32_t kOverprovisioning = 200;

// ---- hashes

api::RouteAction::HashPolicy HashPolicyOf(const HashPolicy& conf) {
  api::RouteAction::HashPolicy policy;
  policy.set_terminal(conf.terminal.value_or(false));
  switch (conf.type) {
    case HashPolicyType::kHeader:
      if (conf.header) policy.mutable_header()->set_header_name(conf.header->name);
      break;
    case HashPolicyType::kCookie:
      if (conf.cookie) {
        auto& cookie = *policy.mutable_cookie();
        cookie.set_name(conf.cookie->name);
        cookie.set_path(conf.cookie->path.value_or(""));
        if (conf.cookie->ttl) envoy::SetDuration(conf.cookie->ttl->value, cookie.mutable_ttl());
      }
      break;
    case HashPolicyType::kConnection:
      if (conf.connection)
        policy.mutable_connection_properties()->set_source_ip(
            conf.connection->source_ip.value_or(false));
      break;
    case HashPolicyType::kQueryParameter:
      if (conf.query_parameter)
        policy.mutable_query_parameter()->set_name(conf.query_parameter->name);
      break;
    case HashPolicyType::kFilterState:
      if (conf.filter_state) policy.mutable_filter_state()->set_key(conf.filter_state->key);
      break;
    case HashPolicyType::kUnknown: break;
  }
  return policy;
}

base::Status ApplyListener(const policy::ListenerContext& context, envoy::ListenerDraft& listener) {
  const Conf* of_destination = context.Conf<Conf>();
  listener.ForEachHttp([&](envoy::HttpManagerDraft& manager) {
    for (envoy::RouteDraft& route : manager.routes) {
      const Conf* conf =
          route.origin.empty() ? of_destination : context.RouteConf<Conf>(route.origin);
      if (conf == nullptr || !conf->hash_policies || !route.route.has_route()) continue;
      for (const HashPolicy& policy : *conf->hash_policies)
        *route.route.mutable_route()->add_hash_policy() = HashPolicyOf(policy);
    }
  });
  return base::Ok{};
}

// ---- balancers

base::Status ConfigureLeastRequest(const LeastRequest& conf, api::Cluster& cluster) {
  auto& config = *cluster.mutable_least_request_lb_config();
  if (conf.choice_count) config.mutable_choice_count()->set_value(*conf.choice_count);
  if (!conf.active_request_bias) return base::Ok{};
  const std::optional<double> bias = conf.active_request_bias->Number();
  if (!bias) return base::Invalid("activeRequestBias is not a number");
  config.mutable_active_request_bias()->set_default_value(*bias);
  return base::Ok{};
}

void ConfigureRingHash(const RingHash& conf, api::Cluster& cluster) {
  auto& config = *cluster.mutable_ring_hash_lb_config();
  if (conf.min_ring_size) config.mutable_minimum_ring_size()->set_value(*conf.min_ring_size);
  if (conf.max_ring_size) config.mutable_maximum_ring_size()->set_value(*conf.max_ring_size);
  if (conf.hash_function == HashFunction::kMurmurHash2)
    config.set_hash_function(api::Cluster::RingHashLbConfig::MURMUR_HASH_2);
}

base::Status ConfigureBalancer(const LoadBalancer& conf, api::Cluster& cluster) {
  switch (conf.type) {
    case LoadBalancerType::kRoundRobin: cluster.set_lb_policy(api::Cluster::ROUND_ROBIN); break;
    case LoadBalancerType::kRandom: cluster.set_lb_policy(api::Cluster::RANDOM); break;
    case LoadBalancerType::kLeastRequest:
      cluster.set_lb_policy(api::Cluster::LEAST_REQUEST);
      if (conf.least_request) TRY(ConfigureLeastRequest(*conf.least_request, cluster));
      break;
    case LoadBalancerType::kRingHash:
      cluster.set_lb_policy(api::Cluster::RING_HASH);
      if (conf.ring_hash) ConfigureRingHash(*conf.ring_hash, cluster);
      break;
    case LoadBalancerType::kMaglev: {
      cluster.set_lb_policy(api::Cluster::MAGLEV);
      if (!conf.maglev) break;
      auto& config = *cluster.mutable_maglev_lb_config();
      if (conf.maglev->table_size) config.mutable_table_size()->set_value(*conf.maglev->table_size);
      break;
    }
  }
  return base::Ok{};
}

// ---- localities

bool IsOff(const std::optional<LocalityAwareness>& locality) {
  return locality && locality->disabled.value_or(false);
}

const std::vector<AffinityTag>& TagsOf(const Conf& conf) {
  static const std::vector<AffinityTag> kNone;
  const auto& locality = conf.locality_awareness;
  if (!locality || !locality->local_zone) return kNone;
  const auto& tags = locality->local_zone->affinity_tags;
  return tags ? *tags : kNone;
}

base::Status ApplyCluster(const policy::ClusterContext& context, envoy::ClusterDraft& draft) {
  const Conf* conf = context.Conf<Conf>();
  if (conf == nullptr) return base::Ok{};
  if (!IsOff(conf->locality_awareness) && !TagsOf(*conf).empty())
    draft.cluster.mutable_common_lb_config()->mutable_locality_weighted_lb_config();
  if (conf->load_balancer) return ConfigureBalancer(*conf->load_balancer, draft.cluster);
  return base::Ok{};
}

// A tag with the caller's own value of it.
struct Affinity {
  std::string_view key;
  std::string_view value;
  uint32_t weight = 0;
};

// 90 % of the traffic for the first, 9 % for the second one, and so on. Envoy adds weights up in 32
// bits.
uint32_t WeightByRank(size_t after_it) {
  constexpr size_t kMostDigits = 8;
  uint32_t weight = 9;
  for (size_t i = 0; i < std::min(after_it, kMostDigits); ++i) weight *= 10;
  return weight;
}

std::vector<Affinity> AffinitiesOf(const Conf& conf, const model::Labels& proxy) {
  std::vector<Affinity> affinities;
  const std::vector<AffinityTag>& tags = TagsOf(conf);
  for (size_t i = 0; i < tags.size(); ++i) {
    const AffinityTag& tag = tags[i];
    const auto own = proxy.find(tag.key);
    if (own == proxy.end()) continue;
    affinities.push_back(
        {tag.key, own->second, tag.weight.value_or(WeightByRank(tags.size() - i - 1))});
  }
  return affinities;
}

void PlaceInZone(const std::vector<Affinity>& affinities, envoy::EndpointDraft& endpoint) {
  endpoint.priority = 0;
  endpoint.locality_weight = 1;
  for (const Affinity& affinity : affinities) {
    if (envoy::LabelOf(endpoint, affinity.key) != affinity.value) continue;
    endpoint.sub_zone = base::Format("{}={}", affinity.key, affinity.value);
    endpoint.locality_weight = affinity.weight;
    return;
  }
}

bool Contains(const std::vector<std::string>& zones, std::string_view zone) {
  return std::find(zones.begin(), zones.end(), zone) != zones.end();
}

bool LeadsTo(const ToZone& to, std::string_view zone) {
  const bool listed = to.zones && Contains(*to.zones, zone);
  switch (to.type) {
    case ToZoneType::kAny: return true;
    case ToZoneType::kAnyExcept: return !listed;
    case ToZoneType::kOnly: return listed;
    case ToZoneType::kNone:
    case ToZoneType::kUnknown: break;
  }
  return false;
}

// Which failover rule leads the zone's callers to the endpoint: its priority. Nothing: none does.
std::optional<uint32_t> PriorityOf(const std::optional<CrossZone>& cross, std::string_view from,
                                   std::string_view to) {
  if (!cross || !cross->failover) return std::nullopt;
  for (size_t i = 0; i < cross->failover->size(); ++i) {
    const Failover& rule = (*cross->failover)[i];
    if (rule.from && !Contains(rule.from->zones, from)) continue;
    if (LeadsTo(rule.to, to)) return static_cast<uint32_t>(i + 1);
  }
  return std::nullopt;
}

// In whole times, as Kuma has it: everything from 51 % on acts as 100 %.
uint32_t OverprovisioningOf(const std::optional<CrossZone>& cross) {
  if (!cross || !cross->failover_threshold) return kOverprovisioning;
  const std::optional<double> percentage = cross->failover_threshold->percentage.Number();
  if (!percentage || *percentage <= 0) return kOverprovisioning;
  constexpr double kMostTimes = 10'000;
  return static_cast<uint32_t>(std::min(kPercent / *percentage, kMostTimes)) * kPercent;
}

base::Status ApplyEndpoints(const policy::EndpointsContext& context, envoy::EndpointsDraft& draft) {
  const Conf* conf = context.Conf<Conf>();
  const std::optional<LocalityAwareness> locality =
      conf == nullptr ? std::nullopt : conf->locality_awareness;
  if (IsOff(locality) || !locality || (!locality->local_zone && !locality->cross_zone)) {
    for (envoy::EndpointDraft& endpoint : draft.endpoints) {
      if (!endpoint.zone.empty() && endpoint.zone != context.zone)
        endpoint.priority = IsOff(locality) ? 0 : 1;
    }
    return base::Ok{};
  }

  const std::vector<Affinity> affinities =
      AffinitiesOf(*conf, policy::ValuesOf(context.slot).affinity);
  std::erase_if(draft.endpoints, [&](envoy::EndpointDraft& endpoint) {
    if (endpoint.zone == context.zone) {
      PlaceInZone(affinities, endpoint);
      return false;
    }
    const auto priority = PriorityOf(locality->cross_zone, context.zone, endpoint.zone);
    if (priority) endpoint.priority = *priority;
    return !priority;
  });
  draft.assignment.mutable_policy()->mutable_overprovisioning_factor()->set_value(
      OverprovisioningOf(locality->cross_zone));
  return base::Ok{};
}

bool PlacesEndpoints(const void* conf) {
  return static_cast<const Conf*>(conf)->locality_awareness.has_value();
}

policy::SlotUse Slots(const model::Resource& policy) {
  policy::SlotUse use;
  for (const To& to : policy.Spec<Spec>().to) {
    for (const AffinityTag& tag : TagsOf(to.default_conf)) use.affinity.insert(tag.key);
  }
  return use;
}

std::shared_ptr<const void> PartOfListeners(const void* merged) {
  auto part = std::make_shared<Conf>();
  part->hash_policies = static_cast<const Conf*>(merged)->hash_policies;
  return part;
}

std::shared_ptr<const void> PartOfClusters(const void* merged) {
  auto part = std::make_shared<Conf>(*static_cast<const Conf*>(merged));
  part->hash_policies.reset();
  return part;
}

}  // namespace

policy::PolicyType Policy() {
  policy::PolicyType type = policy::Describe<Spec, Conf>(Schema(), {.listener = ApplyListener,
                                                                    .cluster = ApplyCluster,
                                                                    .endpoints = ApplyEndpoints,
                                                                    .inbound = nullptr,
                                                                    .proxy = nullptr});
  type.listener_part = PartOfListeners;
  type.cluster_part = PartOfClusters;
  type.slots = Slots;
  type.places_endpoints = PlacesEndpoints;
  return type;
}

}  // namespace kuma::policies::mesh_load_balancing_strategy

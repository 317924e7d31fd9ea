#pragma once

// MeshLoadBalancingStrategy: which endpoint of a service gets a request.

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/fields.h"
#include "model/resource_type.h"
#include "policy/target_ref.h"

namespace kuma::policies::mesh_load_balancing_strategy {

using model::Duration;
using model::IntOrString;

// ---- near and far endpoints

struct AffinityTag {
  std::string key;
  std::optional<uint32_t> weight;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("key", &AffinityTag::key, "Label that caller and endpoint must have with one value.",
              model::Required{}),
        Field("weight", &AffinityTag::weight,
              "Share of the traffic, relative to the other tags. All tags have one or none. "
              "Default: ten times that of the next tag.",
              model::Positive{}),
    };
  }
};
struct LocalZone {
  std::optional<std::vector<AffinityTag>> affinity_tags;
  static constexpr auto Fields() {
    return std::tuple{model::Field("affinityTags", &LocalZone::affinity_tags,
                                   "Labels that make an endpoint a near one, nearest first.")};
  }
};

struct FromZone {
  std::vector<std::string> zones;
  static constexpr auto Fields() {
    return std::tuple{
        model::Field("zones", &FromZone::zones, "Zones of the callers.", model::Required{})};
  }
};
enum class ToZoneType { kUnknown, kNone, kOnly, kAny, kAnyExcept };
constexpr auto EnumNames(ToZoneType) {
  using enum ToZoneType;
  return std::to_array<model::EnumName<ToZoneType>>(
      {{kNone, "None"}, {kOnly, "Only"}, {kAny, "Any"}, {kAnyExcept, "AnyExcept"}});
}
struct ToZone {
  model::OpenEnum<ToZoneType> type = ToZoneType::kNone;
  std::optional<std::vector<std::string>> zones;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("type", &ToZone::type, "To none, to the listed zones only, to any, to any but these.",
              model::Required{}),
        Field("zones", &ToZone::zones, "For Only and AnyExcept."),
    };
  }
};
struct Failover {
  std::optional<FromZone> from;
  ToZone to;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("from", &Failover::from, "Callers that the rule is for. Absent: all."),
        Field("to", &Failover::to, "Where their traffic may go.", model::Required{}),
    };
  }
};
struct FailoverThreshold {
  IntOrString percentage;
  static constexpr auto Fields() {
    return std::tuple{model::Field("percentage", &FailoverThreshold::percentage,
                                   "A number, or text with a decimal number.", model::Required{})};
  }
};
struct CrossZone {
  std::optional<std::vector<Failover>> failover;
  std::optional<FailoverThreshold> failover_threshold;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("failover", &CrossZone::failover,
              "Rules, the first that fits a zone counts; earlier rules are tried earlier."),
        Field("failoverThreshold", &CrossZone::failover_threshold,
              "Percentage of live endpoints below which the next rule comes in. Default: 50."),
    };
  }
};
struct LocalityAwareness {
  std::optional<bool> disabled;
  std::optional<LocalZone> local_zone;
  std::optional<CrossZone> cross_zone;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("disabled", &LocalityAwareness::disabled,
              "true: all endpoints are equal wherever they are."),
        Field("localZone", &LocalityAwareness::local_zone, "Inside of the caller's zone."),
        Field("crossZone", &LocalityAwareness::cross_zone,
              "When too few endpoints of the caller's zone are alive."),
    };
  }
};

// ---- choosing among them

struct RoundRobin {
  static constexpr auto Fields() { return std::tuple{}; }
};
struct Random {
  static constexpr auto Fields() { return std::tuple{}; }
};
struct LeastRequest {
  std::optional<uint32_t> choice_count;
  std::optional<IntOrString> active_request_bias;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("choiceCount", &LeastRequest::choice_count,
              "Endpoints drawn by lot, of which the least busy one is taken. Default: 2.",
              model::Min{2}),
        Field("activeRequestBias", &LeastRequest::active_request_bias,
              "How much a busy endpoint's weight shrinks, where weights differ. A number, or text "
              "with a decimal number."),
    };
  }
};
inline constexpr double kMaxRingSize = 8'000'000;
inline constexpr double kMaxTableSize = 5'000'011;
enum class HashFunction { kXxHash, kMurmurHash2 };
constexpr auto EnumNames(HashFunction) {
  return std::to_array<model::EnumName<HashFunction>>(
      {{HashFunction::kXxHash, "XXHash"}, {HashFunction::kMurmurHash2, "MurmurHash2"}});
}
struct RingHash {
  std::optional<HashFunction> hash_function;
  std::optional<uint32_t> min_ring_size;
  std::optional<uint32_t> max_ring_size;
  static constexpr auto Fields() {
    using model::Field;
    using model::Max;
    using model::Min;
    return std::tuple{
        Field("hashFunction", &RingHash::hash_function,
              "How endpoints are put onto the ring. Default: XXHash."),
        Field("minRingSize", &RingHash::min_ring_size,
              "The larger the ring, the closer to the weights. Default: 1024.", Min{1},
              Max{kMaxRingSize}),
        Field("maxRingSize", &RingHash::max_ring_size, "Default: 8000000.", Min{1},
              Max{kMaxRingSize}),
    };
  }
};
struct Maglev {
  std::optional<uint32_t> table_size;
  static constexpr auto Fields() {
    return std::tuple{model::Field("tableSize", &Maglev::table_size,
                                   "A prime number; the larger, the less moves when endpoints come "
                                   "and go. Default: 65537.",
                                   model::Min{1}, model::Max{kMaxTableSize})};
  }
};
enum class LoadBalancerType { kRoundRobin, kLeastRequest, kRingHash, kRandom, kMaglev };
constexpr auto EnumNames(LoadBalancerType) {
  using enum LoadBalancerType;
  return std::to_array<model::EnumName<LoadBalancerType>>({{kRoundRobin, "RoundRobin"},
                                                           {kLeastRequest, "LeastRequest"},
                                                           {kRingHash, "RingHash"},
                                                           {kRandom, "Random"},
                                                           {kMaglev, "Maglev"}});
}
// Only the member that belongs to `type` counts.
struct LoadBalancer {
  LoadBalancerType type = LoadBalancerType::kRoundRobin;
  std::optional<RoundRobin> round_robin;
  std::optional<LeastRequest> least_request;
  std::optional<RingHash> ring_hash;
  std::optional<Random> random;
  std::optional<Maglev> maglev;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("type", &LoadBalancer::type, "How an endpoint is chosen.", model::Required{}),
        Field("roundRobin", &LoadBalancer::round_robin, "One after the other."),
        Field("leastRequest", &LoadBalancer::least_request,
              "The one with the fewest requests under way, of some that are drawn by lot."),
        Field("ringHash", &LoadBalancer::ring_hash,
              "By a hash of the request: equal hashes have one endpoint."),
        Field("random", &LoadBalancer::random, "By lot."),
        Field("maglev", &LoadBalancer::maglev,
              "As ringHash, by a table: faster, but more moves when endpoints come and go."),
    };
  }
};

// ---- what is hashed

struct Header {
  std::string name;
  static constexpr auto Fields() {
    return std::tuple{model::Field("name", &Header::name, "Name of the header.", model::Required{},
                                   model::MinLength{1})};
  }
};
struct Cookie {
  std::string name;
  std::optional<Duration> ttl;
  std::optional<std::string> path;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("name", &Cookie::name, "Name of the cookie.", model::Required{}, model::MinLength{1}),
        Field("ttl", &Cookie::ttl, "A cookie that is not there is made, valid for this time."),
        Field("path", &Cookie::path, "Its path."),
    };
  }
};
struct Connection {
  std::optional<bool> source_ip;
  static constexpr auto Fields() {
    return std::tuple{
        model::Field("sourceIP", &Connection::source_ip, "true: the address of the caller.")};
  }
};
struct QueryParameter {
  std::string name;
  static constexpr auto Fields() {
    return std::tuple{model::Field("name", &QueryParameter::name, "Name of the parameter.",
                                   model::Required{}, model::MinLength{1})};
  }
};
struct FilterState {
  std::string key;
  static constexpr auto Fields() {
    return std::tuple{model::Field("key", &FilterState::key,
                                   "Name of an object in Envoy's filter state.", model::Required{},
                                   model::MinLength{1})};
  }
};
enum class HashPolicyType {
  kUnknown,
  kHeader,
  kCookie,
  kConnection,
  kQueryParameter,
  kFilterState
};
constexpr auto EnumNames(HashPolicyType) {
  using enum HashPolicyType;
  return std::to_array<model::EnumName<HashPolicyType>>({{kHeader, "Header"},
                                                         {kCookie, "Cookie"},
                                                         {kConnection, "Connection"},
                                                         {kQueryParameter, "QueryParameter"},
                                                         {kFilterState, "FilterState"}});
}
// The member that belongs to `type` is set.
struct HashPolicy {
  model::OpenEnum<HashPolicyType> type = HashPolicyType::kHeader;
  std::optional<bool> terminal;
  std::optional<Header> header;
  std::optional<Cookie> cookie;
  std::optional<Connection> connection;
  std::optional<QueryParameter> query_parameter;
  std::optional<FilterState> filter_state;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("type", &HashPolicy::type, "What is hashed.", model::Required{}),
        Field("terminal", &HashPolicy::terminal,
              "true: when this gives a hash, the rest of the list does not count."),
        Field("header", &HashPolicy::header, "A header of the request."),
        Field("cookie", &HashPolicy::cookie, "A cookie."),
        Field("connection", &HashPolicy::connection, "The caller's connection."),
        Field("queryParameter", &HashPolicy::query_parameter, "A parameter of the URL."),
        Field("filterState", &HashPolicy::filter_state, "What a filter of Envoy left."),
    };
  }
};

struct Conf {
  std::optional<LocalityAwareness> locality_awareness;
  std::optional<LoadBalancer> load_balancer;
  std::optional<std::vector<HashPolicy>> hash_policies;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("localityAwareness", &Conf::locality_awareness, "Which endpoints are near."),
        Field("loadBalancer", &Conf::load_balancer, "How one of them is chosen."),
        Field("hashPolicies", &Conf::hash_policies,
              "What RingHash and Maglev hash, joined in this order."),
    };
  }
};

struct To {
  policy::TargetRef target_ref;
  Conf default_conf;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("targetRef", &To::target_ref, "The destinations.", model::Required{},
              policy::kToKinds),
        Field("default", &To::default_conf, "What holds for them."),
    };
  }
};

struct Spec {
  std::optional<policy::TargetRef> target_ref;
  std::vector<To> to;
  static constexpr auto Fields() {
    using model::Field;
    using model::Input;
    return std::tuple{
        Field("targetRef", &Spec::target_ref,
              "The proxies that are configured. Absent: all of the mesh.", policy::kTopKinds,
              Input{}),
        Field("to", &Spec::to, "Load balancing by destination.", Input{}),
    };
  }
};

const model::ResourceType& Schema();

}  // namespace kuma::policies::mesh_load_balancing_strategy

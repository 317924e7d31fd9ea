#pragma once

// MeshCircuitBreaker: limits of connections and requests, and the ejection of endpoints that fail.

#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

#include "model/fields.h"
#include "model/resource_type.h"
#include "policy/target_ref.h"

namespace kuma::policies::mesh_circuit_breaker {

using model::Duration;
using model::IntOrString;

struct ConnectionLimits {
  std::optional<uint32_t> max_connection_pools;
  std::optional<uint32_t> max_connections;
  std::optional<uint32_t> max_pending_requests;
  std::optional<uint32_t> max_retries;
  std::optional<uint32_t> max_requests;
  static constexpr auto Fields() {
    using model::Field;
    using model::Positive;
    return std::tuple{
        Field("maxConnectionPools", &ConnectionLimits::max_connection_pools,
              "Connection pools per cluster at the same time.", Positive{}),
        Field("maxConnections", &ConnectionLimits::max_connections,
              "Connections to the cluster at the same time.", Positive{}),
        Field("maxPendingRequests", &ConnectionLimits::max_pending_requests,
              "Requests that may wait for a connection.", Positive{}),
        Field("maxRetries", &ConnectionLimits::max_retries,
              "Retries to the cluster at the same time.", Positive{}),
        Field("maxRequests", &ConnectionLimits::max_requests,
              "Requests to the cluster at the same time.", Positive{}),
    };
  }
};

// Of totalFailures, gatewayFailures and localOriginFailures.
struct ConsecutiveDetector {
  std::optional<uint32_t> consecutive;
  static constexpr auto Fields() {
    return std::tuple{model::Field("consecutive", &ConsecutiveDetector::consecutive,
                                   "Failures in a row that eject an endpoint.", model::Positive{})};
  }
};
struct SuccessRate {
  std::optional<uint32_t> minimum_hosts;
  std::optional<uint32_t> request_volume;
  std::optional<IntOrString> standard_deviation_factor;
  static constexpr auto Fields() {
    using model::Field;
    using model::Positive;
    return std::tuple{
        Field("minimumHosts", &SuccessRate::minimum_hosts,
              "Endpoints with enough requests for a decision.", Positive{}),
        Field("requestVolume", &SuccessRate::request_volume,
              "Requests in an interval that are enough.", Positive{}),
        Field("standardDeviationFactor", &SuccessRate::standard_deviation_factor,
              "An endpoint is ejected when its success rate is below the mean less this many "
              "standard deviations. A "
              "number, or text with a decimal number."),
    };
  }
};
struct FailurePercentage {
  std::optional<uint32_t> minimum_hosts;
  std::optional<uint32_t> request_volume;
  std::optional<uint32_t> threshold;
  static constexpr auto Fields() {
    using model::Field;
    using model::Positive;
    return std::tuple{
        Field("minimumHosts", &FailurePercentage::minimum_hosts, "Endpoints needed for a decision.",
              Positive{}),
        Field("requestVolume", &FailurePercentage::request_volume,
              "Requests in an interval that are enough.", Positive{}),
        Field("threshold", &FailurePercentage::threshold,
              "Percentage of failures that ejects an endpoint."),
    };
  }
};
struct Detectors {
  std::optional<ConsecutiveDetector> total_failures;
  std::optional<ConsecutiveDetector> gateway_failures;
  std::optional<ConsecutiveDetector> local_origin_failures;
  std::optional<SuccessRate> success_rate;
  std::optional<FailurePercentage> failure_percentage;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("totalFailures", &Detectors::total_failures,
              "Failures of any sort, one after the other."),
        Field("gatewayFailures", &Detectors::gateway_failures,
              "Answers 502, 503, 504, one after the other."),
        Field("localOriginFailures", &Detectors::local_origin_failures,
              "Failures to connect, one after the other; only with splitExternalAndLocalErrors."),
        Field("successRate", &Detectors::success_rate,
              "Success rate compared with the other endpoints."),
        Field("failurePercentage", &Detectors::failure_percentage, "Percentage of failures."),
    };
  }
};
struct OutlierDetection {
  std::optional<bool> disabled;
  std::optional<Duration> interval;
  std::optional<Duration> base_ejection_time;
  std::optional<uint32_t> max_ejection_percent;
  std::optional<bool> split_external_and_local_errors;
  std::optional<Detectors> detectors;
  std::optional<IntOrString> healthy_panic_threshold;
  static constexpr auto Fields() {
    using model::Field;
    using model::Positive;
    return std::tuple{
        Field("disabled", &OutlierDetection::disabled, "true switches outlier detection off."),
        Field("interval", &OutlierDetection::interval, "Time between two looks at the endpoints.",
              Positive{}),
        Field("baseEjectionTime", &OutlierDetection::base_ejection_time,
              "Time of an ejection, multiplied by their number.", Positive{}),
        Field("maxEjectionPercent", &OutlierDetection::max_ejection_percent,
              "Percentage of the endpoints that may be ejected; always at least one. Default: 10."),
        Field("splitExternalAndLocalErrors", &OutlierDetection::split_external_and_local_errors,
              "Counts failures to connect apart from errors of the service."),
        Field("detectors", &OutlierDetection::detectors, "What counts as a failing endpoint."),
        Field("healthyPanicThreshold", &OutlierDetection::healthy_panic_threshold,
              "Percentage of healthy endpoints below which traffic goes to all of them. 0: never. "
              "Default: 50."),
    };
  }
};

struct Conf {
  std::optional<ConnectionLimits> connection_limits;
  std::optional<OutlierDetection> outlier_detection;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("connectionLimits", &Conf::connection_limits, "Limits of connections and requests."),
        Field("outlierDetection", &Conf::outlier_detection, "Ejection of endpoints that fail."),
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

struct Rule {
  Conf default_conf;
  static constexpr auto Fields() {
    return std::tuple{
        model::Field("default", &Rule::default_conf, "What holds for traffic that comes in.")};
  }
};

struct Spec {
  std::optional<policy::TargetRef> target_ref;
  std::vector<To> to;
  std::vector<Rule> rules;
  static constexpr auto Fields() {
    using model::Field;
    using model::Input;
    return std::tuple{
        Field("targetRef", &Spec::target_ref,
              "The proxies that are configured. Absent: all of the mesh.", policy::kTopKinds,
              Input{}),
        Field("to", &Spec::to, "For the proxies' outbounds.", Input{}),
        Field("rules", &Spec::rules, "For the proxies' inbounds.", Input{}),
    };
  }
};

const model::ResourceType& Schema();

}  // namespace kuma::policies::mesh_circuit_breaker

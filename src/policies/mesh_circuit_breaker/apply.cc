#include <chrono>

#include "envoy/builders.h"
#include "policies/mesh_circuit_breaker/mesh_circuit_breaker.h"
#include "policy/describe_policy.h"

namespace kuma::policies::mesh_circuit_breaker {
namespace {

namespace api = envoy::api;

api::CircuitBreakers::Thresholds& DefaultThreshold(envoy::ClusterDraft& cluster) {
  auto& breakers = *cluster.cluster.mutable_circuit_breakers();
  for (auto& threshold : *breakers.mutable_thresholds()) {
    if (threshold.priority() == ::envoy::config::core::v3::DEFAULT) return threshold;
  }
  return *breakers.add_thresholds();
}

// So that the statistics say how much is left, whatever the limits.
void TrackRemaining(envoy::ClusterDraft& cluster) {
  DefaultThreshold(cluster).set_track_remaining(true);
}

void ConfigureLimits(const ConnectionLimits& limits, envoy::ClusterDraft& cluster) {
  auto& threshold = DefaultThreshold(cluster);
  if (limits.max_connection_pools)
    threshold.mutable_max_connection_pools()->set_value(*limits.max_connection_pools);
  if (limits.max_connections)
    threshold.mutable_max_connections()->set_value(*limits.max_connections);
  if (limits.max_pending_requests)
    threshold.mutable_max_pending_requests()->set_value(*limits.max_pending_requests);
  if (limits.max_retries) threshold.mutable_max_retries()->set_value(*limits.max_retries);
  if (limits.max_requests) threshold.mutable_max_requests()->set_value(*limits.max_requests);
}

// A detector that is not configured is switched off: Envoy's defaults would let it eject.
uint32_t Enforce(bool on) { return on ? 100 : 0; }

template <class Wrapper>
bool Consecutive(const std::optional<ConsecutiveDetector>& detector, Wrapper* enforcing) {
  const bool on = detector && detector->consecutive;
  enforcing->set_value(Enforce(on));
  return on;
}

base::Status ConfigureDetectors(const std::optional<Detectors>& given, api::OutlierDetection& out) {
  const Detectors detectors = given.value_or(Detectors());
  if (Consecutive(detectors.total_failures, out.mutable_enforcing_consecutive_5xx()))
    out.mutable_consecutive_5xx()->set_value(*detectors.total_failures->consecutive);
  if (Consecutive(detectors.local_origin_failures,
                  out.mutable_enforcing_consecutive_local_origin_failure()))
    out.mutable_consecutive_local_origin_failure()->set_value(
        *detectors.local_origin_failures->consecutive);
  if (Consecutive(detectors.gateway_failures, out.mutable_enforcing_consecutive_gateway_failure()))
    out.mutable_consecutive_gateway_failure()->set_value(*detectors.gateway_failures->consecutive);
  if (!given) return base::Ok{};

  const uint32_t by_rate = Enforce(detectors.success_rate.has_value());
  out.mutable_enforcing_success_rate()->set_value(by_rate);
  out.mutable_enforcing_local_origin_success_rate()->set_value(by_rate);
  if (const auto& rate = detectors.success_rate) {
    if (rate->minimum_hosts)
      out.mutable_success_rate_minimum_hosts()->set_value(*rate->minimum_hosts);
    if (rate->request_volume)
      out.mutable_success_rate_request_volume()->set_value(*rate->request_volume);
    if (rate->standard_deviation_factor) {
      const std::optional<double> factor = rate->standard_deviation_factor->Number();
      if (!factor) return base::Invalid("standardDeviationFactor is not a number");
      constexpr double kEnvoyScale = 1000;
      constexpr double kRounding = 1e-6;  // 1.9 * 1000 is 1899.99...
      out.mutable_success_rate_stdev_factor()->set_value(
          static_cast<uint32_t>(*factor * kEnvoyScale + kRounding));
    }
  }

  const uint32_t by_percentage = Enforce(detectors.failure_percentage.has_value());
  out.mutable_enforcing_failure_percentage()->set_value(by_percentage);
  out.mutable_enforcing_failure_percentage_local_origin()->set_value(by_percentage);
  if (const auto& percentage = detectors.failure_percentage) {
    if (percentage->minimum_hosts)
      out.mutable_failure_percentage_minimum_hosts()->set_value(*percentage->minimum_hosts);
    if (percentage->request_volume)
      out.mutable_failure_percentage_request_volume()->set_value(*percentage->request_volume);
    if (percentage->threshold)
      out.mutable_failure_percentage_threshold()->set_value(*percentage->threshold);
  }
  return base::Ok{};
}

base::Status ConfigureOutliers(const OutlierDetection& conf, envoy::ClusterDraft& cluster) {
  if (conf.disabled.value_or(false)) return base::Ok{};
  api::OutlierDetection& out = *cluster.cluster.mutable_outlier_detection();
  if (conf.interval) envoy::SetDuration(conf.interval->value, out.mutable_interval());
  if (conf.base_ejection_time)
    envoy::SetDuration(conf.base_ejection_time->value, out.mutable_base_ejection_time());
  if (conf.split_external_and_local_errors)
    out.set_split_external_local_origin_errors(*conf.split_external_and_local_errors);
  if (conf.max_ejection_percent)
    out.mutable_max_ejection_percent()->set_value(*conf.max_ejection_percent);
  TRY(ConfigureDetectors(conf.detectors, out));
  if (conf.healthy_panic_threshold) {
    const std::optional<double> percent = conf.healthy_panic_threshold->Number();
    if (!percent) return base::Invalid("healthyPanicThreshold is not a number");
    cluster.cluster.mutable_common_lb_config()->mutable_healthy_panic_threshold()->set_value(
        *percent);
  }
  return base::Ok{};
}

base::Status Configure(const Conf* conf, envoy::ClusterDraft& cluster) {
  TrackRemaining(cluster);
  if (conf == nullptr) return base::Ok{};
  if (conf->connection_limits) ConfigureLimits(*conf->connection_limits, cluster);
  if (conf->outlier_detection) TRY(ConfigureOutliers(*conf->outlier_detection, cluster));
  return base::Ok{};
}

base::Status ApplyCluster(const policy::ClusterContext& context, envoy::ClusterDraft& cluster) {
  return Configure(context.Conf<Conf>(), cluster);
}

base::Status ApplyInbound(const policy::InboundContext& context, envoy::InboundDraft& inbound) {
  return Configure(context.Conf<Conf>(), inbound.cluster);
}

base::Status ApplyProxy(const policy::ProxyContext&, envoy::ProxyDraft& proxy) {
  proxy.ForEachCluster(TrackRemaining);
  return base::Ok{};
}

}  // namespace

policy::PolicyType Policy() {
  return policy::Describe<Spec, Conf>(Schema(), {.listener = nullptr,
                                                 .cluster = ApplyCluster,
                                                 .endpoints = nullptr,
                                                 .inbound = ApplyInbound,
                                                 .proxy = ApplyProxy});
}

}  // namespace kuma::policies::mesh_circuit_breaker

#include "policies/mesh_circuit_breaker/mesh_circuit_breaker.h"

#include "model/describe.h"

namespace kuma::policies::mesh_circuit_breaker {
namespace {

using model::IndexPath;
using model::JoinPath;
using policy::TargetKind;

void CheckPercent(const std::optional<uint32_t>& value, std::string path, model::Violations& out) {
  if (value && *value > 100) out.Add(std::move(path), "must be in inclusive range [0, 100]");
}

void ValidateOutlierDetection(const OutlierDetection& detection, const std::string& path,
                              model::Violations& out) {
  CheckPercent(detection.max_ejection_percent, JoinPath(path, "maxEjectionPercent"), out);
  policy::ValidatePercentage(detection.healthy_panic_threshold,
                             JoinPath(path, "healthyPanicThreshold"), out);
  const std::string at = JoinPath(path, "detectors");
  if (!detection.detectors) {
    out.Add(at, std::string(policy::kMustBeDefined), "without a detector no endpoint is ejected");
    return;
  }
  const Detectors& detectors = *detection.detectors;
  if (!detectors.total_failures && !detectors.gateway_failures &&
      !detectors.local_origin_failures && !detectors.success_rate && !detectors.failure_percentage)
    out.Add(at,
            policy::MustHaveAtLeastOne({"totalFailures", "gatewayFailures", "localOriginFailures",
                                        "successRate", "failurePercentage"}));
  if (detectors.success_rate && detectors.success_rate->standard_deviation_factor) {
    const std::optional<double> factor =
        detectors.success_rate->standard_deviation_factor->Number();
    const std::string factor_path = JoinPath(at, "successRate.standardDeviationFactor");
    if (!factor)
      out.Add(factor_path, "invalid number");
    else if (*factor <= 0)
      out.Add(factor_path, "must be greater than 0");
  }
  if (detectors.failure_percentage)
    CheckPercent(detectors.failure_percentage->threshold,
                 JoinPath(at, "failurePercentage.threshold"), out);
}

void ValidateConf(const Conf& conf, const std::string& path, model::Violations& out) {
  if (!conf.connection_limits && !conf.outlier_detection)
    out.Add(path, "at least one of: 'connectionLimits' or 'outlierDetection' should be configured");
  if (conf.outlier_detection)
    ValidateOutlierDetection(*conf.outlier_detection, JoinPath(path, "outlierDetection"), out);
}

void Validate(const model::Resource& resource, model::Violations& out) {
  const Spec& spec = resource.Spec<Spec>();
  policy::ValidateTopTargetRef(spec.target_ref, !spec.rules.empty(), out);
  if (spec.to.empty() && spec.rules.empty())
    out.Add("spec", "at least one of 'to' or 'rules' has to be defined");
  for (size_t i = 0; i < spec.to.size(); ++i) {
    const std::string path = IndexPath("spec.to", i);
    out.AppendAt(JoinPath(path, "targetRef"),
                 policy::ValidateTargetRef(
                     spec.to[i].target_ref,
                     {TargetKind::kMesh, TargetKind::kMeshService, TargetKind::kMeshExternalService,
                      TargetKind::kMeshMultiZoneService}));
    ValidateConf(spec.to[i].default_conf, JoinPath(path, "default"), out);
  }
  for (size_t i = 0; i < spec.rules.size(); ++i)
    ValidateConf(spec.rules[i].default_conf, JoinPath(IndexPath("spec.rules", i), "default"), out);
}

}  // namespace

const model::ResourceType& Schema() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "MeshCircuitBreaker",
      .singular = "meshcircuitbreaker",
      .plural = "meshcircuitbreakers",
      .short_name = "mcb",
      .singular_display_name = "Mesh Circuit Breaker",
      .plural_display_name = "Mesh Circuit Breakers",
      .is_policy = true,
      .in_federation_export = true,
      .global_to_zones = true,
      .zone_to_global = true,
      .across_zones = true,
      .hashed_name = true,
      .validate = Validate,
  });
  return type;
}

}  // namespace kuma::policies::mesh_circuit_breaker

#include "policies/mesh_health_check/mesh_health_check.h"

#include "model/describe.h"

namespace kuma::policies::mesh_health_check {
namespace {

using model::IndexPath;
using model::JoinPath;
using model::Violations;
using policy::TargetKind;

constexpr int32_t kFirstStatus = 100;
constexpr int32_t kLastStatus = 599;

void CheckCount(const std::optional<int32_t>& count, std::string path, Violations& out) {
  if (count && *count <= 0) out.Add(std::move(path), "must be greater than zero when defined");
}

bool IsAbsolutePath(std::string_view path) {
  return path.starts_with('/') && path.find('\0') == std::string_view::npos;
}

void ValidateHttp(const Http& http, const std::string& path, Violations& out) {
  if (http.path && http.path->empty())
    out.Add(JoinPath(path, "path"), std::string(policy::kMustBeDefined));
  if (!http.expected_statuses) return;
  for (size_t i = 0; i < http.expected_statuses->size(); ++i) {
    const int32_t status = (*http.expected_statuses)[i];
    if (status < kFirstStatus || status > kLastStatus)
      out.Add(IndexPath(JoinPath(path, "expectedStatuses"), i),
              "must be in inclusive range [100, 599]");
  }
}

void ValidateConf(const Conf& conf, const std::string& path, Violations& out) {
  CheckCount(conf.unhealthy_threshold, JoinPath(path, "unhealthyThreshold"), out);
  CheckCount(conf.healthy_threshold, JoinPath(path, "healthyThreshold"), out);
  if (const auto& percent = conf.interval_jitter_percent;
      percent && (*percent < 0 || *percent > 100))
    out.Add(JoinPath(path, "intervalJitterPercent"), "must be in inclusive range [0, 100]");
  if (conf.event_log_path && !IsAbsolutePath(*conf.event_log_path))
    out.Add(JoinPath(path, "eventLogPath"), "must be a valid path when defined",
            "an absolute path on the proxy's machine: /var/log/health.log");
  if (conf.http) ValidateHttp(*conf.http, JoinPath(path, "http"), out);
  if (!conf.http && !conf.tcp && !conf.grpc)
    out.Add(path, policy::MustHaveAtLeastOne({"http", "tcp", "grpc"}));
}

void Validate(const model::Resource& resource, Violations& out) {
  const Spec& spec = resource.Spec<Spec>();
  policy::ValidateTopTargetRef(spec.target_ref, false, out);
  for (size_t i = 0; i < spec.to.size(); ++i) {
    const std::string path = IndexPath("spec.to", i);
    out.AppendAt(JoinPath(path, "targetRef"),
                 policy::ValidateTargetRef(
                     spec.to[i].target_ref,
                     {TargetKind::kMesh, TargetKind::kMeshService, TargetKind::kMeshExternalService,
                      TargetKind::kMeshMultiZoneService}));
    ValidateConf(spec.to[i].default_conf, JoinPath(path, "default"), out);
  }
}

}  // namespace

const model::ResourceType& Schema() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "MeshHealthCheck",
      .singular = "meshhealthcheck",
      .plural = "meshhealthchecks",
      .short_name = "mhc",
      .singular_display_name = "Mesh Health Check",
      .plural_display_name = "Mesh Health Checks",
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

}  // namespace kuma::policies::mesh_health_check

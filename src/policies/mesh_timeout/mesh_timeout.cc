#include "policies/mesh_timeout/mesh_timeout.h"

#include "model/describe.h"

namespace kuma::policies::mesh_timeout {
namespace {

using model::IndexPath;
using model::JoinPath;
using policy::TargetKind;

void ValidateConf(const Conf& conf, const std::string& path, model::Violations& out) {
  if (!conf.connection_timeout && !conf.idle_timeout && !conf.http)
    out.Add(path, "at least one timeout should be configured");
  if (!conf.http) return;
  const Http& http = *conf.http;
  if (!http.request_timeout && !http.stream_idle_timeout && !http.max_stream_duration &&
      !http.max_connection_duration && !http.request_headers_timeout)
    out.Add(JoinPath(path, "http"), "at least one timeout in this section should be configured");
}

void Validate(const model::Resource& resource, model::Violations& out) {
  const Spec& spec = resource.Spec<Spec>();
  policy::ValidateTopTargetRef(spec.target_ref, !spec.rules.empty(), out);
  if (spec.to.empty() && spec.rules.empty())
    out.Add("spec", "at least one of 'to' or 'rules' has to be defined");
  if (!spec.to.empty() && !spec.rules.empty())
    out.Add("spec", "fields 'to' must be empty when 'rules' is defined",
            "make two policies: one for outbounds with 'to', one for inbounds with 'rules'");
  for (size_t i = 0; i < spec.to.size(); ++i) {
    const std::string path = IndexPath("spec.to", i);
    out.AppendAt(JoinPath(path, "targetRef"),
                 policy::ValidateTargetRef(
                     spec.to[i].target_ref,
                     {TargetKind::kMesh, TargetKind::kMeshService, TargetKind::kMeshExternalService,
                      TargetKind::kMeshMultiZoneService, TargetKind::kMeshHttpRoute}));
    ValidateConf(spec.to[i].default_conf, JoinPath(path, "default"), out);
  }
  for (size_t i = 0; i < spec.rules.size(); ++i) {
    const std::string path = IndexPath("spec.rules", i);
    out.AppendAt(JoinPath(path, "matches"), policy::ValidateMatches(spec.rules[i].matches));
    ValidateConf(spec.rules[i].default_conf, JoinPath(path, "default"), out);
  }
}

}  // namespace

const model::ResourceType& Schema() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "MeshTimeout",
      .singular = "meshtimeout",
      .plural = "meshtimeouts",
      .short_name = "mt",
      .singular_display_name = "Mesh Timeout",
      .plural_display_name = "Mesh Timeouts",
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

}  // namespace kuma::policies::mesh_timeout

#include "policies/mesh_load_balancing_strategy/mesh_load_balancing_strategy.h"

#include <algorithm>

#include "base/format.h"
#include "model/describe.h"

namespace kuma::policies::mesh_load_balancing_strategy {
namespace {

using model::IndexPath;
using model::JoinPath;
using model::NameOf;
using model::Violations;
using policy::TargetKind;

void ValidateLocalZone(const LocalZone& zone, const std::string& path, Violations& out) {
  if (!zone.affinity_tags) return;
  const std::string tags = JoinPath(path, "affinityTags");
  size_t weights = 0;
  for (size_t i = 0; i < zone.affinity_tags->size(); ++i) {
    const AffinityTag& tag = (*zone.affinity_tags)[i];
    if (tag.key.empty())
      out.Add(JoinPath(IndexPath(tags, i), "key"), std::string(policy::kMustNotBeEmpty));
    weights += tag.weight.has_value();
  }
  if (weights != 0 && weights != zone.affinity_tags->size())
    out.Add(tags, "all or none affinity tags should have weight");
}

void ValidateFailover(const Failover& failover, const std::string& path, Violations& out) {
  if (failover.from) {
    const std::string zones = JoinPath(path, "from.zones");
    if (failover.from->zones.empty()) out.Add(zones, std::string(policy::kMustNotBeEmpty));
    for (size_t i = 0; i < failover.from->zones.size(); ++i) {
      if (failover.from->zones[i].empty())
        out.Add(IndexPath(zones, i), std::string(policy::kMustNotBeEmpty));
    }
  }
  const bool has_zones = failover.to.zones && !failover.to.zones->empty();
  const std::string zones = JoinPath(path, "to.zones");
  switch (failover.to.type) {
    case ToZoneType::kAny:
    case ToZoneType::kNone:
      if (has_zones)
        out.Add(zones, base::Format("must be empty when type is {}", NameOf(failover.to.type)));
      break;
    case ToZoneType::kAnyExcept:
    case ToZoneType::kOnly:
      if (!has_zones)
        out.Add(zones, base::Format("must not be empty when type is {}", NameOf(failover.to.type)));
      break;
    case ToZoneType::kUnknown: out.Add(JoinPath(path, "to.type"), "unrecognized type"); break;
  }
}

void ValidateThreshold(const IntOrString& percentage, const std::string& path, Violations& out) {
  if (percentage.Number() == 0.0)
    out.Add(path, "must be greater than 0");
  else
    policy::ValidatePercentage(percentage, path, out);
}

void ValidateCrossZone(const CrossZone& cross, const To& to, const std::string& path,
                       Violations& out) {
  if (to.target_ref.kind == TargetKind::kMeshService &&
      (!to.target_ref.labels.empty() || !to.target_ref.section_name.value_or("").empty()))
    out.Add(path, "must not be set: MeshService traffic is local",
            "endpoints in several zones belong to a MeshMultiZoneService");
  if (cross.failover) {
    for (size_t i = 0; i < cross.failover->size(); ++i)
      ValidateFailover((*cross.failover)[i], IndexPath(JoinPath(path, "failover"), i), out);
  }
  if (cross.failover_threshold)
    ValidateThreshold(cross.failover_threshold->percentage,
                      JoinPath(path, "failoverThreshold.percentage"), out);
}

void ValidateLocality(const LocalityAwareness& locality, const To& to, const std::string& path,
                      Violations& out) {
  if (locality.local_zone)
    ValidateLocalZone(*locality.local_zone, JoinPath(path, "localZone"), out);
  if (locality.cross_zone)
    ValidateCrossZone(*locality.cross_zone, to, JoinPath(path, "crossZone"), out);
}

void ValidateBalancer(const LoadBalancer& balancer, const std::string& path, Violations& out) {
  if (balancer.type != LoadBalancerType::kLeastRequest || !balancer.least_request) return;
  const auto& bias = balancer.least_request->active_request_bias;
  if (!bias) return;
  const std::string at = JoinPath(path, "leastRequest.activeRequestBias");
  const std::optional<double> number = bias->Number();
  if (!number)
    out.Add(at, "string must be a valid number");
  else if (*number < 0)
    out.Add(at, "must be greater or equal then: 0");
}

void ValidateHashPolicy(const HashPolicy& policy, const std::string& path, Violations& out) {
  const auto must_be = [&](const auto& member, std::string_view name) {
    if (!member) out.Add(JoinPath(path, name), std::string(policy::kMustBeDefined));
  };
  switch (policy.type) {
    case HashPolicyType::kHeader: must_be(policy.header, "header"); break;
    case HashPolicyType::kCookie:
      must_be(policy.cookie, "cookie");
      if (policy.cookie && policy.cookie->path && !policy.cookie->path->starts_with('/'))
        out.Add(JoinPath(path, "cookie.path"), "must be an absolute path");
      break;
    case HashPolicyType::kConnection: must_be(policy.connection, "connection"); break;
    case HashPolicyType::kQueryParameter: must_be(policy.query_parameter, "queryParameter"); break;
    case HashPolicyType::kFilterState: must_be(policy.filter_state, "filterState"); break;
    case HashPolicyType::kUnknown: out.Add(JoinPath(path, "type"), "unrecognized type"); break;
  }
}

void ValidateConf(const To& to, const std::string& path, Violations& out) {
  const Conf& conf = to.default_conf;
  if (to.target_ref.kind == TargetKind::kMeshHttpRoute) {
    constexpr std::string_view kNotForRoutes =
        "field is not allowed when targetRef.kind is MeshHTTPRoute, only hashPolicies is supported";
    if (conf.load_balancer) out.Add(JoinPath(path, "loadBalancer"), std::string(kNotForRoutes));
    if (conf.locality_awareness)
      out.Add(JoinPath(path, "localityAwareness"), std::string(kNotForRoutes));
  } else {
    if (conf.load_balancer)
      ValidateBalancer(*conf.load_balancer, JoinPath(path, "loadBalancer"), out);
    if (conf.locality_awareness)
      ValidateLocality(*conf.locality_awareness, to, JoinPath(path, "localityAwareness"), out);
  }
  if (!conf.hash_policies) return;
  for (size_t i = 0; i < conf.hash_policies->size(); ++i)
    ValidateHashPolicy((*conf.hash_policies)[i], IndexPath(JoinPath(path, "hashPolicies"), i), out);
}

void Validate(const model::Resource& resource, Violations& out) {
  const Spec& spec = resource.Spec<Spec>();
  policy::ValidateTopTargetRef(spec.target_ref, false, out);
  for (size_t i = 0; i < spec.to.size(); ++i) {
    const std::string path = IndexPath("spec.to", i);
    out.AppendAt(JoinPath(path, "targetRef"),
                 policy::ValidateToTargetRef(std::nullopt, spec.to[i].target_ref));
    ValidateConf(spec.to[i], JoinPath(path, "default"), out);
  }
}

}  // namespace

const model::ResourceType& Schema() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "MeshLoadBalancingStrategy",
      .singular = "meshloadbalancingstrategy",
      .plural = "meshloadbalancingstrategies",
      .short_name = "mlbs",
      .singular_display_name = "Mesh Load Balancing Strategy",
      .plural_display_name = "Mesh Load Balancing Strategies",
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

}  // namespace kuma::policies::mesh_load_balancing_strategy

#include "policy/internal/precedence.h"

#include "model/names.h"

namespace kuma::policy {

int KindRank(TargetKind kind) {
  switch (kind) {
    case TargetKind::kMesh: return 1;
    case TargetKind::kDataplane: return 2;
    case TargetKind::kMeshService: return 5;
    case TargetKind::kMeshExternalService: return 6;
    case TargetKind::kMeshMultiZoneService: return 7;
    case TargetKind::kMeshHttpRoute: return 9;
    default: return 0;
  }
}

PolicyRank RankOf(const TargetRef* target, const model::Metadata& meta) {
  PolicyRank rank;
  rank.kind = KindRank(target == nullptr ? TargetKind::kMesh : target->kind.value());
  rank.section = target != nullptr && target->kind == TargetKind::kDataplane &&
                 target->section_name && !target->section_name->empty();
  const std::string_view origin = meta.Label(model::kOriginLabel);
  rank.origin = origin == "global" ? 1 : origin == "zone" ? 3 : 2;
  const std::string_view role = meta.Label(model::kPolicyRoleLabel);
  rank.role = role == "producer" ? 2 : role == "consumer" ? 3 : role == "workload-owner" ? 4 : 1;
  return rank;
}

bool HasLabels(const model::Metadata& meta, const model::Labels& labels) {
  for (const auto& [key, value] : labels) {
    if (key == model::kDisplayNameLabel) {
      if (model::DisplayName(meta) != value) return false;
      continue;
    }
    const auto found = meta.labels.find(key);
    if (found == meta.labels.end() || found->second != value) return false;
  }
  return true;
}

bool SeesNamespaceOf(const model::Metadata& policy, const model::Metadata& resource) {
  const std::string_view role = policy.Label(model::kPolicyRoleLabel);
  if (role != "consumer" && role != "workload-owner") return true;
  const auto own = policy.labels.find(std::string(model::kNamespaceLabel));
  return own != policy.labels.end() && own->second == resource.Label(model::kNamespaceLabel);
}

}  // namespace kuma::policy

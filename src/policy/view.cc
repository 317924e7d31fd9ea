#include "policy/view.h"

#include <algorithm>

#include "base/hash.h"
#include "model/names.h"
#include "policy/internal/precedence.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::policy {
namespace {

bool SelectsZone(const model::Metadata& policy, const model::Metadata& dataplane) {
  if (policy.Label(model::kPolicyRoleLabel) == "producer") return true;
  const std::string_view origin = dataplane.Label(model::kOriginLabel);
  if (origin.empty() || origin == "global") return true;
  const std::string_view zone = policy.Label(model::kZoneLabel);
  if (policy.Label(model::kOriginLabel) != "zone" || zone.empty()) return true;
  return dataplane.Label(model::kZoneLabel) == zone;
}

// A policy for a section that the Dataplane does not have selects nothing of it.
bool HasSection(const resources::dataplane::Spec& spec, std::string_view section) {
  if (!spec.networking) return false;
  for (const auto& inbound : spec.networking->inbound) {
    if (section.empty() || inbound.SectionName() == section) return true;
  }
  for (const auto& listener : spec.networking->listeners) {
    if (section.empty() || listener.SectionName() == section) return true;
  }
  return false;
}

const TargetRef* TargetOf(const PolicyType& type, const model::Resource& policy) {
  return type.spec.target == nullptr ? nullptr : type.spec.target(policy);
}

std::string LabelKey(std::string_view key, std::string_view value) {
  std::string text(key);
  text.push_back('=');
  text.append(value);
  return text;
}

bool IsShadow(const model::Resource& policy) {
  return policy.meta().Label(model::kEffectLabel) == "shadow";
}

ViewPtr MakeView(const std::string& mesh, std::vector<model::ResourceKey> policies) {
  auto view = std::make_shared<View>();
  view->mesh = mesh;
  view->policies = std::move(policies);
  base::Hasher hasher;
  hasher.Add(mesh);
  for (const model::ResourceKey& key : view->policies) hasher.Add(key.kind).Add(key.name);
  view->hash = hasher.Finish().low;
  return view;
}

}  // namespace

bool Selects(const PolicyType& type, const model::Resource& policy,
             const model::Resource& dataplane) {
  const model::Metadata& meta = dataplane.meta();
  if (!SelectsZone(policy.meta(), meta) || !SeesNamespaceOf(policy.meta(), meta)) return false;
  const auto& spec = dataplane.Spec<resources::dataplane::Spec>();
  const bool delegated_gateway = spec.networking && spec.networking->gateway;
  const TargetRef* target = TargetOf(type, policy);
  if (target == nullptr || target->kind == TargetKind::kMesh)
    return delegated_gateway || HasSection(spec, {});
  if (target->kind != TargetKind::kDataplane) return false;
  if (!HasLabels(meta, target->labels)) return false;
  return delegated_gateway || HasSection(spec, target->section_name.value_or(std::string()));
}

int ComparePrecedence(const PolicyType& type, const model::Resource& a, const model::Resource& b) {
  const auto rank = RankOf(TargetOf(type, a), a.meta()) <=> RankOf(TargetOf(type, b), b.meta());
  if (rank != 0) return rank < 0 ? -1 : 1;
  return model::DisplayName(b.meta()).compare(model::DisplayName(a.meta()));
}

ViewIndex::ViewIndex(const mesh::MeshSnapshot& mesh, const PolicyTable& table, Shadow shadow)
    : mesh_(mesh.name()) {
  for (const PolicyType& type : table) {
    const size_t first = entries_.size();
    mesh.Of(type.kind()).ForEach([&](const std::string&, const model::ResourcePtr& policy) {
      if (shadow == Shadow::kInclude || !IsShadow(*policy)) entries_.push_back({policy, &type});
    });
    std::stable_sort(entries_.begin() + static_cast<std::ptrdiff_t>(first), entries_.end(),
                     [&type](const Entry& a, const Entry& b) {
                       return ComparePrecedence(type, *a.policy, *b.policy) < 0;
                     });
  }
  for (size_t i = 0; i < entries_.size(); ++i) {
    const TargetRef* target = TargetOf(*entries_[i].type, *entries_[i].policy);
    if (target == nullptr || target->labels.empty()) {
      for_all_.push_back(i);
    } else {
      const auto& [key, value] = *target->labels.begin();
      by_label_[LabelKey(key, value)].push_back(i);
    }
  }
}

ViewPtr ViewIndex::Select(const model::Resource& dataplane) const {
  std::vector<size_t> candidates = for_all_;
  const auto add = [&](std::string_view key, std::string_view value) {
    const auto found = by_label_.find(LabelKey(key, value));
    if (found != by_label_.end())
      candidates.insert(candidates.end(), found->second.begin(), found->second.end());
  };
  const model::Metadata& meta = dataplane.meta();
  for (const auto& [key, value] : meta.labels) add(key, value);
  if (meta.Label(model::kDisplayNameLabel).empty()) add(model::kDisplayNameLabel, meta.name);
  std::erase_if(candidates, [&](size_t i) {
    return !Selects(*entries_[i].type, *entries_[i].policy, dataplane);
  });
  std::sort(candidates.begin(), candidates.end());
  std::vector<model::ResourceKey> keys;
  keys.reserve(candidates.size());
  for (const size_t i : candidates) keys.push_back(entries_[i].policy->key());
  return MakeView(mesh_, std::move(keys));
}

ViewPtr SelectView(const mesh::MeshSnapshot& mesh, const model::Resource& dataplane,
                   const PolicyTable& table, Shadow shadow) {
  return ViewIndex(mesh, table, shadow).Select(dataplane);
}

SlotUse SlotUseOf(const View& view, const mesh::MeshSnapshot& mesh, const PolicyTable& table) {
  SlotUse use;
  for (const PolicyType& type : table) {
    if (type.slots == nullptr) continue;
    for (const model::ResourceKey& key : view.policies) {
      if (key.kind != type.kind()) continue;
      if (const model::ResourcePtr policy = mesh.Find(key.kind, key.name))
        use = use | type.slots(*policy);
    }
  }
  return use;
}

}  // namespace kuma::policy

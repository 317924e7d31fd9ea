#pragma once

// policy::Describe<Spec>(schema, hooks) makes the row of a policy from its spec struct:
//
//   policy::PolicyType Policy() {
//     return policy::Describe<Spec>(Type(), {.listener = ApplyListener, .cluster = ApplyCluster});
//   }
//
// A spec has `target_ref` and any of: `to` (entries with `target_ref` and `default_conf`), `rules`
// (entries with `default_conf` and maybe `matches`), `default_conf` (for the whole proxy).

#include <optional>
#include <utility>
#include <vector>

#include "model/fields.h"
#include "policy/policy_type.h"
#include "policy/target_ref.h"

namespace kuma::policy {
namespace describe {

template <class T>
const T* Pointer(const T& value) {
  return &value;
}
template <class T>
const T* Pointer(const std::optional<T>& value) {
  return value ? &*value : nullptr;
}
template <class T>
struct Plain {
  using Type = T;
};
template <class T>
struct Plain<std::optional<T>> {
  using Type = T;
};

inline std::vector<TrafficMatch> MatchesOf(const std::vector<Match>& matches) {
  std::vector<TrafficMatch> result;
  for (const Match& match : matches) {
    TrafficMatch& out = result.emplace_back();
    if (match.spiffe_id) {
      const bool prefix = match.spiffe_id->type == SpiffeIdMatchType::kPrefix;
      out.spiffe_id =
          TextMatch{prefix ? MatchType::kPrefix : MatchType::kExact, match.spiffe_id->value};
    }
    if (match.sni) out.sni = TextMatch{MatchType::kExact, match.sni->value};
  }
  return result;
}

template <class Spec>
SpecOps SpecOpsOf() {
  SpecOps ops;
  if constexpr (requires(const Spec& spec) { spec.target_ref; }) {
    ops.target = [](const model::Resource& resource) -> const TargetRef* {
      return Pointer(resource.Spec<Spec>().target_ref);
    };
  }
  if constexpr (requires(const Spec& spec) { spec.to; }) {
    ops.to = [](const model::Resource& resource) {
      std::vector<ToItem> items;
      const auto* list = Pointer(resource.Spec<Spec>().to);
      if (list == nullptr) return items;
      for (const auto& entry : *list) {
        if constexpr (requires { entry.default_conf; }) {
          items.push_back({&entry.target_ref, Pointer(entry.default_conf)});
        } else {
          items.push_back({&entry.target_ref, &entry});
        }
      }
      return items;
    };
  }
  if constexpr (requires(const Spec& spec) { spec.rules; }) {
    ops.rules = [](const model::Resource& resource) {
      std::vector<RuleItem> items;
      const auto* list = Pointer(resource.Spec<Spec>().rules);
      if (list == nullptr) return items;
      for (const auto& entry : *list) {
        RuleItem& item = items.emplace_back();
        item.conf = Pointer(entry.default_conf);
        if constexpr (requires { entry.matches; }) {
          if (const auto* matches = Pointer(entry.matches)) item.matches = MatchesOf(*matches);
        }
      }
      return items;
    };
  }
  if constexpr (requires(const Spec& spec) { spec.default_conf; }) {
    ops.proxy = [](const model::Resource& resource) -> const void* {
      return Pointer(resource.Spec<Spec>().default_conf);
    };
  }
  return ops;
}

template <class C>
ConfOps ConfOpsOf() {
  ConfOps ops;
  ops.tag = ConfTag<C>();
  ops.merge = [](std::span<const MergeInput> inputs) -> std::shared_ptr<const void> {
    auto merged = std::make_shared<C>();
    bool first = true;
    for (const MergeInput& input : inputs) {
      if (input.conf == nullptr) continue;
      const C& conf = *static_cast<const C*>(input.conf);
      *merged = std::exchange(first, false) ? conf : model::Merge(std::move(*merged), conf);
    }
    return merged;
  };
  ops.encode = [](const void* merged) { return model::Encode(*static_cast<const C*>(merged)); };
  ops.hash = [](const void* merged, base::Hasher& hasher) {
    hasher.Add(model::Hash(*static_cast<const C*>(merged)));
  };
  return ops;
}

}  // namespace describe

// For kinds whose confs merge field by field. C: the conf struct.
template <class Spec, class C>
PolicyType Describe(const model::ResourceType& schema, Hooks hooks) {
  return {&schema, describe::SpecOpsOf<Spec>(), describe::ConfOpsOf<C>(), hooks};
}

// For kinds with a merge of their own.
template <class Spec>
PolicyType DescribeMerged(const model::ResourceType& schema, ConfOps conf, Hooks hooks) {
  return {&schema, describe::SpecOpsOf<Spec>(), conf, hooks};
}

}  // namespace kuma::policy

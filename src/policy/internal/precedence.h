#pragma once

// What decides precedence between policies of one kind.

#include <compare>
#include <string>

#include "model/resource.h"
#include "policy/policy_type.h"
#include "policy/target_ref.h"

namespace kuma::policy {

// Order of kinds in a targetRef: a later one is more specific.
int KindRank(TargetKind kind);

// The part of precedence that comes before what entries target. A greater one wins.
struct PolicyRank {
  int kind = 0;
  int section = 0;
  int origin = 0;
  int role = 0;
  auto operator<=>(const PolicyRank&) const = default;
};
PolicyRank RankOf(const TargetRef* target, const model::Metadata& meta);

// All labels are there with these values. kuma.io/display-name falls back to the name.
bool HasLabels(const model::Metadata& meta, const model::Labels& labels);

// Consumer and workload-owner policies see only resources of their own namespace.
bool SeesNamespaceOf(const model::Metadata& policy, const model::Metadata& resource);

}  // namespace kuma::policy

#pragma once

// Which policies select a proxy.

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "mesh/mesh_state.h"
#include "policy/policy_type.h"

namespace kuma::policy {

// The ordered list of policies whose top-level targetRef selects a proxy. Its identity is the list
// of keys: editing a policy's content keeps it. Immutable.
struct View {
  std::string mesh;
  std::vector<model::ResourceKey>
      policies;       // in the order of the policy table, then by precedence (least specific first)
  uint64_t hash = 0;  // of the above
  bool operator==(const View& other) const {
    return hash == other.hash && mesh == other.mesh && policies == other.policies;
  }
};
using ViewPtr = std::shared_ptr<const View>;

// Policies with label kuma.io/effect=shadow change nothing; inspection can ask what they would do.
enum class Shadow : uint8_t { kIgnore, kInclude };

// The policies of one mesh, indexed by what they select. Immutable; holds the policies alive. Make
// it once per change of policies, then select views for many proxies: the cost of a view is in
// proportion to its length.
class ViewIndex {
 public:
  // REQUIRES: `table` outlives this.
  ViewIndex(const mesh::MeshSnapshot& mesh, const PolicyTable& table,
            Shadow shadow = Shadow::kIgnore);
  ViewPtr Select(const model::Resource& dataplane) const;

 private:
  struct Entry {
    model::ResourcePtr policy;
    const PolicyType* type;
  };
  std::string mesh_;
  std::vector<Entry> entries_;   // in the order of views
  std::vector<size_t> for_all_;  // of entries_: those without labels in targetRef
  std::unordered_map<std::string, std::vector<size_t>>
      by_label_;  // "key=value": the first label of the targetRef
};

// The same without an index: for a single proxy.
ViewPtr SelectView(const mesh::MeshSnapshot& mesh, const model::Resource& dataplane,
                   const PolicyTable& table, Shadow shadow = Shadow::kIgnore);

// What the policies of the view use of the proxy in shared cells.
SlotUse SlotUseOf(const View& view, const mesh::MeshSnapshot& mesh, const PolicyTable& table);

// Does the policy's top-level targetRef select the Dataplane (or a part of it)?
bool Selects(const PolicyType& type, const model::Resource& policy,
             const model::Resource& dataplane);

// Precedence of two policies of one kind that select the same thing: negative when `a` is less
// specific. Mesh < Dataplane < Dataplane with sectionName; global < zone; system < producer <
// consumer < workload-owner; then the lexicographically first display name wins.
int ComparePrecedence(const PolicyType& type, const model::Resource& a, const model::Resource& b);

}  // namespace kuma::policy

#pragma once

// Collectors of OpenTelemetry that a proxy sends to: which ones, their clusters, and what kuma-dp
// is told about them.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "envoy/drafts_fwd.h"
#include "generate/generate.h"
#include "mesh/mesh_state.h"
#include "policy/collector.h"
#include "policy/contexts.h"
#include "policy/policy_type.h"
#include "policy/view.h"

namespace kuma::generate {

struct OwnCell;

// Those that confs of the context refer to. Null: none.
policy::CollectorsPtr CollectorsOf(const mesh::MeshSnapshot& mesh, const policy::PolicyTable& table,
                                   const policy::ListenerContext& context);
policy::CollectorsPtr CollectorsOf(const mesh::MeshSnapshot& mesh, const policy::PolicyTable& table,
                                   const policy::InboundContext& context);
// Those of what passes through the proxy.
policy::CollectorsPtr CollectorsOf(const mesh::MeshSnapshot& mesh, const policy::PolicyTable& table,
                                   const policy::ProxyContext& context);

// Does an entry of a `to` list of the view's policies refer to a collector?
bool ToListsUseCollectors(const policy::PolicyType& type, const mesh::MeshSnapshot& mesh,
                          const policy::View& view);

// One collector, and which policies send what to it.
struct UsedCollector {
  policy::Collector collector;
  std::vector<std::pair<policy::Signal, std::string_view>> uses;  // with the cluster's prefix
  void AddTo(base::Hasher& hasher) const;
};

// Collects what a proxy uses.
class CollectorUses {
 public:
  // REQUIRES: `mesh` outlives this.
  explicit CollectorUses(const mesh::MeshSnapshot& mesh) : mesh_(mesh) {}
  void Add(const policy::PolicyType& type, const policy::ProxyContext& context);
  void Add(const policy::PolicyType& type, const policy::ListenerContext& context);
  void Add(const policy::PolicyType& type, const policy::InboundContext& context);
  std::vector<UsedCollector> Take() &&;  // sorted by name

 private:
  void Add(const policy::PolicyType& type, const std::vector<const policy::CollectorRef*>& refs);

  const mesh::MeshSnapshot& mesh_;
  std::map<std::string, UsedCollector> by_name_;
};

// The clusters, and the document for kuma-dp where it is in between; then its status, too.
CollectorStatusPtr AddCollectors(const OwnCell& own, envoy::ProxyDraft& draft);

}  // namespace kuma::generate

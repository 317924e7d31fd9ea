#include "control/internal/affected.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "generate/transparent_proxy.h"
#include "model/fields.h"
#include "model/names.h"
#include "policy/target_ref.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::control::internal {
namespace {

using What = Scope::What;

// Kinds that no plan and no context reads. Everything that is not named here or below is taken to
// be read by all.
constexpr std::array<std::string_view, 6> kNeverRead = {
    "Workload", "HostnameGenerator", "Zone", "ZoneInsight", "MeshInsight", "ServiceInsight"};
constexpr std::array<std::string_view, 3> kDestinations = {"MeshService", "MeshExternalService",
                                                           "MeshMultiZoneService"};
// Policies that shape cells of proxies that they do not select, by their existence.
constexpr std::array<std::string_view, 1> kMeshWidePolicies = {"MeshFaultInjection"};

template <class List>
bool Contains(const List& list, std::string_view kind) {
  return std::find(list.begin(), list.end(), kind) != list.end();
}

// Does a policy of the mesh route to destinations other than its listener's own?
bool HasRoutes(const mesh::MeshSnapshot* mesh, const policy::PolicyTable& policies) {
  if (mesh == nullptr) return false;
  return std::any_of(policies.begin(), policies.end(), [&](const policy::PolicyType& row) {
    return row.conf.backend_refs != nullptr && !mesh->Of(row.kind()).empty();
  });
}

Scope ScopeOf(What what, std::string mesh, std::string name = {}) {
  return {.what = what,
          .mesh = std::move(mesh),
          .name = std::move(name),
          .also = {},
          .policy = {},
          .listeners = true,
          .clusters = true,
          .endpoints = true,
          .own_parts = Scope::OwnParts::kAll,
          .can_wait = false};
}

bool SelectsAlike(const policy::PolicyType& row, const model::Resource& before,
                  const model::Resource& after) {
  if (before.meta().labels != after.meta().labels) return false;
  const policy::TargetRef* a = row.spec.target == nullptr ? nullptr : row.spec.target(before);
  const policy::TargetRef* b = row.spec.target == nullptr ? nullptr : row.spec.target(after);
  if (a == nullptr || b == nullptr) return a == b;
  return a->kind == b->kind && a->labels == b->labels && a->section_name == b->section_name;
}

// Slots are part of who a cell is: plans name them.
bool SlotsAlike(const policy::PolicyType& row, const model::Resource& before,
                const model::Resource& after) {
  return row.slots == nullptr || row.slots(before) == row.slots(after);
}

// Does `part` take the same of every entry of the policy's `to` list?
bool PartsAlike(const policy::PolicyType& row, policy::ConfPart part, const model::Resource& before,
                const model::Resource& after) {
  if (part == nullptr || row.spec.to == nullptr || row.is_proxy_wide()) return false;
  const auto hash_of = [&](const policy::ToItem& item) {
    base::Hasher hasher;
    row.conf.hash(part(item.conf).get(), hasher);
    return hasher.Finish();
  };
  const std::vector<policy::ToItem> old = row.spec.to(before);
  const std::vector<policy::ToItem> now = row.spec.to(after);
  return std::equal(old.begin(), old.end(), now.begin(), now.end(),
                    [&](const policy::ToItem& a, const policy::ToItem& b) {
                      return model::Equal(*a.target, *b.target) && a.conf != nullptr &&
                             b.conf != nullptr && hash_of(a) == hash_of(b);
                    });
}

// Which shared cells may read what differs. REQUIRES: the policy selects the same proxies as before
// and uses the same slots; else all may.
void NarrowReaders(const model::Resource& before, const model::Resource& after,
                   const policy::PolicyTable& policies, Scope& scope) {
  scope.listeners = scope.clusters = scope.endpoints = false;
  for (const policy::PolicyType& row : policies) {
    if (row.kind() != before.type().kind) continue;
    scope.listeners |=
        row.hooks.listener != nullptr && !PartsAlike(row, row.listener_part, before, after);
    scope.clusters |=
        row.hooks.cluster != nullptr && !PartsAlike(row, row.cluster_part, before, after);
    scope.endpoints |= row.hooks.endpoints != nullptr;
  }
}

// Own parts read the rules of a policy and its conf for the whole proxy, not its `to` list.
bool ShapesOwnParts(const policy::PolicyType& row, const model::ResourcePtr& policy) {
  if (policy == nullptr) return false;  // the view is another one, and so is the own part
  return (row.spec.proxy != nullptr && row.spec.proxy(*policy) != nullptr) ||
         (row.spec.rules != nullptr && !row.spec.rules(*policy).empty());
}

// What passes through a proxy reads entries for the mesh.
bool ShapesOutside(const policy::PolicyType& row, const model::ResourcePtr& policy) {
  if (policy == nullptr || row.hooks.outside == nullptr || row.spec.to == nullptr) return false;
  const std::vector<policy::ToItem> items = row.spec.to(*policy);
  return std::any_of(items.begin(), items.end(), [](const policy::ToItem& item) {
    return item.target->kind == policy::TargetKind::kMesh;
  });
}

// Does an entry of the policy's `to` list refer to a collector?
bool UsesCollectors(const policy::PolicyType& row, const model::ResourcePtr& policy) {
  if (policy == nullptr || row.collectors.refs == nullptr || row.spec.to == nullptr) return false;
  std::vector<const policy::CollectorRef*> refs;
  for (const policy::ToItem& item : row.spec.to(*policy)) row.collectors.refs(item.conf, refs);
  return !refs.empty();
}

// Own parts have the clusters of the collectors that the proxy's listeners send to: then anything
// that shapes listeners may shape them.
bool AnyUsesCollectors(const mesh::MeshSnapshot* mesh, const policy::PolicyTable& policies) {
  bool any = false;
  for (const policy::PolicyType& row : policies) {
    if (mesh == nullptr || row.collectors.refs == nullptr) continue;
    mesh->Of(row.kind()).ForEach([&](const std::string&, const model::ResourcePtr& policy) {
      any = any || UsesCollectors(row, policy);
    });
  }
  return any;
}

}  // namespace

bool CallsPeers(const model::Resource& dataplane) {
  const auto& networking = dataplane.Spec<resources::dataplane::Spec>().networking;
  return networking && networking->transparent_proxying &&
         !networking->transparent_proxying->direct_access_services.empty();
}

Reach ReachOf(const model::Resource& dataplane, const generate::ProxyNode& node) {
  const auto& networking = dataplane.Spec<resources::dataplane::Spec>().networking;
  Reach reach;
  if (!networking) return reach;
  const generate::TransparentProxy tproxy = generate::TransparentProxyOf(*networking, node);
  reach.outside = tproxy.HasPassthrough() || CallsPeers(dataplane);
  reach.everything = tproxy.UsesVirtualAddresses() || !networking->listeners.empty();
  for (const resources::dataplane::Outbound& outbound : networking->outbound) {
    if (!outbound.backend_ref) continue;
    if (!outbound.backend_ref->labels.empty() || outbound.backend_ref->name.empty())
      reach.everything = true;
    reach.services.insert(outbound.backend_ref->kind + "/" + outbound.backend_ref->name);
  }
  return reach;
}

std::string TextOf(const mesh::Change& change) {
  return change.key.ToString() + (change.before == nullptr  ? " created"
                                  : change.after == nullptr ? " deleted"
                                                            : " changed");
}

std::vector<Scope> ScopesOf(const mesh::Change& change, const mesh::Snapshot& snapshot,
                            const policy::PolicyTable& policies) {
  const model::ResourceKey& key = change.key;
  const model::Resource& resource = *(change.after != nullptr ? change.after : change.before);
  if (!change.inputs_changed || resource.type().is_insight || Contains(kNeverRead, key.kind))
    return {};

  if (key.kind == "Mesh") return {ScopeOf(What::kMesh, key.name)};
  if (key.mesh.empty()) return {ScopeOf(What::kEverything, {})};
  // The endpoint sets that the Dataplane is in come as services with changed members.
  if (key.kind == "Dataplane")
    return {ScopeOf(What::kProxy, key.mesh, key.name), ScopeOf(What::kPeers, key.mesh)};

  if (Contains(kDestinations, key.kind)) {
    Scope readers = ScopeOf(What::kReaders, key.mesh, key.kind + "/" + key.name);
    readers.also = key.kind + "/" + std::string(resource.meta().Label(model::kDisplayNameLabel));
    std::vector<Scope> scopes = {std::move(readers),
                                 ScopeOf(What::kDestination, key.mesh, key.kind + "/" + key.name),
                                 ScopeOf(What::kKind, key.mesh, "MeshMultiZoneService")};
    if (HasRoutes(snapshot.Mesh(key.mesh), policies))
      scopes.push_back(ScopeOf(What::kListeners, key.mesh));
    return scopes;
  }

  const policy::PolicyType* row = policy::FindPolicy(policies, key.kind);
  if (row == nullptr || Contains(kMeshWidePolicies, key.kind))
    return {ScopeOf(What::kMesh, key.mesh)};
  std::vector<Scope> scopes = {ScopeOf(What::kView, key.mesh)};
  scopes.back().policy = key;
  const bool all = ShapesOwnParts(*row, change.before) || ShapesOwnParts(*row, change.after) ||
                   UsesCollectors(*row, change.before) ||
                   AnyUsesCollectors(snapshot.Mesh(key.mesh), policies);
  const bool outside = ShapesOutside(*row, change.before) || ShapesOutside(*row, change.after);
  scopes.back().own_parts = all       ? Scope::OwnParts::kAll
                            : outside ? Scope::OwnParts::kWithOutside
                                      : Scope::OwnParts::kNone;
  // Views hold the keys of policies in order; their content counts as far as it selects and orders.
  if (change.before == nullptr || change.after == nullptr ||
      !SelectsAlike(*row, *change.before, *change.after) ||
      !SlotsAlike(*row, *change.before, *change.after)) {
    scopes.push_back(ScopeOf(What::kPlans, key.mesh));
  } else {
    NarrowReaders(*change.before, *change.after, policies, scopes.back());
  }
  return scopes;
}

std::vector<Scope> ScopesOfMembers(const std::string& mesh, const std::string& mesh_service,
                                   bool joined) {
  std::vector<Scope> scopes = {ScopeOf(What::kEndpoints, mesh, "MeshService/" + mesh_service),
                               ScopeOf(What::kKind, mesh, "MeshMultiZoneService")};
  for (Scope& scope : scopes) scope.can_wait = joined;
  return scopes;
}

}  // namespace kuma::control::internal

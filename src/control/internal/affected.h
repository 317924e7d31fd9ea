#pragma once

// What a change may touch: scopes of cells and proxies. May say too much, never too little; a cell
// whose context comes out unchanged stops the wave. Pure functions.

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "generate/generate.h"
#include "mesh/mesh_state.h"
#include "policy/policy_type.h"

namespace kuma::control::internal {

// Why something is looked at again. Shared by everything that it marks.
struct Cause {
  std::vector<base::Revision> revisions;  // the users' writes that it goes back to; sorted
  std::string text;                       // "MeshTimeout default/slow changed"
};
using CausePtr = std::shared_ptr<const Cause>;

struct Scope {
  enum class What : uint8_t {
    kProxy,        // plan and own part of the proxy `name`
    kReaders,      // plans and own parts of the proxies that may reach the destination `name`
                   // ("MeshService/backend")
    kDestination,  // Listener, Cluster and Endpoints cells of the destination `name`
    kEndpoints,    // Endpoints cells of the destination `name`
    kKind,         // Listener, Cluster and Endpoints cells of all destinations of the kind `name`
    kListeners,    // all Listener cells of the mesh
    kView,   // cells whose view has `policy`: of these kinds, of own parts those of `own_parts`
    kPlans,  // plans of all proxies of the mesh
    kPeers,  // own parts of the proxies that call peers by their addresses
    kMesh,   // all plans and cells of the mesh
    kEverything,  // of all meshes
  };
  What what = What::kEverything;
  std::string mesh;
  std::string name;
  std::string also;  // kReaders: the destination by its display name, or empty
  model::ResourceKey policy;
  bool listeners = true, clusters = true, endpoints = true;
  enum class OwnParts : uint8_t { kNone, kWithOutside, kAll } own_parts = OwnParts::kAll;
  bool can_wait = false;  // in a wave of new proxies: nobody calls what is gone or has changed
  bool operator==(const Scope&) const = default;
};

// `snapshot`: after the change.
std::vector<Scope> ScopesOf(const mesh::Change& change, const mesh::Snapshot& snapshot,
                            const policy::PolicyTable& policies);
// Of a MeshService whose members changed. `joined`: it had members, and all of them are as they were.
std::vector<Scope> ScopesOfMembers(const std::string& mesh, const std::string& mesh_service,
                                   bool joined);

// Where calls of a Dataplane may lead.
struct Reach {
  bool outside = false;            // also to what no outbound stands for
  bool everything = false;         // virtual addresses, zone proxies, selection by labels
  std::set<std::string> services;  // "MeshService/backend"
};
// Does its workload call other Dataplanes by their own addresses?
bool CallsPeers(const model::Resource& dataplane);
Reach ReachOf(const model::Resource& dataplane, const generate::ProxyNode& node);

// "MeshTimeout default/slow changed"
std::string TextOf(const mesh::Change& change);

}  // namespace kuma::control::internal

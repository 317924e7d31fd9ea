#pragma once

// What a Derivation remembers between calls, and its rules. Confined like the Derivation.

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "derive/derive.h"
#include "derive/internal/hostnames.h"
#include "derive/internal/vip_pool.h"
#include "mesh/mesh_state.h"

namespace kuma::derive {

using mesh::Change;
using mesh::ChangeSet;
using mesh::MeshState;
using model::ResourceKey;
using model::ResourcePtr;
using model::WallTime;

inline constexpr std::string_view kMesh = "Mesh";
inline constexpr std::string_view kDataplane = "Dataplane";
inline constexpr std::string_view kMeshService = "MeshService";
inline constexpr std::string_view kWorkload = "Workload";
inline constexpr std::string_view kZone = "Zone";
inline constexpr std::string_view kHostnameGenerator = "HostnameGenerator";

using NameOfMesh = std::pair<std::string, std::string>;  // (mesh, name)

inline ResourceKey KeyOf(std::string_view kind, const std::string& mesh, const std::string& name) {
  return {std::string(kind), mesh, name};
}

// A kind that is a collector, or may refer to one.
bool ConcernsCollectors(std::string_view kind);

struct Derivation::State {
  // One call of Run, RunTimers or OnConnection.
  struct Step {
    Step(const MeshState& mesh_state, WallTime time) : state(mesh_state), now(time) {}

    const MeshState& state;
    const WallTime now;
    std::map<ResourceKey, ResourcePtr> wanted;  // null: deleted
    std::set<NameOfMesh> workloads;  // to look at: the Workload and the MeshService of that name
    std::set<NameOfMesh> services;   // MeshServices to look at
    std::set<NameOfMesh> generated;  // MeshServices that this step makes or makes again
    std::set<std::string> new_meshes;
    std::set<std::string> collectors;  // meshes whose references to collectors to look at
    bool new_generators = false;
    bool zone_gone = false;
    bool zone_was_stored = false;

    // What the MeshState will hold once the writes are applied.
    ResourcePtr Held(const ResourceKey& key) const {
      const auto found = wanted.find(key);
      return found != wanted.end() ? found->second : state.Find(key);
    }
    bool HasMesh(const std::string& name) const { return Held(KeyOf(kMesh, "", name)) != nullptr; }
    void Want(const ResourcePtr& resource) { wanted[resource->key()] = resource; }
    void WantNew(const ResourcePtr& resource) {
      if (Held(resource->key()) == nullptr) Want(resource);
    }
  };

  enum class Topic { kNameTaken, kNoVip };

  // Addresses of one resource; they stay its own whatever a write of it says.
  struct HeldVips {
    std::string kri;  // under which they were taken
    std::vector<std::string> ips;
  };

  explicit State(Settings given);

  // Takes note of changes and of what must be looked at again.
  void Take(Step& step, const ChangeSet& changes);
  void TakeDataplane(Step& step, const Change& change);
  void TakeMeshService(Step& step, const Change& change);
  void TakeVips(const Change& change, WallTime now);
  void TakeGracePeriod(const ResourceKey& key, const ResourcePtr& service);
  void TakeGenerators(Step& step);

  // The rules; each writes to step.wanted.
  void DeriveWorld(Step& step);
  void DeriveDefaultsOf(Step& step, const std::string& mesh);
  void DeriveWorkload(Step& step, const NameOfMesh& name);
  void DeriveWorkloadItself(Step& step, const NameOfMesh& name,
                            const std::vector<ResourcePtr>& dataplanes);
  void DeriveGeneratedService(Step& step, const NameOfMesh& name,
                              const std::vector<ResourcePtr>& dataplanes);
  void DeriveService(Step& step, const NameOfMesh& name);
  void DeriveCollectors(Step& step, const std::string& mesh);
  std::vector<Derived> Finish(Step& step);

  std::vector<ResourcePtr> DataplanesOf(const NameOfMesh& workload_name) const;
  mesh::MembersPtr MembersOf(const Step& step, const model::Resource& service) const;
  bool IsConnected(const model::Resource& dataplane) const;
  void Notify(Topic topic, const ResourceKey& key, std::string text);
  void EndNotice(Topic topic, const ResourceKey& key) { active_notices.erase({topic, key}); }

  Settings settings;
  bool started = false;
  std::map<std::string, std::unordered_set<std::string>> connected;                 // by mesh
  std::map<NameOfMesh, std::map<std::string, ResourcePtr>> dataplanes_by_workload;  // then by name
  Hostnames hostnames;
  VipPool pool;
  std::map<ResourceKey, HeldVips> vips;
  std::map<ResourceKey, WallTime> deletion_due;
  std::set<std::pair<WallTime, ResourceKey>> due_by_time;
  std::map<std::pair<Topic, ResourceKey>, std::string> active_notices;
  std::vector<Notice> new_notices;
};

}  // namespace kuma::derive

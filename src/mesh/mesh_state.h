#pragma once

// What the meshes are: MeshState (mutable, one owner) and Snapshot (immutable) with the indexes
// that generation needs.

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mesh/table.h"
#include "model/resource.h"
#include "model/resource_type.h"

namespace kuma::mesh {

using model::ResourceKey;
using model::ResourcePtr;
using model::Revision;

// A resource was created (before null), changed, or deleted (after null).
struct Change {
  ResourceKey key;
  ResourcePtr before;
  ResourcePtr after;
  Revision revision;
  // Set by MeshState::Apply: something that configuration may read changed: existence, labels, a
  // field of spec or status marked Input{}. Not: times, revision, owner, counters. Never for
  // insights.
  bool inputs_changed = false;
};

// What a step changed.
struct ChangeSet {
  // Sorted by key, one for each key: the first `before`, the last `after`. Where the two differ in
  // nothing but times and revision there is no Change (the newer resource is held all the same).
  std::vector<Change> changes;
  // (mesh, name), sorted, unique: MeshServices that exist and have other members than before the
  // step, or a member with changed inputs. May name one too many when its selector changed, too.
  std::vector<std::pair<std::string, std::string>> services_with_changed_members;

  bool empty() const { return changes.empty(); }
  // Null if `key` did not change.
  const Change* Find(const ResourceKey& key) const;
};

// Dataplanes that the selector of a MeshService matches, sorted by name.
using Members = std::vector<ResourcePtr>;
using MembersPtr = std::shared_ptr<const Members>;

// One mesh at one revision. Immutable.
class MeshSnapshot {
 public:
  const std::string& name() const { return name_; }
  // The Mesh resource; null while only its contents exist.
  const ResourcePtr& mesh() const { return mesh_; }
  // Resources of a mesh-scoped kind, sorted by name; empty if there are none.
  const Table<ResourcePtr>& Of(std::string_view kind) const;
  // Null if absent.
  ResourcePtr Find(std::string_view kind, std::string_view resource_name) const;
  // Never null; empty for an unknown service.
  MembersPtr MembersOf(std::string_view mesh_service) const;

 private:
  friend class MeshState;
  std::string name_;
  ResourcePtr mesh_;
  std::map<std::string, Table<ResourcePtr>, std::less<>> kinds_;
  Table<MembersPtr> members_;
};
using MeshSnapshotPtr = std::shared_ptr<const MeshSnapshot>;

// All meshes at one revision.
struct Snapshot {
  Revision revision;
  std::map<std::string, MeshSnapshotPtr, std::less<>> meshes;
  std::map<std::string, Table<ResourcePtr>, std::less<>>
      globals;  // by kind, then name; Mesh is here too

  const MeshSnapshot* Mesh(std::string_view name) const;  // null if absent
  const Table<ResourcePtr>& GlobalsOf(std::string_view kind) const;
  ResourcePtr FindGlobal(std::string_view kind, std::string_view name) const;  // null if absent
  ResourcePtr Find(const ResourceKey& key) const;                              // null if absent
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

// Confined to the mesh writer. Cost of Apply + Freeze is in proportion to the changes, not to what
// is stored: a Dataplane costs the services whose selector could match it, a MeshService the
// Dataplanes that it could select.
class MeshState {
 public:
  MeshState();
  ~MeshState();

  // Applies changes in order. `before` and `inputs_changed` of the input are ignored: what is held
  // counts, so that an event that was applied already (a derived write coming back from the store)
  // changes nothing but times and revision.
  ChangeSet Apply(std::span<const Change> changes);
  // Nothing that belongs here changed up to this revision.
  void Advance(Revision revision);

  // Of what is held now. Shares structure with earlier snapshots. `revision`: the newest one that
  // was applied.
  SnapshotPtr Freeze();

  ResourcePtr Find(const ResourceKey& key) const;
  // A view of the state, and what it gives out, valid until the next Apply.
  const Snapshot& current() const;

  // Names of the MeshServices of a mesh whose selector matches this Dataplane, sorted.
  std::vector<std::string> ServicesOf(const model::Resource& dataplane) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Does the MeshService's selector (dataplaneRef, else dataplaneLabels) match the Dataplane? A
// Dataplane without inbounds is matched by none.
bool SelectorMatches(const model::Resource& mesh_service, const model::Resource& dataplane);

// Equal in everything but times and revision.
bool SameContent(const model::Resource& a, const model::Resource& b);
// Equal in everything that configuration may read (see Change::inputs_changed). Null: absent.
bool SameInputs(const ResourcePtr& a, const ResourcePtr& b);

}  // namespace kuma::mesh

#include "mesh/mesh_state.h"

#include <algorithm>

#include "base/check.h"
#include "mesh/internal/member_index.h"

namespace kuma::mesh {
namespace {

constexpr std::string_view kMeshKind = "Mesh";
constexpr std::string_view kDataplaneKind = "Dataplane";
constexpr std::string_view kMeshServiceKind = "MeshService";

const Table<ResourcePtr>& TableOf(
    const std::map<std::string, Table<ResourcePtr>, std::less<>>& kinds, std::string_view kind) {
  static const Table<ResourcePtr> empty;
  const auto found = kinds.find(kind);
  return found == kinds.end() ? empty : found->second;
}

ResourcePtr FindIn(const std::map<std::string, Table<ResourcePtr>, std::less<>>& kinds,
                   std::string_view kind, std::string_view name) {
  const ResourcePtr* found = TableOf(kinds, kind).Find(name);
  return found == nullptr ? nullptr : *found;
}

void Store(std::map<std::string, Table<ResourcePtr>, std::less<>>& kinds, const ResourceKey& key,
           const ResourcePtr& resource) {
  if (resource != nullptr) {
    kinds[key.kind].Put(key.name, resource);
    return;
  }
  const auto found = kinds.find(key.kind);
  if (found == kinds.end()) return;
  found->second.Erase(key.name);
  if (found->second.empty()) kinds.erase(found);
}

// Two bodies of one kind, by `equal` or `equal_inputs`. An absent body counts as an empty one.
bool SameBody(const model::BodyOps& ops, const std::shared_ptr<const void>& a,
              const std::shared_ptr<const void>& b, bool (*equal)(const void*, const void*)) {
  if (a == b) return true;
  if (equal == nullptr) return false;
  if (a != nullptr && b != nullptr) return equal(a.get(), b.get());
  if (ops.empty == nullptr) return false;
  const std::shared_ptr<const void> empty = ops.empty();
  return equal(a == nullptr ? empty.get() : a.get(), b == nullptr ? empty.get() : b.get());
}

}  // namespace

const Change* ChangeSet::Find(const ResourceKey& key) const {
  const auto at =
      std::lower_bound(changes.begin(), changes.end(), key,
                       [](const Change& change, const ResourceKey& k) { return change.key < k; });
  return at != changes.end() && at->key == key ? &*at : nullptr;
}

const Table<ResourcePtr>& MeshSnapshot::Of(std::string_view kind) const {
  return TableOf(kinds_, kind);
}

ResourcePtr MeshSnapshot::Find(std::string_view kind, std::string_view resource_name) const {
  return FindIn(kinds_, kind, resource_name);
}

MembersPtr MeshSnapshot::MembersOf(std::string_view mesh_service) const {
  static const MembersPtr none = std::make_shared<Members>();
  const MembersPtr* found = members_.Find(mesh_service);
  return found == nullptr ? none : *found;
}

const MeshSnapshot* Snapshot::Mesh(std::string_view name) const {
  const auto found = meshes.find(name);
  return found == meshes.end() ? nullptr : found->second.get();
}

const Table<ResourcePtr>& Snapshot::GlobalsOf(std::string_view kind) const {
  return TableOf(globals, kind);
}

ResourcePtr Snapshot::FindGlobal(std::string_view kind, std::string_view name) const {
  return FindIn(globals, kind, name);
}

ResourcePtr Snapshot::Find(const ResourceKey& key) const {
  if (key.mesh.empty()) return FindGlobal(key.kind, key.name);
  const MeshSnapshot* mesh = Mesh(key.mesh);
  return mesh == nullptr ? nullptr : mesh->Find(key.kind, key.name);
}

bool SelectorMatches(const model::Resource& mesh_service, const model::Resource& dataplane) {
  return mesh_service.mesh() == dataplane.mesh() && HasInbounds(dataplane) &&
         Matches(SelectorOf(mesh_service), dataplane);
}

bool SameContent(const model::Resource& a, const model::Resource& b) {
  if (&a == &b) return true;
  const model::Metadata& x = a.meta();
  const model::Metadata& y = b.meta();
  const model::ResourceType& type = a.type();
  return &type == &b.type() && x.name == y.name && x.mesh == y.mesh && x.labels == y.labels &&
         x.owner == y.owner && x.owned_by_proxy == y.owned_by_proxy &&
         SameBody(type.spec, a.spec(), b.spec(), type.spec.equal) &&
         (a.status() == nullptr) == (b.status() == nullptr) &&
         SameBody(type.status, a.status(), b.status(), type.status.equal);
}

bool SameInputs(const ResourcePtr& a, const ResourcePtr& b) {
  if (a == b) return true;
  const model::ResourceType& type = (a != nullptr ? a : b)->type();
  if (type.is_insight) return true;
  if (a == nullptr || b == nullptr) return false;
  return a->meta().labels == b->meta().labels && a->name() == b->name() && a->mesh() == b->mesh() &&
         SameBody(type.spec, a->spec(), b->spec(), type.spec.equal_inputs) &&
         SameBody(type.status, a->status(), b->status(), type.status.equal_inputs);
}

struct MeshState::State {
  struct Entry {
    std::shared_ptr<MeshSnapshot> snapshot;  // also in current.meshes
    bool shared = false;                     // a Snapshot that was given out holds it
    MemberIndex index;
  };

  Snapshot current;
  std::map<std::string, Entry, std::less<>> meshes;
  SnapshotPtr last;  // what Freeze gave out, while it is still true

  // The mesh, ready to be changed: made if absent, copied if a snapshot holds it.
  Entry& Own(const std::string& name) {
    Entry& entry = meshes[name];
    if (entry.snapshot == nullptr) {
      entry.snapshot = std::make_shared<MeshSnapshot>();
      entry.snapshot->name_ = name;
    } else if (entry.shared) {
      entry.snapshot = std::make_shared<MeshSnapshot>(*entry.snapshot);
    } else {
      return entry;
    }
    entry.shared = false;
    current.meshes[name] = entry.snapshot;
    return entry;
  }

  void Apply(const Change& change, bool inputs_changed,
             std::map<std::string, MemberIndex::Names>& changed_services);
  void ForgetIfEmpty(const std::string& name) {
    const auto found = meshes.find(name);
    if (found == meshes.end()) return;
    const MeshSnapshot& mesh = *found->second.snapshot;
    if (mesh.mesh_ != nullptr || !mesh.kinds_.empty()) return;
    meshes.erase(found);
    current.meshes.erase(name);
  }
};

void MeshState::State::Apply(const Change& change, bool inputs_changed,
                             std::map<std::string, MemberIndex::Names>& changed_services) {
  const ResourceKey& key = change.key;
  if (key.mesh.empty()) {
    Store(current.globals, key, change.after);
    if (key.kind == kMeshKind) {
      Own(key.name).snapshot->mesh_ = change.after;
      if (change.after == nullptr) ForgetIfEmpty(key.name);
    }
    return;
  }
  Entry& entry = Own(key.mesh);
  MeshSnapshot& mesh = *entry.snapshot;
  Store(mesh.kinds_, key, change.after);
  if (key.kind == kDataplaneKind) {
    entry.index.OnDataplane(change.before, change.after, inputs_changed, mesh.members_,
                            changed_services[key.mesh]);
  } else if (key.kind == kMeshServiceKind) {
    entry.index.OnService(key.name, change.after, mesh.Of(kDataplaneKind), mesh.members_,
                          changed_services[key.mesh]);
  }
  if (change.after == nullptr) ForgetIfEmpty(key.mesh);
}

MeshState::MeshState() : state_(std::make_unique<State>()) {}
MeshState::~MeshState() = default;

ChangeSet MeshState::Apply(std::span<const Change> changes) {
  ChangeSet set;
  // Only the last change of a key counts. Sorted: Dataplanes come before the MeshServices that
  // select them.
  std::vector<const Change*> order;
  order.reserve(changes.size());
  for (const Change& change : changes) {
    order.push_back(&change);
    state_->current.revision = std::max(state_->current.revision, change.revision);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const Change* a, const Change* b) { return a->key < b->key; });

  std::map<std::string, MemberIndex::Names> changed_services;
  for (size_t i = 0; i < order.size(); ++i) {
    const Change& given = *order[i];
    if (i + 1 < order.size() && order[i + 1]->key == given.key) continue;
    CHECK(given.after == nullptr || given.after->key() == given.key,
          "a change must carry the resource that it names");
    Change change{given.key, Find(given.key), given.after, given.revision};
    if (change.before == change.after) continue;
    change.inputs_changed = !SameInputs(change.before, change.after);
    const bool reported = change.before == nullptr || change.after == nullptr ||
                          !SameContent(*change.before, *change.after);
    state_->Apply(change, change.inputs_changed, changed_services);
    if (reported) set.changes.push_back(std::move(change));
  }
  for (auto& [mesh, services] : changed_services) {
    for (const std::string& service : services) {
      set.services_with_changed_members.emplace_back(mesh, service);
    }
  }
  if (!order.empty()) state_->last.reset();
  return set;
}

void MeshState::Advance(Revision revision) {
  if (revision <= state_->current.revision) return;
  state_->current.revision = revision;
  state_->last.reset();
}

SnapshotPtr MeshState::Freeze() {
  if (state_->last != nullptr) return state_->last;
  for (auto& [name, entry] : state_->meshes) {
    if (entry.shared) continue;
    entry.shared = true;
    entry.index.OnFreeze();
  }
  state_->last = std::make_shared<const Snapshot>(state_->current);
  return state_->last;
}

ResourcePtr MeshState::Find(const ResourceKey& key) const { return state_->current.Find(key); }

const Snapshot& MeshState::current() const { return state_->current; }

std::vector<std::string> MeshState::ServicesOf(const model::Resource& dataplane) const {
  const auto found = state_->meshes.find(dataplane.mesh());
  if (found == state_->meshes.end()) return {};
  return found->second.index.ServicesOf(dataplane);
}

}  // namespace kuma::mesh

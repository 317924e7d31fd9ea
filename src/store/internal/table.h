#pragma once

// The resources of a store in memory, and changes of it that are not yet in force.

#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace kuma::store::internal {

// Identity without copies of strings; orders as ResourceKey does.
struct KeyView {
  std::string_view kind;
  std::string_view mesh;
  std::string_view name;
  auto operator<=>(const KeyView&) const = default;
};
inline KeyView ViewOf(const ResourceKey& key) { return {key.kind, key.mesh, key.name}; }
inline KeyView ViewOf(const model::Resource& resource) {
  return {resource.type().kind, resource.mesh(), resource.name()};
}

struct ByKey {
  using is_transparent = void;
  bool operator()(const ResourcePtr& a, const ResourcePtr& b) const {
    return ViewOf(*a) < ViewOf(*b);
  }
  bool operator()(const ResourcePtr& a, const KeyView& b) const { return ViewOf(*a) < b; }
  bool operator()(const KeyView& a, const ResourcePtr& b) const { return a < ViewOf(*b); }
};
using ResourceSet = std::set<ResourcePtr, ByKey>;  // ordered by kind, mesh, name

// Resources by key, with an index of owners. Not thread-safe: its holder locks.
class Table {
 public:
  ResourcePtr Find(const KeyView& key) const;  // null if absent
  // Keys of what `owner` owns directly, in order.
  std::vector<ResourceKey> Owned(const ResourceKey& owner) const;
  // `revision` of the page is left to the caller.
  Page List(const ListQuery& query) const;
  const ResourceSet& all() const { return resources_; }

  void Put(ResourcePtr resource);
  void Erase(const ResourceKey& key);

 private:
  void Unlink(const ResourcePtr& resource);

  ResourceSet resources_;
  std::map<ResourceKey, ResourceSet> owned_;
};

// Changes over a table or over another stage, which must outlive this and not change meanwhile.
class Stage {
 public:
  explicit Stage(const Table& table) : table_(&table) {}
  explicit Stage(const Stage& below, std::nullptr_t) : below_(&below) {}
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  ResourcePtr Find(const ResourceKey& key) const;
  std::vector<ResourceKey> Owned(const ResourceKey& owner) const;
  void Put(ResourcePtr resource);
  void Erase(const ResourceKey& key);
  // Takes over the changes of a stage that lies directly over this one.
  void Absorb(Stage&& above);

 private:
  void Set(const ResourceKey& key, ResourcePtr resource);

  const Table* table_ = nullptr;  // exactly one of these two is set
  const Stage* below_ = nullptr;
  std::map<ResourceKey, ResourcePtr> changed_;          // null: erased
  std::map<ResourceKey, std::set<ResourceKey>> owned_;  // of the resources in changed_
};

// What a transaction does.
struct Plan {
  Committed answer;
  std::vector<StoreEvent> events;
  std::vector<HistoryEntry> history;  // empty without an origin
};

// Works out `transaction` against `stage` and applies it there; `newest` is the revision before it.
// On error (those of Store::Commit that do not come from I/O) the stage is half changed: throw it
// away.
base::Result<Plan> PlanTransaction(const Transaction& transaction, Revision newest,
                                   model::WallTime now, Stage& stage);

}  // namespace kuma::store::internal

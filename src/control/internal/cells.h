#pragma once

// The tables of the mesh writer: cells, groups of proxies that share cells, proxies. Confined to
// the mesh writer.

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bundle/bundle.h"
#include "control/counters.h"
#include "control/internal/affected.h"
#include "control/internal/interner.h"
#include "control/reports.h"
#include "generate/generate.h"

namespace kuma::control::internal {

struct Group;
struct Proxy;
using Causes = std::vector<CausePtr>;

// Adds what is not there yet; the oldest go when there are too many.
void AddCauses(Causes& to, const Causes& more);

// What a cause did to a bundle; one for each cause.
struct Effect {
  CausePtr cause;
  std::shared_ptr<const std::string> reason;  // "MeshTimeout default/slow changed: Cluster ..."
};
using Effects = std::vector<Effect>;
void AddEffects(Effects& to, const Effects& more);

struct Cell;

// What a cell holds. Immutable.
struct Content {
  std::vector<bundle::SealedPtr> resources;
  std::vector<Cell*> needs;
  generate::CollectorStatusPtr collectors;  // follows from the resources
};
using ContentPtr = std::shared_ptr<const Content>;

// One cell that some bundle holds, or is about to. Its address is its identity while a round runs.
struct Cell {
  generate::CellId id;
  uint64_t number = 0;  // order of creation

  bool checked = false;       // `context` counts
  bool gone = false;          // what the id names does not exist: no resources
  base::ContentHash context;  // that was built last, or that failed to
  ContentPtr content = std::make_shared<const Content>();  // the newest good one
  // The newest good one of which everything that it needs could be built, too; null: none yet. It
  // is what bundles hold: a listener with a route to a cluster that could not be built, or is gone,
  // is not sent.
  ContentPtr whole;
  bool has_good = false;  // `content` was built once, by this cell or by one like it
  std::string failure;    // not empty: degraded
  base::Revision failed_since;

  bool marked = false;    // to be checked in the next round
  bool pressing = false;  // not all marks can wait
  bool running = false;   // in this round
  Causes causes;          // of the mark
  Causes checking;        // of the check in this round
  std::vector<Group*>
      groups;         // whose closure has it, by number; a cell that only is an own part has none
  size_t owners = 0;  // proxies whose own part it is: 0 or 1

  // What the walks with these numbers found (Cells::Refresh).
  uint64_t seen = 0;
  uint64_t judged = 0;
  bool is_whole = false;
};

struct ByNumber {
  template <class T>
  bool operator()(const T* a, const T* b) const {
    return a->number < b->number;
  }
};
using CellSet = std::set<Cell*, ByNumber>;

struct ProxyLess {
  bool operator()(const Proxy* a, const Proxy* b) const;
};

// What proxies with the same shared cells have in common. Plans of a thousand listeners are compared
// by their lists, not id by id.
struct GroupKey {
  generate::CellId listener;            // what the ids of all listeners have in common
  generate::OutboundListPtr outbounds;  // one listener for each
  std::vector<generate::CellId> more;   // what the own part needs
  bool operator==(const GroupKey& other) const {
    return listener == other.listener && *outbounds == *other.outbounds && more == other.more;
  }
  size_t Hash() const;
};

// Proxies with the same shared cells. Their lists are the same lists.
struct Group {
  uint64_t number = 0;
  GroupKey key;
  std::vector<Cell*> roots;  // what the key says
  std::vector<Cell*> cells;  // closure, roots first; also of content that is not sent
  std::array<bundle::SealedListPtr, bundle::kXdsTypeCount> lists;
  std::set<Proxy*, ProxyLess> proxies;
  bool fresh = true;      // no closure yet
  bool needed = false;    // somebody who has nothing waits for it
  bool pressing = false;  // not all that changed can wait
  Effects effects;        // of its cells, not given to its proxies yet
};

// A connected proxy.
struct Proxy {
  base::ProxyKey key;
  uint64_t number = 0;  // of the record: a new stream with other metadata has a new one
  StreamId stream;
  std::shared_ptr<const generate::ProxyNode> node;

  std::optional<Reach> reach;  // of its Dataplane; absent: not worked out
  std::optional<generate::ProxyPlan> plan;
  Cell* own = nullptr;
  Group* group = nullptr;

  bool plan_marked = false;
  bool own_marked = false;
  bool queued = false;
  bool check_own = false;     // in this round
  bool regroup = false;       // at the end of this round
  bool behind = false;        // was marked before this round and is not looked at in it
  bool must_publish = false;  // its stream has not got a bundle yet
  Causes causes;              // of the marks
  Causes checking;            // of what is looked at in this round
  Effects effects;            // not published yet

  bundle::BundlePtr bundle;  // the newest one published
  struct {                   // what its lists were put together from
    ContentPtr own;
    bundle::ValuesPtr values;
    std::array<bundle::SealedListPtr, bundle::kXdsTypeCount> shared;
  } sources;
};

// Looks up, counts and indexes; knows nothing of rounds.
class Cells {
 public:
  explicit Cells(Counters& counters) : counters_(counters) {}
  Cells(const Cells&) = delete;
  Cells& operator=(const Cells&) = delete;

  Cell* Find(const generate::CellId& id);
  Cell& FindOrCreate(const generate::CellId& id);
  const std::map<uint64_t, std::unique_ptr<Cell>>& all() const { return cells_; }

  // In the order of numbers.
  const CellSet& OfDestination(const std::string& mesh, const std::string& destination) const;
  const CellSet& OfMesh(const std::string& mesh) const;
  std::vector<std::pair<policy::ViewPtr, const CellSet*>> Views(const std::string& mesh) const;
  // Destinations with cells whose name begins with "<kind>/".
  std::vector<Cell*> OfKind(const std::string& mesh, const std::string& kind) const;
  // A cell for the same thing and class of proxies under another view, with good resources: the one
  // whose view has most in common. Null if there is none.
  const Cell* MostAlike(const Cell& cell) const;

  // The pointer that the cells with this view have.
  policy::ViewPtr Intern(const policy::ViewPtr& view) const;

  // Creates an empty group at first. REQUIRES: what the key says are cells.
  Group& GroupOf(GroupKey key);
  // Works out closure and lists again. True if a list changed or the group is fresh.
  bool Refresh(Group& group, Interner& interner);
  const std::map<uint64_t, std::unique_ptr<Group>>& groups() const { return groups_; }

  void Join(Proxy& proxy, Group* group);  // null: leaves its group
  void SetOwn(Proxy& proxy, Cell* own);   // null: none
  // Replaces what the cell holds. True if it differs from what it held.
  bool SetContent(Cell& cell, Content content);
  void SetFailure(Cell& cell, std::string failure, base::Revision since);

  // Cells whose users are gone, and groups without members. Call between rounds only.
  void Collect();

 private:
  struct IdHash {
    size_t operator()(const generate::CellId* id) const { return id->Hash(); }
  };
  struct IdEqual {
    bool operator()(const generate::CellId* a, const generate::CellId* b) const { return *a == *b; }
  };
  struct ViewLess {
    bool operator()(const policy::ViewPtr& a, const policy::ViewPtr& b) const {
      if (a == b) return false;
      if (a->hash != b->hash) return a->hash < b->hash;
      return a->policies < b->policies;
    }
  };
  struct MeshIndex {
    CellSet cells;
    std::map<std::string, CellSet, std::less<>> destinations;
    std::map<policy::ViewPtr, CellSet, ViewLess> views;
  };
  void Erase(Cell& cell);
  bool IsWhole(Cell& cell);
  void Unlink(Group& group);

  Counters& counters_;
  std::map<uint64_t, std::unique_ptr<Cell>> cells_;
  std::unordered_map<const generate::CellId*, Cell*, IdHash, IdEqual> by_id_;
  std::map<std::string, MeshIndex> meshes_;
  // By everything of the id but view and traits: another value of a slot is another thing.
  std::map<std::tuple<generate::CellKind, std::string, std::string, std::string, std::string,
                      base::ContentHash>,
           CellSet>
      alike_;
  std::map<uint64_t, std::unique_ptr<Group>> groups_;
  std::unordered_multimap<size_t, Group*> groups_by_key_;
  CellSet unused_;
  std::vector<Group*> empty_groups_;
  uint64_t next_number_ = 1;
  uint64_t walk_ = 0;  // over a group's cells: the newest one
};

// "MeshService/backend" of "MeshService/backend/80".
std::string_view ServiceOf(std::string_view destination);

}  // namespace kuma::control::internal

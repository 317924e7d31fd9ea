#include "control/internal/cells.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"

namespace kuma::control::internal {
namespace {

using generate::CellId;
using generate::CellKind;

constexpr size_t kMaxCauses = 64;

auto AlikeKey(const CellId& id) {
  return std::tuple(id.kind, id.mesh, id.proxy, id.destination, id.bind,
                    id.slot == nullptr ? base::ContentHash() : id.slot->hash);
}

size_t InCommon(const policy::ViewPtr& a, const policy::ViewPtr& b) {
  if (a == nullptr || b == nullptr) return 0;
  const std::set<model::ResourceKey> keys(a->policies.begin(), a->policies.end());
  return static_cast<size_t>(
      std::count_if(b->policies.begin(), b->policies.end(),
                    [&](const model::ResourceKey& key) { return keys.contains(key); }));
}

uint64_t BytesOf(const Cell& cell) {
  uint64_t bytes = 0;
  for (const bundle::SealedPtr& resource : cell.content->resources) bytes += resource->ByteSize();
  return bytes;
}

}  // namespace

namespace {

// Of many the older half becomes one, so that no revision gets lost.
CausePtr Merge(const std::vector<CausePtr>& causes) {
  std::vector<base::Revision> revisions;
  for (const CausePtr& cause : causes)
    revisions.insert(revisions.end(), cause->revisions.begin(), cause->revisions.end());
  std::sort(revisions.begin(), revisions.end());
  revisions.erase(std::unique(revisions.begin(), revisions.end()), revisions.end());
  return std::make_shared<const Cause>(
      Cause{std::move(revisions), "many changes, among them: " + causes.back()->text});
}

}  // namespace

void AddCauses(Causes& to, const Causes& more) {
  for (const CausePtr& cause : more) {
    // The newest are last, and most additions repeat the last one.
    if (std::find(to.rbegin(), to.rend(), cause) == to.rend()) to.push_back(cause);
  }
  if (to.size() <= kMaxCauses) return;
  const auto end = to.end() - kMaxCauses / 2;
  to.front() = Merge({to.begin(), end});
  to.erase(to.begin() + 1, end);
}

void AddEffects(Effects& to, const Effects& more) {
  for (const Effect& effect : more) {
    const auto same = [&](const Effect& held) { return held.cause == effect.cause; };
    if (std::find_if(to.rbegin(), to.rend(), same) == to.rend()) to.push_back(effect);
  }
  if (to.size() <= kMaxCauses) return;
  const auto end = to.end() - kMaxCauses / 2;
  Causes causes;
  for (auto at = to.begin(); at != end; ++at) causes.push_back(at->cause);
  to.front() = {Merge(causes), std::make_shared<const std::string>("many changes, among them: " +
                                                                   *(end - 1)->reason)};
  to.erase(to.begin() + 1, end);
}

bool ProxyLess::operator()(const Proxy* a, const Proxy* b) const { return a->key < b->key; }

std::string_view ServiceOf(std::string_view destination) {
  return destination.substr(0, destination.rfind('/'));
}

size_t GroupKey::Hash() const {
  size_t hash = outbounds->hash();
  const auto add = [&hash](const CellId& id) {
    hash = (hash ^ (hash >> 29) ^ id.Hash()) * 0x9E3779B97F4A7C15u;
  };
  add(listener);
  for (const CellId& id : more) add(id);
  return hash;
}

Cell* Cells::Find(const CellId& id) {
  const auto found = by_id_.find(&id);
  return found == by_id_.end() ? nullptr : found->second;
}

Cell& Cells::FindOrCreate(const CellId& id) {
  if (Cell* found = Find(id)) return *found;
  auto owned = std::make_unique<Cell>();
  Cell& cell = *owned;
  cell.id = id;
  cell.number = next_number_++;
  cells_.emplace(cell.number, std::move(owned));
  by_id_.emplace(&cell.id, &cell);
  MeshIndex& mesh = meshes_[id.mesh];
  mesh.cells.insert(&cell);
  if (!id.destination.empty())
    mesh.destinations[std::string(ServiceOf(id.destination))].insert(&cell);
  if (id.view != nullptr) mesh.views[id.view].insert(&cell);
  alike_[AlikeKey(id)].insert(&cell);
  unused_.insert(&cell);  // until a group or a proxy takes it
  counters_.cells = cells_.size();
  return cell;
}

void Cells::Erase(Cell& cell) {
  const auto mesh = meshes_.find(cell.id.mesh);
  mesh->second.cells.erase(&cell);
  if (!cell.id.destination.empty()) {
    const auto at = mesh->second.destinations.find(ServiceOf(cell.id.destination));
    at->second.erase(&cell);
    if (at->second.empty()) mesh->second.destinations.erase(at);
  }
  if (cell.id.view != nullptr) {
    const auto at = mesh->second.views.find(cell.id.view);
    at->second.erase(&cell);
    if (at->second.empty()) mesh->second.views.erase(at);
  }
  if (mesh->second.cells.empty()) meshes_.erase(mesh);
  const auto alike = alike_.find(AlikeKey(cell.id));
  alike->second.erase(&cell);
  if (alike->second.empty()) alike_.erase(alike);
  by_id_.erase(&cell.id);
  counters_.cell_bytes -= BytesOf(cell);
  if (!cell.failure.empty()) --counters_.degraded_cells;
  cells_.erase(cell.number);
  counters_.cells = cells_.size();
}

const CellSet& Cells::OfDestination(const std::string& mesh, const std::string& destination) const {
  static const CellSet kNone;
  const auto index = meshes_.find(mesh);
  if (index == meshes_.end()) return kNone;
  const auto found = index->second.destinations.find(destination);
  return found == index->second.destinations.end() ? kNone : found->second;
}

const CellSet& Cells::OfMesh(const std::string& mesh) const {
  static const CellSet kNone;
  const auto index = meshes_.find(mesh);
  return index == meshes_.end() ? kNone : index->second.cells;
}

std::vector<std::pair<policy::ViewPtr, const CellSet*>> Cells::Views(
    const std::string& mesh) const {
  std::vector<std::pair<policy::ViewPtr, const CellSet*>> views;
  const auto index = meshes_.find(mesh);
  if (index == meshes_.end()) return views;
  for (const auto& [view, cells] : index->second.views) views.emplace_back(view, &cells);
  return views;
}

policy::ViewPtr Cells::Intern(const policy::ViewPtr& view) const {
  const auto index = meshes_.find(view->mesh);
  if (index == meshes_.end()) return view;
  const auto found = index->second.views.find(view);
  return found == index->second.views.end() ? view : found->first;
}

std::vector<Cell*> Cells::OfKind(const std::string& mesh, const std::string& kind) const {
  std::vector<Cell*> cells;
  const auto index = meshes_.find(mesh);
  if (index == meshes_.end()) return cells;
  const std::string prefix = kind + "/";
  const auto& destinations = index->second.destinations;
  for (auto at = destinations.lower_bound(prefix);
       at != destinations.end() && at->first.starts_with(prefix); ++at)
    cells.insert(cells.end(), at->second.begin(), at->second.end());
  return cells;
}

const Cell* Cells::MostAlike(const Cell& cell) const {
  const Cell* best = nullptr;
  size_t best_score = 0;
  for (const Cell* other : alike_.at(AlikeKey(cell.id))) {
    // Another identity is another thing: its bytes must not be lent.
    if (other == &cell || !other->has_good || other->id.traits != cell.id.traits) continue;
    const size_t score = InCommon(other->id.view, cell.id.view) + 1;
    if (score > best_score) {
      best = other;
      best_score = score;
    }
  }
  return best;
}

Group& Cells::GroupOf(GroupKey key) {
  const size_t hash = key.Hash();
  const auto [begin, end] = groups_by_key_.equal_range(hash);
  for (auto at = begin; at != end; ++at) {
    if (at->second->key == key) return *at->second;
  }
  auto owned = std::make_unique<Group>();
  Group& group = *owned;
  group.number = next_number_++;
  group.key = std::move(key);
  const auto add = [&](const CellId& id) {
    Cell* root = Find(id);
    CHECK(root != nullptr, "a group's root is always a cell");
    group.roots.push_back(root);
  };
  for (const generate::OutboundAt& outbound : group.key.outbounds->items())
    add(generate::ListenerId(group.key.listener, outbound));
  for (const CellId& id : group.key.more) add(id);
  group.lists.fill(bundle::EmptyList());
  groups_by_key_.emplace(hash, &group);
  groups_.emplace(group.number, std::move(owned));
  empty_groups_.push_back(&group);  // until a proxy joins
  return group;
}

// Needs have no cycles: listener, cluster, endpoints.
bool Cells::IsWhole(Cell& cell) {
  if (cell.judged == walk_) return cell.is_whole;
  bool whole = !cell.gone && (cell.failure.empty() || cell.has_good);
  for (Cell* need : cell.content->needs) whole = IsWhole(*need) && whole;
  if (whole) cell.whole = cell.content;
  cell.judged = walk_;
  cell.is_whole = whole;
  return whole;
}

bool Cells::Refresh(Group& group, Interner& interner) {
  ++walk_;
  std::vector<Cell*> closure;
  closure.reserve(group.cells.size());
  const auto add = [&](Cell* cell) {
    if (cell->seen == walk_) return;
    cell->seen = walk_;
    closure.push_back(cell);
  };
  for (Cell* root : group.roots) add(root);
  // What is sent comes first, then what only waits to be whole.
  const auto sends = [&](Cell* cell) {
    if (IsWhole(*cell)) return true;
    return !cell->gone && cell->whole != nullptr &&
           std::all_of(cell->whole->needs.begin(), cell->whole->needs.end(),
                       [&](Cell* need) { return IsWhole(*need); });
  };
  std::vector<bundle::SealedPtr> resources;
  for (size_t i = 0; i < closure.size(); ++i) {
    if (!sends(closure[i])) continue;
    const Content& whole = *closure[i]->whole;
    resources.insert(resources.end(), whole.resources.begin(), whole.resources.end());
    for (Cell* need : whole.needs) add(need);
  }
  for (size_t i = 0; i < closure.size(); ++i) {
    for (Cell* need : closure[i]->content->needs) add(need);
    if (closure[i]->whole == nullptr) continue;
    for (Cell* need : closure[i]->whole->needs) add(need);
  }

  if (closure != group.cells) {
    for (Cell* cell : group.cells) {
      if (cell->seen == walk_) continue;
      std::erase(cell->groups, &group);
      unused_.insert(cell);
    }
    for (Cell* cell : closure) {
      const auto at =
          std::lower_bound(cell->groups.begin(), cell->groups.end(), &group, ByNumber());
      if (at == cell->groups.end() || *at != &group) cell->groups.insert(at, &group);
    }
    group.cells = std::move(closure);
  }

  bundle::XdsBundle assembled = generate::Assemble({}, std::move(resources));
  bool changed = group.fresh;
  for (size_t type = 0; type < bundle::kXdsTypeCount; ++type) {
    bundle::SealedListPtr list = interner.List(std::move(assembled.resources[type]));
    changed = changed || list != group.lists[type];
    group.lists[type] = std::move(list);
  }
  group.fresh = false;
  return changed;
}

void Cells::Join(Proxy& proxy, Group* group) {
  if (proxy.group == group) return;
  if (proxy.group != nullptr) {
    proxy.group->proxies.erase(&proxy);
    if (proxy.group->proxies.empty()) empty_groups_.push_back(proxy.group);
  }
  proxy.group = group;
  if (group != nullptr) group->proxies.insert(&proxy);
}

void Cells::SetOwn(Proxy& proxy, Cell* own) {
  if (proxy.own == own) return;
  if (proxy.own != nullptr) {
    --proxy.own->owners;
    unused_.insert(proxy.own);
  }
  proxy.own = own;
  if (own != nullptr) ++own->owners;
}

bool Cells::SetContent(Cell& cell, Content content) {
  if (cell.content->resources == content.resources && cell.content->needs == content.needs)
    return false;
  counters_.cell_bytes -= BytesOf(cell);
  cell.content = std::make_shared<const Content>(std::move(content));
  counters_.cell_bytes += BytesOf(cell);
  return true;
}

void Cells::SetFailure(Cell& cell, std::string failure, base::Revision since) {
  if (cell.failure.empty() != failure.empty()) {
    counters_.degraded_cells += failure.empty() ? static_cast<uint64_t>(-1) : 1;
    cell.failed_since = since;
  }
  cell.failure = std::move(failure);
}

void Cells::Unlink(Group& group) {
  for (Cell* cell : group.cells) {
    std::erase(cell->groups, &group);
    unused_.insert(cell);
  }
  const auto [begin, end] = groups_by_key_.equal_range(group.key.Hash());
  groups_by_key_.erase(
      std::find_if(begin, end, [&](const auto& entry) { return entry.second == &group; }));
  groups_.erase(group.number);
}

void Cells::Collect() {
  const std::set<Group*, ByNumber> empty(empty_groups_.begin(), empty_groups_.end());
  for (Group* group : empty) {
    if (group->proxies.empty()) Unlink(*group);
  }
  empty_groups_.clear();
  while (!unused_.empty()) {
    Cell* cell = *unused_.begin();
    unused_.erase(unused_.begin());
    if (cell->groups.empty() && cell->owners == 0 && !cell->running) Erase(*cell);
  }
}

}  // namespace kuma::control::internal

// What a change marks: cells, plans, own parts of proxies.

#include <algorithm>
#include <deque>

#include "base/log.h"
#include "control/internal/rounds.h"

namespace kuma::control::internal {
namespace {

using base::ProxyKey;
using generate::CellKind;

constexpr base::Logger kLog("control");

}  // namespace

template <class F>
void Rounds::ForProxiesOf(const std::string& mesh, F f) {
  for (auto at = proxies_.lower_bound({mesh, ""}); at != proxies_.end() && at->first.mesh == mesh;
       ++at)
    f(*at->second);
}

void Rounds::MarkCell(Cell& cell, const CausePtr& cause, bool can_wait) {
  if (cell.id.kind == CellKind::kOwn) {
    if (Proxy* owner = OwnerOf(cell)) MarkProxy(*owner, false, true, cause);
    return;
  }
  AddCauses(cell.causes, {cause});
  cell.pressing = cell.pressing || !can_wait;
  if (cell.marked) return;
  cell.marked = true;
  marked_cells_.push_back(cell.number);
}

void Rounds::MarkProxy(Proxy& proxy, bool plan, bool own, const CausePtr& cause) {
  proxy.plan_marked = proxy.plan_marked || plan;
  proxy.own_marked = proxy.own_marked || own;
  if (cause != nullptr) AddCauses(proxy.causes, {cause});
  if (proxy.queued) return;
  proxy.queued = true;
  (proxy.bundle == nullptr ? new_queue_ : queue_).push_back(proxy.key);
}

void Rounds::Mark(const Scope& scope, const CausePtr& cause) {
  const auto mark_cells = [&](const auto& cells) {
    for (Cell* cell : cells) MarkCell(*cell, cause, scope.can_wait);
  };
  const auto mark_proxies = [&](bool own) {
    ForProxiesOf(scope.mesh, [&](Proxy& proxy) { MarkProxy(proxy, true, own, cause); });
  };
  if (running_) AddCauses(late_causes_, {cause});
  using enum Scope::What;
  if (scope.what == kView || scope.what == kPlans || scope.what == kMesh) views_.erase(scope.mesh);
  if (scope.what == kEverything) views_.clear();
  switch (scope.what) {
    case kProxy: {
      const auto found = proxies_.find({scope.mesh, scope.name});
      if (found == proxies_.end()) break;
      NoteDataplane(*found->second);
      MarkProxy(*found->second, true, true, cause);
      break;
    }
    case kReaders: MarkReaders(scope, cause); break;
    case kDestination: mark_cells(cells_.OfDestination(scope.mesh, scope.name)); break;
    case kEndpoints:
      for (Cell* cell : cells_.OfDestination(scope.mesh, scope.name)) {
        if (cell->id.kind == CellKind::kEndpoints) MarkCell(*cell, cause, scope.can_wait);
      }
      break;
    case kKind: mark_cells(cells_.OfKind(scope.mesh, scope.name)); break;
    case kListeners:
      for (Cell* cell : cells_.OfMesh(scope.mesh)) {
        if (cell->id.kind == CellKind::kListener) MarkCell(*cell, cause, scope.can_wait);
      }
      break;
    case kView:
      for (const auto& [view, cells] : cells_.Views(scope.mesh)) {
        const auto& policies = view->policies;
        if (std::find(policies.begin(), policies.end(), scope.policy) == policies.end()) continue;
        for (Cell* cell : *cells) {
          if (ReadsPolicy(*cell, scope)) MarkCell(*cell, cause, scope.can_wait);
        }
      }
      break;
    case kPlans: mark_proxies(false); break;
    case kPeers:
      for (Proxy* proxy : calls_peers_) {
        if (proxy->key.mesh == scope.mesh) MarkProxy(*proxy, false, true, cause);
      }
      break;
    case kMesh:
      mark_proxies(true);
      mark_cells(cells_.OfMesh(scope.mesh));
      break;
    case kEverything:
      for (auto& [key, proxy] : proxies_) MarkProxy(*proxy, true, true, cause);
      for (const auto& [id, cell] : cells_.all()) {
        if (cell->id.kind != CellKind::kOwn) MarkCell(*cell, cause, scope.can_wait);
      }
      break;
  }
  kLog.Debug("affected", {{"cause", cause->text},
                          {"mesh", scope.mesh},
                          {"name", scope.name},
                          {"scope", static_cast<int>(scope.what)},
                          {"cells", marked_cells_.size()},
                          {"proxies", queue_.size() + new_queue_.size()}});
}

model::ResourcePtr Rounds::DataplaneOf(const Proxy& proxy) const {
  const mesh::MeshSnapshot* mesh = next_snapshot_->Mesh(proxy.key.mesh);
  return mesh == nullptr ? nullptr : mesh->Find("Dataplane", proxy.key.name);
}

const Reach* Rounds::ReachOfProxy(Proxy& proxy) const {
  if (!proxy.reach) {
    const model::ResourcePtr dataplane = DataplaneOf(proxy);
    if (dataplane == nullptr) return nullptr;
    proxy.reach = ReachOf(*dataplane, *proxy.node);
  }
  return &*proxy.reach;
}

// It is new, or its Dataplane is another one.
void Rounds::NoteDataplane(Proxy& proxy) {
  proxy.reach.reset();
  const model::ResourcePtr dataplane = DataplaneOf(proxy);
  if (dataplane != nullptr && CallsPeers(*dataplane)) {
    calls_peers_.insert(&proxy);
  } else {
    calls_peers_.erase(&proxy);
  }
}

bool Rounds::ReadsPolicy(const Cell& cell, const Scope& scope) const {
  switch (cell.id.kind) {
    case CellKind::kListener: return scope.listeners;
    case CellKind::kCluster: return scope.clusters;
    case CellKind::kEndpoints: return scope.endpoints;
    case CellKind::kOwn: break;
  }
  if (scope.own_parts != Scope::OwnParts::kWithOutside)
    return scope.own_parts == Scope::OwnParts::kAll;
  Proxy* owner = OwnerOf(cell);
  const Reach* reach = owner == nullptr ? nullptr : ReachOfProxy(*owner);
  return reach != nullptr && reach->outside;
}

void Rounds::MarkReaders(const Scope& scope, const CausePtr& cause) {
  ForProxiesOf(scope.mesh, [&](Proxy& proxy) {
    const Reach* reach = ReachOfProxy(proxy);
    if (reach == nullptr) return;
    if (reach->everything || reach->services.contains(scope.name) ||
        reach->services.contains(scope.also)) {
      MarkProxy(proxy, true, true, cause);
    }
  });
}

Proxy* Rounds::OwnerOf(const Cell& own) const {
  const auto found = proxies_.find({own.id.mesh, own.id.proxy});
  return found != proxies_.end() && found->second->own == &own ? found->second.get() : nullptr;
}

}  // namespace kuma::control::internal

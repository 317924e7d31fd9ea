// What others see of the tables; and a sample of what was published, compared with the oracle.

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "control/internal/rounds.h"
#include "control/oracle.h"

namespace kuma::control::internal {
namespace {

using base::ProxyKey;
using generate::CellKind;

constexpr base::Logger kLog("control");
constexpr size_t kMaxNamedProxies = 32;
constexpr int kOracleRest = 500;  // times what a comparison took

}  // namespace

void Rounds::UpdateCounters() {
  counters_.proxies = proxies_.size();
  counters_.lists = interner_.lists();
  counters_.waiting_cells = marked_cells_.size() + round_cells_.size();
  counters_.waiting_proxies = queue_.size() + new_queue_.size() + round_proxies_.size();
}

DegradedCell Rounds::DegradedOf(const Cell& cell) const {
  std::set<ProxyKey> proxies;
  if (cell.id.kind == CellKind::kOwn) proxies.insert({cell.id.mesh, cell.id.proxy});
  for (const Group* group : cell.groups) {
    for (const Proxy* proxy : group->proxies) proxies.insert(proxy->key);
  }
  DegradedCell degraded{.id = cell.id,
                        .reason = cell.failure,
                        .since = cell.failed_since,
                        .has_last_good = cell.has_good,
                        .proxy_count = proxies.size(),
                        .proxies = {}};
  for (const ProxyKey& proxy : proxies) {
    if (degraded.proxies.size() < kMaxNamedProxies) degraded.proxies.push_back(proxy);
  }
  return degraded;
}

std::vector<DegradedCell> Rounds::degraded() const {
  std::map<uint64_t, const Cell*> failing;
  for (const auto& [number, cell] : cells_.all()) {
    if (!cell->failure.empty()) failing.emplace(number, cell.get());
  }
  std::vector<DegradedCell> degraded;
  for (const auto& [number, cell] : failing) degraded.push_back(DegradedOf(*cell));
  return degraded;
}

std::vector<std::string> Rounds::CheckAll() const {
  std::vector<std::string> differences;
  for (const auto& [key, proxy] : proxies_) {
    if (!proxy->plan || proxy->queued || running_ || !marked_cells_.empty() ||
        touched_.contains(proxy.get()) || resting_.contains(proxy.get()) ||
        (proxy->group != nullptr && stale_.contains(proxy->group)))
      continue;
    if (IsDegraded(*proxy)) continue;
    if (proxy->bundle == nullptr) {
      differences.push_back(key.ToString() + ": nothing was published");
      continue;
    }
    std::string difference =
        OracleDifference(around_.generator, *next_snapshot_, key, *proxy->node, *proxy->bundle);
    if (!difference.empty()) differences.push_back(std::move(difference));
  }
  return differences;
}

// The sample.

// One that was given something may have got the wrong thing; one that was not, perhaps should have.
void Rounds::SampleOracle(const std::vector<Published>& published) {
  if (!settings_.oracle_interval || oracle_running_ || published.empty() ||
      around_.clock.Now() < oracle_at_)
    return;
  const uint64_t turn = oracle_turns_++;
  auto at = proxies_.find(published[turn / 2 % published.size()].proxy);
  if (turn % 2 == 1) {
    at = proxies_.upper_bound(oracle_last_);
    if (at == proxies_.end()) at = proxies_.begin();
    oracle_last_ = at->first;
  }
  if (IsAsOf(*at->second)) CompareWithOracle(*at->second);
}

// Its bundle is all of the snapshot of this round.
bool Rounds::IsAsOf(const Proxy& proxy) const {
  const auto waits_in = [&](const auto& proxies) {
    return std::any_of(proxies.begin(), proxies.end(),
                       [&](const Proxy* other) { return other == &proxy; });
  };
  return proxy.plan && proxy.bundle != nullptr && !proxy.behind && proxy.group != nullptr &&
         !stale_.contains(proxy.group) && !waits_in(touched_) && !waits_in(resting_) &&
         !IsDegraded(proxy);
}

// It has cells that could not be built.
bool Rounds::IsDegraded(const Proxy& proxy) {
  const auto fails = [](const Cell* cell) { return !cell->failure.empty(); };
  return (proxy.own != nullptr && fails(proxy.own)) ||
         (proxy.group != nullptr &&
          std::any_of(proxy.group->cells.begin(), proxy.group->cells.end(), fails));
}

void Rounds::CompareWithOracle(const Proxy& proxy) {
  oracle_running_ = true;
  around_.pool.Post([weak = weak_from_this(), writer = &around_.writer, clock = &around_.clock,
                     generator = &around_.generator, snapshot = snapshot_, key = proxy.key,
                     node = proxy.node, published = proxy.bundle] {
    const runtime::Time begin = clock->Now();
    std::string difference = OracleDifference(*generator, *snapshot, key, *node, *published);
    const runtime::Duration took = clock->Now() - begin;
    writer->Post([weak, took, difference = std::move(difference)] {
      const auto self = weak.lock();
      if (self == nullptr) return;
      self->oracle_running_ = false;
      self->oracle_at_ = self->around_.clock.Now() +
                         std::max(*self->settings_.oracle_interval, kOracleRest * took);
      ++self->counters_.oracle_checks;
      if (difference.empty()) return;
      ++self->counters_.oracle_differences;
      kLog.Error("a published bundle differs from what it should be", {{"difference", difference}});
    });
  });
}

}  // namespace kuma::control::internal

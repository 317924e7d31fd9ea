#include "control/internal/owned_dataplanes.h"

#include <algorithm>

namespace kuma::control::internal {

using base::ProxyKey;
using runtime::Time;

void OwnedDataplanes::SetDeadline(const ProxyKey& proxy, Entry& entry,
                                  std::optional<Time> deadline) {
  if (entry.deadline) queue_.erase({*entry.deadline, proxy});
  entry.deadline = deadline;
  if (deadline) queue_.emplace(*deadline, proxy);
}

void OwnedDataplanes::SetHeld(Entry& entry, bool held) {
  if (entry.held == held) return;
  entry.held = held;
  held_count_ += held ? 1 : static_cast<size_t>(-1);
}

void OwnedDataplanes::Put(const ProxyKey& proxy, bool owned, Time now) {
  const auto [at, is_new] = entries_.try_emplace(proxy);
  Entry& entry = at->second;
  if (is_new) {
    ++meshes_[proxy.mesh].dataplanes;
    entry.connected = entry.was_connected = connected_.contains(proxy);
  }
  entry.owned = owned;
  if (!owned) {
    SetHeld(entry, false);
    SetDeadline(proxy, entry, std::nullopt);
    return;
  }
  // Written again without a stream: its proxy is about to come (back).
  if (!entry.connected && (settings_.only_instance || entry.was_connected)) {
    SetHeld(entry, false);
    entry.unguarded = false;
    SetDeadline(proxy, entry, now + settings_.return_grace);
  }
}

void OwnedDataplanes::Erase(const ProxyKey& proxy) {
  const auto at = entries_.find(proxy);
  if (at == entries_.end()) return;
  SetHeld(at->second, false);
  SetDeadline(proxy, at->second, std::nullopt);
  entries_.erase(at);
  const auto mesh = meshes_.find(proxy.mesh);
  if (--mesh->second.dataplanes == 0 && mesh->second.removed.empty()) meshes_.erase(mesh);
}

void OwnedDataplanes::Connected(const ProxyKey& proxy) {
  connected_.insert(proxy);
  const auto at = entries_.find(proxy);
  if (at == entries_.end()) return;
  at->second.connected = at->second.was_connected = true;
  at->second.unguarded = false;
  SetHeld(at->second, false);
  SetDeadline(proxy, at->second, std::nullopt);
}

void OwnedDataplanes::Disconnected(const ProxyKey& proxy, Departure how, Time now) {
  connected_.erase(proxy);
  const auto at = entries_.find(proxy);
  if (at == entries_.end()) return;
  Entry& entry = at->second;
  entry.connected = false;
  if (!entry.owned) return;
  entry.unguarded = how == Departure::kGoodbye;
  SetDeadline(proxy, entry, how == Departure::kAlone ? now + settings_.leave_grace : now);
}

std::vector<ProxyKey> OwnedDataplanes::TakeDue(Time now) {
  std::map<std::string, std::vector<ProxyKey>> guarded;
  std::vector<ProxyKey> due;
  while (!queue_.empty() && queue_.begin()->first <= now) {
    const ProxyKey proxy = queue_.begin()->second;
    Entry& entry = entries_.at(proxy);
    SetDeadline(proxy, entry, std::nullopt);
    if (entry.unguarded) {
      due.push_back(proxy);
    } else {
      guarded[proxy.mesh].push_back(proxy);
    }
  }
  for (auto& [mesh, proxies] : guarded) {
    MeshCount& count = meshes_[mesh];
    while (!count.removed.empty() && count.removed.front() <= now - settings_.guard_window)
      count.removed.pop_front();
    // Of those that were there before the window began; removals in progress may be in both
    // numbers, which errs on the side of removing.
    const size_t total = count.dataplanes + count.removed.size();
    const size_t gone = proxies.size() + count.removed.size();
    if (gone > settings_.guard_minimum && gone * 100 > total * settings_.guard_percent) {
      for (const ProxyKey& proxy : proxies) SetHeld(entries_.at(proxy), true);
    } else {
      count.removed.insert(count.removed.end(), proxies.size(), now);
      due.insert(due.end(), proxies.begin(), proxies.end());
    }
  }
  std::sort(due.begin(), due.end());
  return due;
}

void OwnedDataplanes::Retry(const ProxyKey& proxy, Time when) {
  const auto at = entries_.find(proxy);
  if (at == entries_.end() || at->second.connected || !at->second.owned || at->second.deadline)
    return;
  at->second.unguarded = true;  // it passed the guard
  SetDeadline(proxy, at->second, when);
}

std::optional<Time> OwnedDataplanes::next() const {
  if (queue_.empty()) return std::nullopt;
  return queue_.begin()->first;
}

std::vector<ProxyKey> OwnedDataplanes::held() const {
  std::vector<ProxyKey> proxies;
  for (const auto& [proxy, entry] : entries_) {
    if (entry.held) proxies.push_back(proxy);
  }
  return proxies;
}

void OwnedDataplanes::Release(const std::string& mesh, Time now) {
  for (auto at = entries_.lower_bound({mesh, ""}); at != entries_.end() && at->first.mesh == mesh;
       ++at) {
    if (!at->second.held) continue;
    SetHeld(at->second, false);
    at->second.unguarded = true;
    SetDeadline(at->first, at->second, now);
  }
}

}  // namespace kuma::control::internal

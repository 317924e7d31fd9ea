#include "insight/rollouts.h"

#include <algorithm>
#include <utility>

namespace kuma::insight {
namespace {

using base::ProxyKey;
using base::Revision;

constexpr size_t kMaxNamed = 32;

}  // namespace

void Rollouts::OnPublished(const ProxyKey& proxy, Revision revision,
                           const std::vector<Revision>& causes) {
  Entry entry{.bundle = revision, .causes = {}};
  for (const Revision cause : causes) {
    if (cause <= forgotten_) continue;
    Rollout& rollout = rollouts_[cause];
    rollout.revision = cause;
    ++rollout.pending;
    ++pending_;
    entry.causes.push_back(cause);
  }
  if (!entry.causes.empty()) waiting_[proxy].push_back(std::move(entry));
  Forget();
}

void Rollouts::OnSettled(Revision revision) { settled_ = std::max(settled_, revision); }

void Rollouts::Close(const Entry& entry, uint64_t Rollout::*state) {
  for (const Revision cause : entry.causes) {
    --pending_;
    const auto found = rollouts_.find(cause);
    if (found == rollouts_.end()) continue;
    --found->second.pending;
    ++(found->second.*state);
  }
}

void Rollouts::OnInStep(const ProxyKey& proxy, Revision revision) {
  const auto found = waiting_.find(proxy);
  if (found == waiting_.end()) return;
  std::deque<Entry>& entries = found->second;
  while (!entries.empty() && entries.front().bundle <= revision) {
    const Entry& entry = entries.front();
    Close(entry, entry.rejected     ? &Rollout::rejected
                 : entry.superseded ? &Rollout::superseded
                                    : &Rollout::acknowledged);
    entries.pop_front();
  }
  if (entries.empty()) waiting_.erase(found);
}

void Rollouts::OnRejected(Revision revision, Rejection rejection) {
  const auto found = waiting_.find(rejection.proxy);
  if (found == waiting_.end()) return;
  // The newest that was sent by then; what an older one gave was never answered by itself.
  Entry* newest = nullptr;
  for (Entry& entry : found->second) {
    if (entry.bundle > revision) break;
    if (newest != nullptr && !newest->rejected) newest->superseded = true;
    newest = &entry;
  }
  if (newest == nullptr) return;
  newest->rejected = true;
  newest->superseded = false;
  for (const Revision cause : newest->causes) {
    const auto rollout = rollouts_.find(cause);
    if (rollout == rollouts_.end() || rollout->second.rejections.size() >= kMaxNamed) continue;
    rollout->second.rejections.push_back(rejection);
  }
}

void Rollouts::OnGone(const ProxyKey& proxy) {
  const auto found = waiting_.find(proxy);
  if (found == waiting_.end()) return;
  for (const Entry& entry : found->second) Close(entry, &Rollout::gone);
  waiting_.erase(found);
}

void Rollouts::Forget() {
  while (rollouts_.size() > limit_) {
    forgotten_ = std::max(forgotten_, rollouts_.begin()->first);
    rollouts_.erase(rollouts_.begin());
  }
}

Rollouts::Answer Rollouts::Find(Revision revision, Revision newest) const {
  if (revision > newest) return Unknown{};
  const auto found = rollouts_.find(revision);
  if (found == rollouts_.end() && revision <= forgotten_) return TooOld{};
  Rollout rollout;
  if (found != rollouts_.end()) rollout = found->second;
  rollout.revision = revision;
  rollout.settled = revision <= settled_;
  if (rollout.pending == 0) return rollout;
  for (const auto& [proxy, entries] : waiting_) {
    const bool waits = std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) {
      return std::binary_search(entry.causes.begin(), entry.causes.end(), revision);
    });
    if (waits) rollout.pending_proxies.push_back(proxy);
    if (rollout.pending_proxies.size() == kMaxNamed) break;
  }
  return rollout;
}

}  // namespace kuma::insight

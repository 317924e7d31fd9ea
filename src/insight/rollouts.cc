#include "insight/rollouts.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "base/format.h"

namespace kuma::insight {
namespace {

using base::ProxyKey;
using base::Revision;

constexpr size_t kMaxNamed = 32;
constexpr size_t kMaxTexts = 8;
// More changed parts of one entry than this count as all.
constexpr size_t kMaxParts = 4096;

bool Touches(const Parts& changed, Part part) {
  return changed == nullptr || std::binary_search(changed->begin(), changed->end(), part);
}

template <class T>
std::vector<T> Union(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> all;
  all.reserve(a.size() + b.size());
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all));
  return all;
}

Parts Union(const Parts& a, const Parts& b) {
  if (a == nullptr || b == nullptr) return nullptr;
  auto all = std::make_shared<const std::vector<Part>>(Union(*a, *b));
  return all->size() > kMaxParts ? nullptr : all;
}

}  // namespace

Part PartOf(xds::XdsType type, const bundle::NameRef& name) {
  return name.hash * 8 + static_cast<Part>(type);
}

Parts ChangedParts(const bundle::XdsBundle* before, const bundle::XdsBundle& after) {
  if (before == nullptr) return nullptr;
  std::vector<Part> parts;
  for (const xds::XdsType type : bundle::kAllXdsTypes) {
    const size_t index = static_cast<size_t>(type);
    if (before->resources[index] == after.resources[index]) continue;
    const bundle::SealedList& old = *before->resources[index];
    auto at = old.begin();
    for (const xds::SealedPtr& resource : *after.resources[index]) {
      while (at != old.end() && *at != resource && (*at)->key() < resource->key()) ++at;
      const bool same = at != old.end() && (*at == resource || SameContent(**at, *resource));
      if (!same) parts.push_back(PartOf(type, resource->key()));
    }
  }
  if (parts.size() > kMaxParts) return nullptr;
  std::sort(parts.begin(), parts.end());
  return std::make_shared<const std::vector<Part>>(std::move(parts));
}

void Rollouts::OnStart(Revision revision) {
  started_ = revision;
  forgotten_ = std::max(forgotten_, revision);
  settled_ = std::max(settled_, revision);
}

void Rollouts::OnPublished(const ProxyKey& proxy, Revision revision,
                           std::span<const Effect> effects, Parts changed) {
  Entry entry{.bundle = revision, .causes = {}, .changed = std::move(changed), .superseded_by = {}};
  for (const Effect& effect : effects) {
    if (effect.revision <= forgotten_) continue;
    Rollout& rollout = rollouts_[effect.revision];
    rollout.revision = effect.revision;
    entry.causes.push_back(effect.revision);
    if (effect.what == nullptr || rollout.what.size() >= kMaxTexts) continue;
    const bool known = std::any_of(rollout.what.begin(), rollout.what.end(), [&](const auto& text) {
      return text == effect.what || *text == *effect.what;
    });
    if (!known) rollout.what.push_back(effect.what);
  }
  std::sort(entry.causes.begin(), entry.causes.end());
  entry.causes.erase(std::unique(entry.causes.begin(), entry.causes.end()), entry.causes.end());
  if (entry.causes.empty()) return;
  for (const Revision cause : entry.causes) {
    ++rollouts_[cause].pending;
    ++pending_;
  }
  Entries& entries = waiting_[proxy];
  entries.push_back(std::move(entry));
  if (entries.size() > kMaxWaiting) Bound(entries);
  Forget();
}

// The oldest two that are alike become one: it is answered when the newer one is.
void Rollouts::Bound(Entries& entries) const {
  size_t at = 0;
  while (at + 2 < entries.size() && entries[at].rejected != entries[at + 1].rejected) ++at;
  Entry& to = entries[at];
  Entry& from = entries[at + 1];
  to.bundle = from.bundle;
  to.causes = Union(to.causes, from.causes);
  std::erase_if(to.causes, [this](Revision cause) { return cause <= forgotten_; });
  to.changed = Union(to.changed, from.changed);
  to.rejected = to.rejected || from.rejected;
  to.superseded_by = std::max(to.superseded_by, from.superseded_by);
  entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(at) + 1);
}

void Rollouts::OnSettled(Revision revision) {
  if (revision <= settled_) return;
  settled_ = revision;
  ++finals_;
}

void Rollouts::Close(const Entry& entry, uint64_t Rollout::*state) {
  for (const Revision cause : entry.causes) {
    const auto found = rollouts_.find(cause);
    if (found == rollouts_.end()) continue;
    Rollout& rollout = found->second;
    --pending_;
    --rollout.pending;
    ++(rollout.*state);
    if (rollout.pending == 0) ++finals_;
    if (state != &Rollout::superseded) continue;
    auto& by = rollout.superseded_by;
    const auto at = std::lower_bound(by.begin(), by.end(), entry.superseded_by);
    if ((at == by.end() || *at != entry.superseded_by) && by.size() < kMaxTexts)
      by.insert(at, entry.superseded_by);
  }
}

void Rollouts::OnInStep(const ProxyKey& proxy, Revision revision,
                        std::span<const Rejection> withheld) {
  const auto found = waiting_.find(proxy);
  if (found == waiting_.end()) return;
  Entries& entries = found->second;
  for (const Rejection& rejection : withheld) Reject(entries, revision, rejection);
  auto at = entries.begin();
  for (; at != entries.end() && at->bundle <= revision; ++at) {
    Close(*at, at->rejected                      ? &Rollout::rejected
               : at->superseded_by != Revision{} ? &Rollout::superseded
                                                 : &Rollout::acknowledged);
  }
  entries.erase(entries.begin(), at);
  if (entries.empty()) waiting_.erase(found);
}

void Rollouts::OnRejected(Revision revision, const Rejection& rejection) {
  const auto found = waiting_.find(rejection.proxy);
  if (found != waiting_.end()) Reject(found->second, revision, rejection);
}

// The newest that changed a rejected resource is rejected. Older ones that changed it too were
// never answered by themselves. What did not touch it goes on.
void Rollouts::Reject(Entries& entries, Revision revision, const Rejection& rejection) {
  Entry* newest = nullptr;
  for (Entry& entry : entries) {
    if (entry.bundle > revision) break;
    const bool touches = std::any_of(rejection.parts.begin(), rejection.parts.end(),
                                     [&](Part part) { return Touches(entry.changed, part); });
    if (!touches) continue;
    if (newest != nullptr && !newest->rejected) newest->superseded_by = entry.causes.back();
    newest = &entry;
  }
  if (newest == nullptr || newest->rejected) return;
  newest->rejected = true;
  newest->superseded_by = {};
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
    pending_ -= rollouts_.begin()->second.pending;
    ++finals_;
    rollouts_.erase(rollouts_.begin());
  }
}

bool Rollouts::IsFinal(Revision revision) const {
  const auto found = rollouts_.find(revision);
  if (found == rollouts_.end()) return revision <= settled_ || revision <= forgotten_;
  return revision <= settled_ && found->second.pending == 0;
}

Rollouts::Answer Rollouts::Find(Revision revision, Revision newest) const {
  if (revision > newest) return Unknown{};
  const auto found = rollouts_.find(revision);
  if (found == rollouts_.end() && revision <= started_) {
    return TooOld{base::Format(
        "revision {} was written before this control plane started, at revision {}: it has not "
        "seen who acknowledged it",
        revision.value, started_.value)};
  }
  if (found == rollouts_.end() && revision <= forgotten_) {
    return TooOld{base::Format(
        "only the last {} revisions that changed a proxy are kept, and revision {} is older",
        limit_, revision.value)};
  }
  Rollout rollout;
  if (found != rollouts_.end()) rollout = found->second;
  rollout.revision = revision;
  return Complete(std::move(rollout));
}

Rollout Rollouts::Complete(Rollout rollout) const {
  rollout.settled = rollout.revision <= settled_;
  if (rollout.pending == 0) return rollout;
  for (const auto& [proxy, entries] : waiting_) {
    const bool waits = std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) {
      return std::binary_search(entry.causes.begin(), entry.causes.end(), rollout.revision);
    });
    if (waits) rollout.pending_proxies.push_back(proxy);
  }
  std::sort(rollout.pending_proxies.begin(), rollout.pending_proxies.end());
  if (rollout.pending_proxies.size() > kMaxNamed) rollout.pending_proxies.resize(kMaxNamed);
  return rollout;
}

std::vector<Rollout> Rollouts::Newest(size_t count) const {
  std::vector<Rollout> newest;
  for (auto at = rollouts_.rbegin(); at != rollouts_.rend() && newest.size() < count; ++at)
    newest.push_back(Complete(at->second));
  return newest;
}

size_t Rollouts::waiting_bundles() const {
  size_t count = 0;
  for (const auto& [proxy, entries] : waiting_) count += entries.size();
  return count;
}

}  // namespace kuma::insight

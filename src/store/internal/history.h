#pragma once

// The history of what users write: which changes belong into it, and how long they stay.

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "store/store.h"

namespace kuma::store::internal {

// The entry of an event of a user's transaction; nothing if it is none of his changes (insights,
// statuses, derived resources, Dataplanes that their proxies own).
std::optional<HistoryEntry> ToHistory(const StoreEvent& event, const Origin& origin,
                                      model::WallTime now);

bool Matches(const HistoryQuery& query, const HistoryEntry& entry);

// Adds the next matching entry. False: the page is full, `more` is set.
bool AddToPage(const HistoryQuery& query, HistoryEntry entry, HistoryPage& page);

// Which revisions the history holds. Not thread-safe.
class KeptRevisions {
 public:
  // `complete_after`: nothing of a later revision is missing.
  KeptRevisions(HistoryLimits limits, Revision complete_after)
      : limits_(limits), complete_after_(complete_after) {}

  // In ascending order.
  void Add(Revision revision, model::WallTime time) { kept_.emplace_back(revision, time); }
  // Takes back the last `count` of them.
  void TakeBack(size_t count) { kept_.resize(kept_.size() - count); }
  // Entries up to this revision, of `most` revisions at most, are over the limits; complete_after()
  // if none is.
  Revision Cut(model::WallTime now, size_t most = SIZE_MAX) const;
  // When the oldest gets too old; nothing if there is none.
  std::optional<model::WallTime> next_expiry() const {
    if (kept_.empty()) return std::nullopt;
    return kept_.front().second + limits_.age;
  }
  const HistoryLimits& limits() const { return limits_; }
  void DropTo(Revision cut);
  Revision complete_after() const { return complete_after_; }

 private:
  HistoryLimits limits_;
  Revision complete_after_;
  std::deque<std::pair<Revision, model::WallTime>> kept_;
};

}  // namespace kuma::store::internal

#include "control/internal/follow_up.h"

#include <algorithm>
#include <utility>

namespace kuma::control::internal {
namespace {

using derive::Derived;
using model::ResourceKey;
using model::ResourcePtr;

// Null when nothing needs to be written.
std::optional<store::Write> WriteOf(const Derived& write, const ResourcePtr& stored) {
  store::Write out;
  if (write.resource == nullptr) {
    if (stored == nullptr) return std::nullopt;
    out.kind = store::Write::Kind::kDelete;
    out.key = write.key;
    out.expected = stored->meta().revision;
    return out;
  }
  out.resource = write.resource;
  out.key = write.key;
  out.status_only = write.status_only;
  if (write.must_not_exist) {
    out.expected = base::Revision{0};
  } else if (!write.status_only) {
    out.expected = stored == nullptr ? base::Revision{0} : stored->meta().revision;
  }
  return out;
}

// The rest of such an event came with events of its own.
bool SameStatus(const model::Resource& a, const model::Resource& b) {
  const auto equal = a.type().status.equal;
  if (a.status() == nullptr || b.status() == nullptr || equal == nullptr)
    return a.status() == b.status();
  return equal(a.status().get(), b.status().get());
}

// A status that follows a creation or a change of the spec which is not stored yet travels with it.
void TravelWith(const Derived& older, Derived& newer) {
  if (!newer.status_only || older.resource == nullptr) return;
  newer.status_only = older.status_only;
  newer.must_not_exist = older.must_not_exist;
}

mesh::Change ChangeTo(const ResourceKey& key, const ResourcePtr& stored, base::Revision otherwise) {
  return {.key = key,
          .before = nullptr,
          .after = stored,
          .revision = stored == nullptr ? otherwise : stored->meta().revision,
          .inputs_changed = false};
}

}  // namespace

void FollowUp::Want(Derived write, ResourcePtr stored, base::Revision cause) {
  const ResourceKey key = write.key;
  stored_.try_emplace(key, std::move(stored));
  Wanted& wanted = wanted_[key];
  TravelWith(wanted.write, write);
  wanted.write = std::move(write);
  wanted.cause = std::max(wanted.cause, cause);
}

bool FollowUp::OnEvent(const store::StoreEvent& event) {
  const auto known = stored_.find(event.key);
  if (known == stored_.end()) return true;
  known->second = event.after;
  if (!wanted_.contains(event.key)) return true;
  const auto sent = in_flight_.find(event.key);
  if (sent == in_flight_.end()) return true;
  const Derived& written = sent->second.write;
  const bool is_echo = written.resource == nullptr || event.after == nullptr
                           ? written.resource == event.after
                       : written.status_only ? SameStatus(*written.resource, *event.after)
                                             : mesh::SameContent(*written.resource, *event.after);
  if (is_echo) skipped_.insert(event.key);
  return !is_echo;
}

std::optional<store::Transaction> FollowUp::Next() {
  if (in_flight()) return std::nullopt;
  store::Transaction transaction;
  while (!wanted_.empty() && transaction.writes.empty()) {
    if (one_by_one_ > 0) {
      --one_by_one_;
      in_flight_.insert(wanted_.extract(wanted_.begin()));
    } else {
      in_flight_ = std::exchange(wanted_, {});
    }
    for (auto at = in_flight_.begin(); at != in_flight_.end();) {
      if (auto write = WriteOf(at->second.write, stored_.at(at->first))) {
        transaction.writes.push_back(*std::move(write));
        transaction.cause = std::max(transaction.cause, at->second.cause);
        ++at;
      } else {
        stored_.erase(at->first);
        skipped_.erase(at->first);
        at = in_flight_.erase(at);
      }
    }
  }
  if (transaction.writes.empty()) return std::nullopt;
  // Owners first, so that what they own finds them; deletions last, so that nothing is deleted
  // under a later put.
  std::stable_sort(transaction.writes.begin(), transaction.writes.end(),
                   [](const store::Write& a, const store::Write& b) {
                     const auto rank = [](const store::Write& w) {
                       if (w.kind == store::Write::Kind::kDelete) return 3;
                       if (w.status_only) return 2;
                       return w.resource->meta().owner ? 1 : 0;
                     };
                     return rank(a) < rank(b);
                   });
  return transaction;
}

std::vector<mesh::Change> FollowUp::Stored() {
  std::vector<mesh::Change> changes;
  for (const auto& [key, unused] : in_flight_) {
    if (wanted_.contains(key)) continue;
    const auto stored = stored_.extract(key);
    if (skipped_.erase(key) == 0) continue;
    changes.push_back(ChangeTo(key, stored.mapped(), {}));
  }
  in_flight_.clear();
  return changes;
}

void FollowUp::Unavailable() {
  for (auto& [key, older] : in_flight_) {
    const auto [newer, inserted] = wanted_.try_emplace(key, older);
    if (!inserted) TravelWith(older.write, newer->second.write);
  }
  in_flight_.clear();
}

std::vector<mesh::Change> FollowUp::Refused(bool one_by_one) {
  std::vector<mesh::Change> changes;
  if (one_by_one && in_flight_.size() == 1) {
    const ResourceKey key = in_flight_.begin()->first;
    in_flight_.clear();
    if (!wanted_.contains(key)) stored_.erase(key);
    return changes;
  }
  Unavailable();
  if (one_by_one) {
    one_by_one_ = wanted_.size();
    return changes;
  }
  for (const auto& [key, wanted] : wanted_) {
    changes.push_back(ChangeTo(key, stored_.at(key), wanted.cause));
  }
  wanted_.clear();
  stored_.clear();
  skipped_.clear();
  return changes;
}

}  // namespace kuma::control::internal

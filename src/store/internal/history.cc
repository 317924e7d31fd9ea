#include "store/internal/history.h"

#include "model/names.h"

namespace kuma::store::internal {
namespace {

bool IsUsers(const model::Resource& resource) {
  return !resource.type().is_insight && !resource.meta().owned_by_proxy &&
         resource.meta().Label(model::kManagedByLabel).empty();
}

HistoryState StateOf(const model::Resource& resource) {
  HistoryState state{resource.meta().labels, {}};
  if (!resource.type().admin_only) state.spec = resource.type().spec.encode(resource.spec().get());
  return state;
}

bool SameForUsers(const model::Resource& a, const model::Resource& b) {
  return a.meta().labels == b.meta().labels &&
         (a.spec() == b.spec() || a.type().spec.equal(a.spec().get(), b.spec().get()));
}

}  // namespace

std::optional<HistoryEntry> ToHistory(const StoreEvent& event, const Origin& origin,
                                      model::WallTime now) {
  // A derived resource that a user takes over is his from then on.
  if (!IsUsers(event.after != nullptr ? *event.after : *event.before)) return std::nullopt;
  if (event.before != nullptr && event.after != nullptr &&
      SameForUsers(*event.before, *event.after)) {
    return std::nullopt;
  }
  HistoryEntry entry{event.revision, now, origin, event.key, {}, {}};
  if (event.before != nullptr) entry.before = StateOf(*event.before);
  if (event.after != nullptr) entry.after = StateOf(*event.after);
  return entry;
}

bool Matches(const HistoryQuery& query, const HistoryEntry& entry) {
  const auto fits = [](const std::string& wanted, const std::string& held) {
    return wanted.empty() || wanted == held;
  };
  return fits(query.kind, entry.key.kind) && fits(query.mesh, entry.key.mesh) &&
         fits(query.name, entry.key.name) && entry.revision > query.after &&
         entry.revision < query.before && entry.time >= query.since;
}

bool AddToPage(const HistoryQuery& query, HistoryEntry entry, HistoryPage& page) {
  std::vector<HistoryEntry>& entries = page.entries;
  if (entries.size() >= query.limit &&
      (entries.empty() || entries.back().revision != entry.revision)) {
    page.more = true;
    return false;
  }
  entries.push_back(std::move(entry));
  return true;
}

Revision KeptRevisions::Cut(model::WallTime now, size_t most) const {
  Revision cut = complete_after_;
  size_t left = kept_.size();
  for (const auto& [revision, time] : kept_) {
    if ((left <= limits_.revisions && now - time <= limits_.age) || most-- == 0) break;
    cut = revision;
    --left;
  }
  return cut;
}

void KeptRevisions::DropTo(Revision cut) {
  while (!kept_.empty() && kept_.front().first <= cut) kept_.pop_front();
  complete_after_ = std::max(complete_after_, cut);
}

}  // namespace kuma::store::internal

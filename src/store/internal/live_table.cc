#include "store/internal/live_table.h"

#include <algorithm>
#include <utility>

namespace kuma::store::internal {

LiveTable::LiveTable() : watches_(std::make_shared<Watches>()) {}

base::Result<ResourcePtr> LiveTable::Get(const ResourceKey& key) const {
  {
    std::shared_lock lock(mutex_);
    if (ResourcePtr found = table_.Find(ViewOf(key)); found != nullptr) return found;
  }
  return base::NotFound(key.ToString() + " does not exist");
}

base::Result<Page> LiveTable::List(const ListQuery& query) const {
  if (query.kind.empty()) return base::Invalid("a list needs a kind");
  std::shared_lock lock(mutex_);
  Page page = table_.List(query);
  page.revision = revision_;
  return page;
}

base::Result<WatchHandle> LiveTable::Watch(Revision from, WatchSink& sink) {
  std::lock_guard watching(watches_->mutex);
  std::vector<StoreEvent> missed;
  std::vector<ResourcePtr> resources;
  Revision revision;
  bool resumed = false;
  {
    std::shared_lock lock(mutex_);
    revision = revision_;
    resumed = from.value != 0 && from >= watches_->log_after && from <= revision;
    if (resumed) {
      missed = EventsAfter(from);
    } else {
      resources.assign(table_.all().begin(), table_.all().end());
    }
  }
  if (!resumed) {
    sink.OnSnapshot(revision, std::move(resources));
  } else if (!missed.empty()) {
    sink.OnEvents(missed);
  }
  watches_->sinks.push_back(&sink);
  return WatchHandle([watches = watches_, stopped = &sink] {
    std::lock_guard lock(watches->mutex);
    const auto found = std::find(watches->sinks.begin(), watches->sinks.end(), stopped);
    if (found != watches->sinks.end()) watches->sinks.erase(found);
  });
}

std::vector<StoreEvent> LiveTable::EventsAfter(Revision from) const {
  const std::deque<StoreEvent>& log = watches_->log;
  const auto first = std::upper_bound(
      log.begin(), log.end(), from,
      [](Revision revision, const StoreEvent& event) { return revision < event.revision; });
  std::vector<StoreEvent> events(first, log.end());
  for (const ResourcePtr& resource : table_.all()) {
    if (!resource->type().is_insight || resource->meta().revision <= from) continue;
    events.push_back({resource->meta().revision, {}, resource->key(), nullptr, resource});
  }
  std::stable_sort(events.begin(), events.end(), [](const StoreEvent& a, const StoreEvent& b) {
    return a.revision < b.revision;
  });
  return events;
}

Revision LiveTable::revision() const {
  std::shared_lock lock(mutex_);
  return revision_;
}

void LiveTable::Install(std::span<const StoreEvent> events, Revision revision) {
  if (events.empty()) return;
  // No watch can begin between the change and the call: it would see the events twice or never.
  std::lock_guard watching(watches_->mutex);
  {
    std::unique_lock lock(mutex_);
    for (const StoreEvent& event : events) {
      if (event.after != nullptr) {
        table_.Put(event.after);
      } else {
        table_.Erase(event.key);
      }
    }
    revision_ = revision;
  }
  std::deque<StoreEvent>& log = watches_->log;
  for (const StoreEvent& event : events) {
    if (event.after == nullptr || !event.after->type().is_insight) log.push_back(event);
  }
  while (log.size() > kWatchLog || (!log.empty() && log.front().revision == watches_->log_after)) {
    watches_->log_after = log.front().revision;
    log.pop_front();
  }
  for (WatchSink* sink : watches_->sinks) sink->OnEvents(events);
}

void LiveTable::SetRevision(Revision revision, Revision log_after) {
  watches_->log_after = log_after;
  revision_ = revision;
}

}  // namespace kuma::store::internal

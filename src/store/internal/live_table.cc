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

base::Result<WatchHandle> LiveTable::Watch(WatchSink& sink) {
  std::lock_guard watching(watches_->mutex);
  std::vector<ResourcePtr> resources;
  Revision revision;
  {
    std::shared_lock lock(mutex_);
    resources.assign(table_.all().begin(), table_.all().end());
    revision = revision_;
  }
  sink.OnSnapshot(revision, std::move(resources));
  watches_->sinks.push_back(&sink);
  return WatchHandle([watches = watches_, stopped = &sink] {
    std::lock_guard lock(watches->mutex);
    const auto found = std::find(watches->sinks.begin(), watches->sinks.end(), stopped);
    if (found != watches->sinks.end()) watches->sinks.erase(found);
  });
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
  for (WatchSink* sink : watches_->sinks) sink->OnEvents(events);
}

void LiveTable::SetRevision(Revision revision) {
  std::unique_lock lock(mutex_);
  revision_ = revision;
}

}  // namespace kuma::store::internal

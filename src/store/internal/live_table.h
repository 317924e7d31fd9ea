#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>

#include "store/internal/table.h"

namespace kuma::store::internal {

// What is in force: the table that readers see and the watches that are told of each change.
// Thread-safe. One writer at a time plans on table() and installs the outcome; readers wait only
// while it is put in.
class LiveTable {
 public:
  LiveTable();

  base::Result<ResourcePtr> Get(const ResourceKey& key) const;
  base::Result<Page> List(const ListQuery& query) const;
  base::Result<WatchHandle> Watch(Revision from, WatchSink& sink);
  Revision revision() const;

  // The writer only.
  const Table& table() const { return table_; }
  // The writer only: puts `events`, which lead to `revision`, in force and tells the watches.
  void Install(std::span<const StoreEvent> events, Revision revision);
  // The next two before the first reader. One resource as stored.
  void Load(ResourcePtr resource) { table_.Put(std::move(resource)); }
  // Watches can be resumed from `log_after` on.
  void SetRevision(Revision revision, Revision log_after);

 private:
  // Under both locks.
  std::vector<StoreEvent> EventsAfter(Revision from) const;

  // Outlives this as long as a handle does.
  struct Watches {
    std::mutex mutex;  // held while sinks are called; taken before the table's lock
    std::vector<WatchSink*> sinks;
    // Every event after `log_after` but puts of insights: those are many, and the table has their
    // newest state.
    std::deque<StoreEvent> log;
    Revision log_after;
  };

  std::shared_ptr<Watches> watches_;
  mutable std::shared_mutex mutex_;  // guards the two below; the writer reads them without it
  Table table_;
  Revision revision_;
};

}  // namespace kuma::store::internal

#pragma once

// Resources and history as rows: tables `resource`, `insight` and `history` of schema.cc.

#include <cstdint>
#include <functional>
#include <string>

#include "model/resource_type.h"
#include "store/sqlite/database.h"
#include "store/store.h"

namespace kuma::store::sqlite {

struct Counters {
  Revision revision;  // of the newest write on disk
  Revision reserved;  // no revision above it was ever given out
};

// The statements that write. Confined to the thread of the database, which must outlive this.
// Whoever uses it begins and ends the transaction.
class RowWriter {
 public:
  static base::Result<std::unique_ptr<RowWriter>> Make(Database& database);

  base::Status Put(const model::Resource& resource);
  base::Status Erase(const ResourceKey& key, bool is_insight);
  base::Status SetCounters(const Counters& counters);
  // `position` is that of the entry within its revision.
  base::Status Record(const HistoryEntry& entry, size_t position);
  // Drops what is not later than `cut`.
  base::Status DropHistory(Revision cut);

 private:
  RowWriter() = default;

  Statement put_[2];    // [is_insight]
  Statement erase_[2];  // [is_insight]
  Statement set_counter_;
  Statement record_;
  Statement drop_history_;
};

base::Result<Counters> ReadCounters(Database& database);

base::Result<HistoryPage> ReadHistory(Database& database, const HistoryQuery& query);
// The revisions of the history in ascending order, with their times.
base::Status ReadHistoryRevisions(Database& database,
                                  const std::function<void(Revision, model::WallTime)>& load);
base::Result<Revision> ReadHistoryStart(Database& database);

// Calls `load` with each stored resource. Rows of kinds that `types` does not have stay where they
// are and are logged. kInternal, naming the resource: a row that cannot be read.
base::Status ReadResources(Database& database, const std::string& path,
                           const model::TypeTable& types,
                           const std::function<void(ResourcePtr)>& load);

}  // namespace kuma::store::sqlite

#pragma once

// Resources as rows: tables `resource` and `insight` of schema.cc.

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

 private:
  RowWriter() = default;

  Statement put_[2];    // [is_insight]
  Statement erase_[2];  // [is_insight]
  Statement set_counter_;
};

base::Result<Counters> ReadCounters(Database& database);

// Calls `load` with each stored resource. Rows of kinds that `types` does not have stay where they
// are and are logged. kInternal, naming the resource: a row that cannot be read.
base::Status ReadResources(Database& database, const std::string& path,
                           const model::TypeTable& types,
                           const std::function<void(ResourcePtr)>& load);

}  // namespace kuma::store::sqlite

#pragma once

// A look at a store's file from outside, also while a control plane uses it.

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace kuma::store {

struct SqliteReport {
  int64_t schema_version = 0;
  int64_t newest_schema_version = 0;  // that this program knows
  int64_t resources = 0;
  base::Revision revision;
  uint64_t bytes = 0;  // the file and its log
};

// Reads the whole file and checks its structure; changes nothing. kNotFound: there is no file.
// kInvalid: of another program. kInternal: damaged, with the way out. kUnavailable: cannot be read.
base::Result<SqliteReport> InspectSqlite(const std::string& path);

}  // namespace kuma::store

#pragma once

// Copies of a store's file: taken while it is in use, put back while it is not.

#include <string>

#include "model/resource_type.h"
#include "store/store.h"

namespace kuma::store {

struct BackupReport {
  Revision revision;     // the newest that is in the copy
  size_t resources = 0;  // without insights
};

// Copies the store at `path`, whether a control plane uses it or not, to the new file `file`: one
// moment of the store, mode 0600, checked and durable when this returns. On error there is nothing
// at `file`. kConflict: it exists. kNotFound: there is no store at `path`. kInvalid, kInternal: it
// is no store of ours, or damaged. kUnavailable: the system refuses. Blocks.
base::Result<BackupReport> BackUpSqliteStore(const std::string& path, const std::string& file);

struct RestoreReport {
  Revision revision;
  size_t resources = 0;  // without insights
  std::string kept;      // where the replaced file lies now; empty if there was none
};

// Puts the copy `file` at `path`, checked as a whole before. What is at `path` is kept aside; a
// crash on the way leaves either the old or the new store there. Revisions go on above those of
// both. kUnavailable: a control plane uses `path` (names its process), or the system refuses.
// kNotFound, kInvalid, kInternal: `file` is missing, of another program or version, damaged, or a
// row cannot be read; then nothing is changed. Blocks.
base::Result<RestoreReport> RestoreSqliteStore(const std::string& file, const std::string& path,
                                               const model::TypeTable& types, model::WallTime now);

}  // namespace kuma::store

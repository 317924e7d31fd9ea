#pragma once

#include <memory>
#include <string>

#include "runtime/clock.h"
#include "store/store.h"

namespace kuma::store {

// The default store: one SQLite file in WAL mode with synchronous=FULL, one writer thread with
// group commit. Creates the file (mode 0600; it holds keys) and its folder; migrates an older
// schema; refuses a newer one. Beside it lie <path>-wal, <path>-shm and <path>.lock, which keeps a
// second control plane out; other programs may read (`sqlite3 <path> .backup`) but must not write
// while this is open.
//
// Errors of Open and of commits name the path and the way out. kUnavailable: in use by another
// control plane, disk full, I/O error, file removed. kInvalid: of another program or a newer
// version. kInternal: damaged. None ends the process or harms what is stored: reads go on from
// memory, and commits succeed again when the reason is gone.
//
// A commit whose final write fails is reported as failed; if the process or machine dies before the
// next successful commit, it may nevertheless be found stored. Insights reach the disk in one batch
// a second at most; after a crash the revision may jump ahead, so that no revision that was seen is
// given out again. The history is read from the file, on a connection of its own.
//
// `types` and `clock` must outlive the store. Thread-safe.
base::Result<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path,
                                                     const model::TypeTable& types,
                                                     const runtime::Clock& clock,
                                                     HistoryLimits history = {});

}  // namespace kuma::store

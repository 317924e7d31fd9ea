#pragma once

#include <memory>
#include <string>

#include "runtime/clock.h"
#include "store/store.h"

namespace kuma::store {

// The default store: one SQLite file in WAL mode with synchronous=FULL, one writer thread with group commit.
// Creates the file (mode 0600; it holds keys) and its folder; migrates an older schema; refuses a newer one.
// Errors name the path: unreadable, not a database, locked by another control plane, disk full.
// `types` and `clock` must outlive the store.
base::Result<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path, const model::TypeTable& types,
                                                     const runtime::Clock& clock);

}  // namespace kuma::store

#pragma once

#include <memory>

#include "runtime/clock.h"
#include "store/store.h"

namespace kuma::store {

// Keeps everything in this process only; for tests and simulation. With `inline_commits`
// CommitAsync commits and calls back before it returns, on the caller's thread (deterministic
// simulation); otherwise on a store thread. `clock` must outlive the store. Thread-safe.
std::unique_ptr<Store> NewMemoryStore(const runtime::Clock& clock, bool inline_commits = false,
                                      HistoryLimits history = {});

}  // namespace kuma::store

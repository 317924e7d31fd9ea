#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "generate/generate.h"

namespace kuma::generate {

// Remembers admin certificates: signing one costs more than all the rest of a proxy's own part, and
// its inputs hardly ever change. A memo of a pure function, bounded; nobody can see whether it was
// used. Thread-safe.
class AdminMemo {
 public:
  base::Result<AdminPair> Get(const AdminAuthority& authority, const std::string& address,
                              int64_t epoch);

 private:
  static constexpr size_t kMaxEntries = 20'000;
  using Key = std::pair<std::string, int64_t>;
  std::mutex mutex_;
  std::map<Key, AdminPair> pairs_;  // GUARDED_BY(mutex_)
};

}  // namespace kuma::generate

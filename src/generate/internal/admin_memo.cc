#include "generate/internal/admin_memo.h"

namespace kuma::generate {

base::Result<AdminPair> AdminMemo::Get(const AdminAuthority& authority, const std::string& address,
                                       int64_t epoch) {
  Key key(address, epoch);
  {
    const std::lock_guard lock(mutex_);
    const auto found = pairs_.find(key);
    if (found != pairs_.end()) return found->second;
  }
  TRY_ASSIGN(AdminPair pair, authority.certificate(
                                 address, epoch));  // two threads may do it: the results are equal
  const std::lock_guard lock(mutex_);
  if (pairs_.size() >= kMaxEntries) pairs_.clear();
  pairs_.insert_or_assign(std::move(key), pair);
  return pair;
}

}  // namespace kuma::generate

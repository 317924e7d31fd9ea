#pragma once

// Keys and revocations as the store holds them.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "identity/tokens.h"
#include "runtime/clock.h"
#include "store/store.h"

namespace kuma::rest {

// Signing keys whose resource names begin with `prefix`: Secrets of `mesh`, or GlobalSecrets if it
// is empty.
base::Result<identity::TokenKeys> ReadKeys(store::Store& store, std::string_view mesh,
                                           std::string_view prefix);
// The same, but waits up to `limit` for the first one. Blocks.
base::Result<identity::TokenKeys> WaitForKeys(store::Store& store, std::string_view mesh,
                                              std::string_view prefix, runtime::Duration limit);

// ReadKeys, remembered until one of the secrets changes: to parse a key costs more than to verify
// with it, and each proxy that connects shows its token twice, each user with every request.
// Thread-safe.
class KeyMemo {
 public:
  base::Result<std::shared_ptr<const identity::TokenKeys>> Read(store::Store& store,
                                                                std::string_view mesh,
                                                                std::string_view prefix);

 private:
  static constexpr size_t kMaxEntries = 1000;
  struct Entry {
    std::vector<std::pair<std::string, model::Revision>> secrets;  // that `keys` were read from
    std::shared_ptr<const identity::TokenKeys> keys;
  };
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, Entry> entries_;  // GUARDED_BY(mutex_)
};

// Revoked token ids of a revocation resource; looks among GlobalSecrets and, if `mesh` is not
// empty, its Secrets too.
identity::Revocations ReadRevocations(store::Store& store, std::string_view mesh,
                                      std::string_view name);

// Verifies with what the store holds now. kDenied with the reason.
base::Result<identity::UserClaims> CheckUserToken(store::Store& store, KeyMemo& memo,
                                                  std::string_view token, model::WallTime now);
// Is this the token of this Dataplane?
base::Status CheckDataplaneToken(store::Store& store, KeyMemo& memo, std::string_view token,
                                 const model::Metadata& dataplane, model::WallTime now);

}  // namespace kuma::rest

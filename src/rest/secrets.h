#pragma once

// Keys and revocations as the store holds them.

#include <string>
#include <string_view>
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

// Revoked token ids of a revocation resource; looks among GlobalSecrets and, if `mesh` is not
// empty, its Secrets too.
identity::Revocations ReadRevocations(store::Store& store, std::string_view mesh,
                                      std::string_view name);

// Verifies with what the store holds now. kDenied with the reason.
base::Result<identity::UserClaims> CheckUserToken(store::Store& store, std::string_view token,
                                                  model::WallTime now);
// Is this the token of this Dataplane?
base::Status CheckDataplaneToken(store::Store& store, std::string_view token,
                                 const model::Metadata& dataplane, model::WallTime now);

}  // namespace kuma::rest

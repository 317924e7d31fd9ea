#pragma once

// Tokens of data plane proxies, zones and users: JWTs signed with RS256, with the claims of Kuma.
// Pure functions: time, keys and revocations come in as values.

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "identity/keys.h"
#include "model/resource.h"

namespace kuma::identity {

enum class TokenKind { kDataplane, kZone, kUser };
std::string_view ToString(TokenKind kind);  // "dataplane", ...

struct DataplaneClaims {
  std::string name = {};
  std::string mesh = {};
  std::map<std::string, std::vector<std::string>> tags = {};
  std::string type = {};  // "dataplane" or empty
  std::string workload = {};
  bool operator==(const DataplaneClaims&) const = default;
};
struct ZoneClaims {
  std::string zone = {};
  std::vector<std::string> scope = {};
  bool operator==(const ZoneClaims&) const = default;
};
struct UserClaims {
  std::string name = {};
  std::vector<std::string> groups = {};
  bool operator==(const UserClaims&) const = default;
};

// --- Keys ---

// Names of the resources: "<prefix>-<serial>"; "<prefix>" alone is the key "0" of old
// installations.
std::string DataplaneKeyPrefix(std::string_view mesh);                        // Secret of that mesh
inline constexpr std::string_view kZoneKeyPrefix = "zone-token-signing-key";  // GlobalSecret
inline constexpr std::string_view kZonePublicKeyPrefix =
    "zone-token-signing-public-key";                                          // GlobalSecret
inline constexpr std::string_view kUserKeyPrefix = "user-token-signing-key";  // GlobalSecret
std::string DataplaneRevocationsName(std::string_view mesh);
inline constexpr std::string_view kZoneRevocationsName = "zone-token-revocations";
inline constexpr std::string_view kUserRevocationsName = "user-token-revocations";

// A Secret or GlobalSecret: its name and the bytes of its `data`.
struct NamedSecret {
  std::string name;
  SecretText bytes;
};

struct TokenKey {
  std::string kid;
  RsaKey key;
};

// Keys by id. Immutable; copies are cheap enough to hand to other threads.
class TokenKeys {
 public:
  TokenKeys() = default;

  // The keys among `secrets` whose names have this prefix. One that cannot be read does not spoil
  // the others: unreadable() names it, and tokens with its id are refused with the reason.
  static TokenKeys FromSecrets(std::span<const NamedSecret> secrets, std::string_view prefix);

  // Puts `key` behind those already there; an id that is already known keeps its first key. So
  // static public keys are added before those of secrets.
  void Add(TokenKey key);
  void AddUnreadable(std::string kid, std::string reason);
  void AddAll(const TokenKeys& others);

  const RsaKey* Find(std::string_view kid) const;  // null if unknown or unreadable
  // The private key with the highest numeric id: new tokens are signed with it. Null if there is
  // none.
  const TokenKey* Newest() const;
  bool empty() const { return keys_.empty(); }
  const std::map<std::string, std::string, std::less<>>& unreadable() const { return unreadable_; }

 private:
  std::map<std::string, TokenKey, std::less<>> keys_;
  std::map<std::string, std::string, std::less<>> unreadable_;
};

// The highest serial in use (of readable and unreadable keys), or 0: the next key gets one more.
uint64_t HighestSerial(std::span<const NamedSecret> secrets, std::string_view prefix);

// The `jti`s of a revocation secret: separated by commas, one newline at the end is dropped.
using Revocations = std::set<std::string, std::less<>>;
Revocations ParseRevocations(std::string_view bytes);

// --- Issuing ---

struct Issuing {
  model::WallTime now;
  std::chrono::seconds valid_for;
  std::string id;        // `jti`: a UUID
  std::string kid = {};  // the key that signs; empty: the newest
};
inline constexpr std::chrono::hours kDefaultTokenValidity{24 * 365 * 10};

// Compact form. `iat` and `nbf` are 5 s before now. kNotFound: `keys` has no private key.
base::Result<std::string> IssueDataplaneToken(const DataplaneClaims& claims, const TokenKeys& keys,
                                              const Issuing& issuing);
base::Result<std::string> IssueZoneToken(const ZoneClaims& claims, const TokenKeys& keys,
                                         const Issuing& issuing);
base::Result<std::string> IssueUserToken(const UserClaims& claims, const TokenKeys& keys,
                                         const Issuing& issuing);

// --- Checking ---

struct Checking {
  const TokenKeys& keys;
  const Revocations& revoked;
  model::WallTime now;
};

// What every token has. `expires` is absent when the token has no `exp`.
struct TokenFacts {
  std::string id;
  std::string kid;
  std::optional<model::WallTime> expires;
};
template <class Claims>
struct CheckedToken {
  Claims claims;
  TokenFacts facts;
};

// kDenied with the reason, for an operator's eyes: not a token, another algorithm than RS256, no or
// unknown key id, wrong signature, expired, not valid yet, revoked, another kind of token (with the
// command that makes the right one). Nothing of an unverified token's claims but its kind gets into
// the message.
base::Result<CheckedToken<DataplaneClaims>> CheckDataplaneToken(std::string_view token,
                                                                const Checking& checking);
base::Result<CheckedToken<ZoneClaims>> CheckZoneToken(std::string_view token,
                                                      const Checking& checking);
base::Result<CheckedToken<UserClaims>> CheckUserToken(std::string_view token,
                                                      const Checking& checking);

// The mesh of an unverified dataplane token; absent if there is none or it is unreadable. Only to
// choose keys.
std::optional<std::string> ClaimedMesh(std::string_view token);
// What an unverified text looks like, by its claims; absent if it is no token of ours. Only for
// messages.
std::optional<TokenKind> LooksLike(std::string_view token);

// Whether a proxy with these claims may be this Dataplane. `workload_required`: the MeshIdentity
// that fits the Dataplane best builds its SPIFFE path from the workload. kDenied with the reason.
base::Status CheckDataplane(const DataplaneClaims& claims, const model::Metadata& dataplane,
                            bool workload_required);

}  // namespace kuma::identity

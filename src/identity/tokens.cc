#include "identity/tokens.h"

#include <algorithm>
#include <utility>

#include "base/format.h"
#include "base/strings.h"
#include "model/names.h"
#include "model/value.h"

namespace kuma::identity {
namespace {

using model::Object;
using model::Value;
using std::chrono::seconds;

constexpr size_t kLongestToken = 16 * 1024;
constexpr seconds kBackdating{5};

// Key id of a resource's name; absent if it is none of this prefix.
std::optional<std::string> KidOf(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  if (name.empty()) return "0";
  if (name.front() != '-' || name.size() == 1) return std::nullopt;
  return std::string(name.substr(1));
}

int64_t ToSeconds(model::WallTime time) {
  return std::chrono::floor<seconds>(time).time_since_epoch().count();
}

std::string Show(model::WallTime time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<seconds>(time - days));
  return base::Format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                      clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

model::Array ToArray(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

// --- Claims as JSON: the names that Kuma's Go structs give them ---

Object Encode(const DataplaneClaims& claims) {
  Object tags;
  for (const auto& [key, values] : claims.tags) tags.Set(key, ToArray(values));
  return Object{{"Name", claims.name},
                {"Mesh", claims.mesh},
                {"Tags", std::move(tags)},
                {"Type", claims.type},
                {"Workload", claims.workload}};
}

Object Encode(const ZoneClaims& claims) {
  return Object{{"Zone", claims.zone}, {"Scope", ToArray(claims.scope)}};
}

Object Encode(const UserClaims& claims) {
  return Object{{"Name", claims.name}, {"Groups", ToArray(claims.groups)}};
}

bool IsAbsent(const Value* value) { return value == nullptr || value->is_null(); }

base::Status ReadText(const Value& claims, std::string_view name, std::string& out) {
  const Value* value = claims.Find(name);
  if (IsAbsent(value)) return base::Ok{};
  if (value->if_string() == nullptr)
    return base::Denied(base::Format("the token's claim {} is no string", name));
  out = *value->if_string();
  return base::Ok{};
}

base::Status ReadTexts(const Value* value, std::string_view name, std::vector<std::string>& out) {
  if (IsAbsent(value)) return base::Ok{};
  const base::Error wrong =
      base::Denied(base::Format("the token's claim {} is no list of strings", name));
  if (value->if_array() == nullptr) return wrong;
  for (const Value& text : *value->if_array()) {
    if (text.if_string() == nullptr) return wrong;
    out.push_back(*text.if_string());
  }
  return base::Ok{};
}

base::Status Decode(const Value& claims, DataplaneClaims& out) {
  TRY(ReadText(claims, "Name", out.name));
  TRY(ReadText(claims, "Mesh", out.mesh));
  TRY(ReadText(claims, "Type", out.type));
  TRY(ReadText(claims, "Workload", out.workload));
  const Value* tags = claims.Find("Tags");
  if (IsAbsent(tags)) return base::Ok{};
  if (tags->if_object() == nullptr) return base::Denied("the token's claim Tags is no map");
  for (const auto& [key, values] : *tags->if_object())
    TRY(ReadTexts(&values, "Tags", out.tags[key]));
  return base::Ok{};
}

base::Status Decode(const Value& claims, ZoneClaims& out) {
  TRY(ReadText(claims, "Zone", out.zone));
  return ReadTexts(claims.Find("Scope"), "Scope", out.scope);
}

base::Status Decode(const Value& claims, UserClaims& out) {
  TRY(ReadText(claims, "Name", out.name));
  return ReadTexts(claims.Find("Groups"), "Groups", out.groups);
}

TokenKind KindOf(const DataplaneClaims&) { return TokenKind::kDataplane; }
TokenKind KindOf(const ZoneClaims&) { return TokenKind::kZone; }
TokenKind KindOf(const UserClaims&) { return TokenKind::kUser; }

std::string_view CommandFor(TokenKind kind) {
  switch (kind) {
    case TokenKind::kDataplane:
      return "kumactl generate dataplane-token --mesh <mesh> --name <name> --valid-for 720h";
    case TokenKind::kZone: return "kumactl generate zone-token --zone <zone> --valid-for 720h";
    case TokenKind::kUser:
      return "kumactl generate user-token --name <name> --group <group> --valid-for 24h";
  }
  return "";
}

// --- The compact form ---

struct Parts {
  std::string_view signed_text;  // header.payload
  Value header;
  Value claims;
  std::string signature;
};

base::Result<Parts> Split(std::string_view token) {
  const base::Error malformed = base::Denied(
      "this is no token: it must be three base64url parts joined by dots, without spaces or line "
      "breaks");
  if (token.size() > kLongestToken) return base::Denied("the token is too long");
  const size_t first = token.find('.');
  const size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos ||
      token.find_first_of(" \t\r\n") != std::string_view::npos) {
    return malformed;
  }
  const auto header = base::DecodeBase64Url(token.substr(0, first));
  const auto claims = base::DecodeBase64Url(token.substr(first + 1, second - first - 1));
  auto signature = base::DecodeBase64Url(token.substr(second + 1));
  if (!header.has_value() || !claims.has_value() || !signature.has_value()) return malformed;
  auto parsed_header = model::ParseJson(*header);
  auto parsed_claims = model::ParseJson(*claims);
  if (!parsed_header.has_value() || parsed_header->if_object() == nullptr ||
      !parsed_claims.has_value() || parsed_claims->if_object() == nullptr) {
    return malformed;
  }
  return Parts{token.substr(0, second), *std::move(parsed_header), *std::move(parsed_claims),
               *std::move(signature)};
}

std::optional<TokenKind> Guess(const Value& claims) {
  if (claims.Find("Mesh") != nullptr) return TokenKind::kDataplane;
  if (claims.Find("Zone") != nullptr) return TokenKind::kZone;
  if (claims.Find("Groups") != nullptr) return TokenKind::kUser;
  return std::nullopt;
}

base::Error OfAnotherKind(TokenKind found, TokenKind wanted) {
  return base::Denied(base::Format("this is a {} token, a {} token is needed: {}", ToString(found),
                                   ToString(wanted), CommandFor(wanted)));
}

// Whole or fractional seconds since 1970.
base::Result<std::optional<model::WallTime>> ReadTime(const Value& claims, std::string_view name) {
  const Value* value = claims.Find(name);
  if (IsAbsent(value)) return std::optional<model::WallTime>();
  double number = 0;
  if (value->if_int() != nullptr) {
    number = static_cast<double>(*value->if_int());
  } else if (value->if_double() != nullptr) {
    number = *value->if_double();
  } else {
    return base::Denied(base::Format("the token's claim {} is no number", name));
  }
  // What the clock can hold; beyond it the order against now is the same.
  number = std::clamp(number, -9.0e9, 9.0e9);
  return std::optional(model::WallTime(std::chrono::duration_cast<model::WallTime::duration>(
      std::chrono::duration<double>(number))));
}

base::Result<std::string> CheckSignature(const Parts& parts, const TokenKeys& keys,
                                         TokenKind wanted) {
  const Value* algorithm = parts.header.Find("alg");
  if (algorithm == nullptr || algorithm->if_string() == nullptr ||
      *algorithm->if_string() != "RS256") {
    return base::Denied("the token is not signed with RS256");
  }
  if (parts.header.Find("crit") != nullptr)
    return base::Denied("the token demands extensions (crit)");
  const Value* id = parts.header.Find("kid");
  if (id == nullptr || id->if_string() == nullptr)
    return base::Denied("the token names no key (kid)");
  const std::string& kid = *id->if_string();

  const RsaKey* key = keys.Find(kid);
  if (key != nullptr && key->Verify(parts.signed_text, parts.signature)) return kid;
  // Most often somebody took the wrong file.
  const std::optional<TokenKind> guess = Guess(parts.claims);
  if (guess.has_value() && *guess != wanted) return OfAnotherKind(*guess, wanted);
  const std::string shown = kid.size() <= 64 ? kid : kid.substr(0, 64) + "...";
  if (key != nullptr) {
    return base::Denied(
        base::Format("the token's signature does not match signing key {}: it was made by another "
                     "control plane or changed",
                     shown));
  }
  if (const auto bad = keys.unreadable().find(kid); bad != keys.unreadable().end()) {
    return base::Denied(
        base::Format("signing key {} of the token is unreadable: {}", shown, bad->second));
  }
  return base::Denied(
      base::Format("there is no signing key {} for the token: it was made by another control "
                   "plane, for another mesh, or the key was "
                   "rotated out",
                   shown));
}

base::Status CheckTimes(const Value& claims, model::WallTime now, TokenFacts& facts) {
  TRY_ASSIGN(facts.expires, ReadTime(claims, "exp"));
  if (facts.expires.has_value() && now >= *facts.expires) {
    return base::Denied(
        base::Format("the token expired at {}: make a new one", Show(*facts.expires)));
  }
  TRY_ASSIGN(const auto not_before, ReadTime(claims, "nbf"));
  if (not_before.has_value() && now < *not_before) {
    return base::Denied(
        base::Format("the token is not valid before {}: check the clocks, here it is {}",
                     Show(*not_before), Show(now)));
  }
  return base::Ok{};
}

template <class Claims>
base::Result<CheckedToken<Claims>> CheckToken(std::string_view token, const Checking& checking) {
  CheckedToken<Claims> checked;
  const TokenKind wanted = KindOf(checked.claims);
  TRY_ASSIGN(const Parts parts, Split(token));
  TRY_ASSIGN(checked.facts.kid, CheckSignature(parts, checking.keys, wanted));
  // One key may serve several kinds where operators configure public keys.
  const std::optional<TokenKind> kind = Guess(parts.claims);
  if (kind.has_value() && *kind != wanted) return OfAnotherKind(*kind, wanted);
  TRY(CheckTimes(parts.claims, checking.now, checked.facts));
  TRY(ReadText(parts.claims, "jti", checked.facts.id));
  if (checking.revoked.contains(checked.facts.id)) {
    return base::Denied(base::Format("the token {} is revoked", checked.facts.id));
  }
  TRY(Decode(parts.claims, checked.claims));
  return checked;
}

template <class Claims>
base::Result<std::string> Issue(const Claims& claims, const TokenKeys& keys,
                                const Issuing& issuing) {
  const TokenKey* newest = issuing.kid.empty() ? keys.Newest() : nullptr;
  const std::string& kid = newest != nullptr ? newest->kid : issuing.kid;
  const RsaKey* key = newest != nullptr ? &newest->key : keys.Find(kid);
  if (key == nullptr || !key->has_private()) {
    return base::NotFound(
        base::Format("there is no signing key for {} tokens", ToString(KindOf(claims))));
  }
  const Object header{{"alg", "RS256"}, {"kid", kid}, {"typ", "JWT"}};
  Object payload = Encode(claims);
  const int64_t now = ToSeconds(issuing.now);
  payload.Set("exp", now + issuing.valid_for.count());
  payload.Set("nbf", now - kBackdating.count());
  payload.Set("iat", now - kBackdating.count());
  payload.Set("jti", issuing.id);
  const std::string text = base::EncodeBase64Url(model::ToJson(header)) + "." +
                           base::EncodeBase64Url(model::ToJson(payload));
  return text + "." + base::EncodeBase64Url(key->Sign(text));
}

base::Status CheckTag(const std::string& key, const std::vector<std::string>& allowed,
                      const model::Metadata& dataplane) {
  const auto label = dataplane.labels.find(key);
  if (label == dataplane.labels.end()) {
    return base::Denied(
        base::Format("the token demands label {} on the dataplane, which it does not have: tokens "
                     "are checked against labels, not against "
                     "inbound tags",
                     key));
  }
  if (std::find(allowed.begin(), allowed.end(), label->second) != allowed.end()) return base::Ok{};
  return base::Denied(
      base::Format("the token allows label {} to be one of [{}], the dataplane has {}", key,
                   base::Join(allowed, ", "), label->second));
}

}  // namespace

std::string_view ToString(TokenKind kind) {
  switch (kind) {
    case TokenKind::kDataplane: return "dataplane";
    case TokenKind::kZone: return "zone";
    case TokenKind::kUser: return "user";
  }
  return "";
}

std::string DataplaneKeyPrefix(std::string_view mesh) {
  return base::Format("dataplane-token-signing-key-{}", mesh);
}

std::string DataplaneRevocationsName(std::string_view mesh) {
  return base::Format("dataplane-token-revocations-{}", mesh);
}

TokenKeys TokenKeys::FromSecrets(std::span<const NamedSecret> secrets, std::string_view prefix) {
  TokenKeys keys;
  for (const NamedSecret& secret : secrets) {
    std::optional<std::string> kid = KidOf(secret.name, prefix);
    if (!kid.has_value()) continue;
    base::Result<RsaKey> key = RsaKey::Read(secret.bytes.Reveal());
    if (key.has_value()) {
      keys.Add({*std::move(kid), *std::move(key)});
    } else {
      keys.AddUnreadable(*std::move(kid), key.error().message());
    }
  }
  return keys;
}

void TokenKeys::Add(TokenKey key) {
  std::string kid = key.kid;
  keys_.try_emplace(std::move(kid), std::move(key));
}

void TokenKeys::AddUnreadable(std::string kid, std::string reason) {
  unreadable_.try_emplace(std::move(kid), std::move(reason));
}

void TokenKeys::AddAll(const TokenKeys& others) {
  for (const auto& [kid, key] : others.keys_) keys_.try_emplace(kid, key);
  for (const auto& [kid, reason] : others.unreadable_) unreadable_.try_emplace(kid, reason);
}

const RsaKey* TokenKeys::Find(std::string_view kid) const {
  const auto found = keys_.find(kid);
  return found == keys_.end() ? nullptr : &found->second.key;
}

const TokenKey* TokenKeys::Newest() const {
  const TokenKey* newest = nullptr;
  uint64_t highest = 0;
  for (const auto& [kid, key] : keys_) {
    const std::optional<uint64_t> serial = base::ParseUint(kid);
    if (!serial.has_value() || !key.key.has_private()) continue;
    if (newest != nullptr && *serial < highest) continue;
    newest = &key;
    highest = *serial;
  }
  return newest;
}

uint64_t HighestSerial(std::span<const NamedSecret> secrets, std::string_view prefix) {
  uint64_t highest = 0;
  for (const NamedSecret& secret : secrets) {
    const std::optional<std::string> kid = KidOf(secret.name, prefix);
    if (kid.has_value()) highest = std::max(highest, base::ParseUint(*kid).value_or(0));
  }
  return highest;
}

Revocations ParseRevocations(std::string_view bytes) {
  if (bytes.ends_with('\n')) bytes.remove_suffix(1);
  Revocations revoked;
  for (std::string& id : base::Split(bytes, ',')) {
    if (!id.empty()) revoked.insert(std::move(id));
  }
  return revoked;
}

base::Result<std::string> IssueDataplaneToken(const DataplaneClaims& claims, const TokenKeys& keys,
                                              const Issuing& issuing) {
  return Issue(claims, keys, issuing);
}
base::Result<std::string> IssueZoneToken(const ZoneClaims& claims, const TokenKeys& keys,
                                         const Issuing& issuing) {
  return Issue(claims, keys, issuing);
}
base::Result<std::string> IssueUserToken(const UserClaims& claims, const TokenKeys& keys,
                                         const Issuing& issuing) {
  return Issue(claims, keys, issuing);
}

base::Result<CheckedToken<DataplaneClaims>> CheckDataplaneToken(std::string_view token,
                                                                const Checking& checking) {
  return CheckToken<DataplaneClaims>(token, checking);
}
base::Result<CheckedToken<ZoneClaims>> CheckZoneToken(std::string_view token,
                                                      const Checking& checking) {
  return CheckToken<ZoneClaims>(token, checking);
}
base::Result<CheckedToken<UserClaims>> CheckUserToken(std::string_view token,
                                                      const Checking& checking) {
  return CheckToken<UserClaims>(token, checking);
}

std::optional<std::string> ClaimedMesh(std::string_view token) {
  const base::Result<Parts> parts = Split(token);
  if (!parts.has_value()) return std::nullopt;
  const Value* mesh = parts->claims.Find("Mesh");
  if (mesh == nullptr || mesh->if_string() == nullptr) return std::nullopt;
  return *mesh->if_string();
}

std::optional<TokenKind> LooksLike(std::string_view token) {
  const base::Result<Parts> parts = Split(token);
  return parts.has_value() ? Guess(parts->claims) : std::nullopt;
}

base::Status CheckDataplane(const DataplaneClaims& claims, const model::Metadata& dataplane,
                            bool workload_required) {
  if (!claims.name.empty() && claims.name != dataplane.name) {
    return base::Denied(
        base::Format("the token is for the dataplane named {}, this one is named {}", claims.name,
                     dataplane.name));
  }
  if (!claims.mesh.empty() && claims.mesh != dataplane.mesh) {
    return base::Denied(base::Format("the token is for mesh {}, the dataplane is in mesh {}",
                                     claims.mesh, dataplane.mesh));
  }
  for (const auto& [key, allowed] : claims.tags) TRY(CheckTag(key, allowed, dataplane));

  const std::string_view workload = dataplane.Label(model::kWorkloadLabel);
  if (!claims.workload.empty()) {
    if (workload.empty()) {
      return base::Denied(
          base::Format("the token is for workload {}, the dataplane has no label {}",
                       claims.workload, model::kWorkloadLabel));
    }
    if (claims.workload != workload) {
      return base::Denied(
          base::Format("the token is for workload {}, the dataplane's label {} is {}",
                       claims.workload, model::kWorkloadLabel, workload));
    }
  } else if (workload_required && !workload.empty()) {
    return base::Denied(
        base::Format("the token is bound to no workload, but the MeshIdentity of this dataplane "
                     "takes the identity from its label {}: "
                     "make a token with --workload {}",
                     model::kWorkloadLabel, workload));
  }
  return base::Ok{};
}

}  // namespace kuma::identity

#pragma once

// Keys and numbers that follow from an authority's key, so that nothing need be stored.

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "identity/internal/openssl.h"

namespace kuma::identity {

// A P-256 key pair as bytes: OpenSSL 3 takes ten times as long to turn its own object into the two
// encodings that certificates need as to compute the key.
struct P256Key {
  SecretText private_half;  // 32 bytes, big-endian
  std::string public_half;  // uncompressed point, 65 bytes

  SecretText ToPem() const;  // PKCS#8 (RFC 5958, RFC 5915), the bytes that OpenSSL writes
};

// HKDF-SHA256 (RFC 5869) over a private key (PKCS#1 DER). Immutable; thread-safe.
class KeySource {
 public:
  // REQUIRES: has_private().
  static base::Result<KeySource> Of(const RsaKey& secret);

  // `size` bytes that nobody without the key can know; different for each purpose.
  base::Result<SecretText> Bytes(std::string_view purpose, size_t size) const;
  base::Result<P256Key> P256(std::string_view purpose) const;

 private:
  explicit KeySource(SecretText pseudorandom) : pseudorandom_(std::move(pseudorandom)) {}
  SecretText pseudorandom_;  // what HKDF extracts
};

}  // namespace kuma::identity

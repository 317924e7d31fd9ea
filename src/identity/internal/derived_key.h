#pragma once

// Keys and numbers that follow from an authority's key, so that nothing need be stored.

#include <string>
#include <string_view>

#include "base/result.h"
#include "identity/internal/openssl.h"

namespace kuma::identity {

// HKDF-SHA256 of the private key (PKCS#1 DER) with `purpose`: `size` bytes that nobody without the key can know.
base::Result<std::string> DeriveBytes(const RsaKey& secret, std::string_view purpose, size_t size);

// A P-256 key pair that follows from the private key and `purpose`.
base::Result<KeyPtr> DeriveP256(const RsaKey& secret, std::string_view purpose);

}  // namespace kuma::identity

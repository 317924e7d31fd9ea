#include "identity/internal/derived_key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>

#include <utility>

#include "base/check.h"
#include "base/strings.h"

namespace kuma::identity {
namespace {

// Changing it changes every derived key.
constexpr std::string_view kSalt = "kuma derived keys, version 1";

constexpr size_t kDigestBytes = 32;
constexpr size_t kScalarBytes = 32;
constexpr size_t kPointBytes = 65;
constexpr size_t kPemLine = 64;

unsigned char* Raw(std::string_view text) {
  return const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(text.data()));
}

// One half of HKDF: `extra` is the salt (extract) or the purpose (expand).
base::Result<std::string> Hkdf(int mode, std::string_view key, const char* extra_name,
                               std::string_view extra, size_t size) {
  static const KdfPtr kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  const KdfOperationPtr operation(kdf != nullptr ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, Raw(key), key.size()),
      OSSL_PARAM_construct_octet_string(extra_name, Raw(extra), extra.size()),
      OSSL_PARAM_construct_end(),
  };
  std::string out(size, '\0');
  if (operation == nullptr || EVP_KDF_derive(operation.get(), Raw(out), out.size(), params) != 1) {
    return OpenSslError("derive a key");
  }
  return out;
}

}  // namespace

SecretText P256Key::ToPem() const {
  CHECK(private_half.Reveal().size() == kScalarBytes && public_half.size() == kPointBytes,
        "a P-256 key has these sizes");
  // PrivateKeyInfo {0, {ecPublicKey, prime256v1}, ECPrivateKey {1, private, [1] public}}
  std::string der(
      "\x30\x81\x87\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce"
      "\x3d\x03\x01\x07\x04\x6d\x30\x6b\x02\x01\x01\x04\x20",
      36);
  der += private_half.Reveal();
  der.append("\xa1\x44\x03\x42\x00", 5);
  der += public_half;
  const std::string base64 = base::EncodeBase64(der);
  std::string pem = "-----BEGIN PRIVATE KEY-----\n";
  for (size_t i = 0; i < base64.size(); i += kPemLine)
    pem.append(base64, i, kPemLine).push_back('\n');
  return SecretText(pem + "-----END PRIVATE KEY-----\n");
}

base::Result<KeySource> KeySource::Of(const RsaKey& secret) {
  CHECK(secret.has_private(), "keys are derived from private keys");
  unsigned char* der = nullptr;
  const int size = i2d_PrivateKey(secret.state().key.get(), &der);
  if (size <= 0) return OpenSslError("encode the key of the authority");
  const std::string_view key(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  base::Result<std::string> extracted =
      Hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, key, OSSL_KDF_PARAM_SALT, kSalt, kDigestBytes);
  OPENSSL_clear_free(der, static_cast<size_t>(size));
  if (!extracted.has_value()) return std::move(extracted).error();
  return KeySource(SecretText(*std::move(extracted)));
}

base::Result<SecretText> KeySource::Bytes(std::string_view purpose, size_t size) const {
  TRY_ASSIGN(std::string bytes, Hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, pseudorandom_.Reveal(),
                                     OSSL_KDF_PARAM_INFO, purpose, size));
  return SecretText(std::move(bytes));
}

base::Result<P256Key> KeySource::P256(std::string_view purpose) const {
  // 128 bits more than the order has: taking the remainder favours no key measurably.
  TRY_ASSIGN(const SecretText seed, Bytes(purpose, 48));
  static const GroupPtr group(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));  // only read
  const BignumScratchPtr scratch(BN_CTX_secure_new());
  const BignumPtr number(
      BN_bin2bn(Raw(seed.Reveal()), static_cast<int>(seed.Reveal().size()), nullptr));
  const BignumPtr private_half(BN_secure_new());
  const BignumPtr choices(BN_dup(EC_GROUP_get0_order(group.get())));
  const PointPtr public_half(EC_POINT_new(group.get()));
  unsigned char encoded[kPointBytes];
  const bool computed =
      BN_sub_word(choices.get(), 1) == 1 &&  // 1 .. order - 1
      BN_mod(private_half.get(), number.get(), choices.get(), scratch.get()) == 1 &&
      BN_add_word(private_half.get(), 1) == 1 &&
      EC_POINT_mul(group.get(), public_half.get(), private_half.get(), nullptr, nullptr,
                   scratch.get()) == 1 &&
      EC_POINT_point2oct(group.get(), public_half.get(), POINT_CONVERSION_UNCOMPRESSED, encoded,
                         sizeof(encoded), scratch.get()) == sizeof(encoded);
  if (!computed) return OpenSslError("derive a P-256 key");

  std::string bytes(kScalarBytes, '\0');
  if (BN_bn2binpad(private_half.get(), Raw(bytes), static_cast<int>(bytes.size())) < 0)
    return OpenSslError("encode a P-256 key");
  return P256Key{SecretText(std::move(bytes)),
                 std::string(reinterpret_cast<const char*>(encoded), sizeof(encoded))};
}

}  // namespace kuma::identity

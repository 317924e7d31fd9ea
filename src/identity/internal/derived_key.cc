#include "identity/internal/derived_key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>

#include <utility>

#include "base/check.h"

namespace kuma::identity {
namespace {

// Changing it changes every derived key.
constexpr std::string_view kSalt = "kuma derived keys, version 1";

constexpr size_t kDigestBytes = 32;

unsigned char* Raw(std::string_view text) {
  return const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(text.data()));
}

// One half of HKDF: `extra` is the salt (extract) or the purpose (expand).
base::Result<std::string> Hkdf(int mode, std::string_view key, const char* extra_name,
                               std::string_view extra, size_t size) {
  const KdfPtr kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
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

base::Result<KeyPtr> KeySource::P256(std::string_view purpose) const {
  // 128 bits more than the order has: taking the remainder favours no key measurably.
  TRY_ASSIGN(const SecretText seed, Bytes(purpose, 48));
  const GroupPtr group(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));
  const BignumScratchPtr scratch(BN_CTX_secure_new());
  const BignumPtr number(
      BN_bin2bn(Raw(seed.Reveal()), static_cast<int>(seed.Reveal().size()), nullptr));
  const BignumPtr private_half(BN_secure_new());
  const BignumPtr choices(BN_dup(EC_GROUP_get0_order(group.get())));
  const PointPtr public_half(EC_POINT_new(group.get()));
  unsigned char encoded[65];  // uncompressed point
  const bool computed =
      BN_sub_word(choices.get(), 1) == 1 &&  // 1 .. order - 1
      BN_mod(private_half.get(), number.get(), choices.get(), scratch.get()) == 1 &&
      BN_add_word(private_half.get(), 1) == 1 &&
      EC_POINT_mul(group.get(), public_half.get(), private_half.get(), nullptr, nullptr,
                   scratch.get()) == 1 &&
      EC_POINT_point2oct(group.get(), public_half.get(), POINT_CONVERSION_UNCOMPRESSED, encoded,
                         sizeof(encoded), scratch.get()) == sizeof(encoded);
  if (!computed) return OpenSslError("derive a P-256 key");

  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  const bool described =
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) ==
          1 &&
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, encoded,
                                       sizeof(encoded)) == 1 &&
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, private_half.get()) == 1;
  const ParamsPtr params(described ? OSSL_PARAM_BLD_to_param(builder.get()) : nullptr);
  const KeyOperationPtr operation(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* key = nullptr;
  if (params == nullptr || EVP_PKEY_fromdata_init(operation.get()) != 1 ||
      EVP_PKEY_fromdata(operation.get(), &key, EVP_PKEY_KEYPAIR, params.get()) != 1) {
    return OpenSslError("build a P-256 key");
  }
  return KeyPtr(key);
}

}  // namespace kuma::identity

#include "identity/keys.h"

#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/rsa.h>

#include <utility>

#include "base/check.h"
#include "identity/digest.h"
#include "identity/internal/openssl.h"

namespace kuma::identity {
namespace {

constexpr int kMinimumBits = 2048;
constexpr size_t kLongestKey = 64 * 1024;

// One attempt to read all of `bytes` as a key of the given half.
KeyPtr Decode(std::string_view bytes, int selection) {
  EVP_PKEY* key = nullptr;
  const std::unique_ptr<OSSL_DECODER_CTX, FreeBy<OSSL_DECODER_CTX_free>> decoder(
      OSSL_DECODER_CTX_new_for_pkey(&key, nullptr, nullptr, "RSA", selection, nullptr, nullptr));
  const auto* next = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t left = bytes.size();
  // Never ask a terminal for the password of an encrypted key.
  OSSL_DECODER_CTX_set_pem_password_cb(
      decoder.get(), [](char*, int, int, void*) { return 0; }, nullptr);
  const bool decoded = OSSL_DECODER_from_data(decoder.get(), &next, &left) == 1;
  ERR_clear_error();
  KeyPtr owned(key);
  return decoded ? std::move(owned) : nullptr;
}

KeyPtr DecodeCertificate(std::string_view bytes) {
  const BioPtr reading = Reading(bytes);
  const CertificatePtr certificate(PEM_read_bio_X509(reading.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return KeyPtr(certificate != nullptr ? X509_get_pubkey(certificate.get()) : nullptr);
}

std::string Encode(const EVP_PKEY* key, int selection) {
  const std::unique_ptr<OSSL_ENCODER_CTX, FreeBy<OSSL_ENCODER_CTX_free>> encoder(
      OSSL_ENCODER_CTX_new_for_pkey(key, selection, "PEM", "type-specific", nullptr));
  const BioPtr written(BIO_new(BIO_s_mem()));
  const int done = OSSL_ENCODER_to_bio(encoder.get(), written.get());
  CHECK(done == 1, "an RSA key in memory can be encoded");
  return TextOf(written);
}

}  // namespace

base::Result<RsaKey> RsaKey::Generate() {
  auto state = std::make_shared<State>();
  state->key.reset(EVP_RSA_gen(kMinimumBits));
  if (state->key == nullptr) return OpenSslError("generate an RSA key");
  state->has_private = true;
  return RsaKey(std::move(state));
}

base::Result<RsaKey> RsaKey::Read(std::string_view bytes) {
  if (bytes.size() > kLongestKey) return base::Invalid("too long for an RSA key");
  auto state = std::make_shared<State>();
  state->key = Decode(bytes, EVP_PKEY_KEYPAIR);
  state->has_private = state->key != nullptr;
  if (state->key == nullptr) state->key = Decode(bytes, EVP_PKEY_PUBLIC_KEY);
  if (state->key == nullptr) state->key = DecodeCertificate(bytes);
  if (state->key == nullptr) {
    return base::Invalid("not an RSA key in PEM (PKCS#1, PKCS#8) or DER without a password");
  }
  if (!EVP_PKEY_is_a(state->key.get(), "RSA")) return base::Invalid("not an RSA key");
  const int bits = EVP_PKEY_get_bits(state->key.get());
  if (bits < kMinimumBits) {
    return base::Invalid("an RSA key of " + std::to_string(bits) +
                         " bits; at least 2048 are needed");
  }
  return RsaKey(std::move(state));
}

bool RsaKey::has_private() const { return state_->has_private; }

SecretText RsaKey::PrivatePem() const {
  CHECK(has_private(), "the key has no private half");
  return SecretText(Encode(state_->key.get(), EVP_PKEY_KEYPAIR));
}

std::string RsaKey::PublicPem() const { return Encode(state_->key.get(), EVP_PKEY_PUBLIC_KEY); }

std::string RsaKey::Sign(std::string_view text) const {
  CHECK(has_private(), "the key has no private half");
  const DigestOperationPtr operation(EVP_MD_CTX_new());
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::string signature(static_cast<size_t>(EVP_PKEY_get_size(state_->key.get())), '\0');
  size_t size = signature.size();
  const bool done =
      EVP_DigestSignInit(operation.get(), nullptr, EVP_sha256(), nullptr, state_->key.get()) == 1 &&
      EVP_DigestSign(operation.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     bytes, text.size()) == 1;
  CHECK(done, "a private RSA key of 2048 bits or more can sign");
  signature.resize(size);
  return signature;
}

bool Signatures::Has(const std::string& digest) {
  const std::lock_guard lock(mutex_);
  return known_.contains(digest);
}

void Signatures::Add(std::string digest) {
  constexpr size_t kMost = 16384;
  const std::lock_guard lock(mutex_);
  if (known_.size() >= kMost) known_.clear();
  known_.insert(std::move(digest));
}

bool RsaKey::Verify(std::string_view text, std::string_view signature) const {
  // Signatures of a key have one size, so that text and signature are told apart.
  if (signature.size() != static_cast<size_t>(EVP_PKEY_get_size(state_->key.get()))) return false;
  std::string digest = Sha256(std::string(text).append(signature));
  if (state_->verified.Has(digest)) return true;
  const DigestOperationPtr operation(EVP_MD_CTX_new());
  const bool right =
      EVP_DigestVerifyInit(operation.get(), nullptr, EVP_sha256(), nullptr, state_->key.get()) ==
          1 &&
      EVP_DigestVerify(operation.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                       signature.size(), reinterpret_cast<const unsigned char*>(text.data()),
                       text.size()) == 1;
  ERR_clear_error();
  if (right) state_->verified.Add(std::move(digest));
  return right;
}

bool RsaKey::SamePublicKey(const RsaKey& other) const {
  return EVP_PKEY_eq(state_->key.get(), other.state_->key.get()) == 1;
}

}  // namespace kuma::identity

#pragma once

// Owners of OpenSSL's objects and its error texts.

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/result.h"
#include "identity/keys.h"

namespace kuma::identity {

template <auto Free>
struct FreeBy {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using BioPtr = std::unique_ptr<BIO, FreeBy<BIO_free_all>>;
using BignumPtr = std::unique_ptr<BIGNUM, FreeBy<BN_clear_free>>;
using BignumScratchPtr = std::unique_ptr<BN_CTX, FreeBy<BN_CTX_free>>;
using GroupPtr = std::unique_ptr<EC_GROUP, FreeBy<EC_GROUP_free>>;
using PointPtr = std::unique_ptr<EC_POINT, FreeBy<EC_POINT_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using KeyOperationPtr = std::unique_ptr<EVP_PKEY_CTX, FreeBy<EVP_PKEY_CTX_free>>;
using DigestOperationPtr = std::unique_ptr<EVP_MD_CTX, FreeBy<EVP_MD_CTX_free>>;
using KdfPtr = std::unique_ptr<EVP_KDF, FreeBy<EVP_KDF_free>>;
using KdfOperationPtr = std::unique_ptr<EVP_KDF_CTX, FreeBy<EVP_KDF_CTX_free>>;
using CertificatePtr = std::unique_ptr<X509, FreeBy<X509_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, FreeBy<X509_EXTENSION_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, FreeBy<GENERAL_NAMES_free>>;

// Digests of what a key was found to have signed: each proxy shows its token several times.
// Bounded; thread-safe.
class Signatures {
 public:
  bool Has(const std::string& digest);
  void Add(std::string digest);

 private:
  std::mutex mutex_;
  std::unordered_set<std::string> known_;
};

struct RsaKey::State {
  KeyPtr key;
  bool has_private = false;
  mutable Signatures verified = {};
};

inline BioPtr Reading(std::string_view bytes) {
  return BioPtr(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

inline std::string TextOf(const BioPtr& written) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(written.get(), &text);
  return {text, static_cast<size_t>(size)};
}

// Takes what OpenSSL says about the last failure.
inline base::Error OpenSslError(std::string_view doing) {
  char text[256] = "unknown reason";
  const unsigned long code = ERR_peek_last_error();
  if (code != 0) ERR_error_string_n(code, text, sizeof(text));
  ERR_clear_error();
  return base::Internal(std::string(doing) + ": " + text);
}

}  // namespace kuma::identity

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>

#include "base/check.h"
#include "net/tls.h"

namespace kuma::net {
namespace {

bool IsIpAddress(const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

bool AddExtension(X509* certificate, int nid, const char* value) {
  X509V3_CTX settings;
  X509V3_set_ctx_nodb(&settings);
  X509V3_set_ctx(&settings, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &settings, nid, value);
  if (extension == nullptr) return false;
  const bool added = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

// Not through the text syntax of extensions, in which a comma in a name would have a meaning.
bool AddHosts(X509* certificate, const std::vector<std::string>& hosts) {
  GENERAL_NAMES* names = sk_GENERAL_NAME_new_null();
  for (const std::string& host : hosts) {
    GENERAL_NAME* name = a2i_GENERAL_NAME(nullptr, nullptr, nullptr,
                                          IsIpAddress(host) ? GEN_IPADD : GEN_DNS, host.c_str(), 0);
    if (name == nullptr) {
      GENERAL_NAMES_free(names);
      return false;
    }
    sk_GENERAL_NAME_push(names, name);
  }
  const bool added = X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1;
  GENERAL_NAMES_free(names);
  return added;
}

std::string Text(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<size_t>(size)};
}

}  // namespace

base::Result<SelfSigned> MakeSelfSigned(const std::vector<std::string>& hosts,
                                        std::chrono::hours validity) {
  CHECK(!hosts.empty(), "a certificate needs a name");
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> cert_bio(BIO_new(BIO_s_mem()), BIO_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> key_bio(BIO_new(BIO_s_mem()), BIO_free);
  std::array<unsigned char, 16> serial{};
  X509* cert = certificate.get();
  bool good = key != nullptr && cert != nullptr && cert_bio != nullptr && key_bio != nullptr &&
              RAND_bytes(serial.data(), static_cast<int>(serial.size())) == 1;
  if (good) {
    serial[0] = static_cast<unsigned char>((serial[0] & 0x7f) | 0x01);  // positive, not zero
    BIGNUM* number = BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
    BN_free(number);
    X509_set_version(cert, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(cert), -300);  // clocks of clients may be late
    X509_time_adj_ex(X509_getm_notAfter(cert), static_cast<int>(validity.count() / 24),
                     static_cast<long>(validity.count() % 24) * 3600, nullptr);
    X509_NAME* name = X509_get_subject_name(cert);
    const std::string common_name = hosts.front().substr(0, 64);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(common_name.data()),
                               static_cast<int>(common_name.size()), -1, 0);
    good = X509_set_issuer_name(cert, name) == 1 && X509_set_pubkey(cert, key.get()) == 1 &&
           AddExtension(cert, NID_basic_constraints, "critical,CA:TRUE") &&
           AddExtension(cert, NID_key_usage, "critical,digitalSignature,keyCertSign") &&
           AddExtension(cert, NID_ext_key_usage, "serverAuth,clientAuth") &&
           AddExtension(cert, NID_subject_key_identifier, "hash") && AddHosts(cert, hosts) &&
           X509_sign(cert, key.get(), EVP_sha256()) != 0 &&
           PEM_write_bio_X509(cert_bio.get(), cert) == 1 &&
           PEM_write_bio_PKCS8PrivateKey(key_bio.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                         nullptr) == 1;
  }
  if (!good) return base::Internal("cannot make a self-signed certificate for " + hosts.front());
  return SelfSigned{Text(cert_bio.get()), base::Redacted<std::string>(Text(key_bio.get()))};
}

}  // namespace kuma::net

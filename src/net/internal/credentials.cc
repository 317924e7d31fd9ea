#include "net/internal/credentials.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::net::internal {
namespace {

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;
using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using SslPtr = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr const char* kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kCiphers13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

std::string Reason() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "unknown error" : reason;
}

base::Result<std::string> ReadFile(std::string_view what, const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.is_open() || file.bad()) {
    return base::Invalid(base::Format("{} file {}: {}", what, path,
                                      errno != 0 ? std::strerror(errno) : "cannot be read"));
  }
  if (text.empty())
    return base::Invalid(base::Format("{} file {}: it is empty or a directory", what, path));
  return text;
}

BioPtr Memory(std::string_view text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free};
}

// "certificate file /x" or "certificate"
std::string Named(std::string_view what, const std::string& file) {
  return file.empty() ? std::string(what) : base::Format("{} file {}", what, file);
}

base::Status UseKeyPair(SSL_CTX* ssl, const KeyPair& pair) {
  std::string cert = pair.cert_pem;
  std::string key = pair.key_pem.Reveal();
  if (!pair.cert_file.empty()) {
    TRY_ASSIGN(cert, ReadFile("certificate", pair.cert_file));
  }
  if (!pair.key_file.empty()) {
    TRY_ASSIGN(key, ReadFile("key", pair.key_file));
  }
  if (cert.empty()) return base::Invalid("TLS needs a certificate");
  if (key.empty())
    return base::Invalid("TLS needs a key for " + Named("certificate", pair.cert_file));

  const std::string cert_name = Named("certificate", pair.cert_file);
  const BioPtr cert_bio = Memory(cert);
  const X509Ptr leaf(PEM_read_bio_X509(cert_bio.get(), nullptr, nullptr, nullptr), X509_free);
  if (leaf == nullptr || SSL_CTX_use_certificate(ssl, leaf.get()) != 1) {
    return base::Invalid(base::Format("{}: not a PEM certificate: {}", cert_name, Reason()));
  }
  SSL_CTX_clear_chain_certs(ssl);
  while (X509* next = PEM_read_bio_X509(cert_bio.get(), nullptr, nullptr, nullptr)) {
    if (SSL_CTX_add0_chain_cert(ssl, next) != 1) {
      X509_free(next);
      return base::Invalid(base::Format("{}: unusable chain: {}", cert_name, Reason()));
    }
  }
  ERR_clear_error();  // the end of the file counts as one
  const BioPtr key_bio = Memory(key);
  // A password is never asked for.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  const KeyPtr private_key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_password, nullptr),
                           EVP_PKEY_free);
  if (private_key == nullptr) {
    return base::Invalid(
        base::Format("{}: not a PEM private key: {}", Named("key", pair.key_file), Reason()));
  }
  if (SSL_CTX_use_PrivateKey(ssl, private_key.get()) != 1 || SSL_CTX_check_private_key(ssl) != 1) {
    return base::Invalid(base::Format("{} does not belong to {}: {}", Named("key", pair.key_file),
                                      cert_name, Reason()));
  }
  return base::Ok{};
}

base::Status UseAuthorities(SSL_CTX* ssl, const std::string& file, std::string pem, bool server) {
  if (!file.empty()) {
    TRY_ASSIGN(pem, ReadFile("CA", file));
  }
  const BioPtr bio = Memory(pem);
  X509_STORE* store = SSL_CTX_get_cert_store(ssl);
  int count = 0;
  while (true) {
    const X509Ptr ca(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
    if (ca == nullptr) break;
    if (X509_STORE_add_cert(store, ca.get()) != 1) {
      return base::Invalid(base::Format("{}: {}", Named("CA", file), Reason()));
    }
    if (server) SSL_CTX_add_client_CA(ssl, ca.get());
    ++count;
  }
  ERR_clear_error();
  if (count == 0) return base::Invalid(Named("CA", file) + ": no PEM certificate in it");
  // A certificate of the list is trusted even if it is not self-signed, as in Go.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
  return base::Ok{};
}

int ProtocolNumber(TlsVersion version) {
  switch (version) {
    case TlsVersion::kTls10: return TLS1_VERSION;
    case TlsVersion::kTls11: return TLS1_1_VERSION;
    case TlsVersion::kTls12: return TLS1_2_VERSION;
    case TlsVersion::kTls13: return TLS1_3_VERSION;
    case TlsVersion::kDefault: break;
  }
  return 0;
}

base::Status UseVersions(SSL_CTX* ssl, TlsVersion min, TlsVersion max) {
  if (min == TlsVersion::kDefault) min = TlsVersion::kTls12;
  if (max != TlsVersion::kDefault && max < min) {
    return base::Invalid("the maximum TLS version is below the minimum");
  }
  if (min < TlsVersion::kTls12)
    SSL_CTX_set_security_level(ssl, 0);  // else OpenSSL refuses them anyway
  if (SSL_CTX_set_min_proto_version(ssl, ProtocolNumber(min)) != 1 ||
      SSL_CTX_set_max_proto_version(ssl, ProtocolNumber(max)) != 1) {
    return base::Invalid("this TLS version is not available: " + Reason());
  }
  return base::Ok{};
}

base::Status UseSuites(SSL_CTX* ssl, const std::vector<std::string>& suites) {
  std::vector<std::string> before_13, from_13;
  for (const std::string& suite : suites) {
    if (base::EqualsIgnoreCase(suite.substr(0, 7), "TLS_AES") ||
        base::EqualsIgnoreCase(suite, "TLS_CHACHA20_POLY1305_SHA256")) {
      from_13.push_back(suite);
      continue;
    }
    // Go also accepts the names of these two without the hash.
    const bool chacha = suite.ends_with("_CHACHA20_POLY1305");
    const char* name = OPENSSL_cipher_name((chacha ? suite + "_SHA256" : suite).c_str());
    if (name == nullptr || std::string_view(name) == "(NONE)") {
      return base::Invalid(base::Format("unknown TLS cipher suite \"{}\"", suite));
    }
    before_13.push_back(name);
  }
  const std::string list = before_13.empty() ? kCiphers12 : base::Join(before_13, ":");
  const std::string list13 = from_13.empty() ? kCiphers13 : base::Join(from_13, ":");
  if (SSL_CTX_set_cipher_list(ssl, list.c_str()) != 1 ||
      SSL_CTX_set_ciphersuites(ssl, list13.c_str()) != 1) {
    return base::Invalid(
        base::Format("unusable TLS cipher suites {}: {}", base::Join(suites, ","), Reason()));
  }
  return base::Ok{};
}

void SetCommonOptions(SSL_CTX* ssl) {
  SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set1_groups_list(ssl, kGroups);
}

int SelectProtocol(SSL*, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* in, unsigned int in_size, void*) {
  static constexpr unsigned char kPreferred[] = "\x02h2\x08http/1.1";
  unsigned char* chosen = nullptr;
  const int result =
      SSL_select_next_proto(&chosen, out_size, kPreferred, sizeof kPreferred - 1, in, in_size);
  *out = chosen;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

FileStamp StampOf(const std::string& path) {
  struct stat facts {};
  FileStamp stamp;
  if (path.empty() || stat(path.c_str(), &facts) != 0) return stamp;
  stamp.inode = facts.st_ino;
  stamp.size = facts.st_size;
  stamp.modified_ns = facts.st_mtim.tv_sec * 1'000'000'000 + facts.st_mtim.tv_nsec;
  return stamp;
}

std::vector<FileStamp> Stamps(const ServerTlsOptions& options) {
  return {StampOf(options.certificate.cert_file), StampOf(options.certificate.key_file),
          StampOf(options.client_ca_file)};
}

}  // namespace

Credentials::~Credentials() { SSL_CTX_free(ssl_); }

base::Result<std::shared_ptr<const Credentials>> Credentials::ForServer(
    const ServerTlsOptions& options) {
  SslPtr ssl(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (ssl == nullptr) return base::Internal("TLS is not available: " + Reason());
  SetCommonOptions(ssl.get());
  TRY(UseVersions(ssl.get(), options.min_version, options.max_version));
  TRY(UseSuites(ssl.get(), options.cipher_suites));
  TRY(UseKeyPair(ssl.get(), options.certificate));
  SSL_CTX_set_num_tickets(ssl.get(), 1);
  SSL_CTX_set_alpn_select_cb(ssl.get(), SelectProtocol, nullptr);
  static constexpr std::string_view kSessionId = "kuma";
  SSL_CTX_set_session_id_context(ssl.get(),
                                 reinterpret_cast<const unsigned char*>(kSessionId.data()),
                                 static_cast<unsigned int>(kSessionId.size()));
  if (options.client_certificates != ClientCertificates::kIgnored) {
    if (options.client_ca_file.empty() && options.client_ca_pem.empty()) {
      return base::Invalid("client certificates need a CA to be verified against");
    }
    TRY(UseAuthorities(ssl.get(), options.client_ca_file, options.client_ca_pem, true));
    int mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
    if (options.client_certificates == ClientCertificates::kRequired)
      mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ssl.get(), mode, nullptr);
  }
  return std::shared_ptr<const Credentials>(new Credentials(ssl.release()));
}

base::Result<std::shared_ptr<const Credentials>> Credentials::ForClient(
    const ClientTlsOptions& options, bool http2, bool http1) {
  SslPtr ssl(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (ssl == nullptr) return base::Internal("TLS is not available: " + Reason());
  SetCommonOptions(ssl.get());
  TRY(UseVersions(ssl.get(), options.min_version, options.max_version));
  std::string protocols;
  if (http2) protocols += "\x02h2";
  if (http1) protocols += "\x08http/1.1";
  SSL_CTX_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                          static_cast<unsigned int>(protocols.size()));
  if (!options.skip_verify) {
    if (!options.ca_file.empty() || !options.ca_pem.empty()) {
      TRY(UseAuthorities(ssl.get(), options.ca_file, options.ca_pem, false));
    } else if (SSL_CTX_set_default_verify_paths(ssl.get()) != 1) {
      return base::Invalid("the CAs of the system cannot be read: " + Reason());
    }
    SSL_CTX_set_verify(ssl.get(), SSL_VERIFY_PEER, nullptr);
  }
  if (!options.certificate.empty()) TRY(UseKeyPair(ssl.get(), options.certificate));
  auto* credentials = new Credentials(ssl.release());
  credentials->skip_verify_ = options.skip_verify;
  return std::shared_ptr<const Credentials>(credentials);
}

ReloadingCredentials::ReloadingCredentials(ServerTlsOptions options, std::vector<FileStamp> stamps,
                                           std::shared_ptr<const Credentials> current)
    : options_(std::move(options)), stamps_(std::move(stamps)), current_(std::move(current)) {}

base::Result<std::unique_ptr<ReloadingCredentials>> ReloadingCredentials::Load(
    ServerTlsOptions options) {
  // Stamps come first: a file that changes while it is read is read again at the next check.
  std::vector<FileStamp> stamps = Stamps(options);
  TRY_ASSIGN(auto current, Credentials::ForServer(options));
  return std::unique_ptr<ReloadingCredentials>(
      new ReloadingCredentials(std::move(options), std::move(stamps), std::move(current)));
}

base::Result<bool> ReloadingCredentials::Check() {
  std::vector<FileStamp> stamps = Stamps(options_);
  if (stamps == stamps_) return false;
  stamps_ = std::move(stamps);
  TRY_ASSIGN(auto fresh, Credentials::ForServer(options_));
  current_ = std::move(fresh);
  return true;
}

}  // namespace kuma::net::internal

namespace kuma::net {

base::Result<TlsVersion> ParseTlsVersion(std::string_view name) {
  if (name.empty()) return TlsVersion::kDefault;
  if (name == "TLSv1_0") return TlsVersion::kTls10;
  if (name == "TLSv1_1") return TlsVersion::kTls11;
  if (name == "TLSv1_2") return TlsVersion::kTls12;
  if (name == "TLSv1_3") return TlsVersion::kTls13;
  return base::Invalid(base::Format(
      "unsupported TLS version \"{}\", available: TLSv1_0, TLSv1_1, TLSv1_2, TLSv1_3", name));
}

base::Status CheckTls(const ServerTlsOptions& options) {
  TRY_ASSIGN(const auto credentials, internal::Credentials::ForServer(options));
  return base::Ok{};
}

base::Status CheckTls(const ClientTlsOptions& options) {
  TRY_ASSIGN(const auto credentials, internal::Credentials::ForClient(options, true, true));
  return base::Ok{};
}

}  // namespace kuma::net

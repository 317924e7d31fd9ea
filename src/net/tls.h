#pragma once

// TLS settings. Files are read when a server or client starts; a server reads them again when they
// change.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/redacted.h"
#include "base/result.h"
#include "runtime/clock.h"

namespace kuma::net {

enum class TlsVersion : uint8_t { kDefault, kTls10, kTls11, kTls12, kTls13 };
// "TLSv1_0" to "TLSv1_3"; empty is kDefault. kInvalid names the text and the choices.
base::Result<TlsVersion> ParseTlsVersion(std::string_view name);

// A certificate chain and its key: two files, or two PEM texts (used when no file is named).
struct KeyPair {
  std::string cert_file;
  std::string key_file;
  std::string cert_pem;
  base::Redacted<std::string> key_pem;
  bool empty() const { return cert_file.empty() && cert_pem.empty(); }
};

enum class ClientCertificates : uint8_t { kIgnored, kOptional, kRequired };

struct ServerTlsOptions {
  KeyPair certificate;
  TlsVersion min_version = TlsVersion::kTls12;
  TlsVersion max_version = TlsVersion::kDefault;  // the newest
  // IANA names (TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) of TLS 1.2 and 1.3 suites; empty: safe
  // defaults. Without a 1.3 suite in the list, the defaults of 1.3 stay, as in Go.
  std::vector<std::string> cipher_suites;
  // Client certificates are verified against these; a certificate that does not verify ends the
  // handshake.
  ClientCertificates client_certificates = ClientCertificates::kIgnored;
  std::string client_ca_file;  // or:
  std::string client_ca_pem;
  // How often files are looked at (stat only). A new file that cannot be used is logged, and the
  // old one stays.
  runtime::Duration reload_interval = std::chrono::seconds(5);
};

struct ClientTlsOptions {
  std::string ca_file;  // or:
  std::string ca_pem;   // neither: the CAs of the system
  bool skip_verify = false;
  std::string server_name;  // empty: the host of the address; sent as SNI and verified
  KeyPair certificate;      // empty: none
  TlsVersion min_version = TlsVersion::kTls12;
  TlsVersion max_version = TlsVersion::kDefault;
};

// Checks options as a server would, without starting one: unknown suites, unreadable files.
base::Status CheckTls(const ServerTlsOptions& options);
base::Status CheckTls(const ClientTlsOptions& options);

struct SelfSigned {
  std::string cert_pem;
  base::Redacted<std::string> key_pem;
};
// An ECDSA P-256 server certificate, signed by itself and usable as its own CA, for DNS names and
// IP addresses; the first host is the common name. REQUIRES: hosts is not empty.
base::Result<SelfSigned> MakeSelfSigned(const std::vector<std::string>& hosts,
                                        std::chrono::hours validity = std::chrono::hours(24 *
                                                                                         3650));

}  // namespace kuma::net

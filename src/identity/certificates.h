#pragma once

// X.509: the authorities that the control plane keeps, and the certificates made from them.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/redacted.h"
#include "base/result.h"
#include "identity/keys.h"
#include "model/resource.h"

namespace kuma::identity {

struct KeyPair {
  std::string certificate;  // PEM
  SecretText key;           // PEM
};

// An RSA certificate authority. Immutable; copies share it; thread-safe. Making one costs more than
// using it: keep it.
class CertificateAuthority {
 public:
  // New key, self-signed for ten years, subject O=Kuma, OU=Mesh, CN=`name`.
  static base::Result<CertificateAuthority> Generate(std::string_view name, model::WallTime now);
  // `bytes` of its GlobalSecret: certificate and key, both PEM, in any order. kInvalid: unreadable,
  // not an authority, not RSA, the key is another one's.
  static base::Result<CertificateAuthority> Read(std::string_view bytes);

  // What Read takes: certificate, then key (PKCS#1).
  SecretText ToSecret() const;
  const std::string& certificate() const;  // PEM
  const RsaKey& key() const;

  struct State;  // parsed; internal
  const State& state() const { return *state_; }

 private:
  explicit CertificateAuthority(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  static base::Result<CertificateAuthority> Make(std::string certificate, RsaKey key);

  std::shared_ptr<const State> state_;
};
inline constexpr std::string_view kEnvoyAdminCaName =
    "Envoy Admin CA";  // GlobalSecret envoy-admin-ca
inline constexpr std::string_view kInterCpCaName =
    "Control Plane Intercommunication CA";  // GlobalSecret inter-cp-ca

// Certificates of an epoch are a pure function of (authority, host, epoch): P-256 key derived from
// the authority's key, RSA PKCS#1 v1.5 or Ed25519 signature. So they need no storage, and a restart
// changes no byte.
//
// An epoch lasts a year and begins at another moment for each host, so that not all hosts change at
// once. A certificate is valid from a day before its epoch to the end of the next one, within the
// authority's own time.
int64_t EpochOf(std::string_view host, model::WallTime now);
model::WallTime EpochStart(std::string_view host, int64_t epoch);

// For the admin listener of a proxy; `address` (IP or DNS name) becomes the only SAN. Two
// certificates: its own, and that of the signer in between, whose Ed25519 key is derived from the
// authority's.
base::Result<KeyPair> AdminServerCertificate(const CertificateAuthority& authority,
                                             std::string_view address, int64_t epoch);
// What the control plane shows to admin listeners: SAN DNS kuma-cp.
inline constexpr std::string_view kControlPlaneHost = "kuma-cp";
base::Result<KeyPair> ControlPlaneClientCertificate(const CertificateAuthority& authority,
                                                    int64_t epoch);

// For ports of the control plane when the operator gave no certificate: RSA, ten years, its own
// authority, so that clients can use it as their root. `hosts`: IPs and DNS names, at least one.
base::Result<KeyPair> SelfSignedServerCertificate(std::span<const std::string> hosts,
                                                  model::WallTime now);

// What `kumactl generate tls-certificate` makes: self-signed for ten years, its own authority.
enum class CertificateUse { kServer, kClient };
enum class CertificateKey { kRsa, kP256 };
base::Result<KeyPair> SelfSignedCertificate(CertificateUse use, CertificateKey key,
                                            std::span<const std::string> hosts,
                                            model::WallTime now);

// The first certificate of a PEM text. kInvalid: there is none.
base::Result<bool> IsCa(std::string_view pem);
// Whether a client that asked for `host` (IP or DNS name) accepts it, by its SANs; the CN does not
// count.
base::Result<bool> CoversHost(std::string_view pem, std::string_view host);
struct Validity {
  model::WallTime not_before;
  model::WallTime not_after;
};
base::Result<Validity> ValidityOf(std::string_view pem);

}  // namespace kuma::identity

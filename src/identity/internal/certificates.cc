#include "identity/certificates.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/hash.h"
#include "identity/internal/derived_key.h"
#include "identity/internal/openssl.h"

namespace kuma::identity {

struct CertificateAuthority::State {
  std::string pem;
  RsaKey key;
  KeySource source;  // of the keys of its certificates
  CertificatePtr certificate;
  Validity validity;
  // Signs for the authority what is made for every proxy: an RSA signature takes ten times as long.
  // Derived, too, and as deterministic.
  KeyPtr signer_key;  // Ed25519
  CertificatePtr signer;
  std::string signer_pem;
};

namespace {

using std::chrono::seconds;

constexpr std::chrono::hours kEpoch{24 * 365};
constexpr std::chrono::hours kBefore{24};  // for clocks that are behind
constexpr std::chrono::hours kLongLife{24 * 365 * 10};
constexpr std::chrono::minutes kSkew{10};
constexpr size_t kSerialBytes = 16;

int64_t ToSeconds(model::WallTime time) {
  return std::chrono::floor<seconds>(time).time_since_epoch().count();
}

// IPv4 or IPv6 in network order; empty for a name.
std::string AddressBytes(std::string_view host) {
  std::string text(host);
  if (text.size() > 2 && text.front() == '[' && text.back() == ']')
    text = text.substr(1, text.size() - 2);
  unsigned char bytes[16];
  if (inet_pton(AF_INET, text.c_str(), bytes) == 1) return {reinterpret_cast<char*>(bytes), 4};
  if (inet_pton(AF_INET6, text.c_str(), bytes) == 1) return {reinterpret_cast<char*>(bytes), 16};
  return {};
}

struct Template {
  std::string common_name = {};  // empty: no subject
  std::vector<std::string> hosts = {};
  std::string serial = {};  // positive, at most 20 bytes, big-endian
  model::WallTime not_before = {};
  model::WallTime not_after = {};
  bool is_authority = false;
  bool is_server = false;
  bool is_client = false;
};

bool AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX about;
  X509V3_set_ctx(&about, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &about, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// Built from values, not from OpenSSL's text form, in which a host could carry more than itself.
bool AddHosts(X509* certificate, const std::vector<std::string>& hosts, bool critical) {
  const NamesPtr names(GENERAL_NAMES_new());
  for (const std::string& host : hosts) {
    const std::string address = AddressBytes(host);
    const std::string& bytes = address.empty() ? host : address;
    ASN1_STRING* text =
        ASN1_STRING_type_new(address.empty() ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING);
    GENERAL_NAME* name = GENERAL_NAME_new();
    if (text == nullptr || name == nullptr ||
        ASN1_STRING_set(text, bytes.data(), static_cast<int>(bytes.size())) != 1) {
      ASN1_STRING_free(text);
      GENERAL_NAME_free(name);
      return false;
    }
    GENERAL_NAME_set0_value(name, address.empty() ? GEN_DNS : GEN_IPADD, text);
    sk_GENERAL_NAME_push(names.get(), name);
  }
  return X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), critical ? 1 : 0,
                           X509V3_ADD_DEFAULT) == 1;
}

bool SetSubject(X509* certificate, const std::string& common_name) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const auto add = [&](const char* field, std::string_view value) {
    return X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.data()),
                                      static_cast<int>(value.size()), -1, 0) == 1;
  };
  return add("O", "Kuma") && add("OU", "Mesh") && add("CN", common_name);
}

// Whose certificate it is: one of the two.
struct Subject {
  EVP_PKEY* key = nullptr;
  const P256Key* p256 = nullptr;
};

bool SetKey(X509* certificate, const Subject& subject) {
  if (subject.key != nullptr) return X509_set_pubkey(certificate, subject.key) == 1;
  const std::string& point = subject.p256->public_half;
  auto* bytes = static_cast<unsigned char*>(OPENSSL_memdup(point.data(), point.size()));
  if (bytes != nullptr && X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(certificate),
                                                 OBJ_nid2obj(NID_X9_62_id_ecPublicKey),
                                                 V_ASN1_OBJECT, OBJ_nid2obj(NID_X9_62_prime256v1),
                                                 bytes, static_cast<int>(point.size())) == 1)
    return true;
  OPENSSL_free(bytes);
  return false;
}

// Deterministic: equal arguments give equal bytes, because RSA keys sign with PKCS#1 v1.5 and
// Ed25519 has no randomness. `issuer` null: self-signed.
base::Result<std::string> Issue(const Template& wanted, const Subject& subject, X509* issuer,
                                EVP_PKEY* issuer_key) {
  const CertificatePtr made(X509_new());
  X509* certificate = made.get();
  if (issuer == nullptr) issuer = certificate;
  const bool is_own_root = issuer == certificate;
  const BignumPtr serial(BN_bin2bn(reinterpret_cast<const unsigned char*>(wanted.serial.data()),
                                   static_cast<int>(wanted.serial.size()), nullptr));
  std::string usage = wanted.is_authority ? "critical,keyCertSign,cRLSign,digitalSignature"
                                          : "critical,digitalSignature";
  if (wanted.is_server && subject.key != nullptr && EVP_PKEY_is_a(subject.key, "RSA"))
    usage += ",keyEncipherment";
  std::string purposes;
  if (wanted.is_server) purposes += ",serverAuth";
  if (wanted.is_client) purposes += ",clientAuth";

  const bool built =
      X509_set_version(certificate, X509_VERSION_3) == 1 &&
      BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr &&
      ASN1_TIME_adj(X509_getm_notBefore(certificate), ToSeconds(wanted.not_before), 0, 0) !=
          nullptr &&
      ASN1_TIME_adj(X509_getm_notAfter(certificate), ToSeconds(wanted.not_after), 0, 0) !=
          nullptr &&
      SetKey(certificate, subject) &&
      (wanted.common_name.empty() || SetSubject(certificate, wanted.common_name)) &&
      X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
      AddExtension(certificate, issuer, NID_basic_constraints,
                   !wanted.is_authority ? "critical,CA:FALSE"
                   : is_own_root        ? "critical,CA:TRUE"
                                        : "critical,CA:TRUE,pathlen:0") &&
      AddExtension(certificate, issuer, NID_key_usage, usage) &&
      (purposes.empty() ||
       AddExtension(certificate, issuer, NID_ext_key_usage, purposes.substr(1))) &&
      AddExtension(certificate, issuer, NID_subject_key_identifier, "hash") &&
      (is_own_root || X509_get0_subject_key_id(issuer) == nullptr ||
       AddExtension(certificate, issuer, NID_authority_key_identifier, "keyid:always")) &&
      (wanted.hosts.empty() ||
       AddHosts(certificate, wanted.hosts, /*critical=*/wanted.common_name.empty())) &&
      X509_sign(certificate, issuer_key,
                EVP_PKEY_is_a(issuer_key, "ED25519") ? nullptr : EVP_sha256()) > 0;
  if (!built) return OpenSslError("make a certificate");
  const BioPtr written(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(written.get(), certificate) != 1)
    return OpenSslError("encode a certificate");
  return TextOf(written);
}

base::Result<CertificatePtr> ReadCertificate(std::string_view pem) {
  const BioPtr reading = Reading(pem);
  CertificatePtr certificate(PEM_read_bio_X509(reading.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (certificate == nullptr) return base::Invalid("no PEM certificate");
  return certificate;
}

base::Result<model::WallTime> ToTime(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    ERR_clear_error();
    return base::Invalid("the certificate has no readable validity");
  }
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

base::Result<Validity> ReadValidity(const X509* certificate) {
  TRY_ASSIGN(const model::WallTime not_before, ToTime(X509_get0_notBefore(certificate)));
  TRY_ASSIGN(const model::WallTime not_after, ToTime(X509_get0_notAfter(certificate)));
  return Validity{not_before, not_after};
}

std::string PositiveSerial(std::string bytes) {
  bytes[0] = static_cast<char>((bytes[0] & 0x3f) | 0x40);
  return bytes;
}

base::Result<std::string> RandomSerial() {
  std::string bytes(kSerialBytes, '\0');
  BIGNUM* number = BN_new();
  const BignumPtr owned(number);
  if (BN_rand(number, static_cast<int>(kSerialBytes) * 8, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) !=
          1 ||
      BN_bn2binpad(number, reinterpret_cast<unsigned char*>(bytes.data()),
                   static_cast<int>(kSerialBytes)) < 0) {
    return OpenSslError("choose a serial number");
  }
  return PositiveSerial(std::move(bytes));
}

std::string PrivatePem(EVP_PKEY* key) {
  const BioPtr written(BIO_new(BIO_s_mem()));
  const int done =
      PEM_write_bio_PKCS8PrivateKey(written.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  CHECK(done == 1, "a key in memory can be encoded");
  return TextOf(written);
}

struct Signer {
  X509* certificate;
  EVP_PKEY* key;
};

base::Result<KeyPair> IssueDerived(const CertificateAuthority& authority, const Signer& signer,
                                   std::string_view purpose, std::string_view host, int64_t epoch,
                                   Template wanted) {
  // The host stands last: no two triples give the same text.
  const std::string seed = base::Format("{}|{}|{}", purpose, epoch, host);
  const CertificateAuthority::State& issuer = authority.state();
  const Validity& limits = issuer.validity;
  TRY_ASSIGN(const P256Key key, issuer.source.P256("key|" + seed));
  TRY_ASSIGN(const SecretText serial, issuer.source.Bytes("serial|" + seed, kSerialBytes));
  wanted.serial = PositiveSerial(serial.Reveal());
  wanted.hosts = {std::string(host)};
  wanted.not_before = std::max(EpochStart(host, epoch) - kBefore, limits.not_before);
  wanted.not_after = std::min(EpochStart(host, epoch + 2), limits.not_after);
  if (wanted.not_after <= wanted.not_before) {
    return base::Invalid(
        base::Format("the certificate authority expired at {} (seconds since 1970): replace or "
                     "delete its GlobalSecret",
                     ToSeconds(limits.not_after)));
  }
  TRY_ASSIGN(std::string certificate,
             Issue(wanted, {.p256 = &key}, signer.certificate, signer.key));
  return KeyPair{std::move(certificate), key.ToPem()};
}

bool IsPrintableHost(std::string_view host) {
  return !host.empty() && host.size() <= 253 &&
         std::all_of(host.begin(), host.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

base::Result<CertificateAuthority> CertificateAuthority::Generate(std::string_view name,
                                                                  model::WallTime now) {
  TRY_ASSIGN(RsaKey key, RsaKey::Generate());
  Template wanted;
  wanted.common_name = name;
  TRY_ASSIGN(wanted.serial, RandomSerial());
  wanted.not_before = now - kSkew;
  wanted.not_after = now + kLongLife;
  wanted.is_authority = true;
  EVP_PKEY* own = key.state().key.get();
  TRY_ASSIGN(std::string certificate, Issue(wanted, {.key = own}, nullptr, own));
  return Make(std::move(certificate), std::move(key));
}

base::Result<CertificateAuthority> CertificateAuthority::Make(std::string pem, RsaKey key) {
  TRY_ASSIGN(CertificatePtr certificate, ReadCertificate(pem));
  TRY_ASSIGN(const Validity validity, ReadValidity(certificate.get()));
  TRY_ASSIGN(KeySource source, KeySource::Of(key));

  constexpr size_t kEd25519Bytes = 32;
  TRY_ASSIGN(const SecretText seed, source.Bytes("key|signer", kEd25519Bytes));
  KeyPtr signer_key(EVP_PKEY_new_raw_private_key(
      EVP_PKEY_ED25519, nullptr, reinterpret_cast<const unsigned char*>(seed.Reveal().data()),
      kEd25519Bytes));
  if (signer_key == nullptr) return OpenSslError("derive a key");
  TRY_ASSIGN(const SecretText serial, source.Bytes("serial|signer", kSerialBytes));
  TRY_ASSIGN(std::string signer_pem,
             Issue({.common_name = "Signer",
                    .serial = PositiveSerial(serial.Reveal()),
                    .not_before = validity.not_before,
                    .not_after = validity.not_after,
                    .is_authority = true},
                   {.key = signer_key.get()}, certificate.get(), key.state().key.get()));
  TRY_ASSIGN(CertificatePtr signer, ReadCertificate(signer_pem));
  return CertificateAuthority(std::make_shared<const State>(
      State{std::move(pem), std::move(key), std::move(source), std::move(certificate), validity,
            std::move(signer_key), std::move(signer), std::move(signer_pem)}));
}

const std::string& CertificateAuthority::certificate() const { return state_->pem; }
const RsaKey& CertificateAuthority::key() const { return state_->key; }

base::Result<CertificateAuthority> CertificateAuthority::Read(std::string_view bytes) {
  TRY_ASSIGN(const CertificatePtr certificate, ReadCertificate(bytes));
  if (X509_check_ca(certificate.get()) == 0) {
    return base::Invalid("the certificate is not that of a certificate authority");
  }
  // The key may stand before or behind the certificate, in PKCS#1 or PKCS#8.
  const BioPtr reading = Reading(bytes);
  const KeyPtr found(PEM_read_bio_PrivateKey(
      reading.get(), nullptr, [](char*, int, int, void*) { return 0; }, nullptr));
  ERR_clear_error();
  if (found == nullptr) return base::Invalid("no PEM private key beside the certificate");
  if (!EVP_PKEY_is_a(found.get(), "RSA")) {
    return base::Invalid(
        "the certificate authority must have an RSA key: with others signatures differ each time");
  }
  if (X509_check_private_key(certificate.get(), found.get()) != 1) {
    ERR_clear_error();
    return base::Invalid("the private key does not belong to the certificate");
  }
  TRY_ASSIGN(RsaKey key, RsaKey::Read(PrivatePem(found.get())));
  const BioPtr written(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(written.get(), certificate.get()) != 1)
    return OpenSslError("encode a certificate");
  return Make(TextOf(written), std::move(key));
}

SecretText CertificateAuthority::ToSecret() const {
  return SecretText(certificate() + key().PrivatePem().Reveal());
}

int64_t EpochOf(std::string_view host, model::WallTime now) {
  const int64_t length = seconds(kEpoch).count();
  const int64_t shift = static_cast<int64_t>(base::Hash64(host) % static_cast<uint64_t>(length));
  return (ToSeconds(now) + shift) / length;
}

model::WallTime EpochStart(std::string_view host, int64_t epoch) {
  const int64_t length = seconds(kEpoch).count();
  const int64_t shift = static_cast<int64_t>(base::Hash64(host) % static_cast<uint64_t>(length));
  return model::WallTime(seconds(epoch * length - shift));
}

base::Result<KeyPair> AdminServerCertificate(const CertificateAuthority& authority,
                                             std::string_view address, int64_t epoch) {
  if (!IsPrintableHost(address)) return base::Invalid("an admin certificate needs an address");
  const CertificateAuthority::State& state = authority.state();
  TRY_ASSIGN(KeyPair pair, IssueDerived(authority, {state.signer.get(), state.signer_key.get()},
                                        "envoy-admin-server", address, epoch, {.is_server = true}));
  pair.certificate += state.signer_pem;
  return pair;
}

base::Result<KeyPair> ControlPlaneClientCertificate(const CertificateAuthority& authority,
                                                    int64_t epoch) {
  const CertificateAuthority::State& state = authority.state();
  return IssueDerived(authority, {state.certificate.get(), state.key.state().key.get()},
                      "envoy-admin-client", kControlPlaneHost, epoch,
                      {.common_name = std::string(kControlPlaneHost), .is_client = true});
}

base::Result<KeyPair> SelfSignedCertificate(CertificateUse use, CertificateKey kind,
                                            std::span<const std::string> hosts,
                                            model::WallTime now) {
  if (hosts.empty() || !std::all_of(hosts.begin(), hosts.end(), IsPrintableHost)) {
    return base::Invalid("a server certificate needs host names or addresses");
  }
  const KeyPtr key(kind == CertificateKey::kRsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
  if (key == nullptr) return OpenSslError("generate a key");
  Template wanted;
  wanted.common_name = use == CertificateUse::kServer ? std::string(kControlPlaneHost) : hosts[0];
  wanted.hosts.assign(hosts.begin(), hosts.end());
  TRY_ASSIGN(wanted.serial, RandomSerial());
  wanted.not_before = now - kSkew;
  wanted.not_after = now + kLongLife;
  wanted.is_authority = true;
  wanted.is_server = use == CertificateUse::kServer;
  wanted.is_client = use == CertificateUse::kClient;
  TRY_ASSIGN(std::string certificate, Issue(wanted, {.key = key.get()}, nullptr, key.get()));
  return KeyPair{std::move(certificate), SecretText(PrivatePem(key.get()))};
}

base::Result<KeyPair> SelfSignedServerCertificate(std::span<const std::string> hosts,
                                                  model::WallTime now) {
  return SelfSignedCertificate(CertificateUse::kServer, CertificateKey::kRsa, hosts, now);
}

base::Result<bool> IsCa(std::string_view pem) {
  TRY_ASSIGN(const CertificatePtr certificate, ReadCertificate(pem));
  return X509_check_ca(certificate.get()) == 1;
}

base::Result<bool> CoversHost(std::string_view pem, std::string_view host) {
  TRY_ASSIGN(const CertificatePtr certificate, ReadCertificate(pem));
  if (host.empty()) return false;  // OpenSSL would accept any
  const std::string address = AddressBytes(host);
  if (!address.empty()) {
    return X509_check_ip(certificate.get(), reinterpret_cast<const unsigned char*>(address.data()),
                         address.size(), 0) == 1;
  }
  return X509_check_host(certificate.get(), host.data(), host.size(),
                         X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                         nullptr) == 1;
}

base::Result<Validity> ValidityOf(std::string_view pem) {
  TRY_ASSIGN(const CertificatePtr certificate, ReadCertificate(pem));
  return ReadValidity(certificate.get());
}

}  // namespace kuma::identity

#include "identity/certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/hmac.h>

#include "base/strings.h"
#include "identity/internal/derived_key.h"
#include "identity/internal/openssl.h"

namespace kuma::identity {
namespace {

using base::Code;
using std::chrono::hours;
using std::chrono::seconds;
using ::testing::HasSubstr;

const model::WallTime kNow{seconds(1'800'000'000)};

const CertificateAuthority& Authority() {
  static const CertificateAuthority authority =
      *CertificateAuthority::Generate(kEnvoyAdminCaName, kNow);
  return authority;
}

const CertificateAuthority& OtherAuthority() {
  static const CertificateAuthority authority =
      *CertificateAuthority::Generate(kEnvoyAdminCaName, kNow);
  return authority;
}

CertificatePtr Parse(const std::string& pem) {
  const BioPtr reading = Reading(pem);
  return CertificatePtr(PEM_read_bio_X509(reading.get(), nullptr, nullptr, nullptr));
}

// What a TLS peer would say, at `now`.
std::string Verify(const std::string& pem, const std::string& authority, int purpose,
                   model::WallTime now) {
  const std::unique_ptr<X509_STORE, FreeBy<X509_STORE_free>> store(X509_STORE_new());
  const std::unique_ptr<X509_STORE_CTX, FreeBy<X509_STORE_CTX_free>> check(X509_STORE_CTX_new());
  const CertificatePtr root = Parse(authority);
  const BioPtr reading = Reading(pem);
  const CertificatePtr leaf(PEM_read_bio_X509(reading.get(), nullptr, nullptr, nullptr));
  STACK_OF(X509)* between = sk_X509_new_null();
  while (X509* next = PEM_read_bio_X509(reading.get(), nullptr, nullptr, nullptr))
    sk_X509_push(between, next);
  const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> owned(
      between, [](STACK_OF(X509) * all) { sk_X509_pop_free(all, X509_free); });
  X509_STORE_add_cert(store.get(), root.get());
  X509_STORE_CTX_init(check.get(), store.get(), leaf.get(), between);
  X509_STORE_CTX_set_purpose(check.get(), purpose);
  X509_STORE_CTX_set_time(check.get(), 0, std::chrono::system_clock::to_time_t(now));
  X509_STORE_CTX_set_flags(check.get(), X509_V_FLAG_X509_STRICT);
  if (X509_verify_cert(check.get()) == 1) return "ok";
  return X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get()));
}

KeyPtr ReadKey(const std::string& pem) {
  const BioPtr reading = Reading(pem);
  return KeyPtr(PEM_read_bio_PrivateKey(reading.get(), nullptr, nullptr, nullptr));
}

bool KeyFits(const KeyPair& pair) {
  return X509_check_private_key(Parse(pair.certificate).get(), ReadKey(pair.key.Reveal()).get()) ==
         1;
}

TEST(CertificatesTest, AuthorityGoesThroughItsSecret) {
  const std::string secret = Authority().ToSecret().Reveal();
  const auto read = CertificateAuthority::Read(secret);
  ASSERT_TRUE(read.has_value()) << read.error().message();
  EXPECT_EQ(read->certificate(), Authority().certificate());
  EXPECT_EQ(read->ToSecret().Reveal(), secret);
  const size_t key = secret.find("-----BEGIN RSA PRIVATE KEY");
  EXPECT_TRUE(CertificateAuthority::Read("\n" + secret.substr(key) + "\n" + secret.substr(0, key))
                  .has_value());
  EXPECT_EQ(Verify(Authority().certificate(), Authority().certificate(), X509_PURPOSE_ANY, kNow),
            "ok");
  EXPECT_EQ(ValidityOf(Authority().certificate())->not_after, kNow + hours(24 * 3650));
}

TEST(CertificatesTest, RefusesWhatIsNoAuthority) {
  const std::string secret = Authority().ToSecret().Reveal();
  const size_t key = secret.find("-----BEGIN RSA PRIVATE KEY");
  const CertificateAuthority& other = OtherAuthority();
  const KeyPair leaf = *AdminServerCertificate(Authority(), "10.0.0.1", 57);
  for (const std::string& bytes :
       {std::string(), std::string("x"), secret.substr(0, key), secret.substr(key),
        secret.substr(0, key) + other.key().PrivatePem().Reveal(),
        leaf.certificate + leaf.key.Reveal()}) {
    const auto read = CertificateAuthority::Read(bytes);
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().code(), Code::kInvalid);
  }
}

TEST(CertificatesTest, AdminCertificateIsAPureFunction) {
  const int64_t epoch = EpochOf("10.0.0.1", kNow);
  const KeyPair first = *AdminServerCertificate(Authority(), "10.0.0.1", epoch);
  const auto restarted = *CertificateAuthority::Read(Authority().ToSecret().Reveal());
  const KeyPair second = *AdminServerCertificate(restarted, "10.0.0.1", epoch);
  EXPECT_EQ(first.certificate, second.certificate);
  EXPECT_EQ(first.key, second.key);

  const CertificateAuthority& other_authority = OtherAuthority();
  for (const KeyPair& other : {*AdminServerCertificate(Authority(), "10.0.0.2", epoch),
                               *AdminServerCertificate(Authority(), "10.0.0.1", epoch + 1),
                               *AdminServerCertificate(other_authority, "10.0.0.1", epoch)}) {
    EXPECT_NE(other.key.Reveal(), first.key.Reveal());
    EXPECT_NE(other.certificate, first.certificate);
    EXPECT_TRUE(KeyFits(other));
  }
}

// The signer is no way around the authority.
TEST(CertificatesTest, AdminCertificateNeedsItsSignerAndItsAuthority) {
  const KeyPair pair = *AdminServerCertificate(Authority(), "10.0.0.1", EpochOf("10.0.0.1", kNow));
  const size_t second = pair.certificate.find("-----BEGIN", 1);
  ASSERT_NE(second, std::string::npos);
  const std::string leaf = pair.certificate.substr(0, second);
  const std::string signer = pair.certificate.substr(second);
  const std::string& root = Authority().certificate();
  EXPECT_NE(Verify(leaf, root, X509_PURPOSE_SSL_SERVER, kNow), "ok");
  EXPECT_NE(Verify(pair.certificate, OtherAuthority().certificate(), X509_PURPOSE_SSL_SERVER, kNow),
            "ok");
  EXPECT_TRUE(*IsCa(signer));
  EXPECT_EQ(Verify(signer, root, X509_PURPOSE_ANY, kNow), "ok");
  EXPECT_EQ(X509_get_pathlen(Parse(signer).get()), 0) << "it signs no other authority";
  EXPECT_EQ(ValidityOf(signer)->not_after, ValidityOf(root)->not_after);
}

TEST(CertificatesTest, AdminCertificateServesItsAddressOnly) {
  for (const std::string host : {"10.0.0.1", "fd00::1", "node-1.example.org"}) {
    SCOPED_TRACE(host);
    const KeyPair pair = *AdminServerCertificate(Authority(), host, EpochOf(host, kNow));
    EXPECT_TRUE(KeyFits(pair));
    EXPECT_EQ(Verify(pair.certificate, Authority().certificate(), X509_PURPOSE_SSL_SERVER, kNow),
              "ok");
    EXPECT_NE(Verify(pair.certificate, Authority().certificate(), X509_PURPOSE_SSL_CLIENT, kNow),
              "ok");
    EXPECT_TRUE(*CoversHost(pair.certificate, host));
    EXPECT_FALSE(*CoversHost(pair.certificate, "10.0.0.9"));
    EXPECT_FALSE(*CoversHost(pair.certificate, "example.org"));
    EXPECT_FALSE(*IsCa(pair.certificate));
  }
  EXPECT_EQ(AdminServerCertificate(Authority(), "", 1).error().code(), Code::kInvalid);
  EXPECT_EQ(AdminServerCertificate(Authority(), "a\nb", 1).error().code(), Code::kInvalid);
  // A host is one name, whatever it contains.
  const KeyPair odd =
      *AdminServerCertificate(Authority(), "a,DNS:kuma-cp", EpochOf("a,DNS:kuma-cp", kNow));
  EXPECT_FALSE(*CoversHost(odd.certificate, "kuma-cp"));
}

TEST(CertificatesTest, ClientCertificateIsTheControlPlanes) {
  const int64_t epoch = EpochOf(kControlPlaneHost, kNow);
  const KeyPair pair = *ControlPlaneClientCertificate(Authority(), epoch);
  EXPECT_TRUE(KeyFits(pair));
  EXPECT_EQ(Verify(pair.certificate, Authority().certificate(), X509_PURPOSE_SSL_CLIENT, kNow),
            "ok");
  EXPECT_NE(Verify(pair.certificate, Authority().certificate(), X509_PURPOSE_SSL_SERVER, kNow),
            "ok");
  EXPECT_TRUE(*CoversHost(pair.certificate, "kuma-cp"));
  EXPECT_EQ(ControlPlaneClientCertificate(Authority(), epoch)->certificate, pair.certificate);
  // No proxy can ask for it by its address.
  EXPECT_NE(AdminServerCertificate(Authority(), "kuma-cp", epoch)->key, pair.key);
}

TEST(CertificatesTest, EpochsOverlap) {
  const std::string host = "10.0.0.1";
  const int64_t epoch = EpochOf(host, kNow);
  EXPECT_LE(EpochStart(host, epoch), kNow);
  EXPECT_GT(EpochStart(host, epoch + 1), kNow);
  EXPECT_EQ(EpochOf(host, EpochStart(host, epoch + 1)), epoch + 1);
  EXPECT_EQ(EpochOf(host, EpochStart(host, epoch + 1) - seconds(1)), epoch);
  EXPECT_NE(EpochStart("10.0.0.2", epoch), EpochStart(host, epoch));

  const KeyPair pair = *AdminServerCertificate(Authority(), host, epoch);
  const auto valid_at = [&](model::WallTime now) {
    return Verify(pair.certificate, Authority().certificate(), X509_PURPOSE_SSL_SERVER, now) ==
           "ok";
  };
  // A whole epoch is left when the next certificate comes. The authority is younger than this
  // epoch's start.
  EXPECT_TRUE(valid_at(kNow));
  EXPECT_TRUE(valid_at(EpochStart(host, epoch + 1) + hours(24 * 300)));
  EXPECT_FALSE(valid_at(EpochStart(host, epoch + 2) + hours(1)));
  const Validity next =
      *ValidityOf(AdminServerCertificate(Authority(), host, epoch + 1)->certificate);
  EXPECT_EQ(next.not_before, EpochStart(host, epoch + 1) - hours(24));
  EXPECT_EQ(next.not_after, EpochStart(host, epoch + 3));
  // Never longer than the authority.
  const int64_t last = EpochOf(host, kNow + hours(24 * 3640));
  EXPECT_EQ(ValidityOf(AdminServerCertificate(Authority(), host, last)->certificate)->not_after,
            ValidityOf(Authority().certificate())->not_after);
  const base::Error expired = AdminServerCertificate(Authority(), host, last + 2).error();
  EXPECT_EQ(expired.code(), Code::kInvalid);
  EXPECT_THAT(expired.message(), HasSubstr("expired"));
}

TEST(CertificatesTest, SelfSignedServerIsItsOwnRoot) {
  const std::vector<std::string> hosts{"localhost", "127.0.0.1", "::1", "*.example.org"};
  const KeyPair pair = *SelfSignedServerCertificate(hosts, kNow);
  EXPECT_TRUE(KeyFits(pair));
  EXPECT_TRUE(*IsCa(pair.certificate));
  EXPECT_EQ(Verify(pair.certificate, pair.certificate, X509_PURPOSE_SSL_SERVER, kNow), "ok");
  for (const char* host :
       {"localhost", "127.0.0.1", "::1", "[::1]", "a.example.org", "LOCALHOST"}) {
    EXPECT_TRUE(*CoversHost(pair.certificate, host)) << host;
  }
  for (const char* host :
       {"", "127.0.0.2", "example.org", "a.b.example.org", "kuma-cp", "localhos"}) {
    EXPECT_FALSE(*CoversHost(pair.certificate, host)) << host;
  }
  EXPECT_FALSE(SelfSignedServerCertificate({}, kNow).has_value());
}

TEST(CertificatesTest, ChecksNeedACertificate) {
  EXPECT_EQ(IsCa("").error().code(), Code::kInvalid);
  EXPECT_EQ(IsCa("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").error().code(),
            Code::kInvalid);
  EXPECT_EQ(CoversHost("x", "host").error().code(), Code::kInvalid);
  EXPECT_TRUE(*IsCa(Authority().certificate()));
}

TEST(KeySourceTest, FollowsFromSecretAndPurpose) {
  const KeySource source = *KeySource::Of(Authority().key());
  const KeySource again = *KeySource::Of(*RsaKey::Read(Authority().key().PrivatePem().Reveal()));
  EXPECT_EQ(*source.Bytes("a", 32), *again.Bytes("a", 32));
  EXPECT_NE(source.Bytes("a", 32)->Reveal(), source.Bytes("b", 32)->Reveal());
  const std::string pem = source.P256("a")->ToPem().Reveal();
  EXPECT_EQ(pem, again.P256("a")->ToPem().Reveal());
  EXPECT_NE(pem, source.P256("b")->ToPem().Reveal());
  const KeyPtr key = ReadKey(pem);
  ASSERT_NE(key, nullptr);
  const KeyOperationPtr check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  EXPECT_EQ(EVP_PKEY_check(check.get()), 1);
}

// Keys and certificates are put together by hand; OpenSSL would write the same bytes.
TEST(KeySourceTest, EncodesAsOpenSslDoes) {
  const KeyPair pair = *AdminServerCertificate(Authority(), "10.0.0.1", EpochOf("10.0.0.1", kNow));
  const KeyPtr key = ReadKey(pair.key.Reveal());
  ASSERT_NE(key, nullptr);
  const BioPtr written(BIO_new(BIO_s_mem()));
  ASSERT_EQ(PEM_write_bio_PKCS8PrivateKey(written.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                          nullptr),
            1);
  EXPECT_EQ(TextOf(written), pair.key.Reveal());

  const CertificatePtr certificate = Parse(pair.certificate);
  const auto encoded = [](auto encode, auto* object) {
    unsigned char* der = nullptr;
    const int size = encode(object, &der);
    std::string text(reinterpret_cast<char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    return text;
  };
  EXPECT_EQ(encoded(i2d_X509_PUBKEY, X509_get_X509_PUBKEY(certificate.get())),
            encoded(i2d_PUBKEY, key.get()));
}

std::string Hmac(std::string_view key, std::string_view text) {
  unsigned char mac[32];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  return {reinterpret_cast<char*>(mac), size};
}

// A change of the derivation would change the listener of every proxy at an upgrade.
TEST(KeySourceTest, DerivationStaysAsReleased) {
  const RsaKey& key = Authority().key();
  const std::string pem = key.PrivatePem().Reveal();
  const size_t from = pem.find('\n') + 1;
  const std::string pkcs1 = *base::DecodeBase64(pem.substr(from, pem.find("-----END") - from));
  const std::string pseudorandom = Hmac("kuma derived keys, version 1", pkcs1);
  const std::string expected =
      Hmac(pseudorandom, std::string("serial|test") + '\x01').substr(0, 16);
  EXPECT_EQ(KeySource::Of(key)->Bytes("serial|test", 16)->Reveal(), expected);
}

}  // namespace
}  // namespace kuma::identity

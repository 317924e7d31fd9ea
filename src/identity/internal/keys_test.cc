#include "identity/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/strings.h"
#include "identity/internal/openssl.h"

namespace kuma::identity {
namespace {

using base::Code;

// Making keys is slow: the tests share two.
const RsaKey& KeyA() {
  static const RsaKey key = *RsaKey::Generate();
  return key;
}
const RsaKey& KeyB() {
  static const RsaKey key = *RsaKey::Generate();
  return key;
}

std::string Der(std::string_view pem) {
  const size_t from = pem.find('\n') + 1;
  return *base::DecodeBase64(pem.substr(from, pem.find("-----END") - from));
}

TEST(RsaKeyTest, ReadsEverySpelling) {
  const RsaKey& key = KeyA();
  const std::string pkcs1 = key.PrivatePem().Reveal();
  EXPECT_TRUE(pkcs1.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
  EXPECT_TRUE(key.PublicPem().starts_with("-----BEGIN RSA PUBLIC KEY-----\n"));
  EVP_PKEY* raw = key.state().key.get();
  const BioPtr pkcs8(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(pkcs8.get(), raw, nullptr, nullptr, 0, nullptr, nullptr);
  const BioPtr spki(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(spki.get(), raw);

  for (const std::string& bytes : {pkcs1, TextOf(pkcs8), Der(pkcs1), Der(TextOf(pkcs8)),
                                   "comment\n" + pkcs1, pkcs1 + "\n\n"}) {
    const auto read = RsaKey::Read(bytes);
    ASSERT_TRUE(read.has_value()) << read.error().message();
    EXPECT_TRUE(read->has_private());
    EXPECT_EQ(read->PrivatePem().Reveal(), pkcs1);
  }
  for (const std::string& bytes :
       {key.PublicPem(), TextOf(spki), Der(key.PublicPem()), Der(TextOf(spki))}) {
    const auto read = RsaKey::Read(bytes);
    ASSERT_TRUE(read.has_value()) << read.error().message();
    EXPECT_FALSE(read->has_private());
    EXPECT_TRUE(read->SamePublicKey(key));
    EXPECT_EQ(read->PublicPem(), key.PublicPem());
  }
}

TEST(RsaKeyTest, RefusesOtherThings) {
  const KeyPtr weak(EVP_RSA_gen(1024));
  const KeyPtr curve(EVP_EC_gen("prime256v1"));
  std::vector<std::string> all{
      "", "x", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
      std::string(1 << 20, 'x'), std::string("\x30\x82\x04\xa4\x02", 5)};
  for (EVP_PKEY* key : {weak.get(), curve.get()}) {
    const BioPtr written(BIO_new(BIO_s_mem()));
    PEM_write_bio_PKCS8PrivateKey(written.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    all.push_back(TextOf(written));
  }
  const RsaKey& good = KeyA();
  const BioPtr encrypted(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(encrypted.get(), good.state().key.get(), EVP_aes_128_cbc(),
                                "password", 8, nullptr, nullptr);
  all.push_back(TextOf(encrypted));
  all.push_back(good.PrivatePem().Reveal().substr(0, 800));
  for (const std::string& bytes : all) {
    const auto read = RsaKey::Read(bytes);
    ASSERT_FALSE(read.has_value()) << bytes.substr(0, 60);
    EXPECT_EQ(read.error().code(), Code::kInvalid);
  }
}

TEST(RsaKeyTest, SignsAndVerifies) {
  const RsaKey& key = KeyA();
  const RsaKey& other = KeyB();
  const std::string signature = key.Sign("text");
  EXPECT_EQ(signature.size(), 256u);
  EXPECT_EQ(key.Sign("text"), signature);
  EXPECT_TRUE(RsaKey::Read(key.PublicPem())->Verify("text", signature));
  EXPECT_FALSE(key.Verify("texT", signature));
  EXPECT_FALSE(key.Verify("text", ""));
  EXPECT_FALSE(key.Verify("text", signature + "x"));
  EXPECT_FALSE(other.Verify("text", signature));
  EXPECT_TRUE(key.Verify("text", signature)) << "again, as every token is";
  EXPECT_TRUE(key.Verify("text", signature));
  EXPECT_FALSE(key.Verify("tex", "t" + signature));
  EXPECT_FALSE(key.Verify("texT", signature));
  EXPECT_FALSE(key.SamePublicKey(other));
}

TEST(RsaKeyTest, PrivateHalfIsNotPrinted) {
  const RsaKey& key = KeyA();
  std::ostringstream out;
  out << key.PrivatePem();
  EXPECT_EQ(out.str(), "[redacted]");
}

}  // namespace
}  // namespace kuma::identity

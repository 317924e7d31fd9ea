#include "identity/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "model/value.h"

namespace kuma::identity {
namespace {

using base::Code;
using std::chrono::hours;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const model::WallTime kNow{seconds(1'800'000'000)};

// Made with the openssl program: genrsa, dgst -sha256 -sign.
constexpr std::string_view kVectorKey = R"pem(-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAsYgoo68FjE2o1kFcH3sCMwHPyPh0FhD9kxABC7J6UPcfTtUPjXng
v/7uiL+vVCwAnDdj2sHZ0cH4bmBMNRjFCmbvV6OqK42Wh2sb3KO07nrSpKUxxa2Z
cTJjtJRyJwTn4NM2fD6P0vSie4KpKuBNL2ulfFU3LbjLJXydHZXzZJN+M69WeS7y
7LM0DfLRMhNMebCzvheSiQoe0gtE5qUSZeFcNrBqoCmanIaJZ01Y801UXlttofNI
5rEowX3Iink+HWwUlZKSmpq30HGDUb8cdZcNO4BE/yqH2JdXm1wNo9X2AuxGOVKY
4iG1zzfX+h+YEtStBVmAloFVqBZPIMQkYwIDAQAB
-----END RSA PUBLIC KEY-----
)pem";
constexpr std::string_view kVector =
    "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEiLCJ0eXAiOiJKV1QifQ.eyJOYW1lIjoiYmFja2VuZC0xIiwiTWVzaCI6ImR"
    "lZmF1bHQiLCJUYWdzIjp7Imt1bWEuaW8vc2VydmljZSI6WyJiYWNrZW5kIiwiYmFja2VuZC1hcGkiXX0sIlR5cGUiO"
    "iJkYXRhcGxhbmUiLCJXb3JrbG9hZCI6IiIsImV4cCI6MjEwMDAwMDAwMCwibmJmIjoxNzAwMDAwMDAwLCJpYXQiOjE"
    "3MDAwMDAwMDAsImp0aSI6ImIyYzFmMGE2LTBlMGYtNGI1OC05YzNiLTBkNWY0YzdiOGExMSJ9.nRLbCvQLIvLi9X6k"
    "-VeQktmO5Owiau254FUoHMYxozbvxjJmMDSB5-Kv7FDz12lOXjO_OOV1vQS0CovQTEydEC7Yrr-hwec_PLW1kU-Vp6"
    "HMY9vPB0piVh-7S5dCCjWirHdh4JxsKxhr_0J1f82cfpaTLthf0nK_JxY-JWcmYQhYrJJCYzqnTNAwRvAVeLXCxFEp"
    "h_hCFs_n0jGGlB4cpytvyZzvU7-s1hf43mjCLtqjYwqHJbifhN1IiA-3A-a1bgWGcjIuDqFWU4Lh02BHupsmdulB4B"
    "1v41XZiaN7yszm_gLRt9A3Hr3oCxxPUE7mGJ1VQcpSU4lz41hJCmKhVg";

const RsaKey& KeyA() {
  static const RsaKey key = *RsaKey::Generate();
  return key;
}
const RsaKey& KeyB() {
  static const RsaKey key = *RsaKey::Generate();
  return key;
}

TokenKeys Keys(std::vector<TokenKey> list) {
  TokenKeys keys;
  for (TokenKey& key : list) keys.Add(std::move(key));
  return keys;
}

Issuing IssuingNow() { return {kNow, hours(1), "11111111-2222-4333-8444-555555555555"}; }

// A token from raw parts, signed with key A.
std::string Sign(const std::string& header, const std::string& claims) {
  const std::string text = base::EncodeBase64Url(header) + "." + base::EncodeBase64Url(claims);
  return text + "." + base::EncodeBase64Url(KeyA().Sign(text));
}

class TokensTest : public ::testing::Test {
 protected:
  base::Error Refused(std::string_view token, const TokenKeys& keys, model::WallTime now = kNow) {
    const auto checked = CheckDataplaneToken(token, {keys, revoked_, now});
    EXPECT_FALSE(checked.has_value());
    if (checked.has_value()) return base::Internal("accepted");
    EXPECT_EQ(checked.error().code(), Code::kDenied);
    return checked.error();
  }

  const DataplaneClaims claims_{.name = "backend-1",
                                .mesh = "default",
                                .tags = {{"app", {"backend", "api"}}},
                                .type = "dataplane",
                                .workload = "w"};
  const TokenKeys keys_ = Keys({{"1", KeyA()}});
  Revocations revoked_;
};

TEST_F(TokensTest, AcceptsATokenMadeByOpenssl) {
  const auto public_key = RsaKey::Read(kVectorKey);
  ASSERT_TRUE(public_key.has_value()) << public_key.error().message();
  EXPECT_FALSE(public_key->has_private());
  EXPECT_EQ(public_key->PublicPem(), kVectorKey);
  const TokenKeys keys = Keys({{"1", *public_key}});
  EXPECT_EQ(keys.Newest(), nullptr);
  const auto checked = CheckDataplaneToken(kVector, {keys, revoked_, kNow});
  ASSERT_TRUE(checked.has_value()) << checked.error().message();
  EXPECT_EQ(checked->claims,
            (DataplaneClaims{.name = "backend-1",
                             .mesh = "default",
                             .tags = {{"kuma.io/service", {"backend", "backend-api"}}},
                             .type = "dataplane",
                             .workload = ""}));
  EXPECT_EQ(checked->facts.id, "b2c1f0a6-0e0f-4b58-9c3b-0d5f4c7b8a11");
  EXPECT_EQ(checked->facts.kid, "1");
  EXPECT_EQ(checked->facts.expires, model::WallTime(seconds(2'100'000'000)));
  // The other key of the same id.
  EXPECT_THAT(Refused(kVector, keys_).message(),
              HasSubstr("signature does not match signing key 1"));
}

TEST_F(TokensTest, IssuesWhatItAccepts) {
  const auto token = IssueDataplaneToken(claims_, keys_, IssuingNow());
  ASSERT_TRUE(token.has_value());
  const auto checked = CheckDataplaneToken(*token, {keys_, revoked_, kNow});
  ASSERT_TRUE(checked.has_value()) << checked.error().message();
  EXPECT_EQ(checked->claims, claims_);
  const std::vector<std::string> parts = base::Split(*token, '.');
  EXPECT_EQ(*base::DecodeBase64Url(parts[0]), R"({"alg":"RS256","kid":"1","typ":"JWT"})");
  EXPECT_EQ(
      *base::DecodeBase64Url(parts[1]),
      R"({"Name":"backend-1","Mesh":"default","Tags":{"app":["backend","api"]},"Type":"dataplane",)"
      R"("Workload":"w","exp":1800003600,"nbf":1799999995,"iat":1799999995,)"
      R"("jti":"11111111-2222-4333-8444-555555555555"})");
  EXPECT_EQ(ClaimedMesh(*token), "default");
  EXPECT_EQ(LooksLike(*token), TokenKind::kDataplane);

  const auto zone = IssueZoneToken({.zone = "east", .scope = {"a"}}, keys_, IssuingNow());
  EXPECT_EQ(CheckZoneToken(*zone, {keys_, revoked_, kNow})->claims, (ZoneClaims{"east", {"a"}}));
  const auto user = IssueUserToken({.name = "u", .groups = {"g", "h"}}, keys_, IssuingNow());
  EXPECT_EQ(CheckUserToken(*user, {keys_, revoked_, kNow})->claims, (UserClaims{"u", {"g", "h"}}));
}

TEST_F(TokensTest, TimesAreExact) {
  const auto token = *IssueDataplaneToken(claims_, keys_, IssuingNow());
  const auto valid_at = [&](model::WallTime now) {
    return CheckDataplaneToken(token, {keys_, revoked_, now}).has_value();
  };
  EXPECT_FALSE(valid_at(kNow - seconds(6)));
  EXPECT_TRUE(valid_at(kNow - seconds(5)));
  EXPECT_TRUE(valid_at(kNow + seconds(3599)));
  EXPECT_FALSE(valid_at(kNow + seconds(3600)));
  EXPECT_THAT(Refused(token, keys_, kNow + hours(2)).message(),
              HasSubstr("expired at 2027-01-15T09:00:00Z"));
  EXPECT_THAT(Refused(token, keys_, kNow - hours(2)).message(),
              HasSubstr("not valid before 2027-01-15T07:59:55Z"));
}

TEST_F(TokensTest, OtherAlgorithmsAreRefused) {
  const std::string claims = R"({"Mesh":"default","Name":"a"})";
  EXPECT_TRUE(
      CheckDataplaneToken(Sign(R"({"alg":"RS256","kid":"1"})", claims), {keys_, revoked_, kNow})
          .has_value());
  for (const char* header : {R"({"alg":"none","kid":"1"})", R"({"alg":"HS256","kid":"1"})",
                             R"({"alg":"RS512","kid":"1"})", R"({"alg":"rs256","kid":"1"})",
                             R"({"alg":["RS256"],"kid":"1"})", R"({"kid":"1"})"}) {
    EXPECT_THAT(Refused(Sign(header, claims), keys_).message(), HasSubstr("not signed with RS256"))
        << header;
  }
  const std::string unsigned_text = base::EncodeBase64Url(R"({"alg":"none","kid":"1"})") + "." +
                                    base::EncodeBase64Url(claims) + ".";
  (void)Refused(unsigned_text, keys_);
  EXPECT_THAT(Refused(Sign(R"({"alg":"RS256","kid":"1","crit":["b64"]})", claims), keys_).message(),
              HasSubstr("crit"));
}

TEST_F(TokensTest, KeyIdMustBeAKnownString) {
  const std::string claims = R"({"Mesh":"default","Name":"a"})";
  EXPECT_THAT(Refused(Sign(R"({"alg":"RS256"})", claims), keys_).message(), HasSubstr("kid"));
  EXPECT_THAT(Refused(Sign(R"({"alg":"RS256","kid":1})", claims), keys_).message(),
              HasSubstr("kid"));
  EXPECT_THAT(Refused(Sign(R"({"alg":"RS256","kid":"2"})", claims), keys_).message(),
              HasSubstr("no signing key 2"));
  TokenKeys spoiled = keys_;
  spoiled.AddUnreadable("2", "not an RSA key");
  EXPECT_THAT(Refused(Sign(R"({"alg":"RS256","kid":"2"})", claims), spoiled).message(),
              HasSubstr("unreadable: not an RSA key"));
}

TEST_F(TokensTest, AnyChangeIsRefused) {
  const auto token = *IssueDataplaneToken(claims_, keys_, IssuingNow());
  const size_t signature = token.rfind('.') + 1;
  for (size_t i = 0; i < token.size() - 1; ++i) {  // unused bits of the last character do not count
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    (void)Refused(changed, keys_);
  }
  (void)Refused(token.substr(0, signature), keys_);
  (void)Refused(token + "A", keys_);
}

TEST_F(TokensTest, WhatIsNoTokenIsRefused) {
  for (const std::string& text :
       {std::string(), std::string("."), std::string(".."), std::string("a.b"),
        std::string("a.b.c.d"), std::string("e30.e30.e30.e30"), std::string("e30.e30.e30"),
        std::string("W10.e30.e30"), std::string("Bearer ") + std::string(kVector),
        std::string(kVector) + "\n", std::string(1 << 20, 'a'), std::string("\xff.\xff.\xff")}) {
    (void)Refused(text, keys_);
    EXPECT_FALSE(ClaimedMesh(text).has_value());
  }
  for (const char* claims :
       {R"({"Mesh":"m","exp":"soon"})", R"({"Mesh":1})", R"({"Mesh":"m","Tags":[]})",
        R"({"Mesh":"m","Tags":{"a":"b"}})", R"({"Mesh":"m","Tags":{"a":[1]}})",
        R"({"Mesh":"m","jti":7})", R"({"Mesh":"m","exp":-1})", R"({"Mesh":"m","nbf":1e300})"}) {
    (void)Refused(Sign(R"({"alg":"RS256","kid":"1"})", claims), keys_);
  }
  // What Go writes for empty values.
  EXPECT_TRUE(CheckDataplaneToken(
                  Sign(R"({"alg":"RS256","kid":"1"})",
                       R"({"Name":"","Mesh":"m","Tags":null,"Type":"","exp":1800000000.5})"),
                  {keys_, revoked_, kNow})
                  .has_value());
}

TEST_F(TokensTest, RevokedTokensAreRefused) {
  const auto token = *IssueDataplaneToken(claims_, keys_, IssuingNow());
  revoked_ = ParseRevocations("aaa,11111111-2222-4333-8444-555555555555\n");
  EXPECT_THAT(Refused(token, keys_).message(), HasSubstr("revoked"));
  revoked_ =
      ParseRevocations("aaa, 11111111-2222-4333-8444-555555555555");  // spaces are not trimmed
  EXPECT_TRUE(CheckDataplaneToken(token, {keys_, revoked_, kNow}).has_value());
  EXPECT_TRUE(ParseRevocations("").empty());
  EXPECT_THAT(ParseRevocations("b,a,,"), ElementsAre("a", "b"));
}

TEST_F(TokensTest, AnotherKindOfTokenIsNamedWithTheWayOut) {
  const TokenKeys user_keys = Keys({{"1", KeyB()}});
  const auto user = *IssueUserToken({.name = "mesh-system:admin"}, user_keys, IssuingNow());
  const auto zone = *IssueZoneToken({.zone = "east"}, user_keys, IssuingNow());
  EXPECT_THAT(Refused(user, keys_).message(), AllOf(HasSubstr("this is a user token"),
                                                    HasSubstr("kumactl generate dataplane-token")));
  EXPECT_THAT(Refused(zone, keys_).message(), HasSubstr("this is a zone token"));
  EXPECT_THAT(Refused(user, keys_).message(), Not(HasSubstr("admin")));
  // Even where one key serves both.
  EXPECT_THAT(Refused(user, user_keys).message(), HasSubstr("this is a user token"));
  const auto dataplane = *IssueDataplaneToken(claims_, user_keys, IssuingNow());
  EXPECT_FALSE(CheckUserToken(dataplane, {user_keys, revoked_, kNow}).has_value());
  EXPECT_FALSE(CheckZoneToken(dataplane, {user_keys, revoked_, kNow}).has_value());
}

TEST_F(TokensTest, HighestSerialSigns) {
  const auto secret = [](std::string name, const RsaKey& key) {
    return NamedSecret{std::move(name), key.PrivatePem()};
  };
  const std::string prefix = DataplaneKeyPrefix("default");
  EXPECT_EQ(prefix, "dataplane-token-signing-key-default");
  std::vector<NamedSecret> secrets;
  EXPECT_EQ(TokenKeys::FromSecrets(secrets, prefix).Newest(), nullptr);
  EXPECT_EQ(IssueDataplaneToken(claims_, TokenKeys(), IssuingNow()).error().code(),
            Code::kNotFound);

  secrets.push_back(secret(prefix, KeyA()));  // of an old installation
  EXPECT_EQ(TokenKeys::FromSecrets(secrets, prefix).Newest()->kid, "0");
  EXPECT_EQ(HighestSerial(secrets, prefix), 0u);
  secrets.push_back(secret(prefix + "-9", KeyA()));
  secrets.push_back(secret(prefix + "-10", KeyB()));
  secrets.push_back(secret(prefix + "-x", KeyB()));
  secrets.push_back(secret("other-11", KeyB()));
  secrets.push_back({prefix + "-12", SecretText("rubbish")});
  const TokenKeys keys = TokenKeys::FromSecrets(secrets, prefix);
  EXPECT_EQ(keys.Newest()->kid, "10");
  EXPECT_TRUE(keys.Find("9")->SamePublicKey(KeyA()));
  EXPECT_EQ(keys.Find("11"), nullptr);
  EXPECT_EQ(keys.unreadable().size(), 1u);
  EXPECT_EQ(HighestSerial(secrets, prefix), 12u);
  const auto token = *IssueDataplaneToken(claims_, keys, IssuingNow());
  EXPECT_EQ(CheckDataplaneToken(token, {keys, revoked_, kNow})->facts.kid, "10");
}

TEST_F(TokensTest, StaticKeysComeFirst) {
  TokenKeys keys = Keys({{"1", *RsaKey::Read(KeyA().PublicPem())}});
  keys.AddAll(Keys({{"1", KeyB()}, {"2", KeyB()}}));
  EXPECT_TRUE(keys.Find("1")->SamePublicKey(KeyA()));
  EXPECT_EQ(keys.Newest()->kid, "2");
}

TEST(CheckDataplaneTest, EachClaimCountsIfItIsSet) {
  model::Metadata dataplane;
  dataplane.mesh = "default";
  dataplane.name = "backend-1";
  dataplane.labels = {{"app", "backend"}, {"kuma.io/workload", "w"}};
  const auto reason = [&](const DataplaneClaims& claims, bool workload_required = false) {
    const base::Status status = CheckDataplane(claims, dataplane, workload_required);
    EXPECT_TRUE(status.has_value() || status.error().code() == Code::kDenied);
    return status.has_value() ? std::string("accepted") : status.error().message();
  };
  EXPECT_EQ(reason({}), "accepted");
  EXPECT_EQ(reason({.name = "backend-1",
                    .mesh = "default",
                    .tags = {{"app", {"x", "backend"}}},
                    .workload = "w"},
                   true),
            "accepted");
  EXPECT_THAT(reason({.name = "backend-2"}), AllOf(HasSubstr("backend-2"), HasSubstr("backend-1")));
  EXPECT_THAT(reason({.mesh = "other"}), HasSubstr("for mesh other"));
  EXPECT_THAT(reason({.tags = {{"app", {"x", "y"}}}}),
              AllOf(HasSubstr("[x, y]"), HasSubstr("has backend")));
  EXPECT_THAT(reason({.tags = {{"app", {}}}}), HasSubstr("label app"));
  EXPECT_THAT(reason({.tags = {{"version", {"1"}}}}), HasSubstr("demands label version"));
  EXPECT_THAT(reason({.workload = "v"}), HasSubstr("for workload v"));
  EXPECT_THAT(reason({}, true), HasSubstr("--workload w"));
  dataplane.labels.erase("kuma.io/workload");
  EXPECT_EQ(reason({}, true), "accepted");
  EXPECT_THAT(reason({.workload = "w"}), HasSubstr("no label kuma.io/workload"));
}

}  // namespace
}  // namespace kuma::identity

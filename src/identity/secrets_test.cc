#include "identity/secrets.h"

#include <gtest/gtest.h>

#include "identity/certificates.h"
#include "model/resource_type.h"

namespace kuma::identity {
namespace {

TEST(SecretsTest, KeysGoThroughResources) {
  const RsaKey key = *RsaKey::Generate();
  const std::string prefix = DataplaneKeyPrefix("default");
  const std::vector<model::ResourcePtr> resources{
      MakeSecret("default", prefix + "-1", key.PrivatePem()),
      MakeSecret("default", "other", SecretText("x"))};
  EXPECT_EQ(resources[0]->type().kind, "Secret");
  EXPECT_EQ(resources[0]->meta().owner, (model::ResourceKey{"Mesh", "", "default"}));
  const std::vector<NamedSecret> secrets = NamedSecrets(resources);
  ASSERT_EQ(secrets.size(), 2u);
  const TokenKeys keys = TokenKeys::FromSecrets(secrets, prefix);
  ASSERT_NE(keys.Newest(), nullptr);
  EXPECT_TRUE(keys.Newest()->key.SamePublicKey(key));
}

TEST(SecretsTest, AuthorityGoesThroughAGlobalSecret) {
  const auto authority = *CertificateAuthority::Generate(
      kInterCpCaName, model::WallTime(std::chrono::seconds(1'800'000'000)));
  const model::ResourcePtr stored = MakeSecret("", "inter-cp-ca", authority.ToSecret());
  EXPECT_EQ(stored->type().kind, "GlobalSecret");
  EXPECT_FALSE(stored->meta().owner.has_value());
  const auto read = CertificateAuthority::Read(SecretBytesOf(*stored)->Reveal());
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->certificate(), authority.certificate());
}

}  // namespace
}  // namespace kuma::identity

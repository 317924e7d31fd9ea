#include "base/strings.h"

#include <gtest/gtest.h>

#include "base/format.h"
#include "base/hash.h"
#include "base/redacted.h"

namespace kuma::base {
namespace {

TEST(Strings, SplitAndJoinAreInverse) {
  EXPECT_EQ(Split("a,,b,", ','), (std::vector<std::string>{"a", "", "b", ""}));
  EXPECT_EQ(Join(Split("a,,b,", ','), ","), "a,,b,");
}

TEST(Strings, NumbersAreParsedWholeOrNotAtAll) {
  EXPECT_EQ(ParseInt("-12"), -12);
  EXPECT_EQ(ParseInt("12x"), std::nullopt);
  EXPECT_EQ(ParseInt(""), std::nullopt);
  EXPECT_EQ(ParseUint("-1"), std::nullopt);
  EXPECT_EQ(ParseUint("18446744073709551616"), std::nullopt);
}

TEST(Strings, Base64OfRfc4648) {
  const std::pair<std::string, std::string> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(EncodeBase64(plain), encoded);
    EXPECT_EQ(DecodeBase64(encoded), plain);
    EXPECT_EQ(DecodeBase64Url(EncodeBase64Url(plain)), plain);
  }
  EXPECT_EQ(EncodeBase64Url("\xff\xfe"), "__4");
  for (const char* bad : {"Zg=", "Z", "Zg==Zg==", "Zh==", "Z!==", "Zg"}) {
    EXPECT_EQ(DecodeBase64(bad), std::nullopt) << bad;
  }
}

TEST(Hash, FramingKeepsPartsApart) {
  EXPECT_NE(Hasher().Add("ab").Add("c").Finish(), Hasher().Add("a").Add("bc").Finish());
  EXPECT_EQ(Hasher().Add("ab").Finish(), Hasher().Add("ab").Finish());
  EXPECT_EQ(HashBytes("x").ToHex().size(), 32U);
}

TEST(Redacted, NeverPrintsItsValue) {
  const Redacted<std::string> secret("hunter2");
  EXPECT_EQ(Format("{}", secret), "[redacted]");
  EXPECT_EQ(secret.Reveal(), "hunter2");
}

}  // namespace
}  // namespace kuma::base

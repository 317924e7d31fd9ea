#include "control/internal/interner.h"

#include <gtest/gtest.h>

namespace kuma::control::internal {
namespace {

bundle::SealedPtr Cluster(std::string name, std::string content,
                          std::vector<std::string> origins = {}) {
  return bundle::Seal({.type = bundle::XdsType::kCluster,
                       .name = std::move(name),
                       .message = content,
                       .clusters = {},
                       .origins = std::move(origins)});
}

TEST(Interner, EqualResourcesAreOne) {
  Interner interner;
  const auto a = interner.Resource(Cluster("a", "1"));
  EXPECT_EQ(interner.Resource(Cluster("a", "1")), a);
  EXPECT_NE(interner.Resource(Cluster("a", "2")), a);
  EXPECT_NE(interner.Resource(Cluster("b", "1")), a);
}

TEST(Interner, ANackNeverNamesWhoHasNoPartInIt) {
  Interner interner;
  const auto both = interner.Resource(Cluster("a", "1", {"x", "y"}));
  const auto one = interner.Resource(Cluster("a", "1", {"y"}));
  EXPECT_NE(one, both);
  EXPECT_EQ(one->origins, std::vector<std::string>{"y"});
  const auto more = interner.Resource(Cluster("a", "1", {"y", "z"}));
  EXPECT_EQ(more, one);
}

TEST(Interner, EqualListsAreOne) {
  Interner interner;
  const auto a = interner.Resource(Cluster("a", "1"));
  const auto list = interner.List(bundle::MakeList({a}));
  EXPECT_EQ(interner.List(bundle::MakeList({a})), list);
  EXPECT_NE(interner.List(bundle::EmptyList()), list);
}

TEST(Interner, ForgetsWhatNobodyHolds) {
  Interner interner;
  for (int i = 0; i < 5000; ++i) {
    (void)interner.List(bundle::MakeList({interner.Resource(Cluster("a", std::to_string(i)))}));
    interner.Sweep();
  }
  EXPECT_LT(interner.lists(), 1100u);
}

}  // namespace
}  // namespace kuma::control::internal

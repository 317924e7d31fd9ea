#include "bundle/bundle.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace kuma::bundle {
namespace {

TEST(BundleTest, TypeUrlsAreFoundAgain) {
  for (const XdsType type : kAllXdsTypes) {
    ASSERT_NE(FindXdsType(TypeUrl(type)), nullptr);
    EXPECT_EQ(*FindXdsType(TypeUrl(type)), type);
  }
  EXPECT_EQ(FindXdsType("type.googleapis.com/envoy.service.runtime.v3.Runtime"), nullptr);
}

TEST(BundleTest, SealedBytesAreOneResourceOfAResponse) {
  const ContentHash version{0x0123456789abcdef, 0};
  const SealedPtr sealed = Seal({.type = XdsType::kRoute,
                                 .name = "r",
                                 .message = std::string_view("\x08\x01", 2),
                                 .clusters = {"b", "a", "b"},
                                 .origins = {"MeshTimeout default/t"},
                                 .version = &version});
  EXPECT_EQ(sealed->clusters, (std::vector<std::string>{"a", "b"}));
  const std::string url = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
  EXPECT_EQ(*sealed->bytes,
            "\x12\x69\x0a\x20"
            "0123456789abcdef0000000000000000"
            "\x12\x42\x0a\x3c" +
                url +
                "\x12\x02\x08\x01"
                "\x1a\x01r");
}

TEST(BundleTest, AVersionOfItsOwnReplacesTheHash) {
  const ContentHash version{1, 2};
  const SealedPtr a = Seal({.type = XdsType::kSecret,
                            .name = "cert",
                            .message = "one",
                            .version = &version,
                            .wire_version = "v:1"});
  const SealedPtr b = Seal({.type = XdsType::kSecret,
                            .name = "cert",
                            .message = "two",
                            .version = &version,
                            .wire_version = "v:1"});
  EXPECT_TRUE(SameContent(*a, *b));
  EXPECT_EQ(a->VersionText(), "v:1");
  EXPECT_NE(a->bytes->find("v:1"), std::string::npos);
}

TEST(BundleTest, ListsAreSortedAndSearchable) {
  const auto seal = [](std::string name) {
    return Seal({.name = std::move(name), .message = "m"});
  };
  const SealedListPtr list = MakeList({seal("c"), seal("a"), seal("b")});
  EXPECT_TRUE(std::is_sorted(list->begin(), list->end(),
                             [](const auto& a, const auto& b) { return a->key() < b->key(); }));
  EXPECT_EQ(Find(*list, "b")->name, "b");
  EXPECT_EQ(Find(*list, "bb"), nullptr);
  EXPECT_EQ(Find(*EmptyList(), "b"), nullptr);
  EXPECT_EQ(FindPtr(*list, NameRef("c"))->get(), Find(*list, "c"));
}

TEST(BundleTest, OfOneNameAListKeepsTheLowestVersion) {
  const auto seal = [](std::string name, std::string_view message) {
    return Seal({.type = XdsType::kCluster, .name = std::move(name), .message = message});
  };
  const SealedPtr one = seal("a", "one"), other = seal("a", "other"), b = seal("b", "");
  const SealedPtr& lowest = one->version < other->version ? one : other;
  for (const SealedListPtr& list : {MakeList({one, b, other}), MakeList({other, one, b})}) {
    EXPECT_EQ(list->size(), 2);
    EXPECT_EQ(*FindPtr(*list, NameRef("a")), lowest);
  }
  EXPECT_EQ(MakeList({}), EmptyList());
}

}  // namespace
}  // namespace kuma::bundle

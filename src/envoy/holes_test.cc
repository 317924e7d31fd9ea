#include "envoy/holes.h"

#include <gtest/gtest.h>

#include <envoy/extensions/access_loggers/file/v3/file.pb.h>
#include "bundle/template.h"
#include "envoy/builders.h"
#include "envoy/seal.h"

namespace kuma::envoy {
namespace {

// A listener whose log, two messages deep in Any, holds the texts in several places.
bundle::SealedPtr Listener(const std::string& a, const std::string& b) {
  ListenerDraft draft;
  draft.listener.set_name("l");
  (*(*draft.listener.mutable_metadata()->mutable_filter_metadata())["m"].mutable_fields())["k"]
      .set_string_value(b);
  ::envoy::extensions::access_loggers::file::v3::FileAccessLog file;
  file.set_path(a);
  auto& fields = *file.mutable_log_format()->mutable_json_format()->mutable_fields();
  fields["x"].set_string_value("from " + a + " to " + b + " and " + a);
  fields["y"].set_string_value("constant");
  FilterChainDraft& chain = draft.chains.emplace_back();
  chain.tcp = TcpProxyTo("l", "cluster");
  auto& log = *chain.tcp->add_access_log();
  log.set_name("file");
  Pack(file, log.mutable_typed_config());
  return Seal(std::move(draft), {"MeshAccessLog default/logs"});
}

TEST(HolesTest, FilledItIsWhatTheTextsThemselvesGive) {
  const auto made = WithHoles(Listener(bundle::HoleMark(0), bundle::HoleMark(1)), 2);
  ASSERT_TRUE(made.has_value()) << made.error().message();
  ASSERT_TRUE((*made)->IsTemplate());
  // Not 0: an empty text stays a field of length 0, which means the same and reads differently.
  for (const size_t size : {1u, 50u, 90u, 100u, 110u, 127u, 128u, 1000u, 20'000u}) {
    const auto values =
        std::make_shared<const bundle::Values>(bundle::Values{std::string(size, 'a'), "bb"});
    const bundle::SealedPtr filled = bundle::Fill(*made, values);
    const bundle::SealedPtr plain = Listener((*values)[0], "bb");
    std::string wanted = *plain->bytes;
    const size_t version = wanted.find(plain->VersionText());
    wanted.replace(version, 32, filled->VersionText());
    EXPECT_EQ(*filled->Bytes(), wanted) << size;
    EXPECT_EQ(filled->ByteSize(), wanted.size());
    EXPECT_EQ(filled->clusters, plain->clusters);
    EXPECT_EQ(filled->origins, plain->origins);
    EXPECT_EQ(ResourceJson(*filled), ResourceJson(*plain));
  }
}

TEST(HolesTest, VersionsFollowFromTheValuesThatAreUsed) {
  const bundle::SealedPtr made = *WithHoles(Listener(bundle::HoleMark(2), "b"), 3);
  const auto fill = [](const bundle::SealedPtr& of, const bundle::Values& values) {
    return bundle::Fill(of, std::make_shared<const bundle::Values>(values))->version;
  };
  EXPECT_EQ(fill(made, {"x", "y", "a"}), fill(made, {"other", "", "a"}));
  EXPECT_NE(fill(made, {"x", "y", "a"}), fill(made, {"x", "y", "z"}));
  const bundle::SealedPtr other = *WithHoles(Listener(bundle::HoleMark(2), "c"), 3);
  EXPECT_NE(fill(made, {"x", "y", "a"}), fill(other, {"x", "y", "a"}));
}

TEST(HolesTest, WithoutMarksItIsTheSame) {
  const bundle::SealedPtr plain = Listener("a", "b");
  EXPECT_EQ(*WithHoles(plain, 3), plain);
  EXPECT_EQ(bundle::Fill(plain, nullptr), plain);
}

TEST(HolesTest, WhatOnlyLooksLikeAMarkIsText) {
  const auto values = std::make_shared<const bundle::Values>(bundle::Values{"filled"});
  const std::string begin(bundle::kHoleMarkBegin);
  for (const std::string& text :
       {begin, begin + "0", begin + "x" + std::string(bundle::kHoleMarkEnd), bundle::HoleMark(1),
        begin + bundle::HoleMark(7)}) {
    const auto made = WithHoles(Listener(text + bundle::HoleMark(0), "b"), 1);
    ASSERT_TRUE(made.has_value()) << made.error().message();
    EXPECT_EQ(ResourceJson(*bundle::Fill(*made, values)),
              ResourceJson(*Listener(text + "filled", "b")));
  }
}

}  // namespace
}  // namespace kuma::envoy

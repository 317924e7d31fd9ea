#include "envoy/message_types.h"

#include <gtest/gtest.h>

#include <iostream>

#include <envoy/config/listener/v3/listener_components.pb.h>
#include <google/protobuf/descriptor.pb.h>
#include "envoy/builders.h"
#include "envoy/internal/api_descriptors.h"

namespace kuma::envoy {
namespace {

constexpr std::string_view kLua = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua";
// A filter in a filter, neither of them compiled in.
constexpr std::string_view kNested = R"({
  "name": "f",
  "typedConfig": {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.composite.v3.ExecuteFilterAction",
    "typedConfig": {
      "name": "metadata",
      "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config",
        "metadata": [{"metadataNamespace": "n", "value": {"a": [1, true]}}]
      }
    }
  }
})";

std::string WithoutSpace(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c != ' ' && c != '\n') result += c;
  }
  return result;
}

TEST(MessageTypes, TheWholeApiCanBeMade) {
  google::protobuf::FileDescriptorSet files;
  const std::string_view all = ApiDescriptors();
  ASSERT_TRUE(files.ParseFromArray(all.data(), static_cast<int>(all.size())));
  int messages = 0;
  for (const auto& file : files.file()) {
    if (file.package().starts_with("google.protobuf")) continue;
    for (const auto& message : file.message_type()) {
      const auto made = NewMessage(file.package() + "." + message.name());
      EXPECT_TRUE(made.has_value()) << made.error().message();
      ++messages;
    }
  }
  std::cout << messages << " messages, " << all.size() << " bytes of descriptors\n";
  EXPECT_GT(messages, 1500);  // besides those within others
}

TEST(MessageTypes, JsonGoesAndComesBack) {
  for (const char* type : {"envoy.extensions.filters.http.composite.v3.ExecuteFilterAction",
                           "envoy.extensions.filters.http.set_metadata.v3.Config"})
    EXPECT_EQ(google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(type),
              nullptr)
        << "take another one, this is compiled in: " << type;
  api::Filter filter;
  const auto read = FromJson(kNested, filter);
  ASSERT_TRUE(read.has_value()) << read.error().message();
  EXPECT_EQ(filter.typed_config().type_url(),
            "type.googleapis.com/envoy.extensions.filters.http.composite.v3.ExecuteFilterAction");
  const auto json = ToJson(filter);
  ASSERT_TRUE(json.has_value()) << json.error().message();
  EXPECT_EQ(WithoutSpace(*json), WithoutSpace(kNested));

  const auto nested = Unpack(filter.typed_config());
  ASSERT_TRUE(nested.has_value());
  google::protobuf::Any again;
  Pack(**nested, &again);
  EXPECT_EQ(again.SerializeAsString(), filter.typed_config().SerializeAsString());
}

TEST(MessageTypes, WhatIsNoMessage) {
  EXPECT_EQ(NewMessage("type.googleapis.com/envoy.No").error().message(),
            "Envoy's API has no message 'envoy.No'");
  google::protobuf::Any any;
  any.set_type_url(std::string(kLua));
  any.set_value("\x0a\xff");
  EXPECT_EQ(Unpack(any).error().message(),
            "the bytes are no envoy.extensions.filters.http.lua.v3.Lua");
  api::Filter filter;
  filter.mutable_typed_config()->set_type_url("type.googleapis.com/envoy.No");
  filter.mutable_typed_config()->set_value("\x0a\x01x");
  EXPECT_FALSE(ToJson(filter).has_value());
}

// "path: message" of each fault, then "? path" of each unknown member.
std::string Review(std::string_view json, std::string_view type) {
  const JsonReview review = ReviewJson(json, type);
  std::string text;
  for (const auto& fault : review.faults) text += fault.path + ": " + fault.message + "\n";
  for (const std::string& path : review.unknown) text += "? " + path + "\n";
  return text;
}

TEST(MessageTypes, ReviewNamesEverythingWithItsPath) {
  constexpr std::string_view kCluster = "envoy.config.cluster.v3.Cluster";
  EXPECT_EQ(Review(kNested, "envoy.config.listener.v3.Filter"), "");
  EXPECT_EQ(Review(R"({
    "name": {"a": 1}, "foo": 1, "connectTimeout": [],
    "healthChecks": {"timeout": "1s"},
    "loadAssignment": {"endpoints": [{}, {"lb_endpoints": [{"endpoint": {"address": 5, "x": 1}}]}]},
    "typedExtensionProtocolOptions": {
      "a": {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua", "no": 1},
      "b": {"@type": "type.googleapis.com/envoy.Missing"},
      "c": {"@type": "Missing"},
      "d": {"name": 1}
    },
    "transportSocket": {"typedConfig": {
      "@type": "type.googleapis.com/envoy.config.listener.v3.Filter",
      "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "defaultSourceCode": "text"
      }
    }}})",
                   kCluster),
            "connectTimeout: a single value expected, not a list\n"
            "healthChecks: a list expected\n"
            "loadAssignment.endpoints[1].lb_endpoints[0].endpoint.address: an object expected\n"
            "name: a single value expected, not an object\n"
            "transportSocket.typedConfig.typedConfig.defaultSourceCode: an object expected\n"
            "typedExtensionProtocolOptions.b.@type: Envoy's API has no message 'envoy.Missing'\n"
            "typedExtensionProtocolOptions.c.@type: 'Missing' does not begin with "
            "'type.googleapis.com/'\n"
            "typedExtensionProtocolOptions.d: '@type' is missing\n"
            "? foo\n"
            "? loadAssignment.endpoints[1].lb_endpoints[0].endpoint.x\n"
            "? typedExtensionProtocolOptions.a.no\n");
  EXPECT_EQ(Review(R"({"outlierDetection": {"interval": "soon"}})", kCluster),
            ": (outlier_detection.interval): invalid value Field 'interval', Illegal duration "
            "format; duration must end with 's' for type "
            "type.googleapis.com/google.protobuf.Duration\n");
  EXPECT_EQ(Review(R"({"type": "SIDEWAYS", "lbPolicy": 5, "dnsLookupFamily": "1"})", kCluster),
            "type: 'SIDEWAYS' is no DiscoveryType\n");
  EXPECT_EQ(Review(R"({"name": null, "outlierDetection": null, "healthChecks": null})", kCluster),
            "");
}

TEST(MessageTypes, MergesAsProtobufDoesButForDurations) {
  const auto merged = [](std::string_view into, std::string_view from) {
    api::Cluster a;
    api::Cluster b;
    EXPECT_TRUE(FromJson(into, a).has_value() && FromJson(from, b).has_value());
    Merge(b, a);
    return WithoutSpace(*ToJson(a));
  };
  EXPECT_EQ(merged(R"({"name":"a","connectTimeout":"5.5s"})", R"({"connectTimeout":"7s"})"),
            R"({"name":"a","connectTimeout":"7s"})");
  EXPECT_EQ(
      merged(R"({"outlierDetection":{"interval":"0.5s","consecutive5xx":3}})",
             R"({"outlierDetection":{"interval":"2s","splitExternalLocalOriginErrors":true}})"),
      R"({"outlierDetection":{"consecutive5xx":3,"interval":"2s",)"
      R"("splitExternalLocalOriginErrors":true}})");
  EXPECT_EQ(merged(R"({"dnsResolvers":[{"pipe":{"path":"a"}}]})",
                   R"({"dnsResolvers":[{"pipe":{"path":"b"}}]})"),
            R"({"dnsResolvers":[{"pipe":{"path":"a"}},{"pipe":{"path":"b"}}]})");
}

}  // namespace
}  // namespace kuma::envoy

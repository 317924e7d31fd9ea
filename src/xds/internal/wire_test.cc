#include "xds/internal/wire.h"

#include <envoy/service/discovery/v3/discovery.pb.h>
#include <envoy/service/health/v3/hds.pb.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/kit/model_envoy.h"

namespace kuma::xds::internal {
namespace {

TEST(WireTest, ReadsARequest) {
  ::envoy::service::discovery::v3::DeltaDiscoveryRequest message;
  message.mutable_node()->set_id("default.web-1.eu");
  message.mutable_node()->set_cluster("web");
  message.mutable_node()->mutable_locality()->set_zone("east");
  message.mutable_node()->mutable_user_agent_build_version()->mutable_version()->set_major_number(
      1);
  message.mutable_node()->mutable_user_agent_build_version()->mutable_version()->set_minor_number(
      40);
  (*message.mutable_node()->mutable_metadata()->mutable_fields())["features"].set_string_value("a");
  message.set_type_url("t");
  message.add_resource_names_subscribe("s");
  message.add_resource_names_unsubscribe("u");
  (*message.mutable_initial_resource_versions())["i"] = "1";
  message.set_response_nonce("n");
  message.mutable_error_detail()->set_message("bad");
  const auto parsed = ParseDeltaRequest(message.SerializeAsString());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->request.type_url, "t");
  EXPECT_EQ(parsed->request.subscribe, std::vector<std::string>{"s"});
  EXPECT_EQ(parsed->request.unsubscribe, std::vector<std::string>{"u"});
  EXPECT_EQ(parsed->request.initial_resource_versions.at("i"), "1");
  EXPECT_EQ(parsed->request.response_nonce, "n");
  EXPECT_EQ(parsed->request.error_detail, "bad");
  ASSERT_TRUE(parsed->node);
  EXPECT_EQ(parsed->node->proxy, (base::ProxyKey{"default", "web-1.eu"}));
  EXPECT_EQ(parsed->node->envoy_version, "1.40.0");
  EXPECT_EQ(parsed->node->zone, "east");
  EXPECT_EQ(parsed->node->metadata_json, R"({"features":"a"})");
}

TEST(WireTest, ReadsAnAcknowledgement) {
  ::envoy::service::discovery::v3::DeltaDiscoveryRequest message;
  message.set_type_url("t");
  message.set_response_nonce("17");
  const std::string plain = message.SerializeAsString();
  auto parsed = ParseDeltaRequest(plain);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->request.type_url, "t");
  EXPECT_EQ(parsed->request.response_nonce, "17");
  EXPECT_FALSE(parsed->node);
  EXPECT_FALSE(parsed->request.error_detail);
  // Whatever comes besides is read, too; what is cut off is refused.
  message.mutable_error_detail()->set_message("bad");
  EXPECT_EQ(ParseDeltaRequest(message.SerializeAsString())->request.error_detail, "bad");
  message.clear_error_detail();
  message.add_resource_names_subscribe("s");
  EXPECT_EQ(ParseDeltaRequest(message.SerializeAsString())->request.subscribe.size(), 1u);
  EXPECT_FALSE(ParseDeltaRequest(plain.substr(0, plain.size() - 1)));
  EXPECT_FALSE(ParseDeltaRequest(std::string("\x12\x01\xff\x32\x01x", 6))) << "not UTF-8";
  const std::string long_type(200, 'x');
  message.set_type_url(long_type);
  EXPECT_EQ(ParseDeltaRequest(message.SerializeAsString())->request.type_url, long_type);
}

TEST(WireTest, MetadataIsJson) {
  ::envoy::service::discovery::v3::DeltaDiscoveryRequest message;
  message.set_type_url("t");
  message.mutable_node()->set_id("default.web");
  const auto json_of = [&](const std::function<void(google::protobuf::Value&)>& fill) {
    auto& fields = *message.mutable_node()->mutable_metadata()->mutable_fields();
    fields.clear();
    fill(fields["k"]);
    return ParseDeltaRequest(message.SerializeAsString())->node->metadata_json;
  };
  EXPECT_EQ(ParseDeltaRequest(message.SerializeAsString())->node->metadata_json, "{}");
  EXPECT_EQ(json_of([](auto& value) { value.set_string_value("a\"b\\c\n\x01ü"); }),
            R"({"k":"a\"b\\c\u000a\u0001ü"})");
  EXPECT_EQ(json_of([](auto& value) { value.set_number_value(5); }), R"({"k":5})");
  EXPECT_EQ(json_of([](auto& value) { value.set_number_value(-0.25); }), R"({"k":-0.25})");
  EXPECT_EQ(json_of([](auto& value) { value.set_number_value(INFINITY); }), R"({"k":null})");
  EXPECT_EQ(json_of([](auto& value) { value.set_bool_value(true); }), R"({"k":true})");
  EXPECT_EQ(json_of([](auto& value) { value.set_null_value({}); }), R"({"k":null})");
  EXPECT_EQ(json_of([](auto&) {}), R"({"k":null})");
  EXPECT_EQ(json_of([](auto& value) { value.mutable_list_value(); }), R"({"k":[]})");
  EXPECT_EQ(json_of([](auto& value) {
              value.mutable_list_value()->add_values()->set_bool_value(false);
              value.mutable_list_value()->add_values()->mutable_struct_value();
            }),
            R"({"k":[false,{}]})");
}

TEST(WireTest, RefusesGarbage) {
  EXPECT_FALSE(ParseDeltaRequest("\xff\xff"));
  EXPECT_FALSE(ParseDeltaRequest(""));  // no type
  for (const char* id : {"", "web", "default."}) EXPECT_FALSE(ParseNodeId(id)) << id;
  EXPECT_EQ(ParseNodeId(".ingress")->name, "ingress");
  EXPECT_FALSE(ParseHealthMessage("\xff\xff"));
}

TEST(WireTest, AResponseIsAHeadAndSharedBytes) {
  DeltaResponse response;
  response.type = XdsType::kListener;
  response.nonce = "7";
  response.revision = {4711};
  response.removed = {"gone"};
  std::string bytes;
  for (const size_t size : {0, 1, 127, 128, 300'000}) {
    response.resources.push_back(bundle::Seal({.type = XdsType::kListener,
                                               .name = "l" + std::to_string(size),
                                               .message = std::string(size, 'x')}));
  }
  bytes = EncodeHead(response);
  for (const SealedPtr& resource : response.resources) bytes += *resource->bytes;

  ::envoy::service::discovery::v3::DeltaDiscoveryResponse message;
  ASSERT_TRUE(message.ParseFromString(bytes));
  EXPECT_EQ(message.system_version_info(), "4711");
  EXPECT_EQ(message.type_url(), "type.googleapis.com/envoy.config.listener.v3.Listener");
  EXPECT_EQ(message.nonce(), "7");
  EXPECT_EQ(message.removed_resources(0), "gone");
  ASSERT_EQ(message.resources_size(), 5);
  EXPECT_EQ(message.resources(4).name(), "l300000");
  EXPECT_EQ(message.resources(4).version(), response.resources[4]->version.ToHex());
  EXPECT_EQ(message.resources(4).resource().type_url(), message.type_url());
  EXPECT_EQ(message.resources(4).resource().value().size(), 300'000u);

  const auto decoded = kit::DecodeResponse(bytes, nullptr);  // the tests' own reader agrees
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->nonce, "7");
  EXPECT_EQ(decoded->revision.value, 4711u);
  EXPECT_EQ(decoded->removed, std::vector<std::string>{"gone"});
  EXPECT_EQ(decoded->resources.size(), 5u);
}

TEST(WireTest, TheTestsWriteRequestsThatWeRead) {
  DeltaRequest request;
  request.type_url = "t";
  request.subscribe = {"a", "b"};
  request.unsubscribe = {"c"};
  request.initial_resource_versions = {{"a", "1"}};
  request.response_nonce = "9";
  request.error_detail = "bad";
  const auto parsed = ParseDeltaRequest(kit::EncodeRequest(request, "m.n"));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->request.subscribe, request.subscribe);
  EXPECT_EQ(parsed->request.unsubscribe, request.unsubscribe);
  EXPECT_EQ(parsed->request.initial_resource_versions, request.initial_resource_versions);
  EXPECT_EQ(parsed->request.response_nonce, "9");
  EXPECT_EQ(parsed->request.error_detail, "bad");
  EXPECT_EQ(parsed->node->proxy.name, "n");
}

TEST(WireTest, HealthChecks) {
  ::envoy::service::health::v3::HealthCheckRequestOrEndpointHealthResponse message;
  message.mutable_health_check_request()->mutable_node()->set_id("m.n");
  const auto node = ParseHealthMessage(message.SerializeAsString());
  ASSERT_TRUE(node);
  ASSERT_TRUE(std::holds_alternative<NodeDescription>(*node));
  EXPECT_EQ(std::get<NodeDescription>(*node).proxy.mesh, "m");

  const auto add = [&message](const char* name,
                              std::vector<::envoy::config::core::v3::HealthStatus> endpoints) {
    auto* cluster = message.mutable_endpoint_health_response()->add_cluster_endpoints_health();
    cluster->set_cluster_name(name);
    auto* locality = cluster->add_locality_endpoints_health();
    for (const auto status : endpoints) locality->add_endpoints_health()->set_health_status(status);
  };
  add("up", {::envoy::config::core::v3::HEALTHY, ::envoy::config::core::v3::UNHEALTHY});
  add("unknown", {::envoy::config::core::v3::UNKNOWN});
  add("down", {::envoy::config::core::v3::UNHEALTHY});
  add("late", {::envoy::config::core::v3::TIMEOUT});
  add("weak", {::envoy::config::core::v3::DEGRADED});
  add("empty", {});
  const auto report = ParseHealthMessage(message.SerializeAsString());
  ASSERT_TRUE(report);
  EXPECT_EQ(
      std::get<HealthReport>(*report),
      (HealthReport{
          {"up", true}, {"unknown", true}, {"down", false}, {"late", false}, {"weak", false}}));
  EXPECT_TRUE(std::get<HealthReport>(*ParseHealthMessage("")).empty());

  ::envoy::service::health::v3::HealthCheckSpecifier specifier;
  ASSERT_TRUE(specifier.ParseFromString(EncodeEmptyHealthChecks(std::chrono::hours(24))));
  EXPECT_EQ(specifier.interval().seconds(), 86400);
  EXPECT_EQ(specifier.cluster_health_checks_size(), 0);
}

}  // namespace
}  // namespace kuma::xds::internal

// What documents of the control plane and variables of OpenTelemetry mean together.

#include "dp/otel_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/format.h"
#include "dp/otel_env.h"

namespace kuma::dp {
namespace {

using base::Format;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using Texts = std::map<std::string, std::string>;

// "LOGS_ENDPOINT" is OTEL_EXPORTER_OTLP_LOGS_ENDPOINT.
OtelEnvironment Env(const Texts& variables, const std::string& host_ip = "") {
  return ReadOtelEnvironment([&](std::string_view name) -> std::optional<std::string> {
    if (name == "HOST_IP") return host_ip;
    constexpr std::string_view kPrefix = "OTEL_EXPORTER_OTLP_";
    if (!name.starts_with(kPrefix)) return std::nullopt;
    const auto found = variables.find(std::string(name.substr(kPrefix.size())));
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

std::string Inventory(const Texts& variables) {
  return model::ToJson(model::Sorted(OtelInventory(Env(variables), true)));
}

TEST(OtelEnv, InventoryTellsWhatIsSetAndNoValue) {
  EXPECT_EQ(Inventory({}), R"({"pipeEnabled":true})");
  EXPECT_EQ(model::ToJson(OtelInventory(Env({}), false)), "{}");
  EXPECT_EQ(Inventory({{"ENDPOINT", "https://secret@collector:4318/base"},
                       {"PROTOCOL", "http/protobuf"},
                       {"HEADERS", "authorization=secret"},
                       {"TIMEOUT", "  "},
                       {"LOGS_HEADERS", "authorization=secret"},
                       {"LOGS_COMPRESSION", "gzip"},
                       {"LOGS_ENDPOINT", "collector:4317"}}),
            R"({"logs":{"compressionPresent":true,"effectiveAuthMode":"headers",)"
            R"("endpointPresent":true,"headersPresent":true,)"
            R"("overrideKinds":["compression","endpoint"],"signal":"logs"},"pipeEnabled":true,)"
            R"("shared":{"effectiveAuthMode":"headers","effectiveProtocol":"http/protobuf",)"
            R"("endpointHasPath":true,"endpointParsedAsURL":true,"endpointPresent":true,)"
            R"("headersPresent":true,"protocolPresent":true,"signal":"shared"}})");
  EXPECT_EQ(Inventory({{"CERTIFICATE", "/ca"}, {"CLIENT_CERTIFICATE", "/c"}, {"CLIENT_KEY", "/k"}}),
            R"({"pipeEnabled":true,"shared":{"certificatePresent":true,)"
            R"("clientCertificatePresent":true,"clientKeyPresent":true,)"
            R"("effectiveAuthMode":"mtls","signal":"shared"}})");
}

TEST(OtelEnv, InventoryTellsWhatIsWrong) {
  const Texts wrong = {{"PROTOCOL", "http/json"},
                       {"COMPRESSION", "zstd"},
                       {"TRACES_TIMEOUT", "-1"},
                       {"LOGS_ENDPOINT", "http://collector/logs"},
                       {"LOGS_PROTOCOL", "grpc"},
                       {"METRICS_CLIENT_KEY", "/k"},
                       {"METRICS_ENDPOINT", "http://collector/"}};
  const model::Value inventory = OtelInventory(Env(wrong), true);
  // With a protocol that is unknown, nobody knows whether an endpoint may have a path.
  EXPECT_EQ(
      model::ToJson(*inventory.Find("validationErrors")),
      R"(["shared.protocol","shared.compression","traces.timeout","logs.endpoint","metrics.mtls"])");
  EXPECT_EQ(model::ToJson(*inventory.At({"shared", "effectiveProtocol"})), R"("unknown")");
  EXPECT_THAT(FaultyOtelVariables(Env(wrong)),
              ElementsAre("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_COMPRESSION",
                          "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
                          "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE"));
}

TEST(OtelEnv, Values) {
  EXPECT_EQ(ParseOtelTimeout("1500"), milliseconds(1500));
  for (const char* text : {"", "-1", "1s", "99999999999999999999"})
    EXPECT_FALSE(ParseOtelTimeout(text).has_value()) << text;
  EXPECT_TRUE(ParseOtelTimeout("9223372036854775807").has_value());
  EXPECT_EQ(ParseOtelCompression("GZIP"), true);
  EXPECT_EQ(ParseOtelCompression("none"), false);
  EXPECT_FALSE(ParseOtelCompression("zstd").has_value());
  EXPECT_FALSE(ParseOtelInsecure("yes").has_value());
  EXPECT_EQ(ParseOtelHeaders("a=b, Authorization = Bearer%20x=,=y,nothing,c=%zz"),
            (net::Headers{{"a", "b"}, {"authorization", " Bearer x="}, {"c", "%zz"}}));
  const OtelEndpoint url = ParseOtelEndpoint("HTTPS://user:secret@[::1]:4318/a/b?c#d");
  EXPECT_EQ(url.authority, "[::1]:4318");
  EXPECT_EQ(url.tls, true);
  EXPECT_EQ(url.path, "/a/b");
  EXPECT_EQ(ParseOtelEndpoint("http://c").tls, false);
  for (const char* text : {"collector:4317", "10.0.0.1:4317", "unix:///run/x.sock", "http://"}) {
    EXPECT_EQ(ParseOtelEndpoint(text).authority, text);
    EXPECT_FALSE(ParseOtelEndpoint(text).tls.has_value());
  }
}

// The target of logs; `backend` holds members beside socketPath and endpoint.
OtelTarget Target(const std::string& backend, const Texts& variables = {},
                  const std::string& host_ip = "", const std::string& plan = "") {
  const auto backends =
      ParseOtelBackends(Format(R"({{"backends": [{{"name": "main", "socketPath": "/s", {},
                 "logs": {{"enabled": true{}}}}}]}})",
                               backend, plan),
                        Env(variables, host_ip));
  EXPECT_TRUE(backends.has_value()) << backends.error().message();
  return backends->at("/s").targets[static_cast<size_t>(OtelSignal::kLogs)];
}
constexpr const char* kGrpc = R"("endpoint": "own:4317")";
constexpr const char* kHttp = R"("endpoint": "own:4318", "useHTTP": true, "path": "/base/")";
constexpr const char* kGrpcFirst =
    R"("endpoint": "own:4317", "envPolicy": {"precedence": "ExplicitFirst"})";
constexpr const char* kHttpFirst =
    R"("endpoint": "own:4318", "useHTTP": true, "envPolicy": {"precedence": "ExplicitFirst"})";

TEST(OtelConfig, WithoutVariables) {
  EXPECT_EQ(UrlOf(Target(kGrpc)), "grpc://own:4317");
  EXPECT_EQ(UrlOf(Target(kHttp)), "http://own:4318/base/v1/logs");
  EXPECT_EQ(UrlOf(Target(R"("endpoint": "own:443", "useHTTP": true, "useHTTPS": true)")),
            "https://own:443/v1/logs");
  EXPECT_EQ(Target(kGrpc).timeout, seconds(10));
  EXPECT_FALSE(Target(kGrpc).gzip);
  // A collector on the machine of the workload.
  EXPECT_EQ(UrlOf(Target(R"("endpoint": ":4317")")), "grpc://127.0.0.1:4317");
  EXPECT_EQ(UrlOf(Target(R"("endpoint": ":4317")", {}, "10.0.0.7")), "grpc://10.0.0.7:4317");
  EXPECT_EQ(UrlOf(Target(R"("endpoint": ":4317")", {}, "fd00::7")), "grpc://[fd00::7]:4317");
}

TEST(OtelConfig, EndpointsOfVariables) {
  const auto url = [](const char* backend, const Texts& variables) {
    return UrlOf(Target(backend, variables));
  };
  EXPECT_EQ(url(kGrpc, {{"ENDPOINT", "https://env:4317"}}), "grpcs://env:4317");
  EXPECT_EQ(url(kGrpc, {{"ENDPOINT", "env:4317"}}), "grpc://env:4317");
  EXPECT_EQ(url(kGrpc, {{"ENDPOINT", "env:4317"}, {"INSECURE", "false"}}), "grpcs://env:4317");
  // A scheme is stronger than the variable beside it.
  EXPECT_EQ(url(kGrpc, {{"ENDPOINT", "http://env:4317"}, {"INSECURE", "false"}}),
            "grpc://env:4317");
  EXPECT_EQ(url(kGrpc, {{"ENDPOINT", "unix:///run/otel.sock"}}), "unix:///run/otel.sock");
  // A path means nothing to gRPC.
  EXPECT_EQ(url(kGrpc, {{"ENDPOINT", "http://env:4317/base"}}), "grpc://own:4317");
  // The shared endpoint is a base, that of the signal the whole.
  EXPECT_EQ(url(kHttp, {{"ENDPOINT", "http://env:4318/x/"}}), "http://env:4318/x/v1/logs");
  EXPECT_EQ(url(kHttp, {{"ENDPOINT", "http://env:4318"}}), "http://env:4318/v1/logs");
  EXPECT_EQ(url(kHttp, {{"LOGS_ENDPOINT", "http://env:4318"}}), "http://env:4318/");
  EXPECT_EQ(url(kHttp, {{"LOGS_ENDPOINT", "http://env:4318/x?y=z"}}), "http://env:4318/x");
  EXPECT_EQ(url(kHttp, {{"ENDPOINT", "http://a:1/x"}, {"LOGS_ENDPOINT", "b:2"}}),
            "http://b:2/x/v1/logs");
  // Protocols of both sides.
  EXPECT_EQ(url(kGrpc, {{"PROTOCOL", "http/protobuf"}}), "http://own:4317/v1/logs");
  EXPECT_EQ(url(kHttp, {{"PROTOCOL", "grpc"}}), "grpc://own:4318");
  EXPECT_EQ(url(kHttp, {{"PROTOCOL", "grpc"}, {"LOGS_PROTOCOL", "http/protobuf"}}),
            "http://own:4318/base/v1/logs");
  EXPECT_EQ(url(kHttp, {{"PROTOCOL", "http/json"}}), "http://own:4318/base/v1/logs");
  EXPECT_EQ(url(kGrpc, {{"TRACES_ENDPOINT", "http://env:4317"}}), "grpc://own:4317");
}

TEST(OtelConfig, ThePrecedenceIsTheBackends) {
  const Texts variables = {{"ENDPOINT", "https://env:4318/x"},
                           {"PROTOCOL", "http/protobuf"},
                           {"HEADERS", "a=shared,b=shared"},
                           {"LOGS_HEADERS", "a=logs"},
                           {"COMPRESSION", "gzip"},
                           {"LOGS_COMPRESSION", "none"},
                           {"TIMEOUT", "0"},
                           {"LOGS_TIMEOUT", "250"},
                           {"CERTIFICATE", "/ca"},
                           {"CLIENT_CERTIFICATE", "/cert"},
                           {"CLIENT_KEY", "/key"},
                           {"LOGS_CLIENT_KEY", "/alone"}};
  const OtelTarget env_first = Target(kGrpc, variables);
  EXPECT_EQ(UrlOf(env_first), "https://env:4318/x/v1/logs");
  EXPECT_EQ(env_first.headers.Reveal(), (net::Headers{{"a", "logs"}}));
  EXPECT_FALSE(env_first.gzip);
  EXPECT_EQ(env_first.timeout, milliseconds(250));
  EXPECT_EQ(env_first.ca_file, "/ca");
  EXPECT_EQ(env_first.certificate_file, "/cert");
  EXPECT_EQ(env_first.key_file, "/key");

  // The backend says nothing of the rest, so that it comes from variables all the same.
  const OtelTarget explicit_first = Target(kGrpcFirst, variables);
  EXPECT_EQ(UrlOf(explicit_first), "grpc://own:4317");
  EXPECT_EQ(explicit_first.headers.Reveal(), (net::Headers{{"a", "logs"}}));
  EXPECT_EQ(UrlOf(Target(kHttpFirst, {{"LOGS_ENDPOINT", "http://env:1/x"}})),
            "http://own:4318/v1/logs");
}

TEST(OtelConfig, TheControlPlaneAllowsVariablesOrNot) {
  const Texts variables = {{"ENDPOINT", "http://env:4317"}, {"LOGS_ENDPOINT", "http://logs:4317"}};
  const auto url = [&](const std::string& plan) {
    return UrlOf(Target(kGrpc, variables, "", plan));
  };
  EXPECT_EQ(url(""), "grpc://logs:4317");
  EXPECT_EQ(url(R"(, "blockedReasons": ["SignalOverridesDisallowed"])"), "grpc://env:4317");
  EXPECT_EQ(url(R"(, "blockedReasons": ["EnvDisabledByPolicy"])"), "grpc://own:4317");
  EXPECT_EQ(url(R"(, "blockedReasons": ["MultipleBackendsForSignal"])"), "grpc://own:4317");
  EXPECT_EQ(
      Target(kGrpc, variables, "", R"(, "blockedReasons": ["RequiredEnvMissing"])").unavailable,
      "the backend requires variables OTEL_EXPORTER_OTLP_*");
  EXPECT_EQ(
      Target(kGrpc, variables, "", R"(, "missingFields": ["timeout", "endpoint"])").unavailable,
      "the backend requires variables OTEL_EXPORTER_OTLP_*; not usable: timeout, endpoint");
}

TEST(OtelConfig, WhatCannotBeUsedIsSaidWithoutSecrets) {
  const auto fault = [](const Texts& variables) { return Target(kHttp, variables).unavailable; };
  for (const char* endpoint :
       {"user:secret@collector:4317", "secret/x", "a b:1", "a:b", "http://c:99999"}) {
    EXPECT_EQ(fault({{"ENDPOINT", endpoint}}),
              "the collector's endpoint is neither host:port nor a URL")
        << endpoint;
  }
  EXPECT_EQ(fault({{"ENDPOINT", "unix:///x"}}), "HTTP over a Unix socket is not supported");
  EXPECT_EQ(Target(R"("endpoint": "")").unavailable, "the collector has no address");
}

TEST(OtelConfig, Documents) {
  const auto parsed = [](const std::string& text) { return ParseOtelBackends(text, Env({})); };
  EXPECT_TRUE(parsed("")->empty());
  EXPECT_TRUE(parsed(R"({"backends": null})")->empty());
  const auto two = parsed(R"({"backends": [
      {"name": "a", "socketPath": "/a", "endpoint": "a:1", "traces": {"enabled": true}},
      {"name": "b", "socketPath": "/b", "endpoint": "b:1", "logs": {}}]})");
  ASSERT_EQ(two->size(), 2u);
  EXPECT_EQ(UrlOf(two->at("/a").targets[0]), "grpc://a:1");
  EXPECT_EQ(two->at("/a").targets[1].unavailable, "no policy sends logs there");
  EXPECT_EQ(two->at("/b").targets[1].unavailable, "no policy sends logs there");
  EXPECT_EQ(parsed("[]").error().message(), "it is not a JSON object");
  EXPECT_EQ(parsed(R"({"backends": {}})").error().message(), "backends: must be a list");
  EXPECT_EQ(parsed(R"({"backends": [{"name": "a"}]})").error().message(),
            "backends[0].socketPath: missing");
  EXPECT_FALSE(parsed("{").has_value());
}

}  // namespace
}  // namespace kuma::dp

#include "generate/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "generate/generate.h"

namespace kuma::generate {
namespace {

using model::Array;
using model::Object;
using model::Value;
namespace fs = std::filesystem;

fs::path ConformanceRoot() {
  if (const char* folder = std::getenv("KUMA_CONFORMANCE_DIR")) return folder;
  const char* source = std::getenv("KUMA_SOURCE_DIR");
  return fs::path(source == nullptr ? "." : source) / ".." / "shared" / "conformance";
}

bool Absent(const fs::path& folder) {
  if (fs::exists(folder)) return false;
  std::cout << "SKIPPED: " << folder << " is absent\n";
  return true;
}

std::string Read(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Value Yaml(const std::string& text) {
  const auto documents = model::ParseYaml(text);
  EXPECT_TRUE(documents.has_value());
  return documents.has_value() && !documents->empty() ? (*documents)[0] : Value();
}

// The order of features is not part of the contract; certificates differ.
void Normalise(Value& value, std::string_view key = {}) {
  if (Object* object = value.if_object()) {
    for (auto& [name, member] : *object) Normalise(member, name);
  } else if (Array* list = value.if_array()) {
    for (Value& element : *list) Normalise(element);
    if (key == "features") {
      std::sort(list->begin(), list->end(),
                [](const Value& a, const Value& b) { return *a.if_string() < *b.if_string(); });
    }
  } else if (key == "inlineBytes") {
    value = "PEM";
  } else if (key == "value" && value.if_string() != nullptr && value != Value("TOKEN")) {
    value = "TOKEN";
  } else if (const double* number = value.if_double(); number != nullptr) {
    value = static_cast<int64_t>(*number);
  }
}

void ExpectEqual(Value expected, Value actual, const std::string& what) {
  Normalise(expected);
  Normalise(actual);
  EXPECT_EQ(expected, actual) << what << "\n"
                              << model::ToYaml(actual) << "\nexpected\n"
                              << model::ToYaml(expected);
}

BootstrapRequest GoldenRequest() {
  BootstrapRequest request;
  request.mesh = "mesh";
  request.name = "name.namespace";
  request.workdir = "/tmp";
  request.version = *model::ParseJson(
      R"({"kumaDp":{"version":"0.0.1","gitTag":"v0.0.1","gitCommit":"91ce236824a9d875601679aa80c63783fb0e8725",
          "buildDate":"2019-08-07T11:26:06Z"},"envoy":{"version":"1.15.0","build":"hash/1.15.0/RELEASE"}})");
  return request;
}

BootstrapSettings GoldenSettings() {
  BootstrapSettings settings;
  settings.xds_host = "localhost";
  settings.admin_port = 0;
  settings.admin_unix_socket = false;
  settings.ca_pem = "certificate";
  return settings;
}

// What the driver of the scenarios sends.
Value DriverRequest(const std::string& mesh, const std::string& name, const Value* extra) {
  Value body =
      *model::ParseJson(R"({"proxyType":"dataplane","dataplaneToken":"TOKEN","dataplaneResource":"",
      "version":{"kumaDp":{"version":"0.0.0","gitTag":"unknown","gitCommit":"unknown","buildDate":"unknown"},
                 "envoy":{"version":"1.40.0","kumaDpCompatible":true,
                          "build":"9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL"}},
      "caCert":"","dynamicMetadata":{},"dnsPort":15053,"readinessPort":9902,"operatingSystem":"linux",
      "features":["feature-tcp-accesslog-via-named-pipe","feature-otel-via-kuma-dp","feature-reuse-port"],
      "resources":{},"workdir":"/tmp/kuma-dp","metricsResources":{"certPath":"","keyPath":""},
      "systemCaPath":"/etc/ssl/certs/ca-certificates.crt","ipv6Enabled":false,"spireResources":{"socketPath":""}})");
  Object& object = *body.if_object();
  object.Set("mesh", mesh);
  object.Set("name", name);
  if (extra != nullptr) {
    for (const auto& [key, member] : *extra->if_object()) object.Set(key, member);
  }
  return body;
}

TEST(BootstrapScenarioTest, EqualsWhatKumaAnswered) {
  const fs::path folder = ConformanceRoot() / "scenarios";
  if (Absent(folder)) return;
  BootstrapSettings settings;
  settings.ca_pem = "certificate";
  int compared = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!fs::exists(entry.path() / "resources.yaml")) continue;
    const auto resources = model::ParseYaml(Read(entry.path() / "resources.yaml"));
    ASSERT_TRUE(resources.has_value()) << entry.path();
    Value extras;
    if (fs::exists(entry.path() / "scenario.yaml"))
      extras = Yaml(Read(entry.path() / "scenario.yaml"));
    for (const Value& resource : *resources) {
      if (*resource.Find("type") != Value("Dataplane")) continue;
      const std::string name = *resource.Find("name")->if_string();
      const fs::path capture = entry.path() / "capture" / "proxies" / name / "bootstrap.json";
      if (!fs::exists(capture)) continue;
      BootstrapDataplane dataplane;
      if (const Value* label = resource.At({"labels", "kuma.io/workload"}))
        dataplane.workload = *label->if_string();
      if (const Value* port = resource.At({"networking", "admin", "port"}))
        dataplane.admin_port = static_cast<uint32_t>(*port->if_int());
      model::Violations violations;
      const BootstrapRequest request = ParseBootstrapRequest(
          DriverRequest(*resource.Find("mesh")->if_string(), name, extras.At({"proxies", name})),
          violations);
      ASSERT_TRUE(violations.empty()) << violations.ToString();
      const auto yaml = BootstrapYaml(request, dataplane, settings, "127.0.0.1");
      ASSERT_TRUE(yaml.has_value()) << yaml.error().message();
      const auto expected = model::ParseJson(Read(capture));
      ASSERT_TRUE(expected.has_value());
      ExpectEqual(*expected->Find("bootstrap"), Yaml(*yaml), capture.string());
      if (HasFailure()) return;

      const auto node = ParseProxyNode(model::ToJson(*Yaml(*yaml).At({"node", "metadata"})));
      ASSERT_TRUE(node.has_value()) << node.error().message();
      EXPECT_EQ(node->readiness_port, 9902u);
      EXPECT_EQ(node->admin_socket_path, "/tmp/kuma-dp/kuma-envoy-admin.sock");
      ++compared;
    }
  }
  EXPECT_GT(compared, 100);
}

TEST(BootstrapTest, TokenMayBeRequired) {
  BootstrapSettings settings = GoldenSettings();
  settings.token_required = true;
  BootstrapRequest request = GoldenRequest();
  const auto refused = MakeBootstrap(request, {}, settings, "h");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message(), kTokenRequired);
  request.dataplane_token_path = "/token";
  EXPECT_TRUE(MakeBootstrap(request, {}, settings, "h").has_value());
}

TEST(BootstrapTest, WrongTypesAreNamed) {
  model::Violations violations;
  ParseBootstrapRequest(
      *model::ParseJson(R"({"mesh":1,"features":"x","resources":{"maxHeapSizeBytes":-1}})"),
      violations);
  EXPECT_EQ(violations.ToString(),
            "mesh: must be a string; features: must be a list of strings; "
            "resources.maxHeapSizeBytes: must be a "
            "non-negative number");
}

TEST(SocketTest, PathsFitASocketAddress) {
  EXPECT_EQ(AccessLogSocket("/tmp", "n", "m"), "/tmp/kuma-al-n-m.sock");
  EXPECT_EQ(AdminSocket(std::string(200, 'x')), std::string(98, 'x') + ".sock");
}

}  // namespace
}  // namespace kuma::generate

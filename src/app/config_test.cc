#include "app/config.h"

#include <gtest/gtest.h>

namespace kuma::app {
namespace {

Config::Environment NoVariables() {
  return [](const std::string&) { return std::nullopt; };
}

TEST(Config, DefaultsAreThoseOfKumaButForTheStore) {
  const Config config = *Config::Load("", NoVariables());
  EXPECT_EQ(config.Int("apiServer.http.port"), 5681);
  EXPECT_EQ(config.Int("dpServer.port"), 5678);
  EXPECT_EQ(config.String("store.type"), "sqlite");
  EXPECT_EQ(config.Duration("dpServer.hds.interval"), std::chrono::seconds(5));
  EXPECT_EQ(config.List("access.static.adminResources.users"),
            std::vector<std::string>{"mesh-system:admin"});
}

TEST(Config, TheFileOverridesDefaultsAndTheEnvironmentOverridesTheFile) {
  const Config config = *Config::Load("apiServer:\n  http:\n    port: 1\n  https:\n    port: 2\n",
                                      [](const std::string& name) -> std::optional<std::string> {
                                        if (name == "KUMA_API_SERVER_HTTPS_PORT") return "3";
                                        if (name == "KUMA_API_SERVER_CORS_ALLOWED_DOMAINS")
                                          return "a.example, b.example";
                                        return std::nullopt;
                                      });
  EXPECT_EQ(config.Int("apiServer.http.port"), 1);
  EXPECT_EQ(config.Int("apiServer.https.port"), 3);
  EXPECT_EQ(config.List("apiServer.corsAllowedDomains"),
            (std::vector<std::string>{"a.example", "b.example"}));
}

TEST(Config, EveryFaultIsNamedAtOnce) {
  const auto config = Config::Load("apiServer:\n  http:\n    port: web\n  bogus: 1\n",
                                   [](const std::string& name) -> std::optional<std::string> {
                                     if (name == "KUMA_DP_SERVER_PORT") return "x";
                                     return std::nullopt;
                                   });
  ASSERT_FALSE(config.has_value());
  for (const char* part : {"apiServer.http.port: must be a number",
                           "KUMA_DP_SERVER_PORT (dpServer.port): must be a number"}) {
    EXPECT_NE(config.error().message().find(part), std::string::npos) << config.error().message();
  }
}

TEST(Config, UnknownKeysAreToldNotRefused) {
  const auto config =
      Config::Load("apiServer:\n  bogus: 1\n  http: {port: 1}\nold: {a: b}\n", NoVariables());
  ASSERT_TRUE(config.has_value()) << config.error().message();
  EXPECT_EQ(config->unknown_keys(), (std::vector<std::string>{"apiServer.bogus", "old"}));
  EXPECT_EQ(config->Int("apiServer.http.port"), 1);
}

TEST(Config, KeysThatNobodyAsksForAreTold) {
  const auto config = Config::Load(
      "metrics: {dataplane: {subscriptionLimit: 3}}\nstore: {unsafeDelete: false}\n"
      "apiServer: {http: {port: 1}}\n",
      NoVariables());
  ASSERT_TRUE(config.has_value()) << config.error().message();
  EXPECT_EQ(
      config->UnusedKeys(),
      (std::vector<std::string>{"apiServer.http.port", "metrics.dataplane.subscriptionLimit"}));
  EXPECT_EQ(config->Int("apiServer.http.port"), 1);
  EXPECT_EQ(config->UnusedKeys(), std::vector<std::string>{"metrics.dataplane.subscriptionLimit"});
}

TEST(Config, RangesAreChecked) {
  const auto config = Config::Load(
      "dpServer: {port: 70000}\nxdsServer: {policyMatchingCacheSize: 0, "
      "dataplaneStatusFlushInterval: 0s}\n"
      "bootstrapServer: {params: {adminAddress: ''}}\n",
      NoVariables());
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().message(),
            "configuration: dpServer.port: must be a port, 0 to 65535; "
            "xdsServer.dataplaneStatusFlushInterval: must be greater than zero; "
            "xdsServer.policyMatchingCacheSize: must be greater than zero; "
            "bootstrapServer.params.adminAddress: must not be empty");
}

TEST(Config, SecretsAreMasked) {
  const Config config =
      *Config::Load("store:\n  postgres:\n    password: hunter2\n", NoVariables());
  EXPECT_EQ(*config.Effective().At({"store", "postgres", "password"})->if_string(), "*****");
  EXPECT_EQ(config.String("store.postgres.password"), "hunter2");
}

}  // namespace
}  // namespace kuma::app

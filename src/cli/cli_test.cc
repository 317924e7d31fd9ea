// kumactl against a control plane that stores resources and knows nothing else. The golden cases of
// Kuma's kumactl: tests/conformance/suites/kumactl_*.cc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>

#include "base/format.h"
#include "base/strings.h"
#include "cli/command_line.h"
#include "cli/config_file.h"
#include "cli/documents.h"
#include "cli/kinds.h"
#include "cli/kumactl.h"
#include "cli/output.h"
#include "identity/certificates.h"
#include "identity/tokens.h"
#include "model/value.h"
#include "net/server.h"
#include "policies/schemas.h"
#include "resources/all.h"
#include "tests/kit/kumactl_stage.h"

namespace kuma::cli {
namespace {

namespace fs = std::filesystem;
using model::Array;
using model::Object;
using model::Value;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::StartsWith;

class Kumactl : public testing::Test {
 protected:
  using Outcome = kit::KumactlStage::Outcome;
  Outcome Call(const std::vector<std::string>& args, const std::string& input = "") {
    return stage_.Call(args, input);
  }
  Outcome CallServer(const std::vector<std::string>& args, const std::string& input = "") {
    return stage_.CallServer(args, input);
  }
  static void WriteFile(const fs::path& path, std::string_view text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  static std::string Read(const fs::path& path) {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  kit::KumactlStage stage_;
  const std::string& home_ = stage_.home();
  kit::BareControlPlane& server_ = stage_.server();
};

TEST_F(Kumactl, AppliesAndReports) {
  const std::string input =
      "type: Mesh\nname: m1\n---\ntype: MeshTimeout\nmesh: m1\nname: t\nspec: {}\n";
  const Outcome first = CallServer({"apply", "-f", "-"}, input);
  EXPECT_EQ(first.code, 0);
  EXPECT_EQ(first.out,
            "resource type=\"Mesh\" mesh=\"\" name=\"m1\" Created\n"
            "resource type=\"MeshTimeout\" mesh=\"m1\" name=\"t\" Created\n");
  EXPECT_EQ(first.err, "");
  EXPECT_THAT(CallServer({"apply", "-f", "-"}, input).out, HasSubstr("Updated"));
}

TEST_F(Kumactl, FillsVariables) {
  const std::string input = "type: Mesh\nname: {{ name }}\n";
  const Outcome outcome =
      CallServer({"apply", "-f", "-", "--var", "name=m2", "-v", "other=x,third=y"}, input);
  EXPECT_EQ(outcome.out, "resource type=\"Mesh\" mesh=\"\" name=\"m2\" Created\n");
  const Outcome dry = CallServer({"apply", "--dry-run", "-f", "-", "-v", "name=m3"}, input);
  EXPECT_EQ(dry.out, "name: m3\ntype: Mesh\n");
  EXPECT_EQ(server_.size(), 1u);
}

TEST_F(Kumactl, ChecksWithoutAServer) {
  const Outcome outcome =
      Call({"--no-config", "apply", "--dry-run", "-f", "-"},
           "type: Dataplane\nmesh: default\nname: x\nnetworking: {adress: 1.1.1.1}\n");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err,
              HasSubstr("Warning: Dataplane \"x\": unknown field networking.adress\n"));
  EXPECT_THAT(outcome.err, HasSubstr("Dataplane \"x\": networking.address: "));
  EXPECT_THAT(outcome.err, HasSubstr("Error: failed to validate some resources\n"));
}

TEST(Kinds, AgreeWithTheSchemas) {
  std::vector<const model::ResourceType*> types = resources::AllResourceTypes();
  types.insert(types.end(), policies::AllPolicySchemas().begin(),
               policies::AllPolicySchemas().end());
  for (const model::ResourceType* type : types) {
    if (type->plural.empty() || type->read_only || type->singular.empty()) continue;
    const Kind* kind = FindKind(type->kind);
    ASSERT_NE(kind, nullptr) << type->kind;
    EXPECT_EQ(kind->singular, type->singular);
    EXPECT_EQ(kind->plural, type->plural);
    EXPECT_EQ(kind->in_mesh, type->scope == model::Scope::kMesh) << type->kind;
  }
}

TEST_F(Kumactl, AppliesFolders) {
  WriteFile(home_ + "/in/b.yaml", "type: Mesh\nname: b\n");
  WriteFile(home_ + "/in/a.json", "{\"type\": \"Mesh\", \"name\": \"a\"}");
  WriteFile(home_ + "/in/c.txt", "not read");
  const Outcome outcome = CallServer({"apply", "-f", home_ + "/in"});
  EXPECT_EQ(outcome.out,
            "resource type=\"Mesh\" mesh=\"\" name=\"a\" Created\n"
            "resource type=\"Mesh\" mesh=\"\" name=\"b\" Created\n");
  EXPECT_EQ(CallServer({"apply", "-f", home_ + "/none.yaml"}).err,
            base::Format("Error: error while reading provided file: open {}/none.yaml: No such "
                         "file or directory\n",
                         home_));
}

TEST_F(Kumactl, AppliesUrls) {
  server_.AnswerNext(200, "type: Mesh\nname: from-url\n");
  EXPECT_EQ(CallServer({"apply", "-f", server_.url() + "/file.yaml"}).out,
            "resource type=\"Mesh\" mesh=\"\" name=\"from-url\" Created\n");
}

TEST_F(Kumactl, PrintsViolationsAndHints) {
  server_.AnswerNext(400,
                     R"({"title": "Could not process a resource", "detail": "Resource is not valid",
      "invalid_parameters": [{"field": "spec.a", "reason": "must be set", "hint": "name a port"},
                             {"field": "spec.b", "reason": "must not be defined"}]})");
  const Outcome outcome = CallServer({"apply", "-f", "-"}, "type: Mesh\nname: m\n");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err,
            "Error: resource type=\"Mesh\" mesh=\"\" name=\"m\": failed server side: Could not "
            "process a resource "
            "(Resource is not valid);spec.a=must be set ;spec.b=must not be defined \n"
            "  hint: spec.a: name a port\n");
}

TEST_F(Kumactl, PrintsWarnings) {
  server_.AnswerNext(200, R"({"warnings": ["unknown field spec.x"]})");
  const Outcome outcome = CallServer({"apply", "-f", "-"}, "type: Mesh\nname: m\n");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err, "Warning: unknown field spec.x\n");
  EXPECT_EQ(outcome.out, "resource type=\"Mesh\" mesh=\"\" name=\"m\" Updated\n");
}

TEST_F(Kumactl, RefusesIncompleteMetadata) {
  const Outcome outcome = CallServer({"apply", "-f", "-"}, "type: MeshTimeout\nname: t\n");
  EXPECT_EQ(outcome.err,
            "resource[0]: failed to read meta: mesh: cannot be empty\nError: failed to validate "
            "some resources\n");
}

TEST_F(Kumactl, Gets) {
  CallServer({"apply", "-f", "-"},
             "type: Dataplane\nmesh: default\nname: dp\nlabels: {z: '1', a: b}\nnetworking: "
             "{address: 1.2.3.4}\n");
  EXPECT_EQ(
      CallServer({"get", "dataplanes"}).out,
      "MESH      NAME   TAGS      ADDRESS   AGE\ndefault   dp     a=b z=1   1.2.3.4   292y\n");
  EXPECT_EQ(base::ReplaceAll(CallServer({"get", "dataplane", "dp", "-oyaml", "-m", "default"}).out,
                             "'", "\""),
            "creationTime: \"0001-01-01T00:00:00Z\"\nlabels:\n  a: b\n  z: \"1\"\nmesh: default\n"
            "modificationTime: \"0001-01-01T00:00:00Z\"\nname: dp\ntype: Dataplane\nnetworking:\n  "
            "address: "
            "1.2.3.4\n");
  const Outcome absent = CallServer({"get", "dataplane", "other"});
  EXPECT_EQ(absent.err, "Error: No resources found\n");
  EXPECT_EQ(absent.code, 1);
  EXPECT_EQ(CallServer({"get", "meshes", "-o", "xml"}).err,
            "Error: unknown output format \"xml\"\n");
  EXPECT_EQ(CallServer({"get", "global-secrets"}).out, "NAME   AGE\n");
}

TEST_F(Kumactl, PassesSizeAndOffset) {
  CallServer({"get", "meshes", "--size", "5", "--offset=7"});
  EXPECT_EQ(server_.last().target, "/meshes?offset=7&size=5");
}

TEST_F(Kumactl, Deletes) {
  CallServer({"apply", "-f", "-"}, "type: Mesh\nname: version\n");
  EXPECT_EQ(CallServer({"delete", "mesh", "version"}).out, "deleted Mesh \"version\"\n");
  EXPECT_EQ(CallServer({"delete", "mesh", "version"}).err,
            "Error: there is no Mesh with name \"version\"\n");
  EXPECT_THAT(CallServer({"delete", "thing", "x"}).err,
              StartsWith("Error: unknown TYPE: thing. Allowed values: "));
}

TEST_F(Kumactl, GeneratesTokens) {
  server_.AnswerNext(200, "a.b.c");
  const Outcome outcome = CallServer({"generate", "dataplane-token", "--name", "web", "--mesh", "m",
                                      "--tag", "app=web,app2=x,y", "--workload=w", "--proxy-type",
                                      "dataplane", "--valid-for", "24h"});
  EXPECT_EQ(outcome.out, "a.b.c");
  EXPECT_EQ(server_.last().path, "/tokens/dataplane");
  EXPECT_EQ(*model::ParseJson(server_.last().body),
            Value(Object{{"name", "web"},
                         {"mesh", "m"},
                         {"type", "dataplane"},
                         {"workload", "w"},
                         {"validFor", "24h"},
                         {"tags", Object{{"app", Array{"web"}}, {"app2", Array{"x", "y"}}}}}));
  server_.AnswerNext(200, "u");
  CallServer({"generate", "user-token", "--name", "joe", "--group", "a,b", "--group", "c",
              "--valid-for", "1h"});
  EXPECT_EQ(*model::ParseJson(server_.last().body),
            Value(Object{{"name", "joe"}, {"groups", Array{"a", "b", "c"}}, {"validFor", "1h"}}));
  server_.AnswerNext(403, R"({"title": "Access Denied", "detail": "no"})");
  EXPECT_EQ(CallServer({"generate", "zone-token", "--zone", "east"}).err,
            "Error: failed to generate a zone token: Access Denied (no)\n");
}

TEST_F(Kumactl, SendsHeadersAndToken) {
  Call({"config", "control-planes", "add", "--name", "x", "--address", server_.url(), "--headers",
        "x-a=1", "--auth-type", "tokens", "--auth-conf", "token=secret"});
  EXPECT_EQ(Call({"get", "zones"}).err, "");
  EXPECT_EQ(server_.last().headers.Get("authorization"), "Bearer secret");
  EXPECT_EQ(server_.last().headers.Get("x-a"), "1");
}

TEST_F(Kumactl, WarnsAboutVersions) {
  server_.SetIndex(R"({"product": "Kuma", "version": "2.9.0"})");
  EXPECT_EQ(CallServer({"get", "zones"}).err,
            "WARNING: You are using kumactl version 3.0.0 for Kuma, but the server returned "
            "version: Kuma 2.9.0\n");
  EXPECT_EQ(CallServer({"version"}).out, "Client: Kuma 3.0.0\nServer: Kuma 2.9.0\n");
  EXPECT_THAT(CallServer({"version", "-a"}).out, HasSubstr("Git Tag:"));
}

TEST_F(Kumactl, ReportsAnUnreachableServer) {
  Call({"config", "control-planes", "add", "--name", "x", "--address", "http://127.0.0.1:1",
        "--skip-check"});
  const Outcome outcome = Call({"get", "meshes"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(
      outcome.err,
      StartsWith("WARNING: Unable to confirm the server supports this kumactl version\nError: "));
  EXPECT_THAT(outcome.err, HasSubstr("127.0.0.1:1"));
  EXPECT_THAT(outcome.err,
              HasSubstr("\n  hint: is the control plane at http://127.0.0.1:1 running?"));
  const Outcome add =
      Call({"config", "control-planes", "add", "--name", "y", "--address", "http://127.0.0.1:1"});
  EXPECT_EQ(add.code, 1);
  EXPECT_THAT(add.err, StartsWith("Error: could not connect to the Control Plane API Server"));
}

TEST_F(Kumactl, NamesWhatTheServerDoesNotServe) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"inspect", "meshes"},
                                                {"get", "meshtraces"},
                                                {"get", "meshtrace", "x"}}) {
    server_.AnswerNext(404, "404: Page Not Found");
    EXPECT_THAT(CallServer(words).err,
                HasSubstr("the control plane does not serve this; it is of another version"));
  }
}

TEST_F(Kumactl, ANamedConfigurationMustBeThere) {
  const std::string file = home_ + "/named.yaml";
  const Outcome absent = Call({"--config-file", file, "get", "meshes"});
  EXPECT_EQ(absent.code, 1);
  EXPECT_THAT(absent.err, HasSubstr("there is no such file"));
  EXPECT_EQ(Call({"--config-file", file, "config", "control-planes", "add", "--name", "x",
                  "--address", server_.url()})
                .code,
            0);
  EXPECT_EQ(Call({"--config-file", file, "get", "meshes"}).code, 0);
}

TEST_F(Kumactl, MakesTheDefaultConfiguration) {
  EXPECT_EQ(Call({"config", "control-planes", "list"}).out,
            "ACTIVE   NAME    ADDRESS\n*        local   http://localhost:5681\n");
  EXPECT_TRUE(fs::exists(home_ + "/.kumactl/config"));
  EXPECT_EQ(fs::status(home_ + "/.kumactl/config").permissions(), fs::perms(0600));
  fs::remove_all(home_ + "/.kumactl");
  Call({"--no-config", "config", "view"});
  EXPECT_FALSE(fs::exists(home_ + "/.kumactl/config"));
  Call({"config", "control-planes", "remove", "--name", "local"});
  EXPECT_EQ(base::Trim(Read(home_ + "/.kumactl/config")), "{}");
}

TEST_F(Kumactl, ReportsWrongUse) {
  const Outcome flag = Call({"get", "meshes", "--nope"});
  EXPECT_EQ(flag.code, 1);
  EXPECT_EQ(flag.out, "");
  EXPECT_THAT(flag.err,
              StartsWith("Error: unknown flag: --nope\nUsage:\n  kumactl get meshes [flags]\n"));
  EXPECT_THAT(Call({"get", "mesh"}).err, StartsWith("Error: accepts 1 arg(s), received 0\nUsage:"));
  EXPECT_THAT(Call({"config", "view", "x"}).err,
              StartsWith("Error: unknown command \"x\" for \"kumactl config view\"\n"));
  EXPECT_THAT(Call({"nope"}).err, StartsWith("Error: unknown command \"nope\" for \"kumactl\"\n"));
  EXPECT_THAT(Call({"config", "control-planes", "add", "--name", "x"}).err,
              StartsWith("Error: required flag(s) \"address\" not set\n"));
  EXPECT_THAT(Call({"apply", "-f"}).err, StartsWith("Error: flag needs an argument"));
  EXPECT_THAT(Call({"get", "meshes", "--size", "x"}).err,
              StartsWith("Error: invalid argument \"x\" for \"--size\""));
  const Outcome group = Call({"get", "foo"});
  EXPECT_EQ(group.code, 0);
  EXPECT_THAT(group.out, HasSubstr("meshtimeouts"));
  EXPECT_EQ(group.err, "");
  EXPECT_EQ(Call({"--help"}).code, 0);
}

TEST(Output, Ages) {
  const auto now = runtime::WallTime(std::chrono::seconds(1767225600));  // 2026-01-01T00:00:00Z
  EXPECT_EQ(Age("", now), "never");
  EXPECT_EQ(Age("2026-01-01T00:00:02Z", now), "never");
  EXPECT_EQ(Age("2026-01-01T00:00:00.5Z", now), "0s");
  EXPECT_EQ(Age("2025-12-31T23:59:01Z", now), "59s");
  EXPECT_EQ(Age("2025-12-31T23:58:00Z", now), "2m");
  EXPECT_EQ(Age("2025-12-31T22:00:00Z", now), "2h");
  EXPECT_EQ(Age("2025-12-20T00:00:00Z", now), "12d");
  EXPECT_EQ(Age("2024-01-01T00:00:00Z", now), "2y");
  EXPECT_EQ(Age("0001-01-01T00:00:00Z", now), "292y");
}

TEST(Documents, Splits) {
  EXPECT_EQ(SplitDocuments("a\n---\nb\n").size(), 2u);
  EXPECT_EQ(SplitDocuments("---\na\n").size(), 1u);
  EXPECT_EQ(SplitDocuments("a: '---x'\n# --- no\n").size(), 1u);
}

TEST(Documents, FillsPlaceholders) {
  std::vector<std::string> missing;
  EXPECT_EQ(FillPlaceholders("{{a}} {{{ b }}} {{! c }}{{ d }}.{{",
                             {{"a", "1"}, {"b", "<&>"}, {"a", "2"}}, missing),
            "2 <&> .{{");
  EXPECT_EQ(missing, std::vector<std::string>{"d"});
}

TEST_F(Kumactl, SaysHowLongATokenIsValid) {
  server_.AnswerNext(200, "t", {{"kuma-token-valid-for", "720h0m0s"}});
  const Outcome outcome = CallServer({"generate", "dataplane-token", "--name", "web"});
  EXPECT_EQ(outcome.out, "t");
  EXPECT_EQ(outcome.err, "The token is valid for 720h0m0s; --valid-for sets another time\n");
}

TEST_F(Kumactl, SignsTokensWithoutAServer) {
  const std::string path = home_ + "/key.pem";
  WriteFile(path, Call({"generate", "signing-key", "--format", "pem"}).out);
  const auto key = identity::RsaKey::Read(Read(path));
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(Call({"generate", "public-key", "--signing-key-path", path}).out, key->PublicPem());
  const auto other = base::DecodeBase64(Call({"generate", "signing-key"}).out);
  ASSERT_TRUE(other.has_value());
  EXPECT_FALSE(identity::RsaKey::Read(*other)->SamePublicKey(*key));

  identity::TokenKeys keys;
  keys.Add({.kid = "k1", .key = *key});
  const kit::FixedClock clock;
  const identity::Revocations revoked;
  const std::vector<std::string> local = {"--valid-for",        "1h", "--kid", "k1",
                                          "--signing-key-path", path};
  const auto generate = [&](std::vector<std::string> args) {
    args.insert(args.begin(), "generate");
    args.insert(args.end(), local.begin(), local.end());
    return Call(args).out;
  };
  const auto dataplane =
      identity::CheckDataplaneToken(generate({"dataplane-token", "--name", "web", "--mesh", "m",
                                              "--tag", "a=b,c", "--workload", "w"}),
                                    {.keys = keys, .revoked = revoked, .now = clock.WallNow()});
  ASSERT_TRUE(dataplane.has_value()) << dataplane.error().message();
  EXPECT_EQ(
      dataplane->claims,
      (identity::DataplaneClaims{
          .name = "web", .mesh = "m", .tags = {{"a", {"b", "c"}}}, .type = "", .workload = "w"}));
  EXPECT_EQ(*dataplane->facts.expires,
            clock.WallNow() - std::chrono::milliseconds(995) + std::chrono::hours(1));
  EXPECT_TRUE(identity::CheckUserToken(generate({"user-token", "--name", "joe"}),
                                       {.keys = keys, .revoked = revoked, .now = clock.WallNow()})
                  .has_value());
  EXPECT_TRUE(identity::CheckZoneToken(generate({"zone-token", "--zone", "east"}),
                                       {.keys = keys, .revoked = revoked, .now = clock.WallNow()})
                  .has_value());

  EXPECT_THAT(Call({"generate", "user-token", "--name", "x", "--valid-for", "1h",
                    "--signing-key-path", path})
                  .err,
              HasSubstr("--signing-key-path and --kid belong together"));
  EXPECT_THAT(
      Call({"generate", "user-token", "--name", "x", "--kid", "k", "--signing-key-path", path}).err,
      HasSubstr("--valid-for is needed"));
  WriteFile(home_ + "/bad.pem", "nonsense");
  const Outcome bad = Call({"generate", "public-key", "--signing-key-path", home_ + "/bad.pem"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.err, HasSubstr("/bad.pem"));
  EXPECT_THAT(bad.err, Not(HasSubstr("nonsense")));
}

TEST_F(Kumactl, GeneratesCertificates) {
  for (const std::string kind : {"rsa", "ecdsa"}) {
    const Outcome outcome = Call({"generate", "tls-certificate", "--type=server", "--key-type",
                                  kind, "--hostname=kuma.example,10.0.0.1", "--cert-file",
                                  home_ + "/c.pem", "--key-file", home_ + "/k.pem"});
    EXPECT_EQ(
        outcome.out,
        base::Format("Private key saved in {0}/k.pem\nCertificate saved in {0}/c.pem\n", home_));
    EXPECT_TRUE(*identity::CoversHost(Read(home_ + "/c.pem"), "kuma.example"));
    EXPECT_TRUE(*identity::CoversHost(Read(home_ + "/c.pem"), "10.0.0.1"));
    EXPECT_EQ(fs::status(home_ + "/k.pem").permissions(), fs::perms(0600));
  }
  const Outcome both = Call({"generate", "tls-certificate", "--type=client", "--hostname=web",
                             "--cert-file=-", "--key-file=-"});
  EXPECT_THAT(both.out, AllOf(HasSubstr("BEGIN CERTIFICATE"), HasSubstr("PRIVATE KEY")));
  EXPECT_THAT(Call({"generate", "tls-certificate", "--type=client"}).err,
              HasSubstr("at least one hostname"));
  EXPECT_THAT(Call({"generate", "tls-certificate", "--type=x", "--hostname=h"}).err,
              HasSubstr("one of client, server"));
}

TEST_F(Kumactl, InspectsDataplanesWithinTheTerminal) {
  server_.AnswerAlways("/meshes/default/dataplanes/_overview", R"({"total": 1, "items": [
      {"type": "DataplaneOverview", "mesh": "default", "name": "web-1", "labels": {"app": "web"},
       "dataplane": {"networking": {"inbound": [{"port": 80}, {"port": 81, "state": "NotReady"}]}},
       "dataplaneInsight": {"subscriptions": [{"connectTime": "2008-04-01T15:05:36Z"}]}}], "next": null})");
  const std::string all = CallServer({"inspect", "dataplanes"}).out;
  EXPECT_THAT(all, AllOf(HasSubstr("SUPPORTED CERT BACKENDS"), HasSubstr("Partially degraded"),
                         HasSubstr("app=web"), HasSubstr("inbound[port=81] is not ready")));
  stage_.set_width(100);
  const std::string fitted = CallServer({"inspect", "dataplanes"}).out;
  for (const std::string& line : base::Split(fitted, '\n')) EXPECT_LE(line.size(), 100u) << line;
  EXPECT_THAT(fitted, AllOf(HasSubstr("STATUS"), HasSubstr("left out; -o wide shows them")));
  EXPECT_EQ(CallServer({"inspect", "dataplanes", "-o", "wide"}).out, all);
  CallServer({"inspect", "dataplanes", "-m", "m 1", "--tag", "a=b", "--gateway"});
  EXPECT_EQ(server_.last().target,
            "/meshes/m%201/dataplanes/_overview?tag=a%3Ab&gateway=true&size=1000");
}

TEST_F(Kumactl, FollowsPages) {
  server_.AnswerAlways(
      "/mesh-insights?size=1000",
      R"({"total": 2, "items": [{"name": "a", "dataplanes": {"total": 2, "online": 1}}],
                                                       "next": "http://h/mesh-insights?size=1000&offset=1"})");
  server_.AnswerAlways("/mesh-insights?size=1000&offset=1",
                       R"({"total": 2, "items": [{"name": "b"}], "next": null})");
  EXPECT_EQ(CallServer({"inspect", "meshes"}).out, "MESH   DATAPLANES\na      1/2\nb      0/0\n");
}

TEST_F(Kumactl, InspectsOneDataplane) {
  server_.AnswerAlways("/meshes/default/dataplanes/web/_config?shadow=true&include=diff",
                       "{\"xds\": 1}");
  EXPECT_EQ(
      CallServer({"inspect", "dataplane", "web", "--type=config", "--shadow", "--include", "diff"})
          .out,
      "{\"xds\": 1}");
  server_.AnswerAlways("/meshes/m/dataplanes/web/xds?include_eds=true", "dump");
  EXPECT_EQ(
      CallServer({"inspect", "dataplane", "web", "-m", "m", "--type=config-dump", "--include-eds"})
          .out,
      "dump");
  EXPECT_EQ(CallServer({"inspect", "dataplane", "web", "--shadow"}).err,
            "Error: flag '--shadow' can be used only when '--type=config'\n");
  EXPECT_THAT(CallServer({"inspect", "dataplane", "web", "--type", "x"}).err,
              HasSubstr("invalid inspection type \"x\": one of policies, "));
  EXPECT_EQ(CallServer({"inspect", "dataplane", "none", "--type", "stats"}).err,
            "Error: Could not retrieve (Not found)\n");
}

TEST_F(Kumactl, Completes) {
  const auto complete = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "__complete");
    std::vector<std::string> names;
    for (const std::string& line : base::Split(Call(words).out, '\n'))
      if (!line.empty()) names.push_back(base::Split(line, '\t').front());
    return names;
  };
  EXPECT_THAT(complete({""}), IsSupersetOf({"apply", "completion", "get", "inspect", "version"}));
  EXPECT_THAT(complete({"get", "meshti"}), ElementsAre("meshtimeout", "meshtimeouts"));
  EXPECT_THAT(complete({"--no-config", "get", "-o", "json", "meshtimeout"}),
              ElementsAre("meshtimeout", "meshtimeouts"));
  EXPECT_THAT(complete({"get", "meshes", "-o", "y"}), ElementsAre("yaml"));
  EXPECT_THAT(complete({"get", "meshes", "--output=j"}), ElementsAre("--output=json"));
  EXPECT_THAT(complete({"get", "meshes", "--o"}), ElementsAre("--output", "--offset"));
  EXPECT_THAT(complete({"inspect", "dataplane", "web", "--type", "config"}),
              ElementsAre("config-dump", "config"));
  EXPECT_THAT(complete({"delete", "zone"}), ElementsAre("zone"));
  EXPECT_THAT(complete({"delete", "zone", "e"}), ElementsAre());
  for (const std::string shell : {"bash", "fish", "powershell", "zsh"})
    EXPECT_THAT(Call({"completion", shell}).out, HasSubstr("kumactl __complete")) << shell;
}

// The script in a real shell, with this program in kumactl's place.
TEST_F(Kumactl, BashScriptCompletes) {
  WriteFile(home_ + "/completion.bash", Call({"completion", "bash"}).out);
  WriteFile(home_ + "/kumactl", "#!/bin/sh\nshift\nprintf '%s\\n' \"$@\" > " + home_ +
                                    "/asked\nprintf -- '--output=json\\tx\\n--output=yaml\\n'\n");
  fs::permissions(home_ + "/kumactl", fs::perms(0700));
  const std::string command = base::Format(
      "PATH={0}:$PATH bash -c 'source {0}/completion.bash; COMP_WORDS=(kumactl get meshes --output "
      "= j); "
      "COMP_CWORD=5; _kumactl; echo \"${{COMPREPLY[@]}}\"' > {0}/got",
      home_);
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(Read(home_ + "/asked"), "get\nmeshes\n--output=j\n");
  EXPECT_EQ(Read(home_ + "/got"), "json yaml\n");
}

TEST_F(Kumactl, SuggestsWhatWasMeant) {
  EXPECT_EQ(Call({"gett"}).err,
            "Error: unknown command \"gett\" for \"kumactl\"\n\nDid you mean this?\n\tget\n\nRun "
            "'kumactl --help' for usage.\n");
  const Outcome group = Call({"get", "meshtimeotus"});
  EXPECT_EQ(group.code, 0);
  EXPECT_THAT(group.out, HasSubstr("Did you mean this?\n\tmeshtimeouts\n"));
  EXPECT_THAT(Call({"delete", "meshtimeouts", "x"}).err,
              HasSubstr("hint: did you mean meshtimeout"));
}

TEST_F(Kumactl, Exports) {
  server_.SetIndex(
      R"({"product": "Kuma", "version": "3.0.0", "hostname": "h", "clusterId": "c", "instanceId": "i"})");
  server_.AnswerAlways("/_resources", R"({"resources": [
      {"name": "Dataplane", "path": "dataplanes", "scope": "Mesh", "includeInFederation": false},
      {"name": "DataplaneInsight", "path": "dataplane-insights", "scope": "Mesh", "readOnly": true},
      {"name": "GlobalSecret", "path": "globalsecrets", "scope": "Global", "includeInFederation": true},
      {"name": "Mesh", "path": "meshes", "scope": "Global", "includeInFederation": true},
      {"name": "MeshTimeout", "path": "meshtimeouts", "scope": "Mesh", "includeInFederation": true, "policy": {"isTargetRef": true}},
      {"name": "Secret", "path": "secrets", "scope": "Mesh", "includeInFederation": true}]})");
  for (const std::string text :
       {"{type: GlobalSecret, name: user-token-signing-key-1, data: eA==}",
        "{type: GlobalSecret, name: z, data: eA==}",
        "{type: GlobalSecret, name: envoy-admin-ca, data: eA==}",
        "{type: Secret, mesh: m, name: s, data: eA==}", "{type: Dataplane, mesh: m, name: d}",
        "{type: Mesh, name: m}",
        "{type: MeshTimeout, mesh: m, name: t, labels: {kuma.io/origin: zone}, spec: {}}"}) {
    CallServer({"apply", "-f", "-"}, text);
  }
  const auto names = [&](const std::vector<std::string>& args) {
    std::vector<std::string> all = {"export"};
    all.insert(all.end(), args.begin(), args.end());
    const Outcome outcome = CallServer(all);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const std::string head =
        "# Product: Kuma, Version: 3.0.0, Hostname: h, ClusterId: c, InstanceId: i\n";
    EXPECT_THAT(outcome.out, StartsWith(head + "---\n"));
    EXPECT_EQ(outcome.out.find("kuma.io/origin") == std::string::npos,
              args.empty() || args.back() != "all")
        << outcome.out;
    std::string found;
    const auto documents = model::ParseYaml(outcome.out);
    for (const Value& resource : *documents) found += TextOf(resource.Find("name")) + " ";
    return found;
  };
  EXPECT_EQ(names({}), "m s z user-token-signing-key-1 ");
  EXPECT_EQ(names({"-p", "federation-with-policies"}), "m s t z user-token-signing-key-1 ");
  EXPECT_EQ(names({"-p", "all"}), "m d t ");
  EXPECT_EQ(names({"-a", "-p", "all"}), "m s d t z user-token-signing-key-1 ");
  EXPECT_THAT(CallServer({"export"}).out, HasSubstr("skipCreatingInitialPolicies:\n- '*'\n"));
  EXPECT_THAT(CallServer({"export", "--profile", "x"}).err,
              HasSubstr("invalid profile: \"x\": one of all, "));
}

}  // namespace
}  // namespace kuma::cli

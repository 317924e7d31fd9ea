// kumactl against a control plane that stores resources and knows nothing else, and the golden
// cases.

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
#include "model/value.h"
#include "net/server.h"
#include "policies/schemas.h"
#include "resources/all.h"

namespace kuma::cli {
namespace {

namespace fs = std::filesystem;
using model::Array;
using model::Object;
using model::Value;
using testing::HasSubstr;
using testing::StartsWith;

class FixedClock final : public runtime::Clock {
 public:
  runtime::Time Now() const override { return {}; }
  runtime::WallTime WallNow() const override {
    return runtime::WallTime(std::chrono::seconds(1207065936));  // 2008-04-01T16:05:36Z
  }
};

std::string TextOf(const Value& object, std::string_view key) {
  const Value* value = object.Find(key);
  return value != nullptr && value->if_string() != nullptr ? *value->if_string() : "";
}

// Stores what is PUT; lists by kind, mesh and name.
class FakeControlPlane {
 public:
  FakeControlPlane() {
    net::ServerOptions options;
    auto started = net::Server::Start(
        loops_, options, [this](net::HttpRequest request, net::HttpResponder responder) {
          std::lock_guard lock(mutex_);
          responder.Send(Answer(request));
        });
    server_ = std::move(*started);
  }
  std::string url() const { return server_->url(); }
  std::string authority() const { return base::Format("127.0.0.1:{}", server_->port()); }

  // What the next request but "GET /" gets.
  void AnswerNext(int status, std::string body) {
    std::lock_guard lock(mutex_);
    next_ = net::HttpResponse{.status = status, .headers = {}, .body = std::move(body)};
  }
  net::HttpRequest last() {
    std::lock_guard lock(mutex_);
    return last_;
  }
  void SetIndex(std::string body) {
    std::lock_guard lock(mutex_);
    index_ = std::move(body);
  }
  void Put(const Document& document) {
    std::lock_guard lock(mutex_);
    Store(document.kind->plural, document.mesh, document.name, document.content);
  }
  size_t size() {
    std::lock_guard lock(mutex_);
    return resources_.size();
  }
  // As `kds-full-sync` prints a store: "# Kind", then each resource as a document.
  std::string Dump() {
    std::lock_guard lock(mutex_);
    std::map<std::string, std::string> by_kind;
    for (const auto& [key, value] : resources_) {
      const std::string kind = TextOf(value, "type");
      std::string& text = by_kind[kind];
      if (text.empty()) text = "# " + kind + "\n";
      text += "---\n" + model::ToYaml(model::Sorted(value)) + "\n";
    }
    std::string dump;
    for (const auto& [kind, text] : by_kind) dump += text;
    return dump;
  }

 private:
  using Key = std::array<std::string, 3>;  // plural, mesh, name

  void Store(std::string_view plural, const std::string& mesh, const std::string& name,
             const Value& content) {
    Object stored{{"type", TextOf(content, "type")}};
    if (!mesh.empty()) stored.Set("mesh", mesh);
    stored.Set("name", name);
    stored.Set("creationTime", "0001-01-01T00:00:00Z");
    stored.Set("modificationTime", "0001-01-01T00:00:00Z");
    if (const Value* labels = content.Find("labels")) stored.Set("labels", *labels);
    for (const auto& [key, value] : *content.if_object()) {
      if (stored.Find(key) == nullptr) stored.Set(key, value);
    }
    resources_[{std::string(plural), mesh, name}] = stored;
  }

  net::HttpResponse Answer(const net::HttpRequest& request) {
    if (request.path == "/") return {.status = 200, .headers = {}, .body = index_};
    last_ = request;
    if (next_) return *std::exchange(next_, std::nullopt);
    std::vector<std::string> parts = base::Split(std::string_view(request.path).substr(1), '/');
    std::string mesh;
    if (parts.size() >= 3 && parts[0] == "meshes") {
      mesh = parts[1];
      parts.erase(parts.begin(), parts.begin() + 2);
    }
    if (parts.size() == 1) return List(request, parts[0], mesh);
    const Key key{parts[0], mesh, parts[1]};
    const auto found = resources_.find(key);
    if (request.method == "PUT") {
      const bool is_new = found == resources_.end();
      Store(parts[0], mesh, parts[1], *model::ParseJson(request.body));
      return {.status = is_new ? 201 : 200, .headers = {}, .body = "{}"};
    }
    if (found == resources_.end()) {
      return {.status = 404,
              .headers = {},
              .body = R"({"title": "Could not retrieve", "detail": "Not found"})"};
    }
    if (request.method == "DELETE") {
      resources_.erase(found);
      return {.status = 200, .headers = {}, .body = "{}"};
    }
    return {.status = 200, .headers = {}, .body = model::ToJson(found->second, 1)};
  }

  net::HttpResponse List(const net::HttpRequest& request, const std::string& plural,
                         const std::string& mesh) {
    Array items;
    for (const auto& [key, value] : resources_) {
      if (key[0] == plural && key[1] == mesh) items.push_back(value);
    }
    const auto total = static_cast<int64_t>(items.size());
    const std::string* size = request.FindQuery("size");
    Value next;
    if (size != nullptr && std::stoll(*size) < total) {
      items.resize(std::stoul(*size));
      next = base::Format("http://{}{}?offset={}&size={}", authority(), request.path, *size, *size);
    }
    return {.status = 200,
            .headers = {},
            .body = model::ToJson(
                Object{{"total", total}, {"items", std::move(items)}, {"next", next}}, 1)};
  }

  net::EventLoops loops_{1, "fake"};
  std::mutex mutex_;
  std::map<Key, Value> resources_;
  std::optional<net::HttpResponse> next_;
  net::HttpRequest last_;
  std::string index_ =
      R"({"product": "Kuma", "version": "3.0.0", "hostname": "h", "instanceId": "i"})";
  std::unique_ptr<net::Server> server_;
};

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

class Kumactl : public testing::Test {
 protected:
  Kumactl() {
    std::string pattern = "/tmp/kumactl-test-XXXXXX";
    home_ = mkdtemp(pattern.data());
  }
  ~Kumactl() override { fs::remove_all(home_); }

  Outcome Call(std::vector<std::string> args, const std::string& input = "") {
    std::ostringstream out, err;
    std::istringstream in(input);
    const FixedClock clock;
    Environment environment{.out = out, .err = err, .in = in, .home = home_, .clock = clock};
    Outcome outcome;
    outcome.code = cli::Run(args, environment);
    outcome.out = out.str();
    outcome.err = err.str();
    return outcome;
  }
  // With a configuration that points to the fake control plane.
  Outcome CallServer(std::vector<std::string> args, const std::string& input = "") {
    WriteFile(
        home_ + "/server.yaml",
        base::Format("currentContext: t\ncontexts: [{{name: t, controlPlane: t}}]\n"
                     "controlPlanes: [{{name: t, coordinates: {{apiServer: {{url: '{}'}}}}}}]\n",
                     server_.url()));
    args.insert(args.begin(), {"--config-file", home_ + "/server.yaml"});
    return Call(std::move(args), input);
  }
  static void WriteFile(const fs::path& path, std::string_view text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  static std::string Read(const fs::path& path) {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  std::string home_;
  FakeControlPlane server_;
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
  EXPECT_EQ(
      base::ReplaceAll(CallServer({"get", "dataplane", "dp", "-oyaml", "-m", "default"}).out, "'",
                       "\""),
      "creationTime: \"0001-01-01T00:00:00Z\"\nlabels:\n  a: b\n  z: \"1\"\nmesh: default\n"
      "modificationTime: \"0001-01-01T00:00:00Z\"\nname: dp\nnetworking:\n  address: 1.2.3.4\n"
      "type: Dataplane\n");
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
  EXPECT_THAT(CallServer({"generate", "user-token", "--signing-key-path", "k"}).err,
              HasSubstr("not supported by this kumactl"));
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
  const Outcome add =
      Call({"config", "control-planes", "add", "--name", "y", "--address", "http://127.0.0.1:1"});
  EXPECT_EQ(add.code, 1);
  EXPECT_THAT(add.err, StartsWith("Error: could not connect to the Control Plane API Server"));
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

// Golden cases of Kuma's own kumactl.
class Conformance : public Kumactl {
 protected:
  // Skips, loudly, when the cases are not there.
  bool Find(std::string_view suite) {
    const char* root = std::getenv("KUMA_CONFORMANCE_DIR");
    const char* source = std::getenv("KUMA_SOURCE_DIR");
    folder_ = root != nullptr
                  ? fs::path(root)
                  : fs::path(source != nullptr ? source : ".") / "../shared/conformance";
    if (!fs::exists(folder_ / "golden" / suite))
      folder_ = folder_ / suite;
    else
      folder_ = folder_ / "golden" / suite;
    if (fs::exists(folder_)) return true;
    std::fprintf(stderr, "SKIPPED: no conformance cases at %s\n", folder_.c_str());
    return false;
  }
  void Check(const std::string& name, const std::string& got, const std::string& want) {
    ++total_;
    EXPECT_EQ(got, want) << name;
    if (got == want) ++passed_;
  }
  void Report(std::string_view suite) {
    std::printf("conformance %s: %d/%d\n", std::string(suite).c_str(), passed_, total_);
  }
  static std::string Canonical(const std::string& yaml) {
    const auto documents = model::ParseYaml(yaml);
    if (!documents.has_value()) return documents.error().message();
    return documents->empty() ? "{}" : model::ToJson(model::Sorted(documents->front()), 1);
  }

  fs::path folder_;
  int passed_ = 0, total_ = 0;
};

std::vector<fs::path> FilesEndingIn(const fs::path& folder, std::string_view ending) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().ends_with(ending)) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

TEST_F(Conformance, Config) {
  if (!Find("kumactl-config")) GTEST_SKIP();
  for (const std::string action : {"add", "remove", "switch"}) {
    const auto cases = model::ParseJson(Read(folder_ / (action + ".cases.json")));
    if (!cases.has_value()) continue;
    for (const Value& item : *cases->if_array()) {
      const std::string golden = TextOf(item, "goldenFile");
      fs::copy_file(folder_ / TextOf(item, "configFile"), home_ + "/config",
                    fs::copy_options::overwrite_existing);
      std::vector<std::string> args = {"--config-file", home_ + "/config", "config",
                                       "control-planes", action};
      // The cases speak of one control plane.
      args.insert(args.end(), {"--name", "example"});
      if (action == "add") {
        args.insert(args.end(), {"--address", "http://placeholder-address", "--ca-cert-file",
                                 "/tmp/ca-cert.pem", "--client-cert-file", "/tmp/client.cert.pem",
                                 "--client-key-file", "/tmp/client.key.pem", "--skip-check"});
        const Value* overwrite = item.Find("overwrite");
        if (overwrite != nullptr && overwrite->if_bool() != nullptr && *overwrite->if_bool()) {
          args.emplace_back("--overwrite");
        }
        const Value* extra = item.Find("extraArgs");
        if (extra != nullptr && extra->if_array() != nullptr) {
          for (const Value& arg : *extra->if_array()) args.push_back(*arg.if_string());
        }
      }
      const Outcome outcome = Call(args);
      Check(golden + " stdout", std::string(base::Trim(outcome.out)),
            std::string(base::Trim(TextOf(item, "expectedOut"))));
      Check(golden, Canonical(Read(home_ + "/config")), Canonical(Read(folder_ / golden)));
    }
  }
  for (const auto& [name, ending] :
       {std::pair{"view", "yaml"}, std::pair{"control-planes-list", "txt"}}) {
    const std::string stem = base::Format("config-{}", name);
    if (!fs::exists(folder_ / (stem + ".config.yaml"))) continue;
    fs::copy_file(folder_ / (stem + ".config.yaml"), home_ + "/config",
                  fs::copy_options::overwrite_existing);
    std::vector<std::string> args = {"--config-file", home_ + "/config", "config"};
    if (std::string(name) == "view") {
      args.emplace_back("view");
    } else {
      args.insert(args.end(), {"control-planes", "list"});
    }
    const std::string want = Read(folder_ / (stem + ".golden." + ending));
    Check(stem, std::string(base::Trim(Call(args).out)), std::string(base::Trim(want)));
  }
  Report("kumactl-config");
}

TEST_F(Conformance, Apply) {
  if (!Find("kumactl-apply")) GTEST_SKIP();
  for (const fs::path& input : FilesEndingIn(folder_, ".input.yaml")) {
    const std::string stem =
        input.filename().string().substr(0, input.filename().string().size() - 11);
    FakeControlPlane fresh;
    WriteFile(
        home_ + "/c.yaml",
        base::Format("currentContext: t\ncontexts: [{{name: t, controlPlane: t}}]\n"
                     "controlPlanes: [{{name: t, coordinates: {{apiServer: {{url: '{}'}}}}}}]\n",
                     fresh.url()));
    const Outcome outcome =
        Call({"--config-file", home_ + "/c.yaml", "apply", "-f", input.string()});
    const auto want = [&](const std::string& ending) {
      return std::string(base::Trim(Read(folder_ / (stem + ".golden." + ending))));
    };
    Check(stem + " stdout", std::string(base::Trim(outcome.out)), want("stdout.txt"));
    Check(stem + " stderr", std::string(base::Trim(outcome.err)), want("stderr.txt"));
    // What the server makes of it (KRIs, dropped fields) is not kumactl's; how many arrive is.
    const std::string store = want("store.yaml");
    size_t resources = 0;
    for (const std::string& line : base::Split(store, '\n')) resources += line == "---" ? 1 : 0;
    Check(stem + " store", base::Format("{}", fresh.size()), base::Format("{}", resources));
  }
  Report("kumactl-apply");
}

TEST_F(Conformance, Get) {
  if (!Find("kumactl-get")) GTEST_SKIP();
  // The server's answers are the JSON goldens; the other formats must follow from them.
  for (const fs::path& input : FilesEndingIn(folder_ / "list", ".golden.json")) {
    const std::string name = input.filename().string();
    const std::string type = name.substr(4, name.size() - 4 - 12);
    const std::string json = Read(input);
    for (const std::string format : {"table", "json", "yaml"}) {
      server_.AnswerNext(200, json);
      const Outcome outcome = CallServer({"get", type, "-o" + format});
      const std::string ending = format == "table" ? "txt" : format;
      const std::string want = Read(folder_ / "list" / ("get-" + type + ".golden." + ending));
      // Which quotes YAML uses is not compared.
      Check("list " + type + " " + format,
            base::ReplaceAll(std::string(base::Trim(outcome.out)), "'", "\""),
            base::ReplaceAll(std::string(base::Trim(want)), "'", "\""));
    }
    auto page = *model::ParseJson(json);
    page.if_object()->Find("items")->if_array()->resize(1);
    page.if_object()->Set("next", "http://localhost:5681/x?offset=1&size=1");
    server_.AnswerNext(200, model::ToJson(page));
    const Outcome outcome = CallServer({"get", type, "-otable", "--size", "1"});
    Check("page " + type, std::string(base::Trim(outcome.out)),
          std::string(
              base::Trim(Read(folder_ / "list" / ("get-" + type + ".pagination.golden.txt")))));
  }
  for (const fs::path& input : FilesEndingIn(folder_ / "get", ".golden.json")) {
    const std::string name = input.filename().string();
    const std::string type = name.substr(4, name.size() - 4 - 12);
    const std::string json = Read(input);
    for (const std::string format : {"table", "json", "yaml"}) {
      server_.AnswerNext(200, json);
      const Outcome outcome = CallServer({"get", type, "x", "-o" + format});
      const std::string want = Read(
          folder_ / "get" / ("get-" + type + ".golden." + (format == "table" ? "txt" : format)));
      if (format == "yaml") {
        Check("get " + type + " yaml", Canonical(outcome.out), Canonical(want));
      } else {
        Check("get " + type + " " + format, std::string(base::Trim(outcome.out)),
              std::string(base::Trim(want)));
      }
    }
  }
  Report("kumactl-get");
}

TEST_F(Conformance, Output) {
  if (!Find("kumactl-output")) GTEST_SKIP();
  const auto table = [&](const std::string& name, const Table& value) {
    const fs::path file = folder_ / "table/testdata" / (name + ".golden.txt");
    if (!fs::exists(file)) return;
    std::ostringstream out;
    value.Print(out);
    Check(name, out.str(), Read(file));
  };
  table("empty", {});
  table("header", {.headers = {"MESH", "NAME"}, .rows = {}, .footer = ""});
  table("header-and-1-row",
        {.headers = {"MESH", "NAME"}, .rows = {{"default", "example"}}, .footer = ""});
  for (const auto& [format, ending] :
       {std::pair{OutputFormat::kJson, "json"}, std::pair{OutputFormat::kYaml, "yaml"}}) {
    const fs::path file = folder_ / ending / "testdata" / (std::string("nil.golden.") + ending);
    if (!fs::exists(file)) continue;
    std::ostringstream out;
    PrintValue(Value(), format, out);
    Check(std::string("nil ") + ending, std::string(base::Trim(out.str())),
          std::string(base::Trim(Read(file))));
  }
  Report("kumactl-output");
}

}  // namespace
}  // namespace kuma::cli

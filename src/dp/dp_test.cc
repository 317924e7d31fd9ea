// Settings, requests and files of kuma-dp, and the whole program with a real
// Envoy and a control plane that serves a fixed bootstrap.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <regex>
#include <thread>

#include "base/format.h"
#include "base/strings.h"
#include "dp/bootstrap.h"
#include "dp/files.h"
#include "dp/kuma_dp.h"
#include "dp/otel_env.h"
#include "dp/process.h"
#include "dp/proxy.h"
#include "dp/settings.h"
#include "dp/transparent_proxy.h"
#include "model/value.h"
#include "net/client.h"
#include "net/server.h"

extern char** environ;

namespace kuma::dp {
namespace {

namespace fs = std::filesystem;
using model::Array;
using model::Object;
using model::Value;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

Environment Variable(std::map<std::string, std::string> values) {
  return [values = std::move(values)](std::string_view name) -> std::optional<std::string> {
    const auto found = values.find(std::string(name));
    return found == values.end() ? std::nullopt : std::optional(found->second);
  };
}

std::string Read(const fs::path& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string TextOf(const Value& object, std::string_view key) {
  const Value* value = object.Find(key);
  return value != nullptr && value->if_string() != nullptr ? *value->if_string() : "";
}

class TempFolder {
 public:
  TempFolder() {
    std::string pattern = "/tmp/kuma-dp-test-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TempFolder() { fs::remove_all(path_); }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(SettingsTest, LaterSourcesWin) {
  Settings settings;
  ASSERT_TRUE(LoadSettings(settings,
                           "dataplane: {name: a, mesh: m, drainTime: 10s}\ndns: {enabled: false}\n",
                           Variable({{"KUMA_DATAPLANE_NAME", "b"}, {"KUMA_READINESS_PORT", "9"}}))
                  .has_value());
  EXPECT_EQ(settings.name, "b");
  EXPECT_EQ(settings.mesh, "m");
  EXPECT_EQ(settings.drain_time.value, seconds(10));
  EXPECT_FALSE(settings.dns_enabled);
  EXPECT_TRUE(settings.IsGiven("dataplane.readinessPort"));
  EXPECT_FALSE(settings.IsGiven("dns.proxyPort"));
}

TEST(SettingsTest, NamesWhatIsWrong) {
  Settings settings;
  EXPECT_EQ(LoadSettings(settings, "dataplane: {nam: a}", Variable({})).error().message(),
            "unknown key dataplane.nam");
  EXPECT_EQ(
      LoadSettings(settings, "", Variable({{"KUMA_DATAPLANE_DRAIN_TIME", "x"}})).error().message(),
      "KUMA_DATAPLANE_DRAIN_TIME: \"x\" is not a duration such as 30s or 5m");
  settings.name = "$(POD_NAME)";
  settings.cp_url = "invalid-url";
  const model::Violations violations = ValidateSettings(settings);
  EXPECT_THAT(violations.ToString(),
              HasSubstr("controlPlane.url: must be an absolute http or https URL"));
  EXPECT_THAT(violations.ToString(), HasSubstr("dataplane.name: holds names of variables"));
  EXPECT_EQ(HowToSet("controlPlane.caCertFile"),
            "--ca-cert-file or KUMA_CONTROL_PLANE_CA_CERT_FILE");
}

TEST(ProxyTest, FillsTheTemplate) {
  TempFolder folder;
  ASSERT_TRUE(
      WriteFile(folder / "dp.yaml",
                "type: Dataplane\nname: {{ name }}\nlabels: {app: '{{APP}}'}\n"
                "networking:\n  address: 127.0.0.1\n  inbound: [{port: 80}]\n# {{ nowhere }}\n")
          .has_value());
  Settings settings;
  settings.resource_path = folder / "dp.yaml";
  settings.resource_vars = {{"name", "web"}};
  std::vector<uint16_t> taken;
  const auto proxy =
      LoadProxy(settings, Variable({{"APP", "shop"}, {"name", "not this"}}),
                [&](const std::string&, const std::vector<uint16_t>& ports) -> uint16_t {
                  taken = ports;
                  return 23456;
                });
  ASSERT_TRUE(proxy.has_value()) << proxy.error().message();
  EXPECT_EQ(proxy->mesh, "default");
  EXPECT_EQ(proxy->name, "web");
  EXPECT_EQ(taken, std::vector<uint16_t>{80});
  EXPECT_EQ(
      proxy->resource,
      R"({"type":"Dataplane","mesh":"default","name":"web","creationTime":"0001-01-01T00:00:00Z",)"
      R"("modificationTime":"0001-01-01T00:00:00Z","labels":{"app":"shop"},"kri":"kri_dp_default___web_",)"
      R"("networking":{"address":"127.0.0.1","inbound":[{"port":80}],"admin":{"port":23456}}})");
  EXPECT_EQ(proxy->notes.size(), 2u);
}

TEST(ProxyTest, NamesFileAndFlag) {
  Settings settings;
  settings.resource_path = "/nowhere/dp.yaml";
  EXPECT_THAT(LoadProxy(settings, Variable({}), FindFreePort).error().message(),
              testing::AllOf(HasSubstr("/nowhere/dp.yaml"), HasSubstr("--dataplane-file")));
  settings.token_path = "/nowhere/token";
  EXPECT_THAT(LoadToken(settings).error().message(),
              testing::AllOf(HasSubstr("/nowhere/token"), HasSubstr("--dataplane-token-file")));
  settings.resource_path.clear();
  settings.resource = "type: Dataplane\nname: a\nmesh: m\n";
  settings.name = "b";
  EXPECT_THAT(LoadProxy(settings, Variable({}), FindFreePort).error().message(),
              HasSubstr("--name is \"b\""));
}

TEST(ProxyTest, KeepsTheAdminPortOfTheFile) {
  Settings settings;
  settings.resource =
      "type: Dataplane\nname: a\nmesh: m\nnetworking: {address: 1.1.1.1, admin: {port: 7}}\n";
  const auto proxy =
      LoadProxy(settings, Variable({}), [](const auto&, const auto&) -> uint16_t { return 1; });
  EXPECT_THAT(proxy->resource, HasSubstr("\"admin\":{\"port\":7}"));
  EXPECT_TRUE(proxy->notes.empty());
}

TEST(TransparentProxyTest, LaterFilesWin) {
  TempFolder folder;
  const auto input = [] { return base::Result<std::string>("redirect: {outbound: {port: 4}}"); };
  Settings settings;
  auto config = LoadTransparentProxy(settings, input);
  ASSERT_TRUE(config.has_value());
  EXPECT_FALSE(config->has_value());
  settings.transparent_proxy = true;
  config = LoadTransparentProxy(settings, input);
  ASSERT_TRUE(config.has_value() && config->has_value());
  EXPECT_EQ(model::ToJson(**config),
            R"({"ipFamilyMode":"dualstack","redirect":{"inbound":{"enabled":true,"port":15006},)"
            R"("outbound":{"enabled":true,"port":15001},"dns":{"enabled":true,"port":15053},)"
            R"("vnet":{}}})");

  settings.transparent_proxy = false;
  ASSERT_TRUE(WriteFile(folder / "a.yaml",
                        "kumaDPUser: x\nipFamilyMode: IPv4\nredirect:\n  inbound: {port: 1, "
                        "excludePorts: [22]}\n  outbound: {port: 2}\n  vnet: {networks: "
                        "['docker0:172.17.0.0/16']}\n")
                  .has_value());
  ASSERT_TRUE(WriteFile(folder / "b.yaml", "redirect: {inbound: {enabled: false}}").has_value());
  const Setting* row = nullptr;
  const std::vector<Setting> table = SettingsTable(settings);
  for (const Setting& one : table) {
    if (one.flag == "transparent-proxy-config") row = &one;
  }
  ASSERT_NE(row, nullptr);
  ASSERT_TRUE(SetFromText(settings, *row,
                          std::string(folder / "a.yaml") + ", " + std::string(folder / "b.yaml"))
                  .has_value());
  ASSERT_TRUE(SetFromText(settings, *row, "-").has_value());
  config = LoadTransparentProxy(settings, input);
  ASSERT_TRUE(config.has_value()) << config.error().message();
  EXPECT_EQ(model::ToJson(**config),
            R"({"ipFamilyMode":"ipv4","redirect":{"inbound":{"enabled":false,"port":1},)"
            R"("outbound":{"enabled":true,"port":4},"dns":{"enabled":true,"port":15053},)"
            R"("vnet":{"networks":["docker0:172.17.0.0/16"]}}})");
  EXPECT_THAT(Features(settings),
              testing::Contains("feature-transparent-proxy-in-dataplane-metadata"));
}

TEST(TransparentProxyTest, NamesFileAndField) {
  TempFolder folder;
  const auto error_of = [&](const char* yaml) {
    Settings settings;
    settings.transparent_proxy_config = {folder / "t.yaml"};
    EXPECT_TRUE(WriteFile(folder / "t.yaml", yaml).has_value());
    const auto config =
        LoadTransparentProxy(settings, [] { return base::Result<std::string>(std::string()); });
    return config.has_value() ? std::string() : config.error().message();
  };
  EXPECT_THAT(
      error_of("redirect: {inbound: {port: 70000}}"),
      testing::AllOf(HasSubstr("t.yaml"), HasSubstr("redirect.inbound.port: must be a port")));
  EXPECT_THAT(error_of("ipFamilyMode: ipv6"), HasSubstr("ipFamilyMode: must be one of"));
  EXPECT_THAT(error_of("redirect: {outbound: {enabled: 3}}"),
              HasSubstr("redirect.outbound.enabled: must be true or false"));
  EXPECT_THAT(error_of("a: ["), HasSubstr("t.yaml"));
  Settings settings;
  settings.transparent_proxy_config = {"/nowhere/t.yaml"};
  EXPECT_THAT(
      LoadTransparentProxy(settings, [] { return base::Result<std::string>(""); })
          .error()
          .message(),
      testing::AllOf(HasSubstr("/nowhere/t.yaml"), HasSubstr("--transparent-proxy-config")));
}

TEST(CaTest, IsFoundOnTheSameHost) {
  TempFolder folder;
  Settings settings;
  const auto environment = Variable({{"KUMA_GENERAL_WORK_DIR", folder.path()}});
  EXPECT_THAT(FindCa(settings, environment)->source,
              HasSubstr("there is no file " + (folder / "kuma-cp.crt")));
  ASSERT_TRUE(WriteFile(folder / "kuma-cp.crt", "PEM").has_value());
  EXPECT_EQ(FindCa(settings, environment)->pem, "PEM");
  settings.cp_url = "https://kuma.example:5678";
  EXPECT_EQ(FindCa(settings, environment)->pem, "");
  settings.ca_cert_file = "/nowhere/ca.crt";
  EXPECT_THAT(FindCa(settings, environment).error().message(),
              testing::AllOf(HasSubstr("/nowhere/ca.crt"), HasSubstr("--ca-cert-file")));
  EXPECT_TRUE(IsThisHost("127.0.0.1"));
  EXPECT_TRUE(IsThisHost("::1"));
  EXPECT_FALSE(IsThisHost("203.0.113.1"));
  EXPECT_EQ(DefaultCaFile(Variable({{"HOME", "/home/x"}})), "/home/x/.kuma/kuma-cp.crt");
}

TEST(BootstrapTest, ParsesVersions) {
  const auto version =
      ParseEnvoyVersion("\n/x/envoy  version: abc/1.40.0/Clean/RELEASE/BoringSSL\n\n");
  ASSERT_TRUE(version.has_value());
  EXPECT_EQ(version->version, "1.40.0");
  EXPECT_EQ(version->build, "abc/1.40.0/Clean/RELEASE/BoringSSL");
  EXPECT_TRUE(version->compatible);
  EXPECT_FALSE(ParseEnvoyVersion("x version: abc/1.15.0/Clean")->compatible);
  EXPECT_FALSE(ParseEnvoyVersion("GNU bash").has_value());
}

TEST(BootstrapTest, FindsTheAdminServer) {
  EXPECT_EQ((*FindAdmin("admin: {address: {pipe: {path: /a.sock}}}"))->unix_socket, "/a.sock");
  const auto tcp =
      *FindAdmin("admin: {address: {socketAddress: {address: 127.0.0.1, portValue: 9901}}}");
  EXPECT_EQ(tcp->host, "127.0.0.1");
  EXPECT_EQ(tcp->port, 9901);
  EXPECT_FALSE((*FindAdmin("node: {}")).has_value());
}

TEST(BootstrapTest, TellsOfTheReceiverOfOpenTelemetry) {
  Settings settings;
  BootstrapInput input;
  EXPECT_THAT(Features(settings), testing::Contains("feature-otel-via-kuma-dp"));
  EXPECT_EQ(BootstrapRequest(settings, input).Find("otelEnv"), nullptr);
  input.otel_env = OtelInventory(
      ReadOtelEnvironment(Variable({{"OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret"}})),
      true);
  EXPECT_EQ(model::ToJson(*BootstrapRequest(settings, input).Find("otelEnv")),
            R"({"pipeEnabled":true,"shared":{"headersPresent":true,"signal":"shared",)"
            R"("effectiveAuthMode":"headers"}})");
  ASSERT_TRUE(
      LoadSettings(settings, "", Variable({{"KUMA_DATAPLANE_RUNTIME_OTEL_PIPE_ENABLED", "false"}}))
          .has_value());
  EXPECT_THAT(Features(settings), Not(testing::Contains("feature-otel-via-kuma-dp")));
}

TEST(BootstrapTest, AnchorsTheSlowStatsTag) {
  EXPECT_EQ(WithAnchoredStatsTags("- regex: ((.+?)\\.)rbac\\.\n- regex: (worker_([0-9]+)\\.)\n"),
            "- regex: ^((.+?)\\.)rbac\\.\n- regex: (worker_([0-9]+)\\.)\n");
  EXPECT_EQ(WithAnchoredStatsTags(R"({"regex":"((.+?)\\.)rbac\\."})"),
            R"({"regex":"^((.+?)\\.)rbac\\."})");
  const std::string anchored = R"({"regex":"^((.+?)\\.)rbac\\."})";
  EXPECT_EQ(WithAnchoredStatsTags(anchored), anchored);
  EXPECT_EQ(WithAnchoredStatsTags("admin: {}\n"), "admin: {}\n");

  // What Envoy does with a tag: the first group leaves the name, the second is the value.
  const std::regex as_sent(R"(((.+?)\.)rbac\.)");
  const std::regex ours(R"(^((.+?)\.)rbac\.)");
  for (const std::string name :
       {"self_inbound_dp_http.rbac.allowed", "a.b.rbac.c.rbac.denied", "rbac.allowed", ".rbac.x",
        "..rbac.x", "cluster.kri_msvc_default__zone_backend_http.upstream_rq_total", ""}) {
    std::smatch before;
    std::smatch after;
    ASSERT_EQ(std::regex_search(name, before, as_sent), std::regex_search(name, after, ours));
    ASSERT_EQ(before.size(), after.size()) << name;
    for (size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(before.position(i), after.position(i)) << name;
      EXPECT_EQ(before.str(i), after.str(i)) << name;
    }
  }
}

TEST(BootstrapTest, ReadsRefusals) {
  EXPECT_EQ(RefusalText({.status = 422, .headers = {}, .body = "missing token\n"}),
            "missing token (422)");
  EXPECT_EQ(RefusalText({.status = 400,
                         .headers = {},
                         .body = R"({"title": "T", "detail": "D", "hint": "H", "invalid_parameters":
                                  [{"field": "f", "reason": "r", "hint": "h"}]})"}),
            "T: D; f: r (h); H (400)");
  EXPECT_EQ(RefusalText({.status = 503, .headers = {}, .body = ""}), "Service Unavailable (503)");
}

TEST(BootstrapTest, CountsInboundConnections) {
  EXPECT_EQ(
      CountInboundConnections("listener.admin.downstream_cx_active: 1\n"
                              "listener.self_inbound_dp_http.downstream_cx_active: 2\n"
                              "listener.self_inbound_dp_http.worker_0.downstream_cx_active: 2\n"
                              "listener.self_zoneingress_dp_x.downstream_cx_active: 3\n"
                              "listener.kri_msvc_a_b_c_d_80.downstream_cx_active: 9\n"),
      5u);
}

TEST(FilesTest, FindsPortsAndPrograms) {
  const uint16_t port = FindFreePort("127.0.0.1", {});
  EXPECT_NE(FindFreePort("127.0.0.1", {port}), port);
  EXPECT_TRUE(FindProgram("sh", "/nowhere:/bin").has_value());
  EXPECT_THAT(FindProgram("nothing-like-it", "/bin").error().message(), HasSubstr("PATH"));
  std::string path;
  {
    const auto folder = WorkFolder::Make("");
    path = folder->path();
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(ProcessTest, RunsAndReports) {
  EXPECT_EQ(*RunForOutput("/bin/sh", {"-c", "echo a; echo b"}), "a\nb\n");
  EXPECT_THAT(RunForOutput("/bin/sh", {"-c", "exit 3"}).error().message(), HasSubstr("code 3"));
}

TEST(ProcessTest, KindsOfEnvoyLines) {
  EXPECT_EQ(KindOfEnvoyLine("[2026-11-25 23:05:38.858][257][warning][upstream] "
                            "[source/common/upstream/h.cc:349] x [y]"),
            "[warning][upstream] [source/common/upstream/h.cc:349]");
  EXPECT_EQ(
      KindOfEnvoyLine("[2026-11-25 23:05:38.858][257][info][main] [source/server/server.cc:463] x"),
      "");
  EXPECT_EQ(KindOfEnvoyLine("[2026-11-25T10:00:00Z] \"GET /[warning][x] [source/y] HTTP/1.1\" 200"),
            "");
  EXPECT_EQ(KindOfEnvoyLine("[2026-11-25 23:05:38.858][257][warning][upstream] no source"), "");
  EXPECT_EQ(KindOfEnvoyLine(""), "");
}

TEST(ProcessTest, RepeatedWarningsOfEnvoyAreCounted) {
  int in[2];
  int out[2];
  ASSERT_EQ(pipe2(in, O_NONBLOCK), 0);
  ASSERT_EQ(pipe2(out, O_NONBLOCK), 0);
  std::string sent;
  std::string expected;
  for (int i = 0; i < 30; ++i) {
    const std::string warning =
        base::Format("[t][1][warning][config] [source/a.cc:1] away {}\n", i);
    const std::string plain = base::Format("plain {}\n", i);
    sent += warning + plain;
    expected += (i < 5 ? warning : "") + plain;
  }
  net::EventLoops loops(1, "test");
  std::unique_ptr<LineCopier> copier;
  loops.at(0).RunAndWait(
      [&] { copier = std::make_unique<LineCopier>(loops.at(0), in[0], out[1]); });
  // In pieces that cut lines.
  for (size_t at = 0; at < sent.size(); at += 7) {
    const std::string piece = sent.substr(at, 7);
    ASSERT_EQ(write(in[1], piece.data(), piece.size()), static_cast<ssize_t>(piece.size()));
    loops.at(0).RunAndWait([] {});
  }
  loops.at(0).RunAndWait([&] {
    copier->Close();
    copier.reset();
  });
  std::string got(64 << 10, '\0');
  const ssize_t size = read(out[0], got.data(), got.size());
  ASSERT_GT(size, 0);
  got.resize(static_cast<size_t>(size));
  EXPECT_EQ(got, expected);
  for (const int fd : {in[1], out[0], out[1]}) close(fd);
}

// The whole program. The child is this test program, running the one disabled test below.

TEST(DISABLED_KumaDp, Main) {
  const char* line = std::getenv("KUMA_DP_TEST_ARGS");
  if (line == nullptr) GTEST_SKIP();
  const int code = dp::Run(base::Split(line, '\n'), [](std::string_view name) {
    const char* value = std::getenv(std::string(name).c_str());
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
  });
  std::fflush(nullptr);
  _exit(code);
}

class RunningKumaDp {
 public:
  RunningKumaDp(const std::vector<std::string>& args, std::map<std::string, std::string> variables,
                std::string log)
      : log_(std::move(log)) {
    variables["KUMA_DP_TEST_ARGS"] = base::Join(args, "\n");
    std::vector<std::string> environment;
    for (char** item = environ; *item != nullptr; ++item) {
      if (!variables.contains(base::Split(*item, '=').front())) environment.emplace_back(*item);
    }
    for (const auto& [key, value] : variables) environment.push_back(key + "=" + value);
    std::vector<std::string> words = {"kuma-dp", "--gtest_filter=DISABLED_KumaDp.Main",
                                      "--gtest_also_run_disabled_tests"};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, log_.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                     0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, Pointers(words).data(),
                Pointers(environment).data());
    posix_spawn_file_actions_destroy(&actions);
  }
  ~RunningKumaDp() {
    if (pid_ > 0 && !code_) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  pid_t pid() const { return pid_; }
  std::string log() const { return Read(log_); }
  void Signal(int signal) const { kill(pid_, signal); }
  // The exit code, or nothing if it still runs.
  std::optional<int> Wait(milliseconds time) {
    for (const auto end = std::chrono::steady_clock::now() + time; !code_;) {
      int status = 0;
      if (waitpid(pid_, &status, WNOHANG) == pid_) {
        code_ = ExitCode(status);
      } else if (std::chrono::steady_clock::now() > end) {
        break;
      } else {
        std::this_thread::sleep_for(milliseconds(20));
      }
    }
    return code_;
  }
  // Envoy, its only child.
  pid_t EnvoyPid() const {
    for (const auto& task : fs::directory_iterator(base::Format("/proc/{}/task", pid_))) {
      const auto pid = base::ParseInt(base::Trim(Read(task.path() / "children")));
      if (pid) return static_cast<pid_t>(*pid);
    }
    return -1;
  }

 private:
  static std::vector<char*> Pointers(std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    return pointers;
  }
  std::string log_;
  pid_t pid_ = -1;
  std::optional<int> code_;
};

template <class Condition>
bool Eventually(const Condition& condition, milliseconds time = seconds(20)) {
  for (const auto end = std::chrono::steady_clock::now() + time;
       std::chrono::steady_clock::now() < end;) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(50));
  }
  return false;
}

std::string GetBody(uint16_t port, std::string_view path) {
  net::ClientOptions options;
  options.connect_timeout = options.request_timeout = seconds(2);
  const auto answer = net::Fetch(
      *net::MakeRequest("GET", base::Format("http://127.0.0.1:{}{}", port, path)), options);
  return answer.has_value() ? base::Format("{} {}", answer->status, base::Trim(answer->body))
                            : answer.error().message();
}

class EndToEnd : public testing::Test {
 protected:
  void SetUp() override {
    const char* envoy = std::getenv("KUMA_ENVOY");
    if (envoy == nullptr || access(envoy, X_OK) != 0) {
      std::fprintf(stderr, "SKIPPED: no Envoy (KUMA_ENVOY)\n");
      GTEST_SKIP();
    }
    envoy_ = envoy;
    inbound_port_ = FindFreePort("127.0.0.1", {});
  }

  void StartControlPlane(bool tls = false) {
    net::ServerOptions options;
    if (tls) {
      const auto pair = *net::MakeSelfSigned({"localhost", "127.0.0.1"});
      options.tls.emplace();
      options.tls->certificate.cert_pem = pair.cert_pem;
      options.tls->certificate.key_pem = pair.key_pem;
      certificate_ = pair.cert_pem;
    }
    server_ = *net::Server::Start(loops_, options,
                                  [this](net::HttpRequest request, net::HttpResponder responder) {
                                    std::lock_guard lock(mutex_);
                                    responder.Send(Answer(request));
                                  });
  }

  net::HttpResponse Answer(const net::HttpRequest& request) {
    paths_.push_back(request.path);
    const auto body = model::ParseJson(request.body);
    if (request.path == "/drain") {
      drain_ = body.has_value() ? *body : Value();
      return {.status = drain_status_, .headers = {}, .body = ""};
    }
    if (request.path != "/bootstrap") return {.status = 404, .headers = {}, .body = ""};
    request_ = body.has_value() ? *body : Value();
    if (refusal_) return *refusal_;
    const Object reply{{"bootstrap", base::EncodeBase64(EnvoyConfig(TextOf(request_, "workdir")))}};
    return {.status = 200,
            .headers = {{"content-type", "application/json"}},
            .body = model::ToJson(reply)};
  }

  std::string EnvoyConfig(const std::string& folder) const {
    return base::Format(R"(
admin: {{address: {{pipe: {{path: {}/kuma-envoy-admin.sock}}}}}}
static_resources:
  listeners:
  - name: self_inbound_dp_http
    stat_prefix: self_inbound_dp_http
    traffic_direction: INBOUND
    address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: self_inbound_dp_http
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, direct_response: {{status: 200, body: {{inline_string: hello}}}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
)",
                        folder, inbound_port_);
  }

  std::unique_ptr<RunningKumaDp> Start(std::vector<std::string> more = {},
                                       std::map<std::string, std::string> variables = {}) {
    std::vector<std::string> args = {
        "run",
        "--cp-address",
        server_->url(),
        "--binary-path",
        envoy_,
        "--concurrency",
        "1",
        "--dataplane-token",
        "t.o.k",
        "--dataplane",
        base::Format("{{type: Dataplane, mesh: m, name: web, networking: {{address: "
                     "127.0.0.1, inbound: [{{port: {}}}]}}}}",
                     inbound_port_)};
    args.insert(args.end(), more.begin(), more.end());
    variables.try_emplace("HOME", folder_.path());
    variables.try_emplace("TMPDIR", folder_.path());
    return std::make_unique<RunningKumaDp>(args, std::move(variables),
                                           folder_ / base::Format("log{}", ++started_));
  }

  // The last ones that the control plane got.
  Value Request() {
    std::lock_guard lock(mutex_);
    return request_;
  }
  Value Drain() {
    std::lock_guard lock(mutex_);
    return drain_;
  }
  uint16_t ReadinessPort() {
    const Value request = Request();
    const Value* port = request.Find("readinessPort");
    return port != nullptr && port->if_int() != nullptr ? static_cast<uint16_t>(*port->if_int())
                                                        : 0;
  }
  bool WaitReady() {
    return Eventually(
        [&] { return ReadinessPort() != 0 && GetBody(ReadinessPort(), "/ready") == "200 LIVE"; });
  }
  size_t CountOf(std::string_view path) {
    std::lock_guard lock(mutex_);
    return static_cast<size_t>(std::ranges::count(paths_, path));
  }

  std::string envoy_;
  uint16_t inbound_port_ = 0;
  TempFolder folder_;
  int started_ = 0;
  std::mutex mutex_;
  std::vector<std::string> paths_;  // this and the next: GUARDED_BY(mutex_)
  Value request_, drain_;
  std::optional<net::HttpResponse> refusal_;
  int drain_status_ = 200;
  std::string certificate_;
  net::EventLoops loops_{1, "fake"};
  std::unique_ptr<net::Server> server_;
};

TEST_F(EndToEnd, ServesDrainsAndEnds) {
  StartControlPlane();
  const auto kuma_dp = Start();
  ASSERT_TRUE(WaitReady()) << kuma_dp->log();
  EXPECT_EQ(GetBody(inbound_port_, "/"), "200 hello");
  EXPECT_EQ(GetBody(ReadinessPort(), "/other").substr(0, 3), "404");
  EXPECT_EQ(TextOf(Request(), "mesh"), "m");
  EXPECT_EQ(TextOf(Request(), "name"), "web");
  EXPECT_EQ(TextOf(Request(), "dataplaneToken"), "t.o.k");
  EXPECT_THAT(TextOf(Request(), "dataplaneResource"), HasSubstr("\"admin\":{\"port\":"));
  const auto begin = std::chrono::steady_clock::now();
  kuma_dp->Signal(SIGTERM);
  EXPECT_EQ(kuma_dp->Wait(seconds(15)), 0) << kuma_dp->log();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(10))
      << "the drain time is 30s, but nobody is connected";
  EXPECT_EQ(Drain(), Value(Object{{"mesh", "m"}, {"name", "web"}, {"dataplaneToken", "t.o.k"}}));
  EXPECT_THAT(kuma_dp->log(), HasSubstr("no inbound connection is left"));
  EXPECT_THAT(kuma_dp->log(), HasSubstr("starting main dispatch loop"))
      << "Envoy's own log is forwarded";
}

TEST_F(EndToEnd, WaitsForOpenConnections) {
  StartControlPlane();
  const auto kuma_dp = Start();
  ASSERT_TRUE(WaitReady()) << kuma_dp->log();
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(inbound_port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  // An answer shows that Envoy has taken the connection.
  const std::string_view request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
  ASSERT_EQ(send(client, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  std::string answer;
  char bytes[512];
  while (answer.find("hello") == std::string::npos) {
    const ssize_t got = recv(client, bytes, sizeof bytes, 0);
    ASSERT_GT(got, 0) << answer;
    answer.append(bytes, static_cast<size_t>(got));
  }
  kuma_dp->Signal(SIGTERM);
  EXPECT_EQ(kuma_dp->Wait(seconds(3)), std::nullopt) << kuma_dp->log();
  EXPECT_EQ(GetBody(ReadinessPort(), "/ready"), "503 TERMINATING");
  close(client);
  EXPECT_EQ(kuma_dp->Wait(seconds(5)), 0) << kuma_dp->log();
}

TEST_F(EndToEnd, DrainsForTheWholeTimeWithoutConfirmation) {
  drain_status_ = 404;
  StartControlPlane();
  const auto kuma_dp = Start({"--drain-time", "3s"});
  ASSERT_TRUE(WaitReady()) << kuma_dp->log();
  kuma_dp->Signal(SIGINT);
  EXPECT_EQ(kuma_dp->Wait(seconds(2)), std::nullopt);
  EXPECT_EQ(kuma_dp->Wait(seconds(5)), 0);
  EXPECT_THAT(kuma_dp->log(), HasSubstr("the drain time is over"));
}

TEST_F(EndToEnd, SecondSignalStopsAtOnce) {
  drain_status_ = 404;
  StartControlPlane();
  const auto kuma_dp = Start();
  ASSERT_TRUE(WaitReady()) << kuma_dp->log();
  kuma_dp->Signal(SIGTERM);
  ASSERT_TRUE(Eventually([&] { return GetBody(ReadinessPort(), "/ready") == "503 TERMINATING"; }))
      << kuma_dp->log();
  kuma_dp->Signal(SIGTERM);
  EXPECT_EQ(kuma_dp->Wait(seconds(5)), 0) << kuma_dp->log();
}

TEST_F(EndToEnd, FindsTheSelfMadeCertificate) {
  StartControlPlane(true);
  const auto kuma_dp =
      Start({"--cp-address", base::Format("https://localhost:{}", server_->port())},
            {{"KUMA_CONTROL_PLANE_RETRY_BACKOFF", "300ms"}});
  ASSERT_TRUE(Eventually([&] { return kuma_dp->log().find("trying again") != std::string::npos; }));
  EXPECT_THAT(kuma_dp->log(),
              testing::AllOf(HasSubstr("--ca-cert-file"), HasSubstr(".kuma/kuma-cp.crt")));
  // The control plane comes to write it.
  fs::create_directories(folder_ / ".kuma");
  ASSERT_TRUE(WriteFile(folder_ / ".kuma/kuma-cp.crt", certificate_).has_value());
  ASSERT_TRUE(WaitReady()) << kuma_dp->log();
  EXPECT_EQ(TextOf(Request(), "caCert"), certificate_);
}

TEST_F(EndToEnd, EndsWithTheMessageOfARefusal) {
  refusal_ = net::HttpResponse{
      .status = 422, .headers = {}, .body = "authentication failed: wrong kind of token"};
  StartControlPlane();
  const auto kuma_dp = Start();
  EXPECT_EQ(kuma_dp->Wait(seconds(10)), 1);
  EXPECT_THAT(kuma_dp->log(),
              testing::AllOf(HasSubstr("wrong kind of token"),
                             HasSubstr("kumactl generate dataplane-token --mesh m --name web")));
  EXPECT_EQ(CountOf("/bootstrap"), 1u);
}

TEST_F(EndToEnd, EndsWhenAFileIsMissing) {
  StartControlPlane();
  const auto kuma_dp = Start({"--ca-cert-file", "/nowhere/ca.crt"});
  EXPECT_EQ(kuma_dp->Wait(seconds(10)), 1);
  EXPECT_THAT(kuma_dp->log(),
              testing::AllOf(HasSubstr("/nowhere/ca.crt"), HasSubstr("--ca-cert-file")));
}

TEST_F(EndToEnd, RetriesAndSaysWhyOnce) {
  refusal_ = net::HttpResponse{.status = 404, .headers = {}, .body = "no such dataplane"};
  StartControlPlane();
  const auto kuma_dp = Start({}, {{"KUMA_CONTROL_PLANE_RETRY_BACKOFF", "100ms"},
                                  {"KUMA_CONTROL_PLANE_RETRY_MAX_DURATION", "1s"}});
  EXPECT_EQ(kuma_dp->Wait(seconds(10)), 1);
  EXPECT_GE(CountOf("/bootstrap"), 3u);
  const std::string log = kuma_dp->log();
  EXPECT_EQ(log.find("trying again"), log.rfind("trying again")) << log;
  EXPECT_THAT(log, HasSubstr("within 1s: no such dataplane (404)"));
}

TEST_F(EndToEnd, EndsWithEnvoyAndTheOtherWayRound) {
  StartControlPlane();
  auto kuma_dp = Start();
  ASSERT_TRUE(WaitReady()) << kuma_dp->log();
  kill(kuma_dp->EnvoyPid(), SIGKILL);
  EXPECT_EQ(kuma_dp->Wait(seconds(5)), 128 + SIGKILL);

  kuma_dp = Start();
  ASSERT_TRUE(WaitReady()) << kuma_dp->log();
  const pid_t envoy = kuma_dp->EnvoyPid();
  ASSERT_GT(envoy, 0);
  kuma_dp->Signal(SIGKILL);
  EXPECT_EQ(kuma_dp->Wait(seconds(5)), 128 + SIGKILL);
  // Not "contains 200": the port in the text of a refused connection may.
  EXPECT_TRUE(Eventually([&] { return !GetBody(inbound_port_, "/").starts_with("200 "); }));
}

TEST_F(EndToEnd, TwoOnOneHostDoNotCollide) {
  StartControlPlane();
  const auto first = Start();
  ASSERT_TRUE(WaitReady()) << first->log();
  const uint16_t first_port = ReadinessPort();
  inbound_port_ = FindFreePort("127.0.0.1", {});
  const auto second = Start();
  ASSERT_TRUE(Eventually([&] { return ReadinessPort() != first_port; })) << second->log();
  ASSERT_TRUE(WaitReady()) << second->log();
  EXPECT_EQ(GetBody(first_port, "/ready"), "200 LIVE");
}

}  // namespace
}  // namespace kuma::dp

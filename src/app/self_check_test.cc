#include "app/self_check.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "app/server_settings.h"
#include "app/service_notify.h"
#include "base/format.h"
#include "net/event_loop.h"
#include "net/server.h"
#include "net/tls.h"
#include "resources/all.h"
#include "runtime/clock.h"
#include "store/sqlite/sqlite_store.h"

namespace kuma::app {
namespace {

namespace fs = std::filesystem;
using Level = Finding::Level;

class SelfCheckTest : public ::testing::Test {
 protected:
  SelfCheckTest() {
    std::string name = ::testing::TempDir() + "/kuma-check-XXXXXX";
    folder_ = mkdtemp(name.data());
    // Chosen at start: no test depends on what else listens here.
    variables_ = {{"KUMA_GENERAL_WORK_DIR", folder_},
                  {"KUMA_DIAGNOSTICS_SERVER_PORT", "0"},
                  {"KUMA_API_SERVER_HTTP_PORT", "0"},
                  {"KUMA_API_SERVER_HTTPS_PORT", "0"},
                  {"KUMA_DP_SERVER_PORT", "0"}};
  }
  ~SelfCheckTest() override { fs::remove_all(folder_); }

  std::vector<Finding> Run(const std::string& yaml = "") {
    const auto config =
        Config::Load(yaml, [this](const std::string& name) -> std::optional<std::string> {
          const auto found = variables_.find(name);
          return found == variables_.end() ? std::nullopt : std::optional(found->second);
        });
    return CheckSelf(config, yaml.empty() ? "" : "kuma-cp.yaml");
  }
  // The first finding whose subject begins so.
  Finding Of(const std::vector<Finding>& findings, const std::string& what) {
    for (const Finding& finding : findings) {
      if (finding.what.starts_with(what)) return finding;
    }
    ADD_FAILURE() << "no finding about " << what << " in\n" << ToText(findings);
    return {};
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }

  std::string folder_;
  std::map<std::string, std::string> variables_;
};

TEST(Supported, NetworksAreChecked) {
  const auto error_of = [](const std::string& yaml) {
    const auto config = Config::Load(yaml, [](const std::string&) { return std::nullopt; });
    const base::Status supported = CheckSupported(*config);
    return supported.has_value() ? std::string() : supported.error().message();
  };
  EXPECT_EQ(error_of("ipam: {meshService: {cidr: 127.2.0.0/16}, knownInternalCIDRs: [fd00::/8]}"),
            "");
  for (const std::string range : {"127.2.0.0", "127.2.0.0/31", "fd00::/8", "x/8"}) {
    EXPECT_EQ(error_of("ipam: {meshService: {cidr: " + range + "}}"),
              "ipam.meshService.cidr: must be an IPv4 range such as 241.0.0.0/8")
        << range;
  }
  EXPECT_EQ(error_of("ipam: {knownInternalCIDRs: [10.0.0.0/8, here]}"),
            "ipam.knownInternalCIDRs: \"here\" is not a range such as 10.0.0.0/8");
}

TEST_F(SelfCheckTest, AFreshHostIsFine) {
  const auto findings = Run();
  EXPECT_NE(WorstOf(findings), Level::kFail) << ToText(findings);
  EXPECT_EQ(Of(findings, "store").message, folder_ + "/kuma.db is made at start");
  EXPECT_EQ(Of(findings, "certificate (api-tls, dp)").message,
            folder_ + "/kuma-cp.crt is made at start");
  EXPECT_TRUE(fs::is_empty(folder_)) << "a check makes nothing";
}

TEST_F(SelfCheckTest, FaultsOfTheConfigurationNameTheirKeys) {
  const auto findings = Run("apiServer: {http: {port: web}, bogus: 1}");
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].level, Level::kFail);
  EXPECT_NE(findings[0].message.find(
                "kuma-cp.yaml: configuration: apiServer.http.port: must be a number"),
            std::string::npos)
      << findings[0].message;
  const Finding unknown = Of(Run("apiServer: {bogus: 1}"), "configuration");
  EXPECT_EQ(unknown.level, Level::kWarn);
  EXPECT_NE(unknown.message.find("apiServer.bogus"), std::string::npos);
  EXPECT_EQ(Of(Run("store: {type: etcd}"), "configuration").level, Level::kFail);
}

TEST_F(SelfCheckTest, APortInUseNamesWhoHasItAndTheWayOut) {
  net::EventLoops loops(1, "test");
  const auto server = net::Server::Start(
      loops, {.name = "other", .address = "", .port = 0, .tls = {}, .limits = {}}, nullptr);
  ASSERT_TRUE(server);
  const uint16_t port = (*server)->port();
  const auto holder = HolderOfPort(port);
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->pid, getpid());
  EXPECT_EQ(holder->program, "app_test");

  variables_["KUMA_DP_SERVER_PORT"] = std::to_string(port);
  const Finding finding = Of(Run(), base::Format("port {}", port));
  EXPECT_EQ(finding.level, Level::kFail);
  EXPECT_EQ(finding.message, base::Format("in use by app_test (process {})", getpid()));
  EXPECT_EQ(finding.way_out,
            "end that program, or choose another port: dpServer.port (KUMA_DP_SERVER_PORT)");
}

TEST_F(SelfCheckTest, AWorkDirectoryMustBeAFolder) {
  Write("file", "");
  variables_["KUMA_GENERAL_WORK_DIR"] = folder_ + "/file/below";
  const Finding finding = Of(Run(), "work directory");
  EXPECT_EQ(finding.level, Level::kFail);
  EXPECT_EQ(finding.message, folder_ + "/file is not a folder");
}

TEST_F(SelfCheckTest, CertificatesAreReadAndTheirTimeIsTold) {
  const auto make = [this](std::chrono::hours validity) {
    const auto made = net::MakeSelfSigned({"localhost"}, validity);
    ASSERT_TRUE(made);
    Write("kuma-cp.crt", made->cert_pem);
    Write("kuma-cp.key", made->key_pem.Reveal());
  };
  make(std::chrono::hours(24 * 365));
  EXPECT_EQ(Of(Run(), "certificate").level, Level::kOk);
  make(std::chrono::hours(24 * 20));
  EXPECT_EQ(Of(Run(), "certificate").level, Level::kWarn);
  make(std::chrono::hours(0));
  const Finding expired = Of(Run(), "certificate");
  EXPECT_EQ(expired.level, Level::kFail);
  EXPECT_NE(expired.message.find("expired on 20"), std::string::npos) << expired.message;
  Write("kuma-cp.key", "nonsense");
  EXPECT_EQ(Of(Run(), "certificate").level, Level::kFail);
}

TEST_F(SelfCheckTest, TheStoreIsReadWhileAControlPlaneHasIt) {
  const model::TypeTable types(resources::AllResourceTypes());
  const runtime::SystemClock clock;
  const auto store = store::OpenSqliteStore(folder_ + "/kuma.db", types, clock);
  ASSERT_TRUE(store);
  const Finding finding = Of(Run(), "store");
  EXPECT_EQ(finding.level, Level::kOk) << finding.message;
  EXPECT_NE(finding.message.find("whole; 0 resources at revision 0"), std::string::npos)
      << finding.message;
  EXPECT_TRUE((*store)->Ping());
}

TEST_F(SelfCheckTest, ADamagedStoreIsTold) {
  Write("kuma.db", std::string(20'000, 'x'));
  EXPECT_EQ(Of(Run(), "store").level, Level::kFail);
  EXPECT_NE(Of(Run(), "store").message.find("is not a SQLite database"), std::string::npos);
}

TEST_F(SelfCheckTest, AFileFromTheFutureMeansAWrongClock) {
  Write("kuma.db", "");
  fs::last_write_time(folder_ + "/kuma.db",
                      fs::file_time_type::clock::now() + std::chrono::hours(48));
  EXPECT_EQ(Of(Run(), "clock").level, Level::kFail);
}

TEST_F(SelfCheckTest, TextAndJsonSayTheSame) {
  const std::vector<Finding> findings = {{Level::kOk, "a", "fine", ""},
                                         {Level::kFail, "long", "broken", "mend it"}};
  EXPECT_EQ(ToText(findings),
            "ok    a     fine\n"
            "fail  long  broken\n"
            "            -> mend it\n");
  EXPECT_EQ(model::ToJson(ToJsonValue(findings)),
            R"({"result":"fail","checks":[{"level":"ok","check":"a","message":"fine"},)"
            R"({"level":"fail","check":"long","message":"broken","wayOut":"mend it"}]})");
}

TEST(ServiceNotify, TellsSystemdAndNobodyElse) {
  unsetenv("NOTIFY_SOCKET");
  NotifyService("READY=1");  // nobody listens
  const std::string path = ::testing::TempDir() + base::Format("/notify-{}", getpid());
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  NotifyService("READY=1");
  char text[64] = {};
  EXPECT_EQ(recv(fd, text, sizeof text, MSG_DONTWAIT), 7);
  EXPECT_STREQ(text, "READY=1");
  close(fd);
  unlink(path.c_str());
  NotifyService("STOPPING=1");  // nobody is there any more
  unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace kuma::app

// The oracle in production: a sample of what proxies were given is computed from scratch.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/format.h"
#include "control/control_loop.h"
#include "envoy/drafts.h"
#include "policies/all.h"
#include "policies/mesh_timeout/mesh_timeout.h"
#include "runtime/simulation.h"
#include "store/memory/memory_store.h"
#include "tests/kit/builders.h"

namespace kuma::sim {
namespace {

using base::Format;
using base::ProxyKey;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

bool g_fickle = false;

// Five clients of s0 and five of s1. One more row fails when `broken` is set, which no context
// tells: cells that are built already keep what they have.
class OracleSampleTest : public testing::Test {
 protected:
  OracleSampleTest() {
    EXPECT_TRUE(loop_.Start().has_value());
    simulation_.Advance(seconds(1));
    Commit({kit::Put(kit::MeshService("s0")), kit::Put(kit::MeshService("s1")),
            kit::Put(kit::MeshTimeout("all", "", "", "3s"))});
    for (int i = 0; i < 5; ++i) {
      for (const std::string service : {"s0", "s1"}) {
        const std::string name = Format("{}-client-{}", service, i);
        Commit({kit::Put(kit::Dataplane(
            name, {.labels = {{"app", "client"}}, .outbounds = {{service, 80, 10000}}}))});
        loop_.Connected(
            {.proxy = {"default", name}, .stream = {++streams_}, .node = {}, .dataplane = nullptr});
      }
    }
    Change();  // the first endpoint changes more than endpoints
    simulation_.Advance(seconds(30));
  }
  ~OracleSampleTest() override { g_fickle = false; }

  static policy::PolicyTable Policies() {
    policy::PolicyTable table = policies::AllPolicies();
    policy::PolicyType fickle = *policy::FindPolicy(table, "MeshTimeout");
    fickle.hooks = {};
    fickle.hooks.cluster = [](const policy::ClusterContext&,
                              envoy::ClusterDraft& draft) -> base::Status {
      if (g_fickle) draft.cluster.set_alt_stat_name("another answer than before");
      return base::Ok{};
    };
    table.push_back(fickle);
    return table;
  }
  void Commit(std::vector<store::Write> writes) {
    const auto done = store_->Commit({.writes = std::move(writes), .cause = {}});
    ASSERT_TRUE(done.has_value()) << done.error().message();
  }
  // Changes the endpoints of s0, and with that its five clients.
  void Change() {
    Commit({kit::Put(kit::Dataplane(
        "server", {.labels = {{"app", "s0"}}, .address = Format("10.1.0.{}", ++changes_)}))});
    simulation_.RunUntilIdle();
  }
  uint64_t checks() const { return loop_.counters().oracle_checks; }
  uint64_t differences() const { return loop_.counters().oracle_differences; }

  int changes_ = 0;
  uint64_t streams_ = 0;
  runtime::Simulation simulation_{5};
  runtime::SerialExecutor& writer_ = simulation_.AddExecutor("writer");
  std::unique_ptr<store::Store> store_ = store::NewMemoryStore(simulation_.clock(), true);
  generate::Generator generator_{Policies(), {}};
  control::ControlLoop loop_{control::Settings{.oracle_interval = seconds(5)},
                             derive::Settings{},
                             {.store = *store_,
                              .generator = generator_,
                              .clock = simulation_.clock(),
                              .writer = writer_,
                              .pool = simulation_.pool(),
                              .publish = [](const auto&...) {}}};
};

TEST_F(OracleSampleTest, OneProxyInAWhileAndOnlyWhenSomethingChanged) {
  const uint64_t before = checks();
  EXPECT_GT(before, 0u) << "the first bundles";
  simulation_.Advance(std::chrono::hours(1));
  EXPECT_EQ(checks(), before) << "nothing changed";
  for (int i = 0; i < 20; ++i) Change();
  EXPECT_EQ(checks(), before + 1) << "many changes at once";
  for (int i = 0; i < 20; ++i) {
    simulation_.Advance(seconds(5));
    Change();
  }
  EXPECT_EQ(checks(), before + 21);
  EXPECT_EQ(differences(), 0u);
}

TEST_F(OracleSampleTest, ADifferenceNamesProxyAndResource) {
  g_fickle = true;
  testing::internal::CaptureStderr();
  Change();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(differences(), 1u);
  EXPECT_THAT(log,
              AllOf(HasSubstr("a published bundle differs from what it should be"),
                    HasSubstr("default/s0-client-"), HasSubstr("config.cluster.v3.Cluster kri_")));
}

// Who is wrongly not affected is given nothing, and is found all the same.
TEST_F(OracleSampleTest, AProxyThatIsGivenNothingIsComparedToo) {
  g_fickle = true;
  testing::internal::CaptureStderr();
  for (int i = 0; i < 30; ++i) {
    Change();
    simulation_.Advance(seconds(5));
  }
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(differences(), 30u);
  for (int i = 0; i < 5; ++i) EXPECT_THAT(log, HasSubstr(Format("default/s1-client-{}", i)));
}

}  // namespace
}  // namespace kuma::sim

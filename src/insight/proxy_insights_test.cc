#include "insight/proxy_insights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/simulation.h"
#include "store/memory/memory_store.h"
#include "tests/kit/builders.h"

namespace kuma::insight {
namespace {

namespace insights = resources::dataplane_insight;
using base::ProxyKey;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::SizeIs;

const ProxyKey kWeb{"default", "web"};

class ProxyInsightsTest : public testing::Test {
 protected:
  ProxyInsightsTest() {
    Commit({kit::Put(kit::Mesh()), kit::Put(kit::Dataplane("web"))});
    Begin("instance-1");
  }
  void Begin(std::string instance) {
    insights_ = std::make_unique<ProxyInsights>(Settings{.instance_id = std::move(instance)},
                                                *store_, simulation_.clock(), executor_);
    Do([this] { insights_->Start(); });
  }
  void Commit(std::vector<store::Write> writes) {
    ASSERT_TRUE(store_->Commit({.writes = std::move(writes), .cause = {}}).has_value());
  }
  void Do(runtime::Task task) {
    executor_.Post(std::move(task));
    simulation_.RunUntilIdle();
  }
  void Connect(uint64_t stream, const std::string& id) {
    Do([=, this] {
      insights_->OnConnected(kWeb, stream, id, model::JsonText{R"({"a":"b"})"}, {});
    });
  }
  void Pass(runtime::Duration duration) {
    simulation_.RunUntilIdle();
    simulation_.Advance(duration);
  }
  std::optional<insights::Spec> Stored() {
    const auto found = store_->Get({"DataplaneInsight", "default", "web"});
    if (!found.has_value()) return std::nullopt;
    return (*found)->Spec<insights::Spec>();
  }

  runtime::Simulation simulation_{1};
  runtime::SerialExecutor& executor_ = simulation_.AddExecutor("insight");
  std::unique_ptr<store::Store> store_ = store::NewMemoryStore(simulation_.clock(), true);
  std::unique_ptr<ProxyInsights> insights_;
};

TEST_F(ProxyInsightsTest, AConnectionIsStoredAtOnce) {
  Connect(1, "one");
  Pass(milliseconds(1));
  ASSERT_TRUE(Stored());
  ASSERT_THAT(Stored()->subscriptions, SizeIs(1));
  EXPECT_EQ(Stored()->subscriptions[0].id, "one");
  EXPECT_EQ(Stored()->subscriptions[0].control_plane_instance_id, "instance-1");
  EXPECT_TRUE(insights::IsOnline(*Stored()));
  EXPECT_EQ(store_->Get({"DataplaneInsight", "default", "web"}).value()->meta().owner,
            (model::ResourceKey{"Dataplane", "default", "web"}));
}

TEST_F(ProxyInsightsTest, AcknowledgementsAreCountedAndStoredOnceInTenSeconds) {
  Connect(1, "one");
  Pass(milliseconds(1));
  const uint64_t before = insights_->transactions();
  for (int i = 0; i < 990; ++i) {
    Do([this] { insights_->OnAcknowledged(kWeb, 1, Service::kCds); });
    Pass(milliseconds(10));
  }
  EXPECT_EQ(insights_->transactions(), before);
  Pass(seconds(1));
  EXPECT_EQ(insights_->transactions(), before + 1);
  EXPECT_EQ(Stored()->subscriptions[0].status->cds->responses_acknowledged, 990u);
  Do([this] { insights_->OnAcknowledged(kWeb, 1, Service::kCds); });
  Pass(seconds(9));
  EXPECT_EQ(insights_->transactions(), before + 1);
  Pass(seconds(2));
  EXPECT_EQ(Stored()->subscriptions[0].status->cds->responses_acknowledged, 991u);
}

TEST_F(ProxyInsightsTest, RejectionsAreStoredOnceASecondWithAllThatIsCounted) {
  Connect(1, "one");
  Pass(milliseconds(1));
  const uint64_t before = insights_->transactions();
  for (int i = 0; i < 100; ++i) {
    Do([this] {
      insights_->OnAcknowledged(kWeb, 1, Service::kCds);
      insights_->OnRejected(kWeb, 1, Service::kOther);
    });
    Pass(milliseconds(10));
  }
  Pass(seconds(2));
  EXPECT_EQ(insights_->transactions(), before + 1);
  const insights::SubscriptionStatus status = *Stored()->subscriptions[0].status;
  EXPECT_EQ(status.cds->responses_sent, 100u);
  EXPECT_EQ(status.cds->responses_acknowledged, 100u);
  EXPECT_EQ(status.total->responses_sent, 200u);
  EXPECT_EQ(status.total->responses_rejected, 100u);

  Pass(seconds(20));
  const uint64_t steps = simulation_.steps();
  Pass(std::chrono::minutes(10));
  EXPECT_LE(simulation_.steps() - steps, 1u) << "idle costs nothing";
}

TEST_F(ProxyInsightsTest, TheNewestConnectionsAreKept) {
  for (uint64_t stream = 1; stream <= 15; ++stream) {
    Connect(stream, "id-" + std::to_string(stream));
    Pass(seconds(2));
  }
  ASSERT_THAT(Stored()->subscriptions, SizeIs(10));
  EXPECT_EQ(Stored()->subscriptions.front().id, "id-6");
  EXPECT_TRUE(Stored()->subscriptions.front().disconnect_time);
  EXPECT_FALSE(Stored()->subscriptions.back().disconnect_time);
  Do([this] { insights_->OnDisconnected(kWeb, 14); });  // an older one
  Do([this] { insights_->OnDisconnected(kWeb, 15); });
  Pass(seconds(2));
  EXPECT_FALSE(insights::IsOnline(*Stored()));
}

TEST_F(ProxyInsightsTest, ANewProcessGoesOnWithWhatIsStored) {
  Connect(1, "one");
  Pass(seconds(2));
  insights_.reset();  // a crash: the connection stays open in the store
  Begin("instance-2");
  Connect(1, "two");
  Pass(seconds(2));
  ASSERT_THAT(Stored()->subscriptions, SizeIs(2));
  EXPECT_TRUE(Stored()->subscriptions[0].disconnect_time) << "of the process that died";
  EXPECT_EQ(Stored()->subscriptions[1].control_plane_instance_id, "instance-2");
}

TEST_F(ProxyInsightsTest, WhoDoesNotComeBackAfterACrashIsOffline) {
  Connect(1, "one");
  Pass(seconds(2));
  insights_.reset();
  Begin("instance-2");
  Pass(seconds(59));
  EXPECT_TRUE(insights::IsOnline(*Stored()));
  Pass(seconds(3));
  EXPECT_FALSE(insights::IsOnline(*Stored()));
}

TEST_F(ProxyInsightsTest, AnInsightFollowsItsDataplane) {
  Connect(1, "one");
  Pass(seconds(2));
  Commit({kit::Delete({"Dataplane", "default", "web"})});
  Pass(seconds(5));
  EXPECT_FALSE(Stored());
  Pass(std::chrono::minutes(5));
  Commit({kit::Put(kit::Dataplane("web"))});
  Pass(seconds(61));
  ASSERT_TRUE(Stored());
  EXPECT_TRUE(insights::IsOnline(*Stored()));
  Commit({kit::Delete({"Dataplane", "default", "web"}), kit::Put(kit::Dataplane("web"))});
  Pass(seconds(2));
  ASSERT_TRUE(Stored());
  EXPECT_EQ(Stored()->metadata.text, R"({"a":"b"})");
}

TEST_F(ProxyInsightsTest, StopStoresWhatIsLeft) {
  Connect(1, "one");
  Pass(milliseconds(1));
  bool stopped = false;
  Do([&] { insights_->Stop([&] { stopped = true; }); });
  EXPECT_TRUE(stopped);
  EXPECT_FALSE(insights::IsOnline(*Stored()));
}

TEST_F(ProxyInsightsTest, CollectorsAreThoseThatWereToldLast) {
  const auto told = [this](std::shared_ptr<const insights::OpenTelemetry> collectors) {
    Do([this, collectors] { insights_->OnCollectors(kWeb, collectors); });
    Pass(seconds(2));
    return Stored()->open_telemetry.has_value();
  };
  auto collectors = std::make_shared<insights::OpenTelemetry>();
  collectors->backends.push_back({.name = "c", .traces = {}, .logs = {}, .metrics = {}});
  Connect(1, "one");
  EXPECT_FALSE(told(nullptr));
  EXPECT_TRUE(told(collectors));
  const uint64_t transactions = insights_->transactions();
  EXPECT_TRUE(told(collectors));
  EXPECT_EQ(insights_->transactions(), transactions) << "nothing new";
  insights_.reset();
  Begin("instance-2");
  Connect(1, "two");
  EXPECT_TRUE(Stored()->open_telemetry.has_value()) << "until something is told";
  EXPECT_FALSE(told(nullptr));
}

TEST_F(ProxyInsightsTest, CertificatesAreCountedAcrossProcesses) {
  const auto issue = [this] {
    Do([this] {
      insights_->OnCertificate(kWeb, simulation_.clock().WallNow(), simulation_.clock().WallNow(),
                               "m", {});
    });
    Pass(seconds(2));
  };
  Connect(1, "one");
  issue();
  issue();
  insights_.reset();
  Begin("instance-2");
  Connect(1, "two");
  issue();
  EXPECT_EQ(Stored()->mtls->certificate_regenerations, 3u);
}

}  // namespace
}  // namespace kuma::insight

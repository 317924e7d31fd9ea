#include "insight/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/simulation.h"

namespace kuma::insight {
namespace {

using base::ProxyKey;
using base::Revision;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using xds::XdsType;

const ProxyKey kWeb{"default", "web"};

class ProgressTest : public testing::Test {
 protected:
  void Event(decltype(xds::ProxyEvent::what) what, const ProxyKey& proxy = kWeb) {
    executor_.Post([this, proxy, what] { progress_.OnEvent({proxy, 1, what}); });
    simulation_.RunUntilIdle();
  }
  void Connect(const ProxyKey& proxy = kWeb) {
    xds::NodeDescription node;
    node.envoy_version = "1.40.0";
    Event(xds::ConnectedEvent{std::make_shared<const xds::NodeDescription>(node)}, proxy);
  }
  xds::SealedPtr Listener(const std::string& content) {
    return bundle::Seal({.type = XdsType::kListener,
                         .name = "inbound",
                         .message = content,
                         .origins = {"MeshHTTPRoute default/canary"}});
  }
  // A round that gives `proxy` a listener; revision 0 of the cause: the first bundle of a stream.
  void Give(uint64_t revision, const std::string& content, uint64_t cause,
            const ProxyKey& proxy = kWeb) {
    auto made = std::make_shared<bundle::XdsBundle>();
    made->revision = {revision};
    made->resources.fill(bundle::EmptyList());
    made->resources[static_cast<size_t>(XdsType::kListener)] =
        bundle::MakeList({Listener(content)});
    GivenBundle given{.proxy = proxy, .bundle = made, .changes = {}};
    if (cause != 0) {
      given.changes.push_back(
          {std::make_shared<const std::vector<Revision>>(std::vector<Revision>{{cause}}),
           std::make_shared<const std::string>("MeshHTTPRoute default/canary changed"),
           std::make_shared<const std::string>("MeshHTTPRoute default/canary changed: inbound")});
    }
    store_ = {std::max(store_.value, revision)};
    executor_.Post([this, given, revision] { progress_.OnRound({}, {given}, {revision}); });
    simulation_.RunUntilIdle();
  }
  std::vector<std::string> Timeline(const ProxyKey& proxy = kWeb) {
    std::vector<std::string> texts;
    progress_.AskTimeline(proxy, [&](const auto& events) {
      if (!events) return texts.push_back("nothing");
      for (const TimelineEvent& event : *events) {
        std::string text(NameOf(event.what));
        if (event.has_type()) text += " " + std::string(ShortName(event.type));
        if (event.text != nullptr) text += " " + *event.text;
        texts.push_back(text);
      }
    });
    simulation_.RunUntilIdle();
    return texts;
  }
  Freshness Fresh() {
    Freshness found;
    progress_.AskFreshness([&](const std::vector<Freshness>& all) { found = all.at(0); });
    simulation_.RunUntilIdle();
    return found;
  }
  std::vector<TroubledProxy> Troubles() {
    std::vector<TroubledProxy> found;
    progress_.AskTroubles([&](std::vector<TroubledProxy> all) { found = std::move(all); });
    simulation_.RunUntilIdle();
    return found;
  }
  void Ask(uint64_t revision, runtime::Duration wait) {
    progress_.AskRollout({revision}, wait, [this](const Rollouts::Answer& answer) {
      const auto* rollout = std::get_if<Rollout>(&answer);
      answers_.push_back(rollout == nullptr    ? "none"
                         : rollout->complete() ? "complete"
                                               : "pending");
    });
    simulation_.RunUntilIdle();
  }

  runtime::Simulation simulation_{1};
  runtime::SerialExecutor& executor_ = simulation_.AddExecutor("insight");
  Revision store_;
  Progress progress_{executor_, simulation_.clock(), [this] { return store_; }};
  std::vector<std::string> answers_;
};

TEST_F(ProgressTest, TellsTheStoryOfAProxy) {
  EXPECT_THAT(Timeline(), ElementsAre("nothing"));
  Connect();
  Give(1, "one", 0);
  Event(xds::SentEvent{XdsType::kListener, {1}, 1, 0, 100});
  Event(xds::AckEvent{XdsType::kListener, {1}});
  Event(xds::InStepEvent{{1}, {}});
  Give(2, "two", 2);
  Event(xds::StalledEvent{true});
  Event(xds::DisconnectedEvent{"gone away", false});
  EXPECT_THAT(Timeline(), ElementsAre(HasSubstr("connected from"), "given", "sent Listener",
                                      "acknowledged Listener", "inStep",
                                      "changed MeshHTTPRoute default/canary changed: inbound",
                                      "stalled", "disconnected gone away"));
}

TEST_F(ProgressTest, ATimelineKeepsTheNewest64Events) {
  Connect();
  for (uint32_t i = 1; i <= 100; ++i) Event(xds::SentEvent{XdsType::kCluster, {i}, i, 0, 0});
  std::vector<TimelineEvent> events;
  progress_.AskTimeline(kWeb, [&](auto found) { events = *found; });
  simulation_.RunUntilIdle();
  ASSERT_THAT(events, SizeIs(64));
  EXPECT_EQ(events.front().resources, 37u);
  EXPECT_EQ(events.back().resources, 100u);
}

TEST_F(ProgressTest, TimelinesOfProxiesThatLeftAreBounded) {
  for (int i = 0; i < 1500; ++i) {
    const ProxyKey proxy{"default", std::to_string(i)};
    Connect(proxy);
    Event(xds::DisconnectedEvent{"", false}, proxy);
  }
  EXPECT_THAT(Timeline({"default", "499"}), ElementsAre("nothing"));
  EXPECT_THAT(Timeline({"default", "500"}), SizeIs(2));
  Connect({"default", "500"});  // it goes on
  EXPECT_THAT(Timeline({"default", "500"}), SizeIs(3));
}

TEST_F(ProgressTest, AnswersWhenTheRolloutIsCompleteAndNotBefore) {
  Connect();
  Give(1, "one", 0);
  Event(xds::InStepEvent{{1}, {}});
  Give(2, "two", 2);
  Ask(2, seconds(30));
  EXPECT_THAT(answers_, IsEmpty());
  Event(xds::AckEvent{XdsType::kListener, {2}});
  EXPECT_THAT(answers_, IsEmpty());
  Event(xds::InStepEvent{{2}, {}});
  EXPECT_THAT(answers_, ElementsAre("complete"));
  Ask(2, seconds(30));
  EXPECT_THAT(answers_, ElementsAre("complete", "complete"));
}

TEST_F(ProgressTest, AnswersAfterTheTimeAndWhenItStops) {
  Connect();
  Give(1, "one", 0);
  Give(2, "two", 2);
  Ask(2, seconds(0));
  EXPECT_THAT(answers_, ElementsAre("pending"));
  Ask(2, seconds(5));
  simulation_.Advance(seconds(4));
  EXPECT_THAT(answers_, SizeIs(1));
  simulation_.Advance(seconds(1));
  EXPECT_THAT(answers_, SizeIs(2));
  Ask(2, seconds(5));
  Ask(3, seconds(5));  // not written yet
  EXPECT_THAT(answers_, ElementsAre("pending", "pending", "none"));
  executor_.Post([this] { progress_.Stop(); });
  simulation_.RunUntilIdle();
  Ask(2, seconds(5));
  EXPECT_THAT(answers_, ElementsAre("pending", "pending", "none", "pending", "pending"));
}

TEST_F(ProgressTest, FreshnessIsTheStoresRevisionMinusTheAcknowledgedOne) {
  Connect();
  store_ = {5};
  EXPECT_EQ(Fresh().lag, 5u);  // it has nothing
  Give(5, "one", 0);
  Event(xds::InStepEvent{{5}, {}});
  EXPECT_EQ(Fresh().lag, 0u);
  EXPECT_FALSE(Fresh().behind_for);
  Give(9, "two", 7);
  simulation_.Advance(seconds(3));
  EXPECT_EQ(Fresh().acknowledged, Revision{8});
  EXPECT_EQ(Fresh().behind_for, seconds(3));
  Event(xds::InStepEvent{{9}, {}});
  EXPECT_EQ(Fresh().lag, 0u);
  // What does not concern it does not make it stale.
  store_ = {20};
  executor_.Post([this] { progress_.OnRound({}, {}, {20}); });
  EXPECT_EQ(Fresh().lag, 0u);
}

TEST_F(ProgressTest, NamesWhatIsRejectedAndWithheld) {
  Connect();
  Give(1, "one", 0);
  Event(xds::InStepEvent{{1}, {}});
  Give(2, "bad", 2);
  Event(xds::NackEvent{XdsType::kListener, {2}, {Listener("bad")}, true, "missing ): (\n"});
  Event(xds::InStepEvent{{2}, {{XdsType::kListener, "inbound", false}}});
  const Rollout rollout = std::get<Rollout>(progress_.rollouts().Find({2}, {2}));
  EXPECT_EQ(rollout.rejected, 1u);
  ASSERT_THAT(rollout.rejections, SizeIs(1));
  EXPECT_THAT(rollout.rejections[0].origins, ElementsAre("MeshHTTPRoute default/canary"));
  ASSERT_THAT(Troubles(), SizeIs(1));
  EXPECT_EQ(Troubles()[0].withheld[0].detail, "missing ): (\n");
  EXPECT_THAT(Timeline()[4],
              "rejected Listener inbound (shaped by MeshHTTPRoute default/canary): missing ): (");
  EXPECT_THAT(Timeline().back(), "inStep without inbound (shaped by MeshHTTPRoute default/canary)");

  Give(3, "good", 3);
  Event(xds::InStepEvent{{3}, {}});
  EXPECT_THAT(Troubles(), IsEmpty());
  // The same bad content again is not sent: it is not said to be acknowledged.
  Give(4, "bad", 4);
  Event(xds::InStepEvent{{4}, {{XdsType::kListener, "inbound", false}}});
  EXPECT_EQ(std::get<Rollout>(progress_.rollouts().Find({4}, {4})).rejected, 1u);
  EXPECT_EQ(std::get<Rollout>(progress_.rollouts().Find({3}, {4})).acknowledged, 1u);
}

TEST_F(ProgressTest, NobodyIsBlamedWhileTheCulpritIsLookedFor) {
  Connect();
  Give(1, "one", 0);
  Event(xds::InStepEvent{{1}, {}});
  Give(2, "two", 2);
  Event(xds::NackEvent{XdsType::kListener, {2}, {Listener("two")}, false, "no"});
  Event(xds::InStepEvent{{2}, {}});
  EXPECT_EQ(std::get<Rollout>(progress_.rollouts().Find({2}, {2})).acknowledged, 1u);
}

}  // namespace
}  // namespace kuma::insight

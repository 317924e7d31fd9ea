#include "control/internal/probed_inbounds.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "resources/dataplane/dataplane.h"

namespace kuma::control::internal {
namespace {

namespace dataplane = resources::dataplane;
using enum dataplane::InboundState;

class Line final : public xds::HealthLine {
 public:
  void SetPlan(xds::HealthPlan plan) override { plans.push_back(std::move(plan)); }
  std::vector<xds::HealthPlan> plans;
};

const base::ProxyKey kWeb{"default", "web"};

model::ResourcePtr Web(std::vector<dataplane::Inbound> inbounds) {
  auto spec = std::make_shared<dataplane::Spec>();
  spec->networking.emplace().address = "10.0.0.1";
  spec->networking->inbound = std::move(inbounds);
  return std::make_shared<const model::Resource>(dataplane::Type(), model::Metadata{},
                                                 std::move(spec));
}
dataplane::Inbound Port(uint32_t port, bool probed, dataplane::InboundState state = kNotReady) {
  dataplane::Inbound inbound;
  inbound.port = port;
  inbound.state = state;
  if (probed) {
    inbound.service_probe.emplace();
    inbound.health = dataplane::Health{false};
  }
  return inbound;
}
// "80:Ready 90:NotReady", "" for nothing.
std::string States(const model::ResourcePtr& resource) {
  std::string text;
  if (resource == nullptr) return text;
  for (const auto& inbound : resource->Spec<dataplane::Spec>().networking->inbound) {
    text += std::to_string(inbound.port) + (inbound.state == kReady      ? ":Ready "
                                            : inbound.state == kNotReady ? ":NotReady "
                                                                         : ":Ignored ");
  }
  return text;
}

class ProbedInboundsTest : public ::testing::Test {
 protected:
  ProbedInbounds probed_{generate::HealthSettings{}};
  std::shared_ptr<Line> line_ = std::make_shared<Line>();
};

TEST_F(ProbedInboundsTest, WithoutProbesEnvoyIsToldOnceThatThereIsNothing) {
  probed_.Opened(kWeb, line_, {}, nullptr);
  probed_.Put(kWeb, Web({Port(80, false)}));
  probed_.Put(kWeb, Web({Port(81, false)}));
  ASSERT_EQ(line_->plans.size(), 1u);
  EXPECT_EQ(line_->plans[0].specifier, nullptr);
  // The state of an inbound without probe is the user's.
  EXPECT_TRUE(probed_.Reported(kWeb, line_.get(), {{"system_envoy_admin", false}}));
  EXPECT_EQ(probed_.Wanted(kWeb, Web({Port(80, false, kReady)})), nullptr);
}

TEST_F(ProbedInboundsTest, ProbesAreSentWhenTheyChange) {
  probed_.Opened(kWeb, line_, {}, Web({Port(80, true)}));
  probed_.Put(kWeb, Web({Port(80, true, kReady)}));
  ASSERT_EQ(line_->plans.size(), 1u);
  EXPECT_EQ(line_->plans[0].names,
            (std::vector<std::string>{"localhost:80", "system_envoy_admin"}));
  auto slower = Port(80, true);
  slower.service_probe->interval = model::Duration{std::chrono::seconds(9)};
  probed_.Put(kWeb, Web({slower}));
  ASSERT_EQ(line_->plans.size(), 2u);
  probed_.Put(kWeb, nullptr);
  ASSERT_EQ(line_->plans.size(), 3u);
  EXPECT_EQ(line_->plans[2].specifier, nullptr);
}

TEST_F(ProbedInboundsTest, ReportsBecomeStates) {
  const auto stored = Web({Port(80, true), Port(90, true), Port(70, false)});
  probed_.Opened(kWeb, line_, {}, stored);
  EXPECT_EQ(probed_.Wanted(kWeb, stored), nullptr);
  EXPECT_TRUE(probed_.Reported(
      kWeb, line_.get(),
      {{"localhost:80", true}, {"localhost:90", false}, {"system_envoy_admin", true}}));
  const auto wanted = probed_.Wanted(kWeb, stored);
  EXPECT_EQ(States(wanted), "80:Ready 90:NotReady 70:NotReady ");
  EXPECT_EQ(probed_.Wanted(kWeb, wanted), nullptr) << "it is stored: nothing to do";
  EXPECT_EQ(probed_.Wanted(kWeb, nullptr), nullptr);
  // A draining Envoy serves nobody, however well its workload is.
  EXPECT_TRUE(probed_.Reported(
      kWeb, line_.get(),
      {{"localhost:80", true}, {"localhost:90", false}, {"system_envoy_admin", false}}));
  EXPECT_EQ(States(probed_.Wanted(kWeb, wanted)), "80:NotReady 90:NotReady 70:NotReady ");
}

TEST_F(ProbedInboundsTest, AReportAboutOldProbesDoesNotCount) {
  const auto stored = Web({Port(80, true)});
  probed_.Opened(kWeb, line_, {}, stored);
  probed_.Reported(kWeb, line_.get(), {{"localhost:80", true}});
  const auto moved = Web({Port(81, true)});
  probed_.Put(kWeb, moved);
  EXPECT_EQ(probed_.Wanted(kWeb, moved), nullptr);
}

TEST_F(ProbedInboundsTest, TheNewestStreamCounts) {
  const auto stored = Web({Port(80, true)});
  const auto newer = std::make_shared<Line>();
  probed_.Opened(kWeb, line_, {}, stored);
  probed_.Opened(kWeb, newer, {}, stored);
  EXPECT_EQ(newer->plans.size(), 1u);
  EXPECT_FALSE(probed_.Reported(kWeb, line_.get(), {{"localhost:80", true}}));
  probed_.Closed(kWeb, line_.get());
  EXPECT_TRUE(probed_.Reported(kWeb, newer.get(), {{"localhost:80", true}}));
  probed_.Closed(kWeb, newer.get());
  EXPECT_EQ(probed_.Wanted(kWeb, stored), nullptr);
}

}  // namespace
}  // namespace kuma::control::internal

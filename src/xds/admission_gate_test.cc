#include "xds/internal/admission_gate.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kuma::xds::internal {
namespace {

class AdmissionGateTest : public ::testing::Test {
 protected:
  std::unique_ptr<AdmissionGate::Place>& Ask(Urgency urgency, std::string name) {
    auto& place = places_.emplace_back(std::make_unique<std::unique_ptr<AdmissionGate::Place>>());
    asked_ = gate_.Ask(
        urgency, [this, name] { entered_ += name + " "; }, *place);
    return *place;
  }
  std::atomic<uint64_t> waiting_{0}, inside_{0};
  AdmissionGate gate_{{.inside = 2, .waiting = 10}, waiting_, inside_};
  std::string entered_;
  bool asked_ = false;
  // Goes first: who leaves lets the next one in.
  std::vector<std::unique_ptr<std::unique_ptr<AdmissionGate::Place>>> places_;
};

TEST_F(AdmissionGateTest, AFreePlaceIsTakenAtOnce) {
  auto& a = Ask(Urgency::kReturning, "a");
  Ask(Urgency::kHealth, "b");
  Ask(Urgency::kFresh, "c");
  EXPECT_EQ(entered_, "a b ");
  EXPECT_EQ(gate_.waiting(), 1u);
  EXPECT_EQ(waiting_, 1u);
  a.reset();
  EXPECT_EQ(entered_, "a b c ");
  EXPECT_EQ(gate_.inside(), 2u);
  EXPECT_EQ(gate_.waiting(), 0u);
  EXPECT_EQ(inside_, gate_.inside());
  EXPECT_EQ(waiting_, 0u);
}

TEST_F(AdmissionGateTest, WhoHasNothingGoesFirstAndNobodyIsForgotten) {
  // One place, handed on from each to the next.
  AdmissionGate gate({.inside = 1, .waiting = 10}, waiting_, inside_);
  std::vector<std::unique_ptr<AdmissionGate::Place>> places(8);
  std::string order;
  const std::vector<std::pair<Urgency, std::string>> asking = {
      {Urgency::kFresh, "x"},      {Urgency::kHealth, "h"}, {Urgency::kReturning, "r1"},
      {Urgency::kReturning, "r2"}, {Urgency::kFresh, "f1"}, {Urgency::kFresh, "f2"},
      {Urgency::kFresh, "f3"},     {Urgency::kFresh, "f4"}};
  std::vector<size_t> inside;
  for (size_t i = 0; i < asking.size(); ++i) {
    ASSERT_TRUE(gate.Ask(
        asking[i].first,
        [&, i] {
          order += asking[i].second + " ";
          inside.push_back(i);
        },
        places[i]));
  }
  while (!inside.empty()) {
    const size_t leaving = inside.back();
    inside.pop_back();
    places[leaving].reset();
  }
  EXPECT_EQ(order, "x f1 f2 r1 f3 f4 r2 h ");
}

TEST_F(AdmissionGateTest, TooManyAreTurnedAway) {
  for (int i = 0; i < 12; ++i) {
    Ask(Urgency::kFresh, "a");
    EXPECT_TRUE(asked_);
  }
  EXPECT_EQ(Ask(Urgency::kFresh, "b"), nullptr);
  EXPECT_FALSE(asked_);
}

TEST_F(AdmissionGateTest, WhoWaitsMayGo) {
  auto& inside = Ask(Urgency::kFresh, "a");
  Ask(Urgency::kFresh, "b");
  auto& waits = Ask(Urgency::kFresh, "c");
  Ask(Urgency::kFresh, "d");
  waits.reset();
  inside.reset();
  EXPECT_EQ(entered_, "a b d ");
}

TEST_F(AdmissionGateTest, WhoEntersMayLeaveAtOnce) {
  std::vector<std::unique_ptr<AdmissionGate::Place>> places(5);
  int entered = 0;
  auto& first = Ask(Urgency::kFresh, "a");
  Ask(Urgency::kFresh, "b");
  for (auto& place : places) {
    ASSERT_TRUE(gate_.Ask(
        Urgency::kFresh,
        [&place, &entered] {
          ++entered;
          place.reset();
        },
        place));
  }
  first.reset();
  EXPECT_EQ(entered, 5);
  EXPECT_EQ(gate_.inside(), 1u);
}

}  // namespace
}  // namespace kuma::xds::internal

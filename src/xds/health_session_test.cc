#include "xds/health_session.h"

#include <gtest/gtest.h>

namespace kuma::xds {
namespace {

HealthPlan Plan(const char* specifier, std::vector<std::string> names) {
  return {std::make_shared<const std::string>(specifier), std::move(names)};
}

class HealthSessionTest : public ::testing::Test {
 protected:
  std::string Send(HealthPlan plan) {
    const auto message = session_.OnPlan(std::move(plan));
    return message == nullptr ? "-" : *message;
  }
  HealthSession session_{std::make_shared<const std::string>("idle")};
};

TEST_F(HealthSessionTest, AnIdleProxyIsToldOnce) {
  EXPECT_EQ(Send({}), "idle");
  EXPECT_EQ(Send({}), "-");
  EXPECT_FALSE(session_.OnReport({{"localhost:80", true}}));
}

TEST_F(HealthSessionTest, OnlyAnotherPlanIsSent) {
  EXPECT_EQ(Send(Plan("one", {"a"})), "one");
  EXPECT_EQ(Send(Plan("one", {"a"})), "-");
  EXPECT_EQ(Send(Plan("two", {"a"})), "two");
  EXPECT_EQ(Send({}), "idle");
  EXPECT_EQ(Send(Plan("two", {"a"})), "two");
}

TEST_F(HealthSessionTest, OnlyNewsIsReported) {
  Send(Plan("one", {"b", "a"}));
  EXPECT_EQ(session_.OnReport({{"a", true}, {"b", false}}),
            (HealthReport{{"a", true}, {"b", false}}));
  EXPECT_FALSE(session_.OnReport({{"a", true}, {"b", false}}));
  EXPECT_EQ(session_.OnReport({{"a", false}, {"b", false}}),
            (HealthReport{{"a", false}, {"b", false}}));
  // What Envoy says about a new plan is news even if it is equal.
  Send(Plan("two", {"a", "b"}));
  EXPECT_TRUE(session_.OnReport({{"a", false}, {"b", false}}));
}

TEST_F(HealthSessionTest, WhatWasNotAskedForIsDropped) {
  Send(Plan("one", {"a"}));
  EXPECT_EQ(session_.OnReport({{"a", true}, {"x", false}}), (HealthReport{{"a", true}}));
  EXPECT_FALSE(session_.OnReport({{"x", true}}));
  EXPECT_FALSE(session_.OnReport({}));
}

}  // namespace
}  // namespace kuma::xds

#include "insight/rollouts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/format.h"

namespace kuma::insight {
namespace {

using base::ProxyKey;
using base::Revision;
using testing::ElementsAre;

const ProxyKey kWeb{"default", "web"};
const ProxyKey kBackend{"default", "backend"};

Rollout Get(const Rollouts& rollouts, uint64_t revision, uint64_t newest = 1'000'000) {
  return std::get<Rollout>(rollouts.Find({revision}, {newest}));
}

TEST(Rollouts, FollowsARevisionToEveryProxyThatItChanges) {
  Rollouts rollouts;
  EXPECT_FALSE(Get(rollouts, 7).settled);
  EXPECT_FALSE(Get(rollouts, 7).complete());

  rollouts.OnPublished(kWeb, {7}, {{7}});
  rollouts.OnPublished(kBackend, {7}, {{7}});
  rollouts.OnSettled({7});
  EXPECT_EQ(Get(rollouts, 7).pending, 2u);
  EXPECT_THAT(Get(rollouts, 7).pending_proxies, ElementsAre(kBackend, kWeb));
  EXPECT_TRUE(Get(rollouts, 7).settled);
  EXPECT_FALSE(Get(rollouts, 7).complete());

  rollouts.OnInStep(kWeb, {7});
  EXPECT_EQ(Get(rollouts, 7).acknowledged, 1u);
  rollouts.OnInStep(kBackend, {7});
  EXPECT_EQ(Get(rollouts, 7).acknowledged, 2u);
  EXPECT_TRUE(Get(rollouts, 7).complete());
  EXPECT_EQ(rollouts.pending(), 0u);
}

TEST(Rollouts, ARevisionWithoutEffectsIsCompleteWhenItIsSettled) {
  Rollouts rollouts;
  rollouts.OnSettled({4});
  EXPECT_TRUE(Get(rollouts, 4).complete());
  EXPECT_EQ(Get(rollouts, 4).affected(), 0u);
  EXPECT_FALSE(Get(rollouts, 5).complete());
  EXPECT_TRUE(std::holds_alternative<Rollouts::Unknown>(rollouts.Find({6}, {5})));
}

TEST(Rollouts, OneAnswerCompletesManyRevisions) {
  Rollouts rollouts;
  rollouts.OnPublished(kWeb, {3}, {{2}, {3}});
  rollouts.OnPublished(kWeb, {4}, {{4}});
  rollouts.OnPublished(kWeb, {6}, {{6}});
  rollouts.OnSettled({6});
  rollouts.OnInStep(kWeb, {4});
  EXPECT_TRUE(Get(rollouts, 2).complete());
  EXPECT_TRUE(Get(rollouts, 3).complete());
  EXPECT_TRUE(Get(rollouts, 4).complete());
  EXPECT_FALSE(Get(rollouts, 6).complete());
}

TEST(Rollouts, NamesWhatWasRejected) {
  Rollouts rollouts;
  rollouts.OnPublished(kWeb, {5}, {{5}});
  rollouts.OnPublished(kWeb, {6}, {{6}});
  rollouts.OnSettled({6});
  rollouts.OnRejected({6}, {kWeb, {"outbound:1"}, {"MeshRateLimit default/burst"}, "no"});
  EXPECT_EQ(Get(rollouts, 6).pending, 1u);  // until it is in step with the rest
  rollouts.OnInStep(kWeb, {6});
  EXPECT_EQ(Get(rollouts, 6).rejected, 1u);
  EXPECT_EQ(Get(rollouts, 5).superseded, 1u);
  ASSERT_EQ(Get(rollouts, 6).rejections.size(), 1u);
  EXPECT_THAT(Get(rollouts, 6).rejections[0].origins, ElementsAre("MeshRateLimit default/burst"));
  EXPECT_TRUE(Get(rollouts, 6).complete());
}

TEST(Rollouts, AProxyThatLeavesIsGone) {
  Rollouts rollouts;
  rollouts.OnPublished(kWeb, {5}, {{5}});
  rollouts.OnSettled({5});
  rollouts.OnGone(kWeb);
  rollouts.OnInStep(kWeb, {5});
  EXPECT_EQ(Get(rollouts, 5).gone, 1u);
  EXPECT_EQ(Get(rollouts, 5).acknowledged, 0u);
  EXPECT_TRUE(Get(rollouts, 5).complete());
}

TEST(Rollouts, MemoryIsBounded) {
  Rollouts rollouts(10);
  for (uint64_t i = 1; i <= 100; ++i) {
    rollouts.OnPublished(kWeb, {i}, {{i}});
    rollouts.OnSettled({i});
    if (i % 2 == 0) rollouts.OnInStep(kWeb, {i});
  }
  EXPECT_EQ(rollouts.size(), 10u);
  EXPECT_EQ(rollouts.pending(), 0u);
  EXPECT_TRUE(std::holds_alternative<Rollouts::TooOld>(rollouts.Find({90}, {100})));
  EXPECT_TRUE(Get(rollouts, 91).complete());
}

TEST(Rollouts, WhatWasForgottenWhileItWaitedDoesNotComeBack) {
  Rollouts rollouts(1);
  rollouts.OnPublished(kWeb, {1}, {{1}});
  rollouts.OnPublished(kBackend, {2}, {{2}});
  rollouts.OnPublished(kBackend, {3}, {{1}, {3}});
  rollouts.OnInStep(kWeb, {3});
  rollouts.OnInStep(kBackend, {3});
  EXPECT_EQ(rollouts.size(), 1u);
  EXPECT_EQ(rollouts.pending(), 0u);
  EXPECT_TRUE(std::holds_alternative<Rollouts::TooOld>(rollouts.Find({1}, {3})));
}

}  // namespace
}  // namespace kuma::insight

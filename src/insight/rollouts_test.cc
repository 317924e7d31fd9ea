#include "insight/rollouts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/format.h"

namespace kuma::insight {
namespace {

using base::ProxyKey;
using base::Revision;
using testing::ElementsAre;
using xds::XdsType;

const ProxyKey kWeb{"default", "web"};
const ProxyKey kBackend{"default", "backend"};
const Part kListener = PartOf(XdsType::kListener, bundle::NameRef("l"));
const Part kCluster = PartOf(XdsType::kCluster, bundle::NameRef("c"));

Rollout Get(const Rollouts& rollouts, uint64_t revision, uint64_t newest = 1'000'000) {
  return std::get<Rollout>(rollouts.Find({revision}, {newest}));
}

Parts Of(std::vector<Part> parts) {
  std::sort(parts.begin(), parts.end());
  return std::make_shared<const std::vector<Part>>(std::move(parts));
}

// `proxy` is given a bundle of the newest of `revisions`.
void Publish(Rollouts& rollouts, const ProxyKey& proxy, std::vector<uint64_t> revisions,
             Parts changed = nullptr) {
  std::vector<Effect> effects;
  for (const uint64_t revision : revisions) effects.push_back({{revision}, nullptr});
  rollouts.OnPublished(proxy, {revisions.back()}, effects, std::move(changed));
}

Rejection Refused(const ProxyKey& proxy, std::vector<Part> parts) {
  return {proxy, {"outbound:1"}, std::move(parts), {"MeshRateLimit default/burst"}, "no"};
}

TEST(Rollouts, FollowsARevisionToEveryProxyThatItChanges) {
  Rollouts rollouts;
  EXPECT_FALSE(Get(rollouts, 7).settled);
  EXPECT_FALSE(Get(rollouts, 7).complete());
  EXPECT_FALSE(rollouts.IsFinal({7}));

  Publish(rollouts, kWeb, {7});
  Publish(rollouts, kBackend, {7});
  rollouts.OnSettled({7});
  EXPECT_EQ(Get(rollouts, 7).pending, 2u);
  EXPECT_THAT(Get(rollouts, 7).pending_proxies, ElementsAre(kBackend, kWeb));
  EXPECT_TRUE(Get(rollouts, 7).settled);
  EXPECT_FALSE(Get(rollouts, 7).complete());

  rollouts.OnInStep(kWeb, {7});
  EXPECT_EQ(Get(rollouts, 7).acknowledged, 1u);
  EXPECT_FALSE(rollouts.IsFinal({7}));
  rollouts.OnInStep(kBackend, {7});
  EXPECT_EQ(Get(rollouts, 7).acknowledged, 2u);
  EXPECT_TRUE(Get(rollouts, 7).complete());
  EXPECT_TRUE(rollouts.IsFinal({7}));
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

TEST(Rollouts, WhatWasWrittenBeforeTheStartIsNotClaimedToBeComplete) {
  Rollouts rollouts;
  rollouts.OnStart({10});
  EXPECT_TRUE(std::holds_alternative<Rollouts::TooOld>(rollouts.Find({10}, {11})));
  EXPECT_TRUE(rollouts.IsFinal({10}));
  EXPECT_FALSE(rollouts.IsFinal({11}));
  rollouts.OnSettled({11});
  EXPECT_TRUE(Get(rollouts, 11).complete());
}

TEST(Rollouts, OneAnswerCompletesManyRevisions) {
  Rollouts rollouts;
  Publish(rollouts, kWeb, {2, 3});
  Publish(rollouts, kWeb, {4});
  Publish(rollouts, kWeb, {6});
  rollouts.OnSettled({6});
  rollouts.OnInStep(kWeb, {4});
  EXPECT_TRUE(Get(rollouts, 2).complete());
  EXPECT_TRUE(Get(rollouts, 3).complete());
  EXPECT_TRUE(Get(rollouts, 4).complete());
  EXPECT_FALSE(Get(rollouts, 6).complete());
}

TEST(Rollouts, SeveralChangesOfOneRevisionCountOnce) {
  Rollouts rollouts;
  const auto route = std::make_shared<const std::string>("MeshHTTPRoute default/a changed");
  const auto service = std::make_shared<const std::string>("MeshService default/b changed");
  const std::vector<Effect> effects = {{{5}, route}, {{5}, service}, {{5}, route}};
  rollouts.OnPublished(kWeb, {5}, effects, nullptr);
  EXPECT_EQ(Get(rollouts, 5).pending, 1u);
  EXPECT_THAT(Get(rollouts, 5).what, ElementsAre(route, service));
}

TEST(Rollouts, NamesWhatWasRejected) {
  Rollouts rollouts;
  Publish(rollouts, kWeb, {5}, Of({kListener}));
  Publish(rollouts, kWeb, {6}, Of({kListener}));
  rollouts.OnSettled({6});
  rollouts.OnRejected({6}, Refused(kWeb, {kListener}));
  EXPECT_EQ(Get(rollouts, 6).pending, 1u);  // until it is in step with the rest
  rollouts.OnInStep(kWeb, {6});
  EXPECT_EQ(Get(rollouts, 6).rejected, 1u);
  EXPECT_EQ(Get(rollouts, 5).superseded, 1u);
  EXPECT_THAT(Get(rollouts, 5).superseded_by, ElementsAre(Revision{6}));
  ASSERT_EQ(Get(rollouts, 6).rejections.size(), 1u);
  EXPECT_THAT(Get(rollouts, 6).rejections[0].origins, ElementsAre("MeshRateLimit default/burst"));
  EXPECT_TRUE(Get(rollouts, 6).complete());
}

// Two users at the same time: the fault of one is not the other's.
TEST(Rollouts, OnlyARevisionThatTouchedTheCulpritIsRejected) {
  Rollouts rollouts;
  Publish(rollouts, kWeb, {5}, Of({kListener}));
  Publish(rollouts, kWeb, {6}, Of({kCluster}));
  rollouts.OnSettled({6});
  rollouts.OnRejected({6}, Refused(kWeb, {kListener}));
  rollouts.OnInStep(kWeb, {6});
  EXPECT_EQ(Get(rollouts, 5).rejected, 1u);
  EXPECT_EQ(Get(rollouts, 6).acknowledged, 1u);
  EXPECT_TRUE(Get(rollouts, 6).rejections.empty());
}

// What was rejected once is not sent again: nobody says that it was acknowledged.
TEST(Rollouts, WhatIsWithheldIsRejected) {
  Rollouts rollouts;
  Publish(rollouts, kWeb, {5}, Of({kListener}));
  Publish(rollouts, kWeb, {6}, Of({kCluster}));
  rollouts.OnSettled({6});
  const std::vector<Rejection> withheld = {Refused(kWeb, {kListener})};
  rollouts.OnInStep(kWeb, {6}, withheld);
  EXPECT_EQ(Get(rollouts, 5).rejected, 1u);
  EXPECT_EQ(Get(rollouts, 5).rejections.size(), 1u);
  EXPECT_EQ(Get(rollouts, 6).acknowledged, 1u);
}

TEST(Rollouts, AProxyThatLeavesIsGone) {
  Rollouts rollouts;
  Publish(rollouts, kWeb, {5});
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
    Publish(rollouts, kWeb, {i});
    rollouts.OnSettled({i});
    if (i % 2 == 0) rollouts.OnInStep(kWeb, {i});
  }
  EXPECT_EQ(rollouts.size(), 10u);
  EXPECT_EQ(rollouts.pending(), 0u);
  EXPECT_TRUE(std::holds_alternative<Rollouts::TooOld>(rollouts.Find({90}, {100})));
  EXPECT_TRUE(Get(rollouts, 91).complete());
  EXPECT_EQ(rollouts.Newest(3)[2].revision, Revision{98});
}

// A proxy that never answers holds a few bundles, and every revision of them is still right.
TEST(Rollouts, AProxyThatNeverAnswersHoldsLittle) {
  Rollouts rollouts;
  for (uint64_t i = 1; i <= 5000; ++i) {
    Publish(rollouts, kWeb, {i}, Of({kListener, i}));
    rollouts.OnSettled({i});
  }
  EXPECT_LE(rollouts.waiting_bundles(), Rollouts::kMaxWaiting);
  EXPECT_EQ(rollouts.pending(), 1000u);
  EXPECT_EQ(Get(rollouts, 4001).pending, 1u);
  EXPECT_EQ(Get(rollouts, 5000).pending, 1u);
  rollouts.OnInStep(kWeb, {5000});
  EXPECT_EQ(Get(rollouts, 4001).acknowledged, 1u);
  EXPECT_EQ(Get(rollouts, 5000).acknowledged, 1u);
  EXPECT_EQ(rollouts.waiting_bundles(), 0u);
  EXPECT_EQ(rollouts.pending(), 0u);
}

TEST(Rollouts, WhatWasForgottenWhileItWaitedDoesNotComeBack) {
  Rollouts rollouts(1);
  Publish(rollouts, kWeb, {1});
  Publish(rollouts, kBackend, {2});
  Publish(rollouts, kBackend, {1, 3});
  rollouts.OnInStep(kWeb, {3});
  rollouts.OnInStep(kBackend, {3});
  EXPECT_EQ(rollouts.size(), 1u);
  EXPECT_EQ(rollouts.pending(), 0u);
  EXPECT_TRUE(std::holds_alternative<Rollouts::TooOld>(rollouts.Find({1}, {3})));
}

TEST(Parts, AreWhatABundleAddsOrChanges) {
  const auto make = [](std::vector<std::pair<std::string, std::string>> clusters) {
    bundle::XdsBundle made;
    made.resources.fill(bundle::EmptyList());
    std::vector<xds::SealedPtr> list;
    for (const auto& [name, content] : clusters)
      list.push_back(bundle::Seal({.type = XdsType::kCluster, .name = name, .message = content}));
    made.resources[static_cast<size_t>(XdsType::kCluster)] = bundle::MakeList(std::move(list));
    return made;
  };
  const auto before = make({{"a", "1"}, {"b", "1"}, {"d", "1"}});
  const auto after = make({{"a", "1"}, {"b", "2"}, {"c", "1"}});
  EXPECT_EQ(*ChangedParts(&before, after), *Of({PartOf(XdsType::kCluster, bundle::NameRef("b")),
                                                PartOf(XdsType::kCluster, bundle::NameRef("c"))}));
  EXPECT_EQ(ChangedParts(nullptr, after), nullptr);
  EXPECT_TRUE(ChangedParts(&before, before)->empty());
}

}  // namespace
}  // namespace kuma::insight

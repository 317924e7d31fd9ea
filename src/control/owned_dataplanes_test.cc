#include "control/internal/owned_dataplanes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/format.h"

namespace kuma::control::internal {
namespace {

using base::ProxyKey;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using Departure = OwnedDataplanes::Departure;

const ProxyKey kWeb{"default", "web"};

class OwnedDataplanesTest : public testing::Test {
 protected:
  Settings settings_;
  OwnedDataplanes owned_{settings_};
  runtime::Time now_{std::chrono::hours(1)};

  std::vector<ProxyKey> After(runtime::Duration duration) {
    now_ += duration;
    return owned_.TakeDue(now_);
  }
  ProxyKey Proxy(int i) { return {"default", base::Format("p{:03}", i)}; }
  void AddConnected(int count) {
    for (int i = 0; i < count; ++i) {
      owned_.Put(Proxy(i), true, now_);
      owned_.Connected(Proxy(i));
    }
  }
};

TEST_F(OwnedDataplanesTest, AKilledProxyIsRemovedAfterTheGrace) {
  AddConnected(1);
  EXPECT_EQ(owned_.next(), std::nullopt);
  owned_.Disconnected(Proxy(0), Departure::kAlone, now_);
  EXPECT_THAT(After(milliseconds(999)), IsEmpty());
  EXPECT_THAT(After(milliseconds(1)), ElementsAre(Proxy(0)));
  EXPECT_EQ(owned_.next(), std::nullopt);
}

TEST_F(OwnedDataplanesTest, AProxyThatComesBackWithinTheGraceStays) {
  AddConnected(1);
  owned_.Disconnected(Proxy(0), Departure::kAlone, now_);
  now_ += milliseconds(500);
  owned_.Connected(Proxy(0));
  EXPECT_THAT(After(seconds(100)), IsEmpty());
}

TEST_F(OwnedDataplanesTest, AProxyThatOthersReplaceIsRemovedAtOnceButGuarded) {
  AddConnected(100);
  for (int i = 0; i < 30; ++i) owned_.Disconnected(Proxy(i), Departure::kReplaceable, now_);
  EXPECT_THAT(owned_.TakeDue(now_), IsEmpty());
  EXPECT_THAT(owned_.held(), SizeIs(30));
  owned_.Disconnected(Proxy(30), Departure::kReplaceable, now_ + seconds(60));
  EXPECT_THAT(owned_.TakeDue(now_ + seconds(60)), ElementsAre(Proxy(30)));
}

TEST_F(OwnedDataplanesTest, AGoodbyeNeedsNoGraceAndNoGuard) {
  AddConnected(100);
  for (int i = 0; i < 100; ++i) owned_.Disconnected(Proxy(i), Departure::kGoodbye, now_);
  EXPECT_THAT(After(seconds(0)), SizeIs(100));
}

TEST_F(OwnedDataplanesTest, WhatAUserAppliedStays) {
  owned_.Put(kWeb, false, now_);
  owned_.Connected(kWeb);
  owned_.Disconnected(kWeb, Departure::kAlone, now_);
  EXPECT_THAT(After(seconds(1000)), IsEmpty());
}

TEST_F(OwnedDataplanesTest, WhatNeverCameAfterAStartIsRemoved) {
  owned_.Put(kWeb, true, now_);
  EXPECT_THAT(After(seconds(59)), IsEmpty());
  EXPECT_THAT(After(seconds(1)), ElementsAre(kWeb));
}

TEST_F(OwnedDataplanesTest, AConnectionMayBeThereBeforeItsDataplane) {
  owned_.Connected(kWeb);
  owned_.Put(kWeb, true, now_);
  EXPECT_THAT(After(seconds(1000)), IsEmpty());
}

TEST_F(OwnedDataplanesTest, HoldsAMassRemovalUntilItIsReleased) {
  AddConnected(100);
  for (int i = 0; i < 30; ++i) owned_.Disconnected(Proxy(i), Departure::kAlone, now_);
  EXPECT_THAT(After(seconds(1)), IsEmpty());
  EXPECT_THAT(owned_.held(), SizeIs(30));
  EXPECT_EQ(owned_.held_count(), 30u);

  owned_.Connected(Proxy(7));
  EXPECT_THAT(owned_.held(), SizeIs(29));
  EXPECT_THAT(After(seconds(1000)), IsEmpty());

  owned_.Release("default", now_);
  EXPECT_THAT(After(seconds(0)), SizeIs(29));
  EXPECT_EQ(owned_.held_count(), 0u);
}

TEST_F(OwnedDataplanesTest, AMassRemovalThatComesBitByBitIsHeldToo) {
  AddConnected(100);
  size_t removed = 0;
  const auto remove = [&](const std::vector<ProxyKey>& due) {
    removed += due.size();
    for (const ProxyKey& proxy : due) owned_.Erase(proxy);
  };
  for (int i = 0; i < 50; ++i) {
    owned_.Disconnected(Proxy(i), Departure::kAlone, now_);
    remove(After(milliseconds(100)));
  }
  remove(After(seconds(1)));
  EXPECT_EQ(removed, 20u);
  EXPECT_THAT(owned_.held(), SizeIs(30));
}

TEST_F(OwnedDataplanesTest, OrdinaryLeavesPassTheGuard) {
  AddConnected(100);
  for (int i = 0; i < 100; ++i) {
    owned_.Disconnected(Proxy(i), Departure::kAlone, now_);
    EXPECT_THAT(After(seconds(5)), SizeIs(1));
    owned_.Erase(Proxy(i));
  }
}

TEST_F(OwnedDataplanesTest, OtherInstancesKeepTheirs) {
  settings_.only_instance = false;
  OwnedDataplanes owned(settings_);
  owned.Put(kWeb, true, now_);
  EXPECT_EQ(owned.next(), std::nullopt);
  owned.Connected(kWeb);
  owned.Disconnected(kWeb, Departure::kAlone, now_);
  EXPECT_NE(owned.next(), std::nullopt);
}

TEST_F(OwnedDataplanesTest, AFailedRemovalIsTriedAgain) {
  AddConnected(1);
  owned_.Disconnected(Proxy(0), Departure::kAlone, now_);
  EXPECT_THAT(After(seconds(1)), SizeIs(1));
  owned_.Retry(Proxy(0), now_ + seconds(1));
  EXPECT_THAT(After(seconds(1)), SizeIs(1));
}

}  // namespace
}  // namespace kuma::control::internal

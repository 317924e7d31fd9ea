#include "derive/internal/vip_pool.h"

#include <gtest/gtest.h>

#include <set>

#include "base/format.h"

namespace kuma::derive {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

TEST(VipPoolTest, RefusesWhatIsNoRange) {
  for (const char* text :
       {"", "241.0.0.0", "241.0.0/8", "241.0.0.0/31", "fd00::/8", "300.0.0.0/8", "1.2.3.4/x"})
    EXPECT_FALSE(VipPool::Make(text).has_value()) << text;
}

TEST(VipPoolTest, SameKriGetsSameAddressInAnyOrder) {
  VipPool a = *VipPool::Make("241.0.0.0/8");
  VipPool b = *VipPool::Make("241.0.0.0/8");
  const std::string first = *a.Take("kri_msvc_default_zone__web_", {});
  a.Take("kri_msvc_default_zone__backend_", {});
  b.Take("kri_msvc_default_zone__backend_", {});
  EXPECT_EQ(b.Take("kri_msvc_default_zone__web_", {}), first);
  EXPECT_TRUE(first.starts_with("241."));
}

TEST(VipPoolTest, RangeIsUsedUpWithoutItsEnds) {
  VipPool pool = *VipPool::Make("10.0.0.9/29");
  std::set<std::string> given;
  for (int i = 0; i < 6; ++i) given.insert(*pool.Take(base::Format("kri{}", i), {}));
  EXPECT_EQ(given, (std::set<std::string>{"10.0.0.9", "10.0.0.10", "10.0.0.11", "10.0.0.12",
                                          "10.0.0.13", "10.0.0.14"}));
  EXPECT_EQ(pool.Take("one more", {}), std::nullopt);
}

TEST(VipPoolTest, FreedAddressRestsForAnHourExceptForItsOldOwner) {
  VipPool pool = *VipPool::Make("10.0.0.0/30");  // two addresses
  const model::WallTime start{hours(1000)};
  const std::string mine = *pool.Take("mine", start);
  const std::string other = *pool.Take("other", start);
  pool.Release(mine, "mine", start);
  EXPECT_EQ(pool.Take("third", start + minutes(59)), std::nullopt);
  EXPECT_EQ(pool.Take("mine", start + minutes(59)), mine);
  pool.Release(mine, "mine", start + minutes(59));
  EXPECT_EQ(pool.Take("third", start + minutes(61)), std::nullopt);
  EXPECT_EQ(pool.Take("third", start + minutes(119)), mine);
  EXPECT_NE(mine, other);
}

TEST(VipPoolTest, AddressHeldByTwoIsFreeWhenBothGaveItUp) {
  VipPool pool = *VipPool::Make("10.0.0.0/30");
  pool.Hold("10.0.0.1", "a");
  pool.Hold("10.0.0.1", "b");
  pool.Hold("192.168.7.7", "outside");
  pool.Hold("not an address", "c");
  EXPECT_EQ(pool.Take("x", {}), "10.0.0.2");
  pool.Release("10.0.0.1", "a", {});
  EXPECT_EQ(pool.Take("y", model::WallTime(hours(2))), std::nullopt);
  pool.Release("10.0.0.1", "b", {});
  EXPECT_EQ(pool.Take("y", model::WallTime(hours(2))), "10.0.0.1");
}

}  // namespace
}  // namespace kuma::derive

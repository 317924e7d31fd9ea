#include "store/internal/live_table.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/conformance/store_kinds.h"

namespace kuma::store::internal {
namespace {

using store_test::Insight;
using store_test::Widget;

class Counting final : public WatchSink {
 public:
  void OnSnapshot(Revision revision, std::vector<ResourcePtr> all) override {
    snapshot = revision;
    resources = all.size();
  }
  void OnEvents(std::span<const StoreEvent> seen) override { events += seen.size(); }

  Revision snapshot;
  size_t resources = 0;
  size_t events = 0;
};

class LiveTableTest : public ::testing::Test {
 protected:
  LiveTableTest() { live_.SetRevision(Revision{1}, Revision{1}); }

  // One transaction of `count` puts.
  void Install(size_t count, bool insights = false) {
    ++revision_.value;
    std::vector<StoreEvent> events;
    for (size_t i = 0; i < std::min<size_t>(count, 50); ++i) {
      const std::string name = "n" + std::to_string(i);
      const model::ResourcePtr given = insights ? Insight(name) : Widget(name);
      model::Metadata meta = given->meta();
      meta.revision = revision_;
      auto resource =
          std::make_shared<const model::Resource>(given->type(), std::move(meta), given->spec());
      events.push_back({revision_, {}, resource->key(), nullptr, resource});
    }
    events.reserve(count);
    for (size_t i = 50; i < count; ++i) events.push_back(events[i - 50]);
    live_.Install(events, revision_);
  }
  Counting Resume(uint64_t from) {
    Counting sink;
    const auto handle = live_.Watch(Revision{from}, sink);
    EXPECT_TRUE(handle.has_value());
    return sink;
  }

  LiveTable live_;
  Revision revision_{1};
};

TEST_F(LiveTableTest, KeepsAHundredThousandEventsInWholeTransactions) {
  for (int i = 0; i < 10; ++i) Install(kWatchLog / 10);  // revisions 2 to 11
  EXPECT_EQ(Resume(1).events, kWatchLog);
  EXPECT_EQ(Resume(6).events, kWatchLog / 2);
  Install(1);
  // One event too many: the first transaction goes, and goes as a whole.
  EXPECT_EQ(Resume(1).events, 0u);
  EXPECT_EQ(Resume(1).snapshot, revision_);
  EXPECT_EQ(Resume(1).resources, 50u);
  EXPECT_EQ(Resume(2).events, kWatchLog * 9 / 10 + 1);
  EXPECT_EQ(Resume(2).snapshot, Revision{});
  EXPECT_EQ(Resume(12).events, 0u);
  EXPECT_EQ(Resume(12).snapshot, Revision{});
  EXPECT_EQ(Resume(13).snapshot, revision_);
}

TEST_F(LiveTableTest, InsightsDoNotFillTheLog) {
  Install(3);
  for (int i = 0; i < 11; ++i) Install(kWatchLog / 10, /*insights=*/true);
  const Counting resumed = Resume(1);
  EXPECT_EQ(resumed.snapshot, Revision{});
  EXPECT_EQ(resumed.events, 3u + 50u);
}

TEST_F(LiveTableTest, ATransactionLargerThanTheLogLeavesNothing) {
  Install(1);
  Install(kWatchLog + 1);
  EXPECT_EQ(Resume(2).snapshot, revision_);
  Install(1);
  EXPECT_EQ(Resume(3).events, 1u);
}

}  // namespace
}  // namespace kuma::store::internal

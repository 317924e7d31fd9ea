#include "store/internal/history.h"

#include <gtest/gtest.h>

#include <chrono>

namespace kuma::store::internal {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

TEST(KeptRevisionsTest, CutsSomeAtATimeOldestFirst) {
  const model::WallTime start{hours(10)};
  KeptRevisions kept({.revisions = 100, .age = hours(1)}, Revision{7});
  EXPECT_EQ(kept.next_expiry(), std::nullopt);
  for (uint64_t i = 0; i < 10; ++i) kept.Add(Revision{10 + i}, start + minutes(i));
  EXPECT_EQ(kept.next_expiry(), start + hours(1));
  EXPECT_EQ(kept.Cut(start + hours(1)), Revision{7}) << "none is too old";
  const model::WallTime later = start + hours(1) + minutes(6);
  EXPECT_EQ(kept.Cut(later), Revision{15});
  EXPECT_EQ(kept.Cut(later, 2), Revision{11});
  kept.DropTo(Revision{11});
  EXPECT_EQ(kept.complete_after(), Revision{11});
  EXPECT_EQ(kept.next_expiry(), start + minutes(2) + hours(1));
  EXPECT_EQ(kept.Cut(later, 100), Revision{15});
}

}  // namespace
}  // namespace kuma::store::internal

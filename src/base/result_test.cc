#include "base/result.h"

#include <gtest/gtest.h>

namespace kuma::base {
namespace {

Result<int> Half(int value) {
  if (value % 2 != 0) return Invalid("odd");
  return value / 2;
}

Result<int> Quarter(int value) {
  TRY_ASSIGN(const int half, Half(value));
  auto quarter = Half(half);
  if (!quarter) return std::move(quarter).error().Context("second step");
  return quarter;
}

TEST(Result, CarriesValueOrErrorUpward) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(7).error(), Invalid("odd"));
  EXPECT_EQ(Quarter(6).error(), Invalid("second step: odd"));
}

TEST(ResultDeathTest, ValueOfErrorIsABrokenInvariant) { EXPECT_DEATH(*Half(1), "odd"); }

}  // namespace
}  // namespace kuma::base

#include "model/duration.h"

#include <gtest/gtest.h>

namespace kuma::model {
namespace {

std::string Printed(std::string_view text) {
  const auto duration = ParseDuration(text);
  return duration ? ToString(*duration) : "invalid";
}

TEST(Duration, AsGo) {
  EXPECT_EQ(Printed("0"), "0s");
  EXPECT_EQ(Printed("0s"), "0s");
  EXPECT_EQ(Printed("15s"), "15s");
  EXPECT_EQ(Printed("90s"), "1m30s");
  EXPECT_EQ(Printed("2h"), "2h0m0s");
  EXPECT_EQ(Printed("1h30m"), "1h30m0s");
  EXPECT_EQ(Printed("250ms"), "250ms");
  EXPECT_EQ(Printed("1500ms"), "1.5s");
  EXPECT_EQ(Printed("1.5h"), "1h30m0s");
  EXPECT_EQ(Printed("10us"), "10\u00b5s");
  EXPECT_EQ(Printed("1\u00b5s"), "1\u00b5s");
  EXPECT_EQ(Printed("1ns"), "1ns");
  EXPECT_EQ(Printed("-1s"), "-1s");
  EXPECT_EQ(Printed("+5m.5s"), "5m0.5s");
  EXPECT_EQ(Printed("2562047h47m16.854775807s"), "2562047h47m16.854775807s");
  for (const auto bad : {"", "5", "s", ".s", "1x", "1 s", "-", "3000000h", "1s-"})
    EXPECT_EQ(Printed(bad), "invalid") << bad;
}

std::string Time(std::string_view text) {
  const auto time = ParseRfc3339(text);
  return time ? ToRfc3339(*time) : "invalid";
}

TEST(Time, Rfc3339) {
  EXPECT_EQ(Time("2026-08-01T12:34:56Z"), "2026-08-01T12:34:56Z");
  EXPECT_EQ(Time("2026-08-01T12:34:56.120Z"), "2026-08-01T12:34:56.12Z");
  EXPECT_EQ(Time("2026-08-01T12:34:56.123456789Z"), "2026-08-01T12:34:56.123456789Z");
  EXPECT_EQ(Time("2026-01-01T01:00:00+02:00"), "2025-12-31T23:00:00Z");
  EXPECT_EQ(Time("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z");
  EXPECT_EQ(Time("1960-02-29T00:00:00.5Z"), "1960-02-29T00:00:00.5Z");
  for (const auto bad :
       {"", "2026-08-01", "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z", "2026-08-01T12:34:56",
        "2026-08-01T24:00:00Z", "9999-01-01T00:00:00Z", "2026-08-01T12:34:56Zx"})
    EXPECT_EQ(Time(bad), "invalid") << bad;
}

}  // namespace
}  // namespace kuma::model

#pragma once

// Durations in Go's notation ("1h30m", "250ms", "0s"), as Kuma's YAML and tokens use it.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace kuma::model {

struct Duration {
  std::chrono::nanoseconds value{0};
  auto operator<=>(const Duration&) const = default;
};

std::optional<Duration> ParseDuration(std::string_view text);
// As Go's time.Duration prints: "1h0m0s", "15s", "25ms", "1.5s", "0s".
std::string ToString(Duration duration);

// RFC 3339 in UTC with as many fractional digits as needed ("2026-01-01T00:00:00.123456789Z").
std::string ToRfc3339(std::chrono::system_clock::time_point time);
std::optional<std::chrono::system_clock::time_point> ParseRfc3339(std::string_view text);

}  // namespace kuma::model

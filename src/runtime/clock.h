#pragma once

#include <chrono>

namespace kuma::runtime {

using Duration = std::chrono::nanoseconds;
using Time = std::chrono::steady_clock::time_point;      // monotonic; for deadlines and intervals
using WallTime = std::chrono::system_clock::time_point;  // UTC; for what users see and certificates

// The only source of time. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time Now() const = 0;
  virtual WallTime WallNow() const = 0;
};

// The machine's clocks.
class SystemClock final : public Clock {
 public:
  Time Now() const override { return std::chrono::steady_clock::now(); }
  WallTime WallNow() const override { return std::chrono::system_clock::now(); }
};

}  // namespace kuma::runtime

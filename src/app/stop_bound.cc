#include "app/stop_bound.h"

#include <cstdlib>
#include <ctime>
#include <optional>
#include <thread>

#include "base/log.h"
#include "base/log_output.h"

namespace kuma::app {
namespace {

constexpr base::Logger kLog("kuma-cp");

}  // namespace

void BoundStop(const sigset_t& signals, std::chrono::nanoseconds longest) {
  std::thread([signals, longest] {
    using Clock = std::chrono::steady_clock;
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(longest);
    const Clock::time_point end = Clock::now() + longest;
    std::optional<int> second;
    while (!second) {
      const auto left = end - Clock::now();
      if (left <= Clock::duration::zero()) break;
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
      const timespec bound{seconds.count(), static_cast<long>((left - seconds).count())};
      // Negative too when a stop and continuation of the process, or a debugger, interrupted it.
      const int signal = sigtimedwait(&signals, nullptr, &bound);
      if (signal > 0 && signal != SIGHUP) second = signal;
    }
    if (second) {
      kLog.Warn("stopped by a second signal", {{"signal", *second}});
    } else {
      kLog.Error("stopping takes too long: ended", {{"seconds", whole.count()}});
    }
    base::FlushLog();
    std::_Exit(second ? 128 + *second : 1);
  }).detach();
}

}  // namespace kuma::app

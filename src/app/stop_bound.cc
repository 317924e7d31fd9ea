#include "app/stop_bound.h"

#include <cstdlib>
#include <ctime>
#include <thread>

#include "base/log.h"
#include "base/log_output.h"

namespace kuma::app {
namespace {

constexpr base::Logger kLog("kuma-cp");

}  // namespace

void BoundStop(const sigset_t& signals, std::chrono::nanoseconds longest) {
  std::thread([signals, longest] {
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(longest);
    const timespec bound{whole.count(), static_cast<long>((longest - whole).count())};
    int second = SIGHUP;
    while (second == SIGHUP) second = sigtimedwait(&signals, nullptr, &bound);
    if (second > 0) {
      kLog.Warn("stopped by a second signal", {{"signal", second}});
    } else {
      kLog.Error("stopping takes too long: ended", {{"seconds", whole.count()}});
    }
    base::FlushLog();
    std::_Exit(second > 0 ? 128 + second : 1);
  }).detach();
}

}  // namespace kuma::app

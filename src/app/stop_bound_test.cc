#include "app/stop_bound.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace kuma::app {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

sigset_t Blocked() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

[[noreturn]] void StopHangs() {
  while (true) pause();
}

TEST(StopBoundDeathTest, AStopThatHangsEndsAllTheSame) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        BoundStop(Blocked(), milliseconds(50));
        StopHangs();
      },
      testing::ExitedWithCode(1), "stopping takes too long");
}

TEST(StopBoundDeathTest, ASecondSignalEndsAtOnce) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const sigset_t signals = Blocked();
        BoundStop(signals, hours(1));
        kill(getpid(), SIGHUP);  // renewed certificates: not meant
        kill(getpid(), SIGTERM);
        StopHangs();
      },
      testing::ExitedWithCode(128 + SIGTERM), "stopped by a second signal");
}

}  // namespace
}  // namespace kuma::app

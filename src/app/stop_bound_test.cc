#include "app/stop_bound.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>

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

// As `kill -STOP` and `-CONT`, a debugger or a leak checker interrupt it. From outside, again and
// again: once at least while the thread waits.
void StopAndContinue(pid_t process) {
  const std::string file = "/proc/" + std::to_string(process) + "/stat";
  const auto is_stopped = [&] {
    std::string text;
    std::getline(std::ifstream(file), text);
    return text.find(") T ") != std::string::npos;
  };
  for (int i = 0; i < 100 && getppid() == process; ++i) {
    kill(process, SIGSTOP);
    while (getppid() == process && !is_stopped()) std::this_thread::yield();
    kill(process, SIGCONT);
  }
}

TEST(StopBoundDeathTest, AnInterruptionIsNotTheEndOfTheTime) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        BoundStop(Blocked(), hours(1));
        const pid_t self = getpid();
        if (fork() == 0) {
          StopAndContinue(self);
          kill(self, SIGTERM);
          _exit(0);
        }
        StopHangs();
      },
      testing::ExitedWithCode(128 + SIGTERM), "stopped by a second signal");
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

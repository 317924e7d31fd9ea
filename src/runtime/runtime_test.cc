#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <vector>

#include "runtime/simulation.h"
#include "runtime/threads.h"

namespace kuma::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ThreadExecutor, WhatIsPostedAfterTheStopIsDropped) {
  ThreadExecutor executor("stopped");
  std::promise<void> ran;
  executor.Post([&] { ran.set_value(); });
  ran.get_future().wait();
  executor.Stop();
  executor.Stop();
  const auto held = std::make_shared<int>(1);
  executor.Post([held] { ADD_FAILURE(); });
  const Timer timer = executor.PostAfter(Duration(1), [held] { ADD_FAILURE(); });
  EXPECT_EQ(held.use_count(), 1);
}

TEST(ThreadExecutor, RunsTasksInOrderOnItsOwnThread) {
  ThreadExecutor executor("test");
  EXPECT_FALSE(executor.IsCurrent());
  std::vector<int> order;
  std::promise<void> done;
  for (int i = 0; i < 100; ++i) {
    executor.Post([&, i] {
      EXPECT_TRUE(executor.IsCurrent());
      order.push_back(i);
      if (i == 99) done.set_value();
    });
  }
  ASSERT_EQ(done.get_future().wait_for(seconds(10)), std::future_status::ready);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(ThreadExecutor, ACancelledTimerDoesNotRun) {
  ThreadExecutor executor("test");
  std::atomic<bool> cancelled_ran = false;
  std::promise<void> done;
  Timer kept;
  executor.Post([&] {
    Timer dropped = executor.PostAfter(milliseconds(1), [&] { cancelled_ran = true; });
    dropped.Cancel();
    kept = executor.PostAfter(milliseconds(5), [&] { done.set_value(); });
  });
  ASSERT_EQ(done.get_future().wait_for(seconds(10)), std::future_status::ready);
  EXPECT_FALSE(cancelled_ran);
}

TEST(ThreadPool, RunsEveryTask) {
  std::atomic<int> count = 0;
  std::promise<void> done;
  ThreadPool pool("test", 3);
  for (int i = 0; i < 1000; ++i) {
    pool.Post([&] {
      if (++count == 1000) done.set_value();
    });
  }
  ASSERT_EQ(done.get_future().wait_for(seconds(10)), std::future_status::ready);
}

std::pair<std::string, uint64_t> RunWorld(uint64_t seed) {
  Simulation world(seed);
  SerialExecutor& a = world.AddExecutor("a");
  SerialExecutor& b = world.AddExecutor("b");
  std::string order;
  for (int i = 0; i < 5; ++i) {
    a.Post([&] { order += 'a'; });
    b.Post([&] { order += 'b'; });
    world.pool().Post([&] { order += 'p'; });
  }
  world.RunUntilIdle();
  return {order, world.trace_hash()};
}

TEST(Simulation, TheSeedDecidesTheOrder) {
  EXPECT_EQ(RunWorld(1), RunWorld(1));
  EXPECT_NE(RunWorld(1).first, RunWorld(2).first);
  EXPECT_EQ(RunWorld(1).first.size(), 15U);
}

TEST(Simulation, TimersRunInVirtualTime) {
  Simulation world(1);
  SerialExecutor& a = world.AddExecutor("a");
  const Time start = world.clock().Now();
  std::vector<Duration> fired;
  Timer first;
  Timer second;
  Timer third;
  a.Post([&] {
    second = a.PostAfter(seconds(2), [&] { fired.push_back(world.clock().Now() - start); });
    first = a.PostAfter(seconds(1), [&] {
      fired.push_back(world.clock().Now() - start);
      third.Cancel();
    });
    third = a.PostAfter(seconds(3), [&] { fired.push_back(world.clock().Now() - start); });
  });
  world.RunUntilIdle();
  world.Advance(seconds(10));
  EXPECT_EQ(fired, (std::vector<Duration>{seconds(1), seconds(2)}));
  EXPECT_EQ(world.clock().Now() - start, seconds(10));
}

TEST(Random, UuidIsVersion4) {
  SeededRandom random(7);
  const std::string uuid = random.Uuid();
  EXPECT_EQ(uuid.size(), 36U);
  EXPECT_EQ(uuid[14], '4');
  EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos);
}

}  // namespace
}  // namespace kuma::runtime

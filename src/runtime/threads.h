#pragma once

// The real executors: a thread with a queue and timers, and a pool of threads.

#include <memory>
#include <string>

#include "runtime/executor.h"

namespace kuma::runtime {

// One thread.
class ThreadExecutor final : public SerialExecutor {
 public:
  explicit ThreadExecutor(std::string name);
  ~ThreadExecutor() override;
  // Runs the task in progress to its end, drops the rest and joins. What is posted from now on is
  // dropped, too. Harmless when it is stopped.
  void Stop();
  void Post(Task task) override;
  [[nodiscard]] Timer PostAfter(Duration delay, Task task) override;
  bool IsCurrent() const override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// `size` threads; `nice` is added to their scheduling priority (19 = least urgent).
class ThreadPool final : public Pool {
 public:
  ThreadPool(std::string name, size_t size, int nice = 0);
  ~ThreadPool() override;
  void Post(Task task) override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace kuma::runtime

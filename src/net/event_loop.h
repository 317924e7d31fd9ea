#pragma once

// Event loops: one thread each, around epoll. A connection lives on one loop for ever, and the loop
// is the executor of everything that belongs to it.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/clock.h"
#include "runtime/executor.h"

namespace kuma::net {

namespace internal {
struct LoopScratch;
}  // namespace internal

// Posts a task to one executor. Thread-safe; may outlive the executor and then drops the task.
using Poster = std::function<void(runtime::Task)>;

// What watches a file descriptor. Confined to the loop.
class FdWatcher {
 public:
  // `events` are EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR of <sys/epoll.h>; level-triggered.
  virtual void OnReady(uint32_t events) = 0;
  // Once after CallAtTurnEnd, when all that was ready in this turn has been handled.
  virtual void OnTurnEnd() {}

 protected:
  ~FdWatcher() = default;

 private:
  friend class EventLoop;
  bool marked_ = false;  // waits for OnTurnEnd
};

// One thread. Post and Poster are thread-safe, everything else is confined to the loop. The queue
// of Post is unbounded: whoever posts bounds or coalesces. Servers, clients and channels of a loop
// are destroyed before it. The destructor ends the task in progress, drops the rest and joins;
// never call it on the loop.
class EventLoop final : public runtime::SerialExecutor {
 public:
  explicit EventLoop(std::string name);
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void Post(runtime::Task task) override;
  [[nodiscard]] runtime::Timer PostAfter(runtime::Duration delay, runtime::Task task) override;
  bool IsCurrent() const override;

  // Posts here for as long as the loop lives, and drops tasks afterwards.
  Poster MakePoster() const;
  // Runs the task on the loop and returns when it has ended; on the loop itself it runs at once.
  // Never call it on one loop for another one.
  void RunAndWait(const runtime::Task& task);
  // When this turn of the loop began.
  runtime::Time Now() const;

  // One watcher per descriptor. `events` may be 0. The watcher outlives its registration.
  void Watch(int fd, uint32_t events, FdWatcher& watcher);
  void Rewatch(int fd, uint32_t events, FdWatcher& watcher);
  // No call of the watcher follows. Call it before the descriptor is closed.
  void Unwatch(int fd, FdWatcher& watcher);
  // Calls OnTurnEnd once, at the end of this turn (of the next one if called from OnTurnEnd),
  // however often it is asked for.
  void CallAtTurnEnd(FdWatcher& watcher);
  // Destroys the object when nothing of this turn can use it any more.
  void DeleteLater(std::shared_ptr<void> object);

  // Buffers shared by the connections of this loop.
  internal::LoopScratch& scratch();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// A fixed set of loops. Thread-safe.
class EventLoops {
 public:
  // REQUIRES: count > 0.
  explicit EventLoops(size_t count, const std::string& name = "net");
  size_t size() const { return loops_.size(); }
  EventLoop& at(size_t index) { return *loops_[index]; }

 private:
  std::vector<std::unique_ptr<EventLoop>> loops_;
};

}  // namespace kuma::net

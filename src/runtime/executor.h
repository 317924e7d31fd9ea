#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "runtime/clock.h"

namespace kuma::runtime {

using Task = std::function<void()>;

// A task that runs later unless this is destroyed or cancelled first. Move-only.
// Confined to the executor that made it.
class Timer {
 public:
  Timer() = default;
  explicit Timer(Task cancel) : cancel_(std::move(cancel)) {}
  Timer(Timer&& other) noexcept : cancel_(std::exchange(other.cancel_, nullptr)) {}
  Timer& operator=(Timer&& other) noexcept {
    if (this != &other) {
      Cancel();
      cancel_ = std::exchange(other.cancel_, nullptr);
    }
    return *this;
  }
  ~Timer() { Cancel(); }
  // Harmless after the task ran.
  void Cancel() {
    if (auto cancel = std::exchange(cancel_, nullptr)) cancel();
  }

 private:
  Task cancel_;
};

// Runs tasks one after the other, in the order of Post. The owner of all state that is confined to
// it. Its queue is unbounded: whoever posts coalesces or bounds what it posts.
class SerialExecutor {
 public:
  virtual ~SerialExecutor() = default;

  // Thread-safe. Tasks posted after the executor stopped are dropped.
  virtual void Post(Task task) = 0;

  // Call on this executor only. The task runs on this executor at the earliest after `delay`.
  [[nodiscard]] virtual Timer PostAfter(Duration delay, Task task) = 0;

  // True inside a task of this executor.
  virtual bool IsCurrent() const = 0;
};

// Runs tasks side by side in any order. Tasks must not block on one another. Thread-safe.
class Pool {
 public:
  virtual ~Pool() = default;
  virtual void Post(Task task) = 0;
};

}  // namespace kuma::runtime

// At each entry of a class that is confined to an executor.
#define CHECK_CONFINED(executor) \
  DCHECK((executor).IsCurrent(), "called outside of the executor that owns this")

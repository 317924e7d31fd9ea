#include "runtime/threads.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"

namespace kuma::runtime {
namespace {

void NameThread(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

}  // namespace

struct ThreadExecutor::State {
  using TimerKey = std::pair<Time, uint64_t>;

  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Task> queue;
  std::map<TimerKey, Task> timers;
  uint64_t next_timer = 0;
  bool stop = false;
  std::thread thread;

  void Run() {
    std::unique_lock lock(mutex);
    while (!stop) {
      const Time now = std::chrono::steady_clock::now();
      while (!timers.empty() && timers.begin()->first.first <= now) {
        queue.push_back(std::move(timers.begin()->second));
        timers.erase(timers.begin());
      }
      if (!queue.empty()) {
        Task task = std::move(queue.front());
        queue.pop_front();
        lock.unlock();
        task();
        task = nullptr;  // what the task holds is destroyed outside of the lock
        lock.lock();
      } else if (timers.empty()) {
        wake.wait(lock);
      } else {
        wake.wait_until(lock, timers.begin()->first.first);
      }
    }
  }
};

ThreadExecutor::ThreadExecutor(std::string name) : state_(std::make_shared<State>()) {
  state_->thread = std::thread([state = state_.get(), name = std::move(name)] {
    NameThread(name);
    state->Run();
  });
}

ThreadExecutor::~ThreadExecutor() { Stop(); }

void ThreadExecutor::Stop() {
  CHECK(!IsCurrent(), "an executor cannot be stopped by its own task");
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_all();
  if (!state_->thread.joinable()) return;
  state_->thread.join();
  // Tasks may own objects whose destructors cancel timers of this executor: empty the queues first.
  std::deque<Task> queue;
  std::map<State::TimerKey, Task> timers;
  {
    const std::lock_guard lock(state_->mutex);
    queue.swap(state_->queue);
    timers.swap(state_->timers);
  }
}

void ThreadExecutor::Post(Task task) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stop) return;
    state_->queue.push_back(std::move(task));
  }
  state_->wake.notify_one();
}

Timer ThreadExecutor::PostAfter(Duration delay, Task task) {
  State::TimerKey key;
  {
    const std::lock_guard lock(state_->mutex);
    key = {std::chrono::steady_clock::now() + delay, state_->next_timer++};
    if (!state_->stop) state_->timers.emplace(key, std::move(task));
  }
  state_->wake.notify_one();
  return Timer([weak = std::weak_ptr<State>(state_), key] {
    if (const auto state = weak.lock()) {
      Task dropped;
      const std::lock_guard lock(state->mutex);
      if (const auto found = state->timers.find(key); found != state->timers.end()) {
        dropped = std::move(found->second);
        state->timers.erase(found);
      }
    }
  });
}

bool ThreadExecutor::IsCurrent() const {
  return std::this_thread::get_id() == state_->thread.get_id();
}

struct ThreadPool::State {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Task> queue;
  bool stop = false;
  std::vector<std::thread> threads;

  void Run() {
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [this] { return stop || !queue.empty(); });
      if (stop) return;
      Task task = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
  }
};

ThreadPool::ThreadPool(std::string name, size_t size, int nice)
    : state_(std::make_shared<State>()) {
  CHECK(size > 0, "a pool has at least one thread");
  for (size_t i = 0; i < size; ++i) {
    state_->threads.emplace_back([state = state_.get(), name, nice] {
      NameThread(name);
      // On Linux the priority belongs to the thread. A refusal only costs fairness.
      if (nice != 0) setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), nice);
      state->Run();
    });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

void ThreadPool::Post(Task task) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stop) return;
    state_->queue.push_back(std::move(task));
  }
  state_->wake.notify_one();
}

}  // namespace kuma::runtime

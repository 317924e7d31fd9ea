#include "net/event_loop.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"
#include "net/internal/loop_scratch.h"

namespace kuma::net {

// The queue is shared by all threads and guarded by `mutex`; everything below it belongs to the
// loop.
struct EventLoop::State : std::enable_shared_from_this<EventLoop::State> {
  using TimerKey = std::pair<runtime::Time, uint64_t>;

  State() {
    epoll = epoll_create1(EPOLL_CLOEXEC);
    wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(epoll >= 0 && wake >= 0, "no file descriptors left for an event loop");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr;
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event) == 0,
          "cannot watch the wake-up descriptor");
  }
  ~State() {
    close(epoll);
    close(wake);
  }

  void Post(runtime::Task task) {
    bool signal = false;
    {
      const std::lock_guard lock(mutex);
      if (stopped) return;
      signal = queue.empty();
      queue.push_back(std::move(task));
    }
    if (signal && std::this_thread::get_id() != thread_id) Signal();
  }

  void Signal() {
    const uint64_t one = 1;
    // Fails only if the counter is full, and then the loop wakes up anyway.
    [[maybe_unused]] const ssize_t written = write(wake, &one, sizeof one);
  }

  int WaitMilliseconds() {
    if (!turn_end.empty()) return 0;
    {
      const std::lock_guard lock(mutex);
      if (stopped || !queue.empty()) return 0;
    }
    if (timers.empty()) return -1;
    const auto delay = timers.begin()->first.first - std::chrono::steady_clock::now();
    if (delay <= runtime::Duration::zero()) return 0;
    const auto millis = std::chrono::ceil<std::chrono::milliseconds>(delay).count();
    return static_cast<int>(std::min<int64_t>(millis, 3'600'000));
  }

  void Run() {
    while (!stop.load(std::memory_order_relaxed)) {
      const int ready =
          epoll_wait(epoll, events.data(), static_cast<int>(events.size()), WaitMilliseconds());
      now = std::chrono::steady_clock::now();
      event_count = static_cast<size_t>(std::max(ready, 0));
      for (event_index = 0; event_index < event_count; ++event_index) Dispatch(events[event_index]);
      event_count = 0;
      RunQueue();
      RunTimers();
      // What is marked while this runs has its turn in the next one: fairness.
      ending.swap(turn_end);
      for (size_t i = 0; i < ending.size(); ++i) {
        if (ending[i] == nullptr) continue;
        ending[i]->marked_ = false;
        ending[i]->OnTurnEnd();
      }
      ending.clear();
      while (!graves.empty()) std::exchange(graves, {});
    }
  }

  void Dispatch(const epoll_event& event) {
    if (event.data.ptr == this) return;  // its watcher was removed in this turn
    if (event.data.ptr != nullptr) {
      static_cast<FdWatcher*>(event.data.ptr)->OnReady(event.events);
      return;
    }
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = read(wake, &count, sizeof count);
  }

  void RunQueue() {
    {
      const std::lock_guard lock(mutex);
      running.swap(queue);
    }
    for (runtime::Task& task : running) {
      if (stop.load(std::memory_order_relaxed)) break;
      task();
      task = nullptr;
    }
    running.clear();
  }

  void RunTimers() {
    while (!timers.empty() && timers.begin()->first.first <= now) {
      auto node = timers.extract(timers.begin());
      node.mapped()();
    }
  }

  std::mutex mutex;
  std::vector<runtime::Task> queue;
  bool stopped = false;

  std::atomic<bool> stop = false;
  std::thread thread;
  std::atomic<std::thread::id> thread_id;
  int epoll = -1;
  int wake = -1;
  runtime::Time now = std::chrono::steady_clock::now();
  std::array<epoll_event, 256> events;
  size_t event_index = 0;
  size_t event_count = 0;
  std::vector<runtime::Task> running;
  std::map<TimerKey, runtime::Task> timers;
  uint64_t next_timer = 0;
  std::vector<FdWatcher*> turn_end;
  std::vector<FdWatcher*> ending;
  std::vector<std::shared_ptr<void>> graves;
  internal::LoopScratch scratch;
};

EventLoop::EventLoop(std::string name) : state_(std::make_shared<State>()) {
  state_->thread = std::thread([state = state_.get(), name = std::move(name)] {
    state->thread_id = std::this_thread::get_id();
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    state->Run();
  });
}

EventLoop::~EventLoop() {
  CHECK(!IsCurrent(), "an event loop cannot be destroyed by its own task");
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopped = true;
  }
  state_->stop = true;
  state_->Signal();
  state_->thread.join();
  // What tasks own may cancel timers of this loop when it is destroyed: empty the queues first.
  std::vector<runtime::Task> queue;
  {
    const std::lock_guard lock(state_->mutex);
    queue.swap(state_->queue);
  }
  std::map<State::TimerKey, runtime::Task> timers;
  timers.swap(state_->timers);
  std::vector<std::shared_ptr<void>> graves;
  graves.swap(state_->graves);
}

void EventLoop::Post(runtime::Task task) { state_->Post(std::move(task)); }

runtime::Timer EventLoop::PostAfter(runtime::Duration delay, runtime::Task task) {
  CHECK_CONFINED(*this);
  const State::TimerKey key{std::chrono::steady_clock::now() + delay, state_->next_timer++};
  state_->timers.emplace(key, std::move(task));
  return runtime::Timer([weak = std::weak_ptr<State>(state_), key] {
    if (const auto state = weak.lock()) {
      const auto dropped = state->timers.extract(key);  // destroyed after the map is consistent
    }
  });
}

bool EventLoop::IsCurrent() const { return std::this_thread::get_id() == state_->thread_id.load(); }

Poster EventLoop::MakePoster() const {
  return [weak = std::weak_ptr<State>(state_)](runtime::Task task) {
    if (const auto state = weak.lock()) state->Post(std::move(task));
  };
}

void EventLoop::RunAndWait(const runtime::Task& task) {
  if (IsCurrent()) {
    task();
    return;
  }
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
  Post([&] {
    task();
    const std::lock_guard lock(mutex);
    done = true;
    ended.notify_one();
  });
  std::unique_lock lock(mutex);
  ended.wait(lock, [&] { return done; });
}

runtime::Time EventLoop::Now() const { return state_->now; }

void EventLoop::Watch(int fd, uint32_t events, FdWatcher& watcher) {
  CHECK_CONFINED(*this);
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  CHECK(epoll_ctl(state_->epoll, EPOLL_CTL_ADD, fd, &event) == 0, "cannot watch a descriptor");
}

void EventLoop::Rewatch(int fd, uint32_t events, FdWatcher& watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  CHECK(epoll_ctl(state_->epoll, EPOLL_CTL_MOD, fd, &event) == 0, "the descriptor is not watched");
}

void EventLoop::Unwatch(int fd, FdWatcher& watcher) {
  CHECK(epoll_ctl(state_->epoll, EPOLL_CTL_DEL, fd, nullptr) == 0, "the descriptor is not watched");
  State& s = *state_;
  for (size_t i = s.event_index; i < s.event_count; ++i) {
    if (s.events[i].data.ptr == &watcher) s.events[i].data.ptr = &s;
  }
  if (!watcher.marked_) return;
  watcher.marked_ = false;
  std::replace(s.turn_end.begin(), s.turn_end.end(), &watcher, static_cast<FdWatcher*>(nullptr));
  std::replace(s.ending.begin(), s.ending.end(), &watcher, static_cast<FdWatcher*>(nullptr));
}

void EventLoop::CallAtTurnEnd(FdWatcher& watcher) {
  if (std::exchange(watcher.marked_, true)) return;
  state_->turn_end.push_back(&watcher);
}

void EventLoop::DeleteLater(std::shared_ptr<void> object) {
  state_->graves.push_back(std::move(object));
}

internal::LoopScratch& EventLoop::scratch() { return state_->scratch; }

EventLoops::EventLoops(size_t count, const std::string& name) {
  CHECK(count > 0, "at least one event loop");
  for (size_t i = 0; i < count; ++i) {
    loops_.push_back(std::make_unique<EventLoop>(name + "-" + std::to_string(i)));
  }
}

}  // namespace kuma::net

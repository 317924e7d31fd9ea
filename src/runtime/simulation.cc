#include "runtime/simulation.h"

#include <algorithm>
#include <deque>
#include <map>
#include <vector>

#include "base/check.h"
#include "base/hash.h"

namespace kuma::runtime {
namespace {

class SimulatedClock final : public Clock {
 public:
  Time Now() const override { return Time(elapsed); }
  WallTime WallNow() const override {
    // 2026-01-01T00:00:00Z: certificates and ages need a plausible date, and always the same one.
    return WallTime(std::chrono::seconds(1'767'225'600) + elapsed + jumped);
  }
  // Not zero: code may use the zero time for "never".
  Duration elapsed = std::chrono::hours(1);
  Duration jumped{};
};

}  // namespace

struct Simulation::State {
  struct Executor final : SerialExecutor {
    Executor(State& owner, std::string label) : state(owner), name(std::move(label)) {}

    void Post(Task task) override { queue.push_back(std::move(task)); }

    Timer PostAfter(Duration delay, Task task) override {
      const TimerKey key{state.clock.Now() + delay, state.next_timer++};
      state.timers.emplace(key, std::pair(this, std::move(task)));
      return Timer([weak = std::weak_ptr<State*>(state.alive), key] {
        if (const auto alive = weak.lock()) {
          auto node = (*alive)->timers.extract(key);  // destroyed here, after the map is consistent
        }
      });
    }

    bool IsCurrent() const override { return state.current == this; }

    State& state;
    std::string name;
    std::deque<Task> queue;
  };

  struct SimulatedPool final : Pool {
    void Post(Task task) override { queue.push_back(std::move(task)); }
    std::vector<Task> queue;
  };

  using TimerKey = std::pair<Time, uint64_t>;

  explicit State(uint64_t seed) : random(seed) {}
  ~State() { alive.reset(); }

  void FireDueTimers() {
    while (!timers.empty() && timers.begin()->first.first <= clock.Now()) {
      auto node = timers.extract(timers.begin());
      node.mapped().first->queue.push_back(std::move(node.mapped().second));
    }
  }

  SimulatedClock clock;
  SeededRandom random;
  std::deque<Executor> executors;
  SimulatedPool pool;
  std::map<TimerKey, std::pair<Executor*, Task>> timers;
  uint64_t next_timer = 0;
  const Executor* current = nullptr;
  uint64_t steps = 0;
  uint64_t trace = 0;
  std::shared_ptr<State*> alive = std::make_shared<State*>(this);
};

Simulation::Simulation(uint64_t seed) : state_(std::make_unique<State>(seed)) {}
Simulation::~Simulation() = default;

Clock& Simulation::clock() { return state_->clock; }
Random& Simulation::random() { return state_->random; }
Pool& Simulation::pool() { return state_->pool; }

SerialExecutor& Simulation::AddExecutor(std::string name) {
  return state_->executors.emplace_back(*state_, std::move(name));
}

bool Simulation::Step() {
  State& s = *state_;
  s.FireDueTimers();
  std::vector<State::Executor*> ready;
  for (State::Executor& executor : s.executors) {
    if (!executor.queue.empty()) ready.push_back(&executor);
  }
  const size_t choices = ready.size() + (s.pool.queue.empty() ? 0 : 1);
  if (choices == 0) return false;
  const size_t choice = s.random.Below(choices);
  Task task;
  if (choice < ready.size()) {
    State::Executor& executor = *ready[choice];
    task = std::move(executor.queue.front());
    executor.queue.pop_front();
    s.current = &executor;
    Trace(executor.name);
  } else {
    const size_t index = s.random.Below(s.pool.queue.size());
    std::swap(s.pool.queue[index], s.pool.queue.back());
    task = std::move(s.pool.queue.back());
    s.pool.queue.pop_back();
    Trace("pool");
  }
  ++s.steps;
  task();
  task = nullptr;
  s.current = nullptr;
  return true;
}

void Simulation::RunUntilIdle(uint64_t limit) {
  const uint64_t end = state_->steps + limit;
  while (Step()) CHECK(state_->steps < end, "the simulated process never becomes idle");
}

void Simulation::Advance(Duration duration) {
  const Duration end = state_->clock.elapsed + duration;
  while (AdvanceToNextTimer(end - state_->clock.elapsed)) RunUntilIdle();
  state_->clock.elapsed = end;
  RunUntilIdle();
}

void Simulation::JumpWallClock(Duration by) { state_->clock.jumped += by; }

bool Simulation::AdvanceToNextTimer(Duration horizon) {
  State& s = *state_;
  if (s.timers.empty()) return false;
  const Time due = s.timers.begin()->first.first;
  if (due > s.clock.Now() + horizon) return false;
  s.clock.elapsed = std::max(s.clock.elapsed, due.time_since_epoch());
  s.FireDueTimers();
  return true;
}

void Simulation::Trace(std::string_view event) {
  state_->trace = base::Hash64(event, state_->trace);
}
uint64_t Simulation::trace_hash() const { return state_->trace; }
uint64_t Simulation::steps() const { return state_->steps; }

}  // namespace kuma::runtime

#pragma once

// Deterministic simulation: clock, executors, pool and randomness of a whole process in one thread.
// The seed decides which executor runs next; equal seeds give equal runs.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/clock.h"
#include "runtime/executor.h"
#include "runtime/random.h"

namespace kuma::runtime {

// Confined to the thread that made it. Executors and pool die with it; what they run must not
// outlive it.
class Simulation {
 public:
  explicit Simulation(uint64_t seed);
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  Clock& clock();
  Random& random();
  // A new executor; its tasks keep their order, tasks of different executors interleave by the
  // seed.
  SerialExecutor& AddExecutor(std::string name);
  // Tasks run in an order chosen by the seed.
  Pool& pool();

  // Runs one ready task; false when none is ready. Virtual time stands still.
  bool Step();
  // Runs ready tasks until none is left. CHECKs that this takes less than `limit` steps.
  void RunUntilIdle(uint64_t limit = 10'000'000);
  // Advances virtual time by `duration`, running timers as they become due.
  void Advance(Duration duration);
  // Sets the wall clock forward or back; the monotonic clock and timers do not notice.
  void JumpWallClock(Duration by);
  // Moves virtual time to the next timer, if one is due within `horizon`; true if there was one.
  bool AdvanceToNextTimer(Duration horizon);

  // Adds to the trace hash; equal seeds must give equal hashes at the end.
  void Trace(std::string_view event);
  uint64_t trace_hash() const;
  uint64_t steps() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kuma::runtime

#pragma once

// What /metrics shows of the mesh writer.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace kuma::control {

// Thread-safe: written by the mesh writer, read by everybody; each number is right by itself, not
// together.
struct Counters {
  using Number = std::atomic<uint64_t>;

  Number events = 0;            // store events received
  Number steps = 0;             // batches of events applied
  Number step_nanoseconds = 0;  // time spent in steps: apply, derive, freeze, affected
  Number last_step_nanoseconds = 0;
  Number longest_step_nanoseconds = 0;

  Number derived_writes = 0;
  Number derived_commits = 0;
  Number derived_conflicts = 0;  // follow-up transactions that met a newer write
  Number derived_failures = 0;   // follow-up transactions that the store could not take

  Number rounds = 0;
  Number plans = 0;                        // plans of proxies computed
  Number checks = 0;                       // contexts computed
  Number hits = 0;                         // contexts that had not changed: nothing was built
  std::array<Number, 4> generations = {};  // cells built, by generate::CellKind
  Number build_failures = 0;

  Number publishes = 0;        // bundles given to the hub
  Number publishes_equal = 0;  // bundles that were assembled and were what the proxy has: not given
  Number oracle_checks = 0;
  Number oracle_differences = 0;  // must stay 0

  // Now.
  Number proxies = 0;  // connected
  Number cells = 0;
  Number cell_bytes = 0;  // sealed bytes held by cells
  Number degraded_cells = 0;
  Number lists = 0;            // interned lists
  Number waiting_events = 0;   // queue of the writer
  Number waiting_cells = 0;    // marked, not checked
  Number waiting_proxies = 0;  // marked, not planned, or own part not checked
  Number held_dataplanes = 0;  // their removal is held by the guard

  Number dataplanes_registered = 0;  // stored because their proxy brought them
  Number dataplanes_removed = 0;     // because their proxy left
  Number health_changes = 0;         // stored because probes of a workload say so
};

}  // namespace kuma::control

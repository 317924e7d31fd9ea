#pragma once

// The mesh writer: store events -> MeshState -> derived writes -> snapshot -> affected cells and
// proxies -> rounds of generation on the pool -> bundles.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bundle/bundle.h"
#include "control/counters.h"
#include "control/reports.h"
#include "control/snapshot_holder.h"
#include "derive/derive.h"
#include "generate/generate.h"
#include "generate/health_checks.h"
#include "runtime/clock.h"
#include "runtime/executor.h"
#include "store/store.h"
#include "xds/health_session.h"

namespace kuma::control {

struct Settings {
  // An owned Dataplane whose services nobody else offers is removed when its proxy's stream has
  // been gone for this long; where others are connected, at once. Envoy opens a broken stream again
  // within its first retry interval (500 ms, jittered): a broken connection alone takes no endpoint
  // away, a killed proxy does so within a second.
  runtime::Duration leave_grace = std::chrono::seconds(1);
  // The same after a start of this process, and after registration: Envoy's longest retry interval
  // is 30 s.
  runtime::Duration return_grace = std::chrono::seconds(60);
  // Removals are held when, within `guard_window`, they are more than `guard_percent` of the
  // Dataplanes of a mesh and more than `guard_minimum`.
  unsigned guard_percent = 20;
  size_t guard_minimum = 10;
  runtime::Duration guard_window = std::chrono::seconds(10);
  // False when other control planes use the same store: then only Dataplanes that were connected
  // here are removed.
  bool only_instance = true;
  // Statuses that configuration does not read are stored at most once in this time.
  runtime::Duration status_interval = std::chrono::seconds(1);
  // Plans and own parts of at most so many proxies are looked at in one round, so that a small
  // change does not wait for the whole of a large one.
  size_t round_limit = 256;
  // Bundles for more proxies than this, and more than an eighth of all, wait while the streams are
  // still busy with earlier ones: what changes meanwhile merges.
  size_t few = 64;
  // When so many new streams are being brought into step at once, endpoints that join services with
  // others reach the rest of the mesh together, after rests that double, at most `longest_rest`.
  // Nothing else rests.
  uint64_t wave_of = 16;
  runtime::Duration longest_rest = std::chrono::seconds(5);
  // The hub forgets a proxy that has been away for so long.
  runtime::Duration forget_after = std::chrono::minutes(5);
  // After a round that changed something, one proxy is compared with the oracle on the pool, by turns
  // one that was given a bundle and one of all; not sooner than this after the last one, and so
  // that it takes less than a five-hundredth of the time. Absent: none.
  std::optional<runtime::Duration> oracle_interval = std::nullopt;
  // What Envoys are told about probing workloads.
  generate::HealthSettings health = {};
};

// Thread-safe: its methods post to the writer, which owns all state. Queues: events and arrivals
// are unbounded in number but each waits for one step only; marks of cells and proxies merge.
class ControlLoop {
 public:
  // Borrowed: all of it must outlive the loop; the writer must outlive the pool's threads.
  struct Surroundings {
    store::Store& store;
    const generate::Generator& generator;
    const runtime::Clock& clock;
    runtime::SerialExecutor& writer;
    runtime::Pool& pool;
    // Gives new bundles to the hub. Called on the writer, for a proxy only when a list of its
    // bundle changed, or once for each new stream. `taken` (may be null) goes when the streams have
    // taken them; until then only new streams are given more. It may be destroyed on any thread.
    std::function<void(std::vector<std::pair<base::ProxyKey, bundle::BundlePtr>>,
                       std::shared_ptr<void> taken)>
        publish;
    // Streams that wait or are being brought into step for the first time. Any thread. May be null:
    // none.
    std::function<uint64_t()> newcomers = nullptr;
    // The bundle of this proxy must not be given any more: its Dataplane is gone. May be null.
    std::function<void(const base::ProxyKey&)> withdraw = nullptr;
    // The hub need not keep anything of this proxy: it has been away for long. May be null.
    std::function<void(const base::ProxyKey&)> forget = nullptr;
    // Called on the writer before the bundles of the round are published; must be quick. May be
    // null.
    std::function<void(RoundReport)> on_round = nullptr;
  };

  ControlLoop(Settings settings, derive::Settings derive, Surroundings surroundings);
  // Nothing is called any more afterwards, if Stop was done or the writer runs no task meanwhile
  // (simulation).
  ~ControlLoop();

  // Starts to watch the store. Errors: those of Store::Watch. Call once.
  base::Status Start();
  // Ends the watch and drops all that is queued; deregisters nobody. `done` is called on the
  // writer.
  void Stop(std::function<void()> done);
  // The store is loaded and derivation has run and is stored: streams may be answered.
  bool ready() const;

  // The newest snapshot, derived resources included.
  const SnapshotHolder& snapshots() const;
  const Counters& counters() const;

  // Streams. Of two streams of one proxy the newest counts; the end of the older does nothing.
  void Connected(Arrival arrival);
  // `graceful`: the proxy said goodbye: its owned Dataplane is removed at once, without grace. So
  // is one that is drained (no inbound is ready) when the stream ends. Do not call this because the
  // control plane itself stops.
  void Disconnected(const base::ProxyKey& proxy, StreamId stream, bool graceful);

  // Health discovery: a proxy's line opened, ended, or brought news. What the proxy found of probed
  // workloads is stored in its Dataplane; it is told again what to probe when that changes.
  void HealthOpened(const base::ProxyKey& proxy, std::shared_ptr<xds::HealthLine> line,
                    generate::ProxyNode node);
  void HealthReported(const base::ProxyKey& proxy, const xds::HealthLine* line,
                      xds::HealthReport report);
  void HealthClosed(const base::ProxyKey& proxy, const xds::HealthLine* line);

  // Answers are given on the writer, soon.
  void ListDegraded(std::function<void(std::vector<DegradedCell>)> answer);
  // Owned Dataplanes without a proxy whose removal the guard holds; sorted.
  void ListHeld(std::function<void(std::vector<base::ProxyKey>)> answer);
  // Removes the held Dataplanes of a mesh.
  void ReleaseHeld(const std::string& mesh);

  // Compares all published bundles with the oracle, on the calling thread; texts of differences.
  // Proxies with degraded cells or with work waiting are left out. REQUIRES: the writer runs no
  // task meanwhile.
  std::vector<std::string> CheckAllForTest() const;
  // True when nothing is queued, marked, running or waiting for the store. REQUIRES: as above.
  bool IdleForTest() const;

 private:
  class Writer;
  std::shared_ptr<Writer> writer_;
};

}  // namespace kuma::control

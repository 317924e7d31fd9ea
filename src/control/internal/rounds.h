#pragma once

// Rounds of generation: marked cells and proxies -> contexts and cells on the pool -> bundles.
//
//   idle --Wake--> plans and cells run on the pool; cells name further cells --none left-->
//   assemble, publish --> idle
//
// A round works on one snapshot, so that each bundle is of one revision. What is marked meanwhile
// waits for the next round and merges there. At most `round_limit` plans and own parts are looked
// at in a round; a proxy that waits for its turn keeps the bundle that it has.
//
// Bundles of many proxies that have one already are not published while the streams are still busy
// with the last ones. In a wave of new proxies their endpoints reach the others ever more rarely:
// those that join meanwhile merge. Everything else, such as an endpoint that leaves, does not wait.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/control_loop.h"
#include "control/internal/affected.h"
#include "control/internal/cells.h"
#include "control/internal/interner.h"
#include "runtime/clock.h"
#include "runtime/executor.h"

namespace kuma::control::internal {

// Confined to the mesh writer.
class Rounds : public std::enable_shared_from_this<Rounds> {
 public:
  Rounds(const Settings& settings, const ControlLoop::Surroundings& surroundings,
         Counters& counters);

  // Nothing that was written up to this revision counts as a change.
  void Begin(base::Revision revision);
  // What the following rounds see.
  void SetSnapshot(mesh::SnapshotPtr snapshot) { next_snapshot_ = std::move(snapshot); }
  void Mark(const Scope& scope, const CausePtr& cause);

  // True if the stream is the newest of its proxy.
  bool Connected(const Arrival& arrival);
  // True if the stream was the one that counted.
  bool Disconnected(const base::ProxyKey& proxy, StreamId stream);
  bool IsConnected(const base::ProxyKey& proxy) const { return proxies_.contains(proxy); }

  // Starts a round if none runs and something is marked, else reports what settled without one.
  void Wake();
  bool idle() const;
  void UpdateCounters();

  std::vector<DegradedCell> degraded() const;
  std::vector<std::string> CheckAll() const;

 private:
  struct PlanJob {
    base::ProxyKey proxy;
    uint64_t number;
    std::shared_ptr<const generate::ProxyNode> node;
    std::shared_ptr<const policy::ViewIndex> views;
    std::optional<base::Result<generate::ProxyPlan>> plan;
  };
  struct CellJob {
    Cell* cell;  // not touched by the pool
    generate::CellId id;
    std::shared_ptr<const generate::ProxyNode> node;  // of Own
    std::optional<base::ContentHash> known;
    enum class Outcome { kGone, kUnchanged, kBuilt, kFailed } outcome = Outcome::kGone;
    base::ContentHash context;
    generate::SealedCell sealed;
    std::string failure;
  };

  void MarkCell(Cell& cell, const CausePtr& cause, bool can_wait);
  void MarkProxy(Proxy& proxy, bool plan, bool own, const CausePtr& cause);
  void MarkReaders(const Scope& scope, const CausePtr& cause);
  // Null: its Dataplane is not there; when it comes, it marks the proxy.
  const Reach* ReachOfProxy(Proxy& proxy) const;
  model::ResourcePtr DataplaneOf(const Proxy& proxy) const;  // in what the next round sees
  void NoteDataplane(Proxy& proxy);
  bool ReadsPolicy(const Cell& cell, const Scope& scope) const;  // kView
  template <class F>
  void ForProxiesOf(const std::string& mesh, F f);

  void StartRound();
  std::shared_ptr<const policy::ViewIndex> ViewsOf(const std::string& mesh);
  void Check(Cell& cell);
  Cell& Need(const generate::CellId& id);  // found, or made and checked
  void NeedListeners(const generate::ProxyPlan& plan);
  void PostPlans();
  void PostCells();
  template <class Job, class Run, class Done>
  void PostJobs(std::vector<Job>& jobs, Run run, Done done);
  void OnPlans(std::vector<PlanJob> jobs);
  void OnCells(std::vector<CellJob> jobs);
  void TakePlan(Proxy& proxy, generate::ProxyPlan plan);
  void TakeCell(CellJob& job);
  bool TakeBuilt(Cell& cell, generate::SealedCell& sealed);
  bool TakeFailure(Cell& cell, std::string failure);
  Proxy* OwnerOf(const Cell& own) const;
  void Regroup(Proxy& proxy);
  void MaybeFinish();
  void Finish();
  bool HasWork() const;
  void LookForWave();
  bool Rests() const;
  bool StreamsAreBusy() const;
  void RefreshGroups(bool rests);
  void Collect();
  std::shared_ptr<void> OnTaken(bool of_all);
  void ArmRest();
  std::optional<Published> Publish(Proxy& proxy);
  void SampleOracle(const std::vector<Published>& published);
  void CompareWithOracle(const Proxy& proxy);
  bool IsAsOf(const Proxy& proxy) const;
  static bool IsDegraded(const Proxy& proxy);
  void Detach(Proxy& proxy);
  void Remove(Proxy& proxy);  // before its record goes
  DegradedCell DegradedOf(const Cell& cell) const;

  const Settings settings_;
  const ControlLoop::Surroundings& around_;
  Counters& counters_;
  Interner interner_;
  Cells cells_;
  std::map<base::ProxyKey, std::unique_ptr<Proxy>> proxies_;
  std::map<std::string, std::shared_ptr<const policy::ViewIndex>>
      views_;  // by mesh, until a policy changes
  uint64_t next_number_ = 1;
  std::set<Proxy*, ProxyLess> calls_peers_;  // by their own addresses

  mesh::SnapshotPtr next_snapshot_ = std::make_shared<const mesh::Snapshot>();
  std::vector<uint64_t> marked_cells_;    // numbers; the cell may be gone
  std::deque<base::ProxyKey> queue_;      // marked proxies that have a bundle
  std::deque<base::ProxyKey> new_queue_;  // that have none: they wait without harm
  base::Revision settled_;
  std::vector<base::ProxyKey> left_;  // not reported yet

  // Bundles of proxies that have one already.
  size_t taking_ = 0;  // batches that the streams have not taken yet
  std::optional<runtime::Time> wave_began_;
  runtime::Time wave_seen_;   // last
  runtime::Time rest_until_;  // in the wave
  runtime::Timer rest_timer_;

  // Of the round that runs.
  bool running_ = false;
  mesh::SnapshotPtr snapshot_;
  Causes late_causes_;      // of marks since it began
  size_t outstanding_ = 0;  // tasks on the pool
  std::vector<PlanJob> plan_jobs_;
  std::vector<CellJob> cell_jobs_;
  std::vector<Cell*> round_cells_;
  std::vector<Cell*> changed_cells_;
  std::vector<base::ProxyKey> round_proxies_;  // looked at; they may have left
  // Whose cells are there. Compared by the list's address.
  std::set<std::pair<generate::OutboundListPtr, generate::CellId>> needed_lists_;
  bool all_looked_at_ = true;            // no proxy is behind
  std::set<Proxy*, ProxyLess> touched_;  // also of earlier rounds, when behind or held
  std::set<Proxy*, ProxyLess> resting_;  // what changed for them can wait until the rest is over
  std::set<Group*, ByNumber> stale_;     // their lists are to be worked out again

  // The sample of the oracle.
  bool oracle_running_ = false;
  runtime::Time oracle_at_;  // not before
  uint64_t oracle_turns_ = 0;
  base::ProxyKey oracle_last_;  // of all proxies
};

}  // namespace kuma::control::internal

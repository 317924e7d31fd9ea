#pragma once

// The simulated world: a whole control plane (real store in memory, derivation, generation, hub and
// ADS service) and model Envoys under runtime::Simulation. Users edit, endpoints flap, streams
// break, proxies die and come back, refuse and are slow, the store conflicts and fails, the wall
// clock jumps, the control plane restarts. Everything follows from the seed; each event follows
// from the seed and its own number, so that an event stays what it is when others are left out.
//
// Checked all the time:
//  - no model Envoy routes to a cluster that it does not hold;
//  - no bundle has an endpoint set without endpoints while the store has healthy ones;
//  - the revisions that a proxy is sent never go back, over streams and restarts;
//  - no rollout goes back, and what a complete rollout changed is what the model Envoys run, or
//    newer;
//  - a sample of bundles is what a generation from scratch gives.
// Checked at quiet points:
//  - each model Envoy runs what a generation from scratch gives; where a policy cannot be applied,
//    what was last good; one that refuses lacks nothing but what it refuses and what needs that;
//  - every rollout is complete, nothing is queued, what is stored about proxies is true.
// Checked at the end: what configuration does not read, and what is undone at once, costs nothing;
// after a restart the control plane is as it was, and nobody is sent anything.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bundle/bundle.h"
#include "control/control_loop.h"
#include "generate/generate.h"
#include "insight/rollouts.h"
#include "model/resource.h"
#include "runtime/random.h"
#include "runtime/simulation.h"
#include "store/store.h"
#include "tests/kit/builders.h"
#include "tests/kit/faulty_store.h"
#include "tests/kit/model_envoy.h"

namespace kuma::sim {

struct WorldOptions {
  uint64_t seed = 1;
  size_t events = 230;
  std::optional<std::set<size_t>> only = {};  // numbers of the events that happen; absent: all
  bool verbose = false;                       // prints what happens
};

// Confined to one thread. Run() once, then look at failures().
class World {
 public:
  explicit World(WorldOptions options);
  ~World();

  void Run();
  const std::vector<std::string>& failures() const { return failures_; }
  uint64_t trace_hash() const { return simulation_.trace_hash(); }
  // For a look at what the seeds reach.
  const std::map<std::string, uint64_t>& counts() const { return counts_; }
  // The events that happened, in words.
  const std::map<size_t, std::string>& events() const { return events_; }
  size_t proxies() const { return peers_.size(); }
  runtime::Duration elapsed();  // virtual time

 private:
  struct ControlPlane;
  class Healthy;
  struct Stream;
  struct Peer;
  class Wire;

  // The users.
  void Commit(std::string what, std::vector<store::Write> writes);
  void EditProxy();
  void EditPolicy();
  void EditService();
  model::ResourcePtr DataplaneOf(const Peer& peer);
  std::string SomeApp();
  std::string SomeService();

  // The machines.
  void Choose(size_t number);
  void Disturb();
  void Flap(Peer& peer, uint64_t times, runtime::Duration every);
  void JumpClock();
  void StartControlPlane();
  void Crash();
  void StopGracefully();
  void RestartWhoIsInDoubt();
  void AddPeer(const std::string& name);
  void Register(Peer& peer);
  void Kill(Peer& peer, bool graceful);
  Peer* SomePeer(bool alive);
  void ConnectSoon(Peer& peer, runtime::Duration after);
  void Connect(Peer& peer);
  void Cut(Peer& peer, runtime::Duration until_noticed, bool graceful);
  void CloseServerSide(const std::shared_ptr<Stream>& stream, bool graceful);
  void SendRequests(Peer& peer, std::vector<xds::DeltaRequest> requests);
  void OnResponse(Peer& peer, const std::shared_ptr<Stream>& stream, std::string bytes);
  void ArmClient(Peer& peer);
  void Deliver(Stream& stream, bool to_server, runtime::Duration late, runtime::Task task);
  std::optional<kit::Refusal> Refuses(const Peer& peer,
                                      const bundle::SealedResource& resource) const;

  // The checks.
  void CheckAlways();
  void CheckPublished(const base::ProxyKey& proxy, const bundle::XdsBundle& bundle);
  void CheckRollouts(bool all);
  void CheckIsThere(base::Revision revision);
  void CheckQuiet();
  void CheckPeer(Peer& peer);
  void CheckRefusingPeer(Peer& peer, const bundle::XdsBundle& wanted);
  void CheckStore();
  void CheckStatusWritesCostNothing();
  void CheckWhatIsUndoneCostsNothing();
  void CheckRestartChangesNothing();
  void Pass(runtime::Duration duration);
  void Happens(const std::string& what);  // as part of the event
  void Note(const std::string& what);
  void Fail(std::string what);

  const WorldOptions options_;
  runtime::Simulation simulation_;
  runtime::Random& random_;          // of the machines and their network
  runtime::SeededRandom choice_{0};  // of the event
  runtime::SerialExecutor& writer_;
  runtime::SerialExecutor& insight_;
  runtime::SerialExecutor& storage_;
  runtime::SerialExecutor& clients_;
  std::vector<runtime::SerialExecutor*> loops_;

  // How this world is, by its seed.
  const bool refusals_;       // some model Envoys refuse some content
  const bool broken_policy_;  // some policies cannot be applied
  const bool transparent_;    // some proxies have transparent proxying
  runtime::Duration late_;

  std::unique_ptr<store::Store> memory_;
  std::unique_ptr<Healthy> healthy_;
  std::unique_ptr<kit::FaultyStore> store_;  // as the control plane sees it; users write past it
  std::unique_ptr<generate::Generator> generator_;
  control::Settings settings_;
  std::shared_ptr<ControlPlane> control_plane_;  // null while it is down
  std::map<std::string, std::unique_ptr<Peer>> peers_;
  std::map<std::tuple<bundle::XdsType, std::string, std::string>, bundle::SealedPtr> sealed_;
  std::set<bundle::SealedPtr> seen_;               // of the same
  std::map<uint64_t, insight::Rollout> rollouts_;  // as last seen
  std::set<uint64_t> open_rollouts_;
  uint64_t looked_up_to_ = 0;  // rollouts
  runtime::Time store_fails_until_;
  runtime::Time last_commit_;
  std::deque<runtime::Timer> commits_;
  uint64_t next_stream_ = 1;
  uint64_t edits_ = 0;
  bool waits_for_quiet_ = false;
  size_t event_ = 0;
  std::map<size_t, std::string> events_;
  std::vector<runtime::Timer> timers_;
  std::map<std::string, uint64_t> counts_;
  std::vector<std::string> failures_;
};

}  // namespace kuma::sim

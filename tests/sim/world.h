#pragma once

// The simulated world: a whole control plane (real store in memory, derivation, generation, hub and
// ADS service) and model Envoys under runtime::Simulation. Users edit, endpoints flap, streams
// break, proxies die and come back, refuse and are slow, the store conflicts and fails, the control
// plane restarts. Everything follows from the seed.
//
// Checked all the time: no model Envoy routes to a cluster that it does not hold, no rollout goes
// back, and what a complete rollout changed is what the model Envoys run, or newer. Checked at quiet points: each model Envoy runs what a generation from scratch gives, every
// rollout is complete, nothing is queued, what is stored about proxies is true; a write that
// configuration does not read costs nothing; after a restart the control plane is as it was, and
// nobody is sent anything.

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
#include "runtime/simulation.h"
#include "store/store.h"
#include "tests/kit/builders.h"
#include "tests/kit/model_envoy.h"

namespace kuma::sim {

struct WorldOptions {
  uint64_t seed = 1;
  size_t rounds = 40;    // disturbances
  bool verbose = false;  // prints what happens
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

 private:
  class FaultyStore;
  struct ControlPlane;
  struct Stream;
  struct Peer;
  class Wire;

  // The users.
  void Commit(std::string what, std::vector<store::Write> writes);
  void Edit();
  void EditProxy();
  void EditPolicy();
  void EditService();
  model::ResourcePtr DataplaneOf(const Peer& peer);
  std::string SomeApp();
  std::string SomeService();

  // The machines.
  void Disturb();
  void StartControlPlane();
  void Crash();
  void StopGracefully();
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
  void CheckClosed(const base::ProxyKey& proxy, const bundle::XdsBundle& bundle);
  void CheckRollouts();
  void CheckIsThere(base::Revision revision);
  void CheckQuiet();
  void CheckPeer(Peer& peer);
  void CheckStore();
  void CheckStatusWritesCostNothing();
  void CheckRestartChangesNothing();
  void Pass(runtime::Duration duration);
  void Note(const std::string& what);
  void Fail(std::string what);

  const WorldOptions options_;
  runtime::Simulation simulation_;
  runtime::Random& random_;
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
  std::unique_ptr<FaultyStore> store_;
  std::unique_ptr<generate::Generator> generator_;
  control::Settings settings_;
  std::shared_ptr<ControlPlane> control_plane_;  // null while it is down
  std::map<std::string, std::unique_ptr<Peer>> peers_;
  std::map<std::tuple<bundle::XdsType, std::string, std::string>, bundle::SealedPtr> sealed_;
  std::map<uint64_t, insight::Rollout> rollouts_;  // as last seen
  uint64_t next_stream_ = 1;
  uint64_t edits_ = 0;
  std::vector<runtime::Timer> timers_;
  std::map<std::string, uint64_t> counts_;
  std::vector<std::string> failures_;
};

}  // namespace kuma::sim

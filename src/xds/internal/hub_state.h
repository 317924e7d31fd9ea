#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "xds/hub.h"
#include "xds/internal/admission_gate.h"

namespace kuma::xds::internal {

// A stream as the hub sees it. Confined to its loop.
class ProxyStream {
 public:
  virtual void OnBundle(BundlePtr bundle) = 0;
  virtual void Recall(const SessionMemory& memory) = 0;
  virtual SessionMemory Remember() const = 0;
  virtual std::string Describe() const = 0;
  // The hub has let go of it. Ends the stream; reports nothing.
  virtual void End(const base::Error& reason) = 0;

 protected:
  ~ProxyStream() = default;
};

// Confined to its loop, but for `loop` itself.
struct Shard {
  struct Entry {
    BundlePtr bundle;
    bool owed = false;              // the stream has not been given the bundle yet
    ProxyStream* stream = nullptr;  // unregisters itself before it dies
    uint64_t number = 0;            // of the stream
    SessionMemory memory;           // of an earlier stream, of any loop
    uint64_t memory_number = 0;

    bool Idle() const { return bundle == nullptr && stream == nullptr && memory.empty(); }
  };
  Shard(runtime::SerialExecutor& executor, AdmissionGate admission)
      : loop(executor), gate(std::move(admission)) {}

  runtime::SerialExecutor& loop;
  AdmissionGate gate;
  std::unordered_map<base::ProxyKey, Entry> entries;
  std::vector<ProxyEvent> reports;  // of this turn of the loop
  // Streams that are owed a bundle, by how many others were given one with them: a change that
  // concerns few overtakes one that concerns all. Each holds the token of its batch.
  std::deque<std::pair<base::ProxyKey, std::shared_ptr<void>>> few, many;
  bool giving = false;
};

class HubState : public std::enable_shared_from_this<HubState> {
 public:
  explicit HubState(HubOptions options);

  const HubOptions& options() const { return options_; }
  HubCounters& counters() { return counters_; }

  struct Registration {
    uint64_t number = 0;   // of the stream
    BundlePtr bundle;      // null: not published yet
    SessionMemory memory;  // of the proxy's previous stream; one from another loop comes later
  };
  // On the stream's loop. The newest stream of a proxy wins: an older one ends. REQUIRES: the loop
  // is one of the hub's.
  Registration Register(runtime::SerialExecutor& loop, ProxyStream& stream,
                        const NodeDescription& node);
  // On the stream's loop.
  void Unregister(runtime::SerialExecutor& loop, const base::ProxyKey& proxy, uint64_t number,
                  SessionMemory memory, DisconnectedEvent event);
  // On the stream's loop.
  void Report(runtime::SerialExecutor& loop, std::vector<ProxyEvent> events);

  // On the loop: who of its new streams may go on.
  AdmissionGate& GateOf(runtime::SerialExecutor& loop) { return ShardOf(loop).gate; }

  // From anywhere.
  void Publish(std::vector<std::pair<base::ProxyKey, BundlePtr>> bundles,
               std::shared_ptr<void> taken);
  void Drop(base::ProxyKey proxy, bool memory);
  void ForEachShard(const std::function<void(Shard&)>& task);

 private:
  struct Subscriber {
    ProxyEventSubscriber to;
    // Confined to its executor: the newest stream of each proxy.
    std::shared_ptr<std::unordered_map<base::ProxyKey, uint64_t>> newest;
  };

  Shard& ShardOf(runtime::SerialExecutor& loop);
  void Report(Shard& shard, ProxyEvent event);
  void SendReports(Shard& shard);
  void Give(Shard& shard);
  void Supersede(Shard& shard, const base::ProxyKey& proxy, uint64_t number, Shard& newer);
  static void Keep(Shard& shard, const base::ProxyKey& proxy, uint64_t number,
                   const SessionMemory& memory);

  HubOptions options_;
  HubCounters counters_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<Subscriber> subscribers_;
  std::atomic<uint64_t> next_stream_{1};
};

}  // namespace kuma::xds::internal

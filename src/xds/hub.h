#pragma once

// Where bundles meet streams. The writer publishes the newest bundle of a proxy; the stream of that
// proxy, on whatever event loop it lives, brings Envoy in step with it and reports what happened.
//
//   writer ---- Publish ----> each loop: ProxyKey -> newest bundle, stream
//   loop   ---- ProxyEvent -> executor of each subscriber

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bundle/bundle.h"
#include "runtime/clock.h"
#include "runtime/executor.h"
#include "xds/delta_session.h"
#include "xds/node.h"

namespace kuma::xds {

namespace internal {
class HubState;
}  // namespace internal

// A stream of this proxy is authenticated. Connected twice without Disconnected between: a newer
// stream took over.
struct ConnectedEvent {
  std::shared_ptr<const NodeDescription> node;  // not in place: events are moved in thousands
};
struct DisconnectedEvent {
  std::string reason;
  bool stopping = false;  // this control plane is going down: says nothing about the proxy
};
// Everything of the bundles up to this revision is acknowledged, or newer content is, but for what
// is withheld.
struct InStepEvent {
  Revision revision;
  std::vector<QuarantineEntry> withheld;
};
// A response went out.
struct SentEvent {
  XdsType type;
  Revision revision;  // of the bundle
  uint32_t resources = 0;
  uint32_t removed = 0;
  uint64_t bytes = 0;  // of the resources
};
// It has left a response without an answer for too long, or has answered at last.
struct StalledEvent {
  bool stalled = true;
};

struct ProxyEvent {
  base::ProxyKey proxy;
  uint64_t stream = 0;  // grows with each stream of this process
  std::variant<ConnectedEvent, DisconnectedEvent, SentEvent, AckEvent, NackEvent, InStepEvent,
               StalledEvent>
      what;
};

// Gets the events of each proxy's newest stream, in order, on its executor; those of one turn of a
// loop cost one hop together. Its queue is bounded by the streams: they send one response per type
// and wait for the answer.
struct ProxyEventSubscriber {
  runtime::SerialExecutor* executor = nullptr;
  std::function<void(const ProxyEvent&)> sink;
};

struct HubOptions {
  std::vector<runtime::SerialExecutor*> loops;  // on which streams may live
  const runtime::Clock* clock = nullptr;
  SessionOptions session = {};
  // New streams of one loop that are brought into step at a time, and that may wait for it.
  size_t admitted_at_once = 64;
  size_t waiting_streams = 16384;
  std::vector<ProxyEventSubscriber> subscribers = {};
};

// What /metrics shows of streams. Thread-safe; each number is right by itself.
struct HubCounters {
  using Number = std::atomic<uint64_t>;
  Number streams = 0;  // authenticated, now
  Number streams_in_step =
      0;  // of these: everything of the newest bundle is acknowledged or quarantined
  Number responses_sent = 0;
  Number resources_sent = 0;
  Number resources_removed = 0;
  Number bytes_sent = 0;        // of resources
  Number rejected = 0;          // responses
  Number streams_stalled = 0;   // now: they leave a response without an answer
  Number streams_waiting = 0;   // now: for their turn to be admitted
  Number streams_entering = 0;  // now: admitted, and being brought into step for the first time
  Number streams_refused = 0;   // because too many waited
};

// Thread-safe: each loop has its own map, and everything reaches it by Post. What the options point
// to outlives the hub and all streams.
class Hub {
 public:
  explicit Hub(HubOptions options);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // Only the newest bundle of a proxy is kept, whether it is connected or not, until Forget.
  void Publish(base::ProxyKey proxy, BundlePtr bundle);
  // The same for many at the price of one hop. Bundles of a change that concerns few overtake those
  // of one that concerns many. `taken` is let go, on some loop, when every stream has its bundle or
  // a newer one.
  void PublishAll(std::vector<std::pair<base::ProxyKey, BundlePtr>> bundles,
                  std::shared_ptr<void> taken = nullptr);
  // Drops the bundle; a connected stream keeps what it has.
  void Withdraw(base::ProxyKey proxy);
  // Drops what was remembered of earlier streams, too.
  void Forget(base::ProxyKey proxy);
  // Ends the stream of a proxy, if there is one: its token was revoked, it was deleted.
  void End(base::ProxyKey proxy, base::Error reason);

  // For a person who asks: what the session of this proxy knows. `done` is called once on some
  // loop.
  void Describe(base::ProxyKey proxy, std::function<void(std::string)> done);

  const HubCounters& counters() const;

  // For the services of this room.
  const std::shared_ptr<internal::HubState>& state() const { return state_; }

 private:
  std::shared_ptr<internal::HubState> state_;
};

}  // namespace kuma::xds

#pragma once

// Simulated proxies: bootstrap over HTTPS, then one delta ADS stream over TLS each, with Envoy's
// behaviour from tests/kit/model_envoy.h. Light: one thread, one event loop, and of a resource only
// its name and version are kept, once for all proxies.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bundle/bundle.h"
#include "net/client.h"
#include "net/event_loop.h"
#include "runtime/random.h"
#include "tests/bench/recording.h"

namespace kuma::bench {

using SteadyTime = std::chrono::steady_clock::time_point;

struct ProxyOptions {
  std::string mesh;
  std::string name;
  std::string token;
  std::string dataplane;  // as JSON; empty: it is stored already
  std::string url = {};   // of its stream, if it is another one than the fleet's
};

// A resource as one or more proxies received it.
struct SeenResource : bundle::SealedResource {
  bool has_endpoints = false;  // a cluster that gets them by EDS
  bool marked = false;
};

struct Traffic {
  uint64_t responses = 0;
  uint64_t resources = 0;
  uint64_t removed = 0;
  uint64_t bytes = 0;  // of responses, without the framing of gRPC, HTTP/2 and TLS
  uint64_t requests = 0;
};

struct FleetOptions {
  std::string url;         // of the data plane port, "https://127.0.0.1:5678"
  size_t bootstraps = 32;  // at a time; replays, too
};

// Thread-safe; the proxies live on a loop of the fleet's own.
class Fleet {
 public:
  explicit Fleet(FleetOptions options);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Each of them bootstraps and connects, now.
  void Start(std::vector<ProxyOptions> proxies);
  // Connects to a bare server, a few at a time, and plays the clients' side of a recording.
  void StartReplay(const Recording& recording);
  // Ends the streams of the proxies from `first` on, or of one, for good.
  void Stop(size_t first);
  void StopOne(size_t number);
  // Cuts the connections of so many proxies, which come back at once as Envoy would.
  void Cut(size_t count);

  // Resources seen for the first time from now on are looked at: `packed` is the
  // google.protobuf.Any. Forgets who received a marked one. Null: none is marked.
  using Mark = std::function<bool(const bundle::SealedResource&, std::string_view packed)>;
  void ArmMark(Mark mark);
  // When each proxy got its first marked resource, sorted by time. A replay marks every response.
  std::vector<SteadyTime> Marks() const;
  size_t marked() const;

  size_t size() const;
  size_t connected() const;   // streams
  size_t configured() const;  // have all that they asked for; when they got it:
  std::vector<SteadyTime> ConfiguredAt() const;
  void ForgetConfigured();
  Traffic traffic() const;
  SteadyTime last_message() const;
  uint64_t stream_errors() const;
  std::string last_error() const;
  // Broken promises that the model Envoys saw.
  std::vector<std::string> Faults() const;

  // Records from now on; null: no more. The recording outlives that.
  void Record(Recording* recording);

 private:
  struct State;
  class Proxy;
  class Stream;
  class Player;
  std::shared_ptr<State> state_;
};

// Calls it every few milliseconds until it is true; false: not within the time.
bool WaitFor(std::chrono::seconds limit, const std::function<bool()>& condition);

}  // namespace kuma::bench

#pragma once

// One mesh under load: a control plane of our own with services and simulated proxies, and the
// measured pieces. The load is that of the outside load generator, so that numbers compare:
// proxy i serves svc-(i mod S) and has K outbounds, to svc-((7 i + 13 j + 1) mod S).

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/control_plane.h"
#include "tests/bench/fleet.h"
#include "tests/bench/report.h"

namespace kuma::bench {

// What a change causes later belongs to its cost: insights are stored once a second.
constexpr std::chrono::milliseconds kUntilStored(1200);

struct Size {
  size_t proxies = 1000;
  size_t services = 100;
  size_t outbounds = 5;
  bool transparent = false;  // no outbounds: every service is reached at its virtual address
  std::string Name() const;  // "1000x100", "1000x100x20" if outbounds are not 5
};

struct WorldOptions {
  Size size;
  std::string store = "memory";
  std::string bin_folder;
  std::string work_folder;
  std::vector<int> control_plane_cores;
  size_t connections = 32;  // of the client that writes
};

// CPU-seconds of a process and what came to the fleet, from its start to Stop.
class Meter {
 public:
  Meter(pid_t pid, Fleet& fleet);
  double Cpu() const;
  Traffic TrafficSince() const;
  // "writer 0.01, net 0.03": threads that took at least a hundredth of it.
  std::map<std::string, double> Threads() const;

 private:
  const pid_t pid_;
  Fleet& fleet_;
  const double cpu_;
  const Traffic traffic_;
  const std::map<std::string, double> threads_;
};

// Confined to one thread.
class World {
 public:
  explicit World(WorldOptions options);
  ~World();

  // Starts the control plane and applies what is there before any proxy.
  base::Status Start();
  // Connects proxies [first, first + count); they are configured when it returns.
  base::Status Connect(size_t first, size_t count, std::chrono::seconds limit);
  // The same of any numbers; does not wait. `url`: instead of the control plane's, for the streams.
  void Begin(const std::vector<size_t>& numbers, const std::string& url = {});
  // Starts that which `write` does, waits until `affected` proxies received a marked resource and
  // all is quiet, and adds cost and times under `name` to the report.
  base::Status Measure(Report& report, const std::string& piece, const std::string& name,
                       size_t affected, Fleet::Mark mark,
                       const std::function<base::Status()>& write);
  // One MeshTimeout that changes every proxy; another address for proxy 0.
  base::Status MeasureEdit(Report& report, const std::string& piece);
  base::Status MeasureMove(Report& report, const std::string& piece);

  model::Value TimeoutOf(int milliseconds) const;
  model::Value DataplaneOf(size_t number, const std::string& address) const;
  std::string AddressOf(size_t number) const;
  // How many proxies have an outbound to the service of this one.
  size_t ConsumersOf(size_t number) const;
  // Until so many proxies have a marked resource, at most a minute.
  base::Status WaitForMarks(const std::string& name, size_t affected);
  // Nothing came to the fleet for so long.
  void WaitForQuiet(std::chrono::milliseconds quiet);
  // Until what a change causes is done and stored, too.
  void WaitForTheRest();

  ControlPlane& control_plane() { return *control_plane_; }
  Fleet& fleet() { return *fleet_; }
  const WorldOptions& options() const { return options_; }

 private:
  const WorldOptions options_;
  std::unique_ptr<ControlPlane> control_plane_;
  std::vector<std::string> tokens_;  // of each service's workload
  std::unique_ptr<Fleet> fleet_;
  int edits_ = 0;
};

// connect_timeout of an envoy.config.cluster.v3.Cluster within its Any, in milliseconds.
int ConnectTimeoutOf(std::string_view packed);

}  // namespace kuma::bench

#pragma once

// Health discovery (HDS): one stream over which an Envoy is told what to probe and reports what it
// found.
//
//   idle    -- plan -->      probing   a new specifier is sent
//   idle                               the idle specifier is sent once: nothing to probe, report daily
//   probing -- same plan --> probing   nothing is sent
//   probing -- report -->    probing   nothing is told further, unless it differs from the last one

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "xds/node.h"

namespace kuma::xds {

// What a proxy is to probe: a serialised envoy.service.health.v3.HealthCheckSpecifier and the names
// of its clusters. A null specifier: nothing.
struct HealthPlan {
  std::shared_ptr<const std::string> specifier;
  std::vector<std::string> names;
};

// Healthy or not, by name of the probed cluster. Only the first endpoint of a cluster counts, as in
// Kuma.
using HealthReport = std::map<std::string, bool, std::less<>>;

// Pure. Confined to one executor.
class HealthSession {
 public:
  // `idle` is what to send while there is nothing to probe.
  explicit HealthSession(std::shared_ptr<const std::string> idle) : idle_(std::move(idle)) {}

  // What to send, or null: Envoy has it.
  std::shared_ptr<const std::string> OnPlan(HealthPlan plan);
  // What is new, or nothing. The first report about a plan is new. Names that the plan does not
  // have are dropped.
  std::optional<HealthReport> OnReport(HealthReport report);

 private:
  std::shared_ptr<const std::string> idle_;
  std::shared_ptr<const std::string> sent_;
  std::vector<std::string> names_;  // sorted
  std::optional<HealthReport> last_;
};

// The other end of one stream, for whoever makes plans. Thread-safe; does nothing once the stream
// is over.
class HealthLine {
 public:
  virtual ~HealthLine() = default;
  virtual void SetPlan(HealthPlan plan) = 0;
};

// Hears of authenticated streams, on their loops: must be quick (post and return). Of two streams
// of one proxy the one that was opened last counts. A line is given a plan soon after it was
// opened: until then Envoy waits.
struct HealthSubscriber {
  std::function<void(const NodeDescription& node, std::shared_ptr<HealthLine> line)> opened;
  std::function<void(const base::ProxyKey& proxy, const HealthLine* line, HealthReport report)>
      reported;
  std::function<void(const base::ProxyKey& proxy, const HealthLine* line)> closed;
};

}  // namespace kuma::xds

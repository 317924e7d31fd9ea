#pragma once

// Health of the workloads that connected Envoys probe: what each is to probe, what it reported,
// what of that is not stored yet.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "generate/health_checks.h"
#include "model/resource.h"
#include "xds/health_session.h"

namespace kuma::control::internal {

// Confined to the mesh writer. Holds something only for proxies with an open line; a Dataplane
// without a serviceProbe costs one look-up.
class ProbedInbounds {
 public:
  explicit ProbedInbounds(generate::HealthSettings settings) : settings_(settings) {}

  // `dataplane` may be null: nothing is probed until Put.
  void Opened(const base::ProxyKey& proxy, std::shared_ptr<xds::HealthLine> line,
              generate::ProxyNode node, const model::ResourcePtr& dataplane);
  void Closed(const base::ProxyKey& proxy, const xds::HealthLine* line);
  // False: of a line that was replaced.
  bool Reported(const base::ProxyKey& proxy, const xds::HealthLine* line, xds::HealthReport report);
  // The Dataplane was written, or deleted (null).
  void Put(const base::ProxyKey& proxy, const model::ResourcePtr& dataplane);

  // `dataplane` with what was reported; null if that is what it says.
  model::ResourcePtr Wanted(const base::ProxyKey& proxy, const model::ResourcePtr& dataplane) const;

 private:
  struct Entry {
    std::shared_ptr<xds::HealthLine> line;
    generate::ProxyNode node;
    bool planned = false;
    std::shared_ptr<const std::string> specifier;  // planned
    std::optional<xds::HealthReport> report;
  };
  void Plan(Entry& entry, const model::ResourcePtr& dataplane);

  const generate::HealthSettings settings_;
  std::map<base::ProxyKey, Entry> entries_;
};

}  // namespace kuma::control::internal

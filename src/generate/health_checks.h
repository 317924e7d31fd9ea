#pragma once

// What Envoy is asked to probe over health discovery
// (envoy.service.health.v3.HealthCheckSpecifier): the workloads of inbounds with a serviceProbe
// and, beside them, Envoy's own readiness, because a draining Envoy serves nobody. Pure and
// thread-safe.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "generate/generate.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::generate {

// dpServer.hds of the configuration; a serviceProbe overrides what it sets.
struct HealthSettings {
  std::chrono::nanoseconds report_interval = std::chrono::seconds(5);
  std::chrono::nanoseconds timeout = std::chrono::seconds(2);
  std::chrono::nanoseconds interval = std::chrono::seconds(1);
  std::chrono::nanoseconds no_traffic_interval = std::chrono::seconds(1);
  uint32_t healthy_threshold = 1;
  uint32_t unhealthy_threshold = 1;
  uint32_t admin_port = 9901;  // of proxies whose Dataplane sets none
};

// The name under which Envoy's own readiness is reported.
inline constexpr std::string_view kAdminProbe = "system_envoy_admin";

// Serialised deterministically; null if nothing is probed. The probes' names are those of
// resources::dataplane::ProbeNames. Of `node` the path of the admin socket is read.
std::shared_ptr<const std::string> HealthChecks(const resources::dataplane::Networking& networking,
                                                const ProxyNode& node,
                                                const HealthSettings& settings);
// As protobuf's JSON, for inspection. REQUIRES: made by HealthChecks.
std::string HealthChecksJson(const std::string& checks);

}  // namespace kuma::generate

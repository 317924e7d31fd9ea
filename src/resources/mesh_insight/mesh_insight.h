#pragma once

// A mesh in numbers. Nothing of it is an input of configuration.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "model/fields.h"
#include "model/resource_type.h"

namespace kuma::resources::mesh_insight {

struct DataplaneStat {
  uint32_t total = 0;
  uint32_t online = 0;
  uint32_t offline = 0;
  uint32_t partially_degraded = 0;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("total", &DataplaneStat::total, "All proxies."),
        Field("online", &DataplaneStat::online, "Connected, every inbound ready."),
        Field("offline", &DataplaneStat::offline, "Not connected, or no inbound ready."),
        Field("partiallyDegraded", &DataplaneStat::partially_degraded,
              "Connected, some inbounds not ready."),
    };
  }
};
using StatBy = std::map<std::string, DataplaneStat>;

struct DpVersions {
  StatBy kuma_dp;
  StatBy envoy;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("kumaDp", &DpVersions::kuma_dp, "Proxies by version of kuma-dp."),
        Field("envoy", &DpVersions::envoy, "Proxies by version of Envoy."),
    };
  }
};
struct Mtls {
  StatBy issued_backends;
  StatBy supported_backends;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("issuedBackends", &Mtls::issued_backends,
              "Proxies by what issued their certificate."),
        Field("supportedBackends", &Mtls::supported_backends, "Proxies by what they trust."),
    };
  }
};
struct DataplanesByType {
  DataplaneStat standard;
  DataplaneStat gateway;
  DataplaneStat gateway_delegated;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("standard", &DataplanesByType::standard, "Sidecars."),
        Field("gateway", &DataplanesByType::gateway, "All gateways."),
        Field("gatewayDelegated", &DataplanesByType::gateway_delegated, "Delegated gateways."),
    };
  }
};
struct ResourceStat {
  uint32_t total = 0;
  static constexpr auto Fields() {
    return std::tuple{model::Field("total", &ResourceStat::total, "Number of resources.")};
  }
};

struct Spec {
  std::optional<DataplaneStat> dataplanes;
  std::optional<DpVersions> dp_versions;
  std::optional<Mtls> mtls;
  std::optional<DataplanesByType> dataplanes_by_type;
  std::map<std::string, ResourceStat> resources;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("dataplanes", &Spec::dataplanes, "All proxies of the mesh."),
        Field("dpVersions", &Spec::dp_versions, "Proxies by their versions."),
        Field("mTLS", &Spec::mtls, "Proxies by their certificates."),
        Field("dataplanesByType", &Spec::dataplanes_by_type, "Proxies by what they stand for."),
        Field("resources", &Spec::resources, "Resources of the mesh by kind; none: left out."),
    };
  }
};

const model::ResourceType& Type();

}  // namespace kuma::resources::mesh_insight

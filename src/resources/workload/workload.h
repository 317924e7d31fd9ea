#pragma once

// Proxies that run the same thing, grouped by the label kuma.io/workload.

#include <cstdint>
#include <tuple>

#include "model/fields.h"
#include "model/resource_type.h"

namespace kuma::resources::workload {

struct Spec {
  static constexpr auto Fields() { return std::tuple{}; }
};

struct DataplaneProxies {
  int32_t connected = 0;
  int32_t healthy = 0;
  int32_t total = 0;
  static constexpr auto Fields() {
    using model::Field;
    using model::Required;
    return std::tuple{
        Field("connected", &DataplaneProxies::connected, "Proxies connected to the control plane.",
              Required{}),
        Field("healthy", &DataplaneProxies::healthy, "Proxies that are healthy.", Required{}),
        Field("total", &DataplaneProxies::total, "All proxies of the workload.", Required{}),
    };
  }
};

struct Status {
  DataplaneProxies dataplane_proxies;
  static constexpr auto Fields() {
    return std::tuple{
        model::Field("dataplaneProxies", &Status::dataplane_proxies, "Counts of its proxies.")};
  }
};

const model::ResourceType& Type();

}  // namespace kuma::resources::workload

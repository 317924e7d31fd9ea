#pragma once

// The services of a mesh in numbers, one resource "all-services-<mesh>" for all of them. Nothing of
// it is an input of configuration.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/fields.h"
#include "model/resource_type.h"

namespace kuma::resources::service_insight {

enum class Status { kNone, kOffline, kPartiallyDegraded, kOnline, kNotAvailable };
constexpr auto EnumNames(Status) {
  using enum Status;
  return std::to_array<model::EnumName<Status>>({{kNone, "none"},
                                                 {kOffline, "offline"},
                                                 {kPartiallyDegraded, "partially_degraded"},
                                                 {kOnline, "online"},
                                                 {kNotAvailable, "not_available"}});
}
enum class ServiceType { kInternal, kExternal, kGatewayDelegated };
constexpr auto EnumNames(ServiceType) {
  using enum ServiceType;
  return std::to_array<model::EnumName<ServiceType>>(
      {{kInternal, "internal"}, {kExternal, "external"}, {kGatewayDelegated, "gateway_delegated"}});
}

struct DataplaneStat {
  uint32_t total = 0;
  uint32_t online = 0;
  uint32_t offline = 0;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("total", &DataplaneStat::total, "All proxies."),
        Field("online", &DataplaneStat::online, "Proxies that take traffic."),
        Field("offline", &DataplaneStat::offline, "Proxies that do not."),
    };
  }
};
struct Service {
  Status status = Status::kNone;
  std::optional<DataplaneStat> dataplanes;
  std::map<std::string, uint32_t> issued_backends;
  ServiceType service_type = ServiceType::kInternal;
  std::string address_port;
  std::vector<std::string> zones;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("status", &Service::status, "online, partially_degraded, offline, not_available."),
        Field("dataplanes", &Service::dataplanes, "The proxies behind the service."),
        Field("issuedBackends", &Service::issued_backends,
              "Proxies by what issued their certificate."),
        Field("serviceType", &Service::service_type, "internal, external, gateway_delegated."),
        Field("addressPort", &Service::address_port, "Where the mesh reaches the service."),
        Field("zones", &Service::zones, "Zones that have the service."),
    };
  }
};

struct Spec {
  std::map<std::string, Service> services;
  static constexpr auto Fields() {
    return std::tuple{model::Field("services", &Spec::services, "Services by name.")};
  }
};

const model::ResourceType& Type();

}  // namespace kuma::resources::service_insight

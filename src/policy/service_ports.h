#pragma once

// Ports of the kinds that a policy can name as a destination.

#include <cstdint>
#include <string>
#include <vector>

#include "envoy/protocol.h"
#include "model/resource.h"

namespace kuma::policy {

struct ServicePort {
  uint32_t port = 0;
  std::string name;  // or the number when it has none
  envoy::Protocol protocol = envoy::Protocol::kTcp;
};

// Ports of a MeshService, MeshExternalService or MeshMultiZoneService; empty for every other kind.
std::vector<ServicePort> PortsOf(const model::Resource& service);

}  // namespace kuma::policy

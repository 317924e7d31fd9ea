#include "policy/service_ports.h"

#include "resources/mesh_service/mesh_service.h"

namespace kuma::policy {

std::vector<ServicePort> PortsOf(const model::Resource& service) {
  std::vector<ServicePort> ports;
  if (service.type().kind == "MeshService") {
    using resources::mesh_service::Port;
    for (const Port& port : service.Spec<resources::mesh_service::Spec>().ports) {
      ports.push_back({static_cast<uint32_t>(port.port), port.SectionName(),
                       envoy::ParseProtocol(port.app_protocol)});
    }
  }
  return ports;
}

}  // namespace kuma::policy

#include "generate/internal/services.h"

#include "model/names.h"
#include "policy/service_ports.h"
#include "policy/target_ref.h"
#include "resources/dataplane/dataplane.h"
#include "resources/mesh_service/mesh_service.h"

namespace kuma::generate {
namespace {

namespace dataplane = resources::dataplane;
namespace mesh_service = resources::mesh_service;

bool HasLabels(const model::Metadata& meta, const model::Labels& labels) {
  for (const auto& [key, value] : labels) {
    if (key == model::kDisplayNameLabel) {
      if (model::DisplayName(meta) != value) return false;
    } else if (meta.Label(key) != value) {
      return false;
    }
  }
  return true;
}

// Does traffic to the service's port go to this inbound?
bool IsBehind(const mesh_service::Port& port, const dataplane::Inbound& inbound) {
  if (!port.target_port) return inbound.port == static_cast<uint32_t>(port.port);
  if (const auto* number = std::get_if<int64_t>(&port.target_port->value))
    return inbound.port == *number;
  return std::get<std::string>(port.target_port->value) == inbound.name;
}

bool IsHealthy(const dataplane::Inbound& inbound) {
  return inbound.state == dataplane::InboundState::kReady &&
         (!inbound.health || inbound.health->ready);
}

bool IsOfThisZone(const model::Metadata& meta) {
  const std::string_view origin = meta.Label(model::kOriginLabel);
  return origin.empty() || origin == "zone";
}

}  // namespace

std::vector<model::ResourcePtr> FindServices(const mesh::MeshSnapshot& mesh, std::string_view kind,
                                             const model::Labels& labels) {
  std::vector<model::ResourcePtr> services;
  if (labels.empty()) return services;
  // Names begin with the display name: "<display name>", "<display name>.<namespace>", "<display
  // name>-<hash>".
  const auto wanted = labels.find(std::string(model::kDisplayNameLabel));
  const std::string_view beginning =
      wanted == labels.end() ? std::string_view() : std::string_view(wanted->second);
  mesh.Of(kind).ForEachWithPrefix(beginning,
                                  [&](const std::string&, const model::ResourcePtr& service) {
                                    if (HasLabels(service->meta(), labels))
                                      services.push_back(service);
                                  });
  return services;
}

model::ResourcePtr FindService(const mesh::MeshSnapshot& mesh, std::string_view kind,
                               const model::Labels& labels) {
  model::ResourcePtr oldest;
  for (const model::ResourcePtr& service : FindServices(mesh, kind, labels)) {
    if (oldest == nullptr || service->meta().creation_time < oldest->meta().creation_time)
      oldest = service;
  }
  return oldest;
}

model::Labels LabelsOf(const dataplane::OutboundBackendRef& ref, const model::Metadata& proxy) {
  if (!ref.labels.empty() || ref.name.empty()) return ref.labels;
  model::Labels labels{{std::string(model::kDisplayNameLabel), ref.name}};
  const std::string_view ns = proxy.Label(model::kNamespaceLabel);
  if (!ns.empty()) labels.emplace(model::kNamespaceLabel, ns);
  return labels;
}

std::optional<policy::Destination> DestinationOf(const model::Resource& service,
                                                 std::string_view section) {
  const std::vector<policy::ServicePort> ports = policy::PortsOf(service);
  const policy::ServicePort* found = nullptr;
  if (section.empty()) {
    if (ports.size() == 1) found = &ports[0];
  } else {
    for (const policy::ServicePort& port : ports) {
      if (port.name != section && std::to_string(port.port) != section) continue;
      found = &port;
      break;
    }
  }
  if (found == nullptr) return std::nullopt;
  policy::Destination destination;
  destination.service = service.key();
  destination.kri = model::KriOf(service);
  destination.section = section;
  // Only MeshServices are called by the port's name when the reference leaves it out.
  if (section.empty() && service.type().kind == "MeshService") destination.section = found->name;
  destination.port = found->port;
  destination.port_name = found->name;
  destination.protocol = found->protocol;
  return destination;
}

std::optional<policy::Destination> Resolve(const mesh::MeshSnapshot& mesh,
                                           const policy::BackendRef& ref, std::string_view ns) {
  model::Labels labels = ref.labels;
  const auto display_name = labels.find(std::string(model::kDisplayNameLabel));
  if (!ns.empty() && display_name != labels.end() && !display_name->second.empty())
    labels.try_emplace(std::string(model::kNamespaceLabel), ns);
  const model::ResourcePtr service = FindService(mesh, model::NameOf(ref.kind), labels);
  if (service == nullptr) return std::nullopt;
  std::string section = ref.section_name.value_or(std::string());
  if (section.empty() && ref.port.value_or(0) > 0) section = std::to_string(*ref.port);
  return DestinationOf(*service, section);
}

std::string DestinationId(const policy::Destination& destination) {
  return destination.service.kind + "/" + destination.service.name + "/" + destination.section;
}

std::optional<policy::Destination> FindDestination(const mesh::MeshSnapshot& mesh,
                                                   std::string_view id,
                                                   model::ResourcePtr* service) {
  const size_t first = id.find('/');
  const size_t last = id.rfind('/');
  if (first == std::string_view::npos || last <= first) return std::nullopt;
  *service = mesh.Find(id.substr(0, first), id.substr(first + 1, last - first - 1));
  if (*service == nullptr) return std::nullopt;
  return DestinationOf(**service, id.substr(last + 1));
}

std::optional<VirtualAddress> VirtualAddressOf(const model::Resource& service) {
  if (service.type().kind != "MeshService") return std::nullopt;
  const auto* status = service.Status<mesh_service::Status>();
  // Of several addresses the first is the one that the host names stand for.
  if (status == nullptr || status->vips.empty() || status->vips.front().ip.empty())
    return std::nullopt;
  VirtualAddress found{status->vips.front().ip, {}};
  for (const mesh_service::Address& address : status->addresses)
    found.hostnames.push_back(address.hostname);
  return found;
}

std::vector<policy::Endpoint> EndpointsOf(const mesh::MeshSnapshot& mesh,
                                          const model::Resource& service,
                                          const policy::Destination& destination) {
  std::vector<policy::Endpoint> endpoints;
  if (service.type().kind != "MeshService" || !IsOfThisZone(service.meta())) return endpoints;
  for (const mesh_service::Port& port : service.Spec<mesh_service::Spec>().ports) {
    if (static_cast<uint32_t>(port.port) != destination.port ||
        port.SectionName() != destination.port_name)
      continue;
    for (const model::ResourcePtr& member : *mesh.MembersOf(service.name())) {
      const auto& networking = member->Spec<dataplane::Spec>().networking;
      if (!networking) continue;
      for (const dataplane::Inbound& inbound : networking->inbound) {
        if (!IsHealthy(inbound) || !IsBehind(port, inbound)) continue;
        policy::Endpoint& endpoint = endpoints.emplace_back();
        endpoint.address = dataplane::AddressOf(*networking, inbound);
        endpoint.port = inbound.port;
        endpoint.zone = member->meta().Label(model::kZoneLabel);
        endpoint.labels = member->meta().labels;
        endpoint.labels.erase("kuma.io/service");
        if (!inbound.protocol.empty()) endpoint.labels["kuma.io/protocol"] = inbound.protocol;
      }
    }
  }
  return endpoints;
}

}  // namespace kuma::generate

#include "derive/internal/service_rules.h"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include "base/strings.h"
#include "model/names.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::derive {
namespace {

namespace dataplane = resources::dataplane;
namespace mesh_service = resources::mesh_service;

const std::vector<dataplane::Inbound>& InboundsOf(const model::Resource& resource) {
  static const std::vector<dataplane::Inbound> none;
  const auto& spec = resource.Spec<dataplane::Spec>();
  return spec.networking.has_value() ? spec.networking->inbound : none;
}

// Kuma's protocols; another word counts as none.
std::string ProtocolOf(const dataplane::Inbound& inbound) {
  constexpr std::array<std::string_view, 6> kKnown = {"tcp",   "tls",  "http",
                                                      "http2", "grpc", "mysql"};
  std::string protocol = base::ToLower(inbound.protocol);
  if (std::find(kKnown.begin(), kKnown.end(), protocol) == kKnown.end()) return "tcp";
  return protocol;
}

bool IsBehind(const dataplane::Inbound& inbound, const mesh_service::Port& port) {
  if (!port.target_port.has_value()) return inbound.port == static_cast<uint32_t>(port.port);
  if (const auto* number = std::get_if<int64_t>(&port.target_port->value))
    return static_cast<int64_t>(inbound.port) == *number;
  return inbound.name == std::get<std::string>(port.target_port->value);
}

bool IsHealthy(const dataplane::Inbound& inbound) {
  return inbound.state == dataplane::InboundState::kReady &&
         (!inbound.health.has_value() || inbound.health->ready);
}

bool SamePorts(const Ports& a, const Ports& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return std::tie(x.name, x.port, x.target_port, x.app_protocol) ==
           std::tie(y.name, y.port, y.target_port, y.app_protocol);
  });
}

}  // namespace

bool IsLocal(const model::Metadata& meta) {
  const std::string_view origin = meta.Label(model::kOriginLabel);
  return origin.empty() || origin == "zone";
}

std::string WorkloadOf(const model::Resource& resource) {
  const std::string_view name = resource.meta().Label(model::kWorkloadLabel);
  return model::IsRfc1035Label(name) ? std::string(name) : std::string();
}

Ports PortsOf(const model::Resource& resource) {
  Ports ports;
  std::set<uint32_t> numbers;
  std::set<std::string> names;
  for (const dataplane::Inbound& inbound : InboundsOf(resource)) {
    if (!numbers.insert(inbound.port).second) continue;
    mesh_service::Port port;
    port.name = inbound.SectionName();
    if (!names.insert(port.name).second) port.name = std::to_string(inbound.port);
    port.port = static_cast<int32_t>(inbound.port);
    port.target_port = model::IntOrString{int64_t{inbound.port}};
    port.app_protocol = ProtocolOf(inbound);
    ports.push_back(std::move(port));
  }
  return ports;
}

Ports ChoosePorts(const std::vector<model::ResourcePtr>& dataplanes, const Ports& present) {
  std::vector<const model::Resource*> oldest_first;
  for (const model::ResourcePtr& resource : dataplanes) {
    if (!InboundsOf(*resource).empty()) oldest_first.push_back(resource.get());
  }
  std::sort(oldest_first.begin(), oldest_first.end(), [](const auto* a, const auto* b) {
    return std::tie(a->meta().creation_time, a->name()) <
           std::tie(b->meta().creation_time, b->name());
  });
  Ports first;
  for (const model::Resource* resource : oldest_first) {
    Ports ports = PortsOf(*resource);
    if (SamePorts(ports, present)) return ports;
    if (first.empty()) first = std::move(ports);
  }
  return first;
}

mesh_service::DataplaneProxies CountProxies(const std::vector<model::ResourcePtr>& members,
                                            const Ports& ports, const IsConnected& is_connected) {
  mesh_service::DataplaneProxies counts;
  for (const model::ResourcePtr& member : members) {
    ++counts.total;
    if (is_connected(*member)) ++counts.connected;
    const auto& inbounds = InboundsOf(*member);
    const bool healthy =
        std::all_of(ports.begin(), ports.end(), [&](const mesh_service::Port& port) {
          return std::any_of(
              inbounds.begin(), inbounds.end(), [&](const dataplane::Inbound& inbound) {
                return inbound.state == dataplane::InboundState::kReady && IsBehind(inbound, port);
              });
        });
    if (healthy) ++counts.healthy;
  }
  return counts;
}

resources::workload::DataplaneProxies CountProxies(
    const std::vector<model::ResourcePtr>& dataplanes, const IsConnected& is_connected) {
  resources::workload::DataplaneProxies counts;
  for (const model::ResourcePtr& resource : dataplanes) {
    ++counts.total;
    if (is_connected(*resource)) ++counts.connected;
    const auto& inbounds = InboundsOf(*resource);
    if (std::any_of(inbounds.begin(), inbounds.end(), IsHealthy)) ++counts.healthy;
  }
  return counts;
}

}  // namespace kuma::derive

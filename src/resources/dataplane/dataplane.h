#pragma once

// One proxy and the workload next to it.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "model/fields.h"
#include "model/resource_type.h"

namespace kuma::resources::dataplane {

enum class InboundState { kReady, kNotReady, kIgnored };
constexpr auto EnumNames(InboundState) {
  using enum InboundState;
  return std::to_array<model::EnumName<InboundState>>(
      {{kReady, "Ready"}, {kNotReady, "NotReady"}, {kIgnored, "Ignored"}});
}

struct Health {
  bool ready = false;
  static constexpr auto Fields() {
    return std::tuple{model::Field("ready", &Health::ready, "Whether the workload takes traffic.")};
  }
};

struct TcpProbe {
  static constexpr auto Fields() { return std::tuple{}; }
};

struct ServiceProbe {
  std::optional<model::Duration> interval;
  std::optional<model::Duration> timeout;
  std::optional<uint32_t> unhealthy_threshold;
  std::optional<uint32_t> healthy_threshold;
  std::optional<TcpProbe> tcp;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("interval", &ServiceProbe::interval, "Time between two probes."),
        Field("timeout", &ServiceProbe::timeout, "Longest wait for an answer."),
        Field("unhealthyThreshold", &ServiceProbe::unhealthy_threshold,
              "Failures in a row that make the workload unhealthy."),
        Field("healthyThreshold", &ServiceProbe::healthy_threshold,
              "Successes in a row that make the workload healthy."),
        Field("tcp", &ServiceProbe::tcp, "Probe by opening a TCP connection."),
    };
  }
};

struct Inbound {
  uint32_t port = 0;
  uint32_t service_port = 0;    // 0: as `port`
  std::string service_address;  // empty: as `address`
  std::string address;          // empty: networking.address
  std::optional<Health> health;
  std::optional<ServiceProbe> service_probe;
  InboundState state = InboundState::kReady;
  std::string name;
  std::string protocol;

  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("port", &Inbound::port, "Port that Envoy listens on for the workload."),
        Field("servicePort", &Inbound::service_port,
              "Port of the workload. Default: the same as port."),
        Field("serviceAddress", &Inbound::service_address,
              "Address of the workload. Default: the same as address."),
        Field("address", &Inbound::address,
              "Address that Envoy listens on. Default: networking.address."),
        Field("health", &Inbound::health, "Health as seen by something outside. Absent: healthy."),
        Field("serviceProbe", &Inbound::service_probe, "Lets Envoy probe the workload."),
        Field("state", &Inbound::state,
              "Ready, NotReady (no traffic) or Ignored (as if it were not there)."),
        Field("name", &Inbound::name, "Name of the port, for MeshServices and sectionName."),
        Field("protocol", &Inbound::protocol, "tcp, http, http2, grpc. Default: tcp."),
    };
  }

  // The name by which sectionName finds it: the name, else the port.
  std::string SectionName() const { return name.empty() ? std::to_string(port) : name; }
  uint32_t EffectiveServicePort() const { return service_port == 0 ? port : service_port; }
};

struct OutboundBackendRef {
  std::string kind;  // MeshService, MeshExternalService, MeshMultiZoneService
  std::string name;
  uint32_t port = 0;
  std::map<std::string, std::string> labels;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("kind", &OutboundBackendRef::kind,
              "MeshService, MeshExternalService or MeshMultiZoneService."),
        Field("name", &OutboundBackendRef::name, "Name of the resource."),
        Field("port", &OutboundBackendRef::port, "Port of the resource."),
        Field("labels", &OutboundBackendRef::labels,
              "Labels that select one resource; of several the oldest is taken, of none there is "
              "no outbound."),
    };
  }
};

struct Outbound {
  std::string address;  // empty: 127.0.0.1
  uint32_t port = 0;
  std::optional<OutboundBackendRef> backend_ref;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("address", &Outbound::address,
              "Address that the service is offered on. Default: 127.0.0.1."),
        Field("port", &Outbound::port, "Port that the service is offered on."),
        Field("backendRef", &Outbound::backend_ref, "The service."),
    };
  }
  std::string_view EffectiveAddress() const {
    return address.empty() ? std::string_view("127.0.0.1") : std::string_view(address);
  }
};

enum class GatewayType { kDelegated };
constexpr auto EnumNames(GatewayType) {
  return std::to_array<model::EnumName<GatewayType>>({{GatewayType::kDelegated, "DELEGATED"}});
}
struct Gateway {
  std::map<std::string, std::string> tags;
  GatewayType type = GatewayType::kDelegated;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("tags", &Gateway::tags, "Tags of the gateway; kuma.io/service is mandatory."),
        Field("type", &Gateway::type, "DELEGATED: another proxy takes the traffic from outside."),
    };
  }
};

enum class IpFamilyMode { kUnspecified, kDualStack, kIpv4, kIpv6 };
constexpr auto EnumNames(IpFamilyMode) {
  using enum IpFamilyMode;
  return std::to_array<model::EnumName<IpFamilyMode>>(
      {{kUnspecified, "UnSpecified"}, {kDualStack, "DualStack"}, {kIpv4, "IPv4"}, {kIpv6, "IPv6"}});
}

struct ReachableBackendRef {
  std::string kind;
  std::string name;
  std::string ns;  // "namespace"
  std::optional<uint32_t> port;
  std::map<std::string, std::string> labels;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("kind", &ReachableBackendRef::kind,
              "MeshService, MeshExternalService or MeshMultiZoneService."),
        Field("name", &ReachableBackendRef::name, "Name of the backend."),
        Field("namespace", &ReachableBackendRef::ns, "Namespace of the backend."),
        Field("port", &ReachableBackendRef::port, "Port of the backend; absent: all."),
        Field("labels", &ReachableBackendRef::labels, "Labels that select backends."),
    };
  }
};
struct ReachableBackends {
  std::vector<ReachableBackendRef> refs;
  static constexpr auto Fields() {
    return std::tuple{model::Field("refs", &ReachableBackends::refs, "The backends.")};
  }
};

struct TransparentProxying {
  uint32_t redirect_port_inbound = 0;
  uint32_t redirect_port_outbound = 0;
  std::vector<std::string> direct_access_services;
  IpFamilyMode ip_family_mode = IpFamilyMode::kUnspecified;
  std::optional<ReachableBackends> reachable_backends;  // absent: everything; empty: nothing
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("redirectPortInbound", &TransparentProxying::redirect_port_inbound,
              "Port that incoming traffic is redirected to."),
        Field("redirectPortOutbound", &TransparentProxying::redirect_port_outbound,
              "Port that outgoing traffic is redirected to."),
        Field("directAccessServices", &TransparentProxying::direct_access_services,
              "Services that may be called directly by address; * for all."),
        Field("ipFamilyMode", &TransparentProxying::ip_family_mode, "DualStack, IPv4 or IPv6."),
        Field("reachableBackends", &TransparentProxying::reachable_backends,
              "The only backends that the proxy learns about. Absent: all of the mesh."),
    };
  }
};

struct Admin {
  uint32_t port = 0;
  static constexpr auto Fields() {
    return std::tuple{model::Field("port", &Admin::port, "Port of Envoy's admin interface.")};
  }
};

enum class ListenerType { kUnspecified, kZoneIngress, kZoneEgress };
constexpr auto EnumNames(ListenerType) {
  using enum ListenerType;
  return std::to_array<model::EnumName<ListenerType>>(
      {{kUnspecified, "Unspecified"}, {kZoneIngress, "ZoneIngress"}, {kZoneEgress, "ZoneEgress"}});
}
enum class ListenerState { kReady, kNotReady };
constexpr auto EnumNames(ListenerState) {
  return std::to_array<model::EnumName<ListenerState>>(
      {{ListenerState::kReady, "Ready"}, {ListenerState::kNotReady, "NotReady"}});
}
// A zone proxy's listener.
struct Listener {
  ListenerType type = ListenerType::kUnspecified;
  std::string address;
  uint32_t port = 0;
  std::string name;
  ListenerState state = ListenerState::kReady;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("type", &Listener::type, "ZoneIngress or ZoneEgress."),
        Field("address", &Listener::address, "Address to listen on."),
        Field("port", &Listener::port, "Port to listen on."),
        Field("name", &Listener::name, "Name for sectionName. Default: the port."),
        Field("state", &Listener::state, "Ready or NotReady."),
    };
  }
  std::string SectionName() const { return name.empty() ? std::to_string(port) : name; }
};

struct Networking {
  std::string address;
  std::optional<Gateway> gateway;
  std::vector<Inbound> inbound;
  std::vector<Outbound> outbound;
  std::optional<TransparentProxying> transparent_proxying;
  std::optional<Admin> admin;
  std::vector<Listener> listeners;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field(
            "address", &Networking::address,
            "IP address or host name at which the control plane and other proxies reach this one."),
        Field("gateway", &Networking::gateway, "Makes the proxy that of a gateway."),
        Field("inbound", &Networking::inbound, "What the workload offers."),
        Field("outbound", &Networking::outbound, "What the workload calls."),
        Field("transparentProxying", &Networking::transparent_proxying,
              "Set when traffic is redirected to Envoy."),
        Field("admin", &Networking::admin, "Envoy's admin interface."),
        Field("listeners", &Networking::listeners,
              "Zone ingress and zone egress listeners of this proxy."),
    };
  }
};

struct Spec {
  std::optional<Networking> networking;
  static constexpr auto Fields() {
    return std::tuple{model::Field("networking", &Spec::networking,
                                   "What the proxy listens on and reaches.", model::Input{})};
  }
};

const model::ResourceType& Type();

// Labels that say which zone proxy listeners the Dataplane has; those of a listener that is not there,
// and the one that older versions set, are taken away.
void ComputeListenerLabels(const Spec& spec, model::Labels& labels);
// Why the label kuma.io/workload cannot be the name of a Workload; empty: it can, or is not set.
std::string WorkloadLabelFault(const model::Labels& labels);

// Address that an inbound listens on.
std::string_view AddressOf(const Networking& networking, const Inbound& inbound);
// Address at which the workload of an inbound is reached by Envoy.
std::string_view ServiceAddressOf(const Networking& networking, const Inbound& inbound);

}  // namespace kuma::resources::dataplane

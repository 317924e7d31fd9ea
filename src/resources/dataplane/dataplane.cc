#include "resources/dataplane/dataplane.h"

#include <algorithm>
#include <set>

#include "base/format.h"
#include "base/strings.h"
#include "model/address.h"
#include "model/describe.h"
#include "model/names.h"
#include "resources/checks.h"

namespace kuma::resources::dataplane {
namespace {

using model::IndexPath;
using model::JoinPath;
using model::Violations;

constexpr std::string_view kLoopback = "127.0.0.1";

void CheckIp(std::string_view address, const std::string& path, std::string_view what,
             Violations& out) {
  if (!address.empty() && !model::IsIpAddress(address))
    out.Add(path, base::Format("{} has to be valid IP address", what));
}

// Two listeners on these addresses would take each other's port.
bool Overlap(std::string_view a, std::string_view b) {
  return model::IsUnspecifiedAddress(a) || model::IsUnspecifiedAddress(b) ||
         model::SameIpAddress(a, b);
}

void CheckAdmin(const Networking& networking, Violations& out) {
  if (!networking.admin) return;
  const uint32_t port = networking.admin->port;
  const auto taken_by_inbound = [&] {
    for (const Inbound& inbound : networking.inbound) {
      if (port == inbound.port && Overlap(kLoopback, AddressOf(networking, inbound))) return true;
      if (port == inbound.EffectiveServicePort() &&
          Overlap(kLoopback, ServiceAddressOf(networking, inbound)))
        return true;
    }
    return false;
  };
  const auto taken_by_outbound = [&] {
    for (const Outbound& outbound : networking.outbound)
      if (port == outbound.port && Overlap(kLoopback, outbound.EffectiveAddress())) return true;
    return false;
  };
  if (taken_by_inbound()) out.Add("networking.admin.port", "must differ from inbound");
  if (taken_by_outbound()) out.Add("networking.admin.port", "must differ from outbound");
}

void CheckPositive(const std::optional<model::Duration>& value, const std::string& path,
                   Violations& out) {
  if (value && value->value.count() <= 0) out.Add(path, "must have a positive value");
}
void CheckPositive(const std::optional<uint32_t>& value, const std::string& path, Violations& out) {
  if (value && *value == 0) out.Add(path, "must have a positive value");
}

// tls and mysql are taken as tcp.
void CheckProtocol(std::string_view protocol, const std::string& path, Violations& out) {
  constexpr std::string_view kKnown[] = {"grpc", "http", "http2", "tcp", "tls", "mysql"};
  const bool known = std::any_of(std::begin(kKnown), std::end(kKnown), [&](std::string_view name) {
    return base::EqualsIgnoreCase(protocol, name);
  });
  if (protocol.empty() || known) return;
  out.Add(path, base::Format("has an invalid value \"{}\". Allowed values: grpc, http, http2, tcp",
                             protocol));
}

void CheckInbound(const Networking& networking, const Inbound& inbound, const std::string& path,
                  Violations& out) {
  CheckPort(inbound.port, JoinPath(path, "port"), out);
  if (inbound.service_port != 0)
    CheckPort(inbound.service_port, JoinPath(path, "servicePort"), out);
  if (!inbound.service_address.empty()) {
    CheckIp(inbound.service_address, JoinPath(path, "serviceAddress"), "serviceAddress", out);
    if (model::SameIpAddress(inbound.service_address, AddressOf(networking, inbound)) &&
        inbound.EffectiveServicePort() == inbound.port)
      out.Add(JoinPath(path, "serviceAddress"),
              "serviceAddress and servicePort has to differ from address and port",
              "Envoy would send the traffic back to itself");
  }
  if (!inbound.address.empty()) {
    CheckIp(inbound.address, JoinPath(path, "address"), "address", out);
    if (inbound.address == "0.0.0.0" || inbound.address == "::")
      out.Add(JoinPath(path, "address"), "must not be 0.0.0.0 or ::");
  }
  CheckProtocol(inbound.protocol, JoinPath(path, "protocol"), out);
  if (inbound.service_probe) {
    const std::string probe = JoinPath(path, "serviceProbe");
    CheckPositive(inbound.service_probe->interval, JoinPath(probe, "interval"), out);
    CheckPositive(inbound.service_probe->timeout, JoinPath(probe, "timeout"), out);
    CheckPositive(inbound.service_probe->unhealthy_threshold, JoinPath(probe, "unhealthyThreshold"),
                  out);
    CheckPositive(inbound.service_probe->healthy_threshold, JoinPath(probe, "healthyThreshold"),
                  out);
  }
}

void CheckOutbound(const Outbound& outbound, const std::string& path, Violations& out) {
  CheckPort(outbound.port, JoinPath(path, "port"), out);
  CheckIp(outbound.address, JoinPath(path, "address"), "address", out);
  const std::string ref_path = JoinPath(path, "backendRef");
  if (!outbound.backend_ref) {
    out.Add(ref_path, "must be defined");
    return;
  }
  const OutboundBackendRef& ref = *outbound.backend_ref;
  CheckKind(ref.kind, {"MeshExternalService", "MeshMultiZoneService", "MeshService"},
            JoinPath(ref_path, "kind"), out);
  if (ref.name.empty() == ref.labels.empty())
    out.Add(ref_path, "either 'name' or 'labels' should be specified");
  if (ref.kind != "MeshExternalService" || ref.port != 0)
    CheckPort(ref.port, JoinPath(ref_path, "port"), out);
}

void CheckReachable(const ReachableBackendRef& ref, const std::string& path, Violations& out) {
  CheckKind(ref.kind, {"MeshExternalService", "MeshMultiZoneService", "MeshService"},
            JoinPath(path, "kind"), out);
  if (!ref.name.empty()) {
    if (!ref.labels.empty())
      out.Add(JoinPath(path, "labels"), "labels cannot be defined when name is specified");
    if (!model::IsRfc1123Subdomain(ref.name))
      out.Add(JoinPath(path, "name"),
              "invalid characters. A lowercase RFC 1123 subdomain must consist of lower case "
              "alphanumeric "
              "characters, '-' or '.', and must start and end with an alphanumeric character");
  } else if (!ref.ns.empty()) {
    out.Add(JoinPath(path, "name"), "name is required, when namespace is defined");
  } else if (ref.labels.empty()) {
    out.Add(JoinPath(path, "name"), "name or labels are required");
  }
  if (ref.port) CheckPort(*ref.port, JoinPath(path, "port"), out);
}

void CheckGateway(const Gateway& gateway, Violations& out) {
  const std::string path = "networking.gateway.tags";
  if (!gateway.tags.empty() && !gateway.tags.contains("kuma.io/service"))
    out.Add(path, "mandatory tag \"kuma.io/service\" is missing");
  CheckTags(gateway.tags, path, out);
  const auto protocol = gateway.tags.find("kuma.io/protocol");
  if (protocol != gateway.tags.end() && !base::EqualsIgnoreCase(protocol->second, "tcp"))
    out.Add(path + "[\"kuma.io/protocol\"]",
            base::Format("other values than tcp are not allowed, provided value \"{}\"",
                         protocol->second));
}

// Two listeners cannot have one address and port.
void CheckPlace(const Networking& networking, size_t index, const std::string& path,
                Violations& out) {
  const Listener& listener = networking.listeners[index];
  const std::string place = base::Format("{}:{}", listener.address, listener.port);
  for (size_t i = 0; i < index; ++i) {
    const Listener& other = networking.listeners[i];
    if (other.port != listener.port || other.address != listener.address) continue;
    const std::string_view how = other.type == listener.type
                                     ? "already used by another listener"
                                     : "used by listeners of different types";
    out.Add(path, base::Format("address:port {} is {}", place, how));
    break;
  }
  if (std::any_of(networking.inbound.begin(), networking.inbound.end(),
                  [&](const Inbound& inbound) {
                    return inbound.port == listener.port &&
                           AddressOf(networking, inbound) == listener.address;
                  }))
    out.Add(path, base::Format("address:port {} collides with an inbound listener", place));
}

void CheckListeners(const Networking& networking, Violations& out) {
  std::set<std::string> names;
  for (const Inbound& inbound : networking.inbound)
    if (!inbound.name.empty()) names.insert(inbound.name);
  for (size_t i = 0; i < networking.listeners.size(); ++i) {
    const Listener& listener = networking.listeners[i];
    const std::string path = IndexPath("networking.listeners", i);
    if (listener.type == ListenerType::kUnspecified)
      out.Add(JoinPath(path, "type"), "type must be ZoneIngress or ZoneEgress");
    CheckAddress(listener.address, JoinPath(path, "address"), out);
    CheckPort(listener.port, JoinPath(path, "port"), out);
    if (!listener.name.empty() && !names.insert(listener.name).second)
      out.Add(
          JoinPath(path, "name"),
          base::Format("name \"{}\" must be unique across inbounds and listeners", listener.name));
    CheckPlace(networking, i, path, out);
  }
}

void Validate(const model::Resource& resource, Violations& out) {
  const Spec& spec = resource.Spec<Spec>();
  if (!spec.networking) {
    out.Add("networking", "must be defined");
    return;
  }
  const Networking& networking = *spec.networking;
  CheckAdmin(networking, out);
  if (networking.gateway) {
    if (!networking.inbound.empty())
      out.Add("networking.inbound", "inbound cannot be defined for delegated gateways");
    if (!networking.listeners.empty())
      out.Add("networking.listeners", "listeners cannot be defined for delegated gateways");
    CheckGateway(*networking.gateway, out);
  } else {
    CheckListeners(networking, out);
  }
  CheckAddress(networking.address, "networking.address", out);
  for (size_t i = 0; i < networking.inbound.size(); ++i)
    CheckInbound(networking, networking.inbound[i], IndexPath("networking.inbound", i), out);
  for (size_t i = 0; i < networking.outbound.size(); ++i)
    CheckOutbound(networking.outbound[i], IndexPath("networking.outbound", i), out);
  if (networking.transparent_proxying && networking.transparent_proxying->reachable_backends) {
    const auto& refs = networking.transparent_proxying->reachable_backends->refs;
    // The path is misspelled in Kuma; tools compare it.
    for (size_t i = 0; i < refs.size(); ++i)
      CheckReachable(refs[i], IndexPath("networking.transparentProxing.reachableBackends.refs", i),
                     out);
  }
}

}  // namespace

void ComputeListenerLabels(const Spec& spec, model::Labels& labels) {
  labels.erase(std::string(model::kProxyTypeLabel));
  for (const auto& [type, label] :
       {std::pair(ListenerType::kZoneIngress, model::kZoneIngressLabel),
        std::pair(ListenerType::kZoneEgress, model::kZoneEgressLabel)}) {
    const bool has =
        spec.networking &&
        std::any_of(spec.networking->listeners.begin(), spec.networking->listeners.end(),
                    [wanted = type](const Listener& listener) { return listener.type == wanted; });
    if (has) {
      labels[std::string(label)] = "enabled";
    } else {
      labels.erase(std::string(label));
    }
  }
}

std::string WorkloadLabelFault(const model::Labels& labels) {
  const auto found = labels.find(std::string(model::kWorkloadLabel));
  if (found == labels.end() || found->second.empty()) return {};
  const std::vector<std::string> faults = model::CheckRfc1035Label(found->second);
  if (faults.empty()) return {};
  return base::Format(
      "labels[\"kuma.io/workload\"]: must be a valid DNS-1035 label (at most 63 characters, "
      "matching regex [a-z]([-a-z0-9]*[a-z0-9])?): {}",
      base::Join(faults, "; "));
}

std::string_view AddressOf(const Networking& networking, const Inbound& inbound) {
  return inbound.address.empty() ? networking.address : inbound.address;
}

std::string_view ServiceAddressOf(const Networking& networking, const Inbound& inbound) {
  return inbound.service_address.empty() ? AddressOf(networking, inbound) : inbound.service_address;
}

const model::ResourceType& Type() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "Dataplane",
      .singular = "dataplane",
      .plural = "dataplanes",
      .short_name = "dp",
      .singular_display_name = "Dataplane",
      .plural_display_name = "Dataplanes",
      .inline_spec = true,
      .zone_to_global = true,
      .hashed_name = true,
      .validate = Validate,
  });
  return type;
}

}  // namespace kuma::resources::dataplane

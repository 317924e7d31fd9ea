#pragma once

// A service of the mesh: the proxies behind it, its ports, and, as status, its addresses.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/condition.h"
#include "model/fields.h"
#include "model/resource_type.h"

namespace kuma::resources::mesh_service {

struct DataplaneRef {
  std::string name;
  static constexpr auto Fields() {
    return std::tuple{model::Field("name", &DataplaneRef::name, "Name of the Dataplane.")};
  }
};
struct DataplaneLabels {
  std::map<std::string, std::string> match_labels;
  static constexpr auto Fields() {
    return std::tuple{model::Field("matchLabels", &DataplaneLabels::match_labels,
                                   "Labels that a Dataplane must have, all of them.")};
  }
};
struct Selector {
  std::optional<DataplaneRef> dataplane_ref;
  std::optional<DataplaneLabels> dataplane_labels;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("dataplaneRef", &Selector::dataplane_ref, "One Dataplane by name.",
              model::Group{"selector"}),
        Field("dataplaneLabels", &Selector::dataplane_labels, "Dataplanes by labels.",
              model::Group{"selector"}),
    };
  }
};

struct Port {
  std::string name;
  int32_t port = 0;
  std::optional<model::IntOrString>
      target_port;  // number, or the name of an inbound; absent: as `port`
  std::string app_protocol = "tcp";
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("name", &Port::name, "Name of the port."),
        Field("port", &Port::port, "Port that clients use.", model::Required{}),
        Field("targetPort", &Port::target_port,
              "Port or name of the inbound behind it. Default: the same as port."),
        Field("appProtocol", &Port::app_protocol, "tcp, http, http2, grpc, kafka."),
    };
  }
  // What sectionName, SNI and KRI call it: the name, else the number.
  std::string SectionName() const { return name.empty() ? std::to_string(port) : name; }
};

enum class IdentityType { kSpiffeId };
constexpr auto EnumNames(IdentityType) {
  return std::to_array<model::EnumName<IdentityType>>({{IdentityType::kSpiffeId, "SpiffeID"}});
}
struct Identity {
  IdentityType type = IdentityType::kSpiffeId;
  std::string value;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("type", &Identity::type, "Kind of the identity.", model::Required{}),
        Field("value", &Identity::value, "The identity.", model::Required{}),
    };
  }
};

enum class State { kUnavailable, kAvailable };
constexpr auto EnumNames(State) {
  return std::to_array<model::EnumName<State>>(
      {{State::kAvailable, "Available"}, {State::kUnavailable, "Unavailable"}});
}

struct Spec {
  State state = State::kUnavailable;
  Selector selector;
  std::vector<Port> ports;
  std::vector<Identity> identities;
  static constexpr auto Fields() {
    using model::Field;
    using model::Input;
    return std::tuple{
        Field("state", &Spec::state,
              "Available while it has a healthy endpoint. Set by the control plane.", Input{}),
        Field("selector", &Spec::selector, "The proxies behind the service.", Input{}),
        Field("ports", &Spec::ports, "Ports of the service.", Input{}),
        Field("identities", &Spec::identities,
              "Identities of the proxies. Set by the control plane.", Input{}),
    };
  }
};

struct HostnameGeneratorRef {
  std::string core_name;
  static constexpr auto Fields() {
    return std::tuple{model::Field("coreName", &HostnameGeneratorRef::core_name,
                                   "Name of the HostnameGenerator.", model::Required{})};
  }
};
struct Address {
  std::string hostname;
  std::string origin;
  std::optional<HostnameGeneratorRef> hostname_generator_ref;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("hostname", &Address::hostname, "Host name of the service."),
        Field("origin", &Address::origin, "What made the host name."),
        Field("hostnameGeneratorRef", &Address::hostname_generator_ref,
              "The HostnameGenerator that made it."),
    };
  }
};
struct Vip {
  std::string ip;
  static constexpr auto Fields() {
    return std::tuple{model::Field("ip", &Vip::ip, "Virtual IP address.")};
  }
};

enum class TlsStatus { kNone, kReady, kNotReady };  // kNone: not known yet; not written
constexpr auto EnumNames(TlsStatus) {
  return std::to_array<model::EnumName<TlsStatus>>(
      {{TlsStatus::kReady, "Ready"}, {TlsStatus::kNotReady, "NotReady"}});
}
struct Tls {
  TlsStatus status = TlsStatus::kNone;
  static constexpr auto Fields() {
    return std::tuple{
        model::Field("status", &Tls::status, "Ready once every proxy of the service takes mTLS.")};
  }
};

using model::Condition;
struct HostnameGeneratorStatus {
  HostnameGeneratorRef hostname_generator_ref;
  std::vector<Condition> conditions;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("hostnameGeneratorRef", &HostnameGeneratorStatus::hostname_generator_ref,
              "The HostnameGenerator.", model::Required{}),
        Field("conditions", &HostnameGeneratorStatus::conditions, "How it went."),
    };
  }
};

struct DataplaneProxies {
  int32_t connected = 0;
  int32_t healthy = 0;
  int32_t total = 0;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("connected", &DataplaneProxies::connected,
              "Proxies connected to the control plane of the zone."),
        Field("healthy", &DataplaneProxies::healthy,
              "Proxies whose inbounds behind the service are all healthy."),
        Field("total", &DataplaneProxies::total, "All proxies behind the service."),
    };
  }
};

struct Status {
  std::vector<Address> addresses;
  std::vector<Vip> vips;
  Tls tls;
  std::vector<HostnameGeneratorStatus> hostname_generators;
  DataplaneProxies dataplane_proxies;
  static constexpr auto Fields() {
    using model::Field;
    using model::Input;
    return std::tuple{
        Field("addresses", &Status::addresses, "Host names of the service.", Input{}),
        Field("vips", &Status::vips, "Virtual IP addresses of the service.", Input{}),
        Field("tls", &Status::tls, "Whether clients may use mTLS.", Input{}),
        Field("hostnameGenerators", &Status::hostname_generators,
              "What each HostnameGenerator did."),
        Field("dataplaneProxies", &Status::dataplane_proxies,
              "Counts of the proxies behind the service."),
    };
  }
};

const model::ResourceType& Type();

}  // namespace kuma::resources::mesh_service

#pragma once

// MeshPassthrough: which destinations outside of the mesh a workload may call through its proxy.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/fields.h"
#include "model/resource_type.h"
#include "policy/target_ref.h"

namespace kuma::policies::mesh_passthrough {

enum class Mode { kAll, kMatched, kNone };
constexpr auto EnumNames(Mode) {
  return std::to_array<model::EnumName<Mode>>(
      {{Mode::kAll, "All"}, {Mode::kMatched, "Matched"}, {Mode::kNone, "None"}});
}

enum class MatchType { kUnknown, kDomain, kIp, kCidr };
constexpr auto EnumNames(MatchType) {
  return std::to_array<model::EnumName<MatchType>>(
      {{MatchType::kDomain, "Domain"}, {MatchType::kIp, "IP"}, {MatchType::kCidr, "CIDR"}});
}

enum class ProtocolType { kUnknown, kTcp, kTls, kGrpc, kHttp, kHttp2, kMysql };
constexpr auto EnumNames(ProtocolType) {
  using enum ProtocolType;
  return std::to_array<model::EnumName<ProtocolType>>({{kTcp, "tcp"},
                                                       {kTls, "tls"},
                                                       {kGrpc, "grpc"},
                                                       {kHttp, "http"},
                                                       {kHttp2, "http2"},
                                                       {kMysql, "mysql"}});
}
// Requests of these are routed by the name that they ask for. Two of them cannot be told apart on
// one port.
constexpr bool IsHttpBased(ProtocolType protocol) {
  using enum ProtocolType;
  return protocol == kHttp || protocol == kHttp2 || protocol == kGrpc;
}

struct Match {
  model::OpenEnum<MatchType> type = MatchType::kUnknown;
  std::string value;
  std::optional<uint32_t> port;
  model::OpenEnum<ProtocolType> protocol = ProtocolType::kTcp;
  static constexpr auto Fields() {
    using model::Field;
    using model::Required;
    return std::tuple{
        Field("type", &Match::type, "What the value is: Domain, IP or CIDR.", Required{}),
        Field("value", &Match::value,
              "The destination: a name (*.example.com for all below it), an address, a network.",
              Required{}),
        Field("port", &Match::port, "Port that the workload calls. Absent: all."),
        Field("protocol", &Match::protocol,
              "What is spoken: tcp, tls, http, http2, grpc or mysql. Default: tcp."),
    };
  }
};

struct Conf {
  std::optional<Mode> passthrough_mode;  // absent: Matched
  std::optional<std::vector<Match>> append_match;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("passthroughMode", &Conf::passthrough_mode,
              "All: every destination. None: none. Matched (the default): those of appendMatch."),
        Field("appendMatch", &Conf::append_match,
              "Destinations that may be called in mode Matched. Lists of several policies are "
              "joined.",
              model::Append{}),
    };
  }
};

struct Spec {
  std::optional<policy::TargetRef> target_ref;
  Conf default_conf;
  static constexpr auto Fields() {
    using model::Field;
    using model::Input;
    return std::tuple{
        Field("targetRef", &Spec::target_ref,
              "The proxies that are configured. Absent: all of the mesh.", policy::kTopKinds,
              Input{}),
        Field("default", &Spec::default_conf, "What holds for them.", Input{}),
    };
  }
};

const model::ResourceType& Schema();

}  // namespace kuma::policies::mesh_passthrough

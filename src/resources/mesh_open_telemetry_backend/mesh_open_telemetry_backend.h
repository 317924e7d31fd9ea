#pragma once

// MeshOpenTelemetryBackend: a collector that policies send logs, traces and metrics to.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/condition.h"
#include "model/fields.h"
#include "model/resource_type.h"

namespace kuma::resources::mesh_open_telemetry_backend {

inline constexpr std::string_view kKind = "MeshOpenTelemetryBackend";
inline constexpr int32_t kDefaultPort = 4317;

struct Endpoint {
  std::optional<std::string> address;
  std::optional<int32_t> port;
  std::optional<std::string> path;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("address", &Endpoint::address,
              "Host name or IP address of the collector. Absent: the host of the proxy."),
        Field("port", &Endpoint::port, "Port of the collector. Default: 4317."),
        Field("path", &Endpoint::path,
              "Path before /v1/logs, /v1/traces and /v1/metrics; with protocol http only."),
    };
  }
};

enum class Protocol { kUnknown, kGrpc, kHttp };
constexpr auto EnumNames(Protocol) {
  return std::to_array<model::EnumName<Protocol>>(
      {{Protocol::kGrpc, "grpc"}, {Protocol::kHttp, "http"}});
}

enum class EnvMode { kUnknown, kDisabled, kOptional, kRequired };
constexpr auto EnumNames(EnvMode) {
  using enum EnvMode;
  return std::to_array<model::EnumName<EnvMode>>(
      {{kDisabled, "Disabled"}, {kOptional, "Optional"}, {kRequired, "Required"}});
}
enum class EnvPrecedence { kUnknown, kExplicitFirst, kEnvFirst };
constexpr auto EnumNames(EnvPrecedence) {
  return std::to_array<model::EnumName<EnvPrecedence>>(
      {{EnvPrecedence::kExplicitFirst, "ExplicitFirst"}, {EnvPrecedence::kEnvFirst, "EnvFirst"}});
}
// What OTEL_EXPORTER_OTLP_* in the environment of kuma-dp may change.
struct EnvPolicy {
  model::OpenEnum<EnvMode> mode = EnvMode::kOptional;
  model::OpenEnum<EnvPrecedence> precedence = EnvPrecedence::kEnvFirst;
  std::optional<bool> allow_signal_overrides;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("mode", &EnvPolicy::mode, "Disabled: nothing. Required: it must be there."),
        Field("precedence", &EnvPolicy::precedence,
              "EnvFirst: it wins over what is written here. ExplicitFirst: it fills gaps."),
        Field("allowSignalOverrides", &EnvPolicy::allow_signal_overrides,
              "Whether variables for one signal count. Default: true."),
    };
  }
};

struct Spec {
  std::optional<Endpoint> endpoint;
  std::optional<model::OpenEnum<Protocol>> protocol;
  std::optional<EnvPolicy> env;
  static constexpr auto Fields() {
    using model::Field;
    using model::Input;
    return std::tuple{
        Field("endpoint", &Spec::endpoint, "Where the collector is.", Input{}),
        Field("protocol", &Spec::protocol, "How to talk to it. Default: grpc.", Input{}),
        Field("env", &Spec::env, "What the environment of the proxies may change.", Input{}),
    };
  }
};

struct Status {
  std::vector<model::Condition> conditions;
  static constexpr auto Fields() {
    return std::tuple{model::Field("conditions", &Status::conditions, "Whether it is in use.")};
  }
};

const model::ResourceType& Type();

}  // namespace kuma::resources::mesh_open_telemetry_backend

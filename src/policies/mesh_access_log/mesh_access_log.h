#pragma once

// MeshAccessLog: what is written about requests and connections, and where to.

#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/condition.h"
#include "model/fields.h"
#include "model/resource_type.h"
#include "policy/collector.h"
#include "policy/target_ref.h"

namespace kuma::policies::mesh_access_log {

struct JsonValue {
  std::string key;
  std::string value;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("key", &JsonValue::key, "Name of the member.", model::Required{}),
        Field("value", &JsonValue::value, "Text with placeholders.", model::Required{})};
  }
};

enum class FormatType { kUnknown, kPlain, kJson };
constexpr auto EnumNames(FormatType) {
  return std::to_array<model::EnumName<FormatType>>(
      {{FormatType::kPlain, "Plain"}, {FormatType::kJson, "Json"}});
}
struct Format {
  model::OpenEnum<FormatType> type = FormatType::kUnknown;
  std::optional<std::string> plain;
  std::optional<std::vector<JsonValue>> json;
  std::optional<bool> omit_empty_values = false;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("type", &Format::type, "Plain or Json.", model::Required{}),
        Field("plain", &Format::plain, "A line with placeholders."),
        Field("json", &Format::json, "Members of an object, their values with placeholders."),
        Field("omitEmptyValues", &Format::omit_empty_values,
              "Leaves out what has no value, instead of writing '-'."),
    };
  }
};

struct TcpBackend {
  std::optional<Format> format;
  std::string address;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("format", &TcpBackend::format, "What is written."),
        Field("address", &TcpBackend::address, "Host and port of the receiver.", model::Required{},
              model::MinLength{1}),
    };
  }
};

struct FileBackend {
  std::optional<Format> format;
  std::string path;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("format", &FileBackend::format, "What is written."),
        Field("path", &FileBackend::path, "File at the proxy.", model::Required{},
              model::MinLength{1}),
    };
  }
};

struct Attribute {
  std::string key;
  std::string value;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("key", &Attribute::key, "Name of the attribute.", model::Required{},
              policy::kAttributeNamePattern),
        Field("value", &Attribute::value, "Text with placeholders.", model::Required{})};
  }
};
struct OpenTelemetryBackend {
  std::vector<Attribute> attributes;
  model::Value body;
  std::optional<policy::CollectorRef> backend_ref;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("attributes", &OpenTelemetryBackend::attributes, "Attributes of the log record."),
        Field("body", &OpenTelemetryBackend::body,
              "Body of the log record: text, or a value as OTLP spells it, with placeholders."),
        Field("backendRef", &OpenTelemetryBackend::backend_ref, "The collector."),
    };
  }
};

enum class BackendType { kUnknown, kTcp, kFile, kOpenTelemetry };
constexpr auto EnumNames(BackendType) {
  using enum BackendType;
  return std::to_array<model::EnumName<BackendType>>(
      {{kTcp, "Tcp"}, {kFile, "File"}, {kOpenTelemetry, "OpenTelemetry"}});
}
struct Backend {
  model::OpenEnum<BackendType> type = BackendType::kUnknown;
  std::optional<TcpBackend> tcp;
  std::optional<FileBackend> file;
  std::optional<OpenTelemetryBackend> open_telemetry;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("type", &Backend::type, "Tcp, File or OpenTelemetry.", model::Required{}),
        Field("tcp", &Backend::tcp, "A receiver of lines over TCP."),
        Field("file", &Backend::file, "A file."),
        Field("openTelemetry", &Backend::open_telemetry, "A collector of OpenTelemetry."),
    };
  }
};

struct Conf {
  std::optional<std::vector<Backend>> backends;
  static constexpr auto Fields() {
    return std::tuple{
        model::Field("backends", &Conf::backends, "Where logs go, all of them. Empty: nowhere.")};
  }
};

struct To {
  policy::TargetRef target_ref;
  Conf default_conf;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("targetRef", &To::target_ref, "Destinations that the logs are about.",
              model::Required{}, policy::kToKinds),
        Field("default", &To::default_conf, "Logs of these destinations.", model::Required{}),
    };
  }
};

struct Rule {
  std::vector<policy::Match> matches;
  Conf default_conf;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("matches", &Rule::matches,
              "Traffic that the rule is for. Absent: all. Every rule that fits counts."),
        Field("default", &Rule::default_conf, "Logs of traffic that comes in.", model::Required{}),
    };
  }
};

struct Spec {
  std::optional<policy::TargetRef> target_ref;
  std::vector<To> to;
  std::vector<Rule> rules;
  static constexpr auto Fields() {
    using model::Field;
    using model::Input;
    return std::tuple{
        Field("targetRef", &Spec::target_ref,
              "The proxies that are configured. Absent: all of the mesh.", policy::kTopKinds,
              Input{}),
        Field("to", &Spec::to, "Logs of the proxies' outbounds.", Input{}),
        Field("rules", &Spec::rules, "Logs of the proxies' inbounds.", Input{}),
    };
  }
};

struct Status {
  std::vector<model::Condition> conditions;
  static constexpr auto Fields() {
    return std::tuple{
        model::Field("conditions", &Status::conditions, "Whether its backends are there.")};
  }
};

const model::ResourceType& Schema();

}  // namespace kuma::policies::mesh_access_log

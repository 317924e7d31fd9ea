#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/util/json_util.h>

#include <envoy/config/accesslog/v3/accesslog.pb.h>
#include <envoy/extensions/access_loggers/file/v3/file.pb.h>
#include <envoy/extensions/access_loggers/filters/cel/v3/cel.pb.h>
#include <envoy/extensions/access_loggers/open_telemetry/v3/logs_service.pb.h>
#include <envoy/extensions/filters/http/lua/v3/lua.pb.h>
#include <opentelemetry/proto/common/v1/common.pb.h>
#include "base/format.h"
#include "envoy/builders.h"
#include "policies/mesh_access_log/mesh_access_log.h"
#include "policy/describe_policy.h"

namespace kuma::policies::mesh_access_log {
namespace {

namespace api = envoy::api;
namespace loggers = ::envoy::extensions::access_loggers;
namespace otlp = ::opentelemetry::proto::common::v1;
using ::envoy::config::accesslog::v3::AccessLog;
using policy::SlotFields;

// How the two halves of a route's log find each other: a route notes its KRI, and the log of the
// route wants that note.
constexpr std::string_view kRouteNamespace = "kuma.routes";
constexpr std::string_view kRouteKey = "route_kri";
constexpr std::string_view kLua = "envoy.filters.http.lua";
// Logs do not see the metadata of a route, only what filters noted about the request.
constexpr std::string_view kNoteRoute = R"(function envoy_on_request(handle)
  local meta = handle:metadata():get("route_kri")
  if meta ~= nil then
    handle:streamInfo():dynamicMetadata():set("kuma.routes", "route_kri", meta)
  end
end
)";

// Of the clusters of collectors.
constexpr std::string_view kClusterPrefix = "meshaccesslog";

constexpr std::string_view kTcpFormat =
    "[%START_TIME%] %RESPONSE_FLAGS% %KUMA_MESH% "
    "%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%(%KUMA_SOURCE_SERVICE%)->%UPSTREAM_HOST%"
    "(%KUMA_DESTINATION_SERVICE%) took %DURATION%ms, sent %BYTES_SENT% bytes, received: "
    "%BYTES_RECEIVED% bytes";
constexpr std::string_view kHttpFormat =
    R"([%START_TIME%] %KUMA_MESH% "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" )"
    R"(%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% )"
    R"(%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" )"
    R"("%REQ(X-B3-TRACEID?X-DATADOG-TRACEID)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" )"
    R"("%KUMA_SOURCE_SERVICE%" "%KUMA_DESTINATION_SERVICE%" )"
    R"("%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%" "%UPSTREAM_HOST%")";

// ---- placeholders

// What the logs of one listener say about where traffic comes from and goes to.
struct Values {
  const policy::Slot& proxy;
  std::string source;       // service
  std::string destination;  // service
  std::string mesh;
  std::string_view direction;
  bool http = false;
};

constexpr std::string_view kUnknownService = "unknown";

struct Placeholder {
  std::string_view text;
  SlotFields uses;
  std::string (*value)(const Values& values);
};
constexpr std::array<Placeholder, 8> kPlaceholders = {{
    {"%KUMA_SOURCE_ADDRESS%", SlotFields::kAddress,
     [](const Values& values) { return values.proxy.address_with_port; }},
    {"%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%", SlotFields::kAddress,
     [](const Values& values) { return values.proxy.address; }},
    {"%KUMA_SOURCE_SERVICE%", SlotFields::kWorkload,
     [](const Values& values) { return values.source; }},
    {"%KUMA_DESTINATION_SERVICE%", SlotFields::kNone,
     [](const Values& values) { return values.destination; }},
    {"%KUMA_MESH%", SlotFields::kNone, [](const Values& values) { return values.mesh; }},
    {"%KUMA_TRAFFIC_DIRECTION%", SlotFields::kNone,
     [](const Values& values) { return std::string(values.direction); }},
    {"%KUMA_ZONE%", SlotFields::kZone, [](const Values& values) { return values.proxy.zone; }},
    {"%KUMA_WORKLOAD%", SlotFields::kWorkload,
     [](const Values& values) { return values.proxy.workload_kri; }},
}};

// Calls text(piece) and placeholder(of the table) in their order.
template <class Text, class Found>
void Scan(std::string_view format, Text text, Found placeholder) {
  size_t begin = 0;
  for (size_t at = format.find("%KUMA_"); at != std::string_view::npos;
       at = format.find("%KUMA_", at)) {
    const Placeholder* found = nullptr;
    for (const Placeholder& candidate : kPlaceholders) {
      if (format.substr(at).starts_with(candidate.text)) found = &candidate;
    }
    if (found == nullptr) {
      ++at;
      continue;
    }
    text(format.substr(begin, at - begin));
    placeholder(*found);
    at += found->text.size();
    begin = at;
  }
  text(format.substr(begin));
}

std::string Expand(std::string_view format, const Values& values) {
  std::string result;
  Scan(
      format, [&](std::string_view text) { result += text; },
      [&](const Placeholder& placeholder) { result += placeholder.value(values); });
  return result;
}

// ---- which values of the proxy the logs of outbounds hold

SlotFields UsesOf(std::string_view format) {
  SlotFields fields = SlotFields::kNone;
  Scan(
      format, [](std::string_view) {},
      [&](const Placeholder& placeholder) { fields = fields | placeholder.uses; });
  return fields;
}

SlotFields UsesOf(const std::optional<Format>& format) {
  if (!format) return UsesOf(kHttpFormat) | UsesOf(kTcpFormat);
  SlotFields fields = SlotFields::kNone;
  if (format->plain) {
    fields = UsesOf(*format->plain);
  } else if (format->json) {
    for (const JsonValue& member : *format->json) fields = fields | UsesOf(member.value);
  }
  return fields;
}

SlotFields UsesOf(const Backend& backend) {
  switch (backend.type) {
    case BackendType::kFile: return backend.file ? UsesOf(backend.file->format) : SlotFields::kNone;
    case BackendType::kTcp:
      return SlotFields::kAccessLogSocket |
             (backend.tcp ? UsesOf(backend.tcp->format) : SlotFields::kNone);
    case BackendType::kOpenTelemetry: {
      if (!backend.open_telemetry) return SlotFields::kNone;
      // Resource attributes: zone and workload, always.
      SlotFields fields = SlotFields::kZone | SlotFields::kWorkload;
      for (const Attribute& attribute : backend.open_telemetry->attributes)
        fields = fields | UsesOf(attribute.value);
      return fields | (backend.open_telemetry->body.is_null()
                           ? UsesOf(std::optional<Format>())
                           : UsesOf(model::ToJson(backend.open_telemetry->body)));
    }
    case BackendType::kUnknown: break;
  }
  return SlotFields::kNone;
}

policy::SlotUse SlotsOf(const model::Resource& policy) {
  policy::SlotUse use;
  for (const To& to : policy.Spec<Spec>().to) {
    if (!to.default_conf.backends) continue;
    for (const Backend& backend : *to.default_conf.backends)
      use.listener = use.listener | UsesOf(backend);
  }
  return use;
}

// ---- backends

using LogFormat = ::envoy::config::core::v3::SubstitutionFormatString;

void SetText(std::string_view format, const Values& values, LogFormat& out) {
  out.mutable_text_format_source()->set_inline_string(Expand(std::string(format) + "\n", values));
}

void SetMembers(const std::vector<JsonValue>& members, const Values& values,
                google::protobuf::Struct& out) {
  for (const JsonValue& member : members)
    (*out.mutable_fields())[member.key].set_string_value(Expand(member.value, values));
}

base::Status CheckFormat(const std::optional<Format>& format) {
  if (!format || format->plain || format->json) return base::Ok{};
  return base::Invalid("format must have only one type defined: plain, json");
}

std::string_view PlainOf(const std::optional<Format>& format, const Values& values) {
  if (format) return *format->plain;
  return values.http ? kHttpFormat : kTcpFormat;
}

base::Status ToFile(const FileBackend& backend, const Values& values, AccessLog& log) {
  TRY(CheckFormat(backend.format));
  loggers::file::v3::FileAccessLog file;
  file.set_path(backend.path);
  LogFormat& format = *file.mutable_log_format();
  if (backend.format)
    format.set_omit_empty_values(backend.format->omit_empty_values.value_or(false));
  if (!backend.format || backend.format->plain) {
    SetText(PlainOf(backend.format, values), values, format);
  } else {
    SetMembers(*backend.format->json, values, *format.mutable_json_format());
  }
  log.set_name("envoy.access_loggers.file");
  envoy::Pack(file, log.mutable_typed_config());
  return base::Ok{};
}

// kuma-dp reads the socket and passes on each message to its address.
base::Status ToTcp(const TcpBackend& backend, const Values& values, AccessLog& log) {
  TRY(CheckFormat(backend.format));
  loggers::file::v3::FileAccessLog file;
  file.set_path(values.proxy.access_log_socket);
  LogFormat& format = *file.mutable_log_format();
  if (backend.format)
    format.set_omit_empty_values(backend.format->omit_empty_values.value_or(false));
  auto& members = *format.mutable_json_format()->mutable_fields();
  members["address"].set_string_value(backend.address);
  if (!backend.format || backend.format->plain) {
    members["message"].set_string_value(
        Expand(std::string(PlainOf(backend.format, values)) + "\n", values));
  } else {
    SetMembers(*backend.format->json, values, *members["message"].mutable_struct_value());
  }
  log.set_name("envoy.access_loggers.file");
  envoy::Pack(file, log.mutable_typed_config());
  return base::Ok{};
}

void ExpandIn(otlp::AnyValue& value, const Values& values) {
  switch (value.value_case()) {
    case otlp::AnyValue::kStringValue:
      value.set_string_value(Expand(value.string_value(), values));
      break;
    case otlp::AnyValue::kArrayValue:
      for (otlp::AnyValue& element : *value.mutable_array_value()->mutable_values())
        ExpandIn(element, values);
      break;
    case otlp::AnyValue::kKvlistValue:
      for (otlp::KeyValue& member : *value.mutable_kvlist_value()->mutable_values()) {
        member.set_key(Expand(member.key(), values));
        ExpandIn(*member.mutable_value(), values);
      }
      break;
    default: break;
  }
}

// A value as OTLP spells it, or else its text.
void SetBody(const model::Value& body, const Values& values, otlp::AnyValue& out) {
  if (body.is_null()) {
    out.set_string_value(Expand(values.http ? kHttpFormat : kTcpFormat, values));
    return;
  }
  const std::string json = model::ToJson(body);
  if (google::protobuf::util::JsonStringToMessage(json, &out).ok()) {
    ExpandIn(out, values);
  } else {
    out.set_string_value(Expand(json, values));
  }
}

void AddText(std::string_view key, std::string value, otlp::KeyValueList& out) {
  otlp::KeyValue& entry = *out.add_values();
  entry.set_key(std::string(key));
  entry.mutable_value()->set_string_value(std::move(value));
}

void ToCollector(const OpenTelemetryBackend& backend, const std::string& cluster,
                 const Values& values, AccessLog& log) {
  loggers::open_telemetry::v3::OpenTelemetryAccessLogConfig config;
  config.set_log_name("MeshAccessLog");
  config.mutable_grpc_service()->mutable_envoy_grpc()->set_cluster_name(cluster);
  SetBody(backend.body, values, *config.mutable_body());
  otlp::KeyValueList& attributes = *config.mutable_attributes();
  for (const Attribute& attribute : backend.attributes)
    AddText(attribute.key, Expand(attribute.value, values), attributes);
  otlp::KeyValueList& resource = *config.mutable_resource_attributes();
  AddText("kuma.mesh", values.mesh, resource);
  if (!values.proxy.zone.empty()) AddText("kuma.zone", values.proxy.zone, resource);
  if (!values.proxy.workload_kri.empty())
    AddText("kuma.workload", values.proxy.workload_kri, resource);
  log.set_name("envoy.access_loggers.open_telemetry");
  envoy::Pack(config, log.mutable_typed_config());
}

// What all logs of a listener have in common.
struct Surroundings {
  const Values& values;
  const policy::CollectorsPtr& collectors;
  bool via_kuma_dp;
};

// The logs of a conf, without filters. A reference to a collector that is not there gives none.
base::Result<std::vector<AccessLog>> LogsOf(const Conf& conf, const Surroundings& around) {
  std::vector<AccessLog> logs;
  if (!conf.backends) return logs;
  for (const Backend& backend : *conf.backends) {
    AccessLog log;
    if (backend.type == BackendType::kFile && backend.file) {
      TRY(ToFile(*backend.file, around.values, log));
    } else if (backend.type == BackendType::kTcp && backend.tcp) {
      TRY(ToTcp(*backend.tcp, around.values, log));
    } else if (backend.type == BackendType::kOpenTelemetry && backend.open_telemetry &&
               backend.open_telemetry->backend_ref) {
      const policy::Collector* collector =
          policy::FindCollector(around.collectors, *backend.open_telemetry->backend_ref);
      if (collector == nullptr) continue;
      ToCollector(*backend.open_telemetry,
                  policy::CollectorCluster(kClusterPrefix, *collector, around.via_kuma_dp),
                  around.values, log);
    } else {
      continue;
    }
    logs.push_back(std::move(log));
  }
  return logs;
}

void AddLogsOfHttp(const std::vector<AccessLog>& logs, envoy::ListenerDraft& listener) {
  listener.ForEachHttp([&](envoy::HttpManagerDraft& http) {
    for (const AccessLog& log : logs) *http.manager.add_access_log() = log;
  });
}
void AddLogsOfTcp(const std::vector<AccessLog>& logs, envoy::ListenerDraft& listener) {
  listener.ForEachTcp([&](api::TcpProxy& tcp) {
    for (const AccessLog& log : logs) *tcp.add_access_log() = log;
  });
}
void AddLogs(const std::vector<AccessLog>& logs, envoy::ListenerDraft& listener) {
  AddLogsOfHttp(logs, listener);
  AddLogsOfTcp(logs, listener);
}

// ---- outbounds

::envoy::type::matcher::v3::MetadataMatcher& WantRoute(bool or_none, AccessLog& log) {
  auto& filter = *log.mutable_filter()->mutable_metadata_filter();
  filter.mutable_match_if_key_not_found()->set_value(or_none);
  filter.mutable_matcher()->set_filter(std::string(kRouteNamespace));
  filter.mutable_matcher()->add_path()->set_key(std::string(kRouteKey));
  return *filter.mutable_matcher();
}

// Rules of routes that policies name have logs of their own, instead of those of the destination.
base::Status ApplyToRoutes(const policy::ListenerContext& context, const Surroundings& around,
                           envoy::ListenerDraft& listener) {
  std::map<model::Kri, const Conf*> routes;
  listener.ForEachHttp([&](envoy::HttpManagerDraft& http) {
    for (envoy::RouteDraft& route : http.routes) {
      const auto named = context.routes.find(route.origin);
      const Conf* conf = named == context.routes.end() ? nullptr : named->second.Get<Conf>();
      const auto kri = model::ParseKri(route.route.name());
      if (conf == nullptr || !kri.has_value()) continue;
      auto& note = (*route.route.mutable_metadata()->mutable_filter_metadata())[std::string(kLua)];
      note.Clear();
      (*note.mutable_fields())[std::string(kRouteKey)].set_string_value(kri->ToString());
      routes.emplace(*kri, conf);
    }
  });
  bool any = false;
  for (const auto& [kri, conf] : routes) {
    TRY_ASSIGN(std::vector<AccessLog> logs, LogsOf(*conf, around));
    for (AccessLog& log : logs)
      WantRoute(false, log).mutable_value()->mutable_string_match()->set_exact(kri.ToString());
    any = any || !logs.empty();
    AddLogs(logs, listener);
  }
  if (!any) return base::Ok{};
  ::envoy::extensions::filters::http::lua::v3::Lua lua;
  lua.mutable_default_source_code()->set_inline_string(std::string(kNoteRoute));
  const api::HttpFilter filter = envoy::HttpFilterOf(kLua, lua);
  listener.ForEachHttp(
      [&](envoy::HttpManagerDraft& http) { http.filters.insert(http.filters.begin(), filter); });
  return base::Ok{};
}

base::Status ApplyListener(const policy::ListenerContext& context, envoy::ListenerDraft& listener) {
  const policy::Slot& proxy = policy::ValuesOf(context.slot);
  const Values values{.proxy = proxy,
                      .source = proxy.service,
                      .destination = context.destination.kri.name,
                      .mesh = context.destination.service.mesh,
                      .direction = "OUTBOUND",
                      .http = envoy::IsHttpBased(context.destination.protocol)};
  const Surroundings around{values, context.collectors,
                            context.traits.HasFeature(policy::kCollectorsViaKumaDp)};
  if (const Conf* conf = context.Conf<Conf>()) {
    TRY_ASSIGN(std::vector<AccessLog> logs, LogsOf(*conf, around));
    if (values.http) {
      for (AccessLog& log : logs) WantRoute(true, log).mutable_value()->mutable_null_match();
    }
    AddLogs(logs, listener);
  }
  return ApplyToRoutes(context, around, listener);
}

// ---- what passes through

base::Status ApplyOutside(const policy::ProxyContext& context, std::string_view destination,
                          envoy::ListenerDraft& listener) {
  const Conf* conf = context.outside.confs.Get<Conf>();
  if (conf == nullptr) return base::Ok{};
  const policy::Slot& proxy = policy::ValuesOf(context.outside.slot);
  Values values{.proxy = proxy,
                .source = proxy.service,
                .destination = std::string(destination),
                .mesh = context.key.mesh,
                .direction = "OUTBOUND",
                .http = true};
  const Surroundings around{values, context.outside.collectors,
                            context.HasFeature(policy::kCollectorsViaKumaDp)};
  TRY_ASSIGN(const std::vector<AccessLog> of_http, LogsOf(*conf, around));
  AddLogsOfHttp(of_http, listener);
  values.http = false;
  TRY_ASSIGN(const std::vector<AccessLog> of_tcp, LogsOf(*conf, around));
  AddLogsOfTcp(of_tcp, listener);
  return base::Ok{};
}

// ---- inbounds

// As an expression of CEL; empty: all traffic.
std::string ExpressionOf(const policy::TrafficMatch& match) {
  std::string expression;
  if (match.spiffe_id) {
    const std::string id = model::ToJson(match.spiffe_id->value);
    expression = match.spiffe_id->type == policy::MatchType::kPrefix
                     ? base::Format("connection.uri_san_peer_certificate.startsWith({})", id)
                     : base::Format("connection.uri_san_peer_certificate == {}", id);
  }
  if (match.sni) {
    expression += base::Format("{}connection.requested_server_name == {}",
                               expression.empty() ? "" : " && ", model::ToJson(match.sni->value));
  }
  return expression;
}

void WantExpression(std::string expression, AccessLog& log) {
  loggers::filters::cel::v3::ExpressionFilter filter;
  filter.set_expression(std::move(expression));
  auto& extension = *log.mutable_filter()->mutable_extension_filter();
  extension.set_name("envoy.access_loggers.extension_filters.cel");
  envoy::Pack(filter, extension.mutable_typed_config());
}

base::Status ApplyInbound(const policy::InboundContext& context, envoy::InboundDraft& inbound) {
  const policy::Slot& proxy = policy::ValuesOf(context.slot);
  const Values values{.proxy = proxy,
                      .source = std::string(kUnknownService),
                      .destination = context.kri.empty() ? proxy.service : context.kri,
                      .mesh = context.mesh,
                      .direction = "INBOUND",
                      .http = envoy::IsHttpBased(context.protocol)};
  const Surroundings around{values, context.collectors,
                            context.traits.HasFeature(policy::kCollectorsViaKumaDp)};
  for (const policy::InboundRule& rule : context.Rules<Conf>()) {
    TRY_ASSIGN(std::vector<AccessLog> logs, LogsOf(*rule.conf.As<Conf>(), around));
    if (rule.match) {
      const std::string expression = ExpressionOf(*rule.match);
      if (!expression.empty()) {
        for (AccessLog& log : logs) WantExpression(expression, log);
      }
      if (rule.match->sni) envoy::AddTlsInspector(inbound.listener);
    }
    AddLogs(logs, inbound.listener);
  }
  return base::Ok{};
}

void CollectorRefsOf(const void* conf, std::vector<const policy::CollectorRef*>& out) {
  const auto& backends = static_cast<const Conf*>(conf)->backends;
  if (!backends) return;
  for (const Backend& backend : *backends) {
    if (backend.type == BackendType::kOpenTelemetry && backend.open_telemetry &&
        backend.open_telemetry->backend_ref)
      out.push_back(&*backend.open_telemetry->backend_ref);
  }
}

}  // namespace

policy::PolicyType Policy() {
  policy::PolicyType type = policy::Describe<Spec, Conf>(Schema(), {.listener = ApplyListener,
                                                                    .cluster = nullptr,
                                                                    .endpoints = nullptr,
                                                                    .inbound = ApplyInbound,
                                                                    .proxy = nullptr});
  type.hooks.outside = ApplyOutside;
  type.slots = SlotsOf;
  type.collectors = {
      .refs = CollectorRefsOf, .signal = policy::Signal::kLogs, .cluster_prefix = kClusterPrefix};
  return type;
}

}  // namespace kuma::policies::mesh_access_log

#include "xds/internal/wire.h"

#include <envoy/service/discovery/v3/discovery.pb.h>
#include <envoy/service/health/v3/hds.pb.h>
#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "base/format.h"

namespace kuma::xds::internal {
namespace {

namespace discovery = ::envoy::service::discovery::v3;
namespace health = ::envoy::service::health::v3;

void AppendJson(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += base::Format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}
void AppendJson(std::string& out, const google::protobuf::Struct& object);
void AppendJson(std::string& out, const google::protobuf::Value& value) {
  using google::protobuf::Value;
  switch (value.kind_case()) {
    case Value::kBoolValue: out += value.bool_value() ? "true" : "false"; return;
    case Value::kStringValue: AppendJson(out, value.string_value()); return;
    case Value::kStructValue: AppendJson(out, value.struct_value()); return;
    case Value::kNumberValue:
      // JSON has no word for the others.
      out +=
          std::isfinite(value.number_value()) ? base::Format("{}", value.number_value()) : "null";
      return;
    case Value::kListValue: {
      char before = '[';
      for (const Value& element : value.list_value().values()) {
        out.push_back(std::exchange(before, ','));
        AppendJson(out, element);
      }
      out += before == '[' ? "[]" : "]";
      return;
    }
    case Value::kNullValue:
    case Value::KIND_NOT_SET: out += "null"; return;
  }
}
// Many times faster than protobuf's own, which asks its reflection for everything.
void AppendJson(std::string& out, const google::protobuf::Struct& object) {
  char before = '{';
  for (const auto& [key, value] : object.fields()) {
    out.push_back(std::exchange(before, ','));
    AppendJson(out, key);
    out.push_back(':');
    AppendJson(out, value);
  }
  out += before == '{' ? "{}" : "}";
}

base::Result<NodeDescription> Describe(const ::envoy::config::core::v3::Node& node) {
  NodeDescription description;
  TRY_ASSIGN(description.proxy, ParseNodeId(node.id()));
  description.id = node.id();
  description.cluster = node.cluster();
  description.zone = node.locality().zone();
  if (node.has_user_agent_build_version()) {
    const auto& version = node.user_agent_build_version().version();
    description.envoy_version =
        base::Format("{}.{}.{}", version.major_number(), version.minor_number(), version.patch());
  } else {
    description.envoy_version = node.user_agent_version();
  }
  AppendJson(description.metadata_json, node.metadata());
  return description;
}

// What nearly all requests are: a type and the nonce that it acknowledges, nothing else. False: it
// is more, or wrong.
bool ParseAcknowledgement(std::string_view bytes, DeltaRequest& request) {
  constexpr unsigned char kTypeUrl = 2 << 3 | 2, kResponseNonce = 6 << 3 | 2;
  const auto take = [&bytes](unsigned char tag, std::string& text) {
    if (bytes.size() < 2 || static_cast<unsigned char>(bytes[0]) != tag) return false;
    const auto size = static_cast<unsigned char>(bytes[1]);
    if (size >= 0x80 || size == 0 || bytes.size() < 2u + size) return false;
    text = bytes.substr(2, size);
    bytes.remove_prefix(2u + size);
    return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
  };
  return take(kTypeUrl, request.type_url) && take(kResponseNonce, request.response_nonce) &&
         bytes.empty();
}

// A field of bytes; field numbers below 16 have a tag of one byte.
void AppendField(std::string& out, uint32_t number, std::string_view bytes) {
  out.push_back(static_cast<char>(number << 3 | 2));
  size_t size = bytes.size();
  for (; size >= 0x80; size >>= 7) out.push_back(static_cast<char>(size | 0x80));
  out.push_back(static_cast<char>(size));
  out.append(bytes);
}

}  // namespace

base::Result<base::ProxyKey> ParseNodeId(std::string_view id) {
  const size_t dot = id.find('.');
  if (dot == std::string_view::npos || dot + 1 == id.size()) {
    return base::Invalid(
        base::Format("node.id must be \"<mesh>.<name>\", not \"{}\"", id.substr(0, 200)));
  }
  return base::ProxyKey{std::string(id.substr(0, dot)), std::string(id.substr(dot + 1))};
}

base::Result<ParsedRequest> ParseDeltaRequest(std::string_view bytes) {
  if (ParsedRequest parsed; ParseAcknowledgement(bytes, parsed.request)) return parsed;
  discovery::DeltaDiscoveryRequest message;
  if (bytes.size() > (1u << 30) ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::Invalid("not an envoy.service.discovery.v3.DeltaDiscoveryRequest");
  }
  ParsedRequest parsed;
  DeltaRequest& request = parsed.request;
  request.type_url = std::move(*message.mutable_type_url());
  if (request.type_url.empty()) return base::Invalid("type_url is missing");
  request.subscribe.reserve(static_cast<size_t>(message.resource_names_subscribe_size()));
  for (std::string& name : *message.mutable_resource_names_subscribe())
    request.subscribe.push_back(std::move(name));
  for (std::string& name : *message.mutable_resource_names_unsubscribe()) {
    request.unsubscribe.push_back(std::move(name));
  }
  for (auto& [name, version] : *message.mutable_initial_resource_versions()) {
    request.initial_resource_versions.emplace(name, std::move(version));
  }
  request.response_nonce = std::move(*message.mutable_response_nonce());
  if (message.has_error_detail())
    request.error_detail = std::move(*message.mutable_error_detail()->mutable_message());
  if (message.has_node() && !message.node().id().empty()) {
    TRY_ASSIGN(parsed.node, Describe(message.node()));
  }
  return parsed;
}

// envoy.service.discovery.v3.DeltaDiscoveryResponse, in the order of its field numbers.
std::string EncodeHead(const DeltaResponse& response) {
  constexpr uint32_t kSystemVersionInfo = 1, kTypeUrl = 4, kNonce = 5, kRemovedResources = 6;
  std::string head;
  AppendField(head, kSystemVersionInfo, std::to_string(response.revision.value));
  AppendField(head, kTypeUrl, response.type_url());
  AppendField(head, kNonce, response.nonce);
  for (const std::string& name : response.removed) AppendField(head, kRemovedResources, name);
  return head;
}

base::Result<HealthMessage> ParseHealthMessage(std::string_view bytes) {
  health::HealthCheckRequestOrEndpointHealthResponse message;
  if (bytes.size() > (1u << 30) ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::Invalid(
        "not an envoy.service.health.v3.HealthCheckRequestOrEndpointHealthResponse");
  }
  if (message.has_health_check_request() && message.health_check_request().has_node()) {
    TRY_ASSIGN(NodeDescription node, Describe(message.health_check_request().node()));
    return HealthMessage(std::move(node));
  }
  HealthReport report;
  for (const auto& cluster : message.endpoint_health_response().cluster_endpoints_health()) {
    if (cluster.locality_endpoints_health().empty()) continue;
    const auto& endpoints = cluster.locality_endpoints_health(0).endpoints_health();
    if (endpoints.empty()) continue;
    const auto status = endpoints[0].health_status();
    report[cluster.cluster_name()] = status == ::envoy::config::core::v3::HEALTHY ||
                                     status == ::envoy::config::core::v3::UNKNOWN;
  }
  return HealthMessage(std::move(report));
}

std::string EncodeEmptyHealthChecks(runtime::Duration interval) {
  health::HealthCheckSpecifier specifier;
  specifier.mutable_interval()->set_seconds(
      std::chrono::duration_cast<std::chrono::seconds>(interval).count());
  return specifier.SerializeAsString();
}

}  // namespace kuma::xds::internal

#include "xds/internal/wire.h"

#include <envoy/service/discovery/v3/discovery.pb.h>
#include <envoy/service/health/v3/hds.pb.h>
#include <google/protobuf/util/json_util.h>

#include <chrono>
#include <utility>

#include "base/format.h"

namespace kuma::xds::internal {
namespace {

namespace discovery = ::envoy::service::discovery::v3;
namespace health = ::envoy::service::health::v3;

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
  description.metadata_json = "{}";
  if (node.has_metadata()) {
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(node.metadata(), &json).ok()) {
      return base::Invalid("node.metadata cannot be written as JSON");
    }
    description.metadata_json = std::move(json);
  }
  return description;
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

std::string EncodeHead(const DeltaResponse& response) {
  discovery::DeltaDiscoveryResponse head;
  head.set_system_version_info(base::Format("{}", response.revision.value));
  head.set_type_url(std::string(response.type_url()));
  head.set_nonce(response.nonce);
  for (const std::string& name : response.removed) head.add_removed_resources(name);
  return head.SerializeAsString();
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

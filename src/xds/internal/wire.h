#pragma once

// Messages of the discovery services as bytes. The only place of this room that knows protobuf.

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "runtime/clock.h"
#include "xds/delta_session.h"
#include "xds/health_session.h"
#include "xds/node.h"

namespace kuma::xds::internal {

struct ParsedRequest {
  DeltaRequest request;
  std::optional<NodeDescription> node;  // the first message of a stream has one
};
// envoy.service.discovery.v3.DeltaDiscoveryRequest. kInvalid if it is none, or if node.id is not a
// proxy's.
base::Result<ParsedRequest> ParseDeltaRequest(std::string_view bytes);

// A DeltaDiscoveryResponse without its resources: their bytes follow.
std::string EncodeHead(const DeltaResponse& response);

// A HealthCheckRequestOrEndpointHealthResponse: who asks, or what it found. A request without node
// and an empty message are an empty report. Healthy is what is healthy or unknown (Kuma 3.0).
using HealthMessage = std::variant<HealthReport, NodeDescription>;
base::Result<HealthMessage> ParseHealthMessage(std::string_view bytes);
// A HealthCheckSpecifier that asks for no check; Envoy reports at this interval.
std::string EncodeEmptyHealthChecks(runtime::Duration interval);

// "<mesh>.<name>"; kInvalid otherwise.
base::Result<base::ProxyKey> ParseNodeId(std::string_view id);

}  // namespace kuma::xds::internal

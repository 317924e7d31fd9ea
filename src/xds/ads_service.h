#pragma once

// The discovery services of Envoy, for the gRPC router of a server:
//
//   envoy.service.discovery.v3.AggregatedDiscoveryService
//     /DeltaAggregatedResources   served from a Hub
//     /StreamAggregatedResources  refused with the way out
//   envoy.service.health.v3.HealthDiscoveryService
//     /StreamHealthCheck          what a HealthSubscriber plans; without one: nothing to probe
//
// A stream begins with a message that names its node; until the node is authenticated nothing is
// sent.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "base/result.h"
#include "net/grpc.h"
#include "xds/health_session.h"
#include "xds/hub.h"
#include "xds/node.h"

namespace kuma::xds {

// Checks the token in `metadata`. Called on the stream's loop; must not block. `done` is called
// once, on any thread, while the loops live: kDenied ends the stream with UNAUTHENTICATED and the
// message, other errors with what they mean in gRPC.
using Authenticate = std::function<void(const NodeDescription& node, const net::Headers& metadata,
                                        std::function<void(base::Status)> done)>;

struct AdsServiceOptions {
  Authenticate authenticate;
  runtime::Duration authenticate_within = std::chrono::seconds(10);
  // Bounds what a client may say before it is authenticated.
  size_t waiting_requests = 64;
  size_t waiting_bytes = 4 << 20;
  HealthSubscriber health = {};
  // Envoy reports at this interval while there is nothing to probe.
  runtime::Duration health_interval = std::chrono::hours(24);
};

// Immutable; Serve is thread-safe. Streams keep what they need of the hub.
class AdsService {
 public:
  AdsService(const Hub& hub, AdsServiceOptions options);

  // Nothing if the path is none of the above. Call it on the loop of the connection.
  std::optional<net::GrpcAnswer> Serve(const net::GrpcRequest& request) const;

 private:
  std::shared_ptr<internal::HubState> hub_;
  std::shared_ptr<const AdsServiceOptions> options_;
};

}  // namespace kuma::xds

#pragma once

#include <memory>

#include "xds/ads_service.h"
#include "xds/internal/hub_state.h"

namespace kuma::xds::internal {

// One health discovery stream. Envoy opens it because its bootstrap says so; while there is nothing
// to probe it costs one message a day.
std::unique_ptr<net::GrpcStreamHandler> NewHealthStream(
    std::shared_ptr<HubState> hub, std::shared_ptr<const AdsServiceOptions> options,
    net::Headers metadata, net::Peer peer);

}  // namespace kuma::xds::internal

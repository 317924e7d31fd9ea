#pragma once

// Inbounds whose workload Envoy probes (serviceProbe). What the probe found is kept in `health`,
// and `state` follows it; an inbound that is Ignored is not probed. Pure functions.

#include <memory>
#include <string>
#include <vector>

#include "model/resource.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::resources::dataplane {

inline bool IsProbed(const Inbound& inbound) {
  return inbound.service_probe.has_value() && inbound.state != InboundState::kIgnored;
}

// Per inbound the name of its probe, "" if it is not probed: "localhost:<port of the workload>"
// (Kuma 3.0). Inbounds of one workload share a probe; a second address with the same port gets
// "localhost:<port>@<address>".
std::vector<std::string> ProbeNames(const Networking& networking);

// Takes in what a probe found. False: that is known already. Else `state` becomes Ready or
// NotReady. So a state that somebody wrote meanwhile (a drain) stays until the health changes.
bool TakeHealth(bool ready, Inbound& inbound);

// `written` is about to replace `stored` (null: there is none). The health of a probed workload is
// not the writer's to say: it stays as stored, and begins as not ready. Returns `written` itself if
// nothing is probed.
std::shared_ptr<const void> KeepHealth(const model::Resource* stored,
                                       const std::shared_ptr<const void>& written);

}  // namespace kuma::resources::dataplane

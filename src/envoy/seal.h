#pragma once

// From drafts to sealed resources: everything is packed once, deterministically, and hashed.

#include <string>
#include <vector>

#include "bundle/bundle.h"
#include "envoy/drafts.h"
#include "envoy/resource_json.h"

namespace kuma::envoy {

// `origins`: the stored resources that shaped the draft, for NACKs and explanations; sorted and
// made unique here. Drafts are used up.
bundle::SealedPtr Seal(ListenerDraft&& draft, std::vector<std::string> origins);
bundle::SealedPtr Seal(ClusterDraft&& draft, std::vector<std::string> origins);
bundle::SealedPtr Seal(EndpointsDraft&& draft, std::vector<std::string> origins);
bundle::SealedPtr Seal(const api::Secret& secret, std::vector<std::string> origins);

}  // namespace kuma::envoy

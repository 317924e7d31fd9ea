#pragma once

// From drafts to sealed resources: everything is packed once, deterministically, and hashed.

#include <string>
#include <vector>

#include "bundle/bundle.h"
#include "envoy/drafts.h"
#include "envoy/resource_json.h"

namespace kuma::envoy {

// Packs the parts of a draft into its message, which is the whole resource then; what routes name
// goes to more_clusters. Doing it again changes nothing. Seal does it; a policy that works on whole
// resources does it before.
void Finish(ListenerDraft& draft);
void Finish(ClusterDraft& draft);

// `origins`: the stored resources that shaped the draft, for NACKs and explanations; sorted and
// made unique here, with those that the draft notes. Drafts are used up. Null: the draft was removed.
bundle::SealedPtr Seal(ListenerDraft&& draft, std::vector<std::string> origins);
bundle::SealedPtr Seal(ClusterDraft&& draft, std::vector<std::string> origins);
bundle::SealedPtr Seal(EndpointsDraft&& draft, std::vector<std::string> origins);
bundle::SealedPtr Seal(const api::Secret& secret, std::vector<std::string> origins);

}  // namespace kuma::envoy

#pragma once

#include <string_view>
#include <vector>

#include "bundle/bundle.h"

namespace kuma::xds::internal {

// Which of the resources of a rejected response Envoy's error_detail names as the reason; empty if
// it names none. Understood: "Error adding/updating cluster(s) a: why, b: why", "... listener(s) a:
// why\nb: why", and validation errors that print the whole message (name: "a").
std::vector<bundle::SealedPtr> FindCulprits(const std::vector<bundle::SealedPtr>& sent,
                                            std::string_view detail);

}  // namespace kuma::xds::internal

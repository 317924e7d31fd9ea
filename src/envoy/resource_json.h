#pragma once

#include <string>

#include "bundle/bundle.h"

namespace kuma::envoy {

// The resource as protobuf's JSON, with `@type`; for inspection and tests. Empty when the bytes are
// no resource.
std::string ResourceJson(const bundle::SealedResource& resource);

}  // namespace kuma::envoy

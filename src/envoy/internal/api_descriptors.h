#pragma once

#include <string_view>

namespace kuma::envoy {

// A serialised google.protobuf.FileDescriptorSet of the whole of Envoy's API, closed under imports.
std::string_view ApiDescriptors();

}  // namespace kuma::envoy

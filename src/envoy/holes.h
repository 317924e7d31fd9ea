#pragma once

// From marks in a sealed resource to holes.

#include "base/result.h"
#include "bundle/bundle.h"

namespace kuma::envoy {

// `sealed` itself when it holds no marks (bundle::HoleMark) with numbers below `holes`; else the
// same resource as a template: every mark and the version become holes. kInternal: what is sealed
// cannot be read.
base::Result<bundle::SealedPtr> WithHoles(bundle::SealedPtr sealed, size_t holes);

}  // namespace kuma::envoy

#pragma once

// A proxy's bundle, put together from what it has alone and the lists of its group.

#include "base/ids.h"
#include "bundle/bundle.h"
#include "control/internal/cells.h"

namespace kuma::control::internal {

// The order of a list; of equal names, by version.
bool Before(const bundle::SealedPtr& a, const bundle::SealedPtr& b);

struct Assembled {
  bundle::XdsBundle bundle;  // lists without a change are those of the bundle that the proxy has
  bool changed = true;       // there is something in it that the proxy does not have
};
// REQUIRES: it has a plan, an own part and a group, all worked out for `revision`.
Assembled Assemble(const Proxy& proxy, base::Revision revision);

}  // namespace kuma::control::internal

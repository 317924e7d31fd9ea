#pragma once

#include <vector>

#include "model/resource_type.h"

namespace kuma::policies {

// Schemas of the policies of all.def, in its order. Links nothing of Envoy: kumactl uses it, too.
const std::vector<const model::ResourceType*>& AllPolicySchemas();

}  // namespace kuma::policies

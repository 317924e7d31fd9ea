#pragma once

#include <vector>

#include "model/resource_type.h"

namespace kuma::resources {

// The rows of all.def, in its order. With the schemas of the policies they make the TypeTable of a
// program.
const std::vector<const model::ResourceType*>& AllResourceTypes();

}  // namespace kuma::resources

#pragma once

#include <string_view>
#include <vector>

#include "model/resource.h"

namespace kuma::policies {

// The four policies that a new mesh gets, owned by the mesh, without computed labels. Which of them
// a mesh wants is its own decision: resources::mesh::SkipsInitialPolicy() with the kind.
std::vector<model::ResourcePtr> DefaultPolicies(std::string_view mesh);

}  // namespace kuma::policies

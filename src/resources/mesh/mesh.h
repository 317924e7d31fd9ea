#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "model/fields.h"
#include "model/resource_type.h"

namespace kuma::resources::mesh {

struct Spec {
  std::vector<std::string> skip_creating_initial_policies;

  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("skipCreatingInitialPolicies", &Spec::skip_creating_initial_policies,
              "Policies not to create with the mesh: kinds such as MeshRetry, or * for all.",
              model::Input{}),
    };
  }
};

const model::ResourceType& Type();

// Whether the default policy of this kind is to be left out ("MeshRetry", or "*").
bool SkipsInitialPolicy(const Spec& spec, std::string_view kind);

}  // namespace kuma::resources::mesh

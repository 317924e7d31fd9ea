#include "resources/mesh/mesh.h"

#include <algorithm>

#include "model/describe.h"

namespace kuma::resources::mesh {

const model::ResourceType& Type() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "Mesh",
      .singular = "mesh",
      .plural = "meshes",
      .short_name = "m",
      .singular_display_name = "Mesh",
      .plural_display_name = "Meshes",
      .scope = model::Scope::kGlobal,
      .name_rule = model::NameRule::kMeshName,
      .inline_spec = true,
      .in_federation_export = true,
      .global_to_zones = true,
  });
  return type;
}

bool SkipsInitialPolicy(const Spec& spec, std::string_view kind) {
  const auto& skipped = spec.skip_creating_initial_policies;
  return std::any_of(skipped.begin(), skipped.end(),
                     [kind](const std::string& entry) { return entry == "*" || entry == kind; });
}

}  // namespace kuma::resources::mesh

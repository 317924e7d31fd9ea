#include "resources/mesh_insight/mesh_insight.h"

#include "model/describe.h"

namespace kuma::resources::mesh_insight {

const model::ResourceType& Type() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "MeshInsight",
      .plural = "mesh-insights",
      .singular_display_name = "Mesh Insight",
      .plural_display_name = "Mesh Insights",
      .scope = model::Scope::kGlobal,
      .read_only = true,
      .is_insight = true,
      .inline_spec = true,
      .writable_on_global = true,
      .hashed_name = true,
  });
  return type;
}

}  // namespace kuma::resources::mesh_insight

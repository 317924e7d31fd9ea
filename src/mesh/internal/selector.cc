#include "mesh/internal/member_index.h"
#include "resources/dataplane/dataplane.h"
#include "resources/mesh_service/mesh_service.h"

namespace kuma::mesh {

Selector SelectorOf(const model::Resource& mesh_service) {
  const auto& selector = mesh_service.Spec<resources::mesh_service::Spec>().selector;
  Selector result;
  if (selector.dataplane_ref.has_value()) {
    result.kind = Selector::Kind::kName;
    result.name = selector.dataplane_ref->name;
  } else if (selector.dataplane_labels.has_value()) {
    result.kind = Selector::Kind::kLabels;
    result.labels.assign(selector.dataplane_labels->match_labels.begin(),
                         selector.dataplane_labels->match_labels.end());
  }
  return result;
}

bool HasInbounds(const model::Resource& dataplane) {
  const auto& spec = dataplane.Spec<resources::dataplane::Spec>();
  return spec.networking.has_value() && !spec.networking->inbound.empty();
}

}  // namespace kuma::mesh

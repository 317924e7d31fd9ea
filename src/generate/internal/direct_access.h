#pragma once

#include <optional>
#include <vector>

#include "envoy/drafts.h"
#include "generate/internal/cell_context.h"
#include "mesh/mesh_state.h"

namespace kuma::generate {

// What the Dataplane calls by the addresses of its peers (`directAccessServices`): every inbound of
// other Dataplanes with one of these services in their label kuma.io/service (`*`: of all), but for
// addresses of its own outbounds. Sorted, unique. Cost: in proportion to the Dataplanes of the mesh.
// Absent: it lists no services.
std::optional<std::vector<DirectAddress>> DirectAccessOf(const mesh::MeshSnapshot& mesh,
                                                         const model::Resource& dataplane);

// Adds a listener for each address, and the cluster to where the call was going.
void AddDirectAccess(const OwnCell& own, envoy::ProxyDraft& draft);

}  // namespace kuma::generate

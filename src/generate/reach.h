#pragma once

// What a proxy can call, in the words of inspection: services and ports as KRIs name them. Pure,
// thread-safe.

#include <optional>
#include <vector>

#include "mesh/mesh_state.h"
#include "model/kri.h"
#include "policy/contexts.h"

namespace kuma::generate {

// Ports by their names, sorted by KRI, unique: those of the Dataplane's outbounds; if none of them
// resolves, those of its reachableBackends; without such a list every port of every service.
std::vector<policy::Destination> ReachableDestinations(const mesh::MeshSnapshot& mesh,
                                                       const model::Resource& dataplane);

struct NamedDestination {
  model::ResourcePtr service;
  policy::Destination destination;
};
// What the KRI of an outbound means; its section is the name or the number of a port, or empty:
// then the destination is the service as a whole, without a port. Nothing when the mesh has no such
// service or the service no such port.
std::optional<NamedDestination> FindOutbound(const mesh::MeshSnapshot& mesh, const model::Kri& kri);

// The resource of this kind with this KRI (its section is ignored), or null.
model::ResourcePtr FindByKri(const mesh::MeshSnapshot& mesh, std::string_view kind,
                             const model::Kri& kri);

}  // namespace kuma::generate

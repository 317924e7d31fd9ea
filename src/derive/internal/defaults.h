#pragma once

// Resources that a new world or a new mesh starts with.

#include <string>
#include <vector>

#include "derive/derive.h"
#include "mesh/mesh_state.h"

namespace kuma::derive {

model::ResourcePtr DefaultMesh(model::WallTime now);
model::ResourcePtr OwnZone(const Settings& settings, model::WallTime now);
std::vector<model::ResourcePtr> DefaultHostnameGenerators(const Settings& settings,
                                                          model::WallTime now);

// The policies that `mesh` starts with and its first signing key, complete with labels and owner.
std::vector<model::ResourcePtr> DefaultsOfMesh(const Settings& settings,
                                               const model::Resource& mesh, model::WallTime now);
// Is there a signing key for dataplane tokens, of whatever number?
bool HasSigningKey(const mesh::MeshSnapshot& mesh);
bool IsSigningKey(const model::ResourceKey& secret);

}  // namespace kuma::derive

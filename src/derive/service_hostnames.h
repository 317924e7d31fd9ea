#pragma once

// Hostnames of one service, for inspection.

#include <string>
#include <string_view>
#include <vector>

#include "mesh/mesh_state.h"

namespace kuma::derive {

// What the HostnameGenerators of the snapshot give to a MeshService, MeshExternalService or
// MeshMultiZoneService: sorted, unique, empty for other kinds. Which service wins where two want
// the same one is not decided here (statuses say it); a template that fails gives nothing. Pure.
std::vector<std::string> HostnamesOf(const mesh::Snapshot& snapshot, const model::Resource& service,
                                     std::string_view local_zone);

}  // namespace kuma::derive

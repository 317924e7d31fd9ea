#pragma once

// The TLS server names of services: sni.<short>.<mesh>[.<zone>[.<namespace>]].<name>.<section>.

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/kri.h"

namespace kuma::model {

// Of a MeshService, MeshExternalService or MeshMultiZoneService with a section (the port's name,
// else its number). kInvalid, with all reasons, when a part cannot be one of a DNS name.
base::Result<std::string> SniOf(const Kri& id);

}  // namespace kuma::model

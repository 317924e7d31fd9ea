#pragma once

// Pure pieces of what Dataplanes make of Workloads and MeshServices.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/resource.h"
#include "resources/mesh_service/mesh_service.h"
#include "resources/workload/workload.h"

namespace kuma::derive {

inline constexpr std::string_view kMeshServiceGenerator = "meshservice-generator";
inline constexpr std::string_view kWorkloadGenerator = "workload-generator";
inline constexpr std::string_view kGracePeriodLabel = "kuma.io/deletion-grace-period-started-at";

using Ports = std::vector<resources::mesh_service::Port>;
using IsConnected = std::function<bool(const model::Resource& dataplane)>;

// Not received from another zone.
bool IsLocal(const model::Metadata& meta);

// The value of kuma.io/workload if it can be the name of a resource, else empty.
std::string WorkloadOf(const model::Resource& dataplane);

// The ports of a MeshService that stands for this Dataplane alone: one for each inbound, each port
// number once.
Ports PortsOf(const model::Resource& dataplane);

// The ports of the MeshService of a workload. Dataplanes should agree; where they do not, the
// present ports stay while one Dataplane has them, else those of the oldest count. Empty: none has
// an inbound.
Ports ChoosePorts(const std::vector<model::ResourcePtr>& dataplanes, const Ports& present);

// Healthy: every port of the service has a ready inbound behind it.
resources::mesh_service::DataplaneProxies CountProxies(
    const std::vector<model::ResourcePtr>& members, const Ports& ports,
    const IsConnected& is_connected);
// Healthy: some inbound is ready.
resources::workload::DataplaneProxies CountProxies(
    const std::vector<model::ResourcePtr>& dataplanes, const IsConnected& is_connected);

}  // namespace kuma::derive

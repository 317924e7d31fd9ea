#pragma once

// Services of a mesh as destinations: ports, references to them, and the endpoints behind them.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mesh/mesh_state.h"
#include "policy/contexts.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::generate {

// The services that have all labels, sorted by name; none for no labels.
std::vector<model::ResourcePtr> FindServices(const mesh::MeshSnapshot& mesh, std::string_view kind,
                                             const model::Labels& labels);

// The service that has all labels; of several the oldest (that breaks the least when another one
// appears). Null: none.
model::ResourcePtr FindService(const mesh::MeshSnapshot& mesh, std::string_view kind,
                               const model::Labels& labels);

// What an outbound of a proxy (`proxy`: its Dataplane) means, as labels for FindService.
model::Labels LabelsOf(const resources::dataplane::OutboundBackendRef& ref,
                       const model::Metadata& proxy);

// `section`: name or number of a port; empty: the only port. Nothing when there is no such port.
std::optional<policy::Destination> DestinationOf(const model::Resource& service,
                                                 std::string_view section);

// What a policy's backendRef means, seen from a policy in namespace `ns`.
std::optional<policy::Destination> Resolve(const mesh::MeshSnapshot& mesh,
                                           const policy::BackendRef& ref, std::string_view ns);

// "MeshService/<name>/<section>" and back. The service may be gone.
std::string DestinationId(const policy::Destination& destination);
std::optional<policy::Destination> FindDestination(const mesh::MeshSnapshot& mesh,
                                                   std::string_view id,
                                                   model::ResourcePtr* service);

// Where a service can be called without a listener of its own at the caller. Nothing: it has no
// virtual address (yet).
struct VirtualAddress {
  std::string ip;
  std::vector<std::string> hostnames;
};
std::optional<VirtualAddress> VirtualAddressOf(const model::Resource& service);

// Healthy endpoints behind the port.
std::vector<policy::Endpoint> EndpointsOf(const mesh::MeshSnapshot& mesh,
                                          const model::Resource& service,
                                          const policy::Destination& destination);

}  // namespace kuma::generate

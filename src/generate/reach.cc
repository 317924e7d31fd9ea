#include "generate/reach.h"

#include <array>
#include <map>
#include <string>

#include "generate/internal/services.h"
#include "model/names.h"
#include "policy/service_ports.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::generate {
namespace {

namespace dataplane = resources::dataplane;
using policy::Destination;

constexpr std::array<std::string_view, 3> kServiceKinds = {"MeshService", "MeshExternalService",
                                                           "MeshMultiZoneService"};

// Destinations by KRI.
class Found {
 public:
  // All ports, or the one with this number.
  void Add(const model::Resource& service, std::optional<uint32_t> number) {
    for (const policy::ServicePort& port : policy::PortsOf(service)) {
      if (number && *number != port.port) continue;
      if (auto destination = DestinationOf(service, port.name)) {
        std::string name = destination->Name();
        by_kri_.emplace(std::move(name), *std::move(destination));
      }
    }
  }
  bool empty() const { return by_kri_.empty(); }
  std::vector<Destination> Take() {
    std::vector<Destination> result;
    for (auto& [kri, destination] : by_kri_) result.push_back(std::move(destination));
    return result;
  }

 private:
  std::map<std::string, Destination> by_kri_;
};

model::Labels LabelsOfReachable(const dataplane::ReachableBackendRef& ref,
                                const model::Metadata& proxy) {
  dataplane::OutboundBackendRef as_outbound;
  as_outbound.name = ref.name;
  as_outbound.labels = ref.labels;
  model::Labels labels = LabelsOf(as_outbound, proxy);
  if (!ref.ns.empty() && ref.labels.empty()) labels[std::string(model::kNamespaceLabel)] = ref.ns;
  return labels;
}

}  // namespace

std::vector<Destination> ReachableDestinations(const mesh::MeshSnapshot& mesh,
                                               const model::Resource& dataplane) {
  Found found;
  const auto& networking = dataplane.Spec<dataplane::Spec>().networking;
  if (!networking) return {};
  for (const dataplane::Outbound& outbound : networking->outbound) {
    if (!outbound.backend_ref) continue;
    const dataplane::OutboundBackendRef& ref = *outbound.backend_ref;
    const model::ResourcePtr service = FindService(mesh, ref.kind, LabelsOf(ref, dataplane.meta()));
    if (service == nullptr) continue;
    found.Add(*service, ref.port == 0 ? std::nullopt : std::optional(ref.port));
  }
  if (!found.empty()) return found.Take();

  const auto& tproxy = networking->transparent_proxying;
  if (!tproxy || !tproxy->reachable_backends) {
    for (const std::string_view kind : kServiceKinds) {
      mesh.Of(kind).ForEach([&](const std::string&, const model::ResourcePtr& service) {
        found.Add(*service, std::nullopt);
      });
    }
    return found.Take();
  }
  for (const dataplane::ReachableBackendRef& ref : tproxy->reachable_backends->refs) {
    const model::Labels labels = LabelsOfReachable(ref, dataplane.meta());
    for (const model::ResourcePtr& service : FindServices(mesh, ref.kind, labels))
      found.Add(*service, ref.port);
  }
  return found.Take();
}

std::optional<NamedDestination> FindOutbound(const mesh::MeshSnapshot& mesh,
                                             const model::Kri& kri) {
  for (const std::string_view kind : kServiceKinds) {
    const model::ResourcePtr service = FindByKri(mesh, kind, kri);
    if (service == nullptr) continue;
    if (kri.section.empty()) {
      NamedDestination whole{service, {}};
      whole.destination.service = service->key();
      whole.destination.kri = model::KriOf(*service);
      return whole;
    }
    auto destination = DestinationOf(*service, kri.section);
    if (!destination) return std::nullopt;
    return NamedDestination{service, *std::move(destination)};
  }
  return std::nullopt;
}

model::ResourcePtr FindByKri(const mesh::MeshSnapshot& mesh, std::string_view kind,
                             const model::Kri& kri) {
  model::ResourcePtr found;
  const model::Kri wanted = kri.WithSection("");
  mesh.Of(kind).ForEach([&](const std::string&, const model::ResourcePtr& resource) {
    if (found == nullptr && resource->type().short_name == wanted.short_name &&
        model::KriOf(*resource) == wanted)
      found = resource;
  });
  return found;
}

}  // namespace kuma::generate

#include "resources/mesh_service/mesh_service.h"

#include <set>

#include "base/format.h"
#include "model/describe.h"
#include "model/kri.h"
#include "model/sni.h"

namespace kuma::resources::mesh_service {
namespace {

using model::IndexPath;
using model::JoinPath;

void Validate(const model::Resource& resource, model::Violations& out) {
  const Spec& spec = resource.Spec<Spec>();
  std::set<std::string> names;
  std::set<int32_t> numbers;
  for (size_t i = 0; i < spec.ports.size(); ++i) {
    const Port& port = spec.ports[i];
    const std::string path = IndexPath("spec.ports", i);
    if (port.port < 1 || port.port > 65535)
      out.Add(JoinPath(path, "port"), "port must be a valid (1-65535)");
    if (!numbers.insert(port.port).second)
      out.Add(JoinPath(path, "port"), base::Format("port {} must be unique", port.port));
    if (!port.name.empty() && !names.insert(port.name).second)
      out.Add(JoinPath(path, "name"), base::Format("name \"{}\" must be unique", port.name));
  }
}

// One name per port; a port whose name fits in no DNS name has none.
void AddSnis(const model::Resource& resource, model::Object& out) {
  model::Array snis;
  for (const Port& port : resource.Spec<Spec>().ports) {
    const auto sni = model::SniOf(model::KriOf(resource, port.SectionName()));
    if (sni.has_value()) snis.push_back(model::Object{{"port", port.port}, {"sni", *sni}});
  }
  if (!snis.empty()) out.Set("snis", std::move(snis));
}

}  // namespace

const model::ResourceType& Type() {
  static const model::ResourceType type = model::Describe<Spec, Status>({
      .kind = "MeshService",
      .singular = "meshservice",
      .plural = "meshservices",
      .short_name = "msvc",
      .singular_display_name = "Mesh Service",
      .plural_display_name = "Mesh Services",
      .name_rule = model::NameRule::kRfc1035Label,
      .zone_to_global = true,
      .across_zones = true,
      .hashed_name = true,
      .validate = Validate,
      .add_computed = AddSnis,
  });
  return type;
}

}  // namespace kuma::resources::mesh_service

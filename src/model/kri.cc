#include "model/kri.h"

#include "base/format.h"
#include "base/strings.h"
#include "model/names.h"
#include "model/resource_type.h"

namespace kuma::model {

std::string Kri::ToString() const {
  return base::Format("kri_{}_{}_{}_{}_{}_{}", short_name, mesh, zone, ns, name, section);
}

Kri Kri::WithSection(std::string_view new_section) const {
  Kri copy = *this;
  copy.section = new_section;
  return copy;
}

Kri KriOf(const Resource& resource, std::string_view section) {
  const Metadata& meta = resource.meta();
  Kri kri;
  kri.short_name = resource.type().short_name;
  kri.mesh = meta.mesh;
  kri.zone = meta.Label(kZoneLabel);
  kri.ns = meta.Label(kNamespaceLabel);
  kri.name = DisplayName(meta);
  kri.section = section;
  return kri;
}

base::Result<Kri> ParseKri(std::string_view text) {
  const auto parts = base::Split(text, '_');
  if (parts.size() < 7)
    return base::Invalid(base::Format("invalid identifier string: \"{}\"", text));
  if (parts[0] != "kri")
    return base::Invalid(base::Format("identifier must start with 'kri': \"{}\"", text));
  if (parts[1].empty()) return base::Invalid("unknown short name of resource type: \"\"");
  Kri kri{parts[1], parts[2], parts[3], parts[4], parts[5], ""};
  for (size_t i = 6; i < parts.size(); ++i) kri.section += parts[i];
  return kri;
}

}  // namespace kuma::model

#include "resources/zone/zone.h"

#include "model/describe.h"

namespace kuma::resources::zone {

const model::ResourceType& Type() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "Zone",
      .singular = "zone",
      .plural = "zones",
      .short_name = "z",
      .singular_display_name = "Zone",
      .plural_display_name = "Zones",
      .scope = model::Scope::kGlobal,
      .inline_spec = true,
      .writable_in_zones = true,
      .writable_on_global = true,
      .hashed_name = true,
  });
  return type;
}

}  // namespace kuma::resources::zone

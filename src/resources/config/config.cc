#include "resources/config/config.h"

#include "model/describe.h"

namespace kuma::resources::config {

const model::ResourceType& Type() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "Config",
      .singular_display_name = "Config",
      .plural_display_name = "Configs",
      .scope = model::Scope::kGlobal,
      .inline_spec = true,
      .global_to_zones = true,
      .writable_in_zones = true,
  });
  return type;
}

}  // namespace kuma::resources::config

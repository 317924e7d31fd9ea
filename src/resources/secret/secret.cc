#include "resources/secret/secret.h"

#include "model/describe.h"

namespace kuma::resources::secret {

const model::ResourceType& Type() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "Secret",
      .singular = "secret",
      .plural = "secrets",
      .singular_display_name = "Secret",
      .plural_display_name = "Secrets",
      .admin_only = true,
      .inline_spec = true,
      .in_federation_export = true,
      .global_to_zones = true,
      .writable_in_zones = true,
  });
  return type;
}

}  // namespace kuma::resources::secret

#include "resources/global_secret/global_secret.h"

#include "model/describe.h"

namespace kuma::resources::global_secret {

const model::ResourceType& Type() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "GlobalSecret",
      .singular = "globalsecret",
      .plural = "globalsecrets",
      .alt_path = "global-secrets",
      .singular_display_name = "Global Secret",
      .plural_display_name = "Global Secrets",
      .scope = model::Scope::kGlobal,
      .admin_only = true,
      .inline_spec = true,
      .in_federation_export = true,
      .global_to_zones = true,
      .writable_in_zones = true,
  });
  return type;
}

}  // namespace kuma::resources::global_secret

#include "identity/secrets.h"

#include <memory>
#include <utility>

#include "resources/global_secret/global_secret.h"
#include "resources/secret/secret.h"

namespace kuma::identity {

namespace global_secret = resources::global_secret;
namespace secret = resources::secret;

std::optional<SecretText> SecretBytesOf(const model::Resource& resource) {
  if (resource.type().kind == secret::Type().kind) {
    return SecretText(secret::RevealData(resource.Spec<secret::Spec>()));
  }
  if (resource.type().kind == global_secret::Type().kind) {
    return SecretText(global_secret::RevealData(resource.Spec<global_secret::Spec>()));
  }
  return std::nullopt;
}

std::vector<NamedSecret> NamedSecrets(std::span<const model::ResourcePtr> resources) {
  std::vector<NamedSecret> secrets;
  for (const model::ResourcePtr& resource : resources) {
    std::optional<SecretText> bytes = SecretBytesOf(*resource);
    if (bytes.has_value()) secrets.push_back({resource->name(), *std::move(bytes)});
  }
  return secrets;
}

model::ResourcePtr MakeSecret(std::string_view mesh, std::string_view name,
                              const SecretText& bytes) {
  model::Metadata meta;
  meta.mesh = mesh;
  meta.name = name;
  if (mesh.empty()) {
    return std::make_shared<const model::Resource>(
        global_secret::Type(), std::move(meta),
        std::make_shared<const global_secret::Spec>(global_secret::WithData(bytes.Reveal())));
  }
  meta.owner = model::ResourceKey{"Mesh", "", std::string(mesh)};
  return std::make_shared<const model::Resource>(
      secret::Type(), std::move(meta),
      std::make_shared<const secret::Spec>(secret::WithData(bytes.Reveal())));
}

}  // namespace kuma::identity

#pragma once

// Keys and authorities out of Secret and GlobalSecret resources.

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "identity/tokens.h"
#include "model/resource.h"

namespace kuma::identity {

// Names and bytes of the Secrets and GlobalSecrets among `resources`; others are left out. Hand
// over those of one mesh, or the GlobalSecrets: names of keys do not tell one mesh's Secret from
// another's.
std::vector<NamedSecret> NamedSecrets(std::span<const model::ResourcePtr> resources);

// The `data` of a Secret or GlobalSecret; absent for other kinds.
std::optional<SecretText> SecretBytesOf(const model::Resource& resource);

// A Secret (mesh not empty) or GlobalSecret with these bytes, ready to be stored; a Secret is owned
// by its Mesh.
model::ResourcePtr MakeSecret(std::string_view mesh, std::string_view name,
                              const SecretText& bytes);

}  // namespace kuma::identity

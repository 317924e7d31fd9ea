#pragma once

// A secret of one mesh: keys, certificates, tokens.

#include <optional>
#include <tuple>

#include "model/fields.h"
#include "model/resource_type.h"

namespace kuma::resources::secret {

struct Spec {
  std::optional<model::SecretBytes> data;
  static constexpr auto Fields() {
    return std::tuple{model::Field("data", &Spec::data, "The secret, in base64.", model::Input{})};
  }
};

const model::ResourceType& Type();

// The bytes of the secret; REQUIRES: the process may see them.
inline const std::string& RevealData(const Spec& spec) {
  static const std::string nothing;
  return spec.data ? spec.data->Reveal().value : nothing;
}
inline Spec WithData(std::string bytes) {
  return {.data = model::SecretBytes(model::Bytes{std::move(bytes)})};
}

}  // namespace kuma::resources::secret

#pragma once

#include <optional>
#include <tuple>

#include "model/fields.h"
#include "model/resource_type.h"

namespace kuma::resources::zone {

struct Spec {
  std::optional<bool> enabled;
  static constexpr auto Fields() {
    return std::tuple{model::Field(
        "enabled", &Spec::enabled,
        "false takes the zone out of synchronisation and load balancing. Default: true.",
        model::Input{})};
  }
};

const model::ResourceType& Type();

}  // namespace kuma::resources::zone

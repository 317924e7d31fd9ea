#pragma once

// What the control plane itself remembers, such as the id of the cluster. Not reachable over REST.

#include <string>
#include <tuple>

#include "model/fields.h"
#include "model/resource_type.h"

namespace kuma::resources::config {

struct Spec {
  std::string config;
  static constexpr auto Fields() {
    return std::tuple{model::Field("config", &Spec::config, "The text.", model::Input{})};
  }
};

const model::ResourceType& Type();

}  // namespace kuma::resources::config

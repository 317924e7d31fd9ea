#pragma once

// Kuma Resource Identifier: kri_<short>_<mesh>_<zone>_<namespace>_<name>_<section> (Kuma 3.0).

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/resource.h"

namespace kuma::model {

struct Kri {
  std::string short_name;
  std::string mesh;
  std::string zone;
  std::string ns;
  std::string name;  // the display name
  std::string section;
  auto operator<=>(const Kri&) const = default;
  std::string ToString() const;
  Kri WithSection(std::string_view new_section) const;
};

// Name from label kuma.io/display-name (else the name), zone and namespace from the labels.
Kri KriOf(const Resource& resource, std::string_view section = {});
base::Result<Kri> ParseKri(std::string_view text);

}  // namespace kuma::model

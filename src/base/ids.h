#pragma once

// Strong types for what could be confused.

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

#include "base/format.h"

namespace kuma::base {

// Position in the store's order of writes. 0 = before the first write.
struct Revision {
  uint64_t value = 0;
  auto operator<=>(const Revision&) const = default;
};

// One data plane proxy: the Dataplane resource that an Envoy stands for.
struct ProxyKey {
  std::string mesh;
  std::string name;
  auto operator<=>(const ProxyKey&) const = default;
  std::string ToString() const { return mesh + "/" + name; }
  // Envoy's node.id of this proxy: "<mesh>.<name>".
  std::string NodeId() const { return mesh + "." + name; }
};

}  // namespace kuma::base

template <>
struct std::hash<kuma::base::ProxyKey> {
  size_t operator()(const kuma::base::ProxyKey& key) const noexcept {
    return std::hash<std::string>()(key.mesh) * 31 + std::hash<std::string>()(key.name);
  }
};

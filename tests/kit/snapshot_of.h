#pragma once

#include "mesh/mesh_state.h"
#include "model/resource_type.h"
#include "store/store.h"

namespace kuma::kit {

// All that a store holds, as the control loop would show it, without what is derived.
inline mesh::SnapshotPtr SnapshotOf(store::Store& store, const model::TypeTable& types) {
  std::vector<mesh::Change> changes;
  for (const model::ResourceType* type : types.all()) {
    const auto listed = store.List({.kind = std::string(type->kind)});
    if (!listed.has_value()) continue;
    for (const model::ResourcePtr& item : listed->items)
      changes.push_back({item->key(), nullptr, item, {1}});
  }
  mesh::MeshState state;
  state.Apply(changes);
  return state.Freeze();
}

}  // namespace kuma::kit

#include "model/resource.h"

#include "model/resource_type.h"

namespace kuma::model {

std::string ResourceKey::ToString() const {
  return mesh.empty() ? kind + " " + name : kind + " " + mesh + "/" + name;
}

ResourceKey Resource::key() const { return {std::string(type_->kind), meta_.mesh, meta_.name}; }

bool Resource::IsSpec(const void* tag) const { return tag == type_->spec.tag; }
bool Resource::IsStatus(const void* tag) const { return tag == type_->status.tag; }

}  // namespace kuma::model

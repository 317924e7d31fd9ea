#include "resources/all.h"

namespace kuma::resources {

// A line RESOURCE(foo) of all.def stands for resources/foo/, which defines foo::Type(). One line is
// all it takes.
#define RESOURCE(name)               \
  namespace name {                   \
  const model::ResourceType& Type(); \
  }
#include "resources/all.def"
#undef RESOURCE

const std::vector<const model::ResourceType*>& AllResourceTypes() {
  static const std::vector<const model::ResourceType*> types = {
#define RESOURCE(name) &name::Type(),
#include "resources/all.def"
#undef RESOURCE
  };
  return types;
}

}  // namespace kuma::resources

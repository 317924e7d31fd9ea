#include "policies/schemas.h"

namespace kuma::policies {

// A line POLICY(foo) of all.def stands for policies/foo/, which defines foo::Schema(). One line is
// all it takes.
#define POLICY(name)                   \
  namespace name {                     \
  const model::ResourceType& Schema(); \
  }
#include "policies/all.def"
#undef POLICY

const std::vector<const model::ResourceType*>& AllPolicySchemas() {
  static const std::vector<const model::ResourceType*> schemas = {
#define POLICY(name) &name::Schema(),
#include "policies/all.def"
#undef POLICY
  };
  return schemas;
}

}  // namespace kuma::policies

#include "policies/all.h"

namespace kuma::policies {

// A line POLICY(foo) of all.def stands for policies/foo/, whose apply.cc defines foo::Policy().
#define POLICY(name)           \
  namespace name {             \
  policy::PolicyType Policy(); \
  }
#include "policies/all.def"
#undef POLICY

policy::PolicyTable AllPolicies() {
  return {
#define POLICY(name) name::Policy(),
#include "policies/all.def"
#undef POLICY
  };
}

}  // namespace kuma::policies

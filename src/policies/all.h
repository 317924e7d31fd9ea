#pragma once

#include "policy/policy_type.h"

namespace kuma::policies {

// The rows of all.def, in its order, which is that of application. Links Envoy's API: for the
// control plane only.
policy::PolicyTable AllPolicies();

}  // namespace kuma::policies

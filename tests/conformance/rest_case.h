#pragma once

// What the suites about REST answers have in common.

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/resource_type.h"
#include "model/value.h"

namespace kuma::conformance {

// Every kind of kuma-cp.
const model::TypeTable& AllKinds();

// The Universal form as it is, without validation, defaults and computed labels; an absent mesh is
// "default".
base::Result<model::ResourcePtr> ReadAsIs(const model::Value& document);

// The answer as the reference would give it: what we add on purpose is taken out (a `hint` in
// errors, the warning about a field that is unknown), the address becomes {{address}}, times the
// zero time.
std::string WithoutAdditions(std::string_view body, std::string_view address);

}  // namespace kuma::conformance

#pragma once

// Semantic validation of the inputs of the validator suites.

#include <string>

#include "model/resource_type.h"
#include "model/value.h"

namespace kuma::conformance {

// All kinds of this control plane.
const model::TypeTable& AllTypes();

// `input` is a whole resource, a spec, or (one text) a name; `name` is for specs. With
// `with_schema` what breaks the schema counts, too; otherwise the input may break it.
model::Violations ValidateInput(const model::ResourceType& type, model::Value input,
                                std::string name = "name-1", bool with_schema = false);

// In any order; a field or message that is null in `wanted` ([{field, message}] or null) fits any.
std::string ViolationDifference(const model::Violations& found, const model::Value* wanted);

}  // namespace kuma::conformance

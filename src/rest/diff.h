#pragma once

// What differs between two JSON values, field by field.

#include <optional>
#include <string>
#include <vector>

#include "model/value.h"

namespace kuma::rest {

struct FieldChange {
  std::string path;                    // "spec.to[0].default.connectionTimeout", `labels["a.b"]`
  std::optional<model::Value> before;  // absent: added
  std::optional<model::Value> after;   // absent: removed
  bool operator==(const FieldChange&) const = default;
};

// In the order of `before`, then what only `after` has. Of lists the equal beginning and end are
// left out, what lies between is compared item by item; the index is that of `after` (of removed
// items, that of `before`). A value that is there on one side only is one change, whole.
std::vector<FieldChange> Diff(const model::Value& before, const model::Value& after);

}  // namespace kuma::rest

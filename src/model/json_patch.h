#pragma once

// Applies operations of RFC 6902 to a JSON value. Pure.

#include <span>
#include <string>

#include "base/result.h"
#include "model/value.h"

namespace kuma::model {

struct JsonPatchOperation {
  enum class Op { kAdd, kRemove, kReplace, kMove, kCopy };
  Op op = Op::kAdd;
  std::string path;  // a JSON pointer
  std::string from;  // of move and copy
  Value value;       // of add and replace
};

// The operations one after the other, all or none. Beyond the RFC, as Kuma has it: an addition makes
// the objects and lists on its way, the removal of what is not there does nothing, and a negative
// index counts from the end of a list.
// Bounded, whatever the operations are: what they copy and fill up, and how deep the result is.
// kInvalid names the operation ("[2] replace /a/b: there is no /a").
base::Result<Value> ApplyJsonPatch(Value document, std::span<const JsonPatchOperation> operations);

}  // namespace kuma::model

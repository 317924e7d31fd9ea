#pragma once

#include "model/value.h"

namespace kuma::rest {

// What turns `before` into `after`, as a list of operations of RFC 6902 (test, remove, add), in the
// form that Kuma gives: a value is tested before it is removed (the removal names it, too), a
// changed value is removed and added, a list is changed in place with its neighbours tested.
// Applied one after the other they give `after`. Pure.
model::Array JsonPatch(const model::Value& before, const model::Value& after);

}  // namespace kuma::rest

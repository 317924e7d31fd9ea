#pragma once

#include <string_view>

#include "model/resource_type.h"
#include "model/value.h"

namespace kuma::rest {

// The OpenAPI 3.1 document of the REST API, made from the field tables of the kinds: GET /openapi.
// Names of operations, schemas and responses are those of Kuma's document. `base_path` is "" or
// "/kuma"; `read_only`: nothing can be written here. Pure.
model::Value OpenApiDocument(const model::TypeTable& types, std::string_view base_path,
                             bool read_only);

}  // namespace kuma::rest

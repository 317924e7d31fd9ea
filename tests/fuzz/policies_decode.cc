// Resources of every kind as a user sends them: decoding and validation never break, and what was accepted is read back
// as it was written.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "model/resource_type.h"
#include "model/value.h"
#include "policies/schemas.h"
#include "resources/all.h"

namespace {

using namespace kuma;  // NOLINT: one small program

const model::TypeTable& Types() {
  static const model::TypeTable types([] {
    std::vector<const model::ResourceType*> all = resources::AllResourceTypes();
    for (const model::ResourceType* type : policies::AllPolicySchemas()) all.push_back(type);
    return all;
  }());
  return types;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto value = model::ParseJson(text);
  if (!value.has_value()) return 0;
  const model::Decoded decoded = model::DecodeResource(*value, Types());
  if (decoded.resource == nullptr || !decoded.violations.empty()) return 0;
  model::Violations violations;
  model::Validate(*decoded.resource, violations);
  const model::Value written = model::EncodeResource(*decoded.resource);
  const model::Decoded again = model::DecodeResource(written, Types(), true);
  CHECK(again.resource != nullptr && again.violations.empty(), "what was accepted can be read");
  CHECK(model::EncodeResource(*again.resource) == written, "it is read as it was written");
  return 0;
}

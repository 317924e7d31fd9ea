// JSON: what is read comes out of ToJson and ToYaml unchanged, but that 1e3 is written as 1000.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "model/value.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace kuma::model;  // NOLINT: one small program
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto value = ParseJson(text);
  if (!value.has_value()) {
    CHECK(!value.error().message().empty(), "an error says something");
    (void)WithoutPosition(value.error().message());
    return 0;
  }
  for (const int indent : {0, 2}) {
    const auto again = ParseJson(ToJson(*value, indent));
    CHECK(again.has_value() && ToJson(*again) == ToJson(*value), "JSON is read as it was written");
  }
  CHECK(Sorted(*value) == *value, "the order of keys does not matter");
  const auto documents = ParseYaml(ToYaml(*value));
  CHECK(documents.has_value(), "our YAML can be read");
  if (!value->is_null()) {
    CHECK(documents->size() == 1 && ToJson(documents->front()) == ToJson(*value),
          "YAML is read as it was written");
  }
  return 0;
}

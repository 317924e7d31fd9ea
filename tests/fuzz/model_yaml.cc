// YAML, as users write it: no input breaks the reader, and what it reads is written and read unchanged.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "model/value.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace kuma::model;  // NOLINT: one small program
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto documents = ParseYaml(text);
  if (!documents.has_value()) {
    CHECK(!documents.error().message().empty(), "an error says something");
    return 0;
  }
  for (const Value& document : *documents) {
    const std::string written = ToJson(document);
    if (written.size() > 64 << 10) continue;  // aliases, expanded: long, and nothing new
    const auto json = ParseJson(written);
    CHECK(json.has_value(), "what YAML gives is JSON");
    const auto again = ParseYaml(ToYaml(document));
    CHECK(again.has_value(), "our YAML can be read");
    if (!document.is_null()) {
      CHECK(again->size() == 1 && ToJson(again->front()) == written,
            "YAML is read as it was written");
    }
  }
  return 0;
}

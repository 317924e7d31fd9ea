// Templates of hostnames and SPIFFE IDs.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "derive/internal/go_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace kuma;  // NOLINT: one small program
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const model::Labels labels = {{"team", "core"}, {"a.b/c", "x"}};
  const derive::TemplateFields fields{
      "hostname.meshedName", {{"DisplayName", "web"}, {"Mesh", "default"}, {"Zone", ""}}, &labels};
  const auto result = derive::ExpandTemplate(text, fields);
  if (result.has_value()) {
    CHECK(text.find("{{") != std::string_view::npos || *result == text, "text stays as it is");
    CHECK(result->size() <= 8 * text.size(), "it grows by its fields only");
  } else {
    CHECK(!result.error().message().empty(), "an error says something");
  }
  return 0;
}

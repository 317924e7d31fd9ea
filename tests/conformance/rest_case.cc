#include "tests/conformance/rest_case.h"

#include <regex>

#include "base/format.h"
#include "policies/schemas.h"
#include "resources/all.h"
#include "tests/conformance/comparison.h"

namespace kuma::conformance {
namespace {

using model::Object;
using model::Value;

void EraseAdditions(Value& value) {
  Object* object = value.if_object();
  if (object == nullptr) return;
  if (TextOf(value, "type") == "/std-errors") {
    object->Erase("hint");
    if (Value* parameters = object->Find("invalid_parameters");
        parameters != nullptr && parameters->if_array()) {
      for (Value& parameter : *parameters->if_array()) {
        if (parameter.if_object()) parameter.if_object()->Erase("hint");
      }
    }
  }
  if (Value* warnings = object->Find("warnings"); warnings != nullptr && warnings->if_array()) {
    std::erase_if(*warnings->if_array(), [](const Value& warning) {
      return TextOf(&warning).ends_with(": unknown field, ignored");
    });
    if (warnings->if_array()->empty()) object->Erase("warnings");
  }
}

}  // namespace

const model::TypeTable& AllKinds() {
  static const model::TypeTable types([] {
    std::vector<const model::ResourceType*> all = resources::AllResourceTypes();
    const auto& policies = policies::AllPolicySchemas();
    all.insert(all.end(), policies.begin(), policies.end());
    return all;
  }());
  return types;
}

base::Result<model::ResourcePtr> ReadAsIs(const Value& document) {
  const std::string kind = TextOf(document, "type");
  const model::ResourceType* type = AllKinds().Find(kind);
  if (type == nullptr) return base::Invalid(base::Format("kind not there: {}", kind));
  model::Metadata meta;
  meta.name = TextOf(document, "name");
  if (type->scope == model::Scope::kMesh) {
    meta.mesh = TextOf(document, "mesh");
    if (meta.mesh.empty()) meta.mesh = "default";
  }
  Object inlined;
  for (const auto& [key, value] : *document.if_object()) {
    if (key == "labels" && value.if_object()) {
      for (const auto& [label, text] : *value.if_object()) meta.labels[label] = TextOf(&text);
    } else if (key != "type" && key != "mesh" && key != "name" && key != "creationTime" &&
               key != "modificationTime" && key != "kri") {
      inlined.Set(key, value);
    }
  }
  const Value* spec = document.Find("spec");
  const Value* status = document.Find("status");
  return model::DecodeStored(*type, std::move(meta),
                             type->inline_spec ? Value(std::move(inlined))
                             : spec != nullptr ? *spec
                                               : Value(Object()),
                             status != nullptr ? *status : Value());
}

std::string WithoutAdditions(std::string_view body, std::string_view address) {
  std::string text(body);
  if (auto value = model::ParseJson(text); value.has_value()) {
    EraseAdditions(*value);
    text = model::ToJson(*value, 1);
  }
  for (size_t at = 0; (at = text.find(address, at)) != std::string::npos;) {
    text.replace(at, address.size(), "{{address}}");
  }
  static const std::regex kTime(R"re(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d[^"]+)re");
  return std::regex_replace(text, kTime, "0001-01-01T00:00:00Z");
}

}  // namespace kuma::conformance

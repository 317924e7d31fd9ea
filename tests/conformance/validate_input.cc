#include "tests/conformance/validate_input.h"

#include <algorithm>

#include "base/format.h"
#include "model/names.h"
#include "policies/schemas.h"
#include "resources/all.h"
#include "tests/conformance/comparison.h"

namespace kuma::conformance {
namespace {

using model::Value;

// Numbers and booleans become text where the schema wants text, as Go's YAML reader does when it
// fills a struct.
void CoerceScalars(Value& value, const Value& schema) {
  if (TextOf(schema, "type") == "string" && (value.is_number() || value.if_bool() != nullptr)) {
    value = model::ToJson(value);
  } else if (model::Object* object = value.if_object()) {
    const Value* properties = schema.Find("properties");
    const Value* additional = schema.Find("additionalProperties");
    for (auto& [key, member] : *object) {
      const Value* below = properties != nullptr ? properties->Find(key) : additional;
      if (below != nullptr) CoerceScalars(member, *below);
    }
  } else if (model::Array* array = value.if_array()) {
    if (const Value* items = schema.Find("items")) {
      for (Value& element : *array) CoerceScalars(element, *items);
    }
  }
}

bool Fits(const Value* wanted, const std::string& text) {
  return wanted == nullptr || wanted->is_null() || TextOf(wanted) == text;
}

}  // namespace

const model::TypeTable& AllTypes() {
  static const model::TypeTable table = [] {
    std::vector<const model::ResourceType*> types = resources::AllResourceTypes();
    const auto& policies = policies::AllPolicySchemas();
    types.insert(types.end(), policies.begin(), policies.end());
    return model::TypeTable(std::move(types));
  }();
  return table;
}

model::Violations ValidateInput(const model::ResourceType& type, Value input, std::string name,
                                bool with_schema) {
  model::Metadata meta{.name = std::move(name)};
  if (type.scope == model::Scope::kMesh) meta.mesh = "default";
  if (const std::string* text = input.if_string()) {
    meta.name = *text;
    input = Value();
  }
  Value spec = input;
  if (const model::Object* object = input.if_object();
      object != nullptr && object->Find("type") != nullptr && object->Find("name") != nullptr) {
    meta.name = TextOf(object->Find("name"));
    if (type.scope == model::Scope::kMesh) meta.mesh = TextOf(object->Find("mesh"));
    if (const Value* inner = object->Find("spec"); inner != nullptr && !type.inline_spec) {
      spec = *inner;
    } else {
      for (const auto head : {"type", "name", "mesh", "labels"}) spec.if_object()->Erase(head);
    }
  }
  CoerceScalars(spec, type.spec.schema());
  model::Violations of_schema;
  std::vector<std::string> unknown;
  auto body = type.spec.decode(spec, "spec", of_schema, unknown);
  if (with_schema && !of_schema.empty()) return of_schema;
  const model::Resource resource(type, meta, body);
  model::Violations out;
  model::Validate(resource, out);
  model::ValidateKindName(type, meta, false, out);
  return out;
}

std::string ViolationDifference(const model::Violations& found, const Value* wanted) {
  std::vector<const Value*> missing;
  if (wanted != nullptr && wanted->if_array() != nullptr) {
    for (const Value& entry : *wanted->if_array()) missing.push_back(&entry);
  }
  std::string difference;
  for (const model::Violation& violation : found.list()) {
    const auto at = std::find_if(missing.begin(), missing.end(), [&](const Value* entry) {
      return Fits(entry->Find("field"), violation.path) &&
             Fits(entry->Find("message"), violation.message);
    });
    if (at != missing.end())
      missing.erase(at);
    else
      difference += base::Format("+ {}: {}\n", violation.path, violation.message);
  }
  for (const Value* entry : missing) difference += base::Format("- {}\n", model::ToJson(*entry));
  return difference.empty() ? "" : "violations (- wanted, + got)\n" + difference;
}

}  // namespace kuma::conformance

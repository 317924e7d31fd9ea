// One JSON for each case, in a folder of its kind.

#include "tests/conformance/suite.h"
#include "tests/conformance/validate_input.h"

namespace kuma::conformance::validators {
namespace {

using model::Value;

std::string Check(const fs::path& file, const std::string& kind) {
  const model::ResourceType* type = AllTypes().Find(kind);
  if (type == nullptr) return "there is no kind " + kind;
  const auto test = ReadJson(file);
  if (!test.has_value()) return test.error().message();
  const auto input = model::ParseYaml(TextOf(*test, "input"));
  if (!input.has_value()) return "input: " + input.error().message();
  const model::Violations found = ValidateInput(*type, input->empty() ? Value() : input->front());
  const Value* wanted = test->Find("violations");
  const Value* valid = test->Find("valid");
  if (wanted == nullptr && (valid == nullptr || *valid == Value(false)))
    return found.empty() ? "wanted a violation: " + TextOf(*test, "error_text") : "";
  return ViolationDifference(found, wanted);
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".json", true)) {
    const std::string kind = file.parent_path().filename();
    report.Case(kind + "/" + file.stem().string(), Check(file, kind));
  }
}

}  // namespace kuma::conformance::validators

// <case>.input.yaml with <case>.output.yaml or <case>.golden.yaml, in a folder of the kind.

#include <set>

#include "tests/conformance/suite.h"
#include "tests/conformance/validate_input.h"

namespace kuma::conformance::validators_spec {
namespace {

using model::Value;

// cases.json: the name of the resource of a file.
std::string NameOf(const fs::path& folder, const std::string& stem) {
  const auto cases = ReadJson(folder / "cases.json");
  if (cases.has_value() && cases->if_array() != nullptr) {
    for (const Value& entry : *cases->if_array()) {
      if (TextOf(entry, "file") == stem && !TextOf(entry, "name").empty())
        return TextOf(entry, "name");
    }
  }
  return "name-1";
}

std::string Check(const fs::path& folder, const std::string& stem) {
  const model::ResourceType* type = AllTypes().FindBySingular(folder.filename().string());
  if (type == nullptr) return "there is no kind " + folder.filename().string();
  const auto input = ReadYaml(folder / (stem + ".input.yaml"));
  if (!input.has_value()) return input.error().message();
  Value wanted;
  for (const auto* ending : {".output.yaml", ".golden.yaml"}) {
    if (!fs::exists(folder / (stem + ending))) continue;
    const auto golden = ReadYaml(folder / (stem + ending));
    if (!golden.has_value()) return golden.error().message();
    if (!golden->empty()) wanted = golden->front();
  }
  static const std::set<std::string_view> kWithSchema = {"MeshIdentity", "MeshTrust"};
  const model::Violations found =
      ValidateInput(*type, input->empty() ? Value() : input->front(), NameOf(folder, stem),
                    kWithSchema.contains(type->kind));
  return ViolationDifference(found, wanted.Find("violations"));
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".input.yaml", true)) {
    std::string stem = file.filename().string();
    stem.resize(stem.size() - std::string_view(".input.yaml").size());
    report.Case(file.parent_path().filename().string() + "/" + stem,
                Check(file.parent_path(), stem));
  }
}

}  // namespace kuma::conformance::validators_spec

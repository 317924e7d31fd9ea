// kumactl get: lists, pages and single objects in every format.

#include "base/format.h"
#include "base/strings.h"
#include "cli/kinds.h"
#include "tests/conformance/suite.h"
#include "tests/conformance/validate_input.h"
#include "tests/kit/kumactl_stage.h"

namespace kuma::conformance::kumactl_get {
namespace {

using model::Value;

constexpr std::pair<const char*, const char*> kFormats[] = {
    {"txt", "table"}, {"json", "json"}, {"yaml", "yaml"}};

std::string Compare(const kit::KumactlStage::Outcome& outcome, const fs::path& golden) {
  const std::string difference =
      TextDifference(base::Trim(outcome.out), base::Trim(ReadText(golden)));
  return difference.empty() ? "" : difference + outcome.err;
}

// "get-meshtimeouts.golden.json" is about "meshtimeouts".
std::string TypeOf(const fs::path& golden) {
  const std::string name = base::Split(golden.filename().string(), '.').front();
  return name.starts_with("get-") ? name.substr(4) : name;
}

void CheckList(const fs::path& folder, const std::string& type, SuiteReport& report) {
  const auto file = [&](const std::string& ending) { return folder / ("get-" + type + ending); };
  kit::KumactlStage stage(&AllTypes());
  const auto applied = stage.CallServer({"apply", "-f", file(".input.yaml").string()});
  for (const auto& [ending, format] : kFormats) {
    const fs::path golden = file(base::Format(".golden.{}", ending));
    if (!fs::exists(golden)) continue;
    report.Case(
        base::Format("list/{}.{}", type, ending),
        applied.code != 0
            ? applied.err
            : Compare(stage.CallServer({"get", type, base::Format("-o{}", format)}), golden));
  }
  if (const fs::path golden = file(".pagination.golden.txt"); fs::exists(golden)) {
    report.Case(base::Format("list/{}.pagination", type),
                applied.code != 0
                    ? applied.err
                    : Compare(stage.CallServer({"get", type, "-otable", "--size", "1"}), golden));
  }
}

// The single object of the goldens stands in the list's input; where it does not, the JSON golden
// is what the server has.
void CheckOne(const fs::path& root, const std::string& type, SuiteReport& report) {
  const auto file = [&](const std::string& ending) {
    return root / "get" / ("get-" + type + ending);
  };
  const auto wanted = ReadJson(file(".golden.json"));
  const cli::Kind* kind = cli::FindKindBySingular(type);
  for (const auto& [ending, format] : kFormats) {
    const fs::path golden = file(base::Format(".golden.{}", ending));
    if (!fs::exists(golden)) continue;
    const std::string name = base::Format("get/{}.{}", type, ending);
    if (kind == nullptr) {
      report.Case(name, "there is no kind " + type);
      continue;
    }
    if (!wanted.has_value()) {
      report.Case(name, wanted.error().message());
      continue;
    }
    kit::KumactlStage stage(&AllTypes());
    for (const fs::path& input : FilesIn(root / "list", ".input.yaml")) {
      if (TypeOf(input) == kind->plural || TypeOf(input) == kind->plural_alias)
        stage.CallServer({"apply", "-f", input.string()});
    }
    const std::string object = TextOf(*wanted, "name");
    const std::vector<std::string> args = {"get", type, object, base::Format("-o{}", format)};
    if (stage.CallServer(args).code != 0) stage.server().Put(std::string(kind->plural), *wanted);
    report.Case(name, Compare(stage.CallServer(args), golden));
  }
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& input : FilesIn(folder / "list", ".input.yaml"))
    CheckList(folder / "list", TypeOf(input), report);
  for (const fs::path& golden : FilesIn(folder / "get", ".golden.json"))
    CheckOne(folder, TypeOf(golden), report);
}

}  // namespace kuma::conformance::kumactl_get

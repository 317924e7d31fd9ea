// kumactl apply to an empty store: what it prints, and what is stored then.

#include "base/strings.h"
#include "tests/conformance/suite.h"
#include "tests/conformance/validate_input.h"
#include "tests/kit/kumactl_stage.h"

namespace kuma::conformance::kumactl_apply {

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& input : FilesIn(folder, ".input.yaml")) {
    std::string stem = input.filename().string();
    stem.resize(stem.size() - std::string_view(".input.yaml").size());
    kit::KumactlStage stage(&AllTypes());
    const auto outcome = stage.CallServer({"apply", "-f", input.string()});
    const auto compare = [&](const std::string& got, const std::string& what) {
      const std::string want = ReadText(folder / (stem + ".golden." + what));
      const std::string difference = TextDifference(base::Trim(got), base::Trim(want));
      return difference.empty() ? "" : what + " " + difference;
    };
    report.Case(stem, compare(outcome.out, "stdout.txt") + compare(outcome.err, "stderr.txt") +
                          compare(stage.server().Dump(), "store.yaml"));
  }
}

}  // namespace kuma::conformance::kumactl_apply

// Envoy's configuration dump without secrets: X.json becomes golden.X.json.

#include "rest/envoy_admin.h"
#include "tests/conformance/suite.h"

namespace kuma::conformance::config_sanitize {

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& golden : FilesIn(folder, ".json")) {
    const std::string name = golden.filename().string();
    constexpr std::string_view kGolden = "golden.";
    const fs::path input = folder / name.substr(std::min(kGolden.size(), name.size()));
    // A golden without its input is half of a case that was kept apart.
    if (!name.starts_with(kGolden) || !fs::exists(input)) continue;
    const auto dump = ReadJson(input);
    const auto wanted = ReadJson(golden);
    if (!dump.has_value() || !wanted.has_value())
      report.Case(input.stem(),
                  dump.has_value() ? wanted.error().message() : dump.error().message());
    else
      report.Case(input.stem(), ValueDifference(rest::WithoutSecrets(*dump), *wanted));
  }
}

}  // namespace kuma::conformance::config_sanitize

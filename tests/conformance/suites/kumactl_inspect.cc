// kumactl inspect: recorded answers of the server and what is printed for them.

#include "base/format.h"
#include "base/strings.h"
#include "model/duration.h"
#include "tests/conformance/suite.h"
#include "tests/kit/kumactl_stage.h"

namespace kuma::conformance::kumactl_inspect {
namespace {

using model::Value;

std::string Compare(const kit::KumactlStage::Outcome& outcome, const fs::path& golden) {
  const std::string difference =
      TextDifference(base::Trim(outcome.out), base::Trim(ReadText(golden)));
  return difference.empty() ? "" : difference + outcome.err;
}

// dataplanes, meshes, zones: the JSON golden is what the server answers.
std::string CheckList(const fs::path& folder, const std::string& what, const Value& test) {
  kit::KumactlStage stage;
  // The clock of these goldens: their connections are two hours old.
  stage.set_now(*model::ParseRfc3339("2019-07-17T18:08:41Z"));
  const std::string answer = ReadText(folder / ("inspect-" + what + ".golden.json"));
  const std::string path = what == "dataplanes" ? "/meshes/default/dataplanes/_overview"
                           : what == "meshes"   ? "/mesh-insights"
                           : what == "services" ? "/meshes/default/service-insights"
                                                : base::Format("/{}/_overview", what);
  stage.server().AnswerAlways(path, answer);
  std::vector<std::string> args = {"inspect", what};
  if (const std::string format = TextOf(test, "outputFormat"); !format.empty())
    args.push_back(format);
  return Compare(stage.CallServer(args), folder / TextOf(test, "goldenFile"));
}

std::string CheckDataplane(const fs::path& folder, const Value& test) {
  kit::KumactlStage stage;
  stage.server().AnswerAlways("/meshes/default/dataplanes/backend-01/_policies",
                              ReadText(folder / TextOf(test, "serverOutput")));
  return Compare(stage.CallServer({"inspect", "dataplane", "backend-01"}),
                 folder / TextOf(test, "goldenFile"));
}

std::string CheckPolicy(const fs::path& folder, const Value& test) {
  kit::KumactlStage stage;
  stage.server().AnswerNext(200, ReadText(folder / TextOf(test, "serverResponseFile")));
  std::vector<std::string> args;
  if (const Value* words = test.Find("cmdArgs"); words != nullptr && words->if_array()) {
    for (const Value& word : *words->if_array()) args.push_back(TextOf(&word));
  }
  return Compare(stage.CallServer(args), folder / TextOf(test, "goldenFile"));
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".cases.json")) {
    const std::string what = base::Split(file.filename().string(), '.').front();
    const auto cases = ReadJson(file);
    if (!cases.has_value()) {
      report.Case(what, cases.error().message());
      continue;
    }
    for (const Value& test : *cases->if_array()) {
      const std::string name =
          base::Format("{}/{}", what, test.Find("case") ? model::ToJson(*test.Find("case")) : "");
      report.Case(name, what == "policy"      ? CheckPolicy(folder, test)
                        : what == "dataplane" ? CheckDataplane(folder, test)
                                              : CheckList(folder, what, test));
    }
  }
}

}  // namespace kuma::conformance::kumactl_inspect

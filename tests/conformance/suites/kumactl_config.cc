// kumactl config: changes of its configuration file.

#include <optional>

#include "base/format.h"
#include "base/strings.h"
#include "tests/conformance/suite.h"
#include "tests/kit/kumactl_stage.h"

namespace kuma::conformance::kumactl_config {
namespace {

using model::Value;

// The name in quotes behind `words`, as in: added Control Plane "example".
std::string NameIn(const std::string& text, const std::string& words) {
  const size_t at = text.find(words + " \"");
  if (at == std::string::npos) return "";
  const size_t begin = at + words.size() + 2;
  return text.substr(begin, text.find('"', begin) - begin);
}

// The flags that make the control plane of the golden file.
std::vector<std::string> AddFlags(const Value& golden, const std::string& name) {
  std::vector<std::string> flags;
  const Value* control_planes = golden.Find("controlPlanes");
  if (control_planes == nullptr || control_planes->if_array() == nullptr) return flags;
  for (const Value& entry : *control_planes->if_array()) {
    const Value* server = entry.At({"coordinates", "apiServer"});
    if (TextOf(entry, "name") != name || server == nullptr) continue;
    for (const auto& [key, flag] :
         {std::pair{"url", "--address"}, std::pair{"caCertFile", "--ca-cert-file"},
          std::pair{"clientCertFile", "--client-cert-file"},
          std::pair{"clientKeyFile", "--client-key-file"}, std::pair{"authType", "--auth-type"}}) {
      if (const std::string value = TextOf(*server, key); !value.empty())
        flags.insert(flags.end(), {flag, value});
    }
    if (const Value* conf = server->Find("authConf"); conf != nullptr && conf->if_object()) {
      for (const auto& [key, value] : *conf->if_object())
        flags.insert(flags.end(), {"--auth-conf", key + "=" + TextOf(&value)});
    }
  }
  return flags;
}

std::string Check(const fs::path& folder, const std::string& action, const Value& item) {
  kit::KumactlStage stage;
  const std::string file = stage.home() + "/config";
  fs::copy_file(folder / TextOf(item, "configFile"), file);
  const auto golden = ReadYaml(folder / TextOf(item, "goldenFile"));
  if (!golden.has_value()) return golden.error().message();
  const Value wanted = golden->empty() ? Value(model::Object()) : golden->front();
  const std::string said = TextOf(item, "expectedOut");
  std::string name = NameIn(said, action == "add"      ? "added Control Plane"
                                  : action == "remove" ? "removed Control Plane"
                                                       : "switched active Control Plane to");
  if (name.empty()) name = "example";
  std::vector<std::string> args = {"--config-file", file,     "config", "control-planes",
                                   action,          "--name", name};
  if (action == "add") {
    args.emplace_back("--skip-check");
    const auto flags = AddFlags(wanted, name);
    args.insert(args.end(), flags.begin(), flags.end());
    if (const Value* overwrite = item.Find("overwrite"); overwrite && *overwrite == Value(true))
      args.emplace_back("--overwrite");
  }
  if (const Value* extra = item.Find("extraArgs"); extra != nullptr && extra->if_array()) {
    for (const Value& arg : *extra->if_array()) args.push_back(TextOf(&arg));
  }
  const auto outcome = stage.Call(args);
  std::string difference = TextDifference(base::Trim(outcome.out), base::Trim(said));
  if (!difference.empty()) return difference + outcome.err;
  const auto written = ReadYaml(file);
  if (!written.has_value()) return written.error().message();
  return ValueDifference(written->empty() ? Value(model::Object()) : written->front(), wanted);
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".cases.json")) {
    const std::string action = base::Split(file.filename().string(), '.').front();
    const auto cases = ReadJson(file);
    if (!cases.has_value()) {
      report.Case(action, cases.error().message());
      continue;
    }
    for (const Value& item : *cases->if_array())
      report.Case(action + "/" + TextOf(item, "goldenFile"), Check(folder, action, item));
  }
  const std::vector<std::pair<std::string, std::vector<std::string>>> shown = {
      {"config-view", {"config", "view"}},
      {"config-control-planes-list", {"config", "control-planes", "list"}}};
  for (const auto& [stem, command] : shown) {
    if (!fs::exists(folder / (stem + ".config.yaml"))) continue;
    kit::KumactlStage stage;
    std::vector<std::string> args = {"--config-file", (folder / (stem + ".config.yaml")).string()};
    args.insert(args.end(), command.begin(), command.end());
    const std::string got = stage.Call(args).out;
    std::string difference = "there is no golden file";
    for (const fs::path& golden : FilesIn(folder, "")) {
      if (golden.filename().string().starts_with(stem + ".golden."))
        difference = TextDifference(base::Trim(got), base::Trim(ReadText(golden)));
    }
    report.Case(stem, difference);
  }
}

}  // namespace kuma::conformance::kumactl_config

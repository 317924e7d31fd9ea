// Configuration files of kuma-cp, section by section, and of kuma-dp: the defaults, files that must
// be taken, files that must be refused.

#include <algorithm>
#include <map>

#include "app/config.h"
#include "base/strings.h"
#include "dp/settings.h"
#include "tests/conformance/suite.h"

namespace kuma::conformance::config_files {
namespace {

using model::Object;
using model::Value;

// Which part of kuma-cp's configuration a folder is about.
const std::map<std::string, std::string>& Sections() {
  static const std::map<std::string, std::string> kSections = {
      {"api-server", "apiServer"},
      {"app/kuma-cp", ""},
      {"core/resources/store", "store"},
      {"diagnostics", "diagnostics"},
      {"dns-server", "dnsServer"},
      {"dp-server", "dpServer"},
      {"mads", "monitoringAssignmentServer"},
      {"multizone", "multizone"},
      {"plugins/resources/k8s", "store.kubernetes"},
      {"plugins/resources/postgres", "store.postgres"},
      {"plugins/runtime/k8s", "runtime.kubernetes"},
      {"plugins/runtime/universal", "runtime.universal"},
      {"xds", "xdsServer"},
      {"xds/bootstrap", "bootstrapServer"},
  };
  return kSections;
}

// {a: {b: value}} for "a.b".
Value Nested(const std::string& section, Value value) {
  auto steps = base::Split(section, '.');
  if (section.empty()) steps.clear();
  for (auto step = steps.rbegin(); step != steps.rend(); ++step)
    value = Object{{*step, std::move(value)}};
  return value;
}

const Value* At(const Value& value, const std::string& section) {
  const Value* found = &value;
  if (section.empty()) return found;
  for (const std::string& step : base::Split(section, '.')) {
    if (found != nullptr) found = found->Find(step);
  }
  return found;
}

// What of `wanted` is not so in `got`; what else `got` has does not matter, nor do keys that are
// ignored (files of older versions have some).
std::string Missing(const Value& got, const Value& wanted, const std::string& path,
                    const std::vector<std::string>& ignored) {
  if (wanted.if_object() == nullptr || got.if_object() == nullptr) {
    const std::string difference = ValueDifference(got, wanted);
    return difference.empty() ? "" : path + ": " + difference;
  }
  for (const auto& [key, value] : *wanted.if_object()) {
    const Value* found = got.Find(key);
    const std::string below = path.empty() ? key : path + "." + key;
    if (std::find(ignored.begin(), ignored.end(), below) != ignored.end()) continue;
    if (found == nullptr) return below + ": not taken over";
    if (auto difference = Missing(*found, value, below, ignored); !difference.empty())
      return difference;
  }
  return "";
}

base::Result<Value> FirstDocument(const fs::path& file) {
  TRY_ASSIGN(const std::vector<Value> documents, ReadYaml(file));
  return documents.empty() ? Value(Object()) : documents.front();
}

std::optional<std::string> NoVariables(const std::string&) { return std::nullopt; }

std::string CheckControlPlane(const fs::path& file, const std::string& section) {
  const std::string name = file.filename().string();
  const auto content = FirstDocument(file);
  if (name.starts_with("default-config.golden")) {
    if (!content.has_value()) return content.error().message();
    const auto config = app::Config::Load("", NoVariables);
    if (!config.has_value()) return config.error().message();
    const Value effective = config->Effective();
    const Value* got = At(effective, section);
    return got == nullptr ? "there is no section " + section : ValueDifference(*got, *content);
  }
  // A file that is no YAML is refused as it is.
  const std::string yaml =
      content.has_value() ? model::ToYaml(Nested(section, *content)) : ReadText(file);
  const auto config = app::Config::Load(yaml, NoVariables);
  if (name.starts_with("invalid")) return config.has_value() ? "taken, but it is invalid" : "";
  if (!config.has_value()) return "refused: " + config.error().message();
  const Value effective = config->Effective();
  const Value* got = At(effective, section);
  return got == nullptr ? "there is no section " + section
                        : Missing(*got, *content, section, config->unknown_keys());
}

std::string CheckDataplane(const fs::path& file) {
  const std::string name = file.filename().string();
  if (name.starts_with("default-config.golden")) {
    const auto wanted = FirstDocument(file);
    return wanted.has_value() ? ValueDifference(dp::WriteSettings({}), *wanted)
                              : wanted.error().message();
  }
  dp::Settings settings;
  const auto loaded =
      dp::LoadSettings(settings, ReadText(file), [](std::string_view) { return std::nullopt; });
  const auto violations = dp::ValidateSettings(settings);
  const std::string why = loaded.has_value() ? violations.ToString() : loaded.error().message();
  if (name.starts_with("invalid")) return why.empty() ? "taken, but it is invalid" : "";
  if (!why.empty()) return "refused: " + why;
  const auto content = FirstDocument(file);
  return content.has_value() ? Missing(dp::WriteSettings(settings), *content, "", {})
                             : content.error().message();
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".yaml", true)) {
    const std::string part = fs::relative(file.parent_path().parent_path(), folder).string();
    const std::string name = part + "/" + base::Split(file.filename().string(), '.').front();
    const auto section = Sections().find(part);
    if (part == "app/kuma-dp")
      report.Case(name, CheckDataplane(file));
    else if (section == Sections().end())
      report.Case(name, "which part of the configuration is " + part + "?");
    else
      report.Case(name, CheckControlPlane(file, section->second));
  }
}

}  // namespace kuma::conformance::config_files

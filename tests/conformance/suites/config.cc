// The published defaults of kuma-cp and kuma-dp, key by key, and that every environment variable
// that they name changes its key and nothing else.

#include "app/config.h"

#include <map>

#include "base/format.h"
#include "base/strings.h"
#include "dp/settings.h"
#include "model/duration.h"
#include "tests/conformance/suite.h"

namespace kuma::conformance::config {
namespace {

using model::Value;

// Every value that is no group: path and value. Keys may hold dots.
void Leaves(const Value& value, const std::string& path, std::map<std::string, Value>& leaves) {
  if (value.if_object() == nullptr || value.if_object()->empty()) {
    leaves[path] = value;
    return;
  }
  for (const auto& [key, member] : *value.if_object())
    Leaves(member, path.empty() ? key : path + "/" + key, leaves);
}

std::map<std::string, Value> LeavesOf(const Value& value) {
  std::map<std::string, Value> leaves;
  Leaves(value, "", leaves);
  return leaves;
}

bool Empty(const Value& value) {
  return value.is_null() || value == Value("") || value == Value(model::Array()) ||
         value == Value(model::Object());
}

// Path -> variable, from the comments "# ENV: NAME" of the file.
std::map<std::string, std::string> VariablesOf(const std::string& text) {
  std::map<std::string, std::string> variables;
  std::vector<std::pair<size_t, std::string>> above;  // indentation and key
  for (const std::string& line : base::Split(text, '\n')) {
    const size_t indent = line.find_first_not_of(' ');
    if (indent == std::string::npos || line[indent] == '#' || line[indent] == '-') continue;
    const size_t colon = line.find(':', indent);
    if (colon == std::string::npos) continue;
    while (!above.empty() && above.back().first >= indent) above.pop_back();
    above.emplace_back(indent, line.substr(indent, colon - indent));
    const size_t at = line.find("# ENV: ");
    if (at == std::string::npos) continue;
    std::vector<std::string> path;
    for (const auto& [_, key] : above) path.push_back(key);
    variables[base::Join(path, "/")] =
        std::string(base::Trim(std::string_view(line).substr(at + 7)));
  }
  return variables;
}

// Another value of the same kind, as a variable holds it.
std::string Another(const Value& value) {
  if (const bool* flag = value.if_bool()) return *flag ? "false" : "true";
  if (value.is_number()) return "7";
  if (value.if_array() != nullptr) return "x,y";
  if (value.if_object() != nullptr) return "x:y";
  return model::ParseDuration(TextOf(&value)) ? "7s" : "seven";
}

base::Result<std::map<std::string, Value>> LoadWith(const std::string& variable,
                                                    const std::string& text) {
  TRY_ASSIGN(const app::Config loaded,
             app::Config::Load("", [&](const std::string& name) -> std::optional<std::string> {
               return name == variable ? std::optional(text) : std::nullopt;
             }));
  return LeavesOf(loaded.Effective());
}

std::string CheckVariable(const std::map<std::string, Value>& defaults, const std::string& path,
                          const std::string& variable) {
  const auto at = defaults.find(path);
  if (at == defaults.end()) return "there is no key " + path;
  const auto changed = LoadWith(variable, Another(at->second));
  if (!changed.has_value()) return changed.error().message();
  bool right = false;
  for (const auto& [key, value] : *changed) {
    const auto before = defaults.find(key);
    if (before != defaults.end() && before->second == value) continue;
    if (key != path && !key.starts_with(path + "/")) return "changes " + key;
    right = true;
  }
  return right ? "" : "changes nothing";
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  if (const fs::path file = folder / "kuma-cp.defaults.yaml"; fs::exists(file)) {
    const auto wanted = ReadYaml(file);
    const auto ours = LoadWith("", "");
    if (!wanted.has_value() || !ours.has_value()) {
      report.Case("kuma-cp",
                  wanted.has_value() ? ours.error().message() : wanted.error().message());
    } else {
      for (const auto& [path, value] : LeavesOf(wanted->front())) {
        const auto found = ours->find(path);
        const bool same_nothing = found != ours->end() && Empty(value) && Empty(found->second);
        report.Case("kuma-cp/" + path, found == ours->end() ? "there is no such key"
                                       : same_nothing       ? ""
                                                      : ValueDifference(found->second, value));
      }
      for (const auto& [path, variable] : VariablesOf(ReadText(file)))
        report.Case("kuma-cp/" + variable, CheckVariable(*ours, path, variable));
    }
  }
  if (const fs::path file = folder / "kuma-dp.defaults.yaml"; fs::exists(file)) {
    const auto wanted = ReadYaml(file);
    const auto ours = LeavesOf(dp::WriteSettings({}));
    if (!wanted.has_value()) {
      report.Case("kuma-dp", wanted.error().message());
    } else {
      for (const auto& [path, value] : LeavesOf(wanted->front())) {
        const auto found = ours.find(path);
        report.Case("kuma-dp/" + path, found != ours.end() ? ValueDifference(found->second, value)
                                                           : "there is no such key");
      }
    }
  }
}

}  // namespace kuma::conformance::config

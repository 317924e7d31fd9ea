#include "tests/conformance/comparison.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::conformance {
namespace {

namespace fs = std::filesystem;
using model::Value;

constexpr size_t kShownLines = 12;
constexpr size_t kShownText = 400;

std::string Shown(const Value* value) {
  if (value == nullptr) return "nothing";
  std::string text = model::ToJson(*value);
  if (text.size() > kShownText) text = text.substr(0, kShownText) + "...";
  return text;
}

std::string Wanted(const std::string& path, const Value* got, const Value* want) {
  return base::Format("{}: want {}, got {}", path.empty() ? "(whole)" : path, Shown(want),
                      Shown(got));
}

double Number(const Value& value) {
  return value.if_int() != nullptr ? static_cast<double>(*value.if_int()) : *value.if_double();
}

std::string Compare(const std::string& path, const Value* got, const Value* want) {
  if (got == nullptr || want == nullptr) return got == want ? "" : Wanted(path, got, want);
  if (got->if_object() != nullptr && want->if_object() != nullptr) {
    const auto below = [&](const std::string& key) {
      return path.empty() ? key : path + "." + key;
    };
    for (const auto& [key, value] : *want->if_object()) {
      if (auto found = Compare(below(key), got->Find(key), &value); !found.empty()) return found;
    }
    for (const auto& [key, value] : *got->if_object()) {
      if (want->Find(key) == nullptr) return Wanted(below(key), &value, nullptr);
    }
    return "";
  }
  if (got->if_array() != nullptr && want->if_array() != nullptr) {
    const auto& a = *got->if_array();
    const auto& b = *want->if_array();
    for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
      auto found = Compare(base::Format("{}[{}]", path, i), i < a.size() ? &a[i] : nullptr,
                           i < b.size() ? &b[i] : nullptr);
      if (!found.empty()) return found;
    }
    return "";
  }
  const bool equal =
      got->is_number() && want->is_number() ? Number(*got) == Number(*want) : *got == *want;
  return equal ? "" : Wanted(path, got, want);
}

}  // namespace

fs::path SourceFolder() {
  const char* folder = std::getenv("KUMA_SOURCE_DIR");
  return folder != nullptr ? fs::path(folder) : fs::current_path();
}

fs::path VectorFolder() {
  const char* folder = std::getenv("KUMA_CONFORMANCE_DIR");
  return folder != nullptr ? fs::path(folder) : SourceFolder() / ".." / "shared" / "conformance";
}

std::string ReadText(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

base::Result<Value> ReadJson(const fs::path& path) {
  if (!fs::exists(path)) return base::NotFound(path.string() + " is absent");
  auto value = model::ParseJson(ReadText(path));
  if (!value.has_value()) return std::move(value).error().Context(path.string());
  return value;
}

base::Result<std::vector<Value>> ReadYaml(const fs::path& path) {
  if (!fs::exists(path)) return base::NotFound(path.string() + " is absent");
  auto documents = model::ParseYaml(ReadText(path));
  if (!documents.has_value()) return std::move(documents).error().Context(path.string());
  return documents;
}

std::vector<fs::path> FilesIn(const fs::path& folder, std::string_view ending, bool below) {
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  const auto add = [&](const fs::directory_entry& entry) {
    if (entry.is_regular_file() && entry.path().filename().string().ends_with(ending))
      files.push_back(entry.path());
  };
  if (below) {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) add(entry);
  } else {
    for (const auto& entry : fs::directory_iterator(folder)) add(entry);
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string TextOf(const Value* value) {
  return value != nullptr && value->if_string() != nullptr ? *value->if_string() : std::string();
}

std::string TextOf(const Value& object, std::string_view key) { return TextOf(object.Find(key)); }

std::string TextDifference(std::string_view got, std::string_view want) {
  if (got == want) return "";
  const auto got_lines = base::Split(got, '\n');
  const auto want_lines = base::Split(want, '\n');
  size_t first = 0;
  while (first < got_lines.size() && first < want_lines.size() &&
         got_lines[first] == want_lines[first])
    ++first;
  const auto from = [first](const std::vector<std::string>& lines, std::string_view sign) {
    std::string text;
    for (size_t i = first; i < lines.size() && i < first + kShownLines; ++i)
      text += base::Format("  {} {}\n", sign, lines[i]);
    if (lines.size() > first + kShownLines)
      text += base::Format("  {} ... {} lines more\n", sign, lines.size() - first - kShownLines);
    return text;
  };
  return base::Format("from line {} on (- wanted, + got)\n{}{}", first + 1, from(want_lines, "-"),
                      from(got_lines, "+"));
}

std::string ValueDifference(const Value& got, const Value& want) {
  return Compare("", &got, &want);
}

std::string YamlDifference(std::string_view got, std::string_view want) {
  auto a = model::ParseYaml(got);
  auto b = model::ParseYaml(want);
  if (!b.has_value()) return "the wanted YAML cannot be read: " + b.error().message();
  if (!a.has_value()) return "not YAML: " + a.error().message();
  if (a->size() == 1 && b->size() == 1) return ValueDifference(a->front(), b->front());
  return ValueDifference(Value(std::move(*a)), Value(std::move(*b)));
}

std::string JsonDifference(std::string_view got, std::string_view want) {
  const auto a = model::ParseJson(got);
  const auto b = model::ParseJson(want);
  if (!b.has_value()) return "the wanted JSON cannot be read: " + b.error().message();
  if (!a.has_value()) return "not JSON: " + a.error().message();
  return ValueDifference(*a, *b);
}

}  // namespace kuma::conformance

#pragma once

// Runs the published schemas against rows of kinds. Where the vectors lie:
// KUMA_CONFORMANCE_DIR, else
// ../shared/conformance beside the source folder. Without them a suite says so and passes.

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/format.h"
#include "model/describe.h"
#include "model/names.h"
#include "model/resource_type.h"
#include "model/value.h"

namespace kuma::conformance {

namespace fs = std::filesystem;
using model::Value;

inline fs::path SourceDir() {
  const char* dir = std::getenv("KUMA_SOURCE_DIR");
  return dir ? fs::path(dir) : fs::current_path();
}

inline fs::path DataDir() {
  const char* dir = std::getenv("KUMA_CONFORMANCE_DIR");
  return dir ? fs::path(dir) : SourceDir() / ".." / "shared" / "conformance";
}

// False, loudly, when the vectors are not there.
inline bool HaveData(const fs::path& path) {
  if (fs::exists(path)) return true;
  std::printf("SKIPPED: conformance data not found at %s\n", path.lexically_normal().c_str());
  return false;
}

inline std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline Value ReadJson(const fs::path& path) {
  auto value = model::ParseJson(ReadFile(path));
  if (!value.has_value()) ADD_FAILURE() << path << ": " << value.error().message();
  return value.has_value() ? *value : Value();
}

// The first document; null when there is none.
inline Value ParseOneYaml(std::string_view text, const std::string& where) {
  auto documents = model::ParseYaml(text);
  if (!documents.has_value()) {
    ADD_FAILURE() << where << ": " << documents.error().message();
    return Value();
  }
  return documents->empty() ? Value() : documents->front();
}

inline std::string TextOf(const Value* value) {
  const std::string* text = value ? value->if_string() : nullptr;
  return text ? *text : std::string();
}

// Files below a folder with this ending, in order.
inline std::vector<fs::path> FilesIn(const fs::path& dir, std::string_view ending) {
  std::vector<fs::path> files;
  if (!fs::exists(dir)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(dir))
    if (entry.is_regular_file() && entry.path().filename().string().ends_with(ending))
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

struct Tally {
  int passed = 0;
  int total = 0;
  void Print(std::string_view suite) const {
    std::printf("CONFORMANCE %.*s: %d/%d\n", static_cast<int>(suite.size()), suite.data(), passed,
                total);
  }
};

// True if `found` is what `wanted` lists, in any order; a null field or message fits anything.
inline bool SameViolations(const model::Violations& found, const Value* wanted) {
  std::vector<const Value*> open;
  if (wanted && wanted->if_array())
    for (const Value& entry : *wanted->if_array()) open.push_back(&entry);
  for (const model::Violation& violation : found.list()) {
    const auto fits = [&](const Value* entry) {
      const Value* field = entry->Find("field");
      const Value* message = entry->Find("message");
      return (!field || field->is_null() || TextOf(field) == violation.path) &&
             (!message || message->is_null() || TextOf(message) == violation.message);
    };
    const auto at = std::find_if(open.begin(), open.end(), fits);
    if (at == open.end()) return false;
    open.erase(at);
  }
  return open.empty();
}

// ---- schemas

// Every difference between a published schema and ours, as "path: what".
class SchemaComparison {
 public:
  void Compare(const std::string& path, const Value& theirs, const Value& ours) {
    CompareMember(path, theirs, ours, "type");
    CompareMember(path, theirs, ours, "default");
    CompareMember(path, theirs, ours, "format");
    CompareSets(path, theirs, ours, "enum");
    CompareSets(path, theirs, ours, "required");
    for (const auto name :
         {"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern",
          "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"})
      CompareMember(path, theirs, ours, name);
    CompareBelow(path, theirs.Find("items"), ours.Find("items"), "[]");
    CompareBelow(path, theirs.Find("additionalProperties"), ours.Find("additionalProperties"),
                 "{}");
    const Value* a = theirs.Find("properties");
    const Value* b = ours.Find("properties");
    if (a && a->if_object())
      for (const auto& [name, schema] : *a->if_object()) {
        const Value* found = b ? b->Find(name) : nullptr;
        if (found)
          Compare(model::JoinPath(path, name), schema, *found);
        else
          differences_.push_back(model::JoinPath(path, name) + ": missing");
        ++properties_;
      }
    if (b && b->if_object())
      for (const auto& [name, schema] : *b->if_object())
        if (!a || !a->Find(name))
          differences_.push_back(model::JoinPath(path, name) + ": not in the published schema");
  }
  const std::vector<std::string>& differences() const { return differences_; }
  int properties() const { return properties_; }

 private:
  static std::string Show(const Value* value) {
    return value ? model::ToJson(model::Sorted(*value)) : "absent";
  }
  void CompareMember(const std::string& path, const Value& theirs, const Value& ours,
                     std::string_view name) {
    if (Show(theirs.Find(name)) != Show(ours.Find(name)))
      differences_.push_back(base::Format("{}: {} is {}, ours {}", path, name,
                                          Show(theirs.Find(name)), Show(ours.Find(name))));
  }
  static std::set<std::string> Set(const Value* value) {
    std::set<std::string> set;
    if (value && value->if_array())
      for (const Value& entry : *value->if_array()) set.insert(model::ToJson(entry));
    return set;
  }
  void CompareSets(const std::string& path, const Value& theirs, const Value& ours,
                   std::string_view name) {
    if (Set(theirs.Find(name)) != Set(ours.Find(name)))
      differences_.push_back(base::Format("{}: {} is {}, ours {}", path, name,
                                          Show(theirs.Find(name)), Show(ours.Find(name))));
  }
  void CompareBelow(const std::string& path, const Value* theirs, const Value* ours,
                    std::string_view step) {
    if (theirs && ours) Compare(path + std::string(step), *theirs, *ours);
    if ((theirs == nullptr) != (ours == nullptr))
      differences_.push_back(
          base::Format("{}{}: {}", path, step, theirs ? "missing" : "not in the published schema"));
  }
  std::vector<std::string> differences_;
  int properties_ = 0;
};

// Known differences with their reasons: tests/conformance/schema_differences.yaml, {kind:
// {difference: reason}}.
inline std::map<std::string, std::string> KnownDifferences(std::string_view kind) {
  std::map<std::string, std::string> known;
  const fs::path file = SourceDir() / "tests" / "conformance" / "schema_differences.yaml";
  const Value all = ParseOneYaml(ReadFile(file), file.string());
  if (const Value* mine = all.Find(kind); mine && mine->if_object())
    for (const auto& [difference, reason] : *mine->if_object()) known[difference] = TextOf(&reason);
  return known;
}

// schemas/crd: spec and status of each kind that has its exact schema there.
inline Tally RunCrdSchemas(const std::vector<const model::ResourceType*>& types) {
  Tally tally;
  const fs::path root = DataDir() / "schemas" / "crd";
  if (!HaveData(root)) return tally;
  for (const model::ResourceType* type : types) {
    const fs::path file = root / ("kuma.io_" + std::string(type->plural) + ".yaml");
    if (type->inline_spec || !fs::exists(file)) continue;
    const Value crd = ParseOneYaml(ReadFile(file), file.string());
    const Value* properties =
        crd.At({"spec", "versions", "0", "schema", "openAPIV3Schema", "properties"});
    if (!properties || !properties->Find("spec")) {
      ADD_FAILURE() << file << " has no schema";
      continue;
    }
    SchemaComparison comparison;
    comparison.Compare("spec", *properties->Find("spec"), type->spec.schema());
    if (const Value* status = properties->Find("status"); status && type->status.schema)
      comparison.Compare("status", *status, type->status.schema());
    else if ((status != nullptr) != (type->status.schema != nullptr))
      ADD_FAILURE() << type->kind << ": only one of the two schemas has a status";
    auto known = KnownDifferences(type->kind);
    int unexplained = 0;
    for (const std::string& difference : comparison.differences()) {
      if (known.erase(difference) == 1) continue;
      ++unexplained;
      ADD_FAILURE() << type->kind << ": " << difference;
    }
    for (const auto& [difference, reason] : known)
      ADD_FAILURE() << type->kind
                    << ": listed in schema_differences.yaml, but not so: " << difference;
    tally.total += comparison.properties();
    tally.passed += comparison.properties() - unexplained;
  }
  return tally;
}

// schemas/proto-json: names of all members of the kinds defined by protobuf messages.
inline void CompareProto(const Value& definitions, const Value& theirs, const Value& ours,
                         const std::string& path, Tally& tally) {
  const std::string ref = TextOf(theirs.Find("$ref"));
  if (!ref.empty()) {
    const Value* target = definitions.Find(ref.substr(std::string("#/definitions/").size()));
    if (target) CompareProto(definitions, *target, ours, path, tally);
    return;
  }
  if (const Value* items = theirs.Find("items")) {
    ASSERT_NE(ours.Find("items"), nullptr) << path;
    CompareProto(definitions, *items, *ours.Find("items"), path + "[]", tally);
  }
  const Value* properties = theirs.Find("properties");
  if (!properties) return;
  std::set<std::string> names;
  for (const auto& [name, schema] : *properties->if_object()) {
    std::string camel;
    for (size_t i = 0; i < name.size(); ++i) {
      const bool capital = name[i] == '_' && i + 1 < name.size();
      camel += capital ? static_cast<char>(std::toupper(name[++i])) : name[i];
    }
    names.insert(camel);
    ++tally.total;
    const Value* found = ours.At({"properties", camel});
    if (!found) {
      ADD_FAILURE() << path << "." << camel << ": missing";
      continue;
    }
    ++tally.passed;
    CompareProto(definitions, schema, *found, path + "." + camel, tally);
  }
  const Value* mine = ours.Find("properties");
  if (!mine) return;
  for (const auto& [name, schema] : *mine->if_object()) {
    EXPECT_TRUE(names.contains(name)) << path << "." << name << ": not in the published schema";
  }
}

inline Tally RunProtoSchemas(const std::vector<const model::ResourceType*>& types) {
  Tally tally;
  const fs::path root = DataDir() / "schemas" / "proto-json";
  if (!HaveData(root)) return tally;
  for (const model::ResourceType* type : types) {
    const fs::path file = root / (std::string(type->kind) + ".json");
    if (!type->inline_spec || !fs::exists(file)) continue;
    const Value document = ReadJson(file);
    CompareProto(*document.Find("definitions"), document, type->spec.schema(),
                 std::string(type->kind), tally);
  }
  return tally;
}

}  // namespace kuma::conformance

#pragma once

// Recorded meshes (conformance/scenarios) as resources in memory, and how their recordings are
// compared.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/strings.h"
#include "mesh/mesh_state.h"
#include "model/labels.h"
#include "model/value.h"
#include "policies/schemas.h"
#include "resources/all.h"

namespace kuma {

using model::Array;
using model::Object;
using model::Value;
namespace fs = std::filesystem;

inline fs::path ScenarioFolder() {
  fs::path root;
  if (const char* folder = std::getenv("KUMA_CONFORMANCE_DIR")) {
    root = folder;
  } else {
    const char* source = std::getenv("KUMA_SOURCE_DIR");
    root = fs::path(source == nullptr ? "." : source) / ".." / "shared" / "conformance";
  }
  return root / "scenarios";
}

inline std::string Read(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline Value ReadJson(const fs::path& path) {
  auto value = model::ParseJson(Read(path));
  EXPECT_TRUE(value.has_value()) << path;
  return value.has_value() ? *std::move(value) : Value();
}

inline const model::TypeTable& Types() {
  static const model::TypeTable types = [] {
    std::vector<const model::ResourceType*> all = resources::AllResourceTypes();
    const auto& schemas = policies::AllPolicySchemas();
    all.insert(all.end(), schemas.begin(), schemas.end());
    return model::TypeTable(std::move(all));
  }();
  return types;
}

inline std::string Text(const Value& value, std::string_view key) {
  const Value* member = value.Find(key);
  return member != nullptr && member->if_string() != nullptr ? *member->if_string() : std::string();
}

// Virtual addresses are recorded as "VIP(MeshService/backend)": each text stands for an address here.
inline std::map<std::string, std::string>& Vips() {
  static std::map<std::string, std::string> addresses;
  return addresses;
}
inline std::string WithAddresses(std::string text) {
  for (size_t at = text.find("VIP("); at != std::string::npos; at = text.find("VIP(", at)) {
    const std::string name = text.substr(at, text.find(')', at) + 1 - at);
    const auto [found, is_new] = Vips().try_emplace(name);
    if (is_new) found->second = "241.0.0." + std::to_string(Vips().size());
    text.replace(at, name.size(), found->second);
  }
  return text;
}
// And back; also in their IPv6 form. Digests become one word.
inline std::string Masked(std::string text) {
  static const std::regex kMapped("::ffff:f100:([0-9a-f]+)");
  static const std::regex kDigest("\\b[0-9a-f]{64}\\b");
  for (std::smatch match; std::regex_search(text, match, kMapped);) {
    const std::string last = std::to_string(std::stoi(match[1], nullptr, 16));
    text = match.prefix().str() + "::ffff:241.0.0." + last + match.suffix().str();
  }
  for (const auto& [name, address] : Vips()) {
    // Whole addresses only: 241.0.0.1 is the beginning of 241.0.0.12.
    text = std::regex_replace(text, std::regex("\\b" + address + "\\b"), name);
  }
  return std::regex_replace(text, kDigest, "SHA256");
}

// The resources of a scenario as they were stored: what was written, or, where there is a listing,
// what was read back (with computed labels and what the control plane made by itself).
class Scenario {
 public:
  explicit Scenario(fs::path folder) : folder_(std::move(folder)) {
    const auto written = model::ParseYaml(Read(folder_ / "resources.yaml"));
    EXPECT_TRUE(written.has_value()) << folder_;
    for (const Value& document : *written) Put(document);
    for (const auto& entry : fs::directory_iterator(folder_ / "capture")) {
      if (entry.path().filename() != "lists") continue;
      for (const auto& list : fs::directory_iterator(entry.path())) PutItems(ReadJson(list.path()));
    }
    const Value overview = ReadJson(folder_ / "capture" / "dataplanes-overview.json");
    for (const Value& item : *overview.Find("items")->if_array()) {
      Object merged = *item.Find("dataplane")->if_object();
      for (const char* key : {"name", "mesh", "labels"}) merged.Set(key, *item.Find(key));
      merged.Set("type", "Dataplane");
      Put(merged);
    }
  }

  // Kinds that this build does not know yet.
  const std::set<std::string>& unknown_kinds() const { return unknown_; }

  mesh::SnapshotPtr Snapshot() const {
    mesh::MeshState state;
    std::vector<mesh::Change> changes;
    for (const auto& [key, resource] : resources_) changes.push_back({key, nullptr, resource, {1}});
    state.Apply(changes);
    return state.Freeze();
  }

  std::vector<std::string> Proxies() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_ / "capture" / "proxies"))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string Mesh() const {
    for (const auto& [key, resource] : resources_) {
      if (key.kind == "Mesh") return key.name;
    }
    return {};
  }
  bool Rejects(const std::string& proxy) const {
    if (!fs::exists(folder_ / "scenario.yaml")) return false;
    const auto documents = model::ParseYaml(Read(folder_ / "scenario.yaml"));
    return documents.has_value() && (*documents)[0].At({"proxies", proxy, "nack"}) != nullptr;
  }
  fs::path Capture(const std::string& proxy) const {
    return folder_ / "capture" / "proxies" / proxy;
  }

 private:
  void PutItems(const Value& list) {
    const Value* items = list.Find("items");
    if (items == nullptr || items->if_array() == nullptr) return;
    for (const Value& item : *items->if_array()) {
      const auto stored = model::ParseJson(WithAddresses(model::ToJson(item)));
      ASSERT_TRUE(stored.has_value());
      Put(*stored);
    }
  }

  void Put(Value document) {
    const std::string kind = Text(document, "type");
    if (Types().Find(kind) == nullptr) {
      unknown_.insert(kind);
      return;
    }
    for (const char* key : {"creationTime", "modificationTime", "kri"})
      document.if_object()->Erase(key);
    // Of statuses only what configuration may read.
    const bool with_status = kind == "MeshService";
    if (!with_status) document.if_object()->Erase("status");
    const model::Decoded decoded = model::DecodeResource(document, Types(), with_status);
    ASSERT_NE(decoded.resource, nullptr)
        << folder_ << " " << kind << " " << decoded.violations.ToString();
    model::Metadata meta = decoded.resource->meta();
    meta.labels = model::ComputeLabels(decoded.resource->type(), meta, {});
    const auto resource =
        std::make_shared<model::Resource>(decoded.resource->type(), std::move(meta),
                                          decoded.resource->spec(), decoded.resource->status());
    resources_[resource->key()] = resource;
  }

  fs::path folder_;
  std::map<model::ResourceKey, model::ResourcePtr> resources_;
  std::set<std::string> unknown_;
};

// As the recordings were normalised.
inline void Normalise(Value& value, std::string_view key = {}) {
  if (key == "maxDirectResponseBodySizeBytes") {
    value = "MASKED";
  } else if (Object* object = value.if_object()) {
    for (auto& [name, member] : *object) Normalise(member, name);
    object->SortKeys();
  } else if (Array* list = value.if_array()) {
    for (Value& element : *list) Normalise(element, key);
  } else if (const std::string* text = value.if_string()) {
    if ((key == "inlineBytes" || key == "data") && text->size() > 60) {
      const auto bytes = base::DecodeBase64(*text);
      value = bytes && bytes->find("-----BEGIN") != std::string::npos ? "PEM" : "BYTES";
    } else if (text->size() > 1 && (*text)[0] == '{' && text->back() == '}') {
      auto document = model::ParseJson(*text);
      if (!document.has_value()) return;
      Normalise(*document);
      value = Object{{"@json", *std::move(document)}};
    } else {
      value = Masked(*text);
    }
  } else if (const double* number = value.if_double(); number != nullptr) {
    value = *number;
  } else if (const int64_t* integer = value.if_int()) {
    value = static_cast<double>(*integer);
  }
}

// The first differences, as paths.
inline void Differences(const Value& expected, const Value& actual, const std::string& path,
                        std::vector<std::string>& out) {
  if (expected == actual || out.size() > 12) return;
  const Object* a = expected.if_object();
  const Object* b = actual.if_object();
  if (a != nullptr && b != nullptr) {
    for (const auto& [key, member] : *a) {
      const Value* other = b->Find(key);
      if (other == nullptr) {
        out.push_back(path + "/" + key + ": missing, expected " + model::ToJson(member));
      } else {
        Differences(member, *other, path + "/" + key, out);
      }
    }
    for (const auto& [key, member] : *b) {
      if (a->Find(key) == nullptr)
        out.push_back(path + "/" + key + ": not expected: " + model::ToJson(member));
    }
    return;
  }
  const Array* x = expected.if_array();
  const Array* y = actual.if_array();
  if (x != nullptr && y != nullptr && x->size() == y->size()) {
    for (size_t i = 0; i < x->size(); ++i)
      Differences((*x)[i], (*y)[i], path + "/" + std::to_string(i), out);
    return;
  }
  out.push_back(path + ": " + model::ToJson(actual) + ", expected " + model::ToJson(expected));
}

// What is generated completely so far.
inline std::vector<std::string> CompleteScenarios() {
  const std::set<std::string> numbers = {"01", "02", "12", "14", "15", "18", "20", "22", "24", "32",
                                         "33", "39", "40", "44", "45", "47", "48", "49", "50", "52",
                                         "53", "54", "55", "56", "57", "67", "68", "70", "72"};
  std::vector<std::string> names;
  const bool all = std::getenv("KUMA_ALL_SCENARIOS") != nullptr;
  if (!fs::exists(ScenarioFolder())) {
    std::cout << "SKIPPED: " << ScenarioFolder() << " is absent\n";
    return names;
  }
  for (const auto& entry : fs::directory_iterator(ScenarioFolder())) {
    const std::string name = entry.path().filename();
    if (entry.is_directory() && (all || numbers.contains(name.substr(0, 2)))) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace kuma

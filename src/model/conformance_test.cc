#include "tests/conformance/schema_suite.h"

#include "model/labels.h"
#include "model/sni.h"

namespace kuma::model {
namespace {

using conformance::DataDir;
using conformance::HaveData;
using conformance::ReadJson;
using conformance::Tally;
using conformance::TextOf;

TEST(Conformance, HashedNames) {
  const auto path = DataDir() / "golden" / "hash-names" / "vectors.json";
  if (!HaveData(path)) return;
  Tally tally;
  const Value all = ReadJson(path);
  for (const Value& vector : *all.if_array()) {
    ++tally.total;
    const std::string name =
        HashedName(TextOf(vector.Find("mesh")), TextOf(vector.Find("display_name")),
                   TextOf(vector.Find("zone")), TextOf(vector.Find("namespace")));
    EXPECT_EQ(name, TextOf(vector.Find("expected")));
    tally.passed += name == TextOf(vector.Find("expected"));
  }
  tally.Print("hash-names");
}

bool IsUnconverted(const Value* value) { return value && value->Find("unconverted"); }

TEST(Conformance, Snis) {
  const auto path = DataDir() / "golden" / "sni" / "sni.cases.json";
  if (!HaveData(path)) return;
  const std::map<std::string, std::string> short_names = {{"MeshService", "msvc"},
                                                          {"MeshExternalService", "extsvc"},
                                                          {"MeshMultiZoneService", "mzsvc"}};
  Tally tally;
  const Value all = ReadJson(path);
  for (const Value& test : *all.if_array()) {
    const Value* id = test.Find("id");
    if (!id || !id->if_object() || IsUnconverted(id) || IsUnconverted(test.Find("expected")))
      continue;
    bool converted = true;
    for (const auto& [key, value] : *id->if_object())
      converted = converted && !IsUnconverted(&value);
    if (!converted) continue;
    Kri kri;
    const auto short_name = short_names.find(TextOf(id->Find("ResourceType")));
    if (short_name != short_names.end()) kri.short_name = short_name->second;
    kri.mesh = TextOf(id->Find("Mesh"));
    kri.zone = TextOf(id->Find("Zone"));
    kri.ns = TextOf(id->Find("Namespace"));
    kri.name = TextOf(id->Find("Name"));
    kri.section = TextOf(id->Find("SectionName"));
    ++tally.total;
    const auto sni = SniOf(kri);
    if (const Value* wanted = test.Find("expected"); wanted && wanted->if_string()) {
      EXPECT_TRUE(sni.has_value() && *sni == *wanted->if_string())
          << ToJson(test) << (sni.has_value() ? *sni : sni.error().message());
      tally.passed += sni.has_value() && *sni == *wanted->if_string();
    } else {
      EXPECT_FALSE(sni.has_value()) << ToJson(test);
      tally.passed += !sni.has_value();
    }
  }
  tally.Print("sni");
}

// golden/multizone-label-validation: answers of the Universal control planes about labels. Kinds by
// what matters here.
TEST(Conformance, Labels) {
  const auto root = DataDir() / "golden" / "multizone-label-validation";
  if (!HaveData(root)) return;
  ResourceType policy{
      .kind = "MeshTimeout", .is_policy = true, .global_to_zones = true, .zone_to_global = true};
  ResourceType service{
      .kind = "MeshExternalService", .global_to_zones = true, .zone_to_global = true};
  const ControlPlane zone{.zone = "kuma-4", .federated = true};
  const ControlPlane global{.mode = ControlPlane::Mode::kGlobal};
  Tally tally;
  for (const auto& file : conformance::FilesIn(root, ".input.yaml")) {
    const std::string name = file.filename().string();
    const bool is_zone = name.starts_with("zone-uni.");
    if (!is_zone && !name.starts_with("global.")) continue;
    std::string golden_path = file.string();
    golden_path.replace(golden_path.size() - std::string("input.yaml").size(), std::string::npos,
                        "golden.yaml");
    const std::string golden = conformance::ReadFile(golden_path);
    const Value input = conformance::ParseOneYaml(conformance::ReadFile(file), name);
    Metadata meta{.mesh = TextOf(input.Find("mesh")), .name = TextOf(input.Find("name"))};
    if (const Value* labels = input.Find("labels"); labels && labels->if_object())
      for (const auto& [key, value] : *labels->if_object()) meta.labels[key] = TextOf(&value);
    const ResourceType& type = TextOf(input.Find("type")) == "MeshTimeout" ? policy : service;
    Violations found;
    CheckLabels(type, meta, nullptr, is_zone ? zone : global, found);
    ValidateMetadata(type, meta, true, found);
    const size_t body = golden.find('{');
    const auto answer = ParseJson(golden.substr(body));
    ASSERT_TRUE(answer.has_value()) << golden_path;
    Array wanted;
    if (const Value* list = answer->Find("invalid_parameters"))
      for (const Value& entry : *list->if_array())
        wanted.push_back(
            Object{{"field", *entry.Find("field")}, {"message", *entry.Find("reason")}});
    const Value wanted_list(wanted);
    ++tally.total;
    const bool right = conformance::SameViolations(found, &wanted_list);
    EXPECT_TRUE(right) << name << "\nfound: " << found.ToString()
                       << "\nwanted: " << ToJson(wanted_list);
    tally.passed += right;
  }
  tally.Print("multizone-label-validation (labels)");
}

}  // namespace
}  // namespace kuma::model

#include "tests/conformance/schema_suite.h"

#include "model/labels.h"
#include "policies/default_policies.h"
#include "policies/schemas.h"
#include "resources/all.h"

namespace kuma::policies {
namespace {

using model::Value;

TEST(Conformance, CrdSchemas) {
  conformance::RunCrdSchemas(AllPolicySchemas()).Print("crd schemas (policies)");
}

// The default policies of a mesh as a running Kuma made them.
void CompareWithRecorded(const std::string& file, const model::ControlPlane& here,
                         conformance::Tally& tally) {
  const auto path = conformance::DataDir() / "golden" / "recorded" / file;
  if (!conformance::HaveData(path)) return;
  std::map<std::string, Value> recorded;
  const Value all = conformance::ReadJson(path);
  for (const Value& resource : *all.if_array())
    for (const model::ResourceType* type : AllPolicySchemas())
      if (conformance::TextOf(resource.Find("type")) == type->kind)
        recorded[conformance::TextOf(resource.Find("name"))] = resource;
  const auto ours = DefaultPolicies("default");
  EXPECT_EQ(ours.size(), recorded.size());
  for (const auto& policy : ours) {
    ++tally.total;
    model::Metadata meta = policy->meta();
    meta.labels = model::ComputeLabels(policy->type(), meta, here);
    Value encoded = model::EncodeResource(model::Resource(policy->type(), meta, policy->spec()));
    encoded.if_object()->Erase("creationTime");
    encoded.if_object()->Erase("modificationTime");
    if (encoded == recorded[meta.name])
      ++tally.passed;
    else
      ADD_FAILURE() << model::ToJson(encoded, 1)
                    << "\nrecorded: " << model::ToJson(recorded[meta.name], 1);
  }
}

TEST(Conformance, RecordedDefaults) {
  conformance::Tally tally;
  CompareWithRecorded("defaults-zone.json", {}, tally);
  CompareWithRecorded("defaults-global.json", {.mode = model::ControlPlane::Mode::kGlobal}, tally);
  tally.Print("recorded defaults (policies)");
}

// What a running Kuma gave back for what was written to it: specs of our kinds, byte for byte but
// for what the control plane itself adds to a MeshService.
TEST(Conformance, RecordedSpecs) {
  const auto root = conformance::DataDir() / "scenarios";
  if (!conformance::HaveData(root)) return;
  auto rows = resources::AllResourceTypes();
  rows.insert(rows.end(), AllPolicySchemas().begin(), AllPolicySchemas().end());
  const model::TypeTable types(rows);
  conformance::Tally tally;
  for (const auto& file : conformance::FilesIn(root, "resources.yaml")) {
    const auto documents = model::ParseYaml(conformance::ReadFile(file));
    ASSERT_TRUE(documents.has_value()) << file;
    for (const Value& document : *documents) {
      const model::ResourceType* type = types.Find(conformance::TextOf(document.Find("type")));
      if (type == nullptr) continue;
      const std::string name = conformance::TextOf(document.Find("name"));
      const model::Decoded decoded = model::DecodeResource(document, types);
      EXPECT_NE(decoded.resource, nullptr)
          << file << " " << name << ": " << decoded.violations.ToString() << decoded.unreadable;
      const auto list =
          file.parent_path() / "capture" / "lists" / (std::string(type->plural) + ".json");
      if (!decoded.resource || type->inline_spec || !std::filesystem::exists(list)) continue;
      const Value recorded = conformance::ReadJson(list);
      for (const Value& item : *recorded.Find("items")->if_array()) {
        if (conformance::TextOf(item.Find("name")) != name ||
            conformance::TextOf(item.Find("mesh")) != decoded.resource->mesh())
          continue;
        Value wanted = *item.Find("spec");
        Value found = type->spec.encode(decoded.resource->spec().get());
        for (const auto added : {"state", "identities"}) {
          wanted.if_object()->Erase(added);
          found.if_object()->Erase(added);
        }
        ++tally.total;
        tally.passed += found == wanted;
        EXPECT_EQ(model::ToJson(model::Sorted(found)), model::ToJson(model::Sorted(wanted)))
            << file << " " << name;
      }
    }
  }
  tally.Print("recorded specs");
}

}  // namespace
}  // namespace kuma::policies

#include "tests/conformance/schema_suite.h"

#include "model/labels.h"
#include "policies/default_policies.h"
#include "policies/schemas.h"

namespace kuma::policies {
namespace {

using model::Value;

TEST(Conformance, Validators) {
  conformance::RunValidators(AllPolicySchemas()).Print("validators (policies)");
}
TEST(Conformance, ValidatorsSpec) {
  conformance::RunValidatorsSpec(AllPolicySchemas()).Print("validators-spec (policies)");
}
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

}  // namespace
}  // namespace kuma::policies

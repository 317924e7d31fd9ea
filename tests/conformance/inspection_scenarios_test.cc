// Recorded meshes (conformance/scenarios): resources in, what inspection says of each proxy and
// policy out, compared with what Kuma 3.0 said.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "base/strings.h"
#include "generate/generate.h"
#include "generate/reach.h"
#include "model/kri.h"
#include "policies/all.h"
#include "policy/view.h"
#include "rest/inspection.h"
#include "rest/json_patch.h"
#include "tests/conformance/recorded_mesh.h"

namespace kuma {
namespace {

const generate::Generator& TheInspector() {
  static const generate::Generator generator = [] {
    generate::Settings settings;
    settings.admin.epoch = [](std::string_view) { return int64_t{0}; };
    settings.admin.certificate = [](std::string_view,
                                    int64_t) -> base::Result<generate::AdminPair> {
      return generate::AdminPair{};
    };
    return generate::Generator(policies::AllPolicies(), std::move(settings));
  }();
  return generator;
}

// Lists whose order says nothing.
void SortSets(Value& value, std::string_view key = {}) {
  if (Object* object = value.if_object()) {
    for (auto& [name, member] : *object) SortSets(member, name);
  } else if (Array* list = value.if_array()) {
    for (Value& element : *list) SortSets(element);
    if (key == "toResourceRules") {
      std::sort(list->begin(), list->end(), [](const Value& a, const Value& b) {
        return model::ToJson(model::Sorted(a)) < model::ToJson(model::Sorted(b));
      });
    }
  }
}

class InspectionTest : public testing::TestWithParam<std::string> {
 protected:
  void Expect(const fs::path& recording, Value actual) {
    if (!fs::exists(recording)) return;
    Value expected = ReadJson(recording);
    for (Value* value : {&expected, &actual}) {
      Normalise(*value);
      SortSets(*value);
    }
    std::vector<std::string> differences;
    Differences(expected, actual, "", differences);
    EXPECT_TRUE(differences.empty()) << recording << ":\n  " << base::Join(differences, "\n  ");
    ++compared_;
  }
  int compared_ = 0;
};

TEST_P(InspectionTest, EqualsTheRecording) {
  const Scenario scenario(ScenarioFolder() / GetParam());
  const mesh::SnapshotPtr snapshot = scenario.Snapshot();
  const mesh::MeshSnapshot* mesh = snapshot->Mesh(scenario.Mesh());
  ASSERT_NE(mesh, nullptr);
  const policy::PolicyTable& policies = TheInspector().policies();

  for (const std::string& name : scenario.Proxies()) {
    const fs::path capture = scenario.Capture(name);
    const model::ResourcePtr dataplane = mesh->Find("Dataplane", name);
    ASSERT_NE(dataplane, nullptr) << name;
    const rest::Subject subject{*mesh, *dataplane, policies};
    Expect(capture / "rules.json", rest::RulesOf(subject));
    Expect(capture / "policies.json", rest::ProxyPoliciesOf(subject));
    const Value layout = rest::LayoutOf(subject);
    Expect(capture / "layout.json", layout);
    for (const Value& inbound : *layout.Find("inbounds")->if_array()) {
      const auto kri = model::ParseKri(Text(inbound, "kri"));
      const auto policies_of = rest::InboundPoliciesOf(subject, kri->section);
      ASSERT_TRUE(policies_of.has_value());
      Expect(capture / "inbounds" / (Text(inbound, "kri") + ".policies.json"), *policies_of);
    }
    for (const Value& outbound : *layout.Find("outbounds")->if_array()) {
      const std::string text = Text(outbound, "kri");
      const auto found = generate::FindOutbound(*mesh, *model::ParseKri(text));
      ASSERT_TRUE(found.has_value()) << text;
      const fs::path folder = capture / "outbounds";
      Expect(folder / (text + ".policies.json"), rest::OutboundPoliciesOf(subject, *found));
      const Value routes = rest::RoutesOf(subject, *found);
      Expect(folder / (text + ".routes.json"), routes);
    }
    // What a proxy has after it rejected a response is another matter.
    if (!fs::exists(capture / "bootstrap.json") || scenario.Rejects(name)) continue;
    const Value bootstrap = ReadJson(capture / "bootstrap.json");
    const auto node =
        generate::ParseProxyNode(model::ToJson(*bootstrap.At({"bootstrap", "node", "metadata"})));
    ASSERT_TRUE(node.has_value());
    const base::ProxyKey proxy{scenario.Mesh(), name};
    const auto config =
        rest::EnvoyConfigOf(TheInspector(), *snapshot, proxy, *node, policy::Shadow::kIgnore);
    ASSERT_TRUE(config.has_value()) << config.error().message();
    Expect(capture / "config.json", Object{{"xds", *config}});
  }

  for (const policy::PolicyType& type : policies) {
    mesh->Of(type.kind()).ForEach([&](const std::string& name, const model::ResourcePtr& policy) {
      Array items;
      mesh->Of("Dataplane").ForEach([&](const std::string&, const model::ResourcePtr& dataplane) {
        if (policy::Selects(type, *policy, *dataplane)) items.push_back(rest::MetaOf(*dataplane));
      });
      const auto total = static_cast<uint64_t>(items.size());
      Expect(ScenarioFolder() / GetParam() / "capture" / "policy-dataplanes" /
                 (std::string(type.kind()) + "-" + name + ".json"),
             Object{{"items", std::move(items)}, {"total", total}});
    });
  }
  EXPECT_GT(compared_, 4);
}

// The differences that shadow policies make, of every recording that has them, whatever its kinds.
TEST(ShadowTest, DifferencesAreAsRecorded) {
  if (!fs::exists(ScenarioFolder())) return;
  for (const auto& entry : fs::recursive_directory_iterator(ScenarioFolder())) {
    if (entry.path().filename() != "config_shadow.json") continue;
    const Value without = ReadJson(entry.path().parent_path() / "config.json");
    const Value with = ReadJson(entry.path());
    Value expected = *with.Find("diff");
    Value actual = rest::JsonPatch(*without.Find("xds"), *with.Find("xds"));
    Normalise(expected);
    Normalise(actual);
    std::vector<std::string> differences;
    Differences(expected, actual, "", differences);
    EXPECT_TRUE(differences.empty()) << entry.path() << ":\n  " << base::Join(differences, "\n  ");
  }
}

INSTANTIATE_TEST_SUITE_P(Recorded, InspectionTest, testing::ValuesIn(CompleteScenarios()),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(InspectionTest);

}  // namespace
}  // namespace kuma

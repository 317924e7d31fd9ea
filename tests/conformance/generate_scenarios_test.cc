// Recorded meshes (conformance/scenarios): resources in, the Envoy configuration of each proxy out,
// compared with what Kuma 3.0 sent.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <set>

#include "base/strings.h"
#include "generate/generate.h"
#include "mesh/mesh_state.h"
#include "model/value.h"
#include "policies/all.h"
#include "tests/conformance/recorded_mesh.h"

namespace kuma {
namespace {

using generate::CellContextPtr;
using generate::CellId;
using generate::Generator;
using generate::ProxyNode;
using model::Object;
using model::Value;
namespace fs = std::filesystem;

Value JsonOf(const bundle::XdsBundle& bundle) {
  Object types;
  for (const bundle::XdsType type : bundle::kAllXdsTypes) {
    Object resources;
    for (const bundle::SealedPtr& resource : bundle.Of(type)) {
      const auto json = model::ParseJson(generate::ResourceJson(*resource));
      EXPECT_TRUE(json.has_value()) << resource->name;
      if (json.has_value()) resources.Set(resource->name, *json);
    }
    if (!resources.empty()) types.Set(bundle::TypeUrl(type), std::move(resources));
  }
  return types;
}

Generator& TheGenerator() {
  static Generator generator = [] {
    generate::Settings settings;
    settings.admin.epoch = [](std::string_view) { return int64_t{1}; };
    settings.admin.ca_pem = "-----BEGIN CERTIFICATE-----\n" + std::string(70, 'x');
    settings.admin.certificate = [](std::string_view address,
                                    int64_t) -> base::Result<generate::AdminPair> {
      const std::string pem =
          "-----BEGIN CERTIFICATE-----\n" + std::string(address) + std::string(60, 'x');
      return generate::AdminPair{pem, base::Redacted<std::string>(pem)};
    };
    return Generator(policies::AllPolicies(), std::move(settings));
  }();
  return generator;
}

// The way of the control loop: plan, cells by need, assemble; contexts of equal hash must give
// equal cells.
bundle::XdsBundle BuildByCells(const mesh::Snapshot& snapshot, const base::ProxyKey& proxy,
                               const ProxyNode& node) {
  const Generator& generator = TheGenerator();
  const auto plan = generator.PlanOf(snapshot, proxy, node);
  EXPECT_TRUE(plan.has_value());
  std::vector<CellId> open = {plan->own};
  for (const generate::OutboundAt& outbound : plan->outbounds->items())
    open.push_back(plan->Listener(outbound));
  std::set<CellId> done;
  std::vector<bundle::SealedPtr> resources;
  while (!open.empty()) {
    const CellId id = open.back();
    open.pop_back();
    if (!done.insert(id).second) continue;
    const CellContextPtr context = generator.ContextOf(snapshot, id, &node);
    EXPECT_NE(context, nullptr) << id.ToString();
    if (context == nullptr) continue;
    const CellContextPtr again = generator.ContextOf(snapshot, id, &node);
    EXPECT_EQ(Generator::HashOf(*context), Generator::HashOf(*again));
    const auto cell = generator.Build(*context);
    EXPECT_TRUE(cell.has_value()) << cell.error().message();
    resources.insert(resources.end(), cell->resources.begin(), cell->resources.end());
    open.insert(open.end(), cell->needs.begin(), cell->needs.end());
  }
  for (bundle::SealedPtr& resource : resources) resource = bundle::Fill(resource, plan->values);
  return generate::Assemble(snapshot.revision, std::move(resources));
}

class ScenarioTest : public testing::TestWithParam<std::string> {};

TEST_P(ScenarioTest, EqualsTheRecording) {
  const fs::path folder = ScenarioFolder() / GetParam();
  const Scenario scenario(folder);
  ASSERT_FALSE(HasFatalFailure());
  for (const std::string& kind : scenario.unknown_kinds())
    std::cout << "SKIPPED: kind " << kind << " is not known\n";
  const mesh::SnapshotPtr snapshot = scenario.Snapshot();
  for (const std::string& name : scenario.Proxies()) {
    const fs::path capture = scenario.Capture(name);
    // What a proxy has after it rejected a response is another matter.
    if (!fs::exists(capture / "xds.json") || scenario.Rejects(name)) continue;
    const Value bootstrap = ReadJson(capture / "bootstrap.json");
    const auto node =
        generate::ParseProxyNode(model::ToJson(*bootstrap.At({"bootstrap", "node", "metadata"})));
    ASSERT_TRUE(node.has_value()) << node.error().message();
    const base::ProxyKey proxy{scenario.Mesh(), name};
    const auto all = TheGenerator().BuildAll(*snapshot, proxy, *node);
    ASSERT_TRUE(all.has_value()) << all.error().message();

    Value expected = ReadJson(capture / "xds.json");
    Value actual = JsonOf(*all);
    Normalise(expected);
    Normalise(actual);
    std::vector<std::string> differences;
    Differences(expected, actual, "", differences);
    EXPECT_TRUE(differences.empty()) << name << ":\n  " << base::Join(differences, "\n  ");

    const bundle::XdsBundle by_cells = BuildByCells(*snapshot, proxy, *node);
    for (const bundle::XdsType type : bundle::kAllXdsTypes) {
      const auto& a = all->Of(type);
      const auto& b = by_cells.Of(type);
      ASSERT_EQ(a.size(), b.size());
      for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(*a[i]->Bytes(), *b[i]->Bytes()) << a[i]->name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Recorded, ScenarioTest, testing::ValuesIn(CompleteScenarios()),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ScenarioTest);

}  // namespace
}  // namespace kuma

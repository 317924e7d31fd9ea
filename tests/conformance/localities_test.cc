// Where MeshLoadBalancingStrategy puts endpoints: zones, parts of zones, priorities, weights.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/format.h"
#include "base/strings.h"
#include "envoy/builders.h"
#include "envoy/seal.h"
#include "model/value.h"
#include "policies/all.h"
#include "policies/schemas.h"

namespace kuma {
namespace {

using model::Value;

struct Place {
  std::string zone;
  model::Labels labels;
};

std::string Text(const Value* value) {
  if (value == nullptr) return "-";
  return value->if_string() != nullptr ? *value->if_string() : model::ToJson(*value);
}

// One line for each locality: "zone/part weight priority: endpoints by number".
std::vector<std::string> Localities(std::string_view conf, const model::Labels& caller,
                                    const std::vector<Place>& endpoints) {
  static const policy::PolicyTable table = policies::AllPolicies();
  const policy::PolicyType& row = *policy::FindPolicy(table, "MeshLoadBalancingStrategy");
  policy::EndpointsContext context;
  context.zone = "here";
  if (!caller.empty()) {
    policy::Slot slot;
    slot.fields = policy::SlotFields::kAffinity;
    slot.affinity = caller;
    context.slot = policy::MakeSlot(std::move(slot));
  }
  model::ResourcePtr resource;
  if (!conf.empty()) {
    const auto document = model::ParseYaml(base::Format(
        "{{type: MeshLoadBalancingStrategy, mesh: m, name: p, spec: {{to: [{{targetRef: {{kind: "
        "Mesh}}, default: {{localityAwareness: {}}}}}]}}}}",
        conf));
    EXPECT_TRUE(document.has_value()) << document.error().message();
    const model::Decoded decoded =
        model::DecodeResource(document->front(), model::TypeTable(policies::AllPolicySchemas()));
    EXPECT_NE(decoded.resource, nullptr) << decoded.violations.ToString() << decoded.unreadable;
    resource = decoded.resource;
    const policy::MergeInput input{row.spec.to(*resource)[0].conf, {}};
    context.confs.Add({row.conf.merge({&input, 1}), row.conf.tag, {}, {}});
  }
  envoy::EndpointsDraft draft;
  for (size_t i = 0; i < endpoints.size(); ++i) {
    draft.endpoints.push_back(envoy::EndpointOf(std::to_string(i), 80, 1, endpoints[i].labels));
    draft.endpoints.back().zone = endpoints[i].zone;
  }
  EXPECT_TRUE(row.hooks.endpoints(context, draft).has_value());

  std::vector<std::string> lines;
  const Value sealed = *model::ParseJson(envoy::ResourceJson(*envoy::Seal(std::move(draft), {})));
  if (const Value* factor = sealed.At({"policy", "overprovisioningFactor"}))
    lines.push_back("factor " + Text(factor));
  const Value* list = sealed.Find("endpoints");
  if (list == nullptr) return lines;
  for (const Value& locality : *list->if_array()) {
    std::string line =
        base::Format("{}/{} {} {}:", Text(locality.At({"locality", "zone"})),
                     Text(locality.At({"locality", "subZone"})),
                     Text(locality.Find("loadBalancingWeight")), Text(locality.Find("priority")));
    for (const Value& endpoint : *locality.Find("lbEndpoints")->if_array())
      line += " " + Text(endpoint.At({"endpoint", "address", "socketAddress", "address"}));
    lines.push_back(std::move(line));
  }
  return lines;
}

using Lines = std::vector<std::string>;

TEST(Localities, OtherZonesWaitUnlessSwitchedOff) {
  const std::vector<Place> endpoints = {{"here", {}}, {"there", {}}, {"here", {}}, {"", {}}};
  EXPECT_EQ(Localities("", {}, endpoints),
            (Lines{"-/- - -: 3", "here/- - -: 0 2", "there/- - 1: 1"}));
  EXPECT_EQ(Localities("{disabled: true}", {}, endpoints),
            (Lines{"-/- - -: 3", "here/- - -: 0 2", "there/- - -: 1"}));
  EXPECT_EQ(Localities("{disabled: true, localZone: {affinityTags: [{key: node}]}}",
                       {{"node", "1"}}, endpoints),
            (Lines{"-/- - -: 3", "here/- - -: 0 2", "there/- - -: 1"}));
}

TEST(Localities, TheFirstTagThatFitsGivesTheWeight) {
  const std::vector<Place> endpoints = {{"here", {{"node", "n1"}, {"rack", "r1"}}},
                                        {"here", {{"node", "n2"}, {"rack", "r1"}}},
                                        {"here", {{"node", "n3"}, {"rack", "r2"}, {"row", "w"}}},
                                        {"here", {{"node", "n3"}, {"rack", "r2"}, {"row", "v"}}},
                                        {"there", {{"node", "n1"}}}};
  const std::string tags = "{localZone: {affinityTags: [{key: node}, {key: rack}, {key: row}]}}";
  EXPECT_EQ(Localities(tags, {{"node", "n1"}, {"rack", "r1"}, {"row", "w"}}, endpoints),
            (Lines{"factor 200", "here/- 1 -: 3", "here/node=n1 900 -: 0", "here/rack=r1 90 -: 1",
                   "here/row=w 9 -: 2"}));
  // The weights are those of the list, whatever labels the caller lacks.
  EXPECT_EQ(Localities(tags, {{"row", "w"}}, endpoints),
            (Lines{"factor 200", "here/- 1 -: 0 1 3", "here/row=w 9 -: 2"}));
  EXPECT_EQ(Localities(tags, {}, endpoints), (Lines{"factor 200", "here/- 1 -: 0 1 2 3"}));
  EXPECT_EQ(Localities("{localZone: {affinityTags: [{key: node, weight: 7}]}}", {{"node", "n3"}},
                       endpoints),
            (Lines{"factor 200", "here/- 1 -: 0 1", "here/node=n3 7 -: 2 3"}));
}

TEST(Localities, ManyTagsStayWithinEnvoysNumbers) {
  std::string tags;
  for (int i = 0; i < 12; ++i) tags += base::Format("{{key: k{}}},", i);
  const Lines lines = Localities(base::Format("{{localZone: {{affinityTags: [{}]}}}}", tags),
                                 {{"k0", "v"}}, {{"here", {{"k0", "v"}}}});
  EXPECT_EQ(lines, (Lines{"factor 200", "here/k0=v 900000000 -: 0"}));
}

TEST(Localities, FailoverGoesByTheFirstRuleThatLeadsThere) {
  const std::vector<Place> endpoints = {
      {"here", {}}, {"a", {}}, {"b", {}}, {"c", {}}, {"here", {}}};
  const std::string rules =
      "{crossZone: {failover: [{from: {zones: [elsewhere]}, to: {type: Any}},"
      "{from: {zones: [x, here]}, to: {type: Only, zones: [b]}},"
      "{to: {type: None}}, {to: {type: AnyExcept, zones: [c]}}]}}";
  EXPECT_EQ(Localities(rules, {}, endpoints),
            (Lines{"factor 200", "a/- - 4: 1", "b/- - 2: 2", "here/- 1 -: 0 4"}));
  EXPECT_EQ(
      Localities("{crossZone: {failover: [{to: {type: Any}}], failoverThreshold: {percentage: "
                 "\"20.5\"}}}",
                 {}, endpoints),
      (Lines{"factor 400", "a/- - 1: 1", "b/- - 1: 2", "c/- - 1: 3", "here/- 1 -: 0 4"}));
  EXPECT_EQ(Localities("{crossZone: {}}", {}, endpoints), (Lines{"factor 200", "here/- 1 -: 0 4"}));
}

TEST(Localities, ThresholdsAreWholeTimes) {
  for (const auto& [percentage, factor] : std::vector<std::pair<std::string, std::string>>{
           {"70", "100"}, {"50", "200"}, {"33", "300"}, {"100", "100"}, {"\"0.5\"", "20000"}}) {
    EXPECT_EQ(Localities(base::Format("{{crossZone: {{failoverThreshold: {{percentage: {}}}}}}}",
                                      percentage),
                         {}, {}),
              Lines{"factor " + factor});
  }
}

}  // namespace
}  // namespace kuma

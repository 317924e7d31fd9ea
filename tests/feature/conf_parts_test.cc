// What hooks are not given of a conf, they would not have used: the configuration is the same when
// they see all of it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "generate/generate.h"
#include "policies/all.h"
#include "tests/kit/builders.h"

namespace kuma {
namespace {

policy::PolicyTable WithoutParts() {
  policy::PolicyTable table = policies::AllPolicies();
  for (policy::PolicyType& type : table) type.listener_part = type.cluster_part = nullptr;
  return table;
}

// Everything that the policies with parts can say, for a service and for one of its routes.
mesh::SnapshotPtr World() {
  std::vector<mesh::Change> changes;
  const auto add = [&changes](const model::ResourcePtr& resource) {
    changes.push_back({resource->key(), nullptr, resource, {1}});
  };
  add(kit::Mesh());
  add(kit::MeshService("backend"));
  add(kit::MeshService("raw", "default", "tcp"));
  add(kit::Dataplane("web", {.outbounds = {{"backend", 80, 10000}, {"raw", 80, 10001}}}));
  add(kit::FromYaml(R"(
type: MeshHTTPRoute
mesh: default
name: route
spec:
  to:
  - targetRef: {kind: MeshService, labels: {kuma.io/display-name: backend}}
    rules:
    - matches: [{path: {type: PathPrefix, value: /v1}}]
      default: {}
)"));
  for (const std::string target :
       {"{kind: Mesh}", "{kind: MeshHTTPRoute, labels: {kuma.io/display-name: route}}"}) {
    const bool of_route = target.find("Route") != std::string::npos;
    const std::string name = of_route ? "of-route" : "of-all";
    const std::string whole_connections =
        of_route ? "" : "connectionTimeout: 11s\n      idleTimeout: 12s";
    const std::string http = of_route ? "" : "maxStreamDuration: 15s, maxConnectionDuration: 16s, ";
    const std::string unit = of_route ? "m" : "s";
    add(kit::FromYaml("type: MeshTimeout\nmesh: default\nname: timeout-" + name +
                      "\nspec:\n  to:\n  - targetRef: " + target + "\n    default:\n      " +
                      whole_connections + "\n      http: {" + http + "requestTimeout: 13" + unit +
                      ", streamIdleTimeout: 14" + unit +
                      (of_route ? "" : ", requestHeadersTimeout: 17s") + "}\n"));
    add(kit::FromYaml(
        "type: MeshLoadBalancingStrategy\nmesh: default\nname: balance-" + name +
        "\nspec:\n  to:\n  - targetRef: " + target +
        "\n    default:\n      hashPolicies: [{type: Header, header: {name: x-" + name + "}}]\n" +
        (of_route ? ""
                  : "      loadBalancer: {type: RingHash, ringHash: {minRingSize: 99}}\n"
                    "      localityAwareness: {localZone: {affinityTags: [{key: k}]}}\n")));
  }
  mesh::MeshState state;
  state.Apply(changes);
  return state.Freeze();
}

std::string Text(const policy::PolicyTable& table) {
  const generate::Generator generator(table, {});
  const auto bundle = generator.BuildAll(*World(), {"default", "web"}, {});
  EXPECT_TRUE(bundle.has_value()) << bundle.error().message();
  std::string text;
  for (const bundle::XdsType type : bundle::kAllXdsTypes) {
    for (const bundle::SealedPtr& resource : bundle->Of(type))
      text += generate::ResourceJson(*resource) + "\n";
  }
  return text;
}

TEST(ConfParts, AreAllThatHooksRead) {
  const std::string text = Text(policies::AllPolicies());
  EXPECT_EQ(text, Text(WithoutParts()));
  for (const std::string said : {"\"11s\"", "\"12s\"", "\"13s\"", "\"14s\"", "\"15s\"", "\"16s\"",
                                 "\"17s\"", "\"780s\"", "\"840s\"", "x-of-all", "x-of-route", "99"})
    EXPECT_THAT(text, testing::HasSubstr(said));
}

}  // namespace
}  // namespace kuma

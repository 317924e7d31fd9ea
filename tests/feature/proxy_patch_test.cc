// MeshProxyPatch: what a write is told, and what happens to cells that a patch cannot be applied to.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/format.h"
#include "generate/generate.h"
#include "policies/all.h"
#include "tests/kit/builders.h"
#include "tests/kit/rest_server.h"
#include "tests/kit/snapshot_of.h"

namespace kuma {
namespace {

using base::Format;
using model::Value;
using testing::HasSubstr;
using testing::IsEmpty;

const policy::PolicyTable& Table() {
  static const policy::PolicyTable table = policies::AllPolicies();
  return table;
}

class ProxyPatchWrite : public testing::Test {
 protected:
  explicit ProxyPatchWrite(bool strict = false) : server_(kit::Types(), Settings(strict)) {
    server_.Load(kit::Mesh());
  }
  static rest::ApiSettings Settings(bool strict) {
    rest::ApiSettings settings = kit::RestServer::Settings();
    settings.resources.policies = &Table();
    settings.resources.strict = strict;
    return settings;
  }
  // One modification, as YAML on one line.
  net::HttpResponse Put(const std::string& modification) {
    const auto body = model::ParseYaml(Format(
        "{{type: MeshProxyPatch, mesh: default, name: p, spec: {{default: {{appendModifications: "
        "[{}]}}}}}}",
        modification));
    EXPECT_TRUE(body.has_value()) << body.error().message();
    return server_.Send("PUT", "/meshes/default/meshproxypatches/p", model::ToJson(body->front()));
  }
  kit::RestServer server_;
};

TEST_F(ProxyPatchWrite, EnvoyDoesNotKnowIt) {
  const auto reply =
      Put(R"({listener: {operation: Patch, value: "filterChains: {a: 1}\naddress: x"}})");
  EXPECT_EQ(reply.status, 400);
  const std::string field = R"("field": "spec.default.appendModifications[0].listener.value")";
  EXPECT_THAT(reply.body, HasSubstr(field));
  EXPECT_THAT(reply.body,
              HasSubstr("native Envoy resource is not valid: address: an object expected"));
  EXPECT_THAT(reply.body,
              HasSubstr("native Envoy resource is not valid: filterChains: a list expected"));

  EXPECT_THAT(Put(R"({cluster: {operation: Patch, value: "type: SIDEWAYS"}})").body,
              HasSubstr("type: 'SIDEWAYS' is no DiscoveryType"));
  EXPECT_THAT(
      Put(R"({httpFilter: {operation: AddFirst, value: "{name: a, typedConfig: {'@type': type.googleapis.com/envoy.No}}"}})")
          .body,
      HasSubstr("typedConfig.@type: Envoy's API has no message 'envoy.No'"));
}

TEST_F(ProxyPatchWrite, EveryMessageOfTheApiIsTaken) {
  const auto reply = Put(
      R"({httpFilter: {operation: AddFirst, value: "{name: a, typedConfig: {'@type': type.googleapis.com/envoy.extensions.filters.http.csrf.v3.CsrfPolicy, additionalOrigins: [{exact: x}]}}"}})");
  EXPECT_EQ(reply.status, 201) << reply.body;
  EXPECT_EQ(reply.body, "{}\n");
}

TEST_F(ProxyPatchWrite, UnknownMembersAreWarnedAbout) {
  const auto reply =
      Put(R"({cluster: {operation: Patch, value: "{connectTimeout: 1s, conectTimeout: 2s}"}})");
  EXPECT_EQ(reply.status, 201);
  EXPECT_THAT(reply.body, HasSubstr("spec.default.appendModifications[0].cluster.value: "
                                    "conectTimeout: unknown field, ignored"));
}

class StrictProxyPatchWrite : public ProxyPatchWrite {
 protected:
  StrictProxyPatchWrite() : ProxyPatchWrite(true) {}
};
TEST_F(StrictProxyPatchWrite, UnknownMembersAreRefused) {
  const auto reply = Put(R"({cluster: {operation: Patch, value: "{conectTimeout: 2s}"}})");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("conectTimeout"));
}

// ---- cells

mesh::SnapshotPtr World(const std::string& modification) {
  std::vector<mesh::Change> changes;
  const auto put = [&](model::ResourcePtr resource) {
    changes.push_back({resource->key(), nullptr, resource, {1}});
  };
  put(kit::Mesh());
  put(kit::MeshService("backend"));
  put(kit::MeshService("other"));
  for (const char* name : {"a", "b"})
    put(kit::Dataplane(name, {.labels = {{"app", "web"}},
                              .outbounds = {{.service = "backend", .port = 10001},
                                            {.service = "other", .port = 10002}}}));
  put(kit::FromYaml(
      "{type: Dataplane, mesh: default, name: redirected, networking: {address: 10.0.0.9, inbound: "
      "[{port: 8080}], transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: "
      "15001}}}"));
  put(kit::FromYaml(Format(
      "{{type: MeshProxyPatch, mesh: default, name: p, spec: {{default: {{appendModifications: "
      "[{}]}}}}}}",
      modification)));
  mesh::MeshState state;
  state.Apply(changes);
  return state.Freeze();
}

const generate::Generator& TheGenerator() {
  static const generate::Generator generator(policies::AllPolicies(), {});
  return generator;
}

TEST(ProxyPatchCells, ProxiesOfOneViewShareThePatchedCells) {
  const auto snapshot = World(R"({cluster: {operation: Patch, value: "connectTimeout: 9s"}})");
  const auto a = TheGenerator().PlanOf(*snapshot, {"default", "a"}, {});
  const auto b = TheGenerator().PlanOf(*snapshot, {"default", "b"}, {});
  ASSERT_TRUE(a.has_value() && b.has_value());
  EXPECT_TRUE(a->listener == b->listener && *a->outbounds == *b->outbounds);
}

// By cell: "" or why it cannot be built.
std::map<std::string, std::string> Failures(const mesh::Snapshot& snapshot) {
  const generate::ProxyNode node;
  const auto plan = TheGenerator().PlanOf(snapshot, {"default", "a"}, node);
  std::map<std::string, std::string> failures;
  std::vector<generate::CellId> open = {plan->own};
  for (const generate::OutboundAt& outbound : plan->outbounds->items())
    open.push_back(plan->Listener(outbound));
  while (!open.empty()) {
    const generate::CellId id = open.back();
    open.pop_back();
    const auto context = TheGenerator().ContextOf(snapshot, id, &node);
    if (context == nullptr || failures.contains(id.ToString())) continue;
    const auto cell = TheGenerator().Build(*context);
    failures[id.ToString()] = cell.has_value() ? "" : cell.error().message();
    if (cell.has_value()) open.insert(open.end(), cell->needs.begin(), cell->needs.end());
  }
  return failures;
}

TEST(ProxyPatchCells, OnlyTheCellThatCannotBePatchedFails) {
  const auto failures = Failures(*World(
      R"({cluster: {operation: Patch, match: {name: kri_msvc_default_default__backend_80}, jsonPatches: [{op: replace, path: /altStatName, value: x}]}})"));
  EXPECT_EQ(failures.at("cluster MeshService/backend/80 in default"),
            "MeshProxyPatch: MeshProxyPatch default/p: spec.default.appendModifications[0]: "
            "jsonPatches: [0] replace /altStatName: there is no /altStatName");
  EXPECT_EQ(failures.at("cluster MeshService/other/80 in default"), "");
  EXPECT_EQ(failures.at("own part of default/a"), "");
}

TEST(ProxyPatchCells, TheResultOfAJsonPatchMustBeOfItsType) {
  const auto failures = Failures(*World(
      R"({cluster: {operation: Patch, match: {origin: outbound}, jsonPatches: [{op: add, path: /circuitBreakers/thresholds/0/priority, value: MIDDLE}]}})"));
  EXPECT_THAT(failures.at("cluster MeshService/other/80 in default"),
              HasSubstr("jsonPatches: the result is not valid: "
                        "circuitBreakers.thresholds[0].priority: 'MIDDLE' is no RoutingPriority"));
}

TEST(ProxyPatchCells, FiltersOfTwoTypesCannotBeMerged) {
  const auto failures = Failures(*World(
      R"({networkFilter: {operation: Patch, match: {name: envoy.filters.network.http_connection_manager, origin: outbound}, value: "{typedConfig: {'@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy}}"}})"));
  EXPECT_THAT(failures.at("listener MeshService/backend/80 at 127.0.0.1:10001 in default"),
              HasSubstr("TcpProxy' cannot be merged into the "
                        "'type.googleapis.com/envoy.extensions.filters.network.http_connection_"
                        "manager.v3.HttpConnectionManager' of filter "
                        "'envoy.filters.network.http_connection_manager'"));
  EXPECT_EQ(failures.at("own part of default/a"), "");
}

TEST(ProxyPatchCells, OriginsNameThePolicyWhereItTouchedSomething) {
  const auto snapshot = World(
      R"({cluster: {operation: Patch, match: {name: self_inbound_dp_8080}, value: "connectTimeout: 9s"}}, {cluster: {operation: Add, value: "name: added"}})");
  const auto bundle = TheGenerator().BuildAll(*snapshot, {"default", "a"}, {});
  ASSERT_TRUE(bundle.has_value()) << bundle.error().message();
  std::map<std::string, std::vector<std::string>> origins;
  for (const auto& cluster : bundle->Of(bundle::XdsType::kCluster))
    origins[cluster->name] = cluster->origins;
  const std::vector<std::string> policy = {"MeshProxyPatch default/p"};
  EXPECT_EQ(origins.at("self_inbound_dp_8080"), policy);
  EXPECT_EQ(origins.at("added"), policy);
  EXPECT_THAT(origins.at("kri_msvc_default_default__backend_80"), IsEmpty());
}

// Listeners and clusters for redirected traffic, by their old names, too.
TEST(ProxyPatchCells, RedirectedTraffic) {
  const auto snapshot = World(
      R"({listener: {operation: Patch, match: {name: "outbound:passthrough:ipv4"}, value: "perConnectionBufferLimitBytes: 7"}}, {cluster: {operation: Patch, match: {origin: transparent}, value: "altStatName: all"}})");
  const auto bundle = TheGenerator().BuildAll(*snapshot, {"default", "redirected"}, {});
  ASSERT_TRUE(bundle.has_value()) << bundle.error().message();
  std::vector<std::string> touched;
  for (const auto type : {bundle::XdsType::kListener, bundle::XdsType::kCluster}) {
    for (const auto& resource : bundle->Of(type)) {
      if (!resource->origins.empty()) touched.push_back(resource->name);
    }
  }
  EXPECT_THAT(touched, testing::IsSupersetOf({"self_transparentproxy_passthrough_outbound_ipv4",
                                              "self_transparentproxy_passthrough_inbound_ipv4"}));
  EXPECT_THAT(touched, testing::Not(testing::Contains("self_inbound_dp_8080")));
}

// Envoy must have a cluster before a filter uses it.
TEST(ProxyPatchCells, PatchedListenersWaitForAddedClusters) {
  const auto snapshot = World(
      R"({cluster: {operation: Add, value: "name: added"}}, {listener: {operation: Patch, match: {origin: outbound}, value: "perConnectionBufferLimitBytes: 1"}})");
  const auto bundle = TheGenerator().BuildAll(*snapshot, {"default", "a"}, {});
  ASSERT_TRUE(bundle.has_value()) << bundle.error().message();
  const auto* outbound =
      bundle::Find(bundle->Of(bundle::XdsType::kListener), "kri_msvc_default_default__backend_80");
  ASSERT_NE(outbound, nullptr);
  EXPECT_EQ(outbound->clusters,
            (std::vector<std::string>{"added", "kri_msvc_default_default__backend_80"}));
  const auto* inbound =
      bundle::Find(bundle->Of(bundle::XdsType::kListener), "self_inbound_dp_8080");
  ASSERT_NE(inbound, nullptr);
  EXPECT_EQ(inbound->clusters, std::vector<std::string>{"self_inbound_dp_8080"});
}

}  // namespace
}  // namespace kuma

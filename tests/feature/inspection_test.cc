// Inspection over REST: resources are written by PUT, then asked about. Shapes are compared with
// Kuma's in tests/conformance; here it is about paths, parameters, pages and what is said when
// something is missing or wrong.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/strings.h"
#include "derive/service_hostnames.h"
#include "generate/generate.h"
#include "model/describe.h"
#include "policies/all.h"
#include "policies/schemas.h"
#include "resources/all.h"
#include "resources/dataplane_insight/dataplane_insight.h"
#include "rest/api.h"
#include "runtime/simulation.h"
#include "store/memory/memory_store.h"
#include "tests/kit/snapshot_of.h"

namespace kuma {
namespace {

using model::Value;

const model::TypeTable& Types() {
  static const model::TypeTable types = [] {
    std::vector<const model::ResourceType*> all = resources::AllResourceTypes();
    const auto& schemas = policies::AllPolicySchemas();
    all.insert(all.end(), schemas.begin(), schemas.end());
    return model::TypeTable(std::move(all));
  }();
  return types;
}

struct Reply {
  int status = 0;
  Value body;
  std::string text;

  std::string At(std::initializer_list<std::string_view> path) const {
    const Value* value = body.At(path);
    if (value == nullptr) return "(absent)";
    return value->if_string() != nullptr ? *value->if_string() : model::ToJson(*value);
  }
};

class InspectionApiTest : public testing::Test {
 protected:
  InspectionApiTest()
      : store_(store::NewMemoryStore(simulation_.clock(), true)),
        generator_(policies::AllPolicies(), {}),
        tokens_(*store_, simulation_.clock(), simulation_.random(), {}),
        api_(
            *store_, Types(), tokens_,
            [](std::string_view) -> base::Result<rest::Principal> {
              return base::Denied("no tokens here");
            },
            simulation_.pool(), Settings()) {
    Put("meshes/m", "{type: Mesh, name: m}");
    Put("meshes/m/meshservices/backend", R"(
{type: MeshService, name: backend, mesh: m,
 spec: {selector: {dataplaneLabels: {matchLabels: {app: backend}}},
        ports: [{port: 80, targetPort: 8080, appProtocol: http, name: main}, {port: 81}]}})");
    for (const char* name : {"backend-1", "backend-2", "backend-3"}) {
      Put(std::string("meshes/m/dataplanes/") + name,
          std::string("{type: Dataplane, mesh: m, name: ") + name + R"(, labels: {app: backend},
 networking: {address: 10.0.0.1, inbound: [{port: 8080, name: main, protocol: http}]}})");
    }
    Put("meshes/m/dataplanes/web-1", R"(
{type: Dataplane, mesh: m, name: web-1, labels: {app: web},
 networking: {address: 10.0.0.2, inbound: [{port: 80}],
              outbound: [{port: 10001, backendRef: {kind: MeshService, name: backend, port: 80}}]}})");
  }

  rest::ApiSettings Settings() {
    rest::ApiSettings settings;
    settings.resources.here.zone = "default";
    settings.resources.access.write_resources.users = {std::string(rest::kAdmin)};
    settings.inspection.snapshot = [this] { return kit::SnapshotOf(*store_, Types()); };
    settings.inspection.generator = &generator_;
    settings.inspection.hostnames = [](const mesh::Snapshot& snapshot,
                                       const model::Resource& service) {
      return derive::HostnamesOf(snapshot, service, "default");
    };
    return settings;
  }

  Reply Ask(const std::string& method, const std::string& target, std::string body = {}) {
    net::HttpRequest request;
    request.method = method;
    request.peer.remote.host = "127.0.0.1";
    request.authority = "localhost:5681";
    request.headers.Set("content-type", "application/json");
    request.body = std::move(body);
    const size_t question = target.find('?');
    request.target = "/" + target;
    request.path = "/" + target.substr(0, question);
    if (question != std::string::npos) {
      for (const std::string& part : base::Split(target.substr(question + 1), '&')) {
        const size_t equals = part.find('=');
        request.query.emplace_back(part.substr(0, equals), part.substr(equals + 1));
      }
    }
    const net::HttpResponse response = api_.Answer(request);
    Reply reply{response.status, {}, response.body};
    if (auto parsed = model::ParseJson(response.body)) reply.body = *std::move(parsed);
    return reply;
  }
  Reply Get(const std::string& target) { return Ask("GET", target); }
  void Put(const std::string& path, const std::string& yaml) {
    const Value document = (*model::ParseYaml(yaml))[0];
    const Reply reply = Ask("PUT", path, model::ToJson(document));
    ASSERT_LT(reply.status, 300) << reply.text;
  }
  // As if the proxy had been connected once.
  void PutInsight(const std::string& proxy) {
    resources::dataplane_insight::Spec spec;
    spec.metadata.text = R"({"dataplane.admin.port": "9901",
        "dataplane.admin.address": "127.0.0.1", "dataplane.readinessReporter.port": "9902"})";
    store::Write write;
    model::Metadata meta;
    meta.mesh = "m";
    meta.name = proxy;
    write.resource =
        model::MakeResource(resources::dataplane_insight::Type(), std::move(meta), std::move(spec));
    ASSERT_TRUE(store_->Commit({.writes = {std::move(write)}, .cause = {}}).has_value());
  }

  runtime::Simulation simulation_{1};
  std::unique_ptr<store::Store> store_;
  generate::Generator generator_;
  rest::TokenEndpoint tokens_;
  rest::Api api_;
};

constexpr const char* kTimeout = R"(
{type: MeshTimeout, name: slow, mesh: m,
 spec: {targetRef: {kind: Dataplane, labels: {app: web}},
        to: [{targetRef: {kind: MeshService, labels: {kuma.io/display-name: backend},
                          sectionName: main},
              default: {http: {requestTimeout: 7s}}}]}})";

TEST_F(InspectionApiTest, AnOutboundIsNamedByItsKri) {
  Put("meshes/m/meshtimeouts/slow", kTimeout);
  const std::string outbounds = "meshes/m/dataplanes/web-1/_outbounds/";
  const Reply layout = Get("meshes/m/dataplanes/web-1/_layout");
  const std::string kri = layout.At({"outbounds", "0", "kri"});
  EXPECT_EQ(kri, "kri_msvc_m_default__backend_main");
  const Reply policies = Get(outbounds + kri + "/_policies");
  EXPECT_EQ(policies.status, 200);
  EXPECT_EQ(policies.At({"policies", "0", "conf", "0", "http", "requestTimeout"}), "7s");
  // A number means the same port as its name; another port has nothing.
  EXPECT_EQ(Get(outbounds + "kri_msvc_m_default__backend_80/_policies").text, policies.text);
  EXPECT_EQ(Get(outbounds + "kri_msvc_m_default__backend_81/_policies").At({"policies"}), "[]");
  EXPECT_EQ(Get("meshes/m/dataplanes/backend-1/_outbounds/" + kri + "/_policies").At({"policies"}),
            "[]");
}

TEST_F(InspectionApiTest, WhatIsWrongIsSaid) {
  const auto expect = [this](const std::string& target, int status, const std::string& title) {
    const Reply reply = Get(target);
    EXPECT_EQ(reply.status, status) << target << " " << reply.text;
    EXPECT_EQ(reply.At({"title"}), title) << target;
  };
  const std::string web = "meshes/m/dataplanes/web-1/";
  expect("meshes/x/dataplanes/web-1/_rules", 404, "Failed to retrieve Mesh");
  expect("meshes/x/dataplanes/web-1/_layout", 404, "Failed to build MeshContext");
  expect("meshes/m/dataplanes/x/_rules", 404, "Could not retrieve Dataplane");
  expect("meshes/m/dataplanes/x/_layout", 404, "Failed to retrieve Dataplane");
  expect(web + "_config", 404, "Failed to fetch dataplane insight");
  expect(web + "_config?shadow=maybe", 400, "Bad Request");
  expect(web + "_config?include=diff,all", 400, "Bad Request");
  expect(web + "_inbounds/nonsense/_policies", 400, "Bad Request");
  expect(web + "_inbounds/kri_dp_m_default__web-1_x/_policies", 404, "Could not retrieve inbound");
  expect(web + "_outbounds/kri_foo_m_default__backend_80/_policies", 400, "Bad Request");
  expect(web + "_outbounds/kri_msvc_m_default__x_80/_routes", 404, "Could not retrieve outbound");
  expect(web + "_outbounds/kri_msvc_m_default__backend_99/_routes", 404,
         "Could not retrieve outbound");
  expect(web + "_outbounds/kri_msvc_m_default__backend_80/_routes/x/_policies", 400, "Bad Request");
  expect("meshes/m/meshtimeouts/x/_resources/dataplanes", 404, "Could not retrieve policy");
  expect("meshes/m/meshtimeouts/x/_resources/dataplanes?size=0", 400, "Could not retrieve policy");
  expect("meshes/m/meshservices/x/_hostnames", 404, "could not retrieve service");
  EXPECT_EQ(Ask("PUT", web + "_rules", "{}").status, 405);
  EXPECT_EQ(Get(web + "_nothing").status, 404);
  EXPECT_NE(Get(web + "_inbounds/kri_dp_m_default__web-1_x/_policies").At({"hint"}), "(absent)");
}

TEST_F(InspectionApiTest, ProxiesOfPoliciesAndServicesComeInPages) {
  Put("meshes/m/meshtimeouts/slow", kTimeout);
  const Reply matched = Get("meshes/m/meshtimeouts/slow/_resources/dataplanes");
  EXPECT_EQ(matched.At({"total"}), "1");
  EXPECT_EQ(matched.At({"items", "0", "name"}), "web-1");

  const std::string members = "meshes/m/meshservices/backend/_dataplanes";
  EXPECT_EQ(Get(members).At({"total"}), "3");
  const Reply page = Get(members + "?size=2");
  EXPECT_EQ(page.At({"total"}), "3");
  EXPECT_EQ(page.At({"items", "1", "name"}), "backend-2");
  EXPECT_EQ(page.At({"next"}),
            "http://localhost:5681/meshes/m/meshservices/backend/_dataplanes?offset=2&size=2");
  const Reply last = Get(members + "?size=2&offset=2");
  EXPECT_EQ(last.At({"items", "0", "name"}), "backend-3");
  EXPECT_EQ(last.At({"next"}), "(absent)");
  EXPECT_EQ(Get(members + "?name=-3").At({"total"}), "1");
}

TEST_F(InspectionApiTest, OldListsNamePoliciesAndProxies) {
  EXPECT_EQ(Get("meshes/m/dataplanes/web-1/policies").At({"total"}), "0");
  Put("meshes/m/meshtimeouts/slow", kTimeout);
  const Reply policies = Get("meshes/m/dataplanes/web-1/policies");
  EXPECT_EQ(policies.At({"items", "0", "type"}), "dataplane");
  EXPECT_EQ(policies.At({"items", "0", "matchedPolicies", "MeshTimeout", "0", "name"}), "slow");
  EXPECT_EQ(policies.At({"items", "0", "matchedPolicies", "MeshTimeout", "0", "spec"}), "(absent)");
  const Reply proxies = Get("meshes/m/meshtimeouts/slow/dataplanes");
  EXPECT_EQ(proxies.At({"total"}), "1");
  EXPECT_EQ(proxies.At({"items", "0", "dataplane", "name"}), "web-1");
}

TEST_F(InspectionApiTest, HostnamesAreThoseOfTheGenerators) {
  EXPECT_EQ(Get("meshes/m/meshservices/backend/_hostnames").At({"items"}), "null");
  Put("hostnamegenerators/b", R"({type: HostnameGenerator, name: b, spec: {
        selector: {meshService: {matchLabels: {kuma.io/origin: zone}}},
        template: "{{ .DisplayName }}.b.mesh"}})");
  Put("hostnamegenerators/a", R"({type: HostnameGenerator, name: a, spec: {
        selector: {meshService: {matchLabels: {kuma.io/origin: zone}}},
        template: "{{ .DisplayName }}.a.mesh"}})");
  const Reply reply = Get("meshes/m/meshservices/backend/_hostnames");
  EXPECT_EQ(reply.At({"total"}), "2");
  EXPECT_EQ(reply.At({"items", "0", "hostname"}), "backend.a.mesh");
  EXPECT_EQ(reply.At({"items", "0", "zones", "0", "name"}), "default");
}

TEST_F(InspectionApiTest, AShadowPolicyShowsWhatItWouldDo) {
  PutInsight("web-1");
  const std::string config = "meshes/m/dataplanes/web-1/_config";
  const Reply before = Get(config);
  ASSERT_EQ(before.status, 200) << before.text;
  Put("meshes/m/meshtimeouts/shadow", R"(
{type: MeshTimeout, name: shadow, mesh: m, labels: {kuma.io/effect: shadow},
 spec: {rules: [{default: {connectionTimeout: 9s}}]}})");
  EXPECT_EQ(Get(config).text, before.text);
  EXPECT_EQ(Get(config + "?include=diff").At({"diff"}), "[]");
  const Reply with = Get(config + "?shadow=true&include=diff");
  const std::string clusters = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
  EXPECT_EQ(with.At({"xds", clusters, "self_inbound_dp_80", "connectTimeout"}), "9s");
  const model::Array& diff = *with.body.Find("diff")->if_array();
  ASSERT_EQ(diff.size(), 3u) << with.text;
  EXPECT_EQ(model::ToJson(diff[2]),
            R"({"op":"add","path":"/type.googleapis.com~1envoy.config.cluster.v3.Cluster/)"
            R"(self_inbound_dp_80/connectTimeout","value":"9s"})");
  EXPECT_EQ(Get("meshes/m/dataplanes/web-1/_rules").At({"rules"}), "[]");
}

TEST_F(InspectionApiTest, AConfigurationThatCannotBeMadeNamesItsPolicy) {
  PutInsight("web-1");
  // The address of the admin interface comes from the proxy; only local ones are taken.
  resources::dataplane_insight::Spec spec;
  spec.metadata.text = R"({"dataplane.admin.port": "9901",
      "dataplane.admin.address": "192.0.2.1", "dataplane.readinessReporter.port": "9902"})";
  const auto stored = store_->Get({"DataplaneInsight", "m", "web-1"});
  store::Write write;
  write.expected = (*stored)->meta().revision;
  write.resource =
      model::MakeResource(resources::dataplane_insight::Type(), (*stored)->meta(), std::move(spec));
  ASSERT_TRUE(store_->Commit({.writes = {std::move(write)}, .cause = {}}).has_value());
  const Reply reply = Get("meshes/m/dataplanes/web-1/_config");
  EXPECT_EQ(reply.status, 500);
  EXPECT_EQ(reply.At({"title"}), "Failed to inspect proxy config");
  EXPECT_NE(reply.At({"detail"}).find("own part of m/web-1"), std::string::npos) << reply.text;
}

}  // namespace
}  // namespace kuma

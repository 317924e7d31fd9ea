#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "model/describe.h"
#include "model/labels.h"
#include "resources/all.h"
#include "resources/dataplane/dataplane.h"
#include "resources/dataplane_insight/dataplane_insight.h"
#include "resources/hostname_generator/hostname_generator.h"
#include "resources/mesh/mesh.h"
#include "resources/mesh_service/mesh_service.h"
#include "resources/secret/secret.h"

namespace kuma::resources {
namespace {

using model::Value;

model::Decoded Decode(std::string_view yaml) {
  const auto documents = model::ParseYaml(yaml);
  EXPECT_TRUE(documents.has_value() && documents->size() == 1) << yaml;
  return model::DecodeResource(documents->front(), model::TypeTable(AllResourceTypes()));
}

model::ResourcePtr Good(std::string_view yaml) {
  const model::Decoded decoded = Decode(yaml);
  EXPECT_EQ(decoded.violations.ToString() + decoded.unreadable, "");
  EXPECT_THAT(decoded.unknown, testing::IsEmpty());
  return decoded.resource;
}

Value Body(const model::Resource& resource) {
  Value value = model::EncodeResource(resource);
  value.if_object()->Erase("creationTime");
  value.if_object()->Erase("modificationTime");
  return value;
}

TEST(Types, AreDistinct) {
  std::set<std::string_view> kinds, paths, short_names;
  for (const model::ResourceType* type : AllResourceTypes()) {
    EXPECT_TRUE(kinds.insert(type->kind).second) << type->kind;
    EXPECT_TRUE(type->plural.empty() || paths.insert(type->plural).second) << type->kind;
    EXPECT_TRUE(type->short_name.empty() || short_names.insert(type->short_name).second)
        << type->kind;
    EXPECT_NE(type->spec.decode, nullptr) << type->kind;
    EXPECT_FALSE(type->singular_display_name.empty()) << type->kind;
  }
}

TEST(MeshService, AsKumaShowsIt) {
  const auto service = Good(R"(
type: MeshService
name: with-status
mesh: default
labels: {kuma.io/origin: zone, kuma.io/zone: default}
spec:
  selector: {dataplaneLabels: {matchLabels: {app: httpbin}}}
  ports: [{port: 8081, targetPort: 80}, {port: 9090, name: admin, appProtocol: http}]
)");
  EXPECT_EQ(
      model::ToJson(Body(*service)),
      R"({"type":"MeshService","mesh":"default","name":"with-status",)"
      R"("labels":{"kuma.io/origin":"zone","kuma.io/zone":"default"},)"
      R"("kri":"kri_msvc_default_default__with-status_",)"
      R"("snis":[{"port":8081,"sni":"sni.msvc.default.default.with-status.8081"},)"
      R"({"port":9090,"sni":"sni.msvc.default.default.with-status.admin"}],)"
      R"("spec":{"state":"Unavailable","selector":{"dataplaneLabels":{"matchLabels":{"app":"httpbin"}}},)"
      R"("ports":[{"port":8081,"targetPort":80,"appProtocol":"tcp"},)"
      R"({"name":"admin","port":9090,"appProtocol":"http"}]},"status":{"tls":{},"dataplaneProxies":{}}})");
  const model::Decoded again =
      model::DecodeResource(model::EncodeResource(*service), model::TypeTable(AllResourceTypes()));
  EXPECT_THAT(again.unknown, testing::IsEmpty()) << "what was read can be written back";
}

TEST(MeshService, InputsOfItsStatus) {
  const auto& ops = mesh_service::Type().status;
  const mesh_service::Status before;
  const auto same = [&](auto change) {
    mesh_service::Status after = before;
    change(after);
    return ops.equal_inputs(&before, &after);
  };
  EXPECT_TRUE(same([](auto& status) { status.dataplane_proxies.total = 3; }));
  EXPECT_TRUE(same([](auto& status) { status.hostname_generators.emplace_back(); }));
  EXPECT_FALSE(same([](auto& status) { status.vips.push_back({"241.0.0.1"}); }));
  EXPECT_FALSE(same([](auto& status) { status.tls.status = mesh_service::TlsStatus::kReady; }));
  EXPECT_FALSE(same([](auto& status) { status.addresses.emplace_back(); }));
}

TEST(Dataplane, AsKumaShowsIt) {
  const auto dataplane = Good(R"(
type: Dataplane
name: dp-1
mesh: default
networking:
  address: 10.0.0.1
  inbound:
  - {port: 8080, servicePort: 80, name: http, state: Ready, serviceProbe: {interval: 1s, tcp: {}}}
  - {port: 9090, state: NotReady}
  outbound:
  - {port: 3333, backendRef: {kind: MeshService, name: redis, port: 6379}}
  transparent_proxying: {redirect_port_inbound: 15006, ipFamilyMode: IPv4}
)");
  EXPECT_EQ(
      model::ToJson(Body(*dataplane)),
      R"({"type":"Dataplane","mesh":"default","name":"dp-1","kri":"kri_dp_default___dp-1_","networking":)"
      R"({"address":"10.0.0.1","inbound":[{"port":8080,"servicePort":80,"serviceProbe":{"interval":"1s","tcp":{}},)"
      R"("name":"http"},{"port":9090,"state":"NotReady"}],"outbound":[{"port":3333,"backendRef":)"
      R"({"kind":"MeshService","name":"redis","port":6379}}],"transparentProxying":)"
      R"({"redirectPortInbound":15006,"ipFamilyMode":"IPv4"}}})");
}

TEST(Dataplane, OldFieldsAreNamed) {
  const auto decoded = Decode(R"(
type: Dataplane
name: dp-1
mesh: default
networking:
  address: 10.0.0.1
  inbound: [{port: 8080, tags: {kuma.io/service: web}}]
)");
  ASSERT_NE(decoded.resource, nullptr);
  EXPECT_THAT(decoded.unknown, testing::ElementsAre("networking.inbound[0].tags"));
}

TEST(Secret, IsNeverPrinted) {
  const auto secret = Good("{type: Secret, name: s, mesh: default, data: dGVzdAo=}");
  const auto& spec = secret->Spec<secret::Spec>();
  EXPECT_EQ(secret::RevealData(spec), "test\n");
  EXPECT_EQ(*Body(*secret).Find("data")->if_string(), "dGVzdAo=");
  EXPECT_EQ(*model::Encode(spec, {.redact = true}).Find("data")->if_string(), "[redacted]");
  EXPECT_EQ(
      Decode("{type: Secret, name: s, mesh: default, data: '!secret!'}").violations.ToString(),
      "data: in body must be of type byte");
}

TEST(Mesh, SkipsPolicies) {
  EXPECT_TRUE(mesh::SkipsInitialPolicy({{"*"}}, "MeshRetry"));
  EXPECT_TRUE(mesh::SkipsInitialPolicy({{"MeshRetry"}}, "MeshRetry"));
  EXPECT_FALSE(mesh::SkipsInitialPolicy({{"MeshRetry"}}, "MeshTimeout"));
}

TEST(DataplaneInsight, ReadsWhatKumaWrites) {
  const auto insight = Good(R"({"type": "DataplaneInsight", "mesh": "default", "name": "dp-1",
      "subscriptions": [{"id": "1", "controlPlaneInstanceId": "cp", "connectTime": "2026-01-01T00:00:00Z",
      "status": {"lastUpdateTime": "2026-01-01T00:00:01.5Z", "total": {"responsesSent": "5"}, "cds": {}},
      "version": {"kumaDp": {"version": "3.0.0"}, "envoy": {"version": "1.36"}, "dependencies": {"coredns": "1"}}}],
      "metadata": {"any": ["thing"]}})");
  const auto& spec = insight->Spec<dataplane_insight::Spec>();
  EXPECT_TRUE(dataplane_insight::IsOnline(spec));
  EXPECT_EQ(spec.subscriptions[0].status->total->responses_sent, 5u);
  EXPECT_EQ(
      *Body(*insight).At({"subscriptions", "0", "status", "total", "responsesSent"})->if_string(),
      "5");
  dataplane_insight::Spec other;
  EXPECT_TRUE(insight->type().spec.equal_inputs(&spec, &other)) << "nothing of it is an input";
}

TEST(HostnameGenerator, Renders) {
  const hostname_generator::TemplateInput input{.name = "n",
                                                .display_name = "web",
                                                .ns = "ns",
                                                .zone = "east",
                                                .mesh = "m",
                                                .labels = {{"k8s.kuma.io/service-name", "svc"}}};
  const auto render = [&](std::string_view text) {
    const auto host = hostname_generator::RenderHostname(text, input);
    return host.has_value() ? *host : "error: " + host.error().message();
  };
  EXPECT_EQ(render("{{ .DisplayName }}.{{.Namespace}}.svc.{{ .Zone }}.mesh.local"),
            "web.ns.svc.east.mesh.local");
  EXPECT_EQ(render("{{ label \"k8s.kuma.io/service-name\" }}.{{ .Mesh }}"), "svc.m");
  EXPECT_EQ(render("plain"), "plain");
  EXPECT_EQ(render("{{ label \"other\" }}"), "error: label other not found");
  EXPECT_EQ(render("{{ .Foo }}"), "error: can't evaluate field Foo");
  EXPECT_EQ(render("{{ .Name"), "error: unclosed action");
  EXPECT_EQ(render("{{ }}"), "error: missing value for command");
}

}  // namespace
}  // namespace kuma::resources

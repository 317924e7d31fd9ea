// The REST API by its answers, over a store in memory.

#include "rest/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "resources/all.h"
#include "tests/kit/rest_server.h"

namespace kuma::rest {
namespace {

using model::Value;
using testing::ElementsAre;
using testing::HasSubstr;

const model::TypeTable& Types() {
  static const model::TypeTable types(resources::AllResourceTypes());
  return types;
}

// A resource as YAML, straight into the store.
void Load(kit::RestServer& server, std::string_view yaml) {
  const auto documents = model::ParseYaml(yaml);
  ASSERT_TRUE(documents.has_value()) << documents.error().message();
  for (const Value& document : *documents) {
    model::Decoded decoded = model::DecodeResource(document, Types(), true);
    ASSERT_NE(decoded.resource, nullptr) << decoded.unreadable << decoded.violations.ToString();
    server.Load(decoded.resource);
  }
}

Value Json(const net::HttpResponse& response) {
  auto value = model::ParseJson(response.body);
  EXPECT_TRUE(value.has_value()) << response.body;
  return value ? *value : Value();
}

std::string Text(const Value& value, std::initializer_list<std::string_view> path) {
  const Value* found = value.At(path);
  return found != nullptr && found->if_string() ? *found->if_string() : "(none)";
}

std::vector<std::string> Names(const net::HttpResponse& response) {
  EXPECT_EQ(response.status, 200) << response.body;
  const Value body = Json(response);
  std::vector<std::string> names;
  const Value* items = body.Find("items");
  if (items == nullptr || !items->if_array()) return names;
  for (const Value& item : *items->if_array()) names.push_back(Text(item, {"name"}));
  return names;
}

constexpr std::string_view kMeshAndProxies = R"(
type: Mesh
name: default
---
type: Dataplane
mesh: default
name: dp-1
labels: {kuma.io/service: my-svc, k8s.kuma.io/namespace: ns1, kuma.io/zone: default}
networking: {address: 10.0.0.1, inbound: [{port: 80}, {port: 81, state: NotReady}]}
---
type: Dataplane
mesh: default
name: dp-2
labels: {kuma.io/service: other}
networking: {address: 10.0.0.2, inbound: [{port: 80}]}
---
type: Dataplane
mesh: default
name: gw-1
networking: {address: 10.0.0.3, gateway: {tags: {kuma.io/service: my-gateway}}}
---
type: DataplaneInsight
mesh: default
name: dp-1
subscriptions:
- id: a
  connectTime: "2026-01-02T03:04:05Z"
  version: {kumaDp: {version: 3.0.0}, envoy: {version: 1.40.0}}
mTLS: {issuedBackend: kri_mid_1, supportedBackends: [kri_mtrust_1]}
---
type: DataplaneInsight
mesh: default
name: gw-1
subscriptions:
- {id: b, connectTime: "2026-01-02T03:04:05Z"}
)";

TEST(Lists, Pages) {
  kit::RestServer server(Types());
  for (const char* name : {"m1", "m2", "m3"}) {
    Load(server, std::string("type: Mesh\nname: ") + name);
  }
  EXPECT_THAT(Names(server.Send("GET", "/meshes?size=2")), ElementsAre("m1", "m2"));
  const Value first = Json(server.Send("GET", "/meshes?size=2&name=m"));
  EXPECT_EQ(*first.Find("total")->if_int(), 3);
  EXPECT_EQ(Text(first, {"next"}), "http://127.0.0.1:5681/meshes?name=m&offset=2&size=2");
  const net::HttpResponse last = server.Send("GET", "/meshes?name=m&offset=2&size=2");
  EXPECT_THAT(Names(last), ElementsAre("m3"));
  EXPECT_TRUE(Json(last).Find("next")->is_null());
  EXPECT_THAT(Names(server.Send("GET", "/meshes?offset=7")), ElementsAre());
  EXPECT_THAT(Names(server.Send("GET", "/meshes?size=&offset=")), ElementsAre("m1", "m2", "m3"));

  const auto reason = [&server](const std::string& query) {
    const net::HttpResponse response = server.Send("GET", "/meshes?" + query);
    EXPECT_EQ(response.status, 400);
    const Value body = Json(response);
    const Value* parameters = body.Find("invalid_parameters");
    return parameters == nullptr ? Text(body, {"detail"})
                                 : Text((*parameters->if_array())[0], {"reason"});
  };
  EXPECT_EQ(reason("size=x"), "invalid format");
  EXPECT_EQ(reason("size=0"), "must be greater than 0");
  EXPECT_EQ(reason("size=-5"), "must be greater than 0");
  EXPECT_EQ(reason("size=99999999999999999999"), "invalid format");
  EXPECT_EQ(reason("size=1001"), "invalid page size of 1001. Maximum page size is 1000");
  EXPECT_EQ(reason("offset=x"),
            "invalid: invalid offset: strconv.Atoi: parsing \"x\": invalid syntax");
  EXPECT_EQ(reason("offset=-1"), "invalid: invalid offset: must be non-negative");
  EXPECT_EQ(reason("offset=9223372036854775807"), "invalid: invalid offset: exceeds maximum value");
}

TEST(Lists, Filter) {
  kit::RestServer server(Types());
  Load(server, kMeshAndProxies);
  const auto names = [&server](const std::string& query) {
    return Names(server.Send("GET", "/meshes/default/dataplanes?" + query));
  };
  EXPECT_THAT(names("name=dp"), ElementsAre("dp-1", "dp-2"));
  EXPECT_THAT(names("filter[labels.k8s.kuma.io/namespace]=ns1"), ElementsAre("dp-1"));
  EXPECT_THAT(names("filter%5Blabels.k8s.kuma.io%2Fnamespace%5D=ns1"), ElementsAre("dp-1"));
  EXPECT_THAT(names("filter[labels.kuma.io/service]=my-svc&filter[labels.kuma.io/service]=other"),
              ElementsAre("dp-2"))
      << "the last value of a label counts";
  EXPECT_THAT(names("filter[labels.kuma.io/service]=my-svc&filter[labels.x]=y"), ElementsAre());
  EXPECT_THAT(names("tag=kuma.io/service:svc"), ElementsAre("dp-1")) << "a part of the value";
  EXPECT_THAT(names("tag=kuma.io/service:my"), ElementsAre("dp-1", "gw-1"))
      << "labels, or the tags of a gateway";
  EXPECT_THAT(names("tag=no-colon"), ElementsAre("dp-1", "dp-2", "gw-1"));
  EXPECT_THAT(names("gateway=TRUE"), ElementsAre("gw-1"));
  EXPECT_THAT(names("gateway=delegated"), ElementsAre("gw-1"));
  EXPECT_THAT(names("gateway=false&size=1"), ElementsAre("dp-1"));
  EXPECT_THAT(Names(server.Send("GET", "/dataplanes?name=1")), ElementsAre("dp-1", "gw-1"));

  const auto violation = [&server](const std::string& target) {
    const net::HttpResponse response = server.Send("GET", target);
    EXPECT_EQ(response.status, 400) << target;
    const Value body = Json(response);
    const Value& first = (*body.Find("invalid_parameters")->if_array())[0];
    return Text(first, {"field"}) + ": " + Text(first, {"reason"});
  };
  EXPECT_EQ(violation("/meshes/default/dataplanes?filter[name]=x"),
            "/meshes/{mesh}/dataplanes.filter[name]: filters are only supported on labels");
  EXPECT_EQ(violation("/dataplanes?filter[labels.a][eq]=x"),
            "/dataplanes.filter[labels.a][eq]: advanced filters are not supported");
  EXPECT_EQ(violation("/meshes/default/dataplanes/_overview?filter[labels.a=x"),
            "/meshes/{mesh}/dataplanes/_overview.filter[labels.a: advanced filters are not "
            "supported");
  EXPECT_EQ(violation("/meshes/default/dataplanes+insights?gateway=maybe"),
            "/meshes/{mesh}/dataplanes+insights.gateway: should use `true`, `false` or "
            "`delegated` instead of maybe");
}

TEST(Overviews, AreTheResourceWithItsInsight) {
  kit::RestServer server(Types());
  Load(server, kMeshAndProxies);
  for (const char* target :
       {"/meshes/default/dataplanes/dp-1/_overview", "/meshes/default/dataplanes+insights/dp-1"}) {
    const Value body = Json(server.Send("GET", target));
    EXPECT_EQ(Text(body, {"type"}), "DataplaneOverview");
    EXPECT_EQ(Text(body, {"kri"}), "kri_dp_default_default_ns1_dp-1_");
    EXPECT_EQ(Text(body, {"dataplane", "networking", "address"}), "10.0.0.1");
    ASSERT_NE(body.At({"dataplaneInsight", "subscriptions"}), nullptr);
  }
  const net::HttpResponse list = server.Send("GET", "/meshes/default/dataplanes/_overview?size=2");
  EXPECT_THAT(Names(list), ElementsAre("dp-1", "dp-2"));
  EXPECT_EQ(Json(list).Find("items")->if_array()->at(1).Find("dataplaneInsight"), nullptr);
  EXPECT_THAT(Names(server.Send("GET", "/dataplanes+insights?gateway=true")), ElementsAre("gw-1"));
  EXPECT_EQ(server.Send("GET", "/meshes/default/dataplanes/nobody/_overview").status, 404);
  EXPECT_EQ(server.Send("GET", "/meshes/_overview").status, 404) << "a mesh of this name";
  EXPECT_EQ(server.Send("GET", "/meshes/default/meshservices/_overview").status, 404);

  Load(server, "{type: Zone, name: default, enabled: true}");
  const Value zone = Json(server.Send("GET", "/zones/default/_overview"));
  EXPECT_EQ(Text(zone, {"type"}), "ZoneOverview");
  EXPECT_EQ(*zone.At({"zone", "enabled"})->if_bool(), true);
  EXPECT_EQ(zone.Find("zoneInsight"), nullptr) << "a zone without a global control plane";
  EXPECT_THAT(Names(server.Send("GET", "/zones+insights")), ElementsAre("default"));
  EXPECT_THAT(Names(server.Send("GET", "/zone-insights")), ElementsAre());
}

TEST(Formats, TheShapeOfKubernetes) {
  kit::RestServer server(Types());
  Load(server, kMeshAndProxies);
  Load(server, R"(
type: MeshService
mesh: default
name: web
labels: {a: b}
spec: {selector: {dataplaneLabels: {matchLabels: {app: web}}}, ports: [{port: 80}]}
---
type: Secret
mesh: default
name: key
data: c2VjcmV0
---
type: GlobalSecret
name: global-key
data: c2VjcmV0
)");
  const auto in_kubernetes = [&server](const std::string& target) {
    const net::HttpResponse response = server.Send("GET", target);
    EXPECT_EQ(response.status, 200) << response.body;
    return Json(response);
  };
  const Value service = in_kubernetes("/meshes/default/meshservices/web?format=k8s");
  EXPECT_EQ(Text(service, {"kind"}), "MeshService");
  EXPECT_EQ(Text(service, {"apiVersion"}), "kuma.io/v1alpha1");
  EXPECT_EQ(Text(service, {"metadata", "namespace"}), "kuma-system");
  EXPECT_EQ(*service.At({"metadata", "labels"}), Value(model::Object{{"kuma.io/mesh", "default"}}));
  EXPECT_NE(service.At({"spec", "ports"}), nullptr);
  EXPECT_NE(service.At({"status", "tls"}), nullptr);
  EXPECT_EQ(Text(in_kubernetes("/meshes/default/meshservices/web?format=kubernetes&namespace=x"),
                 {"metadata", "namespace"}),
            "x");
  const Value proxy = in_kubernetes("/meshes/default/dataplanes/dp-2?format=k8s");
  EXPECT_EQ(Text(proxy, {"mesh"}), "default");
  EXPECT_EQ(proxy.At({"metadata", "labels"}), nullptr);
  const Value insight = in_kubernetes("/meshes/default/dataplane-insights/dp-1?format=k8s");
  EXPECT_NE(insight.At({"status", "subscriptions"}), nullptr);
  const Value mesh = in_kubernetes("/meshes/default?format=k8s");
  EXPECT_EQ(mesh.At({"metadata", "namespace"}), nullptr);
  EXPECT_EQ(*mesh.Find("spec"), Value(model::Object()));
  const Value secret = in_kubernetes("/meshes/default/secrets/key?format=k8s");
  EXPECT_EQ(Text(secret, {"kind"}), "Secret");
  EXPECT_EQ(Text(secret, {"apiVersion"}), "v1");
  EXPECT_EQ(Text(secret, {"type"}), "system.kuma.io/secret");
  EXPECT_EQ(Text(secret, {"data", "value"}), "c2VjcmV0");
  EXPECT_EQ(Text(in_kubernetes("/global-secrets/global-key?format=k8s"), {"type"}),
            "system.kuma.io/global-secret");
  EXPECT_EQ(Text(in_kubernetes("/meshes/default/meshservices/web?format=universal"), {"type"}),
            "MeshService");

  const net::HttpResponse bad = server.Send("GET", "/meshes/default?format=xml");
  EXPECT_EQ(bad.status, 400);
  EXPECT_THAT(bad.body,
              HasSubstr(R"(\"format\" must be one of [\"k8s\", \"kubernetes\", \"universal\"])"));
}

TEST(Kri, FindsWhatItNames) {
  kit::RestServer server(Types());
  Load(server, kMeshAndProxies);
  const auto status = [&server](const std::string& kri) {
    return server.Send("GET", "/_kri/" + kri).status;
  };
  EXPECT_EQ(status("kri_dp_default_default_ns1_dp-1_"), 200);
  EXPECT_EQ(status("kri_dp_default_default__dp-1_http"), 200) << "the section says nothing here";
  EXPECT_EQ(status("kri_m____default_"), 200) << "what the API itself calls the mesh";
  EXPECT_EQ(status("kri_dp_nowhere_default__dp-1_"), 404);
  EXPECT_EQ(status("kri_dp_default_east__dp-1_"), 404) << "a Dataplane of another zone";
  EXPECT_EQ(status("kri_dp_default_default__dp-1"), 400);
  EXPECT_EQ(status("kri_xx_default_default__dp-1_"), 400);
  EXPECT_EQ(Text(Json(server.Send("GET", "/_kri/xri_dp_default_default__dp-1_")), {"detail"}),
            "bad request: identifier must start with 'kri': \"xri_dp_default_default__dp-1_\"");
  EXPECT_EQ(
      Text(Json(server.Send("GET", "/_kri/kri_dp_default_default__dp-2_?format=k8s")), {"kind"}),
      "Dataplane");

  // From zone east: under its hashed name.
  model::Metadata east{.mesh = "default",
                       .name = "dp-1",
                       .labels = {{"kuma.io/zone", "east"}, {"kuma.io/display-name", "dp-1"}}};
  const std::string hashed = model::HashedName(east);
  Load(server, "type: Dataplane\nmesh: default\nname: " + hashed +
                   "\nlabels: {kuma.io/zone: east, kuma.io/display-name: dp-1}\n"
                   "networking: {address: 10.0.0.9, inbound: [{port: 80}]}");
  EXPECT_EQ(Text(Json(server.Send("GET", "/_kri/kri_dp_default_east__dp-1_")), {"name"}), hashed);
}

TEST(MeshInsights, AreWorkedOutWhenAskedFor) {
  kit::RestServer server(Types());
  EXPECT_EQ(server.Send("GET", "/mesh-insights/default").status, 404);
  Load(server, kMeshAndProxies);
  Load(server, "{type: Mesh, name: empty}");
  const Value insight = Json(server.Send("GET", "/mesh-insights/default"));
  const auto count = [&insight](std::initializer_list<std::string_view> path) {
    const Value* found = insight.At(path);
    return found != nullptr && found->if_int() ? *found->if_int() : 0;
  };
  EXPECT_EQ(Text(insight, {"type"}), "MeshInsight");
  EXPECT_EQ(count({"dataplanes", "total"}), 3);
  EXPECT_EQ(count({"dataplanes", "online"}), 1) << "the gateway";
  EXPECT_EQ(count({"dataplanes", "partiallyDegraded"}), 1) << "dp-1 has an inbound not ready";
  EXPECT_EQ(count({"dataplanes", "offline"}), 1) << "dp-2 is not connected";
  EXPECT_EQ(count({"dataplanesByType", "gateway", "online"}), 1);
  EXPECT_EQ(count({"dataplanesByType", "standard", "total"}), 2);
  EXPECT_EQ(count({"dpVersions", "envoy", "1.40.0", "total"}), 1);
  EXPECT_EQ(count({"dpVersions", "kumaDp", "unknown", "total"}), 2);
  EXPECT_EQ(count({"mTLS", "issuedBackends", "kri_mid_1", "partiallyDegraded"}), 1);
  EXPECT_EQ(count({"resources", "Dataplane", "total"}), 3);
  EXPECT_EQ(insight.At({"resources", "DataplaneInsight"}), nullptr);
  EXPECT_THAT(Names(server.Send("GET", "/mesh-insights")), ElementsAre("default", "empty"));
  EXPECT_THAT(Names(server.Send("GET", "/mesh-insights?name=emp")), ElementsAre("empty"));
  EXPECT_THAT(Names(server.Send("GET", "/mesh-insights?size=1&offset=1")), ElementsAre("empty"));
  for (const char* method : {"PUT", "DELETE"}) {
    const net::HttpResponse refused = server.Send(method, "/mesh-insights/default", "{}");
    EXPECT_EQ(refused.status, 405);
    EXPECT_EQ(Text(Json(refused), {"title"}), "Method not allowed");
  }
  const uint64_t revision = server.store().revision().value;
  server.Send("GET", "/mesh-insights");
  EXPECT_EQ(server.store().revision().value, revision) << "reading stores nothing";
}

TEST(GlobalInsight, CountsEverything) {
  kit::RestServer server(Types());
  Load(server, kMeshAndProxies);
  Load(server, R"(
type: MeshService
mesh: default
name: web
spec: {selector: {dataplaneLabels: {matchLabels: {app: web}}}, ports: [{port: 80}]}
status: {dataplaneProxies: {connected: 2, healthy: 1, total: 3}}
---
type: MeshService
mesh: default
name: db
spec: {selector: {dataplaneLabels: {matchLabels: {app: db}}}, ports: [{port: 80}]}
---
type: HostnameGenerator
name: local
spec: {selector: {meshService: {matchLabels: {a: b}}}, template: "{{ .Name }}.mesh"}
---
type: GlobalSecret
name: key
data: c2VjcmV0
)");
  const Value body = Json(server.Send("GET", "/global-insight"));
  const auto count = [&body](std::initializer_list<std::string_view> path) {
    const Value* found = body.At(path);
    return found != nullptr && found->if_int() ? *found->if_int() : -1;
  };
  EXPECT_EQ(count({"services", "internal", "total"}), 2);
  EXPECT_EQ(count({"services", "internal", "partiallyDegraded"}), 1);
  EXPECT_EQ(count({"services", "internal", "offline"}), 1);
  EXPECT_EQ(count({"services", "gatewayDelegated", "online"}), 1);
  EXPECT_EQ(count({"services", "external", "total"}), 0);
  EXPECT_EQ(count({"dataplanes", "standard", "total"}), 2);
  EXPECT_EQ(count({"dataplanes", "gatewayDelegated", "online"}), 1);
  EXPECT_EQ(count({"meshes", "total"}), 1);
  EXPECT_EQ(count({"zones", "controlPlanes", "total"}), 0);
  EXPECT_EQ(count({"resources", "MeshService", "total"}), 2);
  EXPECT_EQ(count({"resources", "HostnameGenerator", "total"}), 1);
  EXPECT_EQ(count({"resources", "GlobalSecret", "total"}), -1) << "nothing of secrets";

  const Value kinds = Json(server.Send("GET", "/global-insights"));
  EXPECT_EQ(Text(kinds, {"type"}), "GlobalInsights");
  EXPECT_EQ(*kinds.At({"resources", "Mesh", "total"})->if_int(), 1);
  EXPECT_EQ(*kinds.At({"resources", "Zone", "total"})->if_int(), 0);
  EXPECT_EQ(kinds.At({"resources", "Config"}), nullptr);
}

TEST(ServiceInsights, AreOneItemForEachService) {
  kit::RestServer server(Types());
  Load(server, R"(
type: Mesh
name: default
---
type: ServiceInsight
mesh: default
name: all-services-default
labels: {kuma.io/display-name: all-services-default, a: b}
services:
  web: {status: online, dataplanes: {online: 2, offline: 1}}
  pay: {status: not_available, serviceType: external}
)");
  const net::HttpResponse list = server.Send("GET", "/meshes/default/service-insights");
  EXPECT_THAT(Names(list), ElementsAre("pay", "web"));
  const Value web = Json(server.Send("GET", "/meshes/default/service-insights/web"));
  EXPECT_EQ(Text(web, {"addressPort"}), "web.mesh:80");
  EXPECT_EQ(*web.At({"dataplanes", "total"})->if_int(), 3);
  EXPECT_EQ(*web.Find("labels"), Value(model::Object{{"a", "b"}}));
  EXPECT_EQ(web.Find("services"), nullptr);
  EXPECT_THAT(Names(server.Send("GET", "/service-insights?type=External,%20internal&name=p")),
              ElementsAre("pay"));
  EXPECT_EQ(server.Send("GET", "/service-insights?type=x").status, 400);
  EXPECT_EQ(server.Send("GET", "/service-insights?size=x").status, 400);
  EXPECT_EQ(server.Send("GET", "/meshes/nowhere/service-insights").status, 404);
  EXPECT_EQ(server.Send("PUT", "/meshes/default/service-insights/web", "{}").status, 405);
  EXPECT_EQ(server.Send("GET", "/meshes/default/service-insights/unknown").status, 200);
  EXPECT_EQ(server.Send("GET", "/service-insights/web").status, 404);
}

TEST(Writes, AnswerAsKumaDoes) {
  kit::RestServer server(Types());
  Load(server, "{type: Mesh, name: default}");
  constexpr std::string_view kService = R"({"type":"MeshService","name":"web","spec":{"selector":
      {"dataplaneLabels":{"matchLabels":{"app":"web"}}},"ports":[{"port":80}]}})";
  const net::HttpResponse created =
      server.Send("PUT", "/meshes/default/meshservices/web", std::string(kService));
  EXPECT_EQ(created.status, 201) << created.body;
  EXPECT_EQ(created.body, "{}\n");
  EXPECT_TRUE(created.headers.Has("kuma-revision"));
  EXPECT_EQ(server.Send("PUT", "/meshes/default/meshservices/web", std::string(kService)).status,
            200);
  const auto title_of = [&server](const std::string& path, const std::string& body) {
    const net::HttpResponse response = server.Send("PUT", path, body);
    EXPECT_EQ(response.status, 400) << response.body;
    const Value value = Json(response);
    return Text(value, {"title"}) + "/" + Text(value, {"detail"});
  };
  EXPECT_EQ(title_of("/meshes/default/meshservices/1x",
                     R"({"type":"MeshService","name":"1x","spec":{"ports":[{"port":80}]}})"),
            "Failed to create a resource/Resource is not valid");
  EXPECT_EQ(title_of("/meshes/default/meshservices/web",
                     R"({"type":"MeshService","name":"web","spec":{"ports":[{"port":"x"}]}})"),
            "Could not process a resource/Resource is not valid");
  EXPECT_EQ(title_of("/meshes/default/meshservices/web", "[]"),
            "Bad Request/invalid MeshService object: \"json: cannot unmarshal array into Go value "
            "of type v1alpha1.ResourceMeta\"");
  EXPECT_EQ(title_of("/meshes/default/dataplanes/x", R"({"type":"Dataplane","name":"x",
                     "networking":{"address":"10.0.0.1","inbound":[{"port":1}]}})"),
            "Could not process a resource/Resource is not valid")
      << "only the newer kinds have a default mesh";
  net::HttpRequest yaml = server.Request("PUT", "/meshes/m", "type: Mesh\nname: m\n");
  yaml.headers.Set("content-type", "application/yaml");
  EXPECT_EQ(server.Send(yaml).status, 415);
  yaml.headers.Remove("content-type");
  EXPECT_EQ(server.Send(yaml).status, 415);
  net::HttpRequest charset = server.Request("PUT", "/meshes/m", R"({"type":"Mesh","name":"m"})");
  charset.headers.Set("content-type", "Application/JSON ; charset=utf-8");
  EXPECT_EQ(server.Send(charset).status, 201);
}

TEST(Writes, LabelsOfDataplanesSayWhatTheyAre) {
  kit::RestServer server(Types());
  Load(server, "{type: Mesh, name: default}");
  const auto put = [&server](const std::string& labels, const std::string& networking) {
    return server.Send("PUT", "/meshes/default/dataplanes/d",
                       R"({"type":"Dataplane","mesh":"default","name":"d","labels":{)" + labels +
                           R"(},"networking":{"address":"10.0.0.1",)" + networking + "}}");
  };
  const std::string ingress =
      R"("listeners":[{"type":"ZoneIngress","address":"10.0.0.1","port":1}])";
  EXPECT_EQ(put(R"("kuma.io/proxy-type":"ingress")", ingress).status, 201);
  const auto label = [&server](std::string_view name) {
    return Text(Json(server.Send("GET", "/meshes/default/dataplanes/d")), {"labels", name});
  };
  EXPECT_EQ(label("kuma.io/listener-zoneingress"), "enabled");
  EXPECT_EQ(label("kuma.io/listener-zoneegress"), "(none)");
  EXPECT_EQ(label("kuma.io/proxy-type"), "(none)");
  EXPECT_EQ(put(R"("kuma.io/listener-zoneingress":"enabled")", R"("inbound":[{"port":1}])").status,
            200);
  EXPECT_EQ(label("kuma.io/listener-zoneingress"), "(none)") << "it says what is not so";
  const net::HttpResponse refused =
      put(R"("kuma.io/workload":"1 Bad")", R"("inbound":[{"port":1}])");
  EXPECT_EQ(refused.status, 400);
  const net::HttpResponse no_workload =
      put(R"("kuma.io/workload":"1bad")", R"("inbound":[{"port":1}])");
  EXPECT_EQ(no_workload.status, 400);
  EXPECT_THAT(no_workload.body, HasSubstr("must be a valid DNS-1035 label"));
}

TEST(Writes, WhatBelongsToAnotherZoneStaysThere) {
  kit::RestServer server(Types());
  Load(server, R"(
type: Mesh
name: default
---
type: MeshService
mesh: default
name: web
labels: {kuma.io/zone: east, kuma.io/origin: global}
spec: {selector: {dataplaneLabels: {matchLabels: {app: web}}}, ports: [{port: 80}]}
)");
  const net::HttpResponse refused = server.Send("PUT", "/meshes/default/meshservices/web",
                                                R"({"type":"MeshService","name":"web",
      "spec":{"selector":{"dataplaneLabels":{"matchLabels":{"app":"web"}}},"ports":[{"port":80}]}})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("Could not update a resource"));
  EXPECT_THAT(refused.body, HasSubstr("is immutable, cannot be changed from"));
}

TEST(Writes, NothingWhenTheApiIsReadOnly) {
  rest::ApiSettings settings = kit::RestServer::Settings();
  settings.resources.read_only = true;
  kit::RestServer server(Types(), settings);
  EXPECT_EQ(server.Send("PUT", "/meshes/m", R"({"type":"Mesh","name":"m"})").status, 405);
  EXPECT_EQ(server.Send("DELETE", "/meshes/m").status, 405);
  const Value kinds = Json(server.Send("GET", "/_resources"));
  for (const Value& kind : *kinds.Find("resources")->if_array()) {
    EXPECT_TRUE(*kind.Find("readOnly")->if_bool());
  }
}

TEST(Cors, BrowsersOfAllowedPages) {
  rest::ApiSettings settings = kit::RestServer::Settings();
  settings.cors_domains = {"https://gui.example"};
  settings.resources.access = {};  // nobody may do anything
  kit::RestServer server(Types(), settings);
  net::HttpRequest preflight = server.Request("OPTIONS", "/meshes/default");
  preflight.headers.Set("origin", "https://gui.example");
  preflight.headers.Set("access-control-request-method", "PUT");
  preflight.headers.Set("access-control-request-headers", "authorization,content-type");
  net::HttpResponse allowed = server.Send(preflight);
  EXPECT_EQ(allowed.status, 200);
  EXPECT_EQ(allowed.headers.Get("access-control-allow-origin"), "https://gui.example");
  EXPECT_THAT(std::string(allowed.headers.Get("access-control-allow-methods")), HasSubstr("PUT"));
  EXPECT_EQ(allowed.headers.Get("access-control-allow-headers"), "authorization,content-type");
  preflight.headers.Set("origin", "https://evil.example");
  net::HttpResponse refused = server.Send(preflight);
  EXPECT_EQ(refused.status, 405);
  EXPECT_FALSE(refused.headers.Has("access-control-allow-origin"));
  net::HttpRequest get = server.Request("GET", "/who-am-i");
  get.headers.Set("origin", "https://gui.example");
  EXPECT_EQ(server.Send(get).headers.Get("access-control-allow-origin"), "https://gui.example");

  kit::RestServer without(Types());
  EXPECT_FALSE(without.Send(get).headers.Has("vary")) << "not configured: no header at all";
}

// Requests as people send them by mistake.
TEST(Mistakes, AreAnsweredAndHarmNothing) {
  rest::ApiSettings settings = kit::RestServer::Settings();
  settings.base_path = "/kuma";
  kit::RestServer server(Types(), settings);
  Load(server, "{type: Mesh, name: default}");
  const std::string deep = std::string(5000, '[') + std::string(5000, ']');
  const std::string deep_object = [] {
    std::string text = R"({"type":"Mesh","name":"m","a":)";
    for (int i = 0; i < 5000; ++i) text += "{\"a\":";
    return text;
  }();
  std::string many_labels = R"({"type":"Mesh","name":"m","labels":{)";
  for (int i = 0; i < 20000; ++i) {
    many_labels += (i == 0 ? "" : ",") + std::string("\"k") + std::to_string(i) + "\":\"v\"";
  }
  many_labels += "}}";
  std::string long_list = R"({"type":"Mesh","name":"m","skipCreatingInitialPolicies":[)";
  for (int i = 0; i < 100000; ++i) long_list += (i == 0 ? "\"x\"" : ",\"x\"");
  long_list += "]}";
  struct Row {
    const char* what;
    const char* method;
    std::string target;
    std::string body;
    int status;
    const char* text;  // a part of the answer
  };
  const Row rows[] = {
      {"no body", "PUT", "/kuma/meshes/m", "", 400, "unexpected end of JSON input"},
      {"cut off", "PUT", "/kuma/meshes/m", R"({"type":"Mesh")", 400, "unexpected end"},
      {"YAML", "PUT", "/kuma/meshes/m", "type: Mesh", 400, "invalid character"},
      {"two values", "PUT", "/kuma/meshes/m", "{} {}", 400, "after top-level value"},
      {"null", "PUT", "/kuma/meshes/m", "null", 400, "Bad Request"},
      {"a number", "PUT", "/kuma/meshes/m", "1", 400, "cannot unmarshal number"},
      {"nested lists", "PUT", "/kuma/meshes/m", deep, 400, "Bad Request"},
      {"nested objects", "PUT", "/kuma/meshes/m", deep_object, 400, "Bad Request"},
      {"invalid UTF-8", "PUT", "/kuma/meshes/m", "{\"type\":\"Mesh\",\"name\":\"\xff\xfe\"}", 400,
       "Bad Request"},
      {"a NUL", "PUT", "/kuma/meshes/m", std::string("{\"type\":\"Mesh\",\"name\":\"a\0b\"}", 28),
       400, "Bad Request"},
      {"an escaped NUL", "PUT", "/kuma/meshes/m", R"({"type":"Mesh","name":"m\u0000"})", 400,
       "name from the URL"},
      {"half a surrogate", "PUT", "/kuma/meshes/m", R"({"type":"Mesh","name":"\ud800"})", 400, ""},
      {"a huge number", "PUT", "/kuma/meshes/m", R"({"type":"Mesh","name":1e999})", 400, ""},
      {"labels as a list", "PUT", "/kuma/meshes/m", R"({"type":"Mesh","name":"m","labels":[]})",
       400, "labels"},
      {"a label as a number", "PUT", "/kuma/meshes/m",
       R"({"type":"Mesh","name":"m","labels":{"a":1}})", 400, "labels"},
      {"name as an object", "PUT", "/kuma/meshes/m", R"({"type":"Mesh","name":{}})", 400,
       "ResourceMeta.name"},
      {"another name", "PUT", "/kuma/meshes/m", R"({"type":"Mesh","name":"n"})", 400,
       "name from the URL"},
      {"another type", "PUT", "/kuma/meshes/m", R"({"type":"Zone","name":"m"})", 400,
       "type from the URL"},
      {"a name with spaces", "PUT", "/kuma/meshes/a%20b", R"({"type":"Mesh","name":"a b"})", 400,
       "RFC 1123"},
      {"a long name", "PUT", "/kuma/meshes/" + std::string(300, 'a'),
       R"({"type":"Mesh","name":")" + std::string(300, 'a') + "\"}", 400, "253"},
      {"a key twice: the last counts", "PUT", "/kuma/meshes/m",
       R"({"type":"Mesh","name":"n","name":"m"})", 201, "{}"},
      {"many labels", "PUT", "/kuma/meshes/m", many_labels, 200, "{}"},
      {"a long list", "PUT", "/kuma/meshes/m", long_list, 200, "{}"},
      {"no such kind", "GET", "/kuma/meshes/default/things", "", 404, "404: Page Not Found"},
      {"no such kind, PUT", "PUT", "/kuma/meshes/default/things/a", "{}", 404, "Page Not Found"},
      {"a global kind in a mesh", "GET", "/kuma/meshes/default/zones", "", 404, "Page Not Found"},
      {"too long a path", "GET", "/kuma/meshes/default/dataplanes/a/b/c", "", 404,
       "Page Not Found"},
      {"a mesh-scoped one without mesh", "GET", "/kuma/dataplanes/a", "", 404, "Page Not Found"},
      {"outside of the base path", "GET", "/meshes", "", 404, "Page Not Found"},
      {"a neighbour of the base path", "GET", "/kumax/meshes", "", 404, "Page Not Found"},
      {"up and out", "GET", "/kuma/meshes/../../etc/passwd", "", 404, ""},
      {"a slash in a name", "GET", "/kuma/meshes/a%2Fb", "", 404, ""},
      {"POST on a resource", "POST", "/kuma/meshes/m", "{}", 405, "405: Method Not Allowed"},
      {"PATCH on a resource", "PATCH", "/kuma/meshes/m", "{}", 405, "405"},
      {"PUT on a list", "PUT", "/kuma/meshes", "{}", 405, "405"},
      {"DELETE on a list", "DELETE", "/kuma/meshes", "", 405, "405"},
      {"PUT on an overview", "PUT", "/kuma/zones/x/_overview", "{}", 405, "405"},
      {"PUT on the index", "PUT", "/kuma", "{}", 405, "405"},
      {"GET of a token", "GET", "/kuma/tokens/dataplane", "", 405, "405"},
      {"a token of nothing", "POST", "/kuma/tokens/dataplane", "", 400, ""},
      {"a token of no kind", "POST", "/kuma/tokens/thing", "{}", 404, ""},
      {"OPTIONS", "OPTIONS", "/kuma/meshes", "", 405, "405"},
      {"TRACE", "TRACE", "/kuma/meshes", "", 405, "405"},
      {"removing twice", "DELETE", "/kuma/meshes/gone", "", 404, "Not found"},
  };
  for (const Row& row : rows) {
    const net::HttpResponse response = server.Send(row.method, row.target, row.body);
    EXPECT_EQ(response.status, row.status) << row.what << ": " << response.body.substr(0, 400);
    EXPECT_THAT(response.body.substr(0, 4000), HasSubstr(row.text)) << row.what;
    if (response.status == 405) {
      EXPECT_TRUE(response.headers.Has("allow")) << row.what;
    }
  }
  EXPECT_THAT(Names(server.Send("GET", "/kuma/meshes")), ElementsAre("default", "m"));

  const net::HttpResponse get = server.Send("GET", "/kuma/meshes");
  const net::HttpResponse head = server.Send("HEAD", "/kuma/meshes");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head.headers, get.headers);
}

TEST(Mistakes, AnswersStayReadable) {
  kit::RestServer server(Types());
  std::string body = R"({"type":"Mesh","name":"m")";
  for (int i = 0; i < 100000; ++i) body += ",\"k" + std::to_string(i) + "\":1";
  const net::HttpResponse response = server.Send("PUT", "/meshes/m", body + "}");
  EXPECT_EQ(response.status, 201);
  const Value answer = Json(response);
  const model::Array& warnings = *answer.Find("warnings")->if_array();
  ASSERT_EQ(warnings.size(), 101u);
  EXPECT_EQ(warnings.back(), Value("and 99900 more"));
}

TEST(Mistakes, StrictValidationRefusesWhatItDoesNotKnow) {
  constexpr std::string_view kBody = R"({"type":"Mesh","name":"m","mtls":{"enabledBackend":"x"}})";
  kit::RestServer lenient(Types());
  const net::HttpResponse warned = lenient.Send("PUT", "/meshes/m", std::string(kBody));
  EXPECT_EQ(warned.status, 201);
  EXPECT_EQ(Json(warned).Find("warnings")->if_array()->at(0),
            Value("mtls: unknown field, ignored"));

  rest::ApiSettings settings = kit::RestServer::Settings();
  settings.resources.strict = true;
  kit::RestServer strict(Types(), settings);
  const net::HttpResponse refused = strict.Send("PUT", "/meshes/m", std::string(kBody));
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("unknown field"));
  EXPECT_EQ(strict.Send("GET", "/meshes/m").status, 404);
}

}  // namespace
}  // namespace kuma::rest

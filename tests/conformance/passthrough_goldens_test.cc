// Goldens of Kuma's MeshPassthrough (conformance/golden/xds-policy-golden-only): their inputs are code
// there, and a table here.

#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "base/strings.h"
#include "generate/generate.h"
#include "mesh/mesh_state.h"
#include "policies/all.h"
#include "tests/conformance/recorded_mesh.h"
#include "tests/kit/builders.h"

namespace kuma {
namespace {

struct Case {
  const char* name;
  const char* conf;
  const char* listeners = "listener";  // how the golden's name goes on
};
constexpr Case kCases[] = {
    {"basic", R"({appendMatch: [
      {type: Domain, value: api.example.com, port: 443, protocol: tls},
      {type: Domain, value: example.com, port: 443, protocol: tls},
      {type: Domain, value: "*.example.com", port: 443, protocol: tls},
      {type: Domain, value: example.com, port: 8080, protocol: http},
      {type: Domain, value: other.com, port: 8080, protocol: http},
      {type: CIDR, value: 192.168.0.0/16, port: 8126, protocol: http},
      {type: CIDR, value: 240.0.0.0/4, port: 8126, protocol: http},
      {type: Domain, value: www.google.com, port: 80, protocol: http},
      {type: IP, value: 10.42.0.8, protocol: http},
      {type: IP, value: "b6e5:a45e:70ae:e77f:d24e:5023:375d:20a6", protocol: tls},
      {type: IP, value: "9942:9abf:d0e0:f2da:2290:333b:e590:f497", port: 9091, protocol: tcp}]})"},
    {"only-ipv4-rules", R"({appendMatch: [
      {type: IP, value: 192.168.0.0, port: 80, protocol: tcp}]})"},
    {"simple", R"({appendMatch: [
      {type: Domain, value: api.example.com, port: 80, protocol: http},
      {type: IP, value: 192.168.0.0, port: 80, protocol: tcp}]})"},
    {"cidr-http", R"({appendMatch: [
      {type: CIDR, value: 10.10.0.0/16, port: 80, protocol: http},
      {type: CIDR, value: 192.168.0.0/24, port: 80, protocol: http},
      {type: IP, value: 192.168.0.0, protocol: http}]})"},
    {"http-domains-aggregated", R"({appendMatch: [
      {type: Domain, value: example1.com, port: 80, protocol: http},
      {type: Domain, value: anotherexample.com, protocol: http},
      {type: Domain, value: example2.com, port: 80, protocol: http},
      {type: Domain, value: "*.example.com", protocol: http}]})"},
    {"http-domains", R"({appendMatch: [
      {type: Domain, value: www.example.com, port: 80, protocol: http},
      {type: Domain, value: www.anotherexample.com, protocol: http}]})"},
    {"same-protocol", R"({appendMatch: [
      {type: Domain, value: www.gmail.com, port: 80, protocol: http},
      {type: IP, value: 10.42.0.8, protocol: http}]})"},
    {"mysql-protocol", R"({appendMatch: [
      {type: IP, value: 172.12.2.2, port: 3306, protocol: mysql},
      {type: CIDR, value: 172.12.2.2/24, port: 3307, protocol: mysql}]})"},
    {"disabled_on_policy", "{passthroughMode: None}", "listeners"},
};

model::ResourcePtr Policy(const char* conf) {
  const auto spec = model::ParseYaml(std::string("{default: ") + conf + "}");
  EXPECT_TRUE(spec.has_value()) << conf;
  // Without validation: not all of Kuma's inputs are valid, and several policies are joined.
  auto policy = model::DecodeStored(*Types().Find("MeshPassthrough"),
                                    {.mesh = "default", .name = "p"}, (*spec)[0], Value());
  EXPECT_TRUE(policy.has_value()) << conf;
  return *policy;
}

base::Result<bundle::XdsBundle> Generate(const char* conf,
                                         const std::vector<model::ResourcePtr>& more = {}) {
  generate::Settings settings;
  settings.internal_ranges = {"127.0.0.1/32", "::1/128"};
  const generate::Generator generator(policies::AllPolicies(), std::move(settings));
  generate::ProxyNode node;
  node.ipv6_enabled = false;
  kit::DataplaneOptions options;
  options.transparent = true;
  mesh::MeshState state;
  std::vector<mesh::Change> changes;
  for (const model::ResourcePtr& resource :
       {kit::Mesh(), kit::Dataplane("web", options), Policy(conf)})
    changes.push_back({resource->key(), nullptr, resource, {1}});
  for (const model::ResourcePtr& resource : more)
    changes.push_back({resource->key(), nullptr, resource, {1}});
  state.Apply(changes);
  return generator.BuildAll(*state.Freeze(), {"default", "web"}, node);
}

bool IsPassthrough(std::string_view name) {
  return name.starts_with("meshpassthrough_") ||
         name.starts_with("self_transparentproxy_passthrough_outbound_");
}

class PassthroughGoldens : public testing::TestWithParam<Case> {};

// `parts`: members that the policy is about; empty: the whole.
void Compare(const fs::path& golden, const bundle::SealedList& resources,
             const std::vector<const char*>& parts) {
  const auto documents = model::ParseYaml(Read(golden));
  ASSERT_TRUE(documents.has_value()) << golden;
  const Value* list = (*documents)[0].Find("resources");
  std::set<std::string> wanted;
  for (size_t i = 0; list != nullptr && list->if_array() != nullptr && i < list->if_array()->size();
       ++i) {
    const Value& entry = (*list->if_array())[i];
    const std::string name = Text(entry, "name");
    wanted.insert(name);
    const bundle::SealedResource* found = bundle::Find(resources, name);
    ASSERT_NE(found, nullptr) << golden << " " << name;
    Value expected = *entry.Find("resource");
    Value actual = *model::ParseJson(generate::ResourceJson(*found));
    // Another policy's.
    if (actual.if_object()->Find("circuitBreakers")) actual.if_object()->Erase("circuitBreakers");
    Normalise(expected);
    Normalise(actual);
    std::vector<std::string> differences;
    if (parts.empty()) Differences(expected, actual, "", differences);
    // A listener that the policy left alone is one of their fixtures.
    const bool replaced = actual.Find("listenerFilters") != nullptr;
    ASSERT_EQ(replaced, expected.Find("listenerFilters") != nullptr) << golden << " " << name;
    if (!parts.empty() && !replaced) continue;
    for (const char* part : parts) {
      const Value* a = expected.Find(part);
      const Value* b = actual.Find(part);
      ASSERT_EQ(a == nullptr, b == nullptr) << golden << " " << name << " " << part;
      if (a != nullptr) Differences(*a, *b, part, differences);
    }
    EXPECT_TRUE(differences.empty())
        << golden << " " << name << ":\n  " << base::Join(differences, "\n  ");
  }
  for (const bundle::SealedPtr& resource : resources) {
    const bool unwanted = IsPassthrough(resource->name) && !wanted.contains(resource->name);
    EXPECT_FALSE(unwanted) << resource->name;
  }
}

TEST_P(PassthroughGoldens, Equal) {
  const Case& tested = GetParam();
  const fs::path folder =
      ScenarioFolder().parent_path() / "golden" / "xds-policy-golden-only" / "meshpassthrough";
  const fs::path listeners =
      folder / (std::string(tested.name) + "." + tested.listeners + ".golden.yaml");
  if (!fs::exists(listeners)) GTEST_SKIP() << listeners << " is absent";
  const auto generated = Generate(tested.conf);
  ASSERT_TRUE(generated.has_value()) << generated.error().message();
  const bundle::XdsBundle& bundle = *generated;
  // Their listeners before the policy are not ours: with the default chain they differ.
  if (std::string_view(tested.listeners) == "listener")
    Compare(listeners, bundle.Of(bundle::XdsType::kListener), {"filterChains", "listenerFilters"});
  Compare(folder / (std::string(tested.name) + ".clusters.golden.yaml"),
          bundle.Of(bundle::XdsType::kCluster), {});
}

INSTANTIATE_TEST_SUITE_P(Recorded, PassthroughGoldens, testing::ValuesIn(kCases),
                         [](const auto& tested) {
                           std::string name = tested.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// What an access log says of the mesh holds for what passes through, too, as TCP and as HTTP.
TEST(Passthrough, IsLogged) {
  const auto log = [](const char* target) {
    return kit::FromYaml(std::string(R"(
type: MeshAccessLog
mesh: default
name: log
spec:
  to:
  - targetRef: )") + target +
                         R"(
    default: {backends: [{type: File, file: {path: /outside.log}}]}
)");
  };
  const auto outbound = [](const base::Result<bundle::XdsBundle>& bundle) {
    const auto* found = bundle::Find(bundle->Of(bundle::XdsType::kListener),
                                     "self_transparentproxy_passthrough_outbound_ipv4");
    return found == nullptr ? std::string() : generate::ResourceJson(*found);
  };
  constexpr const char* kHttpHost =
      "{appendMatch: [{type: Domain, value: a.com, port: 80, protocol: http}]}";
  const auto tcp = Generate("{passthroughMode: All}", {log("{kind: Mesh}")});
  ASSERT_TRUE(tcp.has_value()) << tcp.error().message();
  EXPECT_NE(outbound(tcp).find("%UPSTREAM_HOST%(external) took"), std::string::npos)
      << outbound(tcp);
  const auto http = Generate(kHttpHost, {log("{kind: Mesh}")});
  ASSERT_TRUE(http.has_value()) << http.error().message();
  EXPECT_NE(outbound(http).find("%REQ(:METHOD)%"), std::string::npos) << outbound(http);
  // Where nothing is said of the mesh, and on what comes in.
  const auto service =
      Generate("{passthroughMode: All}",
               {log("{kind: MeshService, labels: {kuma.io/display-name: backend}}")});
  ASSERT_TRUE(service.has_value()) << service.error().message();
  EXPECT_EQ(outbound(service).find("/outside.log"), std::string::npos);
  const auto* inbound = bundle::Find(tcp->Of(bundle::XdsType::kListener),
                                     "self_transparentproxy_passthrough_inbound_ipv4");
  ASSERT_NE(inbound, nullptr);
  EXPECT_EQ(generate::ResourceJson(*inbound).find("/outside.log"), std::string::npos);
}

// What is refused only when Envoy would refuse it.
TEST(Passthrough, ProtocolsThatCannotBeToldApartAreAnError) {
  const auto error_of = [](const char* conf) {
    const auto bundle = Generate(conf);
    return bundle.has_value() ? std::string() : bundle.error().message();
  };
  EXPECT_NE(error_of(R"({appendMatch: [
      {type: Domain, value: a.com, port: 80, protocol: http},
      {type: Domain, value: b.com, port: 80, protocol: grpc}]})")
                .find("you cannot configure http, http2, grpc on the same port 80"),
            std::string::npos);
  // What is for all ports is for this one, too.
  EXPECT_NE(error_of(R"({appendMatch: [
      {type: Domain, value: a.com, protocol: http},
      {type: Domain, value: b.com, port: 80, protocol: grpc}]})")
                .find("grpc and http cannot be told apart on port 80"),
            std::string::npos);
  EXPECT_EQ(error_of(R"({appendMatch: [
      {type: IP, value: 192.0.2.1, port: 3306, protocol: mysql},
      {type: IP, value: 192.0.2.1, port: 3306, protocol: tcp}]})"),
            "");
}

}  // namespace
}  // namespace kuma

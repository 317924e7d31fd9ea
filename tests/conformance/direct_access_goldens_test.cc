// Goldens of Kuma's directAccessServices (conformance/golden/xds-generator/direct-access).

#include <gtest/gtest.h>

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

fs::path Folder() { return ScenarioFolder().parent_path() / "golden" / "xds-generator"; }

// Their Dataplanes have fields of older versions, which the control plane would refuse today.
model::ResourcePtr DataplaneOf(Value document) {
  document.if_object()->Set("type", "Dataplane");
  document.if_object()->Set("mesh", "default");
  if (const Value* networking = document.Find("networking")) {
    Object kept = *networking->if_object();
    Array inbounds;
    if (const Value* listed = kept.Find("inbound")) {
      for (const Value& inbound : *listed->if_array()) {
        Object without_tags = *inbound.if_object();
        without_tags.Erase("tags");
        inbounds.push_back(without_tags);
      }
    }
    kept.Set("inbound", inbounds);
    if (const Value* listed = kept.Find("outbound")) {
      Array outbounds;
      for (const Value& outbound : *listed->if_array()) {
        Object without_tags = *outbound.if_object();
        without_tags.Erase("tags");
        without_tags.Set(
            "backendRef",
            Object{{"kind", "MeshService"}, {"name", "redis"}, {"port", int64_t{1234}}});
        outbounds.push_back(without_tags);
      }
      kept.Set("outbound", outbounds);
    }
    if (const Value* redirects = kept.Find("transparentProxying")) {
      Object known = *redirects->if_object();
      if (known.Find("redirectPort") != nullptr) {
        known.Erase("redirectPort");
        known.Set("redirectPortOutbound", int64_t{15001});
        known.Set("redirectPortInbound", int64_t{15006});
      }
      kept.Set("transparentProxying", known);
    }
    document.if_object()->Set("networking", kept);
  }
  const model::Decoded decoded = model::DecodeResource(document, Types());
  EXPECT_NE(decoded.resource, nullptr) << decoded.violations.ToString() << decoded.unreadable;
  return decoded.resource;
}

void Compare(const fs::path& folder, const Value& tested) {
  const auto text = [&](const char* key) { return Read(folder / Text(tested, key)); };
  mesh::MeshState state;
  std::vector<mesh::Change> changes;
  const auto put = [&](const model::ResourcePtr& resource) {
    if (resource != nullptr) changes.push_back({resource->key(), nullptr, resource, {1}});
  };
  put(kit::Mesh("default"));
  const auto others = model::ParseYaml(text("dataplanesFile"));
  ASSERT_TRUE(others.has_value());
  for (const Value& document : *others) {
    if (document.Find("name") != nullptr) put(DataplaneOf(document));
  }
  const model::ResourcePtr caller = DataplaneOf((*model::ParseYaml(text("dataplaneFile")))[0]);
  ASSERT_NE(caller, nullptr);
  std::erase_if(changes, [&](const mesh::Change& change) { return change.key == caller->key(); });
  put(caller);
  state.Apply(changes);

  const generate::Generator generator(policies::AllPolicies(), {});
  const auto bundle =
      generator.BuildAll(*state.Freeze(), {"default", caller->meta().name}, generate::ProxyNode());
  ASSERT_TRUE(bundle.has_value()) << bundle.error().message();

  const Value golden = (*model::ParseYaml(text("expected")))[0];
  std::set<std::string> wanted;
  const auto find = [&](const std::string& name) {
    const bundle::SealedResource* found =
        bundle::Find(bundle->Of(bundle::XdsType::kListener), name);
    return found != nullptr ? found : bundle::Find(bundle->Of(bundle::XdsType::kCluster), name);
  };
  const Value* resources = golden.Find("resources");
  for (size_t i = 0; resources != nullptr && i < resources->if_array()->size(); ++i) {
    const Value& entry = (*resources->if_array())[i];
    const std::string name = Text(entry, "name");
    wanted.insert(name);
    const bundle::SealedResource* found = find(name);
    ASSERT_NE(found, nullptr) << name;
    Value expected = *entry.Find("resource");
    Value actual = *model::ParseJson(generate::ResourceJson(*found));
    actual.if_object()->Erase("circuitBreakers");  // of another policy
    Normalise(expected);
    Normalise(actual);
    std::vector<std::string> differences;
    Differences(expected, actual, name, differences);
    EXPECT_TRUE(differences.empty()) << base::Join(differences, "\n");
  }
  for (const auto type : {bundle::XdsType::kListener, bundle::XdsType::kCluster}) {
    for (const bundle::SealedPtr& resource : bundle->Of(type)) {
      EXPECT_TRUE(!resource->name.starts_with("direct_access") || wanted.contains(resource->name))
          << resource->name;
    }
  }
}

TEST(DirectAccessGoldens, Equal) {
  const fs::path cases = Folder() / "direct-access.cases.json";
  if (!fs::exists(cases)) GTEST_SKIP() << cases << " is absent";
  const Value listed = ReadJson(cases);
  for (const Value& tested : *listed.if_array()) {
    SCOPED_TRACE(model::ToJson(tested));
    Compare(Folder() / "direct-access", tested);
  }
}

// Kuma logs what goes to one of the addresses, whichever comes first; here they are alike.
TEST(DirectAccess, IsLogged) {
  mesh::MeshState state;
  std::vector<mesh::Change> changes;
  for (const model::ResourcePtr& resource :
       {kit::Mesh("default"), kit::Dataplane("a", {.address = "10.0.0.1"}),
        kit::Dataplane("b", {.address = "10.0.0.2"}),
        kit::Dataplane("web", {.transparent = true, .direct_access = {"*"}}), kit::FromYaml(R"(
type: MeshAccessLog
mesh: default
name: log
spec:
  to:
  - targetRef: {kind: Mesh}
    default: {backends: [{type: File, file: {path: /peers.log, format: {type: Plain, plain: "%KUMA_DESTINATION_SERVICE%"}}}]}
)")})
    changes.push_back({resource->key(), nullptr, resource, {1}});
  state.Apply(changes);
  const generate::Generator generator(policies::AllPolicies(), {});
  const auto bundle =
      generator.BuildAll(*state.Freeze(), {"default", "web"}, generate::ProxyNode());
  ASSERT_TRUE(bundle.has_value()) << bundle.error().message();
  for (const std::string name : {"direct_access_10.0.0.1:8080", "direct_access_10.0.0.2:8080"}) {
    const auto* listener = bundle::Find(bundle->Of(bundle::XdsType::kListener), name);
    ASSERT_NE(listener, nullptr) << name;
    const std::string json = generate::ResourceJson(*listener);
    EXPECT_NE(json.find("/peers.log"), std::string::npos) << json;
    EXPECT_NE(json.find("\"" + name + "\\n\""), std::string::npos) << json;
  }
}

}  // namespace
}  // namespace kuma

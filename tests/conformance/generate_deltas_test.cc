// What single policies change: src/policies/<policy>/testdata/apply/<case>/input.yaml holds
// policies, change.golden.yaml the difference that they make to the proxies of
// src/generate/testdata/mesh.yaml. KUMA_UPDATE_GOLDENS=1 writes the goldens; look at the diff.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "generate/generate.h"
#include "mesh/mesh_state.h"
#include "model/labels.h"
#include "model/value.h"
#include "policies/all.h"
#include "policies/schemas.h"
#include "resources/all.h"

namespace kuma {
namespace {

using generate::Generator;
using model::Array;
using model::Object;
using model::Value;
namespace fs = std::filesystem;

fs::path SourceFolder() {
  const char* source = std::getenv("KUMA_SOURCE_DIR");
  return fs::path(source == nullptr ? "." : source) / "src";
}

std::string Read(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void Load(const fs::path& path, mesh::MeshState& state) {
  static const model::TypeTable types = [] {
    std::vector<const model::ResourceType*> all = resources::AllResourceTypes();
    const auto& schemas = policies::AllPolicySchemas();
    all.insert(all.end(), schemas.begin(), schemas.end());
    return model::TypeTable(std::move(all));
  }();
  const auto documents = model::ParseYaml(Read(path));
  ASSERT_TRUE(documents.has_value()) << path << ": " << documents.error().message();
  std::vector<mesh::Change> changes;
  for (const Value& document : *documents) {
    const model::Decoded decoded = model::DecodeResource(document, types);
    ASSERT_NE(decoded.resource, nullptr) << path << ": " << decoded.violations.ToString();
    ASSERT_TRUE(decoded.unknown.empty()) << path << ": unknown field " << decoded.unknown[0];
    model::Metadata meta = decoded.resource->meta();
    meta.labels = model::ComputeLabels(decoded.resource->type(), meta, {});
    const auto resource =
        std::make_shared<model::Resource>(decoded.resource->type(), std::move(meta),
                                          decoded.resource->spec(), decoded.resource->status());
    changes.push_back({resource->key(), nullptr, resource, {1}});
  }
  state.Apply(changes);
}

// "<type> <name>" -> resource, for all proxies of the mesh: their names come first.
Value Generate(mesh::MeshState& state) {
  static const Generator generator(policies::AllPolicies(), {});
  const mesh::SnapshotPtr snapshot = state.Freeze();
  Object result;
  generate::ProxyNode node;
  node.ipv6_enabled = false;
  for (const char* proxy : {"backend", "web"}) {
    const auto bundle = generator.BuildAll(*snapshot, {"m", proxy}, node);
    EXPECT_TRUE(bundle.has_value()) << bundle.error().message();
    Object resources;
    for (const bundle::XdsType type : {bundle::XdsType::kCluster, bundle::XdsType::kEndpoints,
                                       bundle::XdsType::kListener, bundle::XdsType::kSecret}) {
      const std::string url(bundle::TypeUrl(type));
      for (const bundle::SealedPtr& resource : bundle->Of(type)) {
        resources.Set(url.substr(url.rfind('.') + 1) + " " + resource->name,
                      *model::ParseJson(generate::ResourceJson(*resource)));
      }
    }
    result.Set(proxy, std::move(resources));
  }
  return result;
}

void Difference(const Value& before, const Value& after, const std::string& path, Object& out) {
  if (before == after) return;
  const Object* a = before.if_object();
  const Object* b = after.if_object();
  if (a != nullptr && b != nullptr) {
    for (const auto& [key, member] : *a) {
      if (b->Find(key) == nullptr) out.Set(path + "/" + key, "REMOVED");
    }
    for (const auto& [key, member] : *b) {
      const Value* old = a->Find(key);
      if (old == nullptr) {
        out.Set(path + "/" + key, member);
      } else {
        Difference(*old, member, path + "/" + key, out);
      }
    }
    return;
  }
  const Array* x = before.if_array();
  const Array* y = after.if_array();
  if (x != nullptr && y != nullptr && x->size() == y->size()) {
    for (size_t i = 0; i < x->size(); ++i)
      Difference((*x)[i], (*y)[i], path + "/" + std::to_string(i), out);
    return;
  }
  out.Set(path, after);
}

Value Changes(const Value& before, const Value& after) {
  Object result;
  for (const auto& [proxy, resources] : *after.if_object()) {
    Object of_proxy;
    for (const auto& [name, resource] : *resources.if_object()) {
      const Value* old = before.At({proxy, name});
      Object changes;
      if (old == nullptr) {
        changes.Set("/", resource);
      } else {
        Difference(*old, resource, "", changes);
      }
      changes.SortKeys();
      if (!changes.empty()) of_proxy.Set(name, std::move(changes));
    }
    for (const auto& [name, resource] : *before.Find(proxy)->if_object()) {
      if (resources.Find(name) == nullptr) of_proxy.Set(name, "REMOVED");
    }
    if (!of_proxy.empty()) result.Set(proxy, std::move(of_proxy));
  }
  return result;
}

std::vector<fs::path> Cases() {
  std::vector<fs::path> cases;
  for (const auto& policy : fs::directory_iterator(SourceFolder() / "policies")) {
    const fs::path folder = policy.path() / "testdata" / "apply";
    if (!fs::exists(folder)) continue;
    for (const auto& entry : fs::directory_iterator(folder)) cases.push_back(entry.path());
  }
  std::sort(cases.begin(), cases.end());
  return cases;
}

TEST(DeltaTest, PoliciesChangeWhatTheirGoldensSay) {
  mesh::MeshState plain;
  Load(SourceFolder() / "generate" / "testdata" / "mesh.yaml", plain);
  ASSERT_FALSE(HasFatalFailure());
  const Value before = Generate(plain);
  const std::vector<fs::path> cases = Cases();
  EXPECT_FALSE(cases.empty());
  for (const fs::path& folder : cases) {
    mesh::MeshState state;
    Load(SourceFolder() / "generate" / "testdata" / "mesh.yaml", state);
    Load(folder / "input.yaml", state);
    if (HasFatalFailure()) continue;
    const Value changes = Changes(before, Generate(state));
    const fs::path golden = folder / "change.golden.yaml";
    if (std::getenv("KUMA_UPDATE_GOLDENS") != nullptr)
      std::ofstream(golden) << model::ToYaml(changes);
    const auto expected = model::ParseYaml(Read(golden));
    ASSERT_TRUE(expected.has_value() && expected->size() == 1) << golden;
    EXPECT_EQ((*expected)[0], changes) << golden << "\n" << model::ToYaml(changes);
  }
}

}  // namespace
}  // namespace kuma

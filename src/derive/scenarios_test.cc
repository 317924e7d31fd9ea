// What Kuma made of recorded meshes: their resources go in, the lists of MeshServices and Workloads
// must come out. Where the recordings lie: KUMA_CONFORMANCE_DIR, else ../shared/conformance beside
// the source folder.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/format.h"
#include "derive/internal/test_world.h"
#include "model/labels.h"
#include "resources/all.h"

namespace kuma::derive {
namespace {

namespace fs = std::filesystem;
using model::Value;

fs::path Folder() {
  if (const char* folder = std::getenv("KUMA_CONFORMANCE_DIR"))
    return fs::path(folder) / "scenarios";
  const char* source = std::getenv("KUMA_SOURCE_DIR");
  return fs::path(source == nullptr ? "." : source) / ".." / "shared" / "conformance" / "scenarios";
}

std::string Read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// As a write over REST does: labels are computed, and what has a service probe is not ready before
// the first report.
ResourcePtr AsWritten(const ResourcePtr& given) {
  model::Metadata meta = given->meta();
  meta.labels = model::ComputeLabels(given->type(), meta, model::ControlPlane{});
  if (given->type().kind != "Dataplane")
    return std::make_shared<model::Resource>(given->type(), std::move(meta), given->spec());
  dataplane::Spec spec = given->Spec<dataplane::Spec>();
  for (dataplane::Inbound& inbound : spec.networking->inbound) {
    if (inbound.service_probe.has_value()) inbound.state = dataplane::InboundState::kNotReady;
  }
  return model::MakeResource(dataplane::Type(), std::move(meta), std::move(spec));
}

// Times are masked, VIPs named after their owner.
Value Comparable(Value item) {
  model::Object& object = *item.if_object();
  object.Erase("creationTime");
  object.Erase("modificationTime");
  if (Value* status = object.Find("status")) {
    if (Value* vips = status->if_object()->Find("vips"))
      *vips = Value(static_cast<int64_t>(vips->if_array()->size()));
  }
  return item;
}

class ScenarioTest : public testing::TestWithParam<fs::path> {};

TEST_P(ScenarioTest, ListsAreAsRecorded) {
  const fs::path folder = Folder() / GetParam();
  const model::TypeTable types(resources::AllResourceTypes());
  World world;
  world.Start();
  std::vector<std::string> proxies;
  std::string mesh;
  const auto documents = model::ParseYaml(Read(folder / "resources.yaml"));
  ASSERT_TRUE(documents.has_value()) << documents.error().message();
  for (const Value& document : *documents) {
    const std::string& kind = *document.Find("type")->if_string();
    if (kind == "Mesh") mesh = *document.Find("name")->if_string();
    if (types.Find(kind) == nullptr) continue;  // not an input of what is compared
    const model::Decoded decoded = model::DecodeResource(document, types);
    ASSERT_NE(decoded.resource, nullptr) << decoded.violations.ToString();
    world.Put(AsWritten(decoded.resource));
    if (kind == "Dataplane") proxies.push_back(decoded.resource->name());
  }
  for (const std::string& proxy : proxies) world.Connect(mesh, proxy, true);
  EXPECT_TRUE(world.RunFromScratch().empty());

  for (const auto& [kind, file] :
       {std::pair("MeshService", "meshservices.json"), std::pair("Workload", "workloads.json")}) {
    const fs::path path = folder / "capture" / "lists" / file;
    std::map<std::string, Value> expected;
    if (fs::exists(path)) {
      const auto list = model::ParseJson(Read(path));
      ASSERT_TRUE(list.has_value()) << list.error().message();
      for (const Value& item : *list->Find("items")->if_array())
        expected[*item.Find("name")->if_string()] = Comparable(item);
    }
    std::map<std::string, Value> derived;
    world.state().current().Mesh(mesh)->Of(kind).ForEach(
        [&](const std::string& name, const ResourcePtr& resource) {
          derived[name] = Comparable(model::EncodeResource(*resource));
        });
    for (const auto& [name, value] : expected) {
      ASSERT_TRUE(derived.contains(name)) << kind << " " << name << " is missing";
      EXPECT_TRUE(derived[name] == value)
          << kind << " " << name << "\nrecorded " << model::ToJson(value, 1) << "\nderived "
          << model::ToJson(derived[name], 1);
    }
    EXPECT_EQ(derived.size(), expected.size()) << kind;
  }
}

std::vector<fs::path> Scenarios() {
  std::vector<fs::path> names;
  const fs::path folder = Folder();
  if (!fs::exists(folder)) {
    std::printf("SKIPPED: no recorded scenarios at %s\n", folder.lexically_normal().c_str());
    return names;
  }
  const model::TypeTable types(resources::AllResourceTypes());
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!fs::exists(entry.path() / "resources.yaml")) continue;
    // Identities come from the status of a MeshIdentity, which this room does not make.
    if (Read(entry.path() / "resources.yaml").find("type: MeshIdentity") != std::string::npos)
      continue;
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ScenarioTest);
INSTANTIATE_TEST_SUITE_P(Recorded, ScenarioTest, testing::ValuesIn(Scenarios()),
                         [](const auto& test) {
                           std::string name = test.param.string();
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace kuma::derive

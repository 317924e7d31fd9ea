#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <set>
#include <sstream>

#include "mesh/mesh_state.h"
#include "model/describe.h"
#include "model/names.h"
#include "policy/effective.h"
#include "policy/target_ref.h"
#include "policy/view.h"
#include "resources/dataplane/dataplane.h"
#include "resources/mesh_service/mesh_service.h"

namespace kuma::policy {
namespace {

using model::Array;
using model::Object;
using model::Value;
namespace fs = std::filesystem;

// ---- a policy whose confs are any JSON, merged as RFC 7396 says

struct AnyTo {
  TargetRef target_ref;
  Value conf;
  static constexpr auto Fields() {
    return std::tuple{model::Field("targetRef", &AnyTo::target_ref, "d"),
                      model::Field("default", &AnyTo::conf, "d")};
  }
};
struct AnyRule {
  std::vector<Match> matches;
  Value conf;
  static constexpr auto Fields() {
    return std::tuple{model::Field("matches", &AnyRule::matches, "d"),
                      model::Field("default", &AnyRule::conf, "d")};
  }
};
struct AnySpec {
  std::optional<TargetRef> target_ref;
  std::vector<AnyTo> to;
  std::vector<AnyRule> rules;
  Value proxy_conf;
  static constexpr auto Fields() {
    return std::tuple{model::Field("targetRef", &AnySpec::target_ref, "d"),
                      model::Field("to", &AnySpec::to, "d"),
                      model::Field("rules", &AnySpec::rules, "d"),
                      model::Field("default", &AnySpec::proxy_conf, "d")};
  }
};

void MergePatch(Value& base, const Value& later) {
  if (base.if_object() == nullptr || later.if_object() == nullptr) {
    base = later;
    return;
  }
  for (const auto& [key, member] : *later.if_object()) MergePatch((*base.if_object())[key], member);
}

std::vector<TrafficMatch> Matches(const AnyRule& rule) {
  std::vector<TrafficMatch> matches;
  for (const Match& match : rule.matches) {
    TrafficMatch& out = matches.emplace_back();
    if (match.spiffe_id) {
      const bool prefix = match.spiffe_id->type == SpiffeIdMatchType::kPrefix;
      out.spiffe_id =
          TextMatch{prefix ? MatchType::kPrefix : MatchType::kExact, match.spiffe_id->value};
    }
    if (match.sni) out.sni = TextMatch{MatchType::kExact, match.sni->value};
  }
  return matches;
}

PolicyType AnyPolicy(const model::ResourceType& schema) {
  PolicyType type;
  type.schema = &schema;
  type.spec.target = [](const model::Resource& resource) -> const TargetRef* {
    const auto& target = resource.Spec<AnySpec>().target_ref;
    return target ? &*target : nullptr;
  };
  type.spec.to = [](const model::Resource& resource) {
    std::vector<ToItem> items;
    for (const AnyTo& to : resource.Spec<AnySpec>().to) items.push_back({&to.target_ref, &to.conf});
    return items;
  };
  type.spec.rules = [](const model::Resource& resource) {
    std::vector<RuleItem> items;
    for (const AnyRule& rule : resource.Spec<AnySpec>().rules)
      items.push_back({Matches(rule), &rule.conf});
    return items;
  };
  type.spec.proxy = [](const model::Resource& resource) -> const void* {
    return &resource.Spec<AnySpec>().proxy_conf;
  };
  type.conf.tag = ConfTag<Value>();
  type.conf.merge = [](std::span<const MergeInput> inputs) -> std::shared_ptr<const void> {
    auto merged = std::make_shared<Value>();
    for (const MergeInput& input : inputs)
      MergePatch(*merged, *static_cast<const Value*>(input.conf));
    return merged;
  };
  type.conf.encode = [](const void* merged) { return *static_cast<const Value*>(merged); };
  type.conf.hash = [](const void* merged, base::Hasher& hasher) {
    hasher.Add(model::ToJson(*static_cast<const Value*>(merged)));
  };
  return type;
}

const model::ResourceType& Kind(const std::string& kind) {
  static std::map<std::string, model::ResourceType>& kinds =
      *new std::map<std::string, model::ResourceType>;
  static std::set<std::string>& names = *new std::set<std::string>;
  const auto found = kinds.find(kind);
  if (found != kinds.end()) return found->second;
  model::ResourceType row;
  row.kind = *names.insert(kind).first;
  row.short_name = kind == "MeshHTTPRoute"         ? "mhttpr"
                   : kind == "MeshExternalService" ? "extsvc"
                                                   : "any";
  row.scope = kind == "Mesh" ? model::Scope::kGlobal : model::Scope::kMesh;
  row.is_policy = true;
  return kinds.emplace(kind, model::Describe<AnySpec>(row)).first->second;
}

const model::ResourceType& TypeOf(const std::string& kind) {
  if (kind == "Dataplane") return resources::dataplane::Type();
  if (kind == "MeshService") return resources::mesh_service::Type();
  return Kind(kind);
}

// ---- a world

struct World {
  mesh::MeshState state;
  PolicyTable table;
  mesh::SnapshotPtr snapshot;

  void Put(const model::ResourcePtr& resource) {
    const std::vector<mesh::Change> changes = {{resource->key(), nullptr, resource, {1}}};
    state.Apply(changes);
    snapshot = state.Freeze();
  }
  const mesh::MeshSnapshot& mesh() const { return *snapshot->meshes.begin()->second; }
};

model::ResourcePtr FromYaml(const Value& document, model::Labels labels = {}) {
  const std::string kind = *document.Find("type")->if_string();
  const model::ResourceType& type = TypeOf(kind);
  model::Metadata meta;
  meta.name = *document.Find("name")->if_string();
  if (const Value* mesh = document.Find("mesh");
      mesh != nullptr && type.scope == model::Scope::kMesh)
    meta.mesh = *mesh->if_string();
  if (const Value* given = document.Find("labels")) {
    for (const auto& [key, value] : *given->if_object()) labels[key] = *value.if_string();
  }
  meta.labels = std::move(labels);
  model::Violations violations;
  std::vector<std::string> unknown;
  static const Value kEmpty = Object{};
  const Value* spec = type.inline_spec ? &document : document.Find("spec");
  return std::make_shared<model::Resource>(
      type, meta, type.spec.decode(spec == nullptr ? kEmpty : *spec, "", violations, unknown));
}

model::ResourcePtr Parse(const std::string& yaml) {
  const auto documents = model::ParseYaml(yaml);
  EXPECT_TRUE(documents.has_value()) << yaml;
  return FromYaml((*documents)[0]);
}

model::ResourcePtr Dataplane() {
  return Parse(R"(
type: Dataplane
name: web-1
mesh: m
labels: {app: web, version: v1, kuma.io/origin: zone, kuma.io/zone: east}
networking:
  address: 10.0.0.1
  inbound: [{port: 80, name: http}, {port: 81}]
)");
}

model::ResourcePtr AnyOf(const std::string& name, const std::string& spec,
                         const std::string& labels = "{}") {
  return Parse("{type: MeshAny, name: " + name + ", mesh: m, labels: " + labels +
               ", spec: " + spec + "}");
}

class EngineTest : public testing::Test {
 protected:
  EngineTest() {
    world_.table = {AnyPolicy(Kind("MeshAny"))};
    world_.Put(Dataplane());
  }
  std::vector<std::string> Selected(Shadow shadow = Shadow::kIgnore) {
    const ViewPtr view = SelectView(world_.mesh(), *Dataplane(), world_.table, shadow);
    std::vector<std::string> names;
    for (const model::ResourceKey& key : view->policies) names.push_back(key.name);
    return names;
  }
  std::string ForService(const std::string& section) {
    const model::ResourcePtr service = Parse(
        "{type: MeshService, name: backend, mesh: m, labels: {app: backend, kuma.io/display-name: "
        "backend}, "
        "spec: {ports: [{port: 80, name: main}, {port: 81}]}}");
    Destination destination;
    destination.port = section == "main" ? 80 : 81;
    destination.port_name = section;
    const ViewPtr view = SelectView(world_.mesh(), *Dataplane(), world_.table);
    const Effective conf =
        EffectiveFor(world_.table[0], world_.mesh(), *view, destination, *service);
    return conf.empty() ? "" : model::ToJson(*conf.As<Value>());
  }
  World world_;
};

using Names = std::vector<std::string>;

TEST_F(EngineTest, SelectsByLabelsSectionsAndZones) {
  world_.Put(AnyOf("mesh", "{}"));
  world_.Put(AnyOf("labels", "{targetRef: {kind: Dataplane, labels: {app: web, version: v1}}}"));
  world_.Put(
      AnyOf("other-labels", "{targetRef: {kind: Dataplane, labels: {app: web, version: v2}}}"));
  world_.Put(
      AnyOf("by-name", "{targetRef: {kind: Dataplane, labels: {kuma.io/display-name: web-1}}}"));
  world_.Put(AnyOf("section", "{targetRef: {kind: Dataplane, sectionName: http}}"));
  world_.Put(AnyOf("section-by-port", "{targetRef: {kind: Dataplane, sectionName: '81'}}"));
  world_.Put(AnyOf("no-such-section", "{targetRef: {kind: Dataplane, sectionName: '80'}}"));
  world_.Put(AnyOf("this-zone", "{}", "{kuma.io/origin: zone, kuma.io/zone: east}"));
  world_.Put(AnyOf("other-zone", "{}", "{kuma.io/origin: zone, kuma.io/zone: west}"));
  world_.Put(AnyOf("shadow", "{}", "{kuma.io/effect: shadow}"));
  EXPECT_EQ(Selected(),
            (Names{"mesh", "this-zone", "labels", "by-name", "section-by-port", "section"}));
  const Names with_shadow = Selected(Shadow::kInclude);
  EXPECT_EQ(std::count(with_shadow.begin(), with_shadow.end(), "shadow"), 1);
}

TEST_F(EngineTest, AmongEqualsTheFirstNameWins) {
  for (const char* name : {"b", "c", "a"}) world_.Put(AnyOf(name, "{}"));
  EXPECT_EQ(Selected(), (Names{"c", "b", "a"}));
}

TEST_F(EngineTest, OriginAndRoleDecideBeforeNames) {
  world_.Put(AnyOf("a-global", "{}", "{kuma.io/origin: global}"));
  world_.Put(AnyOf("z-zone", "{}", "{kuma.io/origin: zone}"));
  world_.Put(AnyOf("m-unknown", "{}"));
  world_.Put(AnyOf("y-producer", "{}", "{kuma.io/origin: zone, kuma.io/policy-role: producer}"));
  EXPECT_EQ(Selected(), (Names{"a-global", "m-unknown", "z-zone", "y-producer"}));
}

TEST_F(EngineTest, TheIdentityOfAViewIsItsKeys) {
  world_.Put(AnyOf("p", "{to: [{targetRef: {kind: Mesh}, default: {x: 1}}]}"));
  const ViewPtr before = SelectView(world_.mesh(), *Dataplane(), world_.table);
  world_.Put(AnyOf("p", "{to: [{targetRef: {kind: Mesh}, default: {x: 2}}]}"));
  const ViewPtr edited = SelectView(world_.mesh(), *Dataplane(), world_.table);
  EXPECT_EQ(*before, *edited);
  world_.Put(AnyOf("q", "{}"));
  EXPECT_FALSE(*before == *SelectView(world_.mesh(), *Dataplane(), world_.table));
}

TEST_F(EngineTest, EntriesForPortsWinOverThoseForServicesAndTheMesh) {
  world_.Put(AnyOf("p", R"({to: [
      {targetRef: {kind: MeshService, labels: {app: backend}, sectionName: main}, default: {port: 1, who: port}},
      {targetRef: {kind: MeshService, labels: {app: backend}}, default: {service: 1, who: service}},
      {targetRef: {kind: MeshService, labels: {app: other}}, default: {other: 1}},
      {targetRef: {kind: MeshHTTPRoute, labels: {app: backend}}, default: {route: 1}},
      {targetRef: {kind: Mesh}, default: {mesh: 1, who: mesh}}]})"));
  EXPECT_EQ(ForService("main"), R"({"mesh":1,"who":"port","service":1,"port":1})");
  EXPECT_EQ(ForService("81"), R"({"mesh":1,"who":"service","service":1})");
}

TEST_F(EngineTest, ThePolicysTargetCountsMoreThanTheEntrys) {
  world_.Put(AnyOf(
      "mesh",
      "{to: [{targetRef: {kind: MeshService, labels: {app: backend}}, default: {who: mesh}}]}"));
  world_.Put(
      AnyOf("dataplane",
            "{targetRef: {kind: Dataplane}, to: [{targetRef: {kind: Mesh}, default: {who: dp}}]}"));
  EXPECT_EQ(ForService("main"), R"({"who":"dp"})");
}

TEST_F(EngineTest, NumbersNamePortsThatHaveNoName) {
  world_.Put(AnyOf(
      "p", R"({to: [{targetRef: {kind: MeshService, labels: {app: backend}, sectionName: "80"},
                                default: {x: 1}}]})"));
  world_.Put(AnyOf(
      "q", R"({to: [{targetRef: {kind: MeshService, labels: {app: backend}, sectionName: "81"},
                                default: {z: 1}}]})"));
  EXPECT_EQ(ForService("main"), "") << "its number is 80, its name is main";
  EXPECT_EQ(ForService("81"), R"({"z":1})");
}

TEST_F(EngineTest, RoutesHaveAConfOnlyWhereTheyAreNamed) {
  const model::ResourcePtr route =
      Parse("{type: MeshHTTPRoute, name: r, mesh: m, labels: {kuma.io/display-name: r}}");
  world_.Put(route);
  world_.Put(AnyOf("p", "{to: [{targetRef: {kind: Mesh}, default: {mesh: 1}}]}"));
  const auto conf = [&] {
    const ViewPtr view = SelectView(world_.mesh(), *Dataplane(), world_.table);
    const Effective found = EffectiveForRoute(world_.table[0], world_.mesh(), *view, *route);
    return found.empty() ? "" : model::ToJson(*found.As<Value>());
  };
  EXPECT_EQ(conf(), "");
  world_.Put(AnyOf(
      "q",
      R"({to: [{targetRef: {kind: MeshHTTPRoute, labels: {kuma.io/display-name: r}}, default: {q: 1}},
                               {targetRef: {kind: MeshService, labels: {app: x}}, default: {no: 1}}]})"));
  EXPECT_EQ(conf(), R"({"mesh":1,"q":1})");
}

TEST_F(EngineTest, RulesAreForTheSectionTheyName) {
  world_.Put(AnyOf("all", "{rules: [{default: {all: 1, who: all}}]}"));
  world_.Put(
      AnyOf("http",
            "{targetRef: {kind: Dataplane, sectionName: http}, rules: [{default: {who: http}}]}"));
  world_.Put(
      AnyOf("matched", R"({rules: [{matches: [{spiffeID: {type: Prefix, value: "spiffe://a"}},
                                                     {spiffeID: {type: Exact, value: "spiffe://a/b"}}],
                                           default: {who: client}}]})"));
  const ViewPtr view = SelectView(world_.mesh(), *Dataplane(), world_.table);
  const InboundConf http = EffectiveForInbound(world_.table[0], world_.mesh(), *view, "http");
  EXPECT_EQ(model::ToJson(*http.catch_all.As<Value>()), R"({"all":1,"who":"http"})");
  ASSERT_EQ(http.rules.size(), 4u);
  EXPECT_EQ(http.rules[0].match->spiffe_id->value, "spiffe://a/b");
  EXPECT_EQ(http.rules[1].match->spiffe_id->value, "spiffe://a");
  EXPECT_FALSE(http.rules[2].match.has_value());
  const InboundConf other = EffectiveForInbound(world_.table[0], world_.mesh(), *view, "81");
  EXPECT_EQ(model::ToJson(*other.catch_all.As<Value>()), R"({"all":1,"who":"all"})");
  EXPECT_EQ(EffectiveForInbound(world_.table[0], world_.mesh(), *view, {}).rules.size(), 4u)
      << "of all inbounds together";
}

TEST_F(EngineTest, HashesCoverContentAndOrigin) {
  const auto hash = [&] {
    const ViewPtr view = SelectView(world_.mesh(), *Dataplane(), world_.table);
    base::Hasher hasher;
    EffectiveForProxy(world_.table[0], world_.mesh(), *view).AddTo(hasher);
    return hasher.Finish();
  };
  world_.Put(AnyOf("p", "{default: {x: 1}}"));
  const auto first = hash();
  EXPECT_EQ(first, hash());
  world_.Put(AnyOf("p", "{default: {x: 2}}"));
  EXPECT_NE(first, hash());
  world_.Put(AnyOf("p", "{default: {x: 1}}"));
  EXPECT_EQ(first, hash());
  world_.Put(AnyOf("q", "{default: {x: 1}}"));
  EXPECT_NE(first, hash());
}

TEST(BackendKeyTest, WeightDoesNotCount) {
  BackendRef a;
  a.labels = {{"x", "1"}};
  a.port = 80;
  BackendRef b = a;
  b.weight = 7;
  EXPECT_EQ(BackendKey(a), BackendKey(b));
  b.port = 81;
  EXPECT_NE(BackendKey(a), BackendKey(b));
}

// ---- vectors of the conformance suites

fs::path GoldenFolder() {
  fs::path root;
  if (const char* folder = std::getenv("KUMA_CONFORMANCE_DIR")) {
    root = folder;
  } else {
    const char* source = std::getenv("KUMA_SOURCE_DIR");
    root = fs::path(source == nullptr ? "." : source) / ".." / "shared" / "conformance";
  }
  return root / "golden";
}

bool Absent(const fs::path& folder) {
  if (fs::exists(folder)) return false;
  std::cout << "SKIPPED: " << folder << " is absent\n";
  return true;
}

std::vector<Value> ReadYaml(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const auto documents = model::ParseYaml(text.str());
  EXPECT_TRUE(documents.has_value()) << path;
  return documents.has_value() ? *documents : std::vector<Value>();
}

std::string NameOf(const Value& document) { return *document.Find("name")->if_string(); }
std::string TypeNameOf(const Value& document) { return *document.Find("type")->if_string(); }

// `labels`: put on every resource.
void CheckMatching(const fs::path& dataplane, const fs::path& policies, const fs::path& golden,
                   const std::function<model::Labels(const Value&)>& labels) {
  World world;
  std::string kind;
  const std::vector<Value> documents = ReadYaml(policies);
  for (const Value& document : documents) {
    if (kind.empty() || TypeNameOf(document) != "MeshHTTPRoute") kind = TypeNameOf(document);
  }
  for (const Value& document : documents) world.Put(FromYaml(document, labels(document)));
  const Value proxy = ReadYaml(dataplane)[0];
  const model::ResourcePtr resource = FromYaml(proxy, labels(proxy));
  world.Put(resource);
  world.table = {AnyPolicy(Kind(kind))};
  std::vector<std::string> names;
  const ViewPtr view = SelectView(world.mesh(), *resource, world.table);
  for (const auto& key : view->policies) names.push_back(key.name);
  std::vector<std::string> expected;
  const std::vector<Value> answers = ReadYaml(golden);
  if (const Value* items = answers[0].Find("items");
      items != nullptr && items->if_array() != nullptr) {
    for (const Value& item : *items->if_array()) expected.push_back(NameOf(item));
  }
  EXPECT_EQ(names, expected) << golden;
}

TEST(MatchingGoldenTest, DataplanePolicies) {
  const fs::path folder = GoldenFolder() / "policy-matching" / "dataplanepolicies";
  if (Absent(folder)) return;
  int checked = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename();
    if (!file.ends_with(".golden.yaml")) continue;
    const std::string name = file.substr(0, file.find('.'));
    CheckMatching(folder / (name + ".dataplane.yaml"), folder / (name + ".policies.yaml"),
                  entry.path(), [](const Value&) { return model::Labels(); });
    ++checked;
  }
  EXPECT_GT(checked, 3);
}

TEST(MatchingGoldenTest, DataplaneKindInAZone) {
  const fs::path folder = GoldenFolder() / "policy-matching" / "dataplane-kind";
  if (Absent(folder)) return;
  int checked = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_directory() || !fs::exists(entry.path() / "uni-zone.golden.yaml")) continue;
    const std::string name = entry.path().filename();
    CheckMatching(folder / (name + ".dataplane.yaml"), folder / (name + ".policies.yaml"),
                  entry.path() / "uni-zone.golden.yaml", [](const Value& document) {
                    return model::Labels{{"kuma.io/origin", "zone"},
                                         {"kuma.io/zone", "zone-uni"},
                                         {"kuma.io/display-name", NameOf(document)}};
                  });
    ++checked;
  }
  EXPECT_GT(checked, 2);
}

bool IsMatched(const Value& document) { return NameOf(document).starts_with("matched-for-rules-"); }

// Kuma prints durations in its own way ("1m0s").
void SpellDurations(Value& value) {
  if (Object* object = value.if_object()) {
    for (auto& [key, member] : *object) SpellDurations(member);
  } else if (const std::string* text = value.if_string()) {
    if (const auto duration = model::ParseDuration(*text)) value = model::ToString(*duration);
  }
}

TEST(RulesGoldenTest, Outbound) {
  const fs::path folder = GoldenFolder() / "rules-outbound";
  if (Absent(folder)) return;
  int checked = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename();
    if (!file.ends_with(".input.yaml")) continue;
    const std::string name = file.substr(0, file.size() - std::string(".input.yaml").size());
    const std::vector<Value> documents = ReadYaml(entry.path());
    const auto first = std::find_if(documents.begin(), documents.end(), IsMatched);
    ASSERT_NE(first, documents.end());
    const std::string kind = TypeNameOf(*first);
    if (kind == "MeshHTTPRoute") continue;  // merges by matches: see the policy
    for (const std::string view_name : {"zone-uni", "global-uni"}) {
      const fs::path golden = folder / name / (view_name + ".golden.yaml");
      if (!fs::exists(golden)) continue;
      World world;
      View view;
      std::map<std::string, model::ResourcePtr> by_kri;
      for (const Value& document : documents) {
        model::Labels labels{{"kuma.io/origin", view_name == "zone-uni" ? "zone" : "global"},
                             {"kuma.io/display-name", NameOf(document)}};
        if (view_name == "zone-uni") labels["kuma.io/zone"] = "zone-uni";
        if (TypeNameOf(document) == "Mesh") labels.clear();
        const model::ResourcePtr resource = FromYaml(document, labels);
        world.Put(resource);
        if (IsMatched(document)) view.policies.push_back(resource->key());
        by_kri[model::KriOf(*resource).ToString()] = resource;
      }
      const PolicyType type = AnyPolicy(Kind(kind));
      const Value answer = ReadYaml(golden)[0];
      for (const auto& [kri, rule] : *answer.if_object()) {
        if (kri.starts_with("kri_m__")) continue;
        const std::string section = *rule.Find("ResourceSectionName")->if_string();
        const auto found = by_kri.find(kri.substr(0, kri.size() - section.size()));
        ASSERT_NE(found, by_kri.end()) << kri << " in " << golden;
        const model::Resource& resource = *found->second;
        Effective conf;
        if (resource.type().kind == "MeshHTTPRoute") {
          conf = EffectiveForRoute(type, world.mesh(), view, resource);
        } else {
          Destination destination;
          destination.port_name = section.empty() ? "none" : section;
          conf = EffectiveFor(type, world.mesh(), view, destination, resource);
        }
        ASSERT_FALSE(conf.empty()) << kri << " in " << golden;
        Value actual_conf = *conf.As<Value>();
        SpellDurations(actual_conf);
        const Value& expected_conf = (*rule.Find("Conf")->if_array())[0];
        EXPECT_EQ(actual_conf, expected_conf) << kri << " in " << golden << "\n"
                                              << model::ToJson(actual_conf) << "\n"
                                              << model::ToJson(expected_conf);
        std::vector<std::string> origins;
        std::vector<std::string> expected;
        for (const Origin& origin : conf.origins())
          origins.push_back(origin.policy.name + std::to_string(origin.index));
        for (const Value& origin : *rule.Find("Origin")->if_array()) {
          expected.push_back(*origin.At({"Resource", "Name"})->if_string() +
                             std::to_string(*origin.Find("RuleIndex")->if_int()));
        }
        EXPECT_EQ(origins, expected) << kri << " in " << golden;
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 10);
}

TEST(RulesGoldenTest, Inbound) {
  const fs::path folder = GoldenFolder() / "rules-inbound";
  if (Absent(folder)) return;
  int checked = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename();
    if (!file.ends_with(".input.yaml")) continue;
    const fs::path golden =
        folder / (file.substr(0, file.size() - std::string(".input.yaml").size()) + ".golden.yaml");
    World world;
    View view;
    std::string kind;
    for (const Value& document : ReadYaml(entry.path())) {
      if (!IsMatched(document)) continue;
      kind = TypeNameOf(document);
      const model::ResourcePtr resource = FromYaml(document);
      world.Put(resource);
      view.policies.push_back(resource->key());
    }
    const InboundConf conf = EffectiveForInbound(AnyPolicy(Kind(kind)), world.mesh(), view, "x");
    const Value answer = ReadYaml(golden)[0];
    const Value* rules = answer.Find("rules");
    ASSERT_NE(rules, nullptr) << golden;
    const Array none;
    const Array& expected = rules->if_array() == nullptr ? none : *rules->if_array();
    ASSERT_EQ(conf.rules.size(), expected.size()) << golden;
    for (size_t i = 0; i < expected.size(); ++i) {
      const InboundRule& rule = conf.rules[i];
      EXPECT_EQ(rule.conf.origins()[0].policy.name,
                *expected[i].At({"origin", "Resource", "name"})->if_string())
          << golden << " " << i;
      EXPECT_EQ(static_cast<int64_t>(rule.conf.origins()[0].index),
                *expected[i].At({"origin", "RuleIndex"})->if_int());
      EXPECT_EQ(rule.match.has_value(), !expected[i].Find("match")->is_null());
    }
    ++checked;
  }
  EXPECT_GT(checked, 1);
}

}  // namespace
}  // namespace kuma::policy

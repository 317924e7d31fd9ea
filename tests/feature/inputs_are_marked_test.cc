// "Inputs are marked": what configuration may read of a kind stands in its field table (Input{}).
// Here every other field of every kind is changed, one after the other, on a mesh that runs: it
// costs no generation, nothing is sent, and a generation from scratch gives what the proxies have,
// so that nothing unmarked is read in secret.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "base/format.h"
#include "control/control_loop.h"
#include "policies/all.h"
#include "runtime/simulation.h"
#include "store/memory/memory_store.h"
#include "tests/kit/builders.h"

namespace kuma {
namespace {

using base::Format;
using model::Array;
using model::Object;
using model::Resource;
using model::ResourcePtr;
using model::ResourceType;
using model::Value;
using std::chrono::seconds;
using testing::IsEmpty;

std::string TypeOf(const Value& schema) {
  const Value* type = schema.Find("type");
  if (type == nullptr) return schema.Find("anyOf") != nullptr ? "int-or-string" : "anything";
  return type->if_string() ? *type->if_string() : *(*type->if_array())[0].if_string();
}

// Some value of the schema that is not `before`, without looking into objects and lists.
Value Another(const Value& schema, const Value& before) {
  const std::string type = TypeOf(schema);
  if (const Value* names = schema.Find("enum")) {
    for (const Value& name : *names->if_array())
      if (!(name == before)) return name;
    return before;
  }
  if (type == "string") {
    const std::string format = schema.Find("format") ? *schema.Find("format")->if_string() : "";
    if (format == "date-time") return "2026-03-04T05:06:07Z";
    if (format == "byte") return "c29tZXRoaW5n";
    // A duration takes this, and a text as well.
    return before == Value("17s") ? "18s" : "17s";
  }
  if (type == "integer" || type == "number" || type == "int-or-string")
    return before == Value(7) ? 8 : 7;
  if (type == "boolean") return !(before.if_bool() && *before.if_bool());
  if (type == "object") return Object();
  if (type == "array") return Array();
  return Object{{"something", "else"}};
}

// Calls `visit` with copies of `value`, each with one place changed, and says which.
using Visit = std::function<void(const std::string& where, Value changed)>;
void ForEachChange(const Value& schema, const Value& value, const std::string& path,
                   const Visit& visit) {
  const std::string type = TypeOf(schema);
  const Value* properties = schema.Find("properties");
  const Value* entries = schema.Find("additionalProperties");
  if (type == "object" && properties != nullptr) {
    for (const auto& [name, member] : *properties->if_object()) {
      const Value* held = value.Find(name);
      Value copy = value.if_object() ? value : Value(Object());
      ForEachChange(member, held != nullptr ? *held : Value(), path + "." + name,
                    [&](const std::string& where, Value changed) {
                      copy.if_object()->Set(name, std::move(changed));
                      visit(where, copy);
                    });
    }
  } else if (type == "object" && entries != nullptr) {
    Value copy = value.if_object() ? value : Value(Object());
    ForEachChange(*entries, Value(), path + "[key]", [&](const std::string& where, Value changed) {
      copy.if_object()->Set("key", std::move(changed));
      visit(where, copy);
    });
    visit(path + "[key]", [&] {
      Value more = value.if_object() ? value : Value(Object());
      more.if_object()->Set("key", Another(*entries, Value()));
      return more;
    }());
  } else if (type == "array") {
    const Value& items = *schema.Find("items");
    Array list = value.if_array() ? *value.if_array() : Array();
    for (size_t i = 0; i < list.size(); ++i) {
      ForEachChange(items, list[i], Format("{}[{}]", path, i),
                    [&](const std::string& where, Value changed) {
                      Array copy = list;
                      copy[i] = std::move(changed);
                      visit(where, Value(std::move(copy)));
                    });
    }
    list.push_back(Another(items, Value()));
    visit(path + "[+]", Value(std::move(list)));
  } else {
    visit(path, Another(schema, value));
  }
}

// One resource of each kind that is in the world beside the proxies. A kind that is not named here
// has one with nothing in it.
constexpr std::string_view kSamples[] = {
    "{type: Workload, mesh: default, name: sample, spec: {}}",
    "{type: Zone, name: default, enabled: true}",
    R"({type: HostnameGenerator, name: sample, spec: {selector: {meshService: {matchLabels: {app: s0}}},
        template: "{{ .Name }}.test"}})",
    R"({type: DataplaneInsight, mesh: default, name: web-0, subscriptions: [
        {id: a, controlPlaneInstanceId: i, connectTime: "2026-01-02T03:04:05Z",
         status: {total: {responsesSent: 1}, cds: {}}, version: {kumaDp: {version: "1"}, envoy: {version: "1"}}}],
        mTLS: {issuedBackend: a}})",
    R"({type: ServiceInsight, mesh: default, name: all-services-default,
        services: {web: {status: online, dataplanes: {online: 1}}}})",
    R"({type: MeshInsight, name: default, dataplanes: {total: 1}, resources: {Dataplane: {total: 1}}})",
    R"({type: ZoneInsight, name: default, subscriptions: [{id: a, globalInstanceId: b,
        connectTime: "2026-01-02T03:04:05Z", status: {total: {responsesSent: 1}}}]})",
};

class InputsTest : public testing::Test {
 protected:
  InputsTest() {
    EXPECT_TRUE(loop_.Start().has_value());
    simulation_.Advance(seconds(1));
    Commit({kit::Put(kit::MeshService("s0"))});
    Add("s0-0", {.labels = {{"app", "s0"}}, .address = "10.0.0.1"});
    Add("web-0",
        {.labels = {{"app", "web"}}, .address = "10.0.0.2", .outbounds = {{"s0", 80, 10000}}});
    for (const std::string_view yaml : kSamples) AddSample(yaml);
    for (const ResourceType* type : kit::Types().all()) {
      if (SampleOf(*type) != nullptr) continue;
      model::Metadata meta;
      meta.name = "sample";
      if (type->scope == model::Scope::kMesh) meta.mesh = "default";
      Commit({kit::Put(std::make_shared<const Resource>(*type, meta, type->spec.empty()))});
    }
    Settle();
  }

  void AddSample(std::string_view yaml) {
    const auto documents = model::ParseYaml(yaml);
    ASSERT_TRUE(documents.has_value()) << documents.error().message();
    const model::Decoded decoded = model::DecodeResource((*documents)[0], kit::Types(), true);
    ASSERT_NE(decoded.resource, nullptr) << yaml << decoded.violations.ToString();
    Commit({kit::Put(decoded.resource)});
  }
  void Commit(std::vector<store::Write> writes) {
    const auto done = store_->Commit({.writes = std::move(writes), .cause = {}});
    ASSERT_TRUE(done.has_value()) << done.error().message();
  }
  void Add(const std::string& name, const kit::DataplaneOptions& options) {
    Commit({kit::Put(kit::Dataplane(name, options))});
    loop_.Connected(
        {.proxy = {"default", name}, .stream = {++streams_}, .node = {}, .dataplane = nullptr});
  }
  void Settle() {
    simulation_.RunUntilIdle();
    simulation_.Advance(seconds(3));
    ASSERT_TRUE(loop_.IdleForTest());
    sent_ = 0;
  }
  ResourcePtr SampleOf(const ResourceType& type) {
    const auto page = store_->List({.kind = std::string(type.kind), .mesh = {}});
    return page.has_value() && !page->items.empty() ? page->items.front() : nullptr;
  }
  uint64_t Generations() const {
    uint64_t sum = loop_.counters().checks;
    for (const auto& kind : loop_.counters().generations) sum += kind.load();
    return sum;
  }

  // Stores `changed` and says what it cost: empty if nothing.
  std::string CostOf(ResourcePtr changed) {
    const uint64_t before = Generations();
    const uint64_t publishes = loop_.counters().publishes;
    Commit({kit::Put(std::move(changed))});
    Settle();
    const uint64_t generations = Generations() - before;
    if (generations == 0 && sent_ == 0 && loop_.counters().publishes == publishes) return "";
    return Format("{} generations, {} bundles", generations, sent_);
  }

  runtime::Simulation simulation_{7};
  runtime::SerialExecutor& writer_ = simulation_.AddExecutor("writer");
  std::unique_ptr<store::Store> store_ = store::NewMemoryStore(simulation_.clock(), true);
  generate::Generator generator_{policies::AllPolicies(), {}};
  size_t sent_ = 0;
  uint64_t streams_ = 0;
  control::ControlLoop loop_{
      control::Settings{},
      derive::Settings{},
      {.store = *store_,
       .generator = generator_,
       .clock = simulation_.clock(),
       .writer = writer_,
       .pool = simulation_.pool(),
       .publish = [this](std::vector<std::pair<base::ProxyKey, bundle::BundlePtr>> bundles,
                         const std::shared_ptr<void>&) { sent_ += bundles.size(); }}};
};

TEST_F(InputsTest, WhatIsNotMarkedCostsNothing) {
  std::map<std::string, int> changes;  // by kind
  int marked = 0;
  for (const ResourceType* type : kit::Types().all()) {
    const std::string kind(type->kind);
    const ResourcePtr sample = SampleOf(*type);
    ASSERT_NE(sample, nullptr) << kind;
    const auto half = [&](const model::BodyOps& ops, const std::shared_ptr<const void>& held,
                          bool is_status) {
      if (ops.schema == nullptr) return;
      const std::shared_ptr<const void> body = held ? held : ops.empty();
      std::set<std::string> seen;
      ForEachChange(ops.schema(), ops.encode(body.get()), is_status ? "status" : "spec",
                    [&](const std::string& path, Value value) {
                      model::Violations violations;
                      std::vector<std::string> unknown;
                      const auto changed = ops.decode(value, "", violations, unknown);
                      ASSERT_TRUE(unknown.empty()) << kind << " " << path << ": " << unknown[0];
                      if (!violations.empty() || ops.equal(body.get(), changed.get())) return;
                      if (!ops.equal_inputs(body.get(), changed.get())) {
                        ++marked;
                        return;
                      }
                      ++changes[kind];
                      const std::string cost = CostOf(std::make_shared<const Resource>(
                          *type, sample->meta(), is_status ? sample->spec() : changed,
                          is_status ? changed : sample->status()));
                      EXPECT_EQ(cost, "") << kind << " " << path;
                    });
    };
    half(type->spec, sample->spec(), false);
    half(type->status, sample->status(), true);
    // As it was, and its labels, if it is an observation.
    if (type->is_insight) {
      ++changes[kind];
      EXPECT_EQ(CostOf(kit::WithLabels(*sample, {{"some", "label"}})), "") << kind << " labels";
    }
    Commit({kit::Put(sample)});
    Settle();
  }
  EXPECT_THAT(loop_.CheckAllForTest(), IsEmpty()) << "the oracle";
  // The test would be blind without these.
  EXPECT_GT(marked, 50);
  EXPECT_GT(changes["DataplaneInsight"], 20);
  EXPECT_GT(changes["MeshInsight"], 10);
  EXPECT_GT(changes["ServiceInsight"], 5);
  EXPECT_GT(changes["MeshService"], 3) << "of its status";
  EXPECT_GT(changes["Workload"], 0) << "of its status";
  for (const auto& [kind, count] : changes) RecordProperty(kind, count);
}

// The other way round, or the test above proved nothing: what is marked does cost.
TEST_F(InputsTest, WhatIsMarkedCosts) {
  EXPECT_NE(CostOf(kit::Dataplane("s0-0", {.labels = {{"app", "s0"}}, .address = "10.0.0.9"})), "");
  EXPECT_NE(CostOf(kit::MeshTimeout("t", "", "s0", "3s")), "");
}

}  // namespace
}  // namespace kuma

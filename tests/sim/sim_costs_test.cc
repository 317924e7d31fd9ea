// What changes cost: the control loop alone, with real derivation and generation, in simulated
// time.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/format.h"
#include "control/control_loop.h"
#include "policies/all.h"
#include "policies/mesh_timeout/mesh_timeout.h"
#include "runtime/simulation.h"
#include "store/memory/memory_store.h"
#include "tests/kit/builders.h"

namespace kuma::sim {
namespace {

using base::Format;
using base::ProxyKey;
using bundle::XdsType;
using generate::CellKind;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// What a MeshTimeout with one `to` entry says.
std::chrono::nanoseconds ConnectionTimeout(const model::Resource& policy) {
  const auto& conf = policy.Spec<policies::mesh_timeout::Spec>().to.at(0).default_conf;
  return conf.connection_timeout ? conf.connection_timeout->value : std::chrono::nanoseconds(0);
}

// MeshTimeouts of 13s fail; those of 7s put the labels of the proxy into clusters.
policy::PolicyTable WithOneThatFailsAt13s() {
  policy::PolicyTable table = policies::AllPolicies();
  policy::PolicyType faulty = *policy::FindPolicy(table, "MeshTimeout");
  faulty.hooks = {};
  faulty.hooks.cluster = [](const policy::ClusterContext& context,
                            envoy::ClusterDraft&) -> base::Status {
    const auto* conf = context.Conf<policies::mesh_timeout::Conf>();
    if (conf != nullptr && conf->connection_timeout &&
        conf->connection_timeout->value == seconds(13))
      return base::Invalid("MeshTimeout: 13s cannot be applied");
    const bool uses_slot = conf != nullptr && conf->connection_timeout &&
                           conf->connection_timeout->value == seconds(7);
    if (uses_slot != (context.slot != nullptr)) return base::Invalid("a slot that is not in use");
    if (uses_slot && (!context.slot->labels.contains("version") || !context.slot->address.empty()))
      return base::Invalid("another slot");
    return base::Ok{};
  };
  faulty.slots = [](const model::Resource& timeout) {
    policy::SlotUse use;
    if (ConnectionTimeout(timeout) == seconds(7)) use.cluster = policy::SlotFields::kLabels;
    return use;
  };
  // Kinds are looked up by their first row.
  for (policy::PolicyType& row : table) {
    if (row.kind() == "MeshTimeout") row.slots = faulty.slots;
  }
  table.push_back(faulty);
  return table;
}

// Services s0 and s1 with 5 proxies each; 10 clients that call both, 10 that call s1 only.
class CostsTest : public testing::Test {
 protected:
  CostsTest() {
    EXPECT_TRUE(loop_.Start().has_value());
    simulation_.Advance(seconds(1));
    Commit({kit::Put(kit::MeshService("s0")), kit::Put(kit::MeshService("s1"))});
    for (int i = 0; i < 5; ++i) {
      for (const std::string service : {"s0", "s1"}) {
        Add(Format("{}-{}", service, i),
            {.labels = {{"app", service}},
             .address = Format("10.{}.0.{}", service == "s0" ? 0 : 1, i + 1)});
      }
    }
    for (int i = 0; i < 10; ++i) {
      Add(Format("both-{}", i), {.labels = {{"app", "both"}},
                                 .address = Format("10.2.0.{}", i + 1),
                                 .outbounds = {{"s0", 80, 10000}, {"s1", 80, 10001}}});
      Add(Format("one-{}", i), {.labels = {{"app", "one"}},
                                .address = Format("10.3.0.{}", i + 1),
                                .outbounds = {{"s1", 80, 10001}}});
    }
    Settle();
  }
  ~CostsTest() override { EXPECT_THAT(loop_.CheckAllForTest(), IsEmpty()); }

  void Commit(std::vector<store::Write> writes) {
    const auto done = store_->Commit({.writes = std::move(writes), .cause = {}});
    ASSERT_TRUE(done.has_value()) << done.error().message();
    revision_ = done->revision;
  }
  void Add(const std::string& name, const kit::DataplaneOptions& options) {
    dataplanes_[name] = options;
    Commit({kit::Put(kit::Dataplane(name, options))});
    loop_.Connected(
        {.proxy = {"default", name}, .stream = {++streams_}, .node = {}, .dataplane = nullptr});
  }
  void Settle() {
    simulation_.RunUntilIdle();
    simulation_.Advance(seconds(3));
    EXPECT_TRUE(loop_.IdleForTest());
    before_ = Counts();
    published_.clear();
    causes_.clear();
    reasons_.clear();
  }

  void Move(const std::string& address) {
    kit::DataplaneOptions changed = dataplanes_.at("s0-2");
    changed.address = address;
    Commit({kit::Put(kit::Dataplane("s0-2", changed))});
    simulation_.RunUntilIdle();
  }

  struct Numbers {
    uint64_t listeners, clusters, endpoints, own, checks, plans, publishes;
  };
  Numbers Counts() const {
    const control::Counters& counters = loop_.counters();
    const auto built = [&](CellKind kind) {
      return counters.generations[static_cast<size_t>(kind)].load();
    };
    return {built(CellKind::kListener), built(CellKind::kCluster), built(CellKind::kEndpoints),
            built(CellKind::kOwn),      counters.checks,           counters.plans,
            counters.publishes};
  }
  // Since Settle.
  Numbers Cost() {
    simulation_.RunUntilIdle();
    const Numbers now = Counts();
    return {now.listeners - before_.listeners, now.clusters - before_.clusters,
            now.endpoints - before_.endpoints, now.own - before_.own,
            now.checks - before_.checks,       now.plans - before_.plans,
            now.publishes - before_.publishes};
  }
  bundle::BundlePtr BundleOf(const std::string& name) { return bundles_.at({"default", name}); }
  runtime::Simulation simulation_{7};
  runtime::SerialExecutor& writer_ = simulation_.AddExecutor("writer");
  std::unique_ptr<store::Store> store_ = store::NewMemoryStore(simulation_.clock(), true);
  generate::Generator generator_{WithOneThatFailsAt13s(), {}};
  bool busy_ = false;  // the streams take their time
  std::vector<std::shared_ptr<void>> taken_;
  size_t batches_ = 0;
  uint64_t newcomers_ = 0;
  std::map<ProxyKey, bundle::BundlePtr> bundles_;
  std::set<std::string> published_;
  std::set<uint64_t> causes_;
  std::set<std::string> reasons_;
  control::ControlLoop loop_{
      control::Settings{.few = 10},
      derive::Settings{},
      {.store = *store_,
       .generator = generator_,
       .clock = simulation_.clock(),
       .writer = writer_,
       .pool = simulation_.pool(),
       .publish =
           [this](std::vector<std::pair<ProxyKey, bundle::BundlePtr>> bundles,
                  std::shared_ptr<void> taken) {
             if (busy_) taken_.push_back(std::move(taken));
             ++batches_;
             for (auto& [proxy, bundle] : bundles) {
               bundles_[proxy] = std::move(bundle);
               published_.insert(proxy.name);
             }
           },
       .newcomers = [this] { return newcomers_; },
       .withdraw = nullptr,
       .forget = nullptr,
       .on_round =
           [this](const control::RoundReport& report) {
             for (const control::Published& published : report.published) {
               for (const auto& effect : published.effects) {
                 reasons_.insert(*effect.reason);
                 for (const base::Revision cause : *effect.revisions) causes_.insert(cause.value);
               }
             }
           }}};
  std::map<std::string, kit::DataplaneOptions> dataplanes_;
  base::Revision revision_;
  uint64_t streams_ = 0;
  Numbers before_{};
};

TEST_F(CostsTest, AnEndpointCostsItsEndpointSetAndNothingElse) {
  kit::DataplaneOptions changed = dataplanes_.at("s0-2");
  changed.address = "10.9.9.9";
  Commit({kit::Put(kit::Dataplane("s0-2", changed))});
  const Numbers cost = Cost();
  EXPECT_EQ(cost.endpoints, 1u);
  EXPECT_EQ(cost.listeners, 0u);
  EXPECT_EQ(cost.clusters, 0u);
  EXPECT_EQ(cost.own, 1u) << "that of the proxy itself";
  EXPECT_EQ(cost.plans, 1u);
  EXPECT_THAT(published_, SizeIs(11)) << "the clients of s0 and the proxy itself";
  EXPECT_EQ(causes_, std::set<uint64_t>{revision_.value});
}

// Who waits gets all of it at once.
TEST_F(CostsTest, ChangesMergeWhileTheStreamsAreBusy) {
  busy_ = true;
  Move("10.9.9.1");
  EXPECT_THAT(std::exchange(published_, {}), SizeIs(11)) << "nothing holds the first";
  for (int i = 2; i < 10; ++i) Move(Format("10.9.9.{}", i));
  EXPECT_THAT(published_, IsEmpty());
  Add("one-new", {.labels = {{"app", "one"}}, .outbounds = {{"s1", 80, 10001}}});
  simulation_.RunUntilIdle();
  EXPECT_EQ(std::exchange(published_, {}), std::set<std::string>{"one-new"})
      << "who has nothing waits for nobody";
  EXPECT_FALSE(loop_.IdleForTest());
  const size_t batches = batches_;
  taken_.clear();
  simulation_.RunUntilIdle();
  EXPECT_THAT(published_, SizeIs(11));
  EXPECT_EQ(batches_ - batches, 1u);
  taken_.clear();
  busy_ = false;
  Settle();
}

TEST_F(CostsTest, AChangeOfFewDoesNotWaitForOneOfMany) {
  busy_ = true;
  Commit({kit::Put(kit::MeshTimeout("t", "", "", "3s"))});
  simulation_.RunUntilIdle();
  EXPECT_THAT(std::exchange(published_, {}), SizeIs(20));
  Commit({kit::Put(kit::MeshTimeout("u", "one", "s1", "4s"))});
  simulation_.RunUntilIdle();
  EXPECT_THAT(std::exchange(published_, {}), SizeIs(10));
  taken_.clear();
  busy_ = false;
  Settle();
}

TEST_F(CostsTest, InAWaveOfNewProxiesJoiningEndpointsRestTwiceAsLongEachTime) {
  newcomers_ = 100;
  // Replicas that nobody is connected for: only clients of s0 could hear of them.
  int replicas = 0;
  const auto join = [&] {
    ++replicas;
    Commit({kit::Put(
        kit::Dataplane(Format("s0-new-{}", replicas),
                       {.labels = {{"app", "s0"}},
                        .address = Format("10.9.{}.{}", replicas / 250, replicas % 250 + 1)}))});
    simulation_.RunUntilIdle();
    return std::exchange(published_, {}).size();
  };
  std::vector<int> at;
  for (int i = 0; i < 300; ++i) {
    if (join() > 0) at.push_back(10 * i);
    simulation_.Advance(milliseconds(10));
  }
  EXPECT_THAT(at, testing::ElementsAre(0, 10, 20, 40, 80, 160, 320, 640, 1280, 2560));

  const std::string name = "one-new";
  Add(name, {.labels = {{"app", "one"}}, .outbounds = {{"s1", 80, 10001}}});
  simulation_.RunUntilIdle();
  EXPECT_EQ(std::exchange(published_, {}), std::set<std::string>{name})
      << "a new one does not wait, and nobody gets more because it came";

  EXPECT_EQ(join(), 0u);
  Move("10.8.0.1");
  EXPECT_THAT(std::exchange(published_, {}), SizeIs(11)) << "an endpoint that moves does not wait";
  EXPECT_EQ(join(), 0u) << "nor does it end the rest";
  Commit({kit::Delete({"Dataplane", "default", "s0-4"})});
  simulation_.RunUntilIdle();
  EXPECT_THAT(std::exchange(published_, {}), testing::Contains("both-0"))
      << "nor does one that leaves";
  Commit({kit::Put(kit::MeshTimeout("t", "one", "s1", "4s"))});
  simulation_.RunUntilIdle();
  EXPECT_THAT(std::exchange(published_, {}), SizeIs(11)) << "nor what a user writes";
  EXPECT_EQ(join(), 0u);

  // The wave is over, and so is the rest.
  newcomers_ = 0;
  simulation_.Advance(milliseconds(110));
  EXPECT_THAT(std::exchange(published_, {}), SizeIs(10));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(join(), 10u) << i;
}

TEST_F(CostsTest, TheFirstEndpointOfAServiceDoesNotRest) {
  Commit({kit::Put(kit::MeshService("empty"))});
  Add("caller", {.labels = {{"app", "caller"}}, .outbounds = {{"empty", 80, 10002}}});
  Settle();
  newcomers_ = 100;
  const auto join = [&](const std::string& name, const std::string& service) {
    Commit({kit::Put(kit::Dataplane(name, {.labels = {{"app", service}}, .address = "10.9.1.1"}))});
    simulation_.RunUntilIdle();
    return std::exchange(published_, {}).size();
  };
  for (int i = 0; i < 50; ++i) {
    join(Format("s0-new-{}", i), "s0");
    simulation_.Advance(milliseconds(10));
  }
  published_.clear();
  EXPECT_EQ(join("s0-last", "s0"), 0u) << "a rest";
  EXPECT_EQ(join("empty-0", "empty"), 1u);
  EXPECT_EQ(join("empty-1", "empty"), 0u);
  newcomers_ = 0;
  simulation_.Advance(milliseconds(110));
}

TEST_F(CostsTest, AReadinessFlapCostsItsEndpointSet) {
  kit::DataplaneOptions changed = dataplanes_.at("s1-0");
  changed.ready = false;
  Commit({kit::Put(kit::Dataplane("s1-0", changed))});
  EXPECT_EQ(Cost().endpoints, 1u);
  EXPECT_EQ(Cost().listeners + Cost().clusters, 0u);
  changed.ready = true;
  Commit({kit::Put(kit::Dataplane("s1-0", changed))});
  EXPECT_EQ(Cost().endpoints, 2u);
}

TEST_F(CostsTest, TheSameAgainCostsNothing) {
  Commit({kit::Put(kit::Dataplane("s0-2", dataplanes_.at("s0-2")))});
  EXPECT_EQ(Cost().checks, 0u);
  EXPECT_THAT(published_, IsEmpty());
}

TEST_F(CostsTest, AnotherMeshCostsNothingHere) {
  Commit({kit::Put(kit::Mesh("other"))});
  Commit({kit::Put(kit::MeshService("s0", "other")),
          kit::Put(kit::MeshTimeout("t", "", "", "3s", "other"))});
  EXPECT_EQ(Cost().checks, 0u);
  EXPECT_EQ(Cost().plans, 0u);
}

// Proxies with transparent proxying reach everything: what they listen to is one list.
TEST_F(CostsTest, AServiceCostsItsCellsOnceForAllWhoReachEverything) {
  for (int i = 0; i < 10; ++i) {
    Add(Format("all-{}", i),
        {.labels = {{"app", "all"}}, .address = Format("10.4.0.{}", i + 1), .transparent = true});
  }
  Settle();
  Commit({kit::Put(kit::MeshService("s2"))});
  const Numbers created = Cost();
  EXPECT_EQ(created.listeners, 1u);
  EXPECT_EQ(created.clusters, 1u);
  EXPECT_EQ(created.endpoints, 1u);
  EXPECT_EQ(created.own, 0u) << "nobody asks for names";
  EXPECT_THAT(published_, SizeIs(10));
  const auto endpoints_of = [this](const std::string& name) {
    return BundleOf(name)->resources[static_cast<size_t>(bundle::XdsType::kEndpoints)];
  };
  for (int i = 1; i < 10; ++i)
    EXPECT_EQ(endpoints_of(Format("all-{}", i)), endpoints_of("all-0")) << "the same list";

  // Nothing that they listen to changes: they are looked at, and that is all.
  Settle();
  const auto service = store_->Get({"MeshService", "default", "s2"});
  ASSERT_TRUE(service.has_value());
  model::Labels labels = (*service)->meta().labels;
  labels["team"] = "shop";
  Commit({kit::Put(kit::WithLabels(**service, std::move(labels)))});
  const Numbers labelled = Cost();
  EXPECT_EQ(labelled.listeners + labelled.clusters + labelled.endpoints + labelled.own, 0u);
  EXPECT_THAT(published_, IsEmpty());
}

// Whoever calls peers by their addresses has a listener for each; the others do not even look.
TEST_F(CostsTest, APeerCostsOnlyThoseWhoCallPeers) {
  Add("caller", {.labels = {{"app", "caller"}},
                 .address = "10.5.0.1",
                 .transparent = true,
                 .direct_access = {"shop"}});
  Settle();
  const auto peer = [&](const char* service, const char* address) {
    Settle();
    Commit({kit::Put(
        kit::Dataplane("peer", {.labels = {{"kuma.io/service", service}}, .address = address}))});
    return Cost();
  };
  const auto listener = [&](const char* address) {
    return bundle::Find(BundleOf("caller")->Of(XdsType::kListener),
                        Format("direct_access_{}:8080", address)) != nullptr;
  };
  EXPECT_EQ(peer("shop", "10.5.0.2").own, 1u);
  EXPECT_EQ(published_, std::set<std::string>{"caller"});
  EXPECT_TRUE(listener("10.5.0.2"));
  peer("shop", "10.5.0.3");
  EXPECT_FALSE(listener("10.5.0.2"));
  EXPECT_TRUE(listener("10.5.0.3"));
  peer("other", "10.5.0.3");
  EXPECT_FALSE(listener("10.5.0.3"));
  EXPECT_EQ(peer("other", "10.5.0.4").checks, 1u) << "its own part, which comes out unchanged";
  EXPECT_THAT(published_, IsEmpty());
}

TEST_F(CostsTest, APolicyCostsViewsNotProxies) {
  Commit({kit::Put(kit::MeshTimeout("t", "both", "s0", "3s"))});
  const Numbers created = Cost();
  EXPECT_EQ(created.clusters, 2u) << "s0 and s1 under the new view, once for ten proxies";
  EXPECT_EQ(created.listeners, 2u);
  EXPECT_EQ(created.endpoints, 0u);
  EXPECT_THAT(published_, SizeIs(10));

  Settle();
  Commit({kit::Put(kit::MeshTimeout("t", "both", "s0", "4s"))});
  const Numbers edited = Cost();
  EXPECT_EQ(edited.clusters, 1u) << "s0 only";
  EXPECT_EQ(edited.listeners, 0u) << "listeners do not read the timeout of connections";
  EXPECT_EQ(edited.plans, 0u) << "who is selected did not change";
  EXPECT_EQ(edited.endpoints + edited.own, 0u);
  EXPECT_THAT(published_, SizeIs(10));
  EXPECT_EQ(causes_, std::set<uint64_t>{revision_.value});
}

// Of the two services that ten proxies call, for all of which the policy is.
TEST_F(CostsTest, AnEditIsALookAtWhatReadsIt) {
  const auto put = [&](const std::string& kind, const std::string& conf) {
    Commit({kit::Put(kit::FromYaml(
        Format("type: {}\nmesh: default\nname: t\nspec:\n  targetRef: {{kind: Dataplane, labels: "
               "{{app: both}}}}\n  to:\n  - targetRef: {{kind: Mesh}}\n    default: {}\n",
               kind, conf)))});
    const Numbers cost = Cost();
    Settle();
    return cost;
  };
  put("MeshTimeout", "{connectionTimeout: 1s, idleTimeout: 1s, http: {requestTimeout: 1s}}");
  Numbers cost =
      put("MeshTimeout", "{connectionTimeout: 2s, idleTimeout: 1s, http: {requestTimeout: 1s}}");
  EXPECT_EQ(cost.checks, 2u);
  EXPECT_EQ(cost.clusters, 2u);
  cost = put("MeshTimeout", "{connectionTimeout: 2s, idleTimeout: 1s, http: {requestTimeout: 2s}}");
  EXPECT_EQ(cost.checks, 2u);
  EXPECT_EQ(cost.listeners, 2u);
  cost = put("MeshTimeout", "{connectionTimeout: 2s, idleTimeout: 2s, http: {requestTimeout: 2s}}");
  EXPECT_EQ(cost.checks, 4u);
  EXPECT_EQ(cost.clusters + cost.listeners, 4u);
  put("MeshCircuitBreaker", "{connectionLimits: {maxConnections: 1}}");
  cost = put("MeshCircuitBreaker", "{connectionLimits: {maxConnections: 2}}");
  EXPECT_EQ(cost.checks, 2u);
  EXPECT_EQ(cost.clusters, 2u);
}

TEST_F(CostsTest, APolicyWithoutEffectIsNotPublished) {
  Commit({kit::Put(kit::MeshTimeout("a", "", "", "3s"))});
  Settle();
  Commit({kit::Put(kit::MeshTimeout("z", "", "", "9s"))});  // `a` wins
  EXPECT_GT(Cost().checks, 0u);
  EXPECT_THAT(published_, IsEmpty());
  EXPECT_THAT(causes_, IsEmpty());
}

TEST_F(CostsTest, ProxiesAlikeShareTheirLists) {
  for (const XdsType type : {XdsType::kEndpoints, XdsType::kSecret, XdsType::kRoute}) {
    EXPECT_EQ(BundleOf("both-0")->resources[static_cast<size_t>(type)],
              BundleOf("both-7")->resources[static_cast<size_t>(type)]);
  }
  const bundle::SealedList& both = BundleOf("both-0")->Of(XdsType::kEndpoints);
  const bundle::SealedList& one = BundleOf("one-0")->Of(XdsType::kEndpoints);
  ASSERT_THAT(both, SizeIs(2));
  ASSERT_THAT(one, SizeIs(1));
  EXPECT_EQ(bundle::Find(both, one[0]->name), one[0].get()) << "the bytes, too";
}

TEST_F(CostsTest, ExplainsItself) {
  Commit({kit::Put(kit::MeshTimeout("t", "", "s0", "3s"))});
  Settle();
  Commit({kit::Put(kit::MeshTimeout("t", "", "s0", "4s"))});
  simulation_.RunUntilIdle();
  EXPECT_THAT(causes_, testing::ElementsAre(revision_.value));
  EXPECT_THAT(reasons_, testing::Each(testing::AllOf(HasSubstr("MeshTimeout default/t changed"),
                                                     HasSubstr("MeshService/s0"))));
  EXPECT_THAT(reasons_, testing::Not(IsEmpty()));
}

TEST_F(CostsTest, AFailingPolicyKeepsTheLastGoodForNewProxiesToo) {
  Commit({kit::Put(kit::MeshTimeout("t", "both", "s0", "3s"))});
  Settle();
  const auto cluster = [&](const std::string& name) {
    for (const bundle::SealedPtr& resource : BundleOf(name)->Of(XdsType::kCluster))
      if (resource->name.find("s0") != std::string::npos) return resource;
    return bundle::SealedPtr();
  };
  const bundle::SealedPtr good = cluster("both-0");
  Commit({kit::Put(kit::MeshTimeout("t", "both", "s0", "13s"))});
  Settle();
  EXPECT_EQ(loop_.counters().degraded_cells, 1u);
  EXPECT_EQ(cluster("both-0"), good);
  std::vector<control::DegradedCell> degraded;
  loop_.ListDegraded([&](std::vector<control::DegradedCell> list) { degraded = std::move(list); });
  simulation_.RunUntilIdle();
  ASSERT_THAT(degraded, SizeIs(1));
  EXPECT_THAT(degraded[0].reason, HasSubstr("MeshTimeout"));
  EXPECT_TRUE(degraded[0].has_last_good);
  EXPECT_THAT(degraded[0].proxies, SizeIs(10)) << "both-*, not one-*";

  Add("both-new",
      {.labels = {{"app", "both"}}, .outbounds = {{"s0", 80, 10000}, {"s1", 80, 10001}}});
  Settle();
  EXPECT_EQ(cluster("both-new"), good);

  // One more policy gives the proxies another view, and its cells have no past of their own.
  Commit({kit::Put(kit::MeshTimeout("u", "both", "s1", "5s"))});
  Settle();
  EXPECT_EQ(cluster("both-0"), good);

  Commit({kit::Put(kit::MeshTimeout("t", "both", "s0", "6s"))});
  Settle();
  EXPECT_EQ(loop_.counters().degraded_cells, 0u);
  EXPECT_NE(cluster("both-0"), good);
}

// Labels cannot be filled in afterwards: proxies share what has the same labels.
TEST_F(CostsTest, LabelsInClustersCostTheirDifferentSets) {
  for (int i = 0; i < 10; ++i) {
    const std::string name = Format("both-{}", i);
    dataplanes_[name].labels["version"] = Format("v{}", i % 2);
    Commit({kit::Put(kit::Dataplane(name, dataplanes_[name]))});
  }
  Commit({kit::Put(kit::MeshTimeout("t", "both", "", "3s"))});
  Settle();
  const uint64_t cells = loop_.counters().cells;

  Commit({kit::Put(kit::MeshTimeout("t", "both", "", "7s"))});
  EXPECT_EQ(Cost().clusters, 20u) << "the display name is a label, too";
  EXPECT_EQ(Cost().endpoints, 0u);
  EXPECT_THAT(published_, SizeIs(10));
  EXPECT_EQ(loop_.counters().degraded_cells, 0u);
  Settle();
  EXPECT_EQ(loop_.counters().cells, cells + 36) << "nine more listeners and clusters for each";

  for (uint64_t stream = 1; stream <= streams_; ++stream)
    loop_.Disconnected({"default", "both-3"}, {stream}, false);
  Settle();
  EXPECT_EQ(loop_.counters().cells, cells + 36 - 5) << "its cells and its own part";

  Commit({kit::Put(kit::MeshTimeout("t", "both", "", "3s"))});
  EXPECT_EQ(Cost().clusters, 2u) << "shared again";
  Settle();
  EXPECT_EQ(loop_.counters().cells, cells - 1);
}

TEST_F(CostsTest, LocalitiesCostTheirValues) {
  const auto set_rack = [&](const std::string& name, int rack) {
    kit::DataplaneOptions& options = dataplanes_.at(name);
    options.labels["rack"] = Format("r{}", rack);
    Commit({kit::Put(kit::Dataplane(name, options))});
  };
  for (int i = 0; i < 10; ++i) set_rack(Format("both-{}", i), i % 2);
  for (int i = 0; i < 5; ++i) {
    set_rack(Format("s0-{}", i), i % 2);
    set_rack(Format("s1-{}", i), i % 2);
  }
  Settle();
  const auto endpoints_of = [&](const std::string& name) {
    return BundleOf(name)->Of(XdsType::kEndpoints);
  };
  const auto bytes_of = [](const bundle::SealedList& list) {
    return *bundle::Find(list, "kri_msvc_default_default__s0_80")->Bytes();
  };
  const auto plain = endpoints_of("both-0");

  Commit({kit::Put(kit::NearBy("near", "both", "rack"))});
  EXPECT_EQ(Cost().endpoints, 4u) << "two services, two racks";
  EXPECT_THAT(published_, SizeIs(10));
  EXPECT_EQ(endpoints_of("both-0"), endpoints_of("both-2"));
  EXPECT_NE(bytes_of(endpoints_of("both-0")), bytes_of(endpoints_of("both-1")));
  Settle();

  kit::DataplaneOptions moved = dataplanes_.at("s1-3");
  moved.address = "10.1.9.9";
  Commit({kit::Put(kit::Dataplane("s1-3", moved))});
  EXPECT_EQ(Cost().endpoints, 3u) << "two racks, and the plain set of those without the policy";
  EXPECT_EQ(Cost().clusters, 0u);
  Settle();

  const auto near_r1 = endpoints_of("both-1");
  set_rack("both-0", 1);
  EXPECT_EQ(Cost().endpoints, 0u) << "the sets of the rack are there";
  EXPECT_EQ(endpoints_of("both-0"), near_r1);
  Settle();

  Commit({kit::Delete({"MeshLoadBalancingStrategy", "default", "near"})});
  Settle();
  EXPECT_EQ(bytes_of(endpoints_of("both-0")), bytes_of(plain));
}

// Texts of a proxy cost one cell for all proxies: they are filled in when bundles are put together.
TEST_F(CostsTest, AnAccessLogThatNamesTheProxyIsBuiltOnce) {
  const auto log = [](const std::string& path) {
    return kit::FromYaml(Format(R"(
type: MeshAccessLog
mesh: default
name: calls
spec:
  targetRef: {{kind: Dataplane, labels: {{app: both}}}}
  to:
    - targetRef: {{kind: Mesh}}
      default: {{backends: [{{type: File, file: {{path: {}}}}}]}}
)",
                                path));
  };
  const uint64_t cells = loop_.counters().cells;
  Commit({kit::Put(log("/a.log"))});
  EXPECT_EQ(Cost().listeners, 2u) << "s0 and s1, for ten proxies";
  EXPECT_THAT(published_, SizeIs(10));
  Settle();
  EXPECT_EQ(loop_.counters().cells, cells + 2)
      << "two listeners and two clusters of the new view; those of s0 under the old one are gone";

  const auto listener = [&](const std::string& name) {
    for (const bundle::SealedPtr& resource : BundleOf(name)->Of(XdsType::kListener))
      if (resource->name.find("s0") != std::string::npos) return resource;
    return bundle::SealedPtr();
  };
  EXPECT_THAT(*listener("both-0")->Bytes(), HasSubstr(R"("10.2.0.1")"));
  EXPECT_THAT(*listener("both-7")->Bytes(), HasSubstr(R"("10.2.0.8")"));
  EXPECT_NE(listener("both-0")->version, listener("both-7")->version);

  Commit({kit::Put(log("/b.log"))});
  EXPECT_EQ(Cost().listeners, 2u);
  EXPECT_EQ(Cost().clusters + Cost().own + Cost().endpoints, 0u);
  EXPECT_EQ(Cost().plans, 0u) << "what it uses of the proxies is the same";
  EXPECT_THAT(published_, SizeIs(10));
  Settle();

  const bundle::SealedPtr before = listener("both-7");
  kit::DataplaneOptions moved = dataplanes_.at("both-3");
  moved.address = "10.2.9.9";
  Commit({kit::Put(kit::Dataplane("both-3", moved))});
  EXPECT_EQ(Cost().listeners, 0u) << "another address is filled in";
  EXPECT_THAT(published_, SizeIs(1));
  EXPECT_THAT(*listener("both-3")->Bytes(), HasSubstr(R"("10.2.9.9")"));
  EXPECT_EQ(listener("both-7"), before);

  // What touches other things leaves the listener of each as it is.
  Commit({kit::Put(kit::MeshTimeout("t", "both", "", "3s"))});
  Settle();
  EXPECT_EQ(listener("both-7")->version, before->version);
}

TEST_F(CostsTest, WhoIsNotConnectedCostsNothing) {
  for (uint64_t stream = 1; stream <= streams_; ++stream) {
    for (const auto& [name, options] : dataplanes_)
      loop_.Disconnected({"default", name}, {stream}, false);
  }
  Settle();
  EXPECT_EQ(loop_.counters().proxies, 0u);
  EXPECT_EQ(loop_.counters().cells, 0u);
  EXPECT_EQ(loop_.counters().cell_bytes, 0u);
  Commit({kit::Put(kit::MeshTimeout("t", "", "", "3s"))});
  EXPECT_EQ(Cost().checks, 0u);
}

TEST_F(CostsTest, TheEndOfAnOlderStreamDoesNothing) {
  loop_.Connected(
      {.proxy = {"default", "one-0"}, .stream = {1000}, .node = {}, .dataplane = nullptr});
  Settle();
  for (uint64_t stream = 1; stream <= streams_; ++stream)
    loop_.Disconnected({"default", "one-0"}, {stream}, false);
  Settle();
  EXPECT_EQ(loop_.counters().proxies, dataplanes_.size());
  loop_.Disconnected({"default", "one-0"}, {1000}, false);
  Settle();
  EXPECT_EQ(loop_.counters().proxies, dataplanes_.size() - 1);
}

TEST_F(CostsTest, AnIdleLoopDoesNothing) {
  const uint64_t steps = simulation_.steps();
  simulation_.Advance(std::chrono::minutes(30));
  EXPECT_LE(simulation_.steps() - steps, 2u);
}

}  // namespace
}  // namespace kuma::sim

#include "derive/derive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/format.h"
#include "derive/internal/test_world.h"
#include "resources/mesh_open_telemetry_backend/mesh_open_telemetry_backend.h"

namespace kuma::derive {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Texts = std::vector<std::string>;

TEST(DeriveTest, EmptyWorldGetsItsDefaultsOnce) {
  World world;
  EXPECT_THAT(
      world.Start(),
      ElementsAre("+HostnameGenerator local-mesh-external-service",
                  "+HostnameGenerator local-universal-mesh-service", "+Mesh default",
                  "+MeshRetry default/mesh-retry-all-default",
                  "+MeshTimeout default/mesh-timeout-all-default",
                  "+Secret default/dataplane-token-signing-key-default-1", "+Zone default"));
  EXPECT_EQ(
      world.Json("HostnameGenerator", "", "local-universal-mesh-service"),
      R"({"type":"HostnameGenerator","name":"local-universal-mesh-service","labels":{"kuma.io/origin":"zone"},)"
      R"("spec":{"selector":{"meshService":{"matchLabels":{"kuma.io/origin":"zone"}}},)"
      R"("template":"{{ .DisplayName }}.svc.mesh.local"}})");
  const ResourcePtr policy = world.Find("MeshRetry", "default", "mesh-retry-all-default");
  EXPECT_EQ(policy->meta().owner, (ResourceKey{"Mesh", "", "default"}));
  EXPECT_EQ(policy->meta().labels, (Labels{{"kuma.io/display-name", "mesh-retry-all-default"},
                                           {"kuma.io/env", "universal"},
                                           {"kuma.io/mesh", "default"},
                                           {"kuma.io/origin", "zone"},
                                           {"kuma.io/zone", "default"}}));
  EXPECT_EQ(world.Find("Secret", "default", "dataplane-token-signing-key-default-1")->meta().owner,
            (ResourceKey{"Mesh", "", "default"}));
}

TEST(DeriveTest, DefaultsCanBeTurnedOff) {
  Settings settings = TestSettings();
  settings.create_default_mesh = false;
  settings.create_hostname_generators = false;
  World world(settings);
  EXPECT_THAT(world.Start(), ElementsAre("+Zone default"));
}

TEST(DeriveTest, WhatAUserMadeMeanwhileIsKept) {
  World world;
  const ResourcePtr mine = MakeGenerator("local-universal-mesh-service", "{{ .Name }}.mine");
  EXPECT_THAT(
      world.Start({mine, MakeMesh("default", {"*"})}),
      ElementsAre("+HostnameGenerator local-mesh-external-service",
                  "+Secret default/dataplane-token-signing-key-default-1", "+Zone default"));
  EXPECT_EQ(world.Find("HostnameGenerator", "", "local-universal-mesh-service")->spec(),
            mine->spec());
}

TEST(DeriveTest, DeletedDefaultsStayAway) {
  World world;
  world.Start();
  for (const auto& [kind, mesh, name] :
       {std::tuple("HostnameGenerator", "", "local-mesh-external-service"),
        std::tuple("MeshRetry", "default", "mesh-retry-all-default")}) {
    EXPECT_THAT(world.Delete(kind, mesh, name), IsEmpty());
  }
  EXPECT_THAT(world.Restart(), IsEmpty());
  // The whole mesh, with what it owns.
  world.Delete("Mesh", "", "default");
  EXPECT_THAT(world.Restart(), IsEmpty());
  // A rotated key counts as well as the first one.
  world.Put(MakeMesh("m"));
  world.Put(MakeSecret("m", "dataplane-token-signing-key-m-2"));
  world.Delete("Secret", "m", "dataplane-token-signing-key-m-1");
  world.Delete("MeshRetry", "m", "mesh-retry-all-m");
  EXPECT_THAT(world.Restart(), IsEmpty());
}

TEST(DeriveTest, NewMeshGetsItsPoliciesUnlessItSkipsThem) {
  World world;
  world.Start();
  EXPECT_THAT(world.Put(MakeMesh("a")),
              ElementsAre("+MeshRetry a/mesh-retry-all-a", "+MeshTimeout a/mesh-timeout-all-a",
                          "+Secret a/dataplane-token-signing-key-a-1"));
  EXPECT_THAT(world.Put(MakeMesh("b", {"MeshRetry"})),
              ElementsAre("+MeshTimeout b/mesh-timeout-all-b",
                          "+Secret b/dataplane-token-signing-key-b-1"));
  EXPECT_THAT(world.Put(MakeMesh("c", {"*"})),
              ElementsAre("+Secret c/dataplane-token-signing-key-c-1"));
  EXPECT_THAT(world.Put(MakeMesh("c", {})), IsEmpty());
}

TEST(DeriveTest, CrashBetweenMeshAndFollowUpLosesNothing) {
  World world;
  world.Start();
  world.PutWithoutFollowUp(MakeMesh("a"));
  EXPECT_THAT(world.Restart(),
              ElementsAre("+MeshRetry a/mesh-retry-all-a", "+MeshTimeout a/mesh-timeout-all-a",
                          "+Secret a/dataplane-token-signing-key-a-1"));
}

TEST(DeriveTest, RefusedDefaultsAreMadeAgainAroundWhatIsThere) {
  World world;
  const std::vector<Derived> refused = world.StartUnstored();
  // A user's Mesh `default` came first: the store refuses all; control puts the state back and the
  // user's event in.
  std::vector<mesh::Change> back;
  for (const Derived& write : refused) back.push_back(DeletionOf(write.key));
  back.push_back(CreationOf(MakeMesh("default", {"*"})));
  EXPECT_THAT(
      world.Apply(back),
      ElementsAre("+HostnameGenerator local-mesh-external-service",
                  "+HostnameGenerator local-universal-mesh-service",
                  "+Secret default/dataplane-token-signing-key-default-1", "+Zone default"));
}

TEST(DeriveTest, OtherZonesAreOldNamesOfThisOne) {
  World world;
  EXPECT_THAT(
      world.Start({MakeZone("old"), MakeMesh("m", {"*"})}),
      ElementsAre("+Secret m/dataplane-token-signing-key-m-1", "+Zone default", "-Zone old"));
  EXPECT_THAT(world.Delete("Zone", "", "default"), ElementsAre("+Zone default"));
}

class ServicesTest : public testing::Test {
 protected:
  ServicesTest() {
    world_.Start();
    world_.Put(MakeMesh("m", {"*"}));
  }
  Texts Put(const ResourcePtr& resource) { return world_.Put(resource); }
  const mesh_service::Spec& Spec(const std::string& name) {
    return world_.Find("MeshService", "m", name)->Spec<mesh_service::Spec>();
  }
  const mesh_service::Status& Status(const std::string& name) {
    return *world_.Find("MeshService", "m", name)->Status<mesh_service::Status>();
  }
  const workload::DataplaneProxies& WorkloadCounts(const std::string& name) {
    return world_.Find("Workload", "m", name)->Status<workload::Status>()->dataplane_proxies;
  }
  Texts Ports(const std::string& name) {
    Texts ports;
    for (const auto& port : Spec(name).ports)
      ports.push_back(base::Format("{}:{}:{}", port.name, port.port, port.app_protocol));
    return ports;
  }

  World world_;
};

TEST_F(ServicesTest, WorkloadsAndServicesComeWithTheirDataplanes) {
  EXPECT_THAT(Put(MakeDataplane("m", "web-1", {{"kuma.io/workload", "web"}},
                                {{"http", 80, "http"}, {"", 81, "odd"}})),
              ElementsAre("+MeshService m/web", "+Workload m/web"));
  EXPECT_THAT(Ports("web"), ElementsAre("http:80:http", "81:81:tcp"));
  EXPECT_EQ(Spec("web").state, mesh_service::State::kAvailable);
  EXPECT_EQ(world_.Find("MeshService", "m", "web")->meta().owner, (ResourceKey{"Mesh", "", "m"}));
  // Another one like it: counters only.
  EXPECT_THAT(Put(MakeDataplane("m", "web-2", {{"kuma.io/workload", "web"}},
                                {{"http", 80, "http"}, {"", 81, ""}})),
              ElementsAre("~MeshService m/web", "~Workload m/web"));
  EXPECT_EQ(Status("web").dataplane_proxies.total, 2);
  // No workload, or a name that no resource can have: nothing.
  EXPECT_THAT(Put(MakeDataplane("m", "x-1", {}, {{"http", 80, ""}})), IsEmpty());
  EXPECT_THAT(Put(MakeDataplane("m", "x-2", {{"kuma.io/workload", "9-Lives"}}, {{"http", 80, ""}})),
              IsEmpty());
  // Without inbounds it is a workload, but no service.
  EXPECT_THAT(Put(MakeDataplane("m", "gw-1", {{"kuma.io/workload", "gw"}}, {})),
              ElementsAre("+Workload m/gw"));
  EXPECT_THAT(world_.Delete("Dataplane", "m", "gw-1"), ElementsAre("-Workload m/gw"));
}

TEST_F(ServicesTest, NothingIsMadeInAMeshThatIsNotThere) {
  EXPECT_THAT(Put(MakeDataplane("n", "web-1", {{"kuma.io/workload", "web"}}, {{"http", 80, ""}})),
              IsEmpty());
  EXPECT_THAT(Put(MakeMesh("n", {"*"})),
              ElementsAre("+MeshService n/web", "+Secret n/dataplane-token-signing-key-n-1",
                          "+Workload n/web"));
}

TEST_F(ServicesTest, DisagreeingDataplanesKeepThePortsThatAreThere) {
  const Labels labels{{"kuma.io/workload", "web"}};
  Put(MakeDataplane("m", "web-1", labels, {{"old", 80, ""}}));
  Put(MakeDataplane("m", "web-2", labels, {{"new", 81, ""}}));
  EXPECT_THAT(Ports("web"), ElementsAre("old:80:tcp"));
  EXPECT_EQ(Status("web").dataplane_proxies.healthy, 1);
  Put(MakeDataplane("m", "web-1", labels, {{"newest", 82, ""}}));
  EXPECT_THAT(
      Ports("web"),
      ElementsAre("newest:82:tcp"));  // nobody has the old ones: the oldest Dataplane decides
  world_.Delete("Dataplane", "m", "web-1");
  EXPECT_THAT(Ports("web"), ElementsAre("new:81:tcp"));
}

TEST_F(ServicesTest, UsersServiceWinsAndIsSaidOnce) {
  Put(MakeService("m", "web", {}, {{"app", "web"}}));
  world_.TakeNotices();
  EXPECT_THAT(Put(MakeDataplane("m", "web-1", {{"kuma.io/workload", "web"}, {"app", "web"}},
                                {{"http", 80, ""}})),
              ElementsAre("*MeshService m/web", "+Workload m/web"));
  EXPECT_THAT(Ports("web"), IsEmpty());
  EXPECT_EQ(world_.TakeNotices(), (Texts{"MeshService m/web: no MeshService is generated for "
                                         "workload web: MeshService m/web exists and was "
                                         "made by a user"}));
  Put(MakeDataplane("m", "web-2", {{"kuma.io/workload", "web"}}, {{"http", 80, ""}}));
  EXPECT_THAT(world_.TakeNotices(), IsEmpty());
  // The name becomes free.
  EXPECT_THAT(world_.Delete("MeshService", "m", "web"), ElementsAre("+MeshService m/web"));
  EXPECT_THAT(Ports("web"), ElementsAre("http:80:tcp"));
}

TEST_F(ServicesTest, GeneratedServiceGoesAfterItsGracePeriod) {
  const ResourcePtr dataplane =
      MakeDataplane("m", "web-1", {{"kuma.io/workload", "web"}}, {{"http", 80, ""}});
  Put(dataplane);
  const std::string vip = Status("web").vips.front().ip;
  EXPECT_EQ(world_.NextTimer(), std::nullopt);
  EXPECT_THAT(world_.Delete("Dataplane", "m", "web-1"),
              ElementsAre("*MeshService m/web", "-Workload m/web"));
  EXPECT_EQ(world_.Find("MeshService", "m", "web")
                ->meta()
                .Label("kuma.io/deletion-grace-period-started-at"),
            model::ToRfc3339(world_.now()));
  EXPECT_EQ(Spec("web").state, mesh_service::State::kUnavailable);
  EXPECT_EQ(world_.NextTimer(), world_.now() + hours(1));
  // Back in time: the label goes.
  world_.Advance(minutes(59));
  Put(dataplane);
  EXPECT_EQ(world_.Find("MeshService", "m", "web")
                ->meta()
                .Label("kuma.io/deletion-grace-period-started-at"),
            "");
  EXPECT_EQ(world_.NextTimer(), std::nullopt);
  EXPECT_EQ(Status("web").vips.front().ip, vip);
  // Gone for good, in spite of a restart meanwhile.
  world_.Delete("Dataplane", "m", "web-1");
  world_.Advance(minutes(30));
  world_.Restart();
  EXPECT_EQ(world_.NextTimer(), world_.now() + minutes(30));
  EXPECT_THAT(world_.Advance(minutes(30)), ElementsAre("-MeshService m/web"));
  EXPECT_EQ(world_.NextTimer(), std::nullopt);
  // A service of the same name gets the same address again.
  Put(dataplane);
  EXPECT_EQ(Status("web").vips.front().ip, vip);
}

TEST_F(ServicesTest, UnreadableGracePeriodStartsAgain) {
  Put(MakeDataplane("m", "web-1", {{"kuma.io/workload", "web"}}, {{"http", 80, ""}}));
  const ResourcePtr held = world_.Find("MeshService", "m", "web");
  world_.Delete("Dataplane", "m", "web-1");
  model::Metadata meta = held->meta();
  meta.labels["kuma.io/deletion-grace-period-started-at"] = "yesterday";
  Put(std::make_shared<model::Resource>(held->type(), meta, held->spec(), held->status()));
  EXPECT_EQ(world_.NextTimer(), world_.now() + hours(1));
}

TEST_F(ServicesTest, EditsOfAGeneratedServiceAreUndoneButOtherLabelsStay) {
  Put(MakeDataplane("m", "web-1", {{"kuma.io/workload", "web"}}, {{"http", 80, ""}}));
  const ResourcePtr held = world_.Find("MeshService", "m", "web");
  model::Metadata meta = held->meta();
  meta.labels["team"] = "mine";
  meta.labels["kuma.io/env"] = "edited";
  mesh_service::Spec spec;
  Put(std::make_shared<model::Resource>(held->type(), meta,
                                        std::make_shared<const mesh_service::Spec>(spec)));
  const ResourcePtr now = world_.Find("MeshService", "m", "web");
  EXPECT_EQ(now->meta().Label("team"), "mine");
  EXPECT_EQ(now->meta().Label("kuma.io/env"), "universal");
  EXPECT_THAT(Ports("web"), ElementsAre("http:80:tcp"));
  EXPECT_EQ(Spec("web").state, mesh_service::State::kAvailable);
  EXPECT_EQ(Status("web").dataplane_proxies.total, 1);
  EXPECT_EQ(Status("web").vips.size(), 1u);
}

TEST_F(ServicesTest, VipStaysWhileTheServiceLives) {
  Put(MakeService("m", "a", {}, {{"app", "a"}}));
  const std::string vip = Status("a").vips.front().ip;
  EXPECT_TRUE(vip.starts_with("241."));
  // A user's write without the status, with other labels (the KRI changes).
  Put(MakeService("m", "a", {{"kuma.io/display-name", "b"}}, {{"app", "b"}}));
  EXPECT_EQ(Status("a").vips.front().ip, vip);
  EXPECT_EQ(Status("a").vips.size(), 1u);
  EXPECT_THAT(world_.Restart(), IsEmpty());
  EXPECT_EQ(Status("a").vips.front().ip, vip);
}

TEST_F(ServicesTest, VipsFoundInTheStoreAreKept) {
  World world;
  mesh_service::Status status;
  status.vips.push_back({"192.168.9.9"});
  world.Start({MakeMesh("m", {"*"}), WithStatus(MakeService("m", "a", {}, {}), status)});
  EXPECT_EQ(world.Find("MeshService", "m", "a")->Status<mesh_service::Status>()->vips.front().ip,
            "192.168.9.9");
}

TEST_F(ServicesTest, AThousandServicesHaveAThousandVips) {
  std::vector<mesh::Change> changes;
  for (int i = 0; i < 1000; ++i)
    changes.push_back(CreationOf(MakeService("m", base::Format("s{}", i), {}, {})));
  EXPECT_EQ(world_.Apply(changes).size(), 1000u);
  std::set<std::string> vips;
  for (int i = 0; i < 1000; ++i) vips.insert(Status(base::Format("s{}", i)).vips.front().ip);
  EXPECT_EQ(vips.size(), 1000u);
}

TEST(DeriveVipTest, UsedUpRangeIsSaidOnce) {
  Settings settings = TestSettings();
  settings.mesh_service_cidr = "241.0.0.0/30";
  World world(settings);
  world.Start({MakeMesh("m", {"*"}), MakeService("m", "a", {}, {}), MakeService("m", "b", {}, {}),
               MakeService("m", "c", {}, {})});
  EXPECT_EQ(world.TakeNotices(), (Texts{"MeshService m/c: no VIP: 241.0.0.0/30 is used up"}));
  world.Put(MakeDataplane("m", "d", {}, {{"http", 80, ""}}));
  EXPECT_THAT(world.TakeNotices(), IsEmpty());
}

TEST_F(ServicesTest, HostnamesFollowGeneratorsAndLabels) {
  Put(MakeService("m", "web", {{"kuma.io/origin", "zone"}}, {}));
  ASSERT_EQ(Status("web").addresses.size(), 1u);
  EXPECT_EQ(Status("web").addresses[0].hostname, "web.svc.mesh.local");
  EXPECT_EQ(Status("web").addresses[0].hostname_generator_ref->core_name,
            "local-universal-mesh-service");
  EXPECT_THAT(Put(MakeGenerator("extra", "{{ label \"nope\" }}.mesh")),
              ElementsAre("~MeshService m/web"));
  ASSERT_EQ(Status("web").hostname_generators.size(), 2u);
  const auto& failed = Status("web").hostname_generators[0];
  EXPECT_EQ(failed.hostname_generator_ref.core_name, "extra");
  EXPECT_EQ(failed.conditions.at(0).status, "False");
  EXPECT_EQ(failed.conditions.at(0).reason, "TemplateError");
  EXPECT_EQ(Status("web").addresses.size(), 1u);
  EXPECT_THAT(world_.Delete("HostnameGenerator", "", "extra"), ElementsAre("~MeshService m/web"));
  EXPECT_EQ(Status("web").hostname_generators.size(), 1u);
}

TEST_F(ServicesTest, CollidingHostnameGoesToTheOlderService) {
  Put(MakeGenerator("same", "same.mesh"));
  Put(MakeService("m", "b", {}, {}));
  world_.Advance(seconds(1));
  EXPECT_THAT(Put(MakeService("m", "a", {}, {})), ElementsAre("~MeshService m/a"));
  EXPECT_EQ(Status("b").addresses.at(0).hostname, "same.mesh");
  EXPECT_THAT(Status("a").addresses, IsEmpty());
  EXPECT_EQ(Status("a").hostname_generators.at(0).conditions.at(0).reason, "Collision");
  EXPECT_THAT(world_.Delete("MeshService", "m", "b"), ElementsAre("~MeshService m/a"));
  EXPECT_EQ(Status("a").addresses.at(0).hostname, "same.mesh");
}

TEST_F(ServicesTest, CountsFollowConnectionsAndStates) {
  Put(MakeDataplane("m", "web-1", {{"kuma.io/workload", "web"}},
                    {{"http", 80, ""}, {"admin", 81, ""}}));
  EXPECT_EQ(Status("web").dataplane_proxies.connected, 0);
  EXPECT_THAT(world_.Connect("m", "web-1", true),
              ElementsAre("~MeshService m/web", "~Workload m/web"));
  EXPECT_THAT(world_.Connect("m", "web-1", true), IsEmpty());
  EXPECT_THAT(world_.Connect("m", "unknown", true), IsEmpty());
  EXPECT_EQ(Status("web").dataplane_proxies.connected, 1);
  EXPECT_EQ(Status("web").dataplane_proxies.healthy, 1);
  EXPECT_EQ(WorkloadCounts("web").connected, 1);
  // One of two inbounds is out: the service has no healthy proxy, the workload has.
  EXPECT_THAT(
      Put(MakeDataplane("m", "web-1", {{"kuma.io/workload", "web"}},
                        {{"http", 80, "", dataplane::InboundState::kNotReady}, {"admin", 81, ""}})),
      ElementsAre("*MeshService m/web"));
  EXPECT_EQ(Status("web").dataplane_proxies.healthy, 0);
  EXPECT_EQ(Spec("web").state, mesh_service::State::kUnavailable);
  EXPECT_EQ(WorkloadCounts("web").healthy, 1);
  EXPECT_THAT(world_.Connect("m", "web-1", false),
              ElementsAre("~MeshService m/web", "~Workload m/web"));
  EXPECT_EQ(WorkloadCounts("web").connected, 0);
}

TEST_F(ServicesTest, ProxyMayConnectBeforeItsDataplaneIsThere) {
  EXPECT_THAT(world_.Connect("m", "web-1", true), IsEmpty());
  Put(MakeDataplane("m", "web-1", {{"kuma.io/workload", "web"}}, {{"http", 80, ""}}));
  EXPECT_EQ(Status("web").dataplane_proxies.connected, 1);
}

TEST_F(ServicesTest, ServicesOfOtherZonesGetAddressesOnly) {
  mesh_service::Spec spec;
  spec.state = mesh_service::State::kAvailable;
  spec.identities.push_back({mesh_service::IdentityType::kSpiffeId, "spiffe://west/web"});
  model::Metadata meta;
  meta.mesh = "m";
  meta.name = "web-x8b5";
  meta.labels = {
      {"kuma.io/origin", "global"}, {"kuma.io/zone", "west"}, {"kuma.io/display-name", "web"}};
  Put(MakeGenerator("synced", "{{ .DisplayName }}.svc.{{ .Zone }}.mesh.local"));
  EXPECT_THAT(Put(model::MakeResource(mesh_service::Type(), meta, spec)),
              ElementsAre("~MeshService m/web-x8b5"));
  EXPECT_EQ(Spec("web-x8b5").state, mesh_service::State::kAvailable);
  EXPECT_EQ(Spec("web-x8b5").identities.size(), 1u);
  EXPECT_EQ(Status("web-x8b5").addresses.at(0).hostname, "web.svc.west.mesh.local");
  EXPECT_EQ(Status("web-x8b5").tls.status, mesh_service::TlsStatus::kNone);
}

TEST_F(ServicesTest, DeletedWorkloadComesBackAndAUsersStays) {
  Put(MakeDataplane("m", "web-1", {{"kuma.io/workload", "web"}}, {{"http", 80, ""}}));
  EXPECT_THAT(world_.Delete("Workload", "m", "web"), ElementsAre("+Workload m/web"));
  model::Metadata meta;
  meta.mesh = "m";
  meta.name = "mine";
  EXPECT_THAT(Put(model::MakeResource(workload::Type(), meta, workload::Spec{})),
              ElementsAre("~Workload m/mine"));
}

#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// The fastest of many tries, so that a busy machine does not fail it.
// A policy with any spec and conditions as status.
struct AnySpec {
  model::Value conf;
  static constexpr auto Fields() {
    return std::tuple{model::Field("conf", &AnySpec::conf, "Anything.")};
  }
};
using CollectorStatus = resources::mesh_open_telemetry_backend::Status;
const model::ResourceType& LogType() {
  static const model::ResourceType type = model::Describe<AnySpec, CollectorStatus>(
      {.kind = "MeshAccessLog", .global_to_zones = true, .zone_to_global = true});
  return type;
}
ResourcePtr MakeLog(const std::string& name, const std::vector<std::string>& collectors) {
  model::Array list;
  for (const std::string& collector : collectors) {
    list.emplace_back(model::Object{
        {"backendRef", model::Object{{"kind", "MeshOpenTelemetryBackend"},
                                     {"labels", model::Object{{"name", collector}}}}}});
  }
  return model::MakeResource(LogType(), MetaOf("m", name), AnySpec{std::move(list)});
}
ResourcePtr MakeCollector(const std::string& name, const std::string& label) {
  return model::MakeResource(resources::mesh_open_telemetry_backend::Type(),
                             MetaOf("m", name, {{"name", label}}),
                             resources::mesh_open_telemetry_backend::Spec{});
}

TEST(DeriveCollectorsTest, ReferencesAreSaidAtBothEnds) {
  World world;
  world.Start({MakeZone("default"), MakeMesh("m")});
  const auto condition = [&](const std::string& kind, const std::string& name) {
    const ResourcePtr held = world.Find(kind, "m", name);
    const auto& list = held->Status<CollectorStatus>()->conditions;
    EXPECT_EQ(list.size(), 1u);
    return list[0].type + " " + list[0].status + " " + list[0].reason + ": " + list[0].message;
  };
  EXPECT_THAT(world.Put(MakeLog("none", {})), ElementsAre("~MeshAccessLog m/none"));
  EXPECT_EQ(condition("MeshAccessLog", "none"),
            "BackendRefsResolved True AllBackendRefsResolved: No MeshOpenTelemetryBackend "
            "references configured");
  EXPECT_THAT(world.Put(MakeLog("two", {"b", "a", "b"})), ElementsAre("~MeshAccessLog m/two"));
  EXPECT_EQ(condition("MeshAccessLog", "two"),
            "BackendRefsResolved False UnresolvedBackendRefs: Unresolved MeshOpenTelemetryBackend "
            "references: labels:name=a, labels:name=b");
  EXPECT_THAT(world.Put(MakeCollector("x", "a")),
              UnorderedElementsAre("~MeshAccessLog m/two", "~MeshOpenTelemetryBackend m/x"));
  world.Put(MakeCollector("y", "b"));
  EXPECT_THAT(world.Put(MakeCollector("later", "b")),
              ElementsAre("~MeshOpenTelemetryBackend m/later"));
  EXPECT_EQ(condition("MeshAccessLog", "two"),
            "BackendRefsResolved True AllBackendRefsResolved: All MeshOpenTelemetryBackend "
            "references are resolved");
  EXPECT_EQ(condition("MeshOpenTelemetryBackend", "y"),
            "ReferencedByPolicies True Referenced: Referenced by 2 policy backend(s)");
  EXPECT_EQ(condition("MeshOpenTelemetryBackend", "later"),
            "ReferencedByPolicies False NotReferenced: Not referenced by any observability policy");
  world.Delete("MeshOpenTelemetryBackend", "m", "x");
  EXPECT_EQ(condition("MeshAccessLog", "two"),
            "BackendRefsResolved False UnresolvedBackendRefs: Unresolved MeshOpenTelemetryBackend "
            "references: labels:name=a");
  EXPECT_THAT(world.Restart(), IsEmpty());
}

TEST(DeriveCostTest, OneChangeAmongTenThousandDataplanesIsCheap) {
  mesh::MeshState state;
  Derivation derivation{TestSettings()};
  const auto make = [](int i, uint32_t port) {
    return MakeDataplane(
        "m", base::Format("d{:05}", i),
        {{"kuma.io/workload", base::Format("w{:03}", i % 1000)}, {"kuma.io/zone", "default"}},
        {{"http", port, "http"}});
  };
  std::vector<mesh::Change> changes{CreationOf(MakeMesh("m"))};
  for (int i = 0; i < 10000; ++i) changes.push_back(CreationOf(make(i, 80)));
  const auto start = std::chrono::steady_clock::now();
  std::vector<Derived> writes = derivation.Run(state, state.Apply(changes), {});
  const auto first = std::chrono::steady_clock::now() - start;
  EXPECT_GT(writes.size(), 2000u);
  const auto apply = [&](const std::vector<Derived>& derived) {
    std::vector<mesh::Change> applied;
    for (const Derived& write : derived) applied.push_back(CreationOf(write.resource));
    return state.Apply(applied);
  };
  EXPECT_TRUE(derivation.Run(state, apply(writes), {}).empty());
  auto best = std::chrono::steady_clock::duration::max();
  for (int i = 0; i < 200; ++i) {
    const mesh::ChangeSet one = state.Apply(std::vector{CreationOf(make(i, 81))});
    const auto begin = std::chrono::steady_clock::now();
    writes = derivation.Run(state, one, {});
    best = std::min(best, std::chrono::steady_clock::now() - begin);
    EXPECT_TRUE(derivation.Run(state, apply(writes), {}).empty());
  }
  using std::chrono::duration_cast;
  RecordProperty("first_run_ms",
                 static_cast<int>(duration_cast<std::chrono::milliseconds>(first).count()));
  RecordProperty("change_us",
                 static_cast<int>(duration_cast<std::chrono::microseconds>(best).count()));
  EXPECT_LE(duration_cast<std::chrono::microseconds>(best).count(), 300);
}
#endif

// ---------------------------------------------------------------------------------------------------------
// Random worlds. World::Apply itself checks that Run is a fixed point after one call.

struct RandomWorld {
  explicit RandomWorld(uint64_t seed) : random(seed), world(SmallRange()) { world.Start(); }

  static Settings SmallRange() {
    Settings settings = TestSettings();
    settings.mesh_service_cidr = "241.0.0.0/27";  // collisions of VIPs
    return settings;
  }
  uint64_t Below(uint64_t bound) { return random() % bound; }

  mesh::Change RandomChange() {
    const std::string mesh = Below(4) == 0 ? "n" : "m";
    ResourcePtr resource;
    switch (Below(12)) {
      case 0: resource = MakeMesh(mesh, Below(2) == 0 ? Texts{"*"} : Texts{}); break;
      case 1:
        resource = MakeGenerator(base::Format("g{}", Below(3)),
                                 Below(2) == 0 ? "{{ .Name }}.mesh" : "{{ label \"h\" }}.mesh",
                                 Below(2) == 0 ? Labels{} : Labels{{"x", "1"}});
        break;
      case 2:
      case 3: {
        Labels labels;
        if (Below(2) == 0) labels["h"] = base::Format("h{}", Below(2));
        if (Below(2) == 0) labels["x"] = "1";
        if (Below(3) == 0) labels["kuma.io/origin"] = Below(2) == 0 ? "zone" : "global";
        if (Below(5) == 0) labels["kuma.io/managed-by"] = "meshservice-generator";
        resource = MakeService(mesh, base::Format("w{}", Below(5)), labels,
                               {{"app", base::Format("a{}", Below(3))}});
        break;
      }
      case 4: {
        model::Metadata meta;
        meta.mesh = mesh;
        meta.name = base::Format("w{}", Below(5));
        resource = model::MakeResource(workload::Type(), meta, workload::Spec{});
        break;
      }
      default: {
        Labels labels{{"app", base::Format("a{}", Below(3))}};
        if (Below(4) != 0) labels["kuma.io/workload"] = base::Format("w{}", Below(5));
        std::vector<TestInbound> inbounds;
        for (uint64_t i = Below(3); i > 0; --i)
          inbounds.push_back({Below(2) == 0 ? "http" : "", static_cast<uint32_t>(80 + Below(2)),
                              "http",
                              Below(4) == 0 ? dataplane::InboundState::kNotReady
                                            : dataplane::InboundState::kReady});
        resource = MakeDataplane(mesh, base::Format("d{}", Below(10)), labels, inbounds);
      }
    }
    if (Below(3) == 0) return DeletionOf(resource->key());
    return CreationOf(resource);
  }

  std::mt19937_64 random;
  World world;
};

TEST(DerivePropertyTest, FixedPointAndRestartEquivalence) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(base::Format("seed {}", seed));
    RandomWorld random(seed);
    for (int step = 0; step < 60; ++step) {
      SCOPED_TRACE(base::Format("step {}", step));
      if (random.Below(6) == 0) {
        random.world.Connect(random.Below(4) == 0 ? "n" : "m",
                             base::Format("d{}", random.Below(10)), random.Below(2) == 0);
      } else if (random.Below(8) == 0) {
        random.world.Advance(minutes(random.Below(50)));
      } else {
        std::vector<mesh::Change> changes;
        for (uint64_t i = 1 + random.Below(3); i > 0; --i) changes.push_back(random.RandomChange());
        random.world.Apply(changes);
      }
      ASSERT_FALSE(testing::Test::HasFailure());
      // One that starts now from what is stored, with the same proxies connected, has nothing to
      // add.
      if (random.Below(3) == 0) {
        ASSERT_THAT(random.world.RunFromScratch(), IsEmpty());
      }
      random.world.CheckInvariants();
      ASSERT_FALSE(testing::Test::HasFailure());
    }
  }
}

}  // namespace
}  // namespace kuma::derive

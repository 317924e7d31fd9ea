#include "control/internal/affected.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/target_ref.h"
#include "tests/kit/builders.h"

namespace kuma::control::internal {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using What = Scope::What;

std::vector<What> WhatOf(mesh::Change change, const policy::PolicyTable& policies = {}) {
  std::vector<What> what;
  for (const Scope& scope : ScopesOf(change, mesh::Snapshot(), policies))
    what.push_back(scope.what);
  return what;
}
mesh::Change Change(model::ResourcePtr before, model::ResourcePtr after,
                    bool inputs_changed = true) {
  const model::ResourceKey key = (after ? after : before)->key();
  return {.key = key,
          .before = std::move(before),
          .after = std::move(after),
          .revision = {1},
          .inputs_changed = inputs_changed};
}

policy::PolicyTable Timeouts() {
  policy::PolicyType row;
  row.schema = kit::Types().Find("MeshTimeout");
  return {row};
}

TEST(Affected, NothingWhereNoInputChanged) {
  EXPECT_THAT(WhatOf(Change(nullptr, kit::MeshService("web"), false)), IsEmpty());
}

TEST(Affected, ADataplaneIsItsProxy) {
  EXPECT_THAT(WhatOf(Change(nullptr, kit::Dataplane("web"))),
              ElementsAre(What::kProxy, What::kPeers));
}

TEST(Affected, AServiceIsItsCellsAndItsReaders) {
  EXPECT_THAT(WhatOf(Change(nullptr, kit::MeshService("web"))),
              ElementsAre(What::kReaders, What::kDestination, What::kKind));
}

TEST(Affected, AMeshIsAllOfIt) {
  EXPECT_THAT(WhatOf(Change(nullptr, kit::Mesh())), ElementsAre(What::kMesh));
}

TEST(Affected, WhatNobodyKnowsIsReadByEverybody) {
  EXPECT_THAT(WhatOf(Change(nullptr, kit::MeshTimeout("t", "", "", "1s"))),
              ElementsAre(What::kMesh))
      << "a policy without a row";
}

TEST(Affected, APolicyIsItsViewsAndWhoItMaySelect) {
  const auto created = kit::MeshTimeout("t", "web", "", "1s");
  EXPECT_THAT(WhatOf(Change(nullptr, created), Timeouts()), ElementsAre(What::kView, What::kPlans));
  const auto edited = kit::MeshTimeout("t", "web", "", "2s");
  EXPECT_THAT(WhatOf(Change(created, edited), Timeouts()), ElementsAre(What::kView));
  const auto labelled = kit::WithLabels(*edited, {{"kuma.io/display-name", "other"}});
  EXPECT_THAT(WhatOf(Change(edited, labelled), Timeouts()), ElementsAre(What::kView, What::kPlans));
}

// Which slots are in use is part of who the cells are.
TEST(Affected, APolicyThatBeginsToUseASlotMakesNewPlans) {
  policy::PolicyTable table = Timeouts();
  table[0].slots = [](const model::Resource& timeout) {
    return policy::SlotUse{.listener = timeout.meta().creation_time == model::WallTime()
                                           ? policy::SlotFields::kNone
                                           : policy::SlotFields::kAddress,
                           .cluster = policy::SlotFields::kNone};
  };
  const auto without = kit::MeshTimeout("t", "web", "", "1s");
  model::Metadata meta = without->meta();
  meta.creation_time += std::chrono::seconds(1);
  const auto with = std::make_shared<const model::Resource>(without->type(), meta, without->spec());
  EXPECT_THAT(WhatOf(Change(without, without), table), ElementsAre(What::kView));
  EXPECT_THAT(WhatOf(Change(without, with), table), ElementsAre(What::kView, What::kPlans));
  EXPECT_THAT(WhatOf(Change(with, with), table), ElementsAre(What::kView));
}

// An edit of timeouts for outbounds must not cost a look at every proxy.
TEST(Affected, AToListIsNothingToOwnParts) {
  policy::PolicyTable table = Timeouts();
  const auto own_parts = [&] {
    const auto policy = kit::MeshTimeout("t", "web", "", "1s");
    return ScopesOf(Change(policy, policy), mesh::Snapshot(), table).front().own_parts;
  };
  using OwnParts = Scope::OwnParts;
  EXPECT_EQ(own_parts(), OwnParts::kNone) << "a kind without rules";
  table[0].spec.rules = [](const model::Resource&) { return std::vector<policy::RuleItem>(); };
  EXPECT_EQ(own_parts(), OwnParts::kNone) << "no rules in this one";
  table[0].spec.rules = [](const model::Resource&) { return std::vector<policy::RuleItem>(1); };
  EXPECT_EQ(own_parts(), OwnParts::kAll);
  table[0].spec.rules = nullptr;
  table[0].spec.proxy = [](const model::Resource& policy) -> const void* { return &policy; };
  EXPECT_EQ(own_parts(), OwnParts::kAll) << "a conf for the whole proxy";
  table[0].spec.proxy = nullptr;
  table[0].hooks.outside = [](const policy::ProxyContext&, std::string_view,
                              envoy::ListenerDraft&) { return base::Status(base::Ok{}); };
  static policy::TargetRef target;
  table[0].spec.to = [](const model::Resource&) {
    return std::vector<policy::ToItem>{{.target = &target, .conf = nullptr}};
  };
  target.kind = policy::TargetKind::kMeshService;
  EXPECT_EQ(own_parts(), OwnParts::kNone) << "nothing about the outside";
  target.kind = policy::TargetKind::kMesh;
  EXPECT_EQ(own_parts(), OwnParts::kWithOutside);
}

TEST(Affected, MembersAreInEndpointsOnly) {
  EXPECT_THAT(ScopesOfMembers("default", "web", true),
              ElementsAre(Field(&Scope::what, What::kEndpoints), Field(&Scope::what, What::kKind)));
}

TEST(Affected, ADataplaneReachesItsOutbounds) {
  const Reach reach = ReachOf(*kit::Dataplane("web", {.outbounds = {{"backend", 80, 10000}}}), {});
  EXPECT_FALSE(reach.everything);
  EXPECT_THAT(reach.services, ElementsAre("MeshService/backend"));
  EXPECT_TRUE(ReachOf(*kit::FromYaml(R"(
type: Dataplane
mesh: default
name: web
networking:
  address: 10.0.0.1
  transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001}
)"),
                      {})
                  .everything);
  // kuma-dp can say it, too.
  generate::ProxyNode node;
  node.features = {"feature-transparent-proxy-in-dataplane-metadata"};
  EXPECT_TRUE(ReachOf(*kit::Dataplane("web"), node).everything);
}

TEST(Affected, ADataplaneConcernsThoseWhoCallPeers) {
  const auto before = kit::Dataplane("web");
  EXPECT_THAT(WhatOf(Change(before, kit::Dataplane("web", {.address = "10.0.0.9"})), Timeouts()),
              ElementsAre(What::kProxy, What::kPeers));
  EXPECT_FALSE(CallsPeers(*before));
  const auto caller = kit::Dataplane("web", {.transparent = true, .direct_access = {"*"}});
  EXPECT_TRUE(CallsPeers(*caller));
  EXPECT_TRUE(ReachOf(*caller, {}).outside) << "policies for the outside shape those listeners";
}

TEST(Affected, SaysWhatHappened) {
  EXPECT_EQ(TextOf(Change(nullptr, kit::MeshService("web"))), "MeshService default/web created");
  EXPECT_EQ(TextOf(Change(kit::MeshService("web"), nullptr)), "MeshService default/web deleted");
}

}  // namespace
}  // namespace kuma::control::internal

#include "resources/dataplane/probes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

namespace kuma::resources::dataplane {
namespace {

using ::testing::ElementsAre;

Inbound Probed(uint32_t port, InboundState state = InboundState::kReady,
               std::optional<bool> health = std::nullopt) {
  Inbound inbound;
  inbound.port = port;
  inbound.service_port = port + 1000;
  inbound.service_probe.emplace().tcp.emplace();
  inbound.state = state;
  if (health) inbound.health = Health{*health};
  return inbound;
}

std::shared_ptr<const void> SpecOf(std::vector<Inbound> inbounds) {
  auto spec = std::make_shared<Spec>();
  spec->networking.emplace().address = "10.0.0.1";
  spec->networking->inbound = std::move(inbounds);
  return spec;
}
model::ResourcePtr Stored(std::vector<Inbound> inbounds) {
  return std::make_shared<const model::Resource>(Type(), model::Metadata{},
                                                 SpecOf(std::move(inbounds)));
}

// "NotReady/false" of the first inbound; the health may be absent.
std::string Text(const std::shared_ptr<const void>& spec) {
  const Inbound& inbound = static_cast<const Spec*>(spec.get())->networking->inbound.at(0);
  constexpr const char* kNames[] = {"Ready", "NotReady", "Ignored"};
  return std::string(kNames[static_cast<size_t>(inbound.state)]) + "/" +
         (!inbound.health         ? "-"
          : inbound.health->ready ? "true"
                                  : "false");
}

using enum InboundState;

TEST(ProbesTest, ANewProbedInboundIsNotReadyUntilItWasProbed) {
  EXPECT_EQ(Text(KeepHealth(nullptr, SpecOf({Probed(80)}))), "NotReady/false");
  EXPECT_EQ(Text(KeepHealth(nullptr, SpecOf({Probed(80, kReady, true)}))), "NotReady/false");
  EXPECT_EQ(Text(KeepHealth(Stored({Probed(90, kReady, true)}).get(), SpecOf({Probed(80)}))),
            "NotReady/false");
}

TEST(ProbesTest, AnotherWriteKeepsWhatTheProbeFound) {
  const auto up = Stored({Probed(80, kReady, true)});
  const auto down = Stored({Probed(80, kNotReady, false)});
  EXPECT_EQ(Text(KeepHealth(up.get(), SpecOf({Probed(80)}))), "Ready/true");
  EXPECT_EQ(Text(KeepHealth(down.get(), SpecOf({Probed(80)}))), "NotReady/false");
  // Written from what was read while it was down, or up.
  EXPECT_EQ(Text(KeepHealth(up.get(), SpecOf({Probed(80, kNotReady, false)}))), "Ready/true");
  EXPECT_EQ(Text(KeepHealth(down.get(), SpecOf({Probed(80, kReady, true)}))), "NotReady/false");
}

TEST(ProbesTest, AUserMayTakeAHealthyWorkloadOutOfTraffic) {
  const auto up = Stored({Probed(80, kReady, true)});
  EXPECT_EQ(Text(KeepHealth(up.get(), SpecOf({Probed(80, kNotReady)}))), "NotReady/true");
}

TEST(ProbesTest, WhatIsNotProbedIsStoredAsWritten) {
  Inbound plain;
  plain.port = 80;
  plain.state = kNotReady;
  for (const Inbound& inbound : {plain, Probed(80, kIgnored)}) {
    const auto written = SpecOf({inbound});
    EXPECT_EQ(KeepHealth(Stored({Probed(80, kReady, true)}).get(), written), written);
  }
  const auto nothing = std::make_shared<const Spec>();
  EXPECT_EQ(KeepHealth(nullptr, nothing), nothing);
}

TEST(ProbesTest, HealthIsTakenOnceSoThatADrainStays) {
  Inbound inbound = Probed(80, kNotReady, false);
  EXPECT_TRUE(TakeHealth(true, inbound));
  EXPECT_EQ(inbound.state, kReady);
  inbound.state = kNotReady;  // drained
  EXPECT_FALSE(TakeHealth(true, inbound));
  EXPECT_EQ(inbound.state, kNotReady);
  EXPECT_TRUE(TakeHealth(false, inbound));
  EXPECT_TRUE(TakeHealth(true, inbound));
  EXPECT_EQ(inbound.state, kReady);
}

TEST(ProbesTest, NamesTellWorkloadsApart) {
  Networking networking;
  networking.address = "10.0.0.1";
  networking.inbound = {Probed(80), Probed(81, kIgnored), Inbound(), Probed(82)};
  networking.inbound[3].service_port = 1080;
  EXPECT_THAT(ProbeNames(networking), ElementsAre("localhost:1080", "", "", "localhost:1080"));
  networking.inbound[3].service_address = "10.0.0.2";
  EXPECT_THAT(ProbeNames(networking),
              ElementsAre("localhost:1080", "", "", "localhost:1080@10.0.0.2"));
}

}  // namespace
}  // namespace kuma::resources::dataplane

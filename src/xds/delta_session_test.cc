#include "xds/delta_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "xds/internal/culprits.h"
#include "xds/internal/name_set.h"

namespace kuma::xds {
namespace {

using bundle::kAllXdsTypes;
using bundle::MakeList;
using bundle::NameRef;
using bundle::Seal;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using namespace std::chrono_literals;

constexpr XdsType kCds = XdsType::kCluster;
constexpr XdsType kEds = XdsType::kEndpoints;
constexpr XdsType kSds = XdsType::kSecret;
constexpr XdsType kLds = XdsType::kListener;
constexpr XdsType kRds = XdsType::kRoute;

SealedPtr Make(XdsType type, std::string name, std::string content = "1",
               std::vector<std::string> clusters = {}) {
  return Seal(
      {.type = type, .name = std::move(name), .message = content, .clusters = std::move(clusters)});
}
std::string VersionOf(const std::string& content) { return base::HashBytes(content).ToHex(); }

// What a test reads of a response, in the order of names: "CDS r1: +a +b -c", or nothing.
std::string Text(const std::vector<DeltaResponse>& responses) {
  std::string text;
  for (const DeltaResponse& response : responses) {
    const char* const names[] = {"CDS", "EDS", "SDS", "LDS", "RDS"};
    if (!text.empty()) text += "; ";
    text += response.other_type_url.empty() ? names[static_cast<size_t>(response.type)]
                                            : response.other_type_url;
    std::set<std::string> sent;
    for (const SealedPtr& resource : response.resources) sent.insert(resource->name);
    for (const std::string& name : sent) text += " +" + name;
    for (const std::string& name : std::set(response.removed.begin(), response.removed.end()))
      text += " -" + name;
  }
  return text;
}

// A session and what it sent last per type, so that tests can answer it.
class Harness {
 public:
  explicit Harness(SessionOptions options = {}) : session(options) {}

  std::string Bundle(std::vector<SealedPtr> resources) {
    auto made = std::make_shared<bundle::XdsBundle>();
    made->revision = {++revision};
    for (const XdsType type : kAllXdsTypes) {
      std::vector<SealedPtr> list;
      for (const SealedPtr& resource : resources) {
        if (resource->type == type) list.push_back(resource);
      }
      made->resources[static_cast<size_t>(type)] = MakeList(std::move(list));
    }
    return Take(session.OnBundle(now, made));
  }
  std::string Subscribe(XdsType type, std::vector<std::string> names = {},
                        std::map<std::string, std::string> versions = {}) {
    DeltaRequest request = For(type);
    request.subscribe = std::move(names);
    request.initial_resource_versions = std::move(versions);
    return Take(session.OnRequest(now, request));
  }
  std::string Unsubscribe(XdsType type, std::vector<std::string> names) {
    DeltaRequest request = For(type);
    request.unsubscribe = std::move(names);
    return Take(session.OnRequest(now, request));
  }
  std::string Ack(XdsType type, std::vector<std::string> subscribe = {}) {
    DeltaRequest request = For(type);
    request.response_nonce = nonce[type];
    request.subscribe = std::move(subscribe);
    return Take(session.OnRequest(now, request));
  }
  std::string Nack(XdsType type, std::string detail) {
    DeltaRequest request = For(type);
    request.response_nonce = nonce[type];
    request.error_detail = std::move(detail);
    return Take(session.OnRequest(now, request));
  }
  std::string Wait(Duration duration) {
    now += duration;
    return Take(session.OnTimer(now));
  }
  // Acknowledges whatever comes until nothing comes any more.
  void Settle() {
    for (int i = 0; i < 100; ++i) {
      const std::map<XdsType, std::string> open = std::exchange(nonce, {});
      if (open.empty()) return;
      for (const auto& [type, text] : open) {
        DeltaRequest request = For(type);
        request.response_nonce = text;
        Take(session.OnRequest(now, request));
      }
    }
    FAIL() << "the session never settles";
  }
  std::string Take(SessionOutput output) {
    for (const DeltaResponse& response : output.send) {
      if (response.other_type_url.empty()) nonce[response.type] = response.nonce;
    }
    if (output.in_step) in_step = output.in_step->value;
    std::string text = Text(output.send);
    last = std::move(output);
    return text;
  }
  static DeltaRequest For(XdsType type) {
    DeltaRequest request;
    request.type_url = TypeUrl(type);
    return request;
  }

  DeltaSession session;
  Time now{1h};
  uint64_t revision = 0;
  uint64_t in_step = 0;
  std::map<XdsType, std::string> nonce;
  SessionOutput last;
};

// A client that runs cluster a with endpoints and listener l that uses it.
struct Running : Harness {
  explicit Running(SessionOptions options = {}) : Harness(options) {
    Subscribe(kCds);
    Subscribe(kEds, {"a"});
    Subscribe(kLds);
    Bundle({Make(kCds, "a"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"})});
    Settle();
    EXPECT_EQ(in_step, 1u);
    EXPECT_EQ(session.deviations(), 0u);
  }
};

// --- subscriptions
// ---------------------------------------------------------------------------------------------

TEST(DeltaSessionTest, NothingIsSentBeforeThereIsABundle) {
  Harness h;
  EXPECT_EQ(h.Subscribe(kCds), "");
  EXPECT_EQ(h.Subscribe(kEds, {"a"}), "");
  EXPECT_EQ(h.Bundle({Make(kCds, "a")}), "CDS +a; EDS -a");
}

TEST(DeltaSessionTest, NothingOfATypeIsSentBeforeItsFirstRequest) {
  Harness h;
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kSds, "s")}), "");
  EXPECT_EQ(h.Subscribe(kCds), "CDS +a");
  EXPECT_EQ(h.Subscribe(kSds, {"s"}), "SDS +s");
}

TEST(DeltaSessionTest, BothSpellingsOfTheWildcard) {
  for (const std::vector<std::string>& names : {std::vector<std::string>{}, {"*"}}) {
    Harness h;
    h.Bundle({Make(kCds, "a"), Make(kCds, "b")});
    EXPECT_EQ(h.Subscribe(kCds, names), "CDS +a +b");
  }
}

TEST(DeltaSessionTest, AnEmptyFirstRequestIsNoWildcardForTypesThatAreFetchedByName) {
  Harness h;
  h.Bundle({Make(kEds, "a"), Make(kSds, "s"), Make(kRds, "r")});
  EXPECT_EQ(h.Subscribe(kEds), "");
  EXPECT_EQ(h.Subscribe(kSds), "");
  EXPECT_EQ(h.Subscribe(kRds, {"*"}), "RDS +r");
}

TEST(DeltaSessionTest, AnEmptyWildcardIsAnswered) {
  Harness h;
  h.Bundle({});
  h.Take(h.session.OnRequest(h.now, Harness::For(kLds)));
  ASSERT_EQ(h.last.send.size(), 1u);
  EXPECT_THAT(h.last.send[0].resources, IsEmpty());
  EXPECT_EQ(h.Ack(kLds), "");
  EXPECT_EQ(h.Bundle({Make(kLds, "l")}), "LDS +l");
}

TEST(DeltaSessionTest, AnEmptyRequestLaterChangesNothing) {
  Harness h;
  h.Bundle({Make(kCds, "a"), Make(kCds, "b")});
  EXPECT_EQ(h.Subscribe(kCds, {"a"}), "CDS +a");
  EXPECT_EQ(h.Ack(kCds), "");
  EXPECT_EQ(h.Subscribe(kCds), "");
}

TEST(DeltaSessionTest, ANameThatDoesNotExistIsToldAsRemovedAndSentWhenItComes) {
  Harness h;
  h.Bundle({});
  EXPECT_EQ(h.Subscribe(kEds, {"a"}), "EDS -a");
  EXPECT_EQ(h.Ack(kEds), "");
  EXPECT_EQ(h.Bundle({Make(kEds, "a")}), "EDS +a");
}

TEST(DeltaSessionTest, ANameSubscribedAgainIsSentAgain) {
  Harness h;
  h.Bundle({Make(kEds, "a"), Make(kEds, "b")});
  EXPECT_EQ(h.Subscribe(kEds, {"a", "b"}), "EDS +a +b");
  EXPECT_EQ(h.Ack(kEds), "");
  EXPECT_EQ(h.Subscribe(kEds, {"a"}), "EDS +a");
  EXPECT_EQ(h.Ack(kEds), "");
  h.Unsubscribe(kEds, {"b"});
  EXPECT_EQ(h.Subscribe(kEds, {"b"}), "EDS +b");
}

TEST(DeltaSessionTest, ANameSubscribedAgainWhileItIsUnderWayIsSentAgain) {
  Harness h;
  h.Bundle({Make(kEds, "a")});
  EXPECT_EQ(h.Subscribe(kEds, {"a"}), "EDS +a");
  EXPECT_EQ(h.Unsubscribe(kEds, {"a"}), "");
  EXPECT_EQ(h.Subscribe(kEds, {"a"}), "");  // one response in flight
  EXPECT_EQ(h.Ack(kEds), "EDS +a");
  EXPECT_EQ(h.Ack(kEds), "");
}

TEST(DeltaSessionTest, OneRequestCarriesAnAckAndSubscriptions) {
  Harness h;
  h.Bundle({Make(kEds, "a"), Make(kEds, "b")});
  EXPECT_EQ(h.Subscribe(kEds, {"a"}), "EDS +a");
  EXPECT_EQ(h.Ack(kEds, {"b"}), "EDS +b");
  EXPECT_EQ(h.last.acks.size(), 1u);
}

TEST(DeltaSessionTest, AfterUnsubscribingNothingIsSent) {
  Harness h;
  h.Bundle({Make(kEds, "a")});
  h.Subscribe(kEds, {"a"});
  h.Settle();
  EXPECT_EQ(h.Unsubscribe(kEds, {"a"}), "");
  EXPECT_EQ(h.Bundle({Make(kEds, "a", "2")}), "");
  EXPECT_EQ(h.session.deviations(), 0u);
}

TEST(DeltaSessionTest, UnsubscribingFromTheWildcardKeepsNames) {
  Harness h;
  h.Bundle({Make(kCds, "a"), Make(kCds, "b")});
  EXPECT_EQ(h.Subscribe(kCds, {"*", "a"}), "CDS +a +b");
  h.Settle();
  EXPECT_EQ(h.Unsubscribe(kCds, {"*"}), "");
  EXPECT_EQ(h.Bundle({Make(kCds, "a", "2"), Make(kCds, "b", "2")}), "CDS +a");
  h.Settle();
  EXPECT_EQ(h.Subscribe(kCds, {"*"}), "CDS +b");
}

TEST(DeltaSessionTest, ANameDroppedBesideAWildcardIsSentAgain) {
  Harness h;
  h.Bundle({Make(kCds, "a"), Make(kCds, "b")});
  h.Subscribe(kCds, {"*", "a", "gone"});
  h.Settle();
  EXPECT_EQ(h.Unsubscribe(kCds, {"a"}), "CDS +a");
  h.Settle();
  EXPECT_EQ(h.Unsubscribe(kCds, {"gone"}), "CDS -gone");
}

TEST(DeltaSessionTest, TheWildcardAgainSendsEverythingAgain) {
  Harness h;
  h.Bundle({Make(kCds, "a"), Make(kCds, "b")});
  h.Subscribe(kCds);
  h.Settle();
  EXPECT_EQ(h.Subscribe(kCds, {"*"}), "CDS +a +b");
}

TEST(DeltaSessionTest, TypesThatAreNotOursAreAnsweredWithRemovals) {
  Harness h;
  DeltaRequest request;
  request.type_url = "type.googleapis.com/envoy.service.runtime.v3.Runtime";
  request.subscribe = {"rtds", "*"};
  EXPECT_EQ(h.Take(h.session.OnRequest(h.now, request)), request.type_url + " -rtds");
  request.subscribe.clear();
  request.response_nonce = h.last.send[0].nonce;
  EXPECT_EQ(h.Take(h.session.OnRequest(h.now, request)), "");
}

TEST(DeltaSessionTest, TooManyNamesAreAFailure) {
  Harness h({.names = 2});
  h.Subscribe(kEds, {"a", "b"});
  EXPECT_FALSE(h.last.failure);
  h.Subscribe(kEds, {"c"});
  EXPECT_TRUE(h.last.failure);
}

// --- answers
// -------------------------------------------------------------------------------------------------

TEST(DeltaSessionTest, EmptyAndStaleNoncesAreNoAnswers) {
  Harness h;
  h.Bundle({Make(kCds, "a")});
  h.Subscribe(kCds);
  const std::string first = h.nonce[kCds];
  for (const std::string& nonce : {std::string(), std::string("77"), std::string("x")}) {
    DeltaRequest request = Harness::For(kCds);
    request.response_nonce = nonce;
    h.Take(h.session.OnRequest(h.now, request));
    EXPECT_THAT(h.last.acks, IsEmpty()) << nonce;
    request.error_detail = "bad";
    h.Take(h.session.OnRequest(h.now, request));
    EXPECT_THAT(h.last.nacks, IsEmpty()) << nonce;
  }
  h.Ack(kCds);
  EXPECT_EQ(h.last.acks.size(), 1u);
  h.nonce[kCds] = first;
  h.Ack(kCds);  // the same again
  EXPECT_THAT(h.last.acks, IsEmpty());
}

TEST(DeltaSessionTest, OnlyTheNewestBundleCountsAndOneResponseIsInFlight) {
  Harness h;
  h.Subscribe(kSds, {"s"});
  EXPECT_EQ(h.Bundle({Make(kSds, "s", "1")}), "SDS +s");
  EXPECT_EQ(h.Bundle({Make(kSds, "s", "2")}), "");
  EXPECT_EQ(h.Bundle({Make(kSds, "s", "3")}), "");
  EXPECT_EQ(h.Ack(kSds), "SDS +s");
  EXPECT_EQ(h.last.acks[0].revision.value, 1u);
  EXPECT_EQ(h.last.send[0].revision.value, 3u);
  EXPECT_EQ(h.last.send[0].resources[0]->VersionText(), VersionOf("3"));
  EXPECT_EQ(h.Ack(kSds), "");
}

TEST(DeltaSessionTest, AnEqualBundleCostsNothingAndIsInStepAtOnce) {
  Running h;
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"})}), "");
  EXPECT_EQ(h.in_step, 2u);
  EXPECT_EQ(h.session.deviations(), 0u);
  EXPECT_FALSE(h.last.wake_at);
}

TEST(DeltaSessionTest, InStepComesWithTheLastAck) {
  Running h;
  h.Bundle({Make(kCds, "a"), Make(kEds, "a", "2"), Make(kLds, "l", "1", {"a"})});
  EXPECT_EQ(h.in_step, 1u);
  h.Ack(kEds);
  EXPECT_EQ(h.in_step, 2u);
}

TEST(DeltaSessionTest, ABundleWithListenersIsNotInStepBeforeTheyAreAskedFor) {
  Harness h;
  h.Subscribe(kCds);
  h.Bundle({Make(kLds, "l")});
  h.Settle();
  EXPECT_EQ(h.in_step, 0u);
  h.Subscribe(kLds);
  h.Settle();
  EXPECT_EQ(h.in_step, 1u);
}

// Clusters and listeners first, and nothing of them has changed.
struct ComingBack : Harness {
  explicit ComingBack(std::vector<SealedPtr> resources, const SessionMemory& memory = {}) {
    session.Recall(memory);
    Bundle(std::move(resources));
    EXPECT_EQ(Subscribe(kCds, {}, {{"a", VersionOf("1")}}), "");
    EXPECT_EQ(Subscribe(kLds, {}, {{"l", VersionOf("1")}}), "");
  }
};

TEST(DeltaSessionTest, AClientThatComesBackIsNotInStepBeforeItAsksForItsEndpoints) {
  ComingBack h({Make(kCds, "a"), Make(kEds, "a", "2"), Make(kLds, "l", "1", {"a"})});
  EXPECT_EQ(h.in_step, 0u) << "its endpoints are old";
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kEds, "a", "3"), Make(kLds, "l", "1", {"a"})}), "");
  EXPECT_EQ(h.in_step, 0u);
  EXPECT_EQ(h.Subscribe(kEds, {"a"}, {{"a", VersionOf("1")}}), "EDS +a");
  EXPECT_EQ(h.in_step, 0u);
  h.Ack(kEds);
  EXPECT_EQ(h.in_step, 2u);
}

TEST(DeltaSessionTest, AClientThatComesBackIsNotInStepBeforeItAsksForItsSecrets) {
  ComingBack h({Make(kCds, "a"), Make(kSds, "s", "2"), Make(kLds, "l", "1", {"a"})});
  EXPECT_EQ(h.in_step, 0u);
  EXPECT_EQ(h.Subscribe(kSds, {"s"}, {{"s", VersionOf("1")}}), "SDS +s");
  h.Ack(kSds);
  EXPECT_EQ(h.in_step, 1u);
}

TEST(DeltaSessionTest, WhatAClientDoesNotAskForWhenItComesBackKeepsNothingPending) {
  ComingBack h({Make(kCds, "a"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"})});
  EXPECT_EQ(h.Wait(4s), "");
  EXPECT_EQ(h.in_step, 0u);
  EXPECT_EQ(h.last.wake_at, h.now + 1s);
  EXPECT_EQ(h.Wait(1s), "");
  EXPECT_EQ(h.in_step, 1u);
}

TEST(DeltaSessionTest, AClientWithoutEndpointsIsInStepAsSoonAsItComesBack) {
  ComingBack h({Make(kCds, "a"), Make(kLds, "l", "1", {"a"})});
  EXPECT_EQ(h.in_step, 1u);
}

// The client runs another content of the cluster, perhaps one without endpoints.
TEST(DeltaSessionTest, ARefusedClusterWhoseEndpointsNobodyAsksForKeepsNothingPending) {
  SessionMemory memory;
  memory.rejections.push_back({kCds, "a", Make(kCds, "a", "2")->version, Time{}});
  ComingBack h({Make(kCds, "a", "2"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"})}, memory);
  EXPECT_EQ(h.Wait(5s), "");
  EXPECT_EQ(h.in_step, 1u);
}

TEST(DeltaSessionTest, ADoubtAboutEndpointsOutlivesTheTimeUntilTheyAreAskedFor) {
  SessionMemory memory;
  memory.doubts.push_back({kEds, "a", {Make(kEds, "a")}, false});
  ComingBack h({Make(kCds, "a"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"})}, memory);
  EXPECT_EQ(h.Subscribe(kEds, {"a"}, {{"a", VersionOf("1")}}), "EDS +a");
}

TEST(DeltaSessionTest, AResponseWithoutAnswerIsStalled) {
  Harness h({.stall_after = 30s});
  h.Bundle({Make(kCds, "a")});
  h.Subscribe(kCds);
  EXPECT_EQ(h.last.wake_at, h.now + 30s);
  h.Wait(29s);
  EXPECT_FALSE(h.session.stalled(h.now));
  h.Wait(1s);
  EXPECT_TRUE(h.session.stalled(h.now));
  EXPECT_FALSE(h.last.wake_at);
  h.Ack(kCds);
  EXPECT_FALSE(h.session.stalled(h.now));
}

TEST(DeltaSessionTest, LargeResponsesAreSplit) {
  Harness h({.response_bytes = 300});
  h.Bundle({Make(kCds, "a", std::string(200, 'a')), Make(kCds, "b", std::string(200, 'b')),
            Make(kCds, "c")});
  EXPECT_EQ(h.Subscribe(kCds), "CDS +b");  // in the order of bundle::NameRef
  EXPECT_EQ(h.Ack(kCds), "CDS +c");
  EXPECT_EQ(h.Ack(kCds), "CDS +a");
  EXPECT_EQ(h.Ack(kCds), "");
}

// --- pacing
// -------------------------------------------------------------------------------------------------------

// It never has the newest, and each bundle is acknowledged in its turn.
TEST(DeltaSessionTest, UnderAStreamOfChangesOneBundleAfterTheOtherIsInStep) {
  Running h;
  const auto change = [&h](const std::string& content) {
    return h.Bundle({Make(kCds, "a"), Make(kEds, "a", content), Make(kLds, "l", "1", {"a"})});
  };
  EXPECT_EQ(change("2"), "EDS +a");
  for (uint64_t newest = 3; newest < 30; ++newest) {
    EXPECT_EQ(change(base::Format("{}", newest)), "");
    EXPECT_EQ(h.Ack(kEds), "EDS +a");
    EXPECT_EQ(h.in_step, newest - 1);
  }
  EXPECT_EQ(h.Ack(kEds), "");
  EXPECT_EQ(h.in_step, 29u);
}

TEST(DeltaSessionTest, WhatWaitsForOthersIsNotInStep) {
  Running h;
  h.Bundle({Make(kCds, "a", "2"), Make(kEds, "a"), Make(kLds, "l", "2", {"a"})});
  h.Bundle({Make(kCds, "a", "2"), Make(kEds, "a"), Make(kSds, "s"), Make(kLds, "l", "2", {"a"})});
  EXPECT_EQ(h.Ack(kEds), "");
  EXPECT_EQ(h.in_step, 1u);
  EXPECT_EQ(h.Ack(kCds), "LDS +l");
  EXPECT_EQ(h.in_step, 1u);  // the listener of bundle 2 is not acknowledged
  EXPECT_EQ(h.Ack(kLds), "");
  EXPECT_EQ(h.in_step, 3u);
}

TEST(DeltaSessionTest, APartOfABundleIsNotInStep) {
  Harness h({.response_bytes = 300});
  h.Bundle({Make(kCds, "a", std::string(200, 'a')), Make(kCds, "b", std::string(200, 'b'))});
  EXPECT_EQ(h.Subscribe(kCds), "CDS +b");
  h.Bundle({Make(kCds, "a", std::string(200, 'c')), Make(kCds, "b", std::string(200, 'd'))});
  h.Ack(kCds);
  EXPECT_EQ(h.in_step, 0u);
  h.Settle();
  EXPECT_EQ(h.in_step, 2u);
}

// A client that is slow with its clusters gets its endpoints and secrets all the same.
TEST(DeltaSessionTest, EndpointsAndSecretsPassAResponseThatIsNotAnswered) {
  Running h;
  h.Subscribe(kSds, {"s"});
  h.Settle();
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kCds, "b"), Make(kEds, "a"), Make(kSds, "s"),
                      Make(kLds, "l", "1", {"a"})}),
            "CDS +b; SDS +s");
  h.Ack(kSds);
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kCds, "b"), Make(kEds, "a", "2"), Make(kSds, "s", "2"),
                      Make(kLds, "l", "1", {"a"})}),
            "EDS +a; SDS +s");
  EXPECT_EQ(h.last.acks.size(), 0u);
}

// --- reconnects
// ------------------------------------------------------------------------------------------------

TEST(DeltaSessionTest, InitialVersionsDecideWhatIsSent) {
  Harness h;
  h.Bundle({Make(kLds, "equal"), Make(kLds, "old", "2"), Make(kLds, "new")});
  EXPECT_EQ(
      h.Subscribe(kLds, {},
                  {{"equal", VersionOf("1")}, {"old", VersionOf("1")}, {"gone", VersionOf("1")}}),
      "LDS +new +old -gone");
}

TEST(DeltaSessionTest, AClientThatHasEverythingGetsNothing) {
  Harness h;
  const std::map<std::string, std::string> versions = {{"a", VersionOf("1")}};
  h.Subscribe(kCds, {}, versions);
  h.Subscribe(kEds, {"a"}, versions);
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kEds, "a")}), "");
  EXPECT_EQ(h.in_step, 1u);
  EXPECT_EQ(h.session.deviations(), 0u);
}

TEST(DeltaSessionTest, VersionsOfNamesThatNobodySubscribedToAreIgnored) {
  Harness h;
  h.Bundle({});
  EXPECT_EQ(h.Subscribe(kEds, {"a"}, {{"a", "1"}, {"b", "1"}}), "");
  EXPECT_EQ(h.Wait(1h), "EDS -a");
}

TEST(DeltaSessionTest, AVersionTextOfItsOwnIsCompared) {
  const ContentHash version{1, 2};
  const SealedPtr secret = Seal({.type = kSds,
                                 .name = "s",
                                 .message = "key",
                                 .version = &version,
                                 .wire_version = "issuer:7"});
  Harness h;
  h.Bundle({secret});
  EXPECT_EQ(h.Subscribe(kSds, {"s"}, {{"s", "issuer:7"}}), "");
  Harness other;
  other.Bundle({secret});
  EXPECT_EQ(other.Subscribe(kSds, {"s"}, {{"s", version.ToHex()}}), "SDS +s");
}

TEST(DeltaSessionTest, ClustersOfAnEarlierStreamAreRemovedAfterTheDelay) {
  Harness h({.removal_delay = 35s});
  h.Bundle({Make(kCds, "a"), Make(kLds, "l", "2", {"a"})});
  h.Subscribe(kCds, {}, {{"a", VersionOf("1")}, {"old", VersionOf("1")}});
  // What this listener uses is not known: nothing may be removed before it is replaced.
  h.Subscribe(kLds, {}, {{"l", VersionOf("1")}});
  EXPECT_EQ(h.Wait(40s), "");
  EXPECT_EQ(h.Ack(kLds), "");
  EXPECT_EQ(h.Wait(34s), "");
  EXPECT_EQ(h.Wait(1s), "CDS -old");
}

TEST(DeltaSessionTest, ARecalledDoubtIsSentAlthoughTheVersionIsRight) {
  Running h;
  h.Bundle({Make(kCds, "a", "2"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"})});  // and no answer
  const SessionMemory memory = h.session.Remember();
  Harness next;
  next.session.Recall(memory);
  next.Bundle({Make(kCds, "a", "1"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"})});
  EXPECT_EQ(next.Subscribe(kCds, {}, {{"a", VersionOf("1")}}), "CDS +a");
  EXPECT_EQ(next.Subscribe(kEds, {"a"}, {{"a", VersionOf("1")}}), "EDS +a");
  EXPECT_EQ(next.Subscribe(kLds, {}, {{"l", VersionOf("1")}}), "");
  next.Settle();
  EXPECT_TRUE(next.session.Remember().empty());
}

TEST(DeltaSessionTest, AListenerOfARefusedResponseIsRemovedAfterAReconnect) {
  Running h;
  h.Bundle({Make(kCds, "a"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"}), Make(kLds, "m"),
            Make(kLds, "n")});
  h.Nack(kLds,
         "Error adding/updating listener(s) n: bad\n");  // m is in force, and Envoy will not say so
  Harness next;
  next.session.Recall(h.session.Remember());
  next.Bundle({Make(kCds, "a"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"})});
  EXPECT_EQ(next.Subscribe(kLds, {}, {{"l", VersionOf("1")}}), "LDS -m");
}

// --- make before break
// -----------------------------------------------------------------------------------------

TEST(DeltaSessionTest, ListenersFollowTheAcksOfClustersAndTheirEndpoints) {
  Running h;
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kCds, "b"), Make(kEds, "a"), Make(kEds, "b"),
                      Make(kLds, "l", "2", {"a", "b"}), Make(kLds, "other", "1", {"a"})}),
            "CDS +b; LDS +other");
  EXPECT_EQ(h.Subscribe(kEds, {"b"}), "EDS +b");  // Envoy acknowledges the cluster when it is warm
  EXPECT_EQ(h.Ack(kLds), "");
  EXPECT_EQ(h.Ack(kEds), "");
  EXPECT_EQ(h.Ack(kCds), "LDS +l");
  EXPECT_EQ(h.in_step, 1u);
  EXPECT_EQ(h.Ack(kLds), "");
  EXPECT_EQ(h.in_step, 2u);
}

TEST(DeltaSessionTest, ListenersWaitForEndpointsThatAreAskedForAfterTheAck) {
  Running h;
  h.Bundle({Make(kCds, "a"), Make(kCds, "b"), Make(kEds, "a"), Make(kEds, "b"),
            Make(kLds, "l", "2", {"b"})});
  EXPECT_EQ(h.Ack(kCds), "");
  EXPECT_EQ(h.Subscribe(kEds, {"b"}), "EDS +b");
  EXPECT_EQ(h.Ack(kEds), "LDS +l");
}

TEST(DeltaSessionTest, ListenersDoNotWaitForEverForEndpointsThatNobodyAsksFor) {
  Running h({.patience = 5s});
  h.Bundle({Make(kCds, "a"), Make(kCds, "b"), Make(kEds, "a"), Make(kEds, "b"),
            Make(kLds, "l", "2", {"b"})});
  EXPECT_EQ(h.Ack(kCds), "");
  EXPECT_EQ(h.last.wake_at, h.now + 5s);
  EXPECT_EQ(h.Wait(5s), "LDS +l");
}

TEST(DeltaSessionTest, EndpointsAreSentAgainAfterAChangeOfTheirCluster) {
  Running h;
  // At once: Envoy acknowledges the cluster when it is warm, which takes its endpoints.
  EXPECT_EQ(h.Bundle({Make(kCds, "a", "2"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"})}),
            "CDS +a; EDS +a");
  EXPECT_EQ(h.Ack(kEds), "");
  EXPECT_EQ(h.in_step, 1u);
  EXPECT_EQ(h.Ack(kCds), "");
  EXPECT_EQ(h.in_step, 2u);
}

TEST(DeltaSessionTest, ChangedEndpointsOfAChangedClusterAreSentOnce) {
  Running h;
  EXPECT_EQ(h.Bundle({Make(kCds, "a", "2"), Make(kEds, "a", "2"), Make(kLds, "l", "1", {"a"})}),
            "CDS +a; EDS +a");
  EXPECT_EQ(h.Ack(kEds), "");
  EXPECT_EQ(h.Ack(kCds), "");
}

TEST(DeltaSessionTest, EndpointsThatAreUnderWayAreSentOnceMoreAfterTheirCluster) {
  Running h;
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kEds, "a", "2"), Make(kLds, "l", "1", {"a"})}),
            "EDS +a");
  EXPECT_EQ(h.Bundle({Make(kCds, "a", "2"), Make(kEds, "a", "2"), Make(kLds, "l", "1", {"a"})}),
            "CDS +a");
  EXPECT_EQ(h.Ack(kEds), "EDS +a");
}

TEST(DeltaSessionTest, AChangedClusterWithoutEndpointsKeepsTheLastOnes) {
  Running h;
  EXPECT_EQ(h.Bundle({Make(kCds, "a", "2"), Make(kLds, "l", "1", {"a"})}), "CDS +a; EDS +a");
}

TEST(DeltaSessionTest, AClusterThatIsDroppedWhileItWarmsGetsItsEndpointsAllTheSame) {
  Running h;
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kEds, "a", "2"), Make(kLds, "l", "1", {"a"})}),
            "EDS +a");
  EXPECT_EQ(h.Bundle({Make(kCds, "a", "2"), Make(kEds, "a", "2"), Make(kLds, "l", "1", {"a"})}),
            "CDS +a");
  EXPECT_EQ(h.Bundle({Make(kLds, "l", "2")}), "LDS +l");
  EXPECT_EQ(h.Ack(kEds),
            "EDS +a");  // else Envoy would not acknowledge the cluster before its time-out
}

TEST(DeltaSessionTest, EndpointsWaitForAChangeOfTheirClusterThatHasToWaitItself) {
  Running h;
  h.Bundle({Make(kCds, "a", "2"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"})});
  h.Ack(kEds);
  EXPECT_EQ(h.Bundle({Make(kCds, "a", "3"), Make(kEds, "a", "3"), Make(kLds, "l", "1", {"a"})}),
            "");
  EXPECT_EQ(h.Ack(kCds), "CDS +a; EDS +a");
}

TEST(DeltaSessionTest, AClientThatAsksForClustersLastGetsItsListenersAfterThem) {
  Harness h;
  h.Bundle({Make(kCds, "a"), Make(kLds, "l", "2", {"a"})});
  EXPECT_EQ(h.Subscribe(kLds, {}, {{"l", VersionOf("1")}}), "");
  EXPECT_EQ(h.Subscribe(kCds, {}, {{"a", VersionOf("1")}}), "LDS +l");
}

TEST(DeltaSessionTest, AClusterThatChangesAllTheTimeStarvesNothing) {
  Running h({.patience = 5s});
  bool endpoints = false;
  bool listener = false;
  h.Bundle({Make(kCds, "a", "x"), Make(kEds, "a", "2"), Make(kLds, "l", "2", {"a"})});
  for (int i = 0; i < 20; ++i) {
    h.now += 1s;
    std::string sent = h.Bundle(
        {Make(kCds, "a", std::to_string(i)), Make(kEds, "a", "2"), Make(kLds, "l", "2", {"a"})});
    sent += h.Ack(kCds);
    sent += h.Ack(kEds);
    endpoints = endpoints || sent.find("EDS +a") != std::string::npos;
    listener = listener || sent.find("LDS +l") != std::string::npos;
  }
  EXPECT_TRUE(endpoints);
  EXPECT_TRUE(listener);
}

TEST(DeltaSessionTest, RoutesWaitLikeListeners) {
  Running h;
  h.Subscribe(kRds, {"r"});
  h.Settle();
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kCds, "s"), Make(kEds, "a"),
                      Make(kLds, "l", "1", {"a"}), Make(kRds, "r", "1", {"s"})}),
            "CDS +s");
  EXPECT_EQ(h.Ack(kCds), "RDS +r");
}

TEST(DeltaSessionTest, ClustersThatAreNotInTheBundleBlockNobody) {
  Harness h;
  h.Subscribe(kCds);
  h.Subscribe(kLds);
  EXPECT_EQ(h.Bundle({Make(kLds, "l", "1", {"kuma:envoy:admin"})}), "CDS; LDS +l");
}

TEST(DeltaSessionTest, AReplacedListenerLeavesWithItsSuccessor) {
  Running h;
  EXPECT_EQ(h.Bundle({Make(kCds, "b"), Make(kLds, "m", "1", {"b"})}), "CDS +b");
  EXPECT_EQ(h.Ack(kCds), "LDS +m -l");
}

TEST(DeltaSessionTest, AClusterIsRemovedAfterTheAckOfItsLastUserAndTheDelay) {
  Running h({.removal_delay = 35s});
  EXPECT_EQ(h.Bundle({Make(kLds, "l", "2")}), "LDS +l");
  EXPECT_EQ(h.Wait(36s), "");  // not acknowledged: the old listener may be in force
  EXPECT_EQ(h.Ack(kLds), "");
  EXPECT_EQ(h.in_step, 2u);  // what waits for its removal does not count
  EXPECT_EQ(h.last.wake_at, h.now + 35s);
  EXPECT_EQ(h.Wait(34s), "");
  EXPECT_EQ(h.Wait(1s), "CDS -a");
  h.Unsubscribe(kEds, {"a"});
  EXPECT_EQ(h.Ack(kCds), "");
  EXPECT_EQ(h.session.deviations(), 0u);
}

// What is refused from now on must not be let through for as long as connections may drain.
TEST(DeltaSessionTest, ADispensableClusterGoesAtOnce) {
  Running h({.removal_delay = 35s});
  const SealedPtr open =
      bundle::Seal({.type = kCds, .name = "open", .message = "1", .dispensable = true});
  h.Bundle({Make(kCds, "a"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"}), open});
  h.Settle();
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"})}), "CDS -open");
}

TEST(DeltaSessionTest, AddingAgainCancelsTheRemoval) {
  Running h({.removal_delay = 35s});
  h.Bundle({Make(kLds, "l", "2")});
  h.Settle();
  h.Wait(30s);
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kEds, "a"), Make(kLds, "l", "2")}), "");
  EXPECT_EQ(h.Wait(1h), "");
  EXPECT_EQ(h.session.deviations(), 0u);
  h.Bundle({Make(kLds, "l", "2")});
  EXPECT_EQ(h.Wait(34s), "");  // counted anew
  EXPECT_EQ(h.Wait(1s), "CDS -a");
}

TEST(DeltaSessionTest, AClusterComesBackWhileItsRemovalIsUnderWay) {
  Running h({.removal_delay = 0s});
  h.Bundle({Make(kLds, "l", "2")});
  EXPECT_EQ(h.Ack(kLds), "CDS -a");
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"})}), "");
  h.Unsubscribe(kEds, {"a"});
  EXPECT_EQ(h.Ack(kCds), "CDS +a");
  EXPECT_EQ(h.Subscribe(kEds, {"a"}), "EDS +a");
  EXPECT_EQ(h.Ack(kEds), "");
  EXPECT_EQ(h.Ack(kCds), "LDS +l");
}

// --- refusals
// -------------------------------------------------------------------------------------------------

TEST(DeltaSessionTest, ANamedCulpritIsQuarantinedAndTheRestSentAgain) {
  Harness h({.retry_after = 0s});
  h.Subscribe(kCds);
  h.Bundle({Make(kCds, "a"), Make(kCds, "b"), Make(kCds, "c")});
  EXPECT_EQ(h.Nack(kCds, "Error adding/updating cluster(s) b: no such thing"), "CDS +a +c");
  ASSERT_EQ(h.last.nacks.size(), 1u);
  EXPECT_TRUE(h.last.nacks[0].culprits_known);
  ASSERT_EQ(h.last.nacks[0].rejected.size(), 1u);
  EXPECT_EQ(h.last.nacks[0].rejected[0]->name, "b");
  EXPECT_EQ(h.Ack(kCds), "");
  EXPECT_EQ(h.in_step, 1u);
  ASSERT_EQ(h.session.Quarantined().size(), 1u);
  // The same content is not tried again, new content is.
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kCds, "b"), Make(kCds, "c")}), "");
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kCds, "b", "2"), Make(kCds, "c")}), "CDS +b");
  EXPECT_EQ(h.Ack(kCds), "");
  EXPECT_THAT(h.session.Quarantined(), IsEmpty());
}

TEST(DeltaSessionTest, AnUnnamedCulpritIsFoundByHalves) {
  Harness h({.retry_after = 0s});
  h.Subscribe(kCds);
  std::vector<SealedPtr> clusters;
  for (char name = 'a'; name <= 'h'; ++name) clusters.push_back(Make(kCds, std::string(1, name)));
  std::string sent = h.Bundle(clusters);
  EXPECT_EQ(sent, "CDS +a +b +c +d +e +f +g +h");
  int nacks = 0;
  for (int i = 0; i < 20 && !sent.empty(); ++i) {
    const bool bad = sent.find("+f") != std::string::npos;
    nacks += bad ? 1 : 0;
    sent = bad ? h.Nack(kCds, "Proto constraint validation failed") : h.Ack(kCds);
  }
  EXPECT_EQ(sent, "");
  EXPECT_LE(nacks, 6);
  EXPECT_EQ(h.in_step, 1u);
  ASSERT_EQ(h.session.Quarantined().size(), 1u);
  EXPECT_EQ(h.session.Quarantined()[0].name, "f");
}

TEST(DeltaSessionTest, WhatNeedsARejectedClusterIsHeldBackAndOthersAreNot) {
  Harness h({.retry_after = 0s});
  h.Subscribe(kCds);
  h.Subscribe(kLds);
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kCds, "b"), Make(kLds, "needs-a", "1", {"a"}),
                      Make(kLds, "needs-b", "1", {"b"})}),
            "CDS +a +b");
  EXPECT_EQ(h.Nack(kCds, "Error adding/updating cluster(s) b: bad"), "CDS +a");
  EXPECT_EQ(h.Ack(kCds), "LDS +needs-a");
  EXPECT_EQ(h.Ack(kLds), "");
  EXPECT_EQ(h.in_step, 1u);
  const std::vector<QuarantineEntry> quarantined = h.session.Quarantined();
  ASSERT_EQ(quarantined.size(), 2u);
  EXPECT_EQ(quarantined[1].name, "needs-b");
  EXPECT_TRUE(quarantined[1].needs_another);
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kCds, "b", "2"), Make(kLds, "needs-a", "1", {"a"}),
                      Make(kLds, "needs-b", "1", {"b"})}),
            "CDS +b");
  EXPECT_EQ(h.Ack(kCds), "LDS +needs-b");
}

// The response without it left nothing for later, and is not all of the bundle.
TEST(DeltaSessionTest, WhatIsHeldBackIsNotTakenForAcknowledged) {
  Harness h({.retry_after = 0s});
  h.Subscribe(kCds);
  h.Subscribe(kLds);
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kCds, "b")}), "CDS +a +b; LDS");
  EXPECT_EQ(h.Nack(kCds, "Error adding/updating cluster(s) b: bad"), "CDS +a");
  h.Settle();
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kCds, "b"), Make(kLds, "needs-a", "1", {"a"}),
                      Make(kLds, "needs-b", "1", {"b"})}),
            "LDS +needs-a");
  h.Settle();
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kCds, "b", "2"), Make(kLds, "needs-a", "1", {"a"}),
                      Make(kLds, "needs-b", "1", {"b"})}),
            "CDS +b");
  EXPECT_EQ(h.Ack(kCds), "LDS +needs-b");
}

TEST(DeltaSessionTest, NamesAreSharedAgainAlthoughTheListsWereBefore) {
  Harness h;
  h.Subscribe(kCds);
  h.Bundle({Make(kCds, "a"), Make(kEds, "a")});
  h.Subscribe(kEds, {"a"});
  h.Settle();
  const std::vector<SealedPtr> endpoints = {Make(kEds, "a"), Make(kEds, "b"), Make(kEds, "c")};
  const auto bundle_with = [&](const std::string& content) {
    std::vector<SealedPtr> all = endpoints;
    for (const char* name : {"b", "c"}) all.push_back(Make(kCds, name));
    all.push_back(Make(kCds, "a", content));
    return all;
  };
  EXPECT_EQ(h.Bundle(bundle_with("1")), "CDS +b +c");
  h.Bundle(bundle_with("2"));
  h.Subscribe(kEds, {"b", "c"});
  h.Settle();
  EXPECT_EQ(h.session.deviations(), 0u);
}

TEST(DeltaSessionTest, ARejectedChangeOfAClusterThatIsThereHoldsNobodyBack) {
  Running h({.retry_after = 0s});
  EXPECT_EQ(h.Bundle({Make(kCds, "a", "2"), Make(kEds, "a"), Make(kLds, "l", "2", {"a"})}),
            "CDS +a; EDS +a");
  // The listener goes on with the old cluster.
  EXPECT_EQ(h.Nack(kCds, "Error adding/updating cluster(s) a: bad"), "LDS +l");
}

TEST(DeltaSessionTest, AListenerRejectedAtItsFirstTimeBlocksNoOther) {
  Harness h({.retry_after = 0s});
  h.Subscribe(kLds);
  EXPECT_EQ(h.Bundle({Make(kLds, "l"), Make(kLds, "m"), Make(kLds, "n")}), "LDS +l +m +n");
  EXPECT_EQ(h.Nack(kLds, "Error adding/updating listener(s) m: cannot bind '0.0.0.0:80'\n"),
            "LDS +l +n");
  EXPECT_EQ(h.Ack(kLds), "");
  EXPECT_EQ(h.Bundle({Make(kLds, "l", "2"), Make(kLds, "m"), Make(kLds, "n")}), "LDS +l");
}

TEST(DeltaSessionTest, ClustersOfARefusedListenerStayUntilItIsKnownWhatIsInForce) {
  Running h({.removal_delay = 10s, .retry_after = 0s});
  // m is good and takes over cluster b, but the response is refused because of n.
  h.Bundle({Make(kCds, "a"), Make(kCds, "b"), Make(kEds, "a"), Make(kLds, "l", "1", {"a"}),
            Make(kLds, "m", "1", {"b"}), Make(kLds, "n")});
  EXPECT_EQ(h.Ack(kCds), "");
  EXPECT_EQ(h.Ack(kLds), "LDS +m");
  EXPECT_EQ(h.Nack(kLds, "cannot tell"), "");
  EXPECT_EQ(h.session.Quarantined().size(), 1u);
}

// Envoy has removed it, and keeps its version: until the removal is acknowledged, a stream that
// breaks would leave a client that says it has what it has not.
TEST(DeltaSessionTest, ARemovalInARefusedResponseIsToldAgainAtOnceAndAlone) {
  Running r;
  const SealedPtr extra =
      Seal({.type = kCds, .name = "extra", .message = "1", .clusters = {}, .dispensable = true});
  const std::vector<SealedPtr> rest = {Make(kCds, "a"), Make(kEds, "a"),
                                       Make(kLds, "l", "1", {"a"})};
  std::vector<SealedPtr> with_extra = rest;
  with_extra.push_back(extra);
  r.Bundle(with_extra);
  r.Settle();
  std::vector<SealedPtr> with_others = rest;
  for (const char* name : {"x", "y", "z"}) with_others.push_back(Make(kCds, name));
  EXPECT_EQ(r.Bundle(with_others), "CDS +x +y +z -extra");
  EXPECT_EQ(r.Nack(kCds, "no idea which"), "CDS -extra") << "before the culprit is looked for";
  EXPECT_EQ(r.Ack(kCds), "CDS +y");
  EXPECT_EQ(r.Ack(kCds), "CDS +x +z");
  r.Settle();
  EXPECT_EQ(r.session.deviations(), 0u);

  // It is wanted again before the answer comes.
  r.Bundle(with_extra);
  r.Settle();
  r.Wait(1h);
  r.Settle();
  EXPECT_EQ(r.Bundle(with_others), "CDS +x +y +z -extra");
  EXPECT_EQ(r.Bundle(with_extra), "");
  EXPECT_EQ(r.Nack(kCds, "no idea which"), "CDS +extra");
  r.Settle();
}

TEST(DeltaSessionTest, ARefusedRemovalIsNotRepeatedForEver) {
  Running h;
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kEds, "a")}), "LDS -l");
  EXPECT_EQ(h.Nack(kLds, "no"), "");
  EXPECT_EQ(h.in_step, 2u);
}

TEST(DeltaSessionTest, RejectedContentIsTriedAgainAfterAWhile) {
  Running h({.retry_after = 60s, .retry_at_most = 100s});
  h.Bundle({Make(kCds, "a"), Make(kEds, "a"), Make(kLds, "l", "2", {"a"})});
  EXPECT_EQ(h.Nack(kLds, "Error adding/updating listener(s) l: cannot bind"), "");
  EXPECT_EQ(h.last.wake_at, h.now + 60s);
  EXPECT_EQ(h.Wait(59s), "");
  EXPECT_EQ(h.Wait(1s), "LDS +l");
  EXPECT_EQ(h.Nack(kLds, "Error adding/updating listener(s) l: cannot bind"), "");
  EXPECT_EQ(h.last.wake_at, h.now + 100s);
  EXPECT_EQ(h.Wait(100s), "LDS +l");
  EXPECT_EQ(h.Ack(kLds), "");
  EXPECT_THAT(h.session.Quarantined(), IsEmpty());
  EXPECT_EQ(h.session.deviations(), 0u);
}

TEST(DeltaSessionTest, AQuarantineOutlivesTheStream) {
  Running h({.retry_after = 0s});
  h.Bundle({Make(kCds, "a"), Make(kEds, "a"), Make(kLds, "l", "2", {"a"})});
  h.Nack(kLds, "Error adding/updating listener(s) l: bad");
  Harness next({.retry_after = 0s});
  next.session.Recall(h.session.Remember());
  next.Bundle({Make(kCds, "a"), Make(kEds, "a"), Make(kLds, "l", "2", {"a"})});
  EXPECT_EQ(next.Subscribe(kLds, {}, {{"l", VersionOf("1")}}), "");
  EXPECT_EQ(next.session.Quarantined().size(), 1u);
}

TEST(DeltaSessionTest, RejectedEndpointsOfAChangedClusterAreReplacedByTheLastGoodOnes) {
  Running h({.retry_after = 0s});
  EXPECT_EQ(h.Bundle({Make(kCds, "a"), Make(kEds, "a", "2"), Make(kLds, "l", "1", {"a"})}),
            "EDS +a");
  EXPECT_EQ(h.Nack(kEds, "bad"), "");
  EXPECT_EQ(h.Bundle({Make(kCds, "a", "2"), Make(kEds, "a", "2"), Make(kLds, "l", "1", {"a"})}),
            "CDS +a; EDS +a");
  EXPECT_EQ(h.last.send[1].resources[0]->VersionText(), VersionOf("1"));
  EXPECT_EQ(h.Ack(kEds), "");
  EXPECT_EQ(h.session.Quarantined().size(), 1u);
}

// --- its parts
// -------------------------------------------------------------------------------------------------

// Their bytes are not known: only what the client said of them when it came back.
TEST(DeltaSessionTest, EndpointsOfAnEarlierStreamAreOwedToAChangedClusterUntilTheyAreWantedAgain) {
  Harness h;
  const auto bundle = [&](const char* cluster, const char* endpoints) {
    return h.Bundle({Make(kCds, "a", cluster), Make(kEds, "a", endpoints)});
  };
  bundle("1", "bad");
  h.Subscribe(kCds, {"*"}, {{"a", VersionOf("1")}});
  EXPECT_EQ(h.Subscribe(kEds, {"a"}, {{"a", VersionOf("good")}}), "EDS +a");
  EXPECT_EQ(h.Nack(kEds, "a: no"), "");
  EXPECT_EQ(bundle("2", "bad"), "CDS +a");
  // The cluster warms, and the client has what it wants again.
  EXPECT_EQ(bundle("2", "good"), "EDS +a");
  h.Ack(kEds);
  h.Ack(kCds);
  EXPECT_EQ(h.in_step, 3u);
}

TEST(CulpritsTest, NamesAreReadFromEnvoysLists) {
  const std::vector<SealedPtr> sent = {Make(kCds, "a"), Make(kCds, "ab"), Make(kCds, "b")};
  const auto names = [&](std::string_view detail) {
    std::vector<std::string> found;
    for (const SealedPtr& culprit : internal::FindCulprits(sent, detail))
      found.push_back(culprit->name);
    return found;
  };
  EXPECT_THAT(names("Error adding/updating cluster(s) ab: why"), ElementsAre("ab"));
  EXPECT_THAT(names("Error adding/updating cluster(s) a: why, b: because of x: y"),
              ElementsAre("a", "b"));
  EXPECT_THAT(names("Error adding/updating listener(s) ab: why\nb: why\n"), ElementsAre("ab", "b"));
  EXPECT_THAT(names("Error adding/updating listener(s) ab: error in b: why"), ElementsAre("ab"));
  EXPECT_THAT(names("a: something else"), IsEmpty());
  EXPECT_THAT(names("Proto constraint validation failed (X): name: \"ab\" cluster_name: \"b\""),
              ElementsAre("ab"));
  EXPECT_THAT(names("Proto constraint validation failed (X): name: \"a\" name: \"b\""), IsEmpty());
  EXPECT_THAT(names(""), IsEmpty());
}

TEST(NameSetTest, SharesWhatItHasInCommonWithAList) {
  const auto list = MakeList({Make(kEds, "a"), Make(kEds, "b"), Make(kEds, "c")});
  internal::NameSet names;
  for (const char* name : {"a", "b", "c", "x"}) EXPECT_TRUE(names.Add(NameRef(name)));
  EXPECT_FALSE(names.Add(NameRef("a")));
  names.ShareWith(list);
  EXPECT_EQ(names.deviations(), 1u);
  EXPECT_EQ(names.size(), 4u);
  EXPECT_TRUE(names.Covers(list));
  EXPECT_TRUE(names.Remove(NameRef("b")));
  EXPECT_FALSE(names.Remove(NameRef("b")));
  EXPECT_FALSE(names.Contains(NameRef("b")));
  EXPECT_FALSE(names.Covers(list));
  names.ShareWith(MakeList(
      {Make(kEds, "b"), Make(kEds, "q"), Make(kEds, "r"), Make(kEds, "s"), Make(kEds, "t")}));
  EXPECT_EQ(names.deviations(), 3u);  // little in common: copies
  std::vector<std::string> all;
  names.ForEach([&](const NameRef& name) { all.emplace_back(name.text); });
  EXPECT_THAT(all, UnorderedElementsAre("a", "c", "x"));
}

TEST(NameSetTest, IsTheSameSetWhateverListItSharesWith) {
  std::minstd_rand random(1);
  const auto name = [&random] { return std::string(1, static_cast<char>('a' + random() % 20)); };
  for (int round = 0; round < 500; ++round) {
    internal::NameSet names;
    std::set<std::string> wanted;
    for (int step = 0; step < 20; ++step) {
      const std::string changed = name();
      if (random() % 3 == 0) {
        EXPECT_EQ(names.Remove(NameRef(changed)), wanted.erase(changed) == 1);
      } else {
        EXPECT_EQ(names.Add(NameRef(changed)), wanted.insert(changed).second);
      }
      if (random() % 4 == 0) {
        std::map<std::string, SealedPtr> listed;
        for (uint32_t count = random() % 15; count > 0; --count) {
          const std::string some = name();
          listed[some] = Make(kEds, some);
        }
        std::vector<SealedPtr> list;
        for (const auto& [text, resource] : listed) list.push_back(resource);
        names.ShareWith(MakeList(std::move(list)));
      }
      std::set<std::string> all;
      names.ForEach([&](const NameRef& each) { EXPECT_TRUE(all.emplace(each.text).second); });
      ASSERT_EQ(all, wanted) << "round " << round;
      ASSERT_EQ(names.size(), wanted.size());
    }
  }
}

}  // namespace
}  // namespace kuma::xds

#include "xds/ads_service.h"

#include <envoy/service/health/v3/hds.pb.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/simulated.h"
#include "tests/kit/model_envoy.h"

namespace kuma::xds {
namespace {

using bundle::Seal;
using namespace std::chrono_literals;

constexpr char kDelta[] =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
constexpr char kHealth[] = "/envoy.service.health.v3.HealthDiscoveryService/StreamHealthCheck";

// What the client's end of one stream saw.
struct Call {
  net::GrpcStream* stream = nullptr;
  std::deque<std::string> received;
  std::optional<net::GrpcStatus> closed;
};

class Recorder final : public net::GrpcStreamHandler {
 public:
  explicit Recorder(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  void OnStart(net::GrpcStream& stream) override { call_->stream = &stream; }
  void OnMessage(std::string_view message) override { call_->received.emplace_back(message); }
  void OnClosed(const net::GrpcStatus& status, const net::Headers&) override {
    call_->stream = nullptr;
    call_->closed = status;
  }

 private:
  std::shared_ptr<Call> call_;
};

// A control plane with two loops ("one" and "two" are addresses on them), whose clients speak real
// HTTP/2.
class AdsServiceTest : public ::testing::Test {
 protected:
  AdsServiceTest()
      : loop_one_(simulation_.AddExecutor("one")),
        loop_two_(simulation_.AddExecutor("two")),
        client_(simulation_.AddExecutor("client")),
        listener_(simulation_.AddExecutor("listener")),
        hub_({.loops = {&loop_one_, &loop_two_},
              .clock = &simulation_.clock(),
              .subscribers = {{&listener_, [this](const ProxyEvent& event) { Note(event); }}}}),
        service_(
            hub_,
            {.authenticate =
                 [this](const NodeDescription& node, const net::Headers& metadata,
                        std::function<void(base::Status)> done) {
                   Check(node, metadata, std::move(done));
                 },
             .health = {
                 .opened =
                     [this](const NodeDescription&, std::shared_ptr<HealthLine> line) {
                       line->SetPlan(plan_);
                       lines_.push_back(std::move(line));
                     },
                 .reported =
                     [this](const base::ProxyKey& proxy, const HealthLine*, HealthReport report) {
                       for (const auto& [name, healthy] : report)
                         health_ += proxy.name + ":" + name + (healthy ? "+ " : "- ");
                     },
                 .closed = [this](const base::ProxyKey& proxy,
                                  const HealthLine*) { health_ += proxy.name + ":closed "; }}}),
        network_(simulation_) {
    for (const auto& [address, loop] :
         {std::pair("one", &loop_one_), std::pair("two", &loop_two_)}) {
      network_.Listen(address, *loop, nullptr,
                      [this](const net::GrpcRequest& request) -> net::GrpcAnswer {
                        if (auto answer = service_.Serve(request)) return std::move(*answer);
                        return net::GrpcStatus{net::GrpcCode::kUnimplemented, "no such method"};
                      });
    }
  }

  // Streams end while their loops live.
  ~AdsServiceTest() override {
    connections_.clear();
    network_.Close("one");
    network_.Close("two");
    simulation_.RunUntilIdle();
  }

  void Check(const NodeDescription&, const net::Headers& metadata,
             std::function<void(base::Status)> done) {
    const std::string token(metadata.Get("authorization"));
    if (token == "never") return void(pending_.push_back(std::move(done)));
    client_.Post([token, done = std::move(done)] {
      if (token == "good")
        done(base::Ok{});
      else
        done(base::Denied("the token is for another proxy"));
    });
  }

  void Note(const ProxyEvent& event) {
    std::string text = event.proxy.name + " ";
    if (const auto* connected = std::get_if<ConnectedEvent>(&event.what))
      text += "connected " + connected->node->id;
    if (const auto* gone = std::get_if<DisconnectedEvent>(&event.what)) {
      text += gone->stopping ? "stopping" : "disconnected";
    }
    if (const auto* sent = std::get_if<SentEvent>(&event.what)) {
      sent_ += sent->resources;
      sent_bytes_ += sent->bytes;
      return;
    }
    if (std::holds_alternative<AckEvent>(event.what)) return;
    if (const auto* nack = std::get_if<NackEvent>(&event.what)) text += "nack " + nack->detail;
    if (const auto* in_step = std::get_if<InStepEvent>(&event.what)) {
      text += "in step " + std::to_string(in_step->revision.value);
    }
    if (const auto* stalled = std::get_if<StalledEvent>(&event.what))
      text += stalled->stalled ? "stalled" : "answers";
    events_.push_back(text);
  }

  std::shared_ptr<net::SimulatedNetwork::Connection> Dial(const std::string& address) {
    connections_.push_back(network_.Connect(address, client_));
    return connections_.back();
  }
  std::shared_ptr<Call> Open(const std::string& address, const std::string& path,
                             const std::string& token = "good") {
    auto call = std::make_shared<Call>();
    net::GrpcCall request;
    request.path = path;
    request.metadata = {{"authorization", token}};
    auto connection = Dial(address);
    client_.Post([connection, call, request] {
      connection->Open(request, std::make_unique<Recorder>(call));
    });
    simulation_.RunUntilIdle();
    return call;
  }
  void Send(const std::shared_ptr<Call>& call, std::string bytes) {
    client_.Post([call, bytes = std::move(bytes)] {
      if (call->stream != nullptr) call->stream->Send(bytes);
    });
    simulation_.RunUntilIdle();
  }
  void Send(const std::shared_ptr<Call>& call, XdsType type,
            std::string_view node = "default.web") {
    DeltaRequest request;
    request.type_url = bundle::TypeUrl(type);
    Send(call, kit::EncodeRequest(request, node));
  }
  DeltaResponse Receive(const std::shared_ptr<Call>& call) {
    EXPECT_FALSE(call->received.empty());
    if (call->received.empty()) return {};
    const std::string bytes = std::move(call->received.front());
    call->received.pop_front();
    return *kit::DecodeResponse(bytes, nullptr);
  }
  void Answer(const std::shared_ptr<Call>& call, const DeltaResponse& response,
              std::optional<std::string> error = std::nullopt) {
    DeltaRequest request;
    request.type_url = response.type_url();
    request.response_nonce = response.nonce;
    request.error_detail = std::move(error);
    Send(call, kit::EncodeRequest(request));
  }

  void Publish(std::vector<std::pair<XdsType, std::string>> resources) {
    auto made = std::make_shared<bundle::XdsBundle>();
    made->revision = {++revision_};
    made->resources.fill(bundle::EmptyList());
    std::map<XdsType, std::vector<SealedPtr>> lists;
    for (const auto& [type, name] : resources) {
      lists[type].push_back(Seal({.type = type, .name = name, .message = "content"}));
    }
    for (auto& [type, list] : lists)
      made->resources[static_cast<size_t>(type)] = bundle::MakeList(std::move(list));
    hub_.Publish({"default", "web"}, made);
    simulation_.RunUntilIdle();
  }
  std::vector<std::string> Events() {
    simulation_.RunUntilIdle();
    return std::exchange(events_, {});
  }
  using Texts = std::vector<std::string>;

  runtime::Simulation simulation_{1};
  runtime::SerialExecutor& loop_one_;
  runtime::SerialExecutor& loop_two_;
  runtime::SerialExecutor& client_;
  runtime::SerialExecutor& listener_;
  Hub hub_;
  HealthPlan plan_;
  std::vector<std::shared_ptr<HealthLine>> lines_;
  std::string health_;
  AdsService service_;
  net::SimulatedNetwork network_;
  std::vector<std::shared_ptr<net::SimulatedNetwork::Connection>> connections_;
  std::vector<std::function<void(base::Status)>> pending_;
  Texts events_;
  uint64_t sent_ = 0;  // resources, as reported
  uint64_t sent_bytes_ = 0;
  uint64_t revision_ = 0;
};

TEST_F(AdsServiceTest, AStreamComesInStep) {
  const auto call = Open("one", kDelta);
  Send(call, XdsType::kCluster);
  EXPECT_EQ(Events(), Texts{"web connected default.web"});
  Publish({{XdsType::kCluster, "a"}});
  const DeltaResponse response = Receive(call);
  ASSERT_EQ(response.resources.size(), 1u);
  EXPECT_EQ(response.resources[0]->name, "a");
  EXPECT_EQ(sent_, 1u);  // before it is answered
  EXPECT_GT(sent_bytes_, 0u);
  Answer(call, response);
  EXPECT_EQ(Events(), Texts{"web in step 1"});
  Publish({{XdsType::kCluster, "a"}});
  EXPECT_TRUE(call->received.empty());
  EXPECT_EQ(Events(), Texts{"web in step 2"});
}

TEST_F(AdsServiceTest, APublishedBundleWaitsForItsProxyOnEveryLoop) {
  Publish({{XdsType::kCluster, "a"}});
  for (const char* address : {"one", "two"}) {
    const auto call = Open(address, kDelta);
    Send(call, XdsType::kCluster);
    EXPECT_EQ(Receive(call).resources.size(), 1u);
  }
  hub_.Forget({"default", "web"});
  simulation_.RunUntilIdle();
  const auto call = Open("one", kDelta);
  Send(call, XdsType::kCluster);
  EXPECT_TRUE(call->received.empty());
}

TEST_F(AdsServiceTest, AWrongTokenIsUnauthenticatedWithItsReason) {
  const auto call = Open("one", kDelta, "bad");
  Send(call, XdsType::kCluster);
  ASSERT_TRUE(call->closed);
  EXPECT_EQ(*call->closed,
            (net::GrpcStatus{net::GrpcCode::kUnauthenticated, "the token is for another proxy"}));
  EXPECT_EQ(Events(), Texts{});
}

TEST_F(AdsServiceTest, NothingIsSentBeforeTheTokenIsChecked) {
  Publish({{XdsType::kCluster, "a"}});
  const auto call = Open("one", kDelta, "never");
  Send(call, XdsType::kCluster);
  Send(call, XdsType::kListener);
  EXPECT_TRUE(call->received.empty());
  ASSERT_EQ(pending_.size(), 1u);
  client_.Post([this] { pending_[0](base::Ok{}); });
  simulation_.RunUntilIdle();
  EXPECT_EQ(call->received.size(), 2u);
}

TEST_F(AdsServiceTest, ATokenThatCannotBeCheckedEndsTheStream) {
  const auto call = Open("one", kDelta, "never");
  Send(call, XdsType::kCluster);
  simulation_.Advance(10s);
  ASSERT_TRUE(call->closed);
  EXPECT_EQ(call->closed->code, net::GrpcCode::kUnavailable);
  client_.Post([this] { pending_[0](base::Ok{}); });  // too late
  EXPECT_EQ(Events(), Texts{});
}

TEST_F(AdsServiceTest, AnAnswerAfterTheStreamIsGoneIsDropped) {
  const auto call = Open("one", kDelta, "never");
  Send(call, XdsType::kCluster);
  connections_.back()->Cut();
  simulation_.RunUntilIdle();
  client_.Post([this] { pending_[0](base::Ok{}); });
  EXPECT_EQ(Events(), Texts{});
}

TEST_F(AdsServiceTest, WhatMayBeSentBeforeTheTokenIsCheckedIsBounded) {
  const auto call = Open("one", kDelta, "never");
  for (int i = 0; i < 65; ++i) Send(call, XdsType::kCluster);
  ASSERT_TRUE(call->closed);
  EXPECT_EQ(call->closed->code, net::GrpcCode::kResourceExhausted);
}

TEST_F(AdsServiceTest, GarbageIsAnInvalidArgument) {
  for (const std::string& bytes : {std::string("\xff\xff\xff"), std::string()}) {
    const auto call = Open("one", kDelta);
    Send(call, bytes);
    ASSERT_TRUE(call->closed);
    EXPECT_EQ(call->closed->code, net::GrpcCode::kInvalidArgument) << call->closed->message;
  }
  for (const char* node : {"", "web"}) {
    const auto call = Open("one", kDelta);
    Send(call, XdsType::kCluster, node);
    ASSERT_TRUE(call->closed);
    EXPECT_EQ(call->closed->code, net::GrpcCode::kInvalidArgument);
    EXPECT_NE(call->closed->message.find("node.id"), std::string::npos);
  }
}

TEST_F(AdsServiceTest, StateOfTheWorldIsRefusedWithTheWayOut) {
  const auto call = Open(
      "one", "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources");
  ASSERT_TRUE(call->closed);
  EXPECT_EQ(call->closed->code, net::GrpcCode::kUnimplemented);
  EXPECT_NE(call->closed->message.find("DELTA_GRPC"), std::string::npos);
}

TEST_F(AdsServiceTest, TheNewestOfTwoStreamsWins) {
  Publish({{XdsType::kCluster, "a"}});
  for (const char* second : {"one", "two"}) {
    SCOPED_TRACE(second);
    const auto older = Open("one", kDelta);
    Send(older, XdsType::kCluster);
    EXPECT_EQ(Events(), Texts{"web connected default.web"});
    const auto newer = Open(second, kDelta);
    Send(newer, XdsType::kCluster);
    simulation_.RunUntilIdle();
    ASSERT_TRUE(older->closed);
    EXPECT_EQ(older->closed->code, net::GrpcCode::kCancelled);
    EXPECT_FALSE(newer->closed);
    EXPECT_EQ(Events(), Texts{"web connected default.web"});  // and nobody is gone
    Answer(newer, Receive(newer));
    EXPECT_EQ(Events(), Texts{"web in step 1"});
    connections_.back()->Cut();
    EXPECT_EQ(Events(), Texts{"web disconnected"});
  }
}

TEST_F(AdsServiceTest, WhatAStreamLearnedIsKnownToTheNextOnAnyLoop) {
  Publish({{XdsType::kListener, "bad"}, {XdsType::kListener, "good"}});
  auto call = Open("one", kDelta);
  Send(call, XdsType::kListener);
  Answer(call, Receive(call), "Error adding/updating listener(s) bad: no\n");
  Answer(call, Receive(call));
  EXPECT_EQ(Events(),
            (Texts{"web connected default.web",
                   "web nack Error adding/updating listener(s) bad: no\n", "web in step 1"}));
  for (const char* address : {"two", "one", "one", "two"}) {
    connections_.back()->Cut();
    simulation_.RunUntilIdle();
    call = Open(address, kDelta);
    Send(call, XdsType::kListener);
    const DeltaResponse response = Receive(call);
    ASSERT_EQ(response.resources.size(), 1u) << address;
    EXPECT_EQ(response.resources[0]->name, "good");
    Answer(call, response);
  }
}

// Its Envoy runs on while its Dataplane is gone.
TEST_F(AdsServiceTest, WhatAStreamLearnedOutlivesTheBundle) {
  Publish({{XdsType::kListener, "bad"}, {XdsType::kListener, "good"}});
  auto call = Open("one", kDelta);
  Send(call, XdsType::kListener);
  Answer(call, Receive(call), "Error adding/updating listener(s) bad: no\n");
  connections_.back()->Cut();
  const auto come_back = [&] {
    call = Open("one", kDelta);
    Send(call, XdsType::kListener);
    EXPECT_TRUE(call->received.empty());
    Publish({{XdsType::kListener, "other"}});
    return Receive(call).removed;
  };
  hub_.Withdraw({"default", "web"});
  EXPECT_EQ(come_back(), Texts{"good"}) << "it may run that";
  connections_.back()->Cut();
  hub_.Forget({"default", "web"});
  EXPECT_EQ(come_back(), Texts{});
}

TEST_F(AdsServiceTest, AStreamCanBeEnded) {
  const auto call = Open("two", kDelta);
  Send(call, XdsType::kCluster);
  Events();
  hub_.End({"default", "web"}, base::Denied("the token was revoked"));
  EXPECT_EQ(Events(), Texts{"web disconnected"});
  ASSERT_TRUE(call->closed);
  EXPECT_EQ(*call->closed,
            (net::GrpcStatus{net::GrpcCode::kUnauthenticated, "the token was revoked"}));
}

TEST_F(AdsServiceTest, AProxyThatDoesNotAnswerIsReported) {
  const auto call = Open("one", kDelta);
  Send(call, XdsType::kCluster);
  Publish({{XdsType::kCluster, "a"}});
  simulation_.Advance(31s);
  EXPECT_EQ(Events(), (Texts{"web connected default.web", "web stalled"}));
  Answer(call, Receive(call));
  EXPECT_EQ(Events(), (Texts{"web in step 1", "web answers"}));
}

TEST_F(AdsServiceTest, ASessionCanBeLookedAt) {
  const auto call = Open("one", kDelta);
  Send(call, XdsType::kCluster);
  Publish({{XdsType::kCluster, "a"}});
  std::string text;
  hub_.Describe({"default", "web"}, [&text](std::string answer) { text = std::move(answer); });
  simulation_.RunUntilIdle();
  EXPECT_EQ(text, "Cluster: response 1 in flight with 1 resources and 0 removals\n");
}

TEST_F(AdsServiceTest, HealthDiscoveryIsAnsweredOnceAndThenQuiet) {
  const auto call = Open("one", kHealth);
  // health_check_request { node { id: "default.web" } }
  const std::string request =
      "\x0a\x0f\x0a\x0d\x0a\x0b"
      "default.web";
  Send(call, request);
  ASSERT_EQ(call->received.size(), 1u);
  simulation_.Advance(50s);
  Send(call, std::string("\x12\x00", 2));  // endpoint_health_response {}
  EXPECT_EQ(call->received.size(), 1u);
  EXPECT_FALSE(call->closed);

  const auto refused = Open("one", kHealth, "bad");
  Send(refused, request);
  ASSERT_TRUE(refused->closed);
  EXPECT_EQ(refused->closed->code, net::GrpcCode::kUnauthenticated);
}

TEST_F(AdsServiceTest, HealthDiscoverySendsPlansAndReportsNews) {
  plan_ = {std::make_shared<const std::string>("probe-80"), {"localhost:80"}};
  const auto call = Open("one", kHealth);
  Send(call,
       "\x0a\x0f\x0a\x0d\x0a\x0b"
       "default.web");
  ASSERT_EQ(call->received, std::deque<std::string>{"probe-80"});
  const auto report = [&](bool healthy) {
    ::envoy::service::health::v3::HealthCheckRequestOrEndpointHealthResponse message;
    auto* cluster = message.mutable_endpoint_health_response()->add_cluster_endpoints_health();
    cluster->set_cluster_name("localhost:80");
    cluster->add_locality_endpoints_health()->add_endpoints_health()->set_health_status(
        healthy ? ::envoy::config::core::v3::HEALTHY : ::envoy::config::core::v3::UNHEALTHY);
    Send(call, message.SerializeAsString());
  };
  report(false);
  report(false);
  report(true);
  EXPECT_EQ(health_, "web:localhost:80- web:localhost:80+ ");
  lines_[0]->SetPlan({std::make_shared<const std::string>("probe-80"), {"localhost:80"}});
  lines_[0]->SetPlan({std::make_shared<const std::string>("probe-81"), {"localhost:81"}});
  simulation_.RunUntilIdle();
  EXPECT_EQ(call->received, (std::deque<std::string>{"probe-80", "probe-81"}));
  client_.Post([call] { call->stream->Finish({net::GrpcCode::kCancelled, ""}); });
  simulation_.RunUntilIdle();
  EXPECT_TRUE(health_.ends_with("web:closed ")) << health_;
  lines_[0]->SetPlan({});  // the stream is over
  simulation_.RunUntilIdle();
}

}  // namespace
}  // namespace kuma::xds

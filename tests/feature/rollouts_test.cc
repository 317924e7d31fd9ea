// Rollouts: real REST calls in, delta ADS streams out, the whole control plane in this process.

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/service/discovery/v3/discovery.pb.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>

#include "app/config.h"
#include "app/control_plane.h"
#include "base/format.h"
#include "base/log.h"
#include "model/value.h"
#include "net/client.h"
#include "runtime/random.h"
#include "tests/kit/model_envoy.h"

namespace kuma {
namespace {

using base::Format;
using bundle::XdsType;
using model::Value;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kAdsPath =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

// A model Envoy at the end of a real connection. Its content is what the wire says.
class LiveEnvoy {
 public:
  // Refuses what holds `refused`; answers nothing once `silent` is set.
  LiveEnvoy(std::string name, uint16_t port, std::string refused = {})
      : node_("default." + std::move(name)), refused_(std::move(refused)) {
    kit::ModelEnvoyOptions options;
    options.has_endpoints = [](const bundle::SealedResource& resource) {
      ::envoy::config::cluster::v3::Cluster cluster;
      return cluster.ParseFromString(*resource.bytes) &&
             cluster.type() == ::envoy::config::cluster::v3::Cluster::EDS;
    };
    options.refuses =
        [this](const bundle::SealedResource& resource) -> std::optional<kit::Refusal> {
      if (refused_.empty() || resource.bytes->find(refused_) == std::string::npos)
        return std::nullopt;
      return kit::Refusal{"missing ): " + refused_, false};
    };
    options.expects_warm_clusters = false;
    envoy_ = std::make_unique<kit::ModelEnvoy>(options, random_);
    net::GrpcChannelOptions channel;
    channel.target = Format("grpcs://127.0.0.1:{}", port);
    channel.tls.skip_verify = true;
    channel_ = std::make_unique<net::GrpcChannel>(loop_, std::move(channel));
  }
  ~LiveEnvoy() {
    channel_.reset();  // its handlers borrow this
  }

  void Connect() {
    net::GrpcCall call;
    call.path = kAdsPath;
    channel_->Open(std::move(call), std::make_unique<Handler>(*this));
  }
  void SetSilent(bool silent) { silent_ = silent; }

  // Waits until `condition`, called with the lock held, is true.
  template <class Condition>
  [[nodiscard]] bool Wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(20), condition);
  }
  bool Runs(const std::string& text) {
    return Wait([&] {
      for (const XdsType type : bundle::kAllXdsTypes) {
        for (const std::string& name : envoy_->Names(type)) {
          const auto running = envoy_->Running(type, name);
          if (running != nullptr && running->bytes->find(text) != std::string::npos) return true;
        }
      }
      return false;
    });
  }
  uint64_t resources() {
    std::lock_guard lock(mutex_);
    return resources_;
  }
  // Streams that ended.
  bool WaitClosed(uint64_t count) {
    return Wait([&] { return closed_ >= count; });
  }

 private:
  class Handler final : public net::GrpcStreamHandler {
   public:
    explicit Handler(LiveEnvoy& envoy) : envoy_(envoy) {}
    void OnStart(net::GrpcStream& stream) override {
      stream_ = &stream;
      std::lock_guard lock(envoy_.mutex_);
      Send(envoy_.envoy_->Connect(envoy_.clock_.Now()));
    }
    void OnMessage(std::string_view message) override {
      std::lock_guard lock(envoy_.mutex_);
      if (envoy_.silent_) return;
      ::envoy::service::discovery::v3::DeltaDiscoveryResponse parsed;
      if (!parsed.ParseFromArray(message.data(), static_cast<int>(message.size())))
        return stream_->Finish({net::GrpcCode::kInvalidArgument, "garbage"});
      const auto response = kit::DecodeResponse(
          message,
          [&](XdsType type, std::string_view name, std::string_view version,
              std::string_view) -> bundle::SealedPtr {
            auto made = std::make_shared<bundle::SealedResource>();
            made->type = type;
            made->name = name;
            made->wire_version = version;
            for (const auto& resource : parsed.resources()) {
              if (resource.name() == name)
                made->bytes = std::make_shared<const std::string>(resource.resource().value());
            }
            return made;
          });
      envoy_.resources_ += response->resources.size();
      Send(envoy_.envoy_->OnResponse(envoy_.clock_.Now(), *response));
      envoy_.changed_.notify_all();
    }
    void OnClosed(const net::GrpcStatus&, const net::Headers&) override {
      std::lock_guard lock(envoy_.mutex_);
      ++envoy_.closed_;
      envoy_.changed_.notify_all();
    }

   private:
    void Send(const std::vector<xds::DeltaRequest>& requests) {
      for (const xds::DeltaRequest& request : requests)
        stream_->Send(kit::EncodeRequest(request, envoy_.node_));
    }
    LiveEnvoy& envoy_;
    net::GrpcStream* stream_ = nullptr;
  };

  const std::string node_;
  const std::string refused_;
  runtime::SystemClock clock_;
  runtime::SystemRandom random_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<kit::ModelEnvoy> envoy_;  // guarded by mutex_, as what follows
  std::atomic<bool> silent_ = false;
  uint64_t resources_ = 0;
  uint64_t closed_ = 0;
  net::EventLoop loop_{"envoy"};
  std::unique_ptr<net::GrpcChannel> channel_;
};

struct Reply {
  int status = 0;
  uint64_t revision = 0;  // header kuma-revision
  Value body;
  std::string text;

  int64_t Number(std::string_view key) const {
    const Value* value = body.Find(key);
    return value != nullptr && value->if_int() != nullptr ? *value->if_int() : -1;
  }
  bool complete() const {
    const Value* value = body.Find("complete");
    return value != nullptr && value->if_bool() != nullptr && *value->if_bool();
  }
  std::string At(std::initializer_list<std::string_view> path) const {
    const Value* value = body.At(path);
    return value == nullptr                ? ""
           : value->if_string() != nullptr ? *value->if_string()
                                           : model::ToJson(*value);
  }
};

class RolloutsFeature : public testing::Test {
 protected:
  RolloutsFeature() {
    base::SetLogLevel(base::LogLevel::kError);
    folder_ = std::filesystem::temp_directory_path() /
              Format("kuma-rollouts-{}", runtime::SystemRandom().Uuid());
    const auto config =
        app::Config::Load("", [this](const std::string& name) -> std::optional<std::string> {
          static const std::map<std::string, std::string> kSet = {
              {"KUMA_STORE_TYPE", "memory"},
              {"KUMA_API_SERVER_HTTP_PORT", "0"},
              {"KUMA_API_SERVER_HTTPS_ENABLED", "false"},
              {"KUMA_DP_SERVER_PORT", "0"},
              {"KUMA_DIAGNOSTICS_SERVER_PORT", "0"},
              {"KUMA_DP_SERVER_AUTHN_DP_PROXY_TYPE", "none"}};
          if (name == "KUMA_GENERAL_WORK_DIR") return folder_.string();
          const auto found = kSet.find(name);
          return found == kSet.end() ? std::nullopt : std::optional(found->second);
        });
    auto started = app::ControlPlane::Start(*config);
    if (!started.has_value()) {
      ADD_FAILURE() << started.error().message();
      return;
    }
    control_plane_ = *std::move(started);
    for (const char* name : {"web", "backend"}) {
      Put(Format("/meshes/default/dataplanes/{}", name), Format(R"({{
        "type": "Dataplane", "mesh": "default", "name": "{}", "labels": {{"app": "{}"}},
        "networking": {{"address": "127.0.0.1",
          "inbound": [{{"port": 8080, "name": "main", "protocol": "http"}}],
          "outbound": [{{"port": 10001, "backendRef": {{"kind": "MeshService", "name": "backend",
                                                       "port": 8080}}}}]}}}})",
                                                                name, name));
    }
    Put("/meshes/default/meshservices/backend", R"({
        "type": "MeshService", "mesh": "default", "name": "backend",
        "spec": {"selector": {"dataplaneLabels": {"matchLabels": {"app": "backend"}}},
                 "ports": [{"port": 8080, "targetPort": 8080, "name": "main",
                            "appProtocol": "http"}]}})");
  }
  ~RolloutsFeature() override {
    envoys_.clear();
    if (control_plane_ != nullptr) control_plane_->Stop();
    control_plane_ = nullptr;
    std::filesystem::remove_all(folder_);
    base::SetLogLevel(base::LogLevel::kInfo);
  }

  static Reply Call(std::string method, const std::string& url, std::string body = {}) {
    auto request = net::MakeRequest(std::move(method), url);
    if (!body.empty()) request->headers.Set("content-type", "application/json");
    request->body = std::move(body);
    const auto response = net::Fetch(*std::move(request));
    if (!response.has_value()) {
      ADD_FAILURE() << response.error().message();
      return {};
    }
    Reply reply{.status = response->status, .revision = 0, .body = {}, .text = response->body};
    if (const std::string* text = response->headers.Find("kuma-revision"))
      reply.revision = std::stoull(*text);
    if (auto parsed = model::ParseJson(response->body)) reply.body = *std::move(parsed);
    return reply;
  }
  std::string Api(const std::string& path) const {
    return Format("http://127.0.0.1:{}{}", control_plane_->Port("api"), path);
  }
  Reply Get(const std::string& path) const { return Call("GET", Api(path)); }
  Reply Put(const std::string& path, const std::string& json) const {
    Reply reply = Call("PUT", Api(path), json);
    EXPECT_LT(reply.status, 300) << reply.text;
    EXPECT_GT(reply.revision, 0u) << path << " answers no revision";
    return reply;
  }
  Reply PutTimeout(const std::string& name, int connection_seconds) const {
    return Put("/meshes/default/meshtimeouts/" + name, Format(R"({{
        "type": "MeshTimeout", "mesh": "default", "name": "{}",
        "spec": {{"to": [{{"targetRef": {{"kind": "Mesh"}},
                          "default": {{"connectionTimeout": "{}s"}}}}]}}}})",
                                                              name, connection_seconds));
  }
  Reply PutRoute(const std::string& pattern) const {
    return Put("/meshes/default/meshhttproutes/bad", Format(R"({{
        "type": "MeshHTTPRoute", "mesh": "default", "name": "bad",
        "spec": {{"targetRef": {{"kind": "Mesh"}},
                 "to": [{{"targetRef": {{"kind": "MeshService",
                                        "labels": {{"kuma.io/display-name": "backend"}}}},
                         "rules": [{{"matches": [{{"path": {{"type": "RegularExpression",
                                                            "value": "{}"}}}}],
                                    "default": {{}}}}]}}]}}}})",
                                                            pattern));
  }
  Reply Rollout(uint64_t revision, const std::string& wait = "20s") const {
    return Get(Format("/rollouts/{}?wait={}", revision, wait));
  }
  LiveEnvoy& Start(const std::string& name, const std::string& refused = {}) {
    envoys_.push_back(std::make_unique<LiveEnvoy>(name, control_plane_->Port("dp"), refused));
    envoys_.back()->Connect();
    EXPECT_TRUE(envoys_.back()->Wait([&] { return true; }));
    return *envoys_.back();
  }
  // Until the proxy acknowledged its first bundle.
  void WaitInStep(const std::string& name) const {
    const auto end = std::chrono::steady_clock::now() + seconds(20);
    while (std::chrono::steady_clock::now() < end) {
      const Reply timeline = Get(Format("/meshes/default/dataplanes/{}/_timeline", name));
      if (timeline.text.find("inStep") != std::string::npos) return;
      std::this_thread::yield();
    }
    ADD_FAILURE() << name << " does not come in step";
  }

  std::filesystem::path folder_;
  std::unique_ptr<app::ControlPlane> control_plane_;
  std::vector<std::unique_ptr<LiveEnvoy>> envoys_;
};

TEST_F(RolloutsFeature, AWriteIsFollowedToEveryProxyThatItChanges) {
  LiveEnvoy& web = Start("web");
  Start("backend");
  WaitInStep("web");
  WaitInStep("backend");
  const Reply written = PutTimeout("a-slow", 77);
  const Reply rollout = Rollout(written.revision);
  EXPECT_EQ(rollout.status, 200);
  EXPECT_TRUE(rollout.complete()) << rollout.text;
  EXPECT_EQ(rollout.Number("affected"), 2);
  EXPECT_EQ(rollout.Number("acknowledged"), 2);
  EXPECT_EQ(rollout.At({"changes", "0"}), "MeshTimeout default/a-slow created");
  EXPECT_TRUE(web.Runs("\x08\x4d"));  // google.protobuf.Duration of 77 s

  // The same again is no write, and is live.
  EXPECT_TRUE(Rollout(PutTimeout("a-slow", 77).revision).complete());
  // What no proxy reads affects nobody.
  const Reply other = Put("/meshes/other", R"({"type": "Mesh", "name": "other"})");
  EXPECT_TRUE(Rollout(other.revision).complete());
  EXPECT_EQ(Rollout(other.revision).Number("affected"), 0);
  // A deletion is a write too.
  const Reply deleted = Call("DELETE", Api("/meshes/default/meshtimeouts/a-slow"));
  EXPECT_GT(deleted.revision, other.revision);
  EXPECT_EQ(Rollout(deleted.revision).Number("acknowledged"), 2);

  EXPECT_THAT(Get("/rollouts").text, HasSubstr(Format("\"revision\": {}", written.revision)));
  EXPECT_EQ(Get(Format("/rollouts/{}", deleted.revision + 1000)).status, 404);
  EXPECT_EQ(Get("/rollouts/1").status, 410);
  EXPECT_THAT(Get("/rollouts/1").At({"detail"}), HasSubstr("before this control plane started"));
  EXPECT_EQ(Get("/rollouts/x").status, 400);
  EXPECT_EQ(Get("/rollouts/1?wait=soon").status, 400);
  EXPECT_EQ(Call("DELETE", Api("/rollouts/1")).status, 405);
}

TEST_F(RolloutsFeature, ANackNamesThePolicyAndEverythingElseIsDelivered) {
  LiveEnvoy& web = Start("web", "bad(");
  LiveEnvoy& backend = Start("backend");
  WaitInStep("web");
  WaitInStep("backend");
  const Reply written = PutRoute("bad(");
  const Reply rollout = Rollout(written.revision);
  EXPECT_TRUE(rollout.complete()) << rollout.text;
  EXPECT_EQ(rollout.Number("rejected"), 1) << rollout.text;
  EXPECT_EQ(rollout.Number("acknowledged"), 1);
  EXPECT_THAT(rollout.text, HasSubstr("MeshHTTPRoute default/bad"));
  EXPECT_THAT(rollout.text, HasSubstr("missing ): bad("));
  EXPECT_TRUE(backend.Runs("bad("));

  // The next write is delivered to both: the listener that was rejected does not come with it.
  const Reply next = PutTimeout("a-slow", 79);
  const Reply live = Rollout(next.revision);
  EXPECT_TRUE(live.complete());
  EXPECT_TRUE(web.Runs("\x08\x4f"));
  EXPECT_TRUE(backend.Runs("\x08\x4f"));

  const Reply degraded = Get("/degraded");
  EXPECT_THAT(degraded.text, HasSubstr("missing ): bad("));
  EXPECT_THAT(degraded.text, HasSubstr("\"name\": \"web\""));
  const Reply timeline = Get("/meshes/default/dataplanes/web/_timeline");
  EXPECT_THAT(timeline.text, HasSubstr("\"rejected\""));
  EXPECT_THAT(timeline.text, HasSubstr("MeshHTTPRoute default/bad created"));

  // The mended policy is live everywhere, and nothing is degraded any more.
  const Reply mended = Rollout(PutRoute("good").revision);
  EXPECT_TRUE(mended.complete());
  EXPECT_EQ(mended.Number("rejected"), 0) << mended.text;
  EXPECT_EQ(mended.Number("acknowledged"), 2);
  EXPECT_THAT(Get("/degraded").text, Not(HasSubstr("missing")));
  EXPECT_EQ(Rollout(written.revision).Number("rejected"), 1);  // what was is not forgotten
}

TEST_F(RolloutsFeature, WhoWaitsHoldsUpNobody) {
  LiveEnvoy& web = Start("web");
  WaitInStep("web");
  web.SetSilent(true);
  const uint64_t revision = PutTimeout("a-slow", 77).revision;
  std::vector<std::future<Reply>> waiting;
  for (int i = 0; i < 32; ++i)
    waiting.push_back(std::async(std::launch::async, [&] { return Rollout(revision, "60s"); }));
  // More wait than the pool has threads; others are answered.
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Get("/meshes").status, 200);
  const Reply pending = Get(Format("/rollouts/{}", revision));
  EXPECT_FALSE(pending.complete());
  EXPECT_EQ(pending.Number("pending"), 1);
  EXPECT_THAT(pending.text, HasSubstr("\"name\": \"web\""));
  const Reply metrics =
      Call("GET", Format("http://127.0.0.1:{}/metrics", control_plane_->Port("diagnostics")));
  EXPECT_THAT(metrics.text, HasSubstr("kuma_mesh_proxies_stale{mesh=\"default\"} 1\n"));
  EXPECT_THAT(metrics.text, HasSubstr("kuma_proxy_stale_seconds{mesh=\"default\",proxy=\"web\"}"));

  // The proxy goes, and everybody hears of it at once.
  envoys_.clear();
  for (std::future<Reply>& one : waiting) {
    const Reply reply = one.get();
    EXPECT_TRUE(reply.complete()) << reply.text;
    EXPECT_EQ(reply.Number("gone"), 1);
  }
}

TEST_F(RolloutsFeature, AReconnectInStepIsSentNothingAndTheNewestOfTwoStreamsWins) {
  LiveEnvoy& web = Start("web");
  WaitInStep("web");
  EXPECT_TRUE(Rollout(PutTimeout("a-slow", 77).revision).complete());
  const uint64_t resources = web.resources();
  web.Connect();  // beside the first one, which ends
  EXPECT_TRUE(web.WaitClosed(1));
  const Reply rollout = Rollout(PutTimeout("a-slow", 78).revision);
  EXPECT_TRUE(rollout.complete());
  EXPECT_EQ(rollout.Number("gone"), 0);
  EXPECT_TRUE(web.Runs("\x08\x4e"));
  const std::string timeline = Get("/meshes/default/dataplanes/web/_timeline").text;
  EXPECT_THAT(timeline, Not(HasSubstr("disconnected")));
  // Only what the second write changed.
  EXPECT_LE(web.resources() - resources, 4u) << timeline;
  const Reply metrics = Call("GET", Format("http://127.0.0.1:{}/metrics?proxies=all",
                                           control_plane_->Port("diagnostics")));
  EXPECT_THAT(metrics.text, HasSubstr("kuma_proxy_lag_revisions{mesh=\"default\",proxy=\"web\"}"));
}

}  // namespace
}  // namespace kuma

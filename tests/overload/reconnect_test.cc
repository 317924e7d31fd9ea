// Many proxies at one control plane, over TLS and the real protocol: who comes back after a restart is sent nothing
// that it has; one that does not answer, or reads 1 kB/s, holds up nobody else.

#include <arpa/inet.h>
#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/service/discovery/v3/discovery.pb.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "app/config.h"
#include "app/control_plane.h"
#include "base/format.h"
#include "base/strings.h"
#include "model/value.h"
#include "net/client.h"
#include "net/event_loop.h"

namespace kuma {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
namespace discovery = ::envoy::service::discovery::v3;
using Clock = std::chrono::steady_clock;

constexpr char kDelta[] =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const std::string kCluster = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const std::string kEndpoints = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
const std::string kListener = "type.googleapis.com/envoy.config.listener.v3.Listener";

uint16_t FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

// A control plane in this process, with a folder that outlives it.
class Plane {
 public:
  Plane() {
    std::string name = ::testing::TempDir() + "/kuma-XXXXXX";
    folder_ = mkdtemp(name.data());
    for (uint16_t* port : {&dp_, &api_, &diagnostics_}) *port = FreePort();
    variables_ = {{"KUMA_GENERAL_WORK_DIR", folder_},
                  {"KUMA_DP_SERVER_PORT", std::to_string(dp_)},
                  {"KUMA_API_SERVER_HTTP_PORT", std::to_string(api_)},
                  {"KUMA_API_SERVER_HTTPS_ENABLED", "false"},
                  {"KUMA_DIAGNOSTICS_SERVER_PORT", std::to_string(diagnostics_)},
                  {"KUMA_DP_SERVER_AUTHN_DP_PROXY_TYPE", "none"}};
  }
  ~Plane() {
    Stop();
    fs::remove_all(folder_);
  }
  void Start() {
    const auto config =
        app::Config::Load("", [this](const std::string& name) -> std::optional<std::string> {
          const auto found = variables_.find(name);
          return found == variables_.end() ? std::nullopt : std::optional(found->second);
        });
    ASSERT_TRUE(config) << config.error().message();
    auto started = app::ControlPlane::Start(*config);
    ASSERT_TRUE(started) << started.error().message();
    plane_ = *std::move(started);
  }
  void Stop() {
    if (plane_ != nullptr) plane_->Stop();
    plane_.reset();
  }

  // The sum of a metric's samples; -1: there is none.
  double Metric(const std::string& name) const {
    const auto answer = net::Fetch(
        *net::MakeRequest("GET", base::Format("http://127.0.0.1:{}/metrics", diagnostics_)));
    if (!answer) return -1;
    double sum = -1;
    for (const std::string& line : base::Split(answer->body, '\n')) {
      if (line.substr(0, line.find_first_of("{ ")) != name) continue;
      sum = std::max(sum, 0.0) + base::ParseDouble(line.substr(line.rfind(' ') + 1)).value_or(0);
    }
    return sum;
  }
  int Put(const std::string& path, const std::string& json) const {
    auto request = *net::MakeRequest("PUT", base::Format("http://127.0.0.1:{}{}", api_, path));
    request.headers.Set("content-type", "application/json");
    request.body = json;
    const auto answer = net::Fetch(std::move(request));
    return answer ? answer->status : 0;
  }
  uint16_t dp() const { return dp_; }

 private:
  std::string folder_;
  uint16_t dp_ = 0, api_ = 0, diagnostics_ = 0;
  std::map<std::string, std::string> variables_;
  std::unique_ptr<app::ControlPlane> plane_;
};

// True once `condition` is; false when the time is over. Each look costs a request or a lock, so that it is no busy
// loop.
template <class Condition>
bool Eventually(std::chrono::seconds limit, Condition condition) {
  std::mutex mutex;
  std::condition_variable never;
  const auto end = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() > end) return false;
    std::unique_lock lock(mutex);
    never.wait_for(lock, 10ms);
  }
  return true;
}

// What a light client does. A proxy keeps what it was sent over streams, as Envoy does.
struct ProxyOptions {
  std::string name;
  std::string dataplane;  // brought along
  bool answers = true;    // false: it never acknowledges
};

// Shared by the test and the loop.
struct Seen {
  std::atomic<int> resources = 0;  // of this stream
  std::atomic<int> removed = 0;
  std::atomic<int> responses = 0;
  std::atomic<int> nacks = 0;
  std::atomic<bool> open = false;
  std::atomic<int64_t> last = 0;  // when the last response came
  std::mutex mutex;
  std::map<std::string, int> endpoints;  // by cluster
  size_t listeners = 0;
};

class Proxy;

class Stream final : public net::GrpcStreamHandler {
 public:
  explicit Stream(Proxy& proxy) : proxy_(proxy) {}
  void OnStart(net::GrpcStream& stream) override;
  void OnMessage(std::string_view message) override;
  void OnClosed(const net::GrpcStatus& status, const net::Headers&) override;

 private:
  Proxy& proxy_;
};

// Confined to its loop but for `seen` and Connect/Disconnect.
class Proxy {
 public:
  Proxy(net::EventLoop& loop, ProxyOptions options) : loop_(loop), options_(std::move(options)) {}
  ~Proxy() { Disconnect(); }  // before what the loop uses

  void Connect(uint16_t port) {
    seen.resources = seen.removed = seen.responses = 0;
    net::GrpcChannelOptions options;
    options.target = base::Format("grpcs://127.0.0.1:{}", port);
    options.tls.skip_verify = true;
    options.connect_timeout = 60s;
    channel_ = std::make_unique<net::GrpcChannel>(loop_, std::move(options));
    net::GrpcCall call;
    call.path = kDelta;
    channel_->Open(std::move(call), std::make_unique<Stream>(*this));
  }
  void Disconnect() { channel_.reset(); }

  void OnStart(net::GrpcStream& stream) {
    stream_ = &stream;
    seen.open = true;
    asked_.clear();
    // As Envoy does: what it has of each type, at once; the node in the first message only.
    Ask(kCluster, {}, true);
    if (!has_[kCluster].empty()) {
      Ask(kEndpoints, eds_clusters_, false);
      Ask(kListener, {}, false);
    }
  }
  void OnResponse(const discovery::DeltaDiscoveryResponse& response) {
    ++seen.responses;
    seen.resources += response.resources_size();
    seen.removed += response.removed_resources_size();
    seen.last = Clock::now().time_since_epoch().count();
    if (!options_.answers) return;
    auto& has = has_[response.type_url()];
    std::set<std::string> fresh;
    std::set<std::string> gone;
    for (const auto& resource : response.resources()) {
      has[resource.name()] = resource.version();
      if (response.type_url() == kCluster) {
        ::envoy::config::cluster::v3::Cluster cluster;
        resource.resource().UnpackTo(&cluster);
        if (cluster.type() == ::envoy::config::cluster::v3::Cluster::EDS &&
            eds_clusters_.insert(cluster.name()).second)
          fresh.insert(cluster.name());
      } else if (response.type_url() == kEndpoints) {
        ::envoy::config::endpoint::v3::ClusterLoadAssignment assignment;
        resource.resource().UnpackTo(&assignment);
        int count = 0;
        for (const auto& locality : assignment.endpoints()) count += locality.lb_endpoints_size();
        const std::lock_guard lock(seen.mutex);
        seen.endpoints[resource.name()] = count;
      }
    }
    for (const std::string& name : response.removed_resources()) {
      has.erase(name);
      if (response.type_url() == kCluster && eds_clusters_.erase(name) > 0) gone.insert(name);
    }
    if (response.type_url() == kListener) {
      const std::lock_guard lock(seen.mutex);
      seen.listeners = has.size();
    }
    discovery::DeltaDiscoveryRequest answer;
    answer.set_type_url(response.type_url());
    answer.set_response_nonce(response.nonce());
    stream_->Send(answer.SerializeAsString());
    if (response.type_url() != kCluster) return;
    if (!asked_.contains(kEndpoints)) {
      Ask(kEndpoints, eds_clusters_, false);
    } else if (!fresh.empty() || !gone.empty()) {
      discovery::DeltaDiscoveryRequest more;
      more.set_type_url(kEndpoints);
      for (const std::string& name : fresh) more.add_resource_names_subscribe(name);
      for (const std::string& name : gone) more.add_resource_names_unsubscribe(name);
      stream_->Send(more.SerializeAsString());
    }
    if (!asked_.contains(kListener)) Ask(kListener, {}, false);
  }
  void OnClosed() {
    stream_ = nullptr;
    seen.open = false;
  }

  Seen seen;

 private:
  void Ask(const std::string& type, const std::set<std::string>& names, bool with_node) {
    asked_.insert(type);
    discovery::DeltaDiscoveryRequest request;
    request.set_type_url(type);
    for (const std::string& name : names) request.add_resource_names_subscribe(name);
    for (const auto& [name, version] : has_[type])
      (*request.mutable_initial_resource_versions())[name] = version;
    if (with_node) {
      auto& node = *request.mutable_node();
      node.set_id("default." + options_.name);
      auto& metadata = *node.mutable_metadata()->mutable_fields();
      metadata["dataplane.resource"].set_string_value(options_.dataplane);
      metadata["dataplane.admin.port"].set_string_value("9901");
      metadata["dataplane.readinessReporter.port"].set_string_value("9902");
      metadata["dataplane.admin.address"].set_string_value("127.0.0.1");
    }
    stream_->Send(request.SerializeAsString());
  }

  net::EventLoop& loop_;
  const ProxyOptions options_;
  std::unique_ptr<net::GrpcChannel> channel_;
  net::GrpcStream* stream_ = nullptr;
  std::map<std::string, std::map<std::string, std::string>> has_;
  std::set<std::string> eds_clusters_;
  std::set<std::string> asked_;
};

void Stream::OnStart(net::GrpcStream& stream) { proxy_.OnStart(stream); }
void Stream::OnMessage(std::string_view message) {
  discovery::DeltaDiscoveryResponse response;
  ASSERT_TRUE(response.ParseFromArray(message.data(), static_cast<int>(message.size())));
  proxy_.OnResponse(response);
}
void Stream::OnClosed(const net::GrpcStatus&, const net::Headers&) { proxy_.OnClosed(); }

// Proxy i of service w<i % services>, calling the next ones.
std::string Dataplane(int i, int services, int outbounds) {
  model::Array list;
  for (int k = 1; k <= outbounds; ++k) {
    list.emplace_back(model::Object{
        {"port", 10000 + k},
        {"backendRef", model::Object{{"kind", "MeshService"},
                                     {"name", base::Format("w{}", (i + k) % services)},
                                     {"port", 8080}}}});
  }
  return model::ToJson(model::Value(model::Object{
      {"type", "Dataplane"},
      {"mesh", "default"},
      {"name", base::Format("p{}", i)},
      {"labels", model::Object{{"kuma.io/workload", base::Format("w{}", i % services)}}},
      {"networking",
       model::Object{{"address", base::Format("127.1.{}.{}", i / 200, i % 200 + 1)},
                     {"inbound", model::Array{model::Value(model::Object{
                                     {"port", 8080}, {"name", "main"}, {"protocol", "http"}})}},
                     {"outbound", std::move(list)}}}}));
}

class ReconnectTest : public ::testing::Test {
 protected:
  ReconnectTest() : loops_(1, "fleet") {}
  ~ReconnectTest() override { proxies_.clear(); }

  Proxy& Add(int i, int services, int outbounds, bool answers = true) {
    proxies_.push_back(std::make_unique<Proxy>(
        loops_.at(0), ProxyOptions{.name = base::Format("p{}", i),
                                   .dataplane = Dataplane(i, services, outbounds),
                                   .answers = answers}));
    return *proxies_.back();
  }
  // Each proxy has `clusters` endpoint sets, with so many endpoints in each.
  static bool Has(Proxy& proxy, size_t clusters, int endpoints) {
    const std::lock_guard lock(proxy.seen.mutex);
    return proxy.seen.listeners >= clusters && proxy.seen.endpoints.size() == clusters &&
           std::all_of(proxy.seen.endpoints.begin(), proxy.seen.endpoints.end(),
                       [endpoints](const auto& entry) { return entry.second == endpoints; });
  }
  bool AllHave(size_t clusters, int endpoints) {
    return std::all_of(proxies_.begin(), proxies_.end(),
                       [&](const auto& proxy) { return Has(*proxy, clusters, endpoints); });
  }

  Plane plane_;
  net::EventLoops loops_;
  std::vector<std::unique_ptr<Proxy>> proxies_;
};

TEST_F(ReconnectTest, FiveHundredProxiesComeBackAfterARestartAndAreSentNothing) {
  constexpr int kProxies = 500, kServices = 25, kOutbounds = 3;
  plane_.Start();
  for (int i = 0; i < kProxies; ++i) Add(i, kServices, kOutbounds).Connect(plane_.dp());
  ASSERT_TRUE(Eventually(120s, [&] { return AllHave(kOutbounds, kProxies / kServices); }));
  ASSERT_TRUE(Eventually(60s, [&] {
    return plane_.Metric("kuma_xds_streams_in_step") == kProxies &&
           plane_.Metric("kuma_waiting_proxies") == 0;
  }));
  ASSERT_GT(plane_.Metric("kuma_xds_resources_sent_total"), kProxies * 5);

  plane_.Stop();
  for (const auto& proxy : proxies_) {
    ASSERT_TRUE(Eventually(30s, [&] { return !proxy->seen.open; }));
    proxy->Disconnect();
  }
  const auto begin = Clock::now();
  const std::clock_t cpu = std::clock();
  plane_.Start();
  for (const auto& proxy : proxies_) proxy->Connect(plane_.dp());
  ASSERT_TRUE(
      Eventually(120s, [&] { return plane_.Metric("kuma_xds_streams_in_step") == kProxies; }));
  std::printf("all %d in step %.2f s after the start, with %.2f s of CPU, the clients' included\n",
              kProxies, std::chrono::duration<double>(Clock::now() - begin).count(),
              static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC);
  EXPECT_EQ(plane_.Metric("kuma_xds_resources_sent_total"), 0);
  EXPECT_EQ(plane_.Metric("kuma_xds_resources_removed_total"), 0);
  EXPECT_EQ(plane_.Metric("kuma_xds_streams_waiting"), 0);
  int sent = 0;
  for (const auto& proxy : proxies_) sent += proxy->seen.resources + proxy->seen.removed;
  EXPECT_EQ(sent, 0);

  // The streams are alive: one more replica of w0 reaches those that call it, and nobody else.
  Proxy& one_more = Add(kProxies, kServices, kOutbounds);
  one_more.Connect(plane_.dp());
  ASSERT_TRUE(Eventually(60s, [&] {
    for (int i = 0; i < kProxies; ++i) {
      const bool calls_w0 = (i % kServices) >= kServices - kOutbounds;
      if (proxies_[static_cast<size_t>(i)]->seen.resources != (calls_w0 ? 1 : 0)) return false;
    }
    return Has(one_more, kOutbounds, kProxies / kServices);
  }));
}

// Forwards one connection; towards the client at most `bytes_per_second`.
class SlowRelay {
 public:
  SlowRelay(uint16_t to, size_t bytes_per_second) : to_(to), pace_(bytes_per_second) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = Address(0);
    socklen_t size = sizeof address;
    bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener_, 1);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~SlowRelay() {
    stop_ = true;
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  uint16_t port = 0;
  std::atomic<size_t> passed = 0;  // bytes to the client

 private:
  static sockaddr_in Address(uint16_t number) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(number);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  void Run() {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int small = 4096;  // so that nothing but the control plane buffers
    setsockopt(server, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    const sockaddr_in address = Address(to_);
    connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    char buffer[4096];
    auto begin = Clock::now();
    // The handshake passes at full speed.
    constexpr size_t kFree = 8 << 10;
    while (!stop_) {
      const auto seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      const bool may = passed < kFree ||
                       passed - kFree < static_cast<size_t>(seconds * static_cast<double>(pace_));
      pollfd fds[2] = {{client, POLLIN, 0}, {server, static_cast<short>(may ? POLLIN : 0), 0}};
      poll(fds, 2, 20);
      if (fds[0].revents != 0) {
        const ssize_t size = read(client, buffer, sizeof buffer);
        if (size <= 0 || write(server, buffer, static_cast<size_t>(size)) != size) break;
      }
      if (may && fds[1].revents != 0) {
        const ssize_t size = read(server, buffer, passed < kFree ? sizeof buffer : 256);
        if (size <= 0 || write(client, buffer, static_cast<size_t>(size)) != size) break;
        passed += static_cast<size_t>(size);
      }
    }
    close(client);
    close(server);
  }

  const uint16_t to_;
  const size_t pace_;
  int listener_ = -1;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST_F(ReconnectTest, OneThatDoesNotAnswerAndOneThatReadsSlowlyHoldUpNobodyElse) {
  constexpr int kGood = 40, kServices = 10, kOutbounds = 3;
  plane_.Start();
  for (int i = 0; i < kGood; ++i) Add(i, kServices, kOutbounds).Connect(plane_.dp());
  ASSERT_TRUE(Eventually(60s, [&] { return AllHave(kOutbounds, kGood / kServices); }));

  Proxy& silent = Add(1000, kServices, kOutbounds, false);
  silent.Connect(plane_.dp());
  SlowRelay relay(plane_.dp(), 1000);
  // Its configuration is far more than all buffers on the way.
  Proxy& slow = Add(1001, kServices, 400);
  slow.Connect(relay.port);
  ASSERT_TRUE(
      Eventually(30s, [&] { return silent.seen.responses == 1 && relay.passed > 8 << 10; }));
  ASSERT_TRUE(Eventually(30s, [&] { return plane_.Metric("kuma_waiting_proxies") == 0; }));

  // Changes of every proxy's configuration reach the others at their usual speed.
  std::chrono::milliseconds slowest{0};
  constexpr int kChanges = 10;
  for (int change = 1; change <= kChanges; ++change) {
    std::vector<int> before;
    for (int i = 0; i < kGood; ++i)
      before.push_back(proxies_[static_cast<size_t>(i)]->seen.responses);
    const auto begin = Clock::now();
    const int status = plane_.Put(
        "/meshes/default/meshtimeouts/all",
        base::Format(
            R"({{"type":"MeshTimeout","mesh":"default","name":"all","spec":{{"to":[{{"targetRef":{{"kind":"Mesh"}},)"
            R"("default":{{"connectionTimeout":"{}s"}}}}]}}}})",
            change + 20));
    ASSERT_TRUE(status == 200 || status == 201) << status;
    ASSERT_TRUE(Eventually(30s,
                           [&] {
                             for (int i = 0; i < kGood; ++i) {
                               if (proxies_[static_cast<size_t>(i)]->seen.responses <=
                                   before[static_cast<size_t>(i)])
                                 return false;
                             }
                             return true;
                           }))
        << "change " << change;
    slowest = std::max(slowest,
                       std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin));
  }
  std::printf("slowest of %d changes: %lld ms for all %d others\n", kChanges,
              static_cast<long long>(slowest.count()), kGood);
  EXPECT_LT(slowest, 10s);
  // Those two are behind, and told.
  EXPECT_TRUE(Eventually(10s, [&] { return plane_.Metric("kuma_mesh_proxies_stale") == 2; }));
  EXPECT_GT(plane_.Metric("kuma_proxy_lag_revisions"), kChanges);
  // One response per type is in flight: nothing piles up behind an answer that never comes.
  EXPECT_EQ(silent.seen.responses, 1);
  EXPECT_LT(relay.passed, 64u << 10) << "it still reads its first configuration";
  EXPECT_EQ(slow.seen.nacks, 0);
}

}  // namespace
}  // namespace kuma

// The session against the real Envoy over TLS. Needs the Envoy binary that KUMA_ENVOY names.

#include <envoy/config/bootstrap/v3/bootstrap.pb.h>
#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/extensions/filters/http/router/v3/router.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>
#include <envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h>
#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/log.h"
#include "base/strings.h"
#include "net/client.h"
#include "net/server.h"
#include "runtime/threads.h"
#include "xds/ads_service.h"

namespace kuma::xds {
namespace {

using namespace std::chrono_literals;
using bundle::kXdsTypeCount;

namespace core = ::envoy::config::core::v3;

void SetAddress(core::Address& address, uint16_t port) {
  address.mutable_socket_address()->set_address("127.0.0.1");
  address.mutable_socket_address()->set_port_value(port);
}

template <class Message>
SealedPtr SealMessage(XdsType type, const std::string& name, const Message& message,
                      std::vector<std::string> clusters = {}) {
  const std::string bytes = message.SerializeAsString();
  return bundle::Seal(
      {.type = type, .name = name, .message = bytes, .clusters = std::move(clusters)});
}

SealedPtr EdsCluster(const std::string& name, int connect_timeout_ms) {
  ::envoy::config::cluster::v3::Cluster cluster;
  cluster.set_name(name);
  cluster.set_type(::envoy::config::cluster::v3::Cluster::EDS);
  cluster.mutable_eds_cluster_config()->mutable_eds_config()->mutable_ads();
  cluster.mutable_eds_cluster_config()->mutable_eds_config()->set_resource_api_version(
      core::ApiVersion::V3);
  cluster.mutable_connect_timeout()->set_nanos(connect_timeout_ms * 1'000'000);
  return SealMessage(XdsType::kCluster, name, cluster);
}

// Breaks a rule of Envoy's schema: the whole response is refused before any of it is applied.
SealedPtr InvalidCluster(const std::string& name) {
  ::envoy::config::cluster::v3::Cluster cluster;
  cluster.set_name(name);
  cluster.mutable_cleanup_interval()->set_seconds(0);
  return SealMessage(XdsType::kCluster, name, cluster);
}

SealedPtr Endpoints(const std::string& name, uint16_t port) {
  ::envoy::config::endpoint::v3::ClusterLoadAssignment assignment;
  assignment.set_cluster_name(name);
  SetAddress(*assignment.add_endpoints()->add_lb_endpoints()->mutable_endpoint()->mutable_address(),
             port);
  return SealMessage(XdsType::kEndpoints, name, assignment);
}

SealedPtr Listener(const std::string& name, const std::string& cluster) {
  ::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager manager;
  manager.set_stat_prefix(name);
  auto& host = *manager.mutable_route_config()->add_virtual_hosts();
  host.set_name("all");
  host.add_domains("*");
  auto& route = *host.add_routes();
  route.mutable_match()->set_prefix("/");
  route.mutable_route()->set_cluster(cluster);
  auto& router = *manager.add_http_filters();
  router.set_name("envoy.filters.http.router");
  router.mutable_typed_config()->PackFrom(::envoy::extensions::filters::http::router::v3::Router());
  ::envoy::config::listener::v3::Listener listener;
  listener.set_name(name);
  SetAddress(*listener.mutable_address(), 0);
  auto& filter = *listener.add_filter_chains()->add_filters();
  filter.set_name("envoy.filters.network.http_connection_manager");
  filter.mutable_typed_config()->PackFrom(manager);
  return SealMessage(XdsType::kListener, name, listener, {cluster});
}

// Names a filter that Envoy does not know.
SealedPtr BadListener(const std::string& name) {
  ::envoy::config::listener::v3::Listener listener;
  listener.set_name(name);
  SetAddress(*listener.mutable_address(), 0);
  listener.add_filter_chains()->add_filters()->set_name("no.such.filter");
  return SealMessage(XdsType::kListener, name, listener);
}

// Collects what the hub reports. Thread-safe.
class Events {
 public:
  void Add(const ProxyEvent& event) {
    const std::lock_guard lock(mutex_);
    if (const auto* in_step = std::get_if<InStepEvent>(&event.what)) in_step_ = in_step->revision;
    if (const auto* nack = std::get_if<NackEvent>(&event.what)) nacks_.push_back(*nack);
    if (std::holds_alternative<AckEvent>(event.what)) ++acks_;
    if (const auto* node = std::get_if<ConnectedEvent>(&event.what)) {
      ++connected_;
      version_ = node->node->envoy_version;
    }
    changed_.notify_all();
  }
  template <class Condition>
  bool Wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 30s, [&] { return condition(*this); });
  }
  bool WaitInStep(uint64_t revision) {
    return Wait([revision](const Events& events) { return events.in_step_.value == revision; });
  }
  std::vector<NackEvent> TakeNacks() {
    const std::lock_guard lock(mutex_);
    return std::exchange(nacks_, {});
  }

  Revision in_step_;
  std::vector<NackEvent> nacks_;
  int acks_ = 0;
  int connected_ = 0;
  std::string version_;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

class RealEnvoyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* binary = std::getenv("KUMA_ENVOY");
    if (binary == nullptr || access(binary, X_OK) != 0) {
      GTEST_SKIP() << "NOT TESTED: KUMA_ENVOY does not name an Envoy binary";
    }
    std::string folder = ::testing::TempDir() + "kuma-xds-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    auto certificate = net::MakeSelfSigned({"localhost", "127.0.0.1"});
    ASSERT_TRUE(certificate);

    if (std::getenv("KUMA_VERBOSE") != nullptr) base::SetLogLevel(base::LogLevel::kDebug);
    service_ = std::make_unique<AdsService>(
        hub_,
        AdsServiceOptions{.authenticate = [](const NodeDescription&, const net::Headers& metadata,
                                             std::function<void(base::Status)> done) {
          if (metadata.Get("authorization") == "good")
            done(base::Ok{});
          else
            done(base::Denied("no"));
        }});
    net::ServerOptions options;
    options.tls = net::ServerTlsOptions();
    options.tls->certificate.cert_pem = certificate->cert_pem;
    options.tls->certificate.key_pem = certificate->key_pem;
    auto server =
        net::Server::Start(loops_, options, nullptr, [this](const net::GrpcRequest& request) {
          if (request.path.find("StreamHealthCheck") != std::string::npos) ++health_streams_;
          auto answer = service_->Serve(request);
          return answer ? std::move(*answer)
                        : net::GrpcAnswer(net::GrpcStatus{net::GrpcCode::kUnimplemented, "no"});
        });
    ASSERT_TRUE(server) << server.error().message();
    server_ = std::move(*server);
    auto backend =
        net::Server::Start(loops_, {}, [](net::HttpRequest, net::HttpResponder responder) {
          responder.Send({.status = 200, .headers = {}, .body = "hello"});
        });
    ASSERT_TRUE(backend) << backend.error().message();
    backend_ = std::move(*backend);
    StartEnvoy(binary, certificate->cert_pem);
  }

  void TearDown() override {
    if (envoy_ > 0) {
      kill(envoy_, SIGKILL);
      waitpid(envoy_, nullptr, 0);
    }
    if (HasFailure() && !folder_.empty()) {
      std::ifstream log(folder_ + "/envoy.log");
      std::string line;
      while (std::getline(log, line)) std::fprintf(stderr, "envoy: %s\n", line.c_str());
    }
    server_.reset();
    backend_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  void StartEnvoy(const std::string& binary, const std::string& ca) {
    ::envoy::config::bootstrap::v3::Bootstrap bootstrap;
    bootstrap.mutable_node()->set_id("default.web");
    bootstrap.mutable_node()->set_cluster("web");
    SetAddress(*bootstrap.mutable_admin()->mutable_address(), 0);
    const auto use_control_plane = [](core::ApiConfigSource& source,
                                      core::ApiConfigSource::ApiType type) {
      source.set_api_type(type);
      source.set_transport_api_version(core::ApiVersion::V3);
      auto& grpc = *source.add_grpc_services();
      grpc.mutable_envoy_grpc()->set_cluster_name("control_plane");
      auto& token = *grpc.add_initial_metadata();
      token.set_key("authorization");
      token.set_value("good");
    };
    auto& dynamic = *bootstrap.mutable_dynamic_resources();
    use_control_plane(*dynamic.mutable_ads_config(), core::ApiConfigSource::DELTA_GRPC);
    use_control_plane(*bootstrap.mutable_hds_config(), core::ApiConfigSource::GRPC);
    for (core::ConfigSource* source :
         {dynamic.mutable_cds_config(), dynamic.mutable_lds_config()}) {
      source->mutable_ads();
      source->set_resource_api_version(core::ApiVersion::V3);
    }
    auto& cluster = *bootstrap.mutable_static_resources()->add_clusters();
    cluster.set_name("control_plane");
    cluster.set_type(::envoy::config::cluster::v3::Cluster::STATIC);
    cluster.mutable_connect_timeout()->set_seconds(1);
    cluster.mutable_load_assignment()->set_cluster_name("control_plane");
    SetAddress(*cluster.mutable_load_assignment()
                    ->add_endpoints()
                    ->add_lb_endpoints()
                    ->mutable_endpoint()
                    ->mutable_address(),
               server_->port());
    ::envoy::extensions::upstreams::http::v3::HttpProtocolOptions http2;
    http2.mutable_explicit_http_config()->mutable_http2_protocol_options();
    (*cluster.mutable_typed_extension_protocol_options())
        ["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
            .PackFrom(http2);
    ::envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext tls;
    tls.set_sni("localhost");
    tls.mutable_common_tls_context()
        ->mutable_validation_context()
        ->mutable_trusted_ca()
        ->set_inline_string(ca);
    cluster.mutable_transport_socket()->set_name("envoy.transport_sockets.tls");
    cluster.mutable_transport_socket()->mutable_typed_config()->PackFrom(tls);

    std::string json;
    ASSERT_TRUE(google::protobuf::util::MessageToJsonString(bootstrap, &json).ok());
    std::ofstream(folder_ + "/bootstrap.json") << json;

    const std::vector<std::string> words = {binary,
                                            "-c",
                                            folder_ + "/bootstrap.json",
                                            "--admin-address-path",
                                            folder_ + "/admin",
                                            "--use-dynamic-base-id",
                                            "--concurrency",
                                            "1",
                                            "--drain-time-s",
                                            "1",
                                            "--log-level",
                                            "warn"};
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const std::string log = folder_ + "/envoy.log";
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    ASSERT_EQ(posix_spawn(&envoy_, binary.c_str(), &actions, nullptr, arguments.data(), environ),
              0);
    posix_spawn_file_actions_destroy(&actions);
  }

  // Until the condition holds or the deadline has passed.
  static bool Eventually(const std::function<bool()>& condition) {
    for (const auto deadline = std::chrono::steady_clock::now() + 30s;
         std::chrono::steady_clock::now() < deadline;) {
      if (condition()) return true;
      std::this_thread::sleep_for(20ms);
    }
    return false;
  }

  std::string Get(const std::string& address, const std::string& path) {
    auto request = net::MakeRequest("GET", "http://" + address + path);
    if (!request) return "";
    net::ClientOptions options;
    options.request_timeout = 2s;
    const auto response = net::Fetch(std::move(*request), options);
    return response && response->status == 200 ? response->body : "";
  }
  std::string Admin(const std::string& path) {
    std::string address;
    std::ifstream(folder_ + "/admin") >> address;
    return Get(address, path);
  }
  // "127.0.0.1:41234", once Envoy listens.
  std::string AddressOf(const std::string& listener) {
    for (const std::string& line : base::Split(Admin("/listeners"), '\n')) {
      if (line.starts_with(listener + "::")) return line.substr(listener.size() + 2);
    }
    return "";
  }

  void Publish(std::vector<SealedPtr> resources) {
    auto made = std::make_shared<bundle::XdsBundle>();
    made->revision = {++revision_};
    for (const XdsType type : bundle::kAllXdsTypes) {
      std::vector<SealedPtr> list;
      for (const SealedPtr& resource : resources) {
        if (resource->type == type) list.push_back(resource);
      }
      made->resources[static_cast<size_t>(type)] = bundle::MakeList(std::move(list));
    }
    hub_.Publish({"default", "web"}, made);
  }

  runtime::SystemClock clock_;
  Events events_;
  runtime::ThreadExecutor executor_{"events"};
  net::EventLoops loops_{2};
  Hub hub_{
      {.loops = {&loops_.at(0), &loops_.at(1)},
       .clock = &clock_,
       .session = {.removal_delay = 2s, .retry_after = 0s},
       .subscribers = {{&executor_, [this](const ProxyEvent& event) { events_.Add(event); }}}}};
  std::unique_ptr<AdsService> service_;
  std::unique_ptr<net::Server> server_, backend_;
  std::string folder_;
  pid_t envoy_ = 0;
  uint64_t revision_ = 0;
  std::atomic<int> health_streams_{0};
};

TEST_F(RealEnvoyTest, FollowsBundles) {
  const uint16_t port = backend_->port();
  // Clusters, endpoints, listeners; a request passes.
  Publish({EdsCluster("web", 100), Endpoints("web", port), Listener("in", "web")});
  ASSERT_TRUE(events_.WaitInStep(1));
  std::string address;
  ASSERT_TRUE(Eventually([&] { return !(address = AddressOf("in")).empty(); }));
  EXPECT_TRUE(Eventually([&] { return Get(address, "/") == "hello"; }));
  EXPECT_TRUE(events_.Wait([](const Events& events) { return events.version_.starts_with("1."); }));

  // A changed cluster becomes active, because its endpoints are sent again.
  Publish({EdsCluster("web", 200), Endpoints("web", port), Listener("in", "web")});
  ASSERT_TRUE(events_.WaitInStep(2));
  EXPECT_TRUE(Eventually([&] {
    return Admin("/stats?filter=warming_clusters").find("cluster_manager.warming_clusters: 0") !=
           std::string::npos;
  }));
  EXPECT_NE(Admin("/config_dump?resource=dynamic_active_clusters").find("0.200s"),
            std::string::npos);
  EXPECT_TRUE(events_.TakeNacks().empty());

  // A listener that Envoy refuses is named and left out; what came with it is in force.
  Publish({EdsCluster("web", 200), EdsCluster("more", 100), Endpoints("web", port),
           Endpoints("more", port), Listener("in", "web"), Listener("more", "more"),
           BadListener("bad")});
  ASSERT_TRUE(events_.WaitInStep(3));
  std::vector<NackEvent> nacks = events_.TakeNacks();
  ASSERT_EQ(nacks.size(), 1u);
  EXPECT_TRUE(nacks[0].culprits_known) << nacks[0].detail;
  ASSERT_EQ(nacks[0].rejected.size(), 1u) << nacks[0].detail;
  EXPECT_EQ(nacks[0].rejected[0]->name, "bad");
  EXPECT_TRUE(Eventually([&] { return !(address = AddressOf("more")).empty(); }));
  EXPECT_EQ(Get(address, "/"), "hello");

  // A cluster that breaks the schema takes its whole response down; it is found all the same.
  Publish({EdsCluster("web", 300), EdsCluster("more", 300), InvalidCluster("wrong"),
           Endpoints("web", port), Endpoints("more", port), Listener("in", "web"),
           Listener("more", "more")});
  ASSERT_TRUE(events_.WaitInStep(4));
  nacks = events_.TakeNacks();
  ASSERT_FALSE(nacks.empty());
  RecordProperty("nack", nacks[0].detail);
  ASSERT_EQ(nacks.back().rejected.size(), 1u) << nacks.back().detail;
  EXPECT_EQ(nacks.back().rejected[0]->name, "wrong");
  EXPECT_EQ(nacks.size(), 1u) << nacks[0].detail;
  EXPECT_NE(Admin("/config_dump?resource=dynamic_active_clusters").find("0.300s"),
            std::string::npos);

  // A reconnect costs nothing: Envoy names its versions, and there is nothing to acknowledge.
  Publish({EdsCluster("web", 300), EdsCluster("more", 300), Endpoints("web", port),
           Endpoints("more", port), Listener("in", "web"), Listener("more", "more")});
  ASSERT_TRUE(events_.WaitInStep(5));
  const int acks = events_.acks_;
  hub_.End({"default", "web"}, base::Unavailable("test"));
  Publish({EdsCluster("web", 300), EdsCluster("more", 300), Endpoints("web", port),
           Endpoints("more", port), Listener("in", "web"), Listener("more", "more")});
  ASSERT_TRUE(events_.Wait([](const Events& events) { return events.connected_ == 2; }));
  ASSERT_TRUE(events_.WaitInStep(6));
  EXPECT_EQ(events_.acks_, acks);

  // What is gone from the bundle leaves Envoy, clusters after the delay.
  Publish({EdsCluster("web", 300), Endpoints("web", port), Listener("in", "web")});
  ASSERT_TRUE(events_.WaitInStep(7));
  EXPECT_TRUE(Eventually([&] { return AddressOf("more").empty(); }));
  EXPECT_NE(Admin("/clusters").find("more::"), std::string::npos);
  EXPECT_TRUE(Eventually([&] { return Admin("/clusters").find("more::") == std::string::npos; }));
  EXPECT_NE(Admin("/clusters").find("web::"), std::string::npos);
  EXPECT_EQ(Get(AddressOf("in"), "/"), "hello");
  EXPECT_TRUE(events_.TakeNacks().empty());
  EXPECT_EQ(health_streams_.load(), 1);  // answered, so that Envoy does not ask again and again
}

}  // namespace
}  // namespace kuma::xds

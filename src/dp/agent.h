#pragma once

// The life of one sidecar, from the bootstrap request to the end of Envoy.
//
//   kBootstrap --200--> kRunning --signal--> kDraining --idle or deadline--> kStopping --Envoy
//   ends--> kDone
//       |  ^ retry          |                    | second signal                ^
//       |  +--3s--          +----Envoy ends------+------------------------------+--> kDone
//       +--refused, too late, signal--> kDone
//
// On the first signal the control plane is told (POST /drain), so that every other proxy loses this
// endpoint before a listener closes; then Envoy drains its inbound listeners; then it is stopped.
// When the control plane confirmed, the wait ends as soon as no inbound connection is left, else it
// lasts for the whole drain time.

#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "dp/access_log.h"
#include "dp/bootstrap.h"
#include "dp/dns_proxy.h"
#include "dp/dynamic_config.h"
#include "dp/otel_env.h"
#include "dp/otel_receiver.h"
#include "dp/process.h"
#include "net/client.h"
#include "net/event_loop.h"

namespace kuma::dp {

struct AgentOptions {
  Settings settings;
  Environment environment;
  Proxy proxy;
  std::string envoy_path;
  EnvoyVersion envoy_version;
  std::string envoy_log_level = "info";
  std::string work_folder;
  uint16_t readiness_port = 0;
};

// Confined to the loop, destruction included.
class Agent {
 public:
  // `loops` is one loop. `done` is called once, on it, with the exit code of kuma-dp.
  Agent(net::EventLoops& loops, AgentOptions options, std::function<void(int)> done);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  void Start();
  // SIGTERM or SIGINT.
  void OnSignal();
  // Answers GET /ready: READY, NOT_READY or TERMINATING.
  void AnswerReady(const net::HttpResponder& responder);

 private:
  enum class Stage { kBootstrap, kRunning, kDraining, kStopping, kDone };
  using Answer = base::Result<net::HttpResponse>;

  void Bootstrap();
  base::Status SendBootstrap();
  void OnBootstrapAnswer(const Answer& answer);
  void RetryBootstrap(const std::string& reason);
  base::Status StartEnvoy(const std::string& bootstrap);
  base::Status StartDns();
  void StartDynamicConfig();
  bool WaitsForDns() const;
  void OnEnvoyEnd();

  void LeaveMesh();
  void DrainListeners();
  void WaitForIdle();
  void StopEnvoy(std::string_view reason);

  void CallControlPlane(std::string_view path, std::string body, net::HttpClient::Done done);
  void CallAdmin(std::string_view method, std::string_view target, net::HttpClient::Done done);
  void Fail(const std::string& message);
  void Finish(int code);

  class ChildWatcher;

  net::EventLoops& loops_;
  net::EventLoop& loop_;
  const AgentOptions options_;
  const OtelEnvironment otel_environment_;
  std::function<void(int)> done_;
  base::Logger log_{"kuma-dp"};
  Stage stage_ = Stage::kBootstrap;
  runtime::Timer timer_;

  runtime::Time started_;
  bool asked_ = false;  // at least one request was sent
  std::string last_reason_;
  TrustedCa ca_;
  std::unique_ptr<net::HttpClient> cp_client_;

  std::optional<AdminAddress> admin_;
  std::unique_ptr<net::HttpClient> admin_client_;
  std::unique_ptr<AccessLogForwarder> access_log_;
  std::unique_ptr<DnsProxy> dns_;       // null: off
  std::unique_ptr<OtelReceiver> otel_;  // null: off
  std::unique_ptr<DynamicConfig> dynamic_config_;
  runtime::Time envoy_started_{};
  Child envoy_;
  std::unique_ptr<ChildWatcher> envoy_watcher_;
  std::unique_ptr<LineCopier> envoy_out_, envoy_err_;

  runtime::Time drain_deadline_;
  bool left_mesh_ = false;  // the control plane removed our endpoints everywhere
  int idle_polls_ = 0;
};

}  // namespace kuma::dp

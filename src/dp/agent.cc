#include "dp/agent.h"

#include <malloc.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/format.h"
#include "base/strings.h"
#include "dp/files.h"

namespace kuma::dp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kRequestTime = seconds(15);  // one bootstrap request
constexpr auto kLeaveTime = seconds(5);     // POST /drain
constexpr auto kAdminTime = seconds(3);
constexpr auto kPropagation =
    milliseconds(500);  // for requests on their way while the endpoint was removed
constexpr auto kPollTime = milliseconds(200);
constexpr int kIdlePolls = 3;
constexpr auto kStopTime = seconds(5);  // from SIGTERM to SIGKILL
constexpr auto kDnsTime = seconds(15);  // until workloads may ask for names

net::HttpResponse Plain(int status, std::string body) {
  net::HttpResponse response;
  response.status = status;
  response.headers.Set("content-type", "text/plain; charset=utf-8");
  response.body = std::move(body);
  return response;
}

// Repeating the same request cannot help.
bool IsRefusal(int status) {
  return status == 400 || status == 401 || status == 403 || status == 422;
}

// Where the control plane finds collectors that are named by their port alone.
std::optional<model::Object> HostMetadata(const std::string& host_ip) {
  if (host_ip.empty()) return std::nullopt;
  return model::Object{{"HOST_IP", host_ip}};
}

int64_t WholeSeconds(model::Duration duration) {
  return std::max<int64_t>(1, std::chrono::duration_cast<seconds>(duration.value).count());
}

}  // namespace

class Agent::ChildWatcher final : public net::FdWatcher {
 public:
  explicit ChildWatcher(Agent& agent) : agent_(agent) {}
  void OnReady(uint32_t) override { agent_.OnEnvoyEnd(); }

 private:
  Agent& agent_;
};

Agent::Agent(net::EventLoops& loops, AgentOptions options, std::function<void(int)> done)
    : loops_(loops),
      loop_(loops.at(0)),
      options_(std::move(options)),
      otel_environment_(ReadOtelEnvironment(options_.environment)),
      done_(std::move(done)) {}

Agent::~Agent() {
  if (stage_ != Stage::kDone && envoy_.pid > 0) kill(envoy_.pid, SIGKILL);
}

void Agent::Start() {
  started_ = loop_.Now();
  for (const std::string& note : options_.proxy.notes) log_.Info(note);
  log_.Info("asking the control plane for Envoy's configuration",
            {{"url", options_.settings.cp_url},
             {"mesh", options_.proxy.mesh},
             {"name", options_.proxy.name}});
  const std::vector<std::string> faulty = FaultyOtelVariables(otel_environment_);
  if (options_.settings.otel_pipe && !faulty.empty())
    log_.Warn("variables of OpenTelemetry without effect: their values are not usable",
              {{"variables", base::Join(faulty, ", ")}});
  Bootstrap();
}

void Agent::Bootstrap() {
  if (stage_ != Stage::kBootstrap) return;
  if (auto status = SendBootstrap(); !status.has_value()) {
    // A file that is missing from the start is a mistake; one that is being replaced comes back.
    if (asked_ && status.error().code() == base::Code::kNotFound)
      return RetryBootstrap(status.error().message());
    Fail(status.error().message());
  }
}

base::Status Agent::SendBootstrap() {
  const Settings& settings = options_.settings;
  // Token and certificate are read for each attempt: somebody may be putting them there.
  TRY_ASSIGN(std::string token, LoadToken(settings));
  TRY_ASSIGN(ca_, FindCa(settings, options_.environment));
  BootstrapInput input{
      .proxy = options_.proxy,
      .token = std::move(token),
      .token_path = settings.token_path,
      .ca_cert = ca_.pem,
      .envoy = options_.envoy_version,
      .readiness_port = options_.readiness_port,
      .work_folder = options_.work_folder,
      .features = Features(settings),
      .dynamic_metadata = HostMetadata(otel_environment_.host_ip),
      .otel_env = OtelInventory(otel_environment_, settings.otel_pipe),
      .max_heap_bytes = settings.max_memory_bytes > 0 ? settings.max_memory_bytes : MemoryLimit(),
      .system_ca_path = settings.system_ca_path.empty() ? FindSystemCa() : settings.system_ca_path};
  net::ClientOptions options;
  options.tls.ca_pem = ca_.pem;
  options.tls.skip_verify = settings.skip_verify;
  options.connect_timeout = seconds(5);
  options.request_timeout = kRequestTime;
  options.http2 = false;
  cp_client_ = std::make_unique<net::HttpClient>(loop_, std::move(options));
  asked_ = true;
  CallControlPlane("/bootstrap", model::ToJson(BootstrapRequest(settings, input)),
                   [this](Answer answer) { OnBootstrapAnswer(answer); });
  return base::Ok{};
}

void Agent::CallControlPlane(std::string_view path, std::string body, net::HttpClient::Done done) {
  std::string url = options_.settings.cp_url;
  while (url.ends_with('/')) url.pop_back();
  auto request = net::MakeRequest("POST", url + std::string(path));
  if (!request.has_value()) return done(std::move(request).error());
  request->headers.Set("content-type", "application/json");
  request->headers.Set("accept", "application/json");
  request->body = std::move(body);
  cp_client_->Send(*std::move(request), std::move(done));
}

void Agent::OnBootstrapAnswer(const Answer& answer) {
  if (stage_ != Stage::kBootstrap) return;
  if (!answer.has_value()) {
    std::string reason = answer.error().message();
    if (reason.find("certificate") != std::string::npos) {
      reason += base::Format(
          ". The control plane's certificate was checked against {}; the file of its CA is named "
          "by {} (on the control "
          "plane's host a self-made one lies at {})",
          ca_.source, HowToSet("controlPlane.caCertFile"), DefaultCaFile(options_.environment));
    }
    return RetryBootstrap(reason);
  }
  if (answer->status != 200) {
    const std::string refusal = RefusalText(*answer);
    if (!IsRefusal(answer->status)) return RetryBootstrap(refusal);
    std::string message =
        base::Format("the control plane {} refused Dataplane \"{}\" of mesh \"{}\": {}",
                     options_.settings.cp_url, options_.proxy.name, options_.proxy.mesh, refusal);
    if (refusal.find("token") != std::string::npos &&
        refusal.find("kumactl") == std::string::npos) {
      message += base::Format(
          ". Make the right token with: kumactl generate dataplane-token --mesh {} --name {} "
          "--valid-for 720h > token; "
          "and pass it with --dataplane-token-file token",
          options_.proxy.mesh, options_.proxy.name);
    }
    return Fail(message);
  }
  auto bootstrap = ReadBootstrapReply(*answer);
  if (!bootstrap.has_value()) return RetryBootstrap(bootstrap.error().message());
  if (auto status = StartEnvoy(*bootstrap); !status.has_value()) Fail(status.error().message());
}

void Agent::RetryBootstrap(const std::string& reason) {
  const Settings& settings = options_.settings;
  if (loop_.Now() - started_ + settings.retry_backoff.value > settings.retry_max.value) {
    return Fail(base::Format("no configuration from the control plane within {}: {}",
                             model::ToString(settings.retry_max), reason));
  }
  if (reason != last_reason_) {
    log_.Warn("no configuration yet, trying again",
              {{"every", model::ToString(settings.retry_backoff)}, {"reason", reason}});
    last_reason_ = reason;
  }
  timer_ = loop_.PostAfter(settings.retry_backoff.value, [this] { Bootstrap(); });
}

base::Status Agent::StartEnvoy(const std::string& bootstrap) {
  const Settings& settings = options_.settings;
  TRY_ASSIGN(admin_, FindAdmin(bootstrap));
  TRY_ASSIGN(access_log_, AccessLogForwarder::Open(
                              loop_, SocketPath(options_.work_folder,
                                                base::Format("kuma-al-{}-{}", options_.proxy.name,
                                                             options_.proxy.mesh))));
  TRY(StartDns());
  StartDynamicConfig();
  const std::string file = options_.work_folder + "/bootstrap.yaml";
  TRY(WriteFile(file, WithAnchoredStatsTags(bootstrap)));
  std::vector<std::string> arguments = {
      "--config-path",         file,
      "--drain-time-s",        base::Format("{}", WholeSeconds(settings.drain_time)),
      "--drain-strategy",      "immediate",
      "--disable-hot-restart", "--log-level",
      options_.envoy_log_level};
  if (!settings.envoy_component_log_level.empty()) {
    arguments.insert(arguments.end(),
                     {"--component-log-level", settings.envoy_component_log_level});
  }
  if (settings.concurrency > 0) {
    arguments.insert(arguments.end(), {"--concurrency", base::Format("{}", settings.concurrency)});
  } else {
    arguments.emplace_back("--cpuset-threads");
  }
  TRY_ASSIGN(envoy_, StartChild(options_.envoy_path, arguments));
  stage_ = Stage::kRunning;
  envoy_started_ = loop_.Now();
  envoy_out_ = std::make_unique<LineCopier>(loop_, envoy_.out, STDOUT_FILENO);
  envoy_err_ = std::make_unique<LineCopier>(loop_, envoy_.err, STDERR_FILENO);
  envoy_watcher_ = std::make_unique<ChildWatcher>(*this);
  loop_.Watch(envoy_.pid_fd, EPOLLIN, *envoy_watcher_);
  if (admin_) {
    net::ClientOptions options;
    options.unix_socket = admin_->unix_socket;
    options.http2 = false;
    options.connect_timeout = kAdminTime;
    options.request_timeout = kAdminTime;
    admin_client_ = std::make_unique<net::HttpClient>(loop_, std::move(options));
  }
  std::string admin = "none";
  if (admin_) {
    admin = admin_->unix_socket.empty() ? base::Format("{}:{}", admin_->host, admin_->port)
                                        : admin_->unix_socket;
  }
  log_.Info("started Envoy", {{"pid", envoy_.pid},
                              {"version", options_.envoy_version.version},
                              {"admin", admin},
                              {"readiness_port", options_.readiness_port},
                              {"bootstrap", file}});
  malloc_trim(0);
  return base::Ok{};
}

base::Status Agent::StartDns() {
  const Settings& settings = options_.settings;
  if (!settings.dns_enabled) return base::Ok{};
  DnsProxy::Options options;
  options.listen.port = static_cast<uint16_t>(settings.dns_port);
  options.ipv6 = settings.ipv6_enabled;
  const auto resolv_conf = ReadFile("/etc/resolv.conf");
  if (resolv_conf.has_value()) options.others.host = FirstNameserver(*resolv_conf);
  auto started = DnsProxy::Start(loop_, options);
  if (!started.has_value()) {
    // Another sidecar of this host has it. Only who redirects traffic needs one.
    if (!options_.proxy.transparent && !settings.IsGiven("dns.proxyPort")) {
      log_.Info("no DNS proxy: its port is taken, and traffic is not redirected",
                {{"reason", started.error().message()}, {"set_by", HowToSet("dns.proxyPort")}});
      return base::Ok{};
    }
    return std::move(started).error().Context(
        base::Format("the DNS proxy ({})", HowToSet("dns.proxyPort")));
  }
  dns_ = *std::move(started);
  log_.Info("started the DNS proxy",
            {{"port", dns_->port()},
             {"other_names", options.others.host.empty() ? "none" : options.others.host}});
  return base::Ok{};
}

void Agent::StartDynamicConfig() {
  const Settings& settings = options_.settings;
  if (dns_ == nullptr && !settings.otel_pipe) return;
  dynamic_config_ = std::make_unique<DynamicConfig>(
      loop_, SocketPath(options_.work_folder, "kuma-mesh-metric-config"),
      settings.refresh_interval.value);
  if (dns_ != nullptr) {
    dynamic_config_->Add("/dns", [this](std::string_view body) -> base::Status {
      if (body.empty()) return base::Ok{};  // the last names are better than none
      TRY_ASSIGN(DnsTable table, ParseDnsTable(body));
      dns_->SetTable(std::move(table));
      return base::Ok{};
    });
  }
  if (settings.otel_pipe) {
    otel_ = std::make_unique<OtelReceiver>(loops_, otel_environment_);
    dynamic_config_->Add("/otel", [this](std::string_view body) { return otel_->Apply(body); });
  }
  dynamic_config_->Start();
}

// Names are needed from the first request on; but a control plane that does not send any does not
// keep the workload from its work.
bool Agent::WaitsForDns() const {
  return dns_ != nullptr && options_.proxy.transparent && !dns_->has_table() &&
         loop_.Now() < envoy_started_ + kDnsTime;
}

void Agent::OnEnvoyEnd() {
  int status = 0;
  if (waitpid(envoy_.pid, &status, WNOHANG) != envoy_.pid) return;
  loop_.Unwatch(envoy_.pid_fd, *envoy_watcher_);
  close(envoy_.pid_fd);
  envoy_.pid = -1;
  envoy_out_->Close();
  envoy_err_->Close();
  access_log_->ReadAll();
  const int code = ExitCode(status);
  if (stage_ == Stage::kRunning) {
    log_.Error("Envoy ended by itself", {{"code", code}});
    return Finish(code);
  }
  log_.Info("Envoy ended", {{"code", code}});
  Finish(0);
}

void Agent::OnSignal() {
  switch (stage_) {
    case Stage::kBootstrap: log_.Info("stopped before Envoy was started"); return Finish(0);
    case Stage::kRunning: return LeaveMesh();
    case Stage::kDraining: return StopEnvoy("second signal");
    case Stage::kStopping:
      if (envoy_.pid > 0) kill(envoy_.pid, SIGKILL);
      return;
    case Stage::kDone: return;
  }
}

void Agent::LeaveMesh() {
  stage_ = Stage::kDraining;
  drain_deadline_ = loop_.Now() + options_.settings.drain_time.value;
  log_.Info("stopping: draining connections; a second signal stops at once",
            {{"drain_time", model::ToString(options_.settings.drain_time)}});
  const auto token = LoadToken(options_.settings);
  net::ClientOptions options;
  options.tls.ca_pem = ca_.pem;
  options.tls.skip_verify = options_.settings.skip_verify;
  options.connect_timeout = kAdminTime;
  options.request_timeout = kLeaveTime;
  options.http2 = false;
  cp_client_ = std::make_unique<net::HttpClient>(loop_, std::move(options));
  const model::Object body{{"mesh", options_.proxy.mesh},
                           {"name", options_.proxy.name},
                           {"dataplaneToken", token.has_value() ? *token : ""}};
  CallControlPlane("/drain", model::ToJson(body), [this](Answer answer) {
    if (stage_ != Stage::kDraining) return;
    left_mesh_ = answer.has_value() && answer->status == 200;
    if (left_mesh_) {
      log_.Info("the control plane removed this endpoint from the other proxies");
    } else {
      // Kuma's own control plane answers 404: it has no such request.
      log_.Info("the other proxies learn from Envoy that this endpoint leaves",
                {{"reason", answer.has_value() ? RefusalText(*answer) : answer.error().message()}});
    }
    timer_ = loop_.PostAfter(left_mesh_ ? runtime::Duration(kPropagation) : runtime::Duration(0),
                             [this] { DrainListeners(); });
  });
}

void Agent::DrainListeners() {
  if (stage_ != Stage::kDraining) return;
  if (!admin_) return StopEnvoy("Envoy has no admin server to drain it by");
  CallAdmin("POST", "/healthcheck/fail", [this](Answer first) {
    if (stage_ != Stage::kDraining) return;
    if (!first.has_value())
      log_.Warn("Envoy did not take /healthcheck/fail", {{"reason", first.error().message()}});
    CallAdmin("POST", "/drain_listeners?inboundonly&graceful&skip_exit", [this](Answer second) {
      if (stage_ != Stage::kDraining) return;
      if (!second.has_value())
        log_.Warn("Envoy does not drain", {{"reason", second.error().message()}});
      if (left_mesh_) return WaitForIdle();
      timer_ = loop_.PostAfter(std::max(drain_deadline_ - loop_.Now(), runtime::Duration(0)),
                               [this] { StopEnvoy("the drain time is over"); });
    });
  });
}

void Agent::WaitForIdle() {
  if (stage_ != Stage::kDraining) return;
  if (loop_.Now() >= drain_deadline_) return StopEnvoy("the drain time is over");
  CallAdmin("GET", "/stats?filter=downstream_cx_active$", [this](Answer answer) {
    if (stage_ != Stage::kDraining) return;
    const bool idle =
        answer.has_value() && answer->status == 200 && CountInboundConnections(answer->body) == 0;
    idle_polls_ = idle ? idle_polls_ + 1 : 0;
    if (idle_polls_ >= kIdlePolls) return StopEnvoy("no inbound connection is left");
    timer_ = loop_.PostAfter(kPollTime, [this] { WaitForIdle(); });
  });
}

void Agent::StopEnvoy(std::string_view reason) {
  stage_ = Stage::kStopping;
  log_.Info("stopping Envoy", {{"reason", reason}});
  if (envoy_.pid <= 0) return Finish(0);
  kill(envoy_.pid, SIGTERM);
  timer_ = loop_.PostAfter(kStopTime, [this] {
    if (envoy_.pid <= 0) return;
    log_.Warn("Envoy does not end: killing it");
    kill(envoy_.pid, SIGKILL);
  });
}

void Agent::CallAdmin(std::string_view method, std::string_view target,
                      net::HttpClient::Done done) {
  std::string origin = "http://localhost";
  if (admin_->unix_socket.empty()) {
    origin = "http://" + net::Address{.host = admin_->host, .port = admin_->port}.ToString();
  }
  auto request = net::MakeRequest(std::string(method), origin + std::string(target));
  if (!request.has_value()) return done(std::move(request).error());
  admin_client_->Send(*std::move(request), std::move(done));
}

void Agent::AnswerReady(const net::HttpResponder& responder) {
  if (stage_ != Stage::kRunning && stage_ != Stage::kBootstrap)
    return responder.Send(Plain(503, "TERMINATING"));
  if (WaitsForDns()) return responder.Send(Plain(503, "NOT_READY"));
  if (stage_ == Stage::kBootstrap || !admin_) {
    return responder.Send(stage_ == Stage::kRunning ? Plain(200, "READY")
                                                    : Plain(503, "NOT_READY"));
  }
  CallAdmin("GET", "/ready", [this, responder](Answer answer) {
    if (!answer.has_value()) return responder.Send(Plain(503, "NOT_READY"));
    if (!admin_->unix_socket.empty())
      return responder.Send(Plain(answer->status, std::move(answer->body)));
    responder.Send(answer->status == 200 ? Plain(200, "READY") : Plain(503, "NOT_READY"));
  });
}

void Agent::Fail(const std::string& message) {
  std::fprintf(stderr, "Error: %s\n", message.c_str());
  Finish(1);
}

void Agent::Finish(int code) {
  if (stage_ == Stage::kDone) return;
  stage_ = Stage::kDone;
  timer_.Cancel();
  // Not from here: this may be a callback of what the owner destroys next.
  loop_.Post([done = std::move(done_), code] { done(code); });
}

}  // namespace kuma::dp

#include "dp/kuma_dp.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <future>
#include <iostream>
#include <iterator>

#include "base/format.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/version.h"
#include "dp/agent.h"
#include "dp/files.h"
#include "dp/transparent_proxy.h"
#include "net/server.h"

namespace kuma::dp {
namespace {

int PrintError(const std::string& message) {
  std::fprintf(stderr, "Error: %s\n", message.c_str());
  return 1;
}

// Flags that are no settings.
struct ProgramFlags {
  std::string config_file;
  std::string log_level = "info";
  std::string log_output_path;
  std::string ignored;  // --log-max-size and the like: a log file is rotated from outside
  bool detailed = false;
};

base::Status SetLogging(const ProgramFlags& flags) {
  if (flags.log_level == "off") {
    base::SetLogLevel(base::LogLevel::kOff);
  } else if (flags.log_level == "debug") {
    base::SetLogLevel(base::LogLevel::kDebug);
  } else if (flags.log_level != "info") {
    return base::Invalid(
        base::Format("unknown log level \"{}\": it is off, info or debug", flags.log_level));
  }
  if (flags.log_output_path.empty()) return base::Ok{};
  const int fd =
      open(flags.log_output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) {
    return base::Invalid(base::Format("open {} (--log-output-path): {}", flags.log_output_path,
                                      std::strerror(errno)));
  }
  dup2(fd, STDOUT_FILENO);
  dup2(fd, STDERR_FILENO);
  close(fd);
  return base::Ok{};
}

// SIGTERM and SIGINT as a descriptor on the loop.
class SignalWatcher final : public net::FdWatcher {
 public:
  explicit SignalWatcher(const sigset_t& signals)
      : fd_(signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC)) {}
  ~SignalWatcher() { close(fd_); }
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

  void Start(net::EventLoop& loop, std::function<void()> on_signal) {
    on_signal_ = std::move(on_signal);
    loop.Watch(fd_, EPOLLIN, *this);
  }
  void Stop(net::EventLoop& loop) { loop.Unwatch(fd_, *this); }
  void OnReady(uint32_t) override {
    signalfd_siginfo signal;
    while (read(fd_, &signal, sizeof signal) == static_cast<ssize_t>(sizeof signal)) on_signal_();
  }

 private:
  int fd_;
  std::function<void()> on_signal_;
};

base::Result<std::unique_ptr<net::Server>> StartReadiness(net::EventLoops& loops,
                                                          const Settings& settings,
                                                          const Environment& environment,
                                                          net::HttpHandler handler) {
  net::ServerOptions options;
  options.name = "readiness";
  // The kubelet asks from outside of the pod.
  options.address = environment("POD_NAME") ? "" : "127.0.0.1";
  options.port = static_cast<uint16_t>(settings.readiness_port);
  options.limits.connections = 64;
  options.limits.idle_time = std::chrono::seconds(10);
  auto server = net::Server::Start(loops, options, handler);
  if (server.has_value()) return server;
  if (settings.IsGiven("dataplane.readinessPort")) {
    return std::move(server).error().Context(
        base::Format("the readiness port ({})", HowToSet("dataplane.readinessPort")));
  }
  options.port = FindFreePort("127.0.0.1", {});
  base::Logger("kuma-dp").Info("the default readiness port is taken: chose a free one",
                               {{"taken", settings.readiness_port},
                                {"port", options.port},
                                {"set_by", HowToSet("dataplane.readinessPort")}});
  return net::Server::Start(loops, options, std::move(handler));
}

base::Result<int> RunProxy(const Settings& settings, const Environment& environment,
                           std::string envoy_log_level) {
  AgentOptions options{.settings = settings,
                       .environment = environment,
                       .proxy = {},
                       .envoy_path = "",
                       .envoy_version = {},
                       .envoy_log_level = std::move(envoy_log_level),
                       .work_folder = "",
                       .readiness_port = 0};
  TRY_ASSIGN(options.proxy, LoadProxy(settings, environment, FindFreePort));
  TRY_ASSIGN(
      auto redirection, LoadTransparentProxy(settings, [] {
        return base::Result<std::string>(std::string(std::istreambuf_iterator<char>(std::cin), {}));
      }));
  if (redirection) {
    options.proxy.transparent = true;
    options.proxy.transparent_proxy = *std::move(redirection);
  }
  auto envoy = FindProgram(settings.binary_path, environment("PATH").value_or(""));
  if (!envoy.has_value()) {
    return std::move(envoy).error().Context(
        base::Format("Envoy was not found ({})", HowToSet("dataplaneRuntime.binaryPath")));
  }
  options.envoy_path = *envoy;

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  TRY_ASSIGN(const std::string version, RunForOutput(*envoy, {"--version"}));
  auto parsed = ParseEnvoyVersion(version);
  if (!parsed.has_value())
    return std::move(parsed).error().Context(base::Format("{} is not Envoy", *envoy));
  options.envoy_version = *std::move(parsed);
  if (!options.envoy_version.compatible) {
    base::Logger("kuma-dp").Warn("this version of Envoy is too old for some features",
                                 {{"version", options.envoy_version.version}});
  }
  TRY_ASSIGN(const WorkFolder folder, WorkFolder::Make(settings.work_dir));
  options.work_folder = folder.path();

  // Everything below lives on this one loop; the server and the agent end before it.
  net::EventLoops loops(1, "kuma-dp");
  net::EventLoop& loop = loops.at(0);
  std::unique_ptr<Agent> agent;
  std::promise<int> code;
  TRY_ASSIGN(const auto readiness,
             StartReadiness(
                 loops, settings, environment,
                 [&agent](const net::HttpRequest& request, const net::HttpResponder& responder) {
                   if (request.path == "/ready" && agent != nullptr)
                     return agent->AnswerReady(responder);
                   net::HttpResponse response;
                   response.status = request.path == "/ready" ? 503 : 404;
                   responder.Send(std::move(response));
                 }));
  options.readiness_port = readiness->port();
  SignalWatcher signal_watcher(signals);
  loop.RunAndWait([&] {
    agent = std::make_unique<Agent>(loops, std::move(options),
                                    [&code](int result) { code.set_value(result); });
    signal_watcher.Start(loop, [&agent] { agent->OnSignal(); });
    agent->Start();
  });
  const int result = code.get_future().get();
  loop.RunAndWait([&] {
    signal_watcher.Stop(loop);
    agent.reset();
  });
  return result;
}

void PrintVersion(bool detailed) {
  const base::BuildVersion& own = base::Version();
  const auto print = [](const std::string& text) { std::fputs(text.c_str(), stdout); };
  if (!detailed) return print(base::Format("{}: {}\n", own.product, own.version));
  print(
      base::Format("Product:       {}\nVersion:       {}\nGit Tag:       {}\nGit Commit:    "
                   "{}\nBuild Date:    {}\n",
                   own.product, own.version, own.git_tag, own.git_commit, own.build_date));
}

// The values that flags give to settings, by row.
using FlagOptions = std::vector<std::pair<const Setting*, CLI::Option*>>;

FlagOptions AddSettings(CLI::App& app, const std::vector<Setting>& table) {
  FlagOptions options;
  for (const Setting& row : table) {
    if (row.flag.empty()) continue;
    std::string names = base::Format("--{}", row.flag);
    if (row.letter != 0) names += std::string(",-") + row.letter;
    const std::string help(row.help);
    if (std::holds_alternative<bool*>(row.target)) {
      options.emplace_back(
          &row, app.add_flag(names, help)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast));
    } else {
      options.emplace_back(
          &row, app.add_option(names)->description(help)->expected(1)->take_all()->allow_extra_args(
                    false));
    }
  }
  return options;
}

base::Status ApplyFlags(Settings& settings, const FlagOptions& options) {
  for (const auto& [row, option] : options) {
    for (const std::string& text : option->results()) {
      auto status = SetFromText(settings, *row, text);
      if (!status.has_value())
        return std::move(status).error().Context(base::Format("--{}", row->flag));
    }
  }
  return base::Ok{};
}

base::Status LoadAll(Settings& settings, const ProgramFlags& flags, const FlagOptions& options,
                     const Environment& environment) {
  std::string file;
  if (!flags.config_file.empty()) {
    auto text = ReadFile(flags.config_file);
    if (!text.has_value()) return std::move(text).error().Context("--config-file");
    file = *std::move(text);
  }
  auto loaded = LoadSettings(settings, file, environment);
  if (!loaded.has_value()) {
    return std::move(loaded).error().Context(flags.config_file.empty() ? "configuration"
                                                                       : flags.config_file);
  }
  TRY(ApplyFlags(settings, options));
  const model::Violations violations = ValidateSettings(settings);
  if (violations.empty()) return base::Ok{};
  std::string text = "invalid configuration:";
  for (const model::Violation& fault : violations.list()) {
    text += base::Format("\n  {}: {} ({})", fault.path, fault.message, fault.hint);
  }
  return base::Invalid(std::move(text));
}

}  // namespace

int Run(const std::vector<std::string>& args, const Environment& environment) {
  Settings settings;
  ProgramFlags flags;
  const std::vector<Setting> table = SettingsTable(settings);
  CLI::App app("Start and run Envoy next to a workload of a Kuma service mesh", "kuma-dp");
  app.require_subcommand(1);
  app.add_option("--log-level", flags.log_level, "log level: one of off|info|debug")
      ->capture_default_str();
  app.add_option("--log-output-path", flags.log_output_path,
                 "path to the file for logs, Envoy's included");
  for (const char* name : {"--log-max-size", "--log-max-age", "--log-max-retained-files"}) {
    app.add_option(name, flags.ignored, "accepted and ignored");
  }
  CLI::App* run = app.add_subcommand("run", "Launch Dataplane (Envoy)")->fallthrough();
  run->add_option("--config-file", flags.config_file, "configuration file (YAML)");
  const FlagOptions options = AddSettings(*run, table);
  CLI::App* version = app.add_subcommand("version", "Print version")->fallthrough();
  version->add_flag("-a,--detailed", flags.detailed, "Print detailed version");
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    PrintError(error.what());
    std::fputs("Run 'kuma-dp run --help' for usage.\n", stderr);
    return 1;
  }
  if (version->parsed()) {
    PrintVersion(flags.detailed);
    return 0;
  }
  if (auto status = SetLogging(flags); !status.has_value())
    return PrintError(status.error().message());
  if (auto status = LoadAll(settings, flags, options, environment); !status.has_value()) {
    return PrintError(status.error().message());
  }
  auto code =
      RunProxy(settings, environment,
               settings.envoy_log_level.empty() ? flags.log_level : settings.envoy_log_level);
  return code.has_value() ? *code : PrintError(code.error().message());
}

}  // namespace kuma::dp

// kuma-cp: the control plane.

#include <malloc.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "app/config.h"
#include "app/control_plane.h"
#include "app/first_start.h"
#include "app/self_check.h"
#include "app/service_notify.h"
#include "app/stop_bound.h"
#include "app/stores.h"
#include "base/log.h"
#include "base/log_output.h"
#include "base/version.h"
#include "net/library_memory.h"
#include "net/server.h"

namespace kuma::app {
namespace {

constexpr base::Logger kLog("kuma-cp");
constexpr std::chrono::seconds kLongestStop(20);

// What is free stays with the arena of a thread: no more of them than can run at a time, and what is
// large or at an end goes back to the system.
void BoundHeaps() {
  mallopt(M_ARENA_MAX, static_cast<int>(std::max(2u, std::thread::hardware_concurrency())));
  mallopt(M_MMAP_THRESHOLD, 32 << 10);
  mallopt(M_TRIM_THRESHOLD, 64 << 10);
  mallopt(M_TOP_PAD, 0);
}

int Fail(const base::Error& error) {
  std::fprintf(stderr, "Error: %s\n", error.message().c_str());
  return 1;
}

struct Logs {
  std::string level = "info";
  std::string format = "text";
  std::string file;     // empty: stderr
  std::string ignored;  // --log-max-size and the like: a log file is rotated from outside
};

base::Result<Config> LoadConfig(const std::string& config_file) {
  std::string yaml;
  if (!config_file.empty()) {
    TRY_ASSIGN(yaml, ReadFile(config_file));
  }
  return Config::Load(yaml, [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  });
}

int Check(const std::string& config_file, const std::string& output) {
  const std::vector<Finding> findings = CheckSelf(LoadConfig(config_file), config_file);
  const std::string text =
      output == "json" ? model::ToJson(ToJsonValue(findings), 2) + "\n" : ToText(findings);
  std::fputs(text.c_str(), stdout);
  return WorstOf(findings) == Finding::Level::kFail ? 1 : 0;
}

// `kuma-cp backup` and `kuma-cp restore`.
int OnStore(base::Status (*what)(const Config&, const std::string&), const std::string& config_file,
            const std::string& file) {
  const auto config = LoadConfig(config_file);
  if (!config) return Fail(config.error());
  const base::Status done = what(*config, file);
  return done ? 0 : Fail(done.error());
}

int Run(const std::string& config_file, const Logs& logs) {
  const auto config = LoadConfig(config_file);
  if (!config) return Fail(config.error());
  for (const std::string& key : config->unknown_keys())
    kLog.Warn("unknown key in the configuration file, ignored", {{"key", key}});

  // Signals are waited for below; every thread inherits the mask.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  // A file at its size limit is an error of the write, not the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);

  net::RaiseDescriptorLimit();

  auto control_plane = ControlPlane::Start(*config);
  if (!control_plane) return Fail(control_plane.error());
  for (const std::string& key : config->UnusedKeys())
    kLog.Warn("a configuration key has no effect in this version", {{"key", key}});
  NotifyService("READY=1");
  int signal = 0;
  while (true) {
    sigwait(&signals, &signal);
    if (signal != SIGHUP) break;
    // Log rotation and renewed certificates both say SIGHUP.
    if (!logs.file.empty()) {
      if (const base::Status opened = base::SetLogFile(logs.file); !opened.has_value())
        kLog.Error("the log file stays as it was", {{"error", opened.error().message()}});
    }
    (*control_plane)->ReloadCertificates();
  }
  kLog.Info("stopping; a second signal ends the process at once", {{"signal", signal}});
  NotifyService("STOPPING=1");
  BoundStop(signals, kLongestStop);
  (*control_plane)->Stop();
  kLog.Info("stopped");
  base::FlushLog();
  return 0;
}

}  // namespace
}  // namespace kuma::app

int main(int argc, char** argv) {
  kuma::app::BoundHeaps();
  kuma::net::CountOpenSsl();
  using kuma::base::LogLevel;
  CLI::App app{"Control plane of a service mesh", "kuma-cp"};
  app.require_subcommand(1);
  kuma::app::Logs logs;
  app.add_option("--log-level", logs.level, "off, info or debug")
      ->check(CLI::IsMember({"off", "info", "debug"}))
      ->capture_default_str();
  app.add_option("--log-format", logs.format, "text or json: one object per line")
      ->check(CLI::IsMember({"text", "json"}))
      ->envname("KUMA_LOG_FORMAT")
      ->capture_default_str();
  app.add_option("--log-output-path", logs.file, "File for logs; opened again on SIGHUP");
  for (const char* name : {"--log-max-size", "--log-max-age", "--log-max-retained-files"})
    app.add_option(name, logs.ignored,
                   "Accepted and ignored: logrotate and SIGHUP rotate the file");

  std::string config_file;
  CLI::App* run = app.add_subcommand("run", "Runs the control plane");
  run->add_option("-c,--config-file", config_file, "YAML file; environment variables override it");
  run->fallthrough();

  CLI::App* check = app.add_subcommand("check",
                                       "Checks ports, disk, certificates, clock, store and "
                                       "configuration; 1 if something would not work");
  std::string output = "text";
  check->add_option("-c,--config-file", config_file, "As for run");
  check->add_option("-o,--output", output, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  check->fallthrough();
  std::string file;
  CLI::App* backup = app.add_subcommand(
      "backup", "Saves the store to a new file; the control plane may run meanwhile");
  CLI::App* restore =
      app.add_subcommand("restore", "Puts a saved store back; the control plane must not run");
  for (CLI::App* command : {backup, restore}) {
    command->add_option("-c,--config-file", config_file,
                        "YAML file; environment variables override it");
    command->add_option("FILE", file, "The saved store")->required();
    command->fallthrough();
  }

  CLI::App* version = app.add_subcommand("version", "Prints the version");
  bool detailed = false;
  version->add_flag("-a,--detailed", detailed, "Also prints tag, commit and date");

  CLI11_PARSE(app, argc, argv);
  kuma::base::SetLogLevel(logs.level == "off"     ? LogLevel::kOff
                          : logs.level == "debug" ? LogLevel::kDebug
                                                  : LogLevel::kInfo);
  kuma::base::SetLogFormat(*kuma::base::ParseLogFormat(logs.format));
  if (!logs.file.empty()) {
    if (const auto opened = kuma::base::SetLogFile(logs.file); !opened.has_value())
      return kuma::app::Fail(opened.error());
  }
  if (*check) return kuma::app::Check(config_file, output);
  if (*version) {
    const auto& built = kuma::base::Version();
    if (!detailed) {
      std::printf("%s: %s\n", std::string(built.product).c_str(),
                  std::string(built.version).c_str());
    } else {
      std::printf(
          "Product:    %s\nVersion:    %s\nGit Tag:    %s\nGit Commit: %s\nBuild Date: %s\n",
          std::string(built.product).c_str(), std::string(built.version).c_str(),
          std::string(built.git_tag).c_str(), std::string(built.git_commit).c_str(),
          std::string(built.build_date).c_str());
    }
    return 0;
  }
  if (*backup) return kuma::app::OnStore(kuma::app::Backup, config_file, file);
  if (*restore) return kuma::app::OnStore(kuma::app::Restore, config_file, file);
  return kuma::app::Run(config_file, logs);
}

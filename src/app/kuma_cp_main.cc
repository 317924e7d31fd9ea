// kuma-cp: the control plane.

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "app/config.h"
#include "app/control_plane.h"
#include "app/first_start.h"
#include "base/log.h"
#include "base/version.h"

namespace kuma::app {
namespace {

constexpr base::Logger kLog("kuma-cp");

int Fail(const base::Error& error) {
  std::fprintf(stderr, "Error: %s\n", error.message().c_str());
  return 1;
}

int Run(const std::string& config_file) {
  std::string yaml;
  if (!config_file.empty()) {
    auto text = ReadFile(config_file);
    if (!text) return Fail(text.error());
    yaml = *std::move(text);
  }
  const auto config = Config::Load(yaml, [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  });
  if (!config) return Fail(config.error());

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

  auto control_plane = ControlPlane::Start(*config);
  if (!control_plane) return Fail(control_plane.error());
  int signal = 0;
  while (true) {
    sigwait(&signals, &signal);
    if (signal != SIGHUP) break;
    (*control_plane)->ReloadCertificates();
  }
  kLog.Info("stopping", {{"signal", signal}});
  (*control_plane)->Stop();
  return 0;
}

}  // namespace
}  // namespace kuma::app

int main(int argc, char** argv) {
  using kuma::base::LogLevel;
  CLI::App app{"Control plane of a service mesh"};
  app.require_subcommand(1);
  std::string level = "info";
  app.add_option("--log-level", level, "off, info or debug")
      ->check(CLI::IsMember({"off", "info", "debug"}));

  CLI::App* run = app.add_subcommand("run", "Runs the control plane");
  std::string config_file;
  run->add_option("-c,--config-file", config_file, "YAML file; environment variables override it");
  run->fallthrough();

  CLI::App* version = app.add_subcommand("version", "Prints the version");
  bool detailed = false;
  version->add_flag("-a,--detailed", detailed, "Also prints tag, commit and date");

  CLI11_PARSE(app, argc, argv);
  kuma::base::SetLogLevel(level == "off"     ? LogLevel::kOff
                          : level == "debug" ? LogLevel::kDebug
                                             : LogLevel::kInfo);
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
  return kuma::app::Run(config_file);
}

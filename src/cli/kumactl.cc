#include "cli/kumactl.h"

#include <filesystem>

#include "base/format.h"
#include "base/version.h"
#include "cli/commands.h"
#include "model/duration.h"

namespace kuma::cli {

std::string Invocation::ConfigPath() const {
  return config_file.empty() ? environment_.home + "/.kumactl/config" : config_file;
}

base::Result<ConfigFile> Invocation::LoadConfig(bool or_default) {
  if (no_config) return ConfigFile::Default();
  auto text = ReadFile(ConfigPath());
  if (!text.has_value() && text.error().code() == base::Code::kNotFound) {
    if (!config_file.empty() && !or_default) {
      return base::NotFound(base::Format(
          "failed to access configuration file \"{}\": there is no such file; `kumactl config "
          "control-planes add` makes it",
          config_file));
    }
    ConfigFile config = ConfigFile::Default();
    TRY(SaveConfig(config));
    return config;
  }
  if (!text.has_value())
    return std::move(text).error().Context("failed to load kumactl configuration");
  auto config = ParseConfig(*text);
  if (!config.has_value()) {
    return std::move(config).error().Context(base::Format("failed to parse {}", ConfigPath()));
  }
  return config;
}

base::Status Invocation::SaveConfig(const ConfigFile& config) {
  if (no_config) return base::Ok{};
  return WritePrivateFile(ConfigPath(), WriteConfig(config));
}

base::Result<runtime::Duration> Invocation::Timeout() const {
  const auto parsed = model::ParseDuration(api_timeout);
  if (!parsed) {
    return base::Invalid(base::Format(
        "invalid argument \"{}\" for \"--api-timeout\" flag: not a duration such as 30s",
        api_timeout));
  }
  return parsed->value;
}

base::Result<ControlPlane*> Invocation::ServerUnchecked() {
  if (server_ != nullptr) return server_.get();
  TRY_ASSIGN(const ConfigFile config, LoadConfig());
  const std::string& name = target.empty() ? config.current : target;
  if (name.empty()) {
    return base::Invalid(
        "active Control Plane is not set. Use `kumactl config control-planes add` to add a Control "
        "Plane and make it "
        "active");
  }
  const NamedTarget* found = config.FindTarget(name);
  if (found == nullptr) {
    return base::Invalid(
        base::Format("no context with name \"{}\" exists, check the list of known contexts: "
                     "kumactl config view",
                     name));
  }
  const NamedControlPlane* control_plane = config.FindControlPlane(found->control_plane);
  if (control_plane == nullptr) {
    return base::Invalid(
        base::Format("context \"{}\" refers to the Control Plane \"{}\", which is not defined",
                     name, found->control_plane));
  }
  TRY_ASSIGN(const runtime::Duration timeout, Timeout());
  TRY_ASSIGN(server_, ControlPlane::Make(control_plane->api_server, timeout));
  return server_.get();
}

base::Result<ControlPlane*> Invocation::Server() {
  TRY_ASSIGN(ControlPlane * server, ServerUnchecked());
  if (!checked_) CheckVersion();
  return server;
}

void Invocation::CheckVersion() {
  checked_ = true;
  const auto reply = server_->Call("GET", "/");
  const auto parsed = reply.has_value() && reply->ok()
                          ? model::ParseJson(reply->body)
                          : base::Result<model::Value>(base::Invalid(""));
  const auto text = [&](std::string_view key) -> std::string {
    const model::Value* value = parsed.has_value() ? parsed->Find(key) : nullptr;
    return value != nullptr && value->if_string() != nullptr ? *value->if_string() : "";
  };
  const auto& own = base::Version();
  if (text("version").empty()) {
    err() << "WARNING: Unable to confirm the server supports this kumactl version\n";
  } else if (text("version") != own.version || text("product") != own.product) {
    err() << base::Format(
        "WARNING: You are using kumactl version {} for {}, but the server returned version: {} "
        "{}\n",
        own.version, own.product, text("product"), text("version"));
  }
}

int Run(const std::vector<std::string>& args, Environment& environment) {
  Invocation invocation(environment);
  Command root{.name = "kumactl",
               .aliases = {},
               .arguments = "",
               .help = "Management tool for Kuma.",
               .flags = {{.name = "api-timeout",
                          .help = "the timeout for api calls; 0: no limit",
                          .target = &invocation.api_timeout},
                         {.name = "config-file",
                          .help = "path to the configuration file to use",
                          .target = &invocation.config_file},
                         {.name = "context",
                          .help = "the context of the configuration file to use for this call",
                          .target = &invocation.target},
                         {.name = "log-level",
                          .help = "log level",
                          .target = &invocation.log_level,
                          .values = {"off", "info", "debug"}},
                         {.name = "no-config",
                          .help = "if set no config file and config directory will be created",
                          .target = &invocation.no_config}},
               .children = {},
               .run = nullptr};
  AddApply(invocation, root);
  AddCompletion(invocation, root);
  AddConfig(invocation, root);
  AddDelete(invocation, root);
  AddExport(invocation, root);
  AddGenerate(invocation, root);
  AddGet(invocation, root);
  AddInspect(invocation, root);
  AddHistory(invocation, root);
  AddVersion(invocation, root);
  if (!args.empty() && args.front() == "__complete") {
    PrintCandidates(invocation, root, Strings(args.begin() + 1, args.end()));
    environment.out.flush();
    return 0;
  }
  const int code = RunCommandLine(root, args, environment.out, environment.err);
  environment.out.flush();
  environment.err.flush();
  return invocation.exit_code != 0 ? invocation.exit_code : code;
}

}  // namespace kuma::cli

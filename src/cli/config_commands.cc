#include "base/format.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "model/value.h"
#include "net/http.h"

namespace kuma::cli {
namespace {

struct AddOptions {
  NamedControlPlane control_plane;
  StringMap headers, auth_conf;
  bool overwrite = false, skip_check = false;
};

// Asks the server who it is.
base::Status CheckServer(const ApiServer& server, runtime::Duration timeout) {
  TRY_ASSIGN(const auto control_plane, ControlPlane::Make(server, timeout));
  auto reply = control_plane->Call("GET", "/");
  if (!reply.has_value()) {
    return std::move(reply).error().Context(
        "could not connect to the Control Plane API Server (--skip-check adds it all the same)");
  }
  const auto parsed = reply->ok()
                          ? model::ParseJson(reply->body)
                          : base::Result<model::Value>(base::Invalid(DescribeFailure(*reply)));
  if (!parsed.has_value() || parsed->Find("product") == nullptr) {
    return base::Invalid("provided address is not valid Kuma Control Plane API Server");
  }
  return base::Ok{};
}

base::Status Add(Invocation& invocation, const AddOptions& options) {
  NamedControlPlane control_plane = options.control_plane;
  ApiServer& server = control_plane.api_server;
  server.headers = options.headers;
  server.auth_conf = options.auth_conf;
  TRY_ASSIGN(ConfigFile config, invocation.LoadConfig(true));
  TRY_ASSIGN(const runtime::Duration timeout, invocation.Timeout());
  if (server.url.starts_with("https://") && server.ca_cert_file.empty() && !server.skip_verify) {
    invocation.err() << "Warning: the certificate of the control plane is checked against the CAs "
                        "of this system; "
                        "--ca-cert-file names another one\n";
  }
  if (!options.skip_check) {
    TRY(CheckServer(server, timeout));
  } else if (auto made = ControlPlane::Make(server, timeout); !made.has_value()) {
    return std::move(made).error();
  }
  const std::string name = control_plane.name;
  TRY(config.Add(std::move(control_plane), options.overwrite));
  TRY(invocation.SaveConfig(config));
  invocation.out() << base::Format(
      "added Control Plane \"{}\"\nswitched active Control Plane to \"{}\"\n", name, name);
  return base::Ok{};
}

base::Status List(Invocation& invocation) {
  TRY_ASSIGN(const ConfigFile config, invocation.LoadConfig());
  const NamedTarget* current = config.FindTarget(config.current);
  Table table{.headers = {"ACTIVE", "NAME", "ADDRESS"}, .rows = {}, .footer = ""};
  for (const NamedControlPlane& item : config.control_planes) {
    const bool active = current != nullptr && current->control_plane == item.name;
    table.rows.push_back({active ? "*" : "", item.name, item.api_server.url});
  }
  table.Print(invocation.out());
  return base::Ok{};
}

base::Status Remove(Invocation& invocation, const std::string& name) {
  TRY_ASSIGN(ConfigFile config, invocation.LoadConfig());
  TRY(config.Remove(name));
  TRY(invocation.SaveConfig(config));
  invocation.out() << base::Format("removed Control Plane \"{}\"\n", name);
  if (const NamedTarget* current = config.FindTarget(config.current)) {
    invocation.out() << base::Format("switched active Control Plane to \"{}\"\n",
                                     current->control_plane);
  } else {
    invocation.out() << "there is no active Control Plane left. Use `kumactl config control-planes "
                        "add` to add a "
                        "Control Plane and make it active\n";
  }
  return base::Ok{};
}

base::Status Switch(Invocation& invocation, const std::string& name) {
  TRY_ASSIGN(ConfigFile config, invocation.LoadConfig());
  TRY(config.Switch(name));
  TRY(invocation.SaveConfig(config));
  invocation.out() << base::Format("switched active Control Plane to \"{}\"\n", name);
  return base::Ok{};
}

Command Leaf(std::string name, std::string help, std::vector<Flag> flags,
             std::function<base::Status()> run) {
  return {.name = std::move(name),
          .aliases = {},
          .arguments = "",
          .help = std::move(help),
          .flags = std::move(flags),
          .children = {},
          .run = [run = std::move(run)](const Strings&) { return run(); }};
}

Command AddCommand(Invocation& invocation) {
  auto options = std::make_shared<AddOptions>();
  ApiServer& server = options->control_plane.api_server;
  return Leaf(
      "add", "Add a Control Plane",
      {{.name = "address",
        .help = "URL of the Control Plane API Server (required). Example: http://localhost:5681",
        .target = &server.url,
        .required = true},
       {.name = "auth-conf",
        .help = "authentication config for a given authentication type",
        .target = &options->auth_conf},
       {.name = "auth-type",
        .help = "authentication type (\"tokens\")",
        .target = &server.auth_type},
       {.name = "ca-cert-file",
        .help = "path to the certificate authority which will be used to verify the Control "
                "Plane certificate (kumactl stores only a reference to this file)",
        .target = &server.ca_cert_file},
       {.name = "client-cert-file",
        .help = "path to the certificate of a client that is authorized to use the Admin "
                "operations of the Control Plane",
        .target = &server.client_cert_file},
       {.name = "client-key-file",
        .help = "path to the certificate key of that client",
        .target = &server.client_key_file},
       {.name = "headers",
        .help = "headers to add to the requests, key=value",
        .target = &options->headers},
       {.name = "name",
        .help = "reference name for the Control Plane (required)",
        .target = &options->control_plane.name,
        .required = true},
       {.name = "overwrite",
        .help = "overwrite existing Control Plane with the same reference name",
        .target = &options->overwrite},
       {.name = "skip-check",
        .help = "do not call the Control Plane",
        .target = &options->skip_check},
       {.name = "skip-verify", .help = "skip CA verification", .target = &server.skip_verify}},
      [&invocation, options] { return Add(invocation, *options); });
}

Command NameCommand(std::string name, std::string help, Invocation& invocation,
                    base::Status (*run)(Invocation&, const std::string&)) {
  auto target = std::make_shared<std::string>();
  return Leaf(std::move(name), std::move(help),
              {{.name = "name",
                .help = "reference name for the Control Plane (required)",
                .target = target.get(),
                .required = true}},
              [&invocation, target, run] { return run(invocation, *target); });
}

}  // namespace

void AddConfig(Invocation& invocation, Command& root) {
  Command control_planes{.name = "control-planes",
                         .aliases = {},
                         .arguments = "",
                         .help = "Manage known Control Planes",
                         .flags = {},
                         .children = {},
                         .run = nullptr};
  control_planes.children.push_back(AddCommand(invocation));
  control_planes.children.push_back(
      Leaf("list", "List known Control Planes", {}, [&invocation] { return List(invocation); }));
  control_planes.children.push_back(
      NameCommand("remove", "Remove a Control Plane", invocation, Remove));
  control_planes.children.push_back(
      NameCommand("switch", "Switch active Control Plane", invocation, Switch));
  Command config{.name = "config",
                 .aliases = {},
                 .arguments = "",
                 .help = "Manage kumactl config",
                 .flags = {},
                 .children = {},
                 .run = nullptr};
  config.children.push_back(std::move(control_planes));
  config.children.push_back(
      Leaf("view", "Show kumactl config", {}, [&invocation]() -> base::Status {
        TRY_ASSIGN(const ConfigFile file, invocation.LoadConfig());
        std::string text = WriteConfig(file);
        if (!text.ends_with('\n')) text += '\n';
        invocation.out() << text;
        return base::Ok{};
      }));
  root.children.push_back(std::move(config));
}

}  // namespace kuma::cli

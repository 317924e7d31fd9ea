#include "base/version.h"
#include "base/format.h"
#include "cli/commands.h"
#include "model/value.h"

namespace kuma::cli {
namespace {

base::Status PrintVersion(Invocation& invocation, bool detailed) {
  const base::BuildVersion& own = base::Version();
  std::ostream& out = invocation.out();
  if (detailed) {
    out << base::Format(
        "Client: \nProduct:       {}\nVersion:       {}\nGit Tag:       {}\nGit Commit:    "
        "{}\nBuild Date:    {}\n",
        own.product, own.version, own.git_tag, own.git_commit, own.build_date);
  } else {
    out << base::Format("Client: {} {}\n", own.product, own.version);
  }
  auto server = invocation.ServerUnchecked();
  const auto reply =
      server.has_value() ? (*server)->Call("GET", "/") : base::Result<Reply>(server.error());
  if (!reply.has_value()) {
    out << base::Format("Unable to connect to control plane: {}\n", reply.error().message());
    return base::Ok{};
  }
  const auto parsed = model::ParseJson(reply->body);
  const auto text = [&](std::string_view key) -> std::string {
    const model::Value* value = parsed.has_value() ? parsed->Find(key) : nullptr;
    return value != nullptr && value->if_string() != nullptr ? *value->if_string() : "unknown";
  };
  if (detailed) {
    out << base::Format(
        "\nServer: \nProduct:       {}\nVersion:       {}\nHostname:      {}\nInstance ID:   {}\n"
        "Cluster ID:    {}\n",
        text("product"), text("version"), text("hostname"), text("instanceId"), text("clusterId"));
  } else {
    out << base::Format("Server: {} {}\n", text("product"), text("version"));
  }
  return base::Ok{};
}

}  // namespace

void AddVersion(Invocation& invocation, Command& root) {
  auto detailed = std::make_shared<bool>(false);
  root.children.push_back({.name = "version",
                           .aliases = {},
                           .arguments = "",
                           .help = "Print version",
                           .flags = {{.name = "detailed",
                                      .letter = 'a',
                                      .help = "Print detailed version",
                                      .target = detailed.get()}},
                           .children = {},
                           .run = [&invocation, detailed](const Strings&) {
                             return PrintVersion(invocation, *detailed);
                           }});
}

}  // namespace kuma::cli

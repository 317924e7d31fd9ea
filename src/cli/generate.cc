#include "base/format.h"
#include "base/strings.h"
#include "cli/commands.h"
#include "model/value.h"

namespace kuma::cli {
namespace {

using model::Array;
using model::Object;

struct Options {
  std::string name, mesh = "default", proxy_type, workload, zone, valid_for, kid, signing_key_path;
  StringMap tags;
  Strings groups, scope;
};

Array ToArray(const Strings& texts) { return Array(texts.begin(), texts.end()); }

base::Status Issue(Invocation& invocation, const Options& options, std::string_view kind,
                   Object body) {
  if (!options.signing_key_path.empty() || !options.kid.empty()) {
    return base::Invalid(
        "--signing-key-path and --kid (signing without a server) are not supported by this "
        "kumactl: leave them out, "
        "and the control plane signs the token");
  }
  body.Set("validFor", options.valid_for);
  TRY_ASSIGN(ControlPlane * server, invocation.Server());
  auto reply = server->Call("POST", base::Format("/tokens/{}", kind), model::ToJson(body));
  const std::string failed = base::Format("failed to generate a {} token", kind);
  if (!reply.has_value()) return std::move(reply).error().Context(failed);
  if (!reply->ok()) return base::Invalid(base::Format("{}: {}", failed, DescribeFailure(*reply)));
  invocation.out() << reply->body;
  return base::Ok{};
}

base::Status DataplaneToken(Invocation& invocation, const Options& options) {
  Object tags;
  for (const auto& [key, values] : options.tags) tags.Set(key, ToArray(base::Split(values, ',')));
  return Issue(invocation, options, "dataplane",
               Object{{"name", options.name},
                      {"mesh", options.mesh},
                      {"tags", std::move(tags)},
                      {"type", options.proxy_type},
                      {"workload", options.workload}});
}

}  // namespace

void AddGenerate(Invocation& invocation, Command& root) {
  Command group{.name = "generate",
                .aliases = {},
                .arguments = "",
                .help = "Generate resources, tokens, etc",
                .flags = {},
                .children = {},
                .run = nullptr};
  const auto add = [&](std::string_view kind, std::string_view help,
                       const std::shared_ptr<Options>& options, std::vector<Flag> flags,
                       base::Status (*run)(Invocation&, const Options&)) {
    flags.push_back({.name = "valid-for",
                     .help = "how long the token will be valid (for example \"24h\")",
                     .target = &options->valid_for});
    flags.push_back(
        {.name = "kid", .help = "ID of the signing key; not supported", .target = &options->kid});
    flags.push_back({.name = "signing-key-path",
                     .help = "signing without a server; not supported",
                     .target = &options->signing_key_path});
    group.children.push_back(
        {.name = base::Format("{}-token", kind),
         .aliases = {},
         .arguments = "",
         .help = std::string(help),
         .flags = std::move(flags),
         .children = {},
         .run = [&invocation, options, run](const Strings&) { return run(invocation, *options); }});
  };
  const auto dataplane = std::make_shared<Options>();
  add("dataplane", "Generate Dataplane Token that is used to prove Dataplane identity.", dataplane,
      {{.name = "mesh", .letter = 'm', .help = "mesh to use", .target = &dataplane->mesh},
       {.name = "name", .help = "name of the Dataplane", .target = &dataplane->name},
       {.name = "proxy-type",
        .help = "type of the Dataplane (\"dataplane\")",
        .target = &dataplane->proxy_type},
       {.name = "tag",
        .help = "required label values for Dataplane (split values by comma to provide multiple)",
        .target = &dataplane->tags},
       {.name = "workload",
        .help = "workload that the Dataplane must have",
        .target = &dataplane->workload}},
      DataplaneToken);
  const auto user = std::make_shared<Options>();
  add("user", "Generate User Token.", user,
      {{.name = "group", .help = "groups of the user", .target = &user->groups},
       {.name = "name", .help = "name of the user", .target = &user->name}},
      [](Invocation& target, const Options& options) {
        return Issue(target, options, "user",
                     Object{{"name", options.name}, {"groups", ToArray(options.groups)}});
      });
  const auto zone = std::make_shared<Options>();
  add("zone", "Generate Zone Token.", zone,
      {{.name = "scope", .help = "scopes of the token", .target = &zone->scope},
       {.name = "zone", .help = "name of the zone", .target = &zone->zone}},
      [](Invocation& target, const Options& options) {
        return Issue(target, options, "zone",
                     Object{{"zone", options.zone}, {"scope", ToArray(options.scope)}});
      });
  root.children.push_back(std::move(group));
}

}  // namespace kuma::cli

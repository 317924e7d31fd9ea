// kumactl inspect: what the control plane knows of proxies, meshes, services, zones, and whom a
// policy touches.

#include <algorithm>

#include "base/format.h"
#include "base/strings.h"
#include "cli/commands.h"
#include "cli/kinds.h"
#include "cli/output.h"
#include "net/http.h"

namespace kuma::cli {
namespace {

using model::Array;
using model::Object;
using model::Value;

const Array& ItemsOf(const Value& list, std::string_view member = "items") {
  static const Array kNone;
  const Value* items = list.Find(member);
  return items != nullptr && items->if_array() != nullptr ? *items->if_array() : kNone;
}

// Prints `list` as JSON or YAML, or the table that `make` returns.
template <class MakeTable>
base::Status Print(Invocation& invocation, const std::string& output, const Value& list,
                   MakeTable make) {
  TRY_ASSIGN(const OutputFormat format, ParseOutputFormat(output));
  if (IsTable(format))
    make(format == OutputFormat::kWide).Print(invocation.out());
  else
    PrintValue(list, format, invocation.out());
  return base::Ok{};
}

// All pages of a list as one.
base::Result<Value> WholeList(Invocation& invocation, const std::string& target) {
  TRY_ASSIGN(ControlPlane * server, invocation.Server());
  TRY_ASSIGN(Array items, server->GetAllItems(target));
  const auto total = static_cast<int64_t>(items.size());
  return Value(Object{{"total", total}, {"items", std::move(items)}, {"next", nullptr}});
}

// --- Connections: the same shape for proxies and zones

const Array& SubscriptionsOf(const Value* insight) {
  static const Value kNull;
  return ItemsOf(insight != nullptr ? *insight : kNull, "subscriptions");
}

bool IsOnline(const Array& subscriptions) {
  return std::ranges::any_of(subscriptions, [](const Value& subscription) {
    return !TextOf(subscription.Find("connectTime")).empty() &&
           TextOf(subscription.Find("disconnectTime")).empty();
  });
}

int64_t SumOf(const Array& subscriptions, std::string_view counter) {
  int64_t sum = 0;
  for (const Value& subscription : subscriptions)
    sum += NumberOf(subscription.At({"status", "total", counter}));
  return sum;
}

const Value& LastOf(const Array& subscriptions) {
  static const Value kNull;
  return subscriptions.empty() ? kNull : subscriptions.back();
}

// --- dataplanes

// Inbounds that serve no traffic, as Kuma words it.
std::vector<std::string> NotReady(const Array& inbounds) {
  std::vector<std::string> notes;
  for (const Value& inbound : inbounds) {
    const Value* health = inbound.Find("health");
    const bool unhealthy =
        health != nullptr && health->if_object() != nullptr &&
        (health->Find("ready") == nullptr || *health->Find("ready") != Value(true));
    if (unhealthy || TextOf(inbound.Find("state")) == "NotReady")
      notes.push_back(
          base::Format("inbound[port={}] is not ready", NumberOf(inbound.Find("port"))));
  }
  return notes;
}

std::string DependencyVersions(const Value& subscription) {
  std::vector<std::string> versions;
  const Value* dependencies = subscription.At({"version", "dependencies"});
  if (dependencies != nullptr && dependencies->if_object() != nullptr) {
    const Value sorted = model::Sorted(*dependencies);
    for (const auto& [name, version] : *sorted.if_object())
      versions.push_back(base::Format("{}: {}", name, TextOf(&version)));
  }
  return versions.empty() ? "-" : base::Join(versions, ", ");
}

std::vector<std::string> DataplaneRow(const Value& item, runtime::WallTime now) {
  const Array& subscriptions = SubscriptionsOf(item.Find("dataplaneInsight"));
  const Value& last = LastOf(subscriptions);
  const Value* networking = item.At({"dataplane", "networking"});
  const Array& inbounds = networking != nullptr ? ItemsOf(*networking, "inbound") : Array();
  const std::vector<std::string> notes = NotReady(inbounds);
  std::string status = "Online";
  if (!IsOnline(subscriptions) || (!inbounds.empty() && notes.size() == inbounds.size()))
    status = "Offline";
  else if (!notes.empty())
    status = "Partially degraded";
  const Value* mtls = item.At({"dataplaneInsight", "mTLS"});
  const auto of_mtls = [mtls](std::string_view key) {
    return mtls != nullptr ? mtls->Find(key) : nullptr;
  };
  std::vector<std::string> backends;
  if (const Value* supported = of_mtls("supportedBackends"); supported && supported->if_array()) {
    for (const Value& backend : *supported->if_array()) backends.push_back(TextOf(&backend));
  }
  std::string backend = "-";
  if (mtls != nullptr) {
    backend = TextOf(of_mtls("issuedBackend"));
    if (backend.empty()) backend = "unknown";
  }
  return {TextOf(item.Find("mesh")),
          TextOf(item.Find("name")),
          LabelsText(item.Find("labels")),
          std::move(status),
          Age(TextOf(last.Find("connectTime")), now),
          Age(TextOf(last.At({"status", "lastUpdateTime"})), now),
          base::Format("{}", SumOf(subscriptions, "responsesSent")),
          base::Format("{}", SumOf(subscriptions, "responsesRejected")),
          Age(TextOf(of_mtls("lastCertificateRegeneration")), now),
          Date(TextOf(of_mtls("certificateExpirationTime"))),
          base::Format("{}", NumberOf(of_mtls("certificateRegenerations"))),
          std::move(backend),
          base::Join(backends, ","),
          TextOf(last.At({"version", "kumaDp", "version"})),
          TextOf(last.At({"version", "envoy", "version"})),
          DependencyVersions(last),
          base::Join(notes, ";")};
}

struct DataplanesOptions {
  std::string mesh = "default";
  StringMap tags;
  bool gateway = false;
  bool ingress = false;
};

base::Status InspectDataplanes(Invocation& invocation, const DataplanesOptions& options,
                               const std::string& output) {
  TRY(ParseOutputFormat(output));
  std::vector<std::string> query;
  for (const auto& [key, value] : options.tags)
    query.push_back(base::Format("tag={}", net::PercentEncode(base::Format("{}:{}", key, value))));
  if (options.gateway) query.emplace_back("gateway=true");
  if (options.ingress) query.emplace_back("ingress=true");
  std::string target =
      base::Format("/meshes/{}/dataplanes/_overview", net::PercentEncode(options.mesh));
  if (!query.empty()) target += "?" + base::Join(query, "&");
  TRY_ASSIGN(const Value list, WholeList(invocation, target));
  return Print(invocation, output, list, [&](bool wide) {
    Table table{
        .headers = {"MESH", "NAME", "TAGS", "STATUS", "LAST CONNECTED AGO", "LAST UPDATED AGO",
                    "TOTAL UPDATES", "TOTAL ERRORS", "CERT REGENERATED AGO", "CERT EXPIRATION",
                    "CERT REGENERATIONS", "CERT BACKEND", "SUPPORTED CERT BACKENDS",
                    "KUMA-DP VERSION", "ENVOY VERSION", "DEPENDENCIES VERSIONS", "NOTES"},
        .rows = {},
        .footer = ""};
    const auto now = invocation.environment().clock.WallNow();
    for (const Value& item : ItemsOf(list)) table.rows.push_back(DataplaneRow(item, now));
    if (!wide) {
      table.Fit(invocation.environment().width,
                {"SUPPORTED CERT BACKENDS", "DEPENDENCIES VERSIONS", "CERT REGENERATIONS",
                 "CERT REGENERATED AGO", "CERT BACKEND", "CERT EXPIRATION", "KUMA-DP VERSION",
                 "ENVOY VERSION", "TAGS", "TOTAL UPDATES", "LAST UPDATED AGO", "TOTAL ERRORS",
                 "LAST CONNECTED AGO", "NOTES"});
    }
    return table;
  });
}

// --- dataplane NAME

struct DataplaneOptions {
  std::string mesh = "default";
  std::string type = "policies";
  bool include_eds = false;
  bool shadow = false;
  bool timeline = false;
  Strings include;
};

base::Status CheckCombination(const DataplaneOptions& options) {
  if (options.shadow && options.type != "config")
    return base::Invalid("flag '--shadow' can be used only when '--type=config'");
  if (!options.include.empty() && options.type != "config")
    return base::Invalid("flag '--include' can be used only when '--type=config'");
  if (options.include_eds && options.type != "config-dump")
    return base::Invalid("flag '--include-eds' can be used only when '--type=config-dump'");
  return base::Ok{};
}

const Strings& InspectionTypes() {
  static const Strings kTypes = {"policies", "config-dump", "stats", "clusters", "config"};
  return kTypes;
}

base::Status InspectDataplane(Invocation& invocation, const DataplaneOptions& options,
                              const std::string& name, const std::string& output) {
  TRY(CheckCombination(options));
  if (options.timeline) return PrintTimeline(invocation, options.mesh, name, output);
  if (std::ranges::find(InspectionTypes(), options.type) == InspectionTypes().end()) {
    return base::Invalid(base::Format("invalid inspection type \"{}\": one of {}", options.type,
                                      base::Join(InspectionTypes(), ", ")));
  }
  const std::string path = base::Format("/meshes/{}/dataplanes/{}/",
                                        net::PercentEncode(options.mesh), net::PercentEncode(name));
  TRY_ASSIGN(ControlPlane * server, invocation.Server());
  if (options.type == "policies") {
    TRY(ParseOutputFormat(output));
    TRY_ASSIGN(const Value list, server->GetJson(path + "_policies"));
    return Print(invocation, output, list, [&](bool) {
      Table table{.headers = {"Kind", "Origins"}, .rows = {}, .footer = ""};
      for (const Value& policy : ItemsOf(list, "policies")) {
        std::vector<std::string> origins;
        for (const Value& origin : ItemsOf(policy, "origins"))
          origins.push_back(TextOf(origin.Find("kri")));
        table.rows.push_back({TextOf(policy.Find("kind")), base::Join(origins, ",")});
      }
      return table;
    });
  }
  // The rest is printed as the server sends it.
  std::string target = path + options.type;
  if (options.type == "config-dump")
    target = path + "xds" + (options.include_eds ? "?include_eds=true" : "");
  if (options.type == "config") {
    std::vector<std::string> query;
    if (options.shadow) query.emplace_back("shadow=true");
    for (const std::string& field : options.include)
      query.push_back("include=" + net::PercentEncode(field));
    target = path + "_config" + (query.empty() ? "" : "?" + base::Join(query, "&"));
  }
  TRY_ASSIGN(const Reply reply, server->Call("GET", target));
  if (!reply.ok()) return base::Invalid(DescribeFailure(reply));
  invocation.out() << reply.body;
  if (!reply.body.ends_with('\n') && invocation.environment().width > 0) invocation.out() << "\n";
  return base::Ok{};
}

// --- <policy> NAME

struct PolicyOptions {
  std::string mesh = "default";
  std::string offset;
  int64_t size = 0;
  bool new_api = false;
};

base::Status InspectPolicy(Invocation& invocation, const Kind& kind, const PolicyOptions& options,
                           const std::string& name, const std::string& output) {
  TRY(ParseOutputFormat(output));
  std::vector<std::string> query;
  if (!options.offset.empty()) query.push_back("offset=" + net::PercentEncode(options.offset));
  if (options.size != 0) query.push_back(base::Format("size={}", options.size));
  std::string target = PathOf(kind, options.mesh, name) + "/_resources/dataplanes";
  if (!query.empty()) target += "?" + base::Join(query, "&");
  TRY_ASSIGN(ControlPlane * server, invocation.Server());
  TRY_ASSIGN(const Value list, server->GetJson(target));
  return Print(invocation, output, list, [&](bool) {
    Table table{.headers = {"Type", "Mesh", "Name"},
                .rows = {},
                .footer = base::Format("Total: {}", NumberOf(list.Find("total")))};
    for (const Value& item : ItemsOf(list))
      table.rows.push_back(
          {TextOf(item.Find("type")), TextOf(item.Find("mesh")), TextOf(item.Find("name"))});
    if (const std::string offset = NextOffset(list); !offset.empty()) {
      table.footer += base::Format(
          "\nRerun command with --offset={} argument to retrieve more resources", offset);
    }
    return table;
  });
}

// --- meshes, services, zones

base::Status InspectMeshes(Invocation& invocation, const std::string& output) {
  TRY(ParseOutputFormat(output));
  TRY_ASSIGN(const Value list, WholeList(invocation, "/mesh-insights"));
  return Print(invocation, output, list, [&](bool) {
    Table table{.headers = {"MESH", "DATAPLANES"}, .rows = {}, .footer = ""};
    for (const Value& item : ItemsOf(list)) {
      table.rows.push_back({TextOf(item.Find("name")),
                            base::Format("{}/{}", NumberOf(item.At({"dataplanes", "online"})),
                                         NumberOf(item.At({"dataplanes", "total"})))});
    }
    return table;
  });
}

// "partially_degraded" as people read it.
std::string ServiceStatus(const std::string& status) {
  if (status == "online") return "Online";
  if (status == "partially_degraded") return "Partially degraded";
  if (status == "not_available") return "Not available";
  return status.empty() || status == "offline" ? "Offline" : status;
}

base::Status InspectServices(Invocation& invocation, const std::string& mesh,
                             const std::string& output) {
  TRY(ParseOutputFormat(output));
  TRY_ASSIGN(const Value list, WholeList(invocation, base::Format("/meshes/{}/service-insights",
                                                                  net::PercentEncode(mesh))));
  return Print(invocation, output, list, [&](bool) {
    Table table{.headers = {"SERVICE", "STATUS", "DATAPLANES"}, .rows = {}, .footer = ""};
    for (const Value& item : ItemsOf(list)) {
      table.rows.push_back({TextOf(item.Find("name")), ServiceStatus(TextOf(item.Find("status"))),
                            base::Format("{}/{}", NumberOf(item.At({"dataplanes", "online"})),
                                         NumberOf(item.At({"dataplanes", "total"})))});
    }
    return table;
  });
}

base::Status InspectZones(Invocation& invocation, const std::string& output) {
  TRY(ParseOutputFormat(output));
  TRY_ASSIGN(const Value list, WholeList(invocation, "/zones/_overview"));
  return Print(invocation, output, list, [&](bool wide) {
    Table table{.headers = {"NAME", "STATUS", "LAST CONNECTED AGO", "LAST UPDATED AGO",
                            "TOTAL UPDATES", "TOTAL ERRORS", "ZONE-CP VERSION", "BACKEND"},
                .rows = {},
                .footer = ""};
    const auto now = invocation.environment().clock.WallNow();
    for (const Value& item : ItemsOf(list)) {
      const Array& subscriptions = SubscriptionsOf(item.Find("zoneInsight"));
      const Value& last = LastOf(subscriptions);
      const Value* enabled = item.At({"zone", "enabled"});
      const bool online =
          IsOnline(subscriptions) && (enabled == nullptr || *enabled != Value(false));
      // The zone's own configuration travels as JSON text.
      const auto config = model::ParseJson(TextOf(last.Find("config")));
      table.rows.push_back({TextOf(item.Find("name")), online ? "Online" : "Offline",
                            Age(TextOf(last.Find("connectTime")), now),
                            Age(TextOf(last.At({"status", "lastUpdateTime"})), now),
                            base::Format("{}", SumOf(subscriptions, "responsesSent")),
                            base::Format("{}", SumOf(subscriptions, "responsesRejected")),
                            TextOf(last.At({"version", "kumaCp", "version"})),
                            config.has_value() ? TextOf(config->At({"store", "type"})) : ""});
    }
    if (!wide) {
      table.Fit(invocation.environment().width, {"BACKEND", "TOTAL UPDATES", "LAST UPDATED AGO",
                                                 "ZONE-CP VERSION", "TOTAL ERRORS"});
    }
    return table;
  });
}

Command MakeCommand(std::string name, std::string arguments, std::string help,
                    std::vector<Flag> flags,
                    std::function<base::Status(const Strings& arguments)> run) {
  return {.name = std::move(name),
          .aliases = {},
          .arguments = std::move(arguments),
          .help = std::move(help),
          .flags = std::move(flags),
          .children = {},
          .run = std::move(run)};
}

Flag MeshFlag(std::string* mesh) {
  return {.name = "mesh", .letter = 'm', .help = "mesh to use", .target = mesh};
}

}  // namespace

void AddInspect(Invocation& invocation, Command& root) {
  auto output = std::make_shared<std::string>("table");
  Command group = MakeCommand("inspect", "", "Inspect Kuma resources",
                              {{.name = "output",
                                .letter = 'o',
                                .help = "output format",
                                .target = output.get(),
                                .values = OutputFormats()}},
                              nullptr);
  auto one = std::make_shared<DataplaneOptions>();
  group.children.push_back(MakeCommand(
      "dataplane", "NAME", "Inspect Dataplane",
      {MeshFlag(&one->mesh),
       {.name = "type",
        .help = "inspection type",
        .target = &one->type,
        .values = InspectionTypes()},
       {.name = "include-eds",
        .help = "include endpoints (--type=config-dump)",
        .target = &one->include_eds},
       {.name = "shadow",
        .help = "count policies with label 'kuma.io/effect: shadow' as if they were in effect "
                "(--type=config)",
        .target = &one->shadow},
       {.name = "timeline",
        .help = "what happened to the proxy, newest 64 events, instead of --type",
        .target = &one->timeline},
       {.name = "include",
        .help = "extra fields of the answer; diff: what differs from the present configuration, "
                "as JSON patch (--type=config)",
        .target = &one->include,
        .values = {"diff"}}},
      [&invocation, one, output](const Strings& arguments) {
        return InspectDataplane(invocation, *one, arguments[0], *output);
      }));
  group.children.back().example =
      "  # Policies that touch a proxy\n  kumactl inspect dataplane web-1\n"
      "  # What a policy with label 'kuma.io/effect: shadow' would change\n"
      "  kumactl inspect dataplane web-1 --type=config --shadow --include=diff";
  auto many = std::make_shared<DataplanesOptions>();
  group.children.push_back(MakeCommand(
      "dataplanes", "", "Inspect Dataplanes",
      {MeshFlag(&many->mesh),
       {.name = "tag",
        .help = "filter by label in format of key=value; may be repeated",
        .target = &many->tags},
       {.name = "gateway", .help = "filter gateway dataplanes", .target = &many->gateway},
       {.name = "ingress", .help = "filter ingress dataplanes", .target = &many->ingress}},
      [&invocation, many, output](const Strings&) {
        return InspectDataplanes(invocation, *many, *output);
      }));
  group.children.push_back(MakeCommand(
      "meshes", "", "Inspect Meshes", {},
      [&invocation, output](const Strings&) { return InspectMeshes(invocation, *output); }));
  auto mesh = std::make_shared<std::string>("default");
  group.children.push_back(MakeCommand("services", "", "Inspect Services", {MeshFlag(mesh.get())},
                                       [&invocation, mesh, output](const Strings&) {
                                         return InspectServices(invocation, *mesh, *output);
                                       }));
  group.children.push_back(MakeCommand(
      "zones", "", "Inspect Zones", {},
      [&invocation, output](const Strings&) { return InspectZones(invocation, *output); }));
  for (const Kind& kind : AllKinds()) {
    if (!kind.is_policy) continue;
    auto options = std::make_shared<PolicyOptions>();
    group.children.push_back(MakeCommand(
        std::string(kind.singular), "NAME", base::Format("Inspect {}", kind.kind),
        {MeshFlag(&options->mesh),
         {.name = "offset",
          .help = "the offset that indicates starting element of the resources list to retrieve",
          .target = &options->offset},
         {.name = "size", .help = "maximum number of elements to return", .target = &options->size},
         {.name = "new-api",
          .help = "has no effect: there is one API",
          .target = &options->new_api}},
        [&invocation, &kind, options, output](const Strings& arguments) {
          return InspectPolicy(invocation, kind, *options, arguments[0], *output);
        }));
  }
  root.children.push_back(std::move(group));
}

}  // namespace kuma::cli

// kumactl export: everything that can be applied again, elsewhere.

#include <algorithm>
#include <array>

#include "base/format.h"
#include "base/strings.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "net/http.h"

namespace kuma::cli {
namespace {

using model::Array;
using model::Object;
using model::Value;

struct Options {
  std::string profile = "federation";
  std::string format = "universal";
  std::string system_namespace = "kuma-system";
  bool include_admin = false;
};

const Strings& Profiles() {
  static const Strings kProfiles = {"all", "federation", "federation-with-policies",
                                    "no-dataplanes"};
  return kProfiles;
}
const Strings& Formats() {
  static const Strings kFormats = {"universal", "kubernetes"};
  return kFormats;
}

// The federation profiles make files for a global control plane that a zone is to join.
bool ForFederation(const Options& options) { return options.profile.starts_with("federation"); }

bool Is(const Value* value) { return value != nullptr && *value == Value(true); }

// Whether resources of a kind, as /_resources describes it, are exported.
bool Wanted(const Value& kind, const Options& options) {
  const std::string name = TextOf(kind.Find("name"));
  if (Is(kind.Find("readOnly"))) return false;  // the control plane makes them; nobody applies them
  const bool admin = name == "Secret" || name == "GlobalSecret";
  if (admin && !ForFederation(options) && !options.include_admin) return false;
  if (ForFederation(options)) {
    if (!Is(kind.Find("includeInFederation"))) return false;
    return options.profile != "federation" || !Is(kind.At({"policy", "isTargetRef"}));
  }
  return options.profile == "all" || name != "Dataplane";
}

// What is applied first is printed first: Meshes, then their Secrets; GlobalSecrets last, among
// them the keys of user tokens, because after those the user's own token may be void.
int OrderOf(const std::string& kind) {
  if (kind == "Mesh") return 0;
  if (kind == "Secret") return 1;
  return kind == "GlobalSecret" ? 3 : 2;
}
bool IsUserKey(const Value& resource) {
  return TextOf(resource.Find("type")) == "GlobalSecret" &&
         TextOf(resource.Find("name")).starts_with("user-token-signing-key");
}
// Certificate authorities that belong to one control plane only.
bool BelongsHere(const Value& resource) {
  const std::string name = TextOf(resource.Find("name"));
  return TextOf(resource.Find("type")) == "GlobalSecret" &&
         (name == "envoy-admin-ca" || name == "inter-cp-ca");
}

struct Exported {
  std::string path;  // of the resource, for its Kubernetes form
  Value resource;
};

void DropOrigin(Object& holder, std::string_view member) {
  Value* labels = holder.Find(member);
  if (labels != nullptr && labels->if_object() != nullptr)
    labels->if_object()->Erase("kuma.io/origin");
}

base::Result<std::vector<Exported>> Collect(ControlPlane& server, const Options& options) {
  TRY_ASSIGN(const Value description, server.GetJson("/_resources"));
  TRY_ASSIGN(const Array meshes, server.GetAllItems("/meshes"));
  std::vector<Value> kinds;
  if (const Value* listed = description.Find("resources"); listed && listed->if_array()) {
    for (const Value& kind : *listed->if_array()) {
      if (Wanted(kind, options)) kinds.push_back(kind);
    }
  }
  std::ranges::stable_sort(kinds, {},
                           [](const Value& kind) { return OrderOf(TextOf(kind.Find("name"))); });
  std::vector<Exported> resources;
  std::vector<Exported> last;
  const auto add_list = [&](const std::string& list, const Value& kind) -> base::Status {
    auto items = server.GetAllItems(list);
    if (!items.has_value())
      return std::move(items).error().Context(
          base::Format("could not list \"{}\"", TextOf(kind.Find("name"))));
    for (Value& item : *items) {
      if (BelongsHere(item)) continue;
      std::vector<Exported>& part = IsUserKey(item) ? last : resources;
      part.push_back({base::Format("{}/{}", list, net::PercentEncode(TextOf(item.Find("name")))),
                      std::move(item)});
    }
    return base::Ok{};
  };
  for (const Value& kind : kinds) {
    const std::string path = "/" + TextOf(kind.Find("path"));
    if (TextOf(kind.Find("scope")) != "Mesh") {
      TRY(add_list(path, kind));
      continue;
    }
    for (const Value& mesh : meshes)
      TRY(add_list("/meshes/" + net::PercentEncode(TextOf(mesh.Find("name"))) + path, kind));
  }
  std::ranges::move(last, std::back_inserter(resources));
  for (Exported& exported : resources) {
    Object& resource = *exported.resource.if_object();
    // The default policies are in the export; the new control plane shall not add its own.
    if (TextOf(resource.Find("type")) == "Mesh")
      resource.Set("skipCreatingInitialPolicies", Array{"*"});
    if (!ForFederation(options)) continue;
    DropOrigin(resource, "labels");
    const Value* labels = resource.Find("labels");
    if (labels != nullptr && *labels == Value(Object())) resource.Erase("labels");
  }
  return resources;
}

// The Kubernetes object without what belongs to the cluster that it comes from; null: left out.
base::Result<Value> KubernetesForm(ControlPlane& server, const Exported& exported,
                                   const Options& options) {
  TRY_ASSIGN(Value object, server.GetJson(exported.path + "?format=k8s"));
  if (object.if_object() == nullptr) return Value();
  if (Value* metadata = object.if_object()->Find("metadata"); metadata && metadata->if_object()) {
    const std::string space = TextOf(metadata->Find("namespace"));
    if (options.profile != "all" && !space.empty() && space != options.system_namespace)
      return Value();
    for (const auto* key :
         {"resourceVersion", "ownerReferences", "uid", "generation", "managedFields"})
      metadata->if_object()->Erase(key);
    if (ForFederation(options)) {
      DropOrigin(*metadata->if_object(), "labels");
      DropOrigin(*metadata->if_object(), "annotations");
    }
  }
  if (TextOf(exported.resource.Find("type")) == "Mesh") {
    Object spec = *exported.resource.if_object();
    for (const auto* key : {"type", "name", "creationTime", "modificationTime", "labels", "kri"})
      spec.Erase(key);
    object.if_object()->Set("spec", std::move(spec));
  }
  return object;
}

base::Status Export(Invocation& invocation, const Options& options) {
  if (std::ranges::find(Profiles(), options.profile) == Profiles().end()) {
    return base::Invalid(base::Format("invalid profile: \"{}\": one of {}", options.profile,
                                      base::Join(Profiles(), ", ")));
  }
  if (std::ranges::find(Formats(), options.format) == Formats().end()) {
    return base::Invalid(base::Format("invalid format: \"{}\": one of {}", options.format,
                                      base::Join(Formats(), ", ")));
  }
  TRY_ASSIGN(ControlPlane * server, invocation.Server());
  TRY_ASSIGN(const Value index, server->GetJson("/"));
  TRY_ASSIGN(const std::vector<Exported> resources, Collect(*server, options));
  const auto of_index = [&](std::string_view key) { return TextOf(index.Find(key)); };
  std::ostream& out = invocation.out();
  out << base::Format("# Product: {}, Version: {}, Hostname: {}, ClusterId: {}, InstanceId: {}\n",
                      of_index("product"), of_index("version"), of_index("hostname"),
                      of_index("clusterId"), of_index("instanceId"));
  bool first = true;
  for (const Exported& exported : resources) {
    if (options.format == "universal") {
      out << "---\n";
      PrintResource(exported.resource, OutputFormat::kYaml, out);
      continue;
    }
    TRY_ASSIGN(const Value object, KubernetesForm(*server, exported, options));
    if (object.is_null()) continue;
    if (!first) out << "---\n";
    first = false;
    PrintValue(object, OutputFormat::kYaml, out);
  }
  return base::Ok{};
}

}  // namespace

void AddExport(Invocation& invocation, Command& root) {
  auto options = std::make_shared<Options>();
  root.children.push_back(
      {.name = "export",
       .aliases = {},
       .arguments = "",
       .help = "Export Kuma resources",
       .flags = {{.name = "format",
                  .letter = 'f',
                  .help = "form of the resources",
                  .target = &options->format,
                  .values = Formats()},
                 {.name = "include-admin",
                  .letter = 'a',
                  .help = "include secrets; the federation profiles always do",
                  .target = &options->include_admin},
                 {.name = "profile",
                  .letter = 'p',
                  .help = "what is exported",
                  .target = &options->profile,
                  .values = Profiles()},
                 {.name = "system-namespace",
                  .letter = 'n',
                  .help = "namespace of the control plane on Kubernetes",
                  .target = &options->system_namespace}},
       .children = {},
       .run = [&invocation, options](const Strings&) { return Export(invocation, *options); },
       .first_argument = {},
       .example = "  # Everything that a user may write\n"
                  "  kumactl export --profile all -a > resources.yaml"});
}

}  // namespace kuma::cli

// kumactl export. The goldens list the resources that were in the store; what the profile leaves
// out is added here, so that leaving it out is tested.

#include <map>

#include "base/format.h"
#include "base/strings.h"
#include "cli/kinds.h"
#include "tests/conformance/suite.h"
#include "tests/kit/kumactl_stage.h"

namespace kuma::conformance::kumactl_export {
namespace {

using model::Array;
using model::Object;
using model::Value;

// The store's form of a Kubernetes object.
Value UniversalForm(const Value& object) {
  const Value* metadata = object.Find("metadata");
  if (metadata == nullptr) return object;
  std::string type = TextOf(object, "kind");
  if (TextOf(object, "type") == "system.kuma.io/global-secret") type = "GlobalSecret";
  Object resource{{"type", type}};
  if (const Value* labels = metadata->Find("labels")) {
    if (const std::string mesh = TextOf(*labels, "kuma.io/mesh"); !mesh.empty())
      resource.Set("mesh", mesh);
    resource.Set("labels", *labels);
  }
  resource.Set("name", TextOf(*metadata, "name"));
  if (const Value* spec = object.Find("spec")) resource.Set("spec", *spec);
  if (type == "Mesh") resource.Erase("spec");
  return resource;
}

Value KindRow(const cli::Kind& kind) {
  Object row{{"name", kind.kind},
             {"path", kind.plural},
             {"scope", kind.in_mesh ? "Mesh" : "Global"},
             {"readOnly", false},
             {"includeInFederation", kind.kind != "Dataplane"}};
  if (kind.is_policy) row.Set("policy", Object{{"isTargetRef", true}});
  return row;
}

bool Has(const std::vector<std::string>& args, const std::string& word) {
  return std::find(args.begin(), args.end(), word) != args.end();
}

void AddToStore(kit::BareControlPlane& server, Value resource,
                std::map<std::string, const cli::Kind*>& kinds) {
  const std::string type = TextOf(resource, "type");
  const cli::Kind* kind = cli::FindKind(type);
  if (kind == nullptr) return;
  if (type == "Mesh") resource.if_object()->Erase("skipCreatingInitialPolicies");
  kinds[type] = kind;
  server.Put(std::string(kind->plural), resource);
}

std::string Check(const fs::path& folder, const Value& test) {
  std::vector<std::string> args = {"export"};
  if (const Value* words = test.Find("args"); words != nullptr && words->if_array()) {
    for (const Value& word : *words->if_array()) args.push_back(TextOf(&word));
  }
  kit::KumactlStage stage;
  const std::string wanted_error = TextOf(test, "err");
  if (!wanted_error.empty()) {
    const auto outcome = stage.CallServer(args);
    return outcome.code == 1 && outcome.err.find(wanted_error) != std::string::npos
               ? ""
               : "wanted the error \"" + wanted_error + "\", got " + outcome.err;
  }
  const fs::path golden = folder / TextOf(test, "goldenFile");
  auto documents = ReadYaml(golden);
  if (!documents.has_value()) return documents.error().message();
  const bool kubernetes = Has(args, "--format=kubernetes") || Has(args, "kubernetes");
  const bool all = Has(args, "all");
  const bool no_dataplanes = Has(args, "no-dataplanes");
  const bool federation = !all && !no_dataplanes;

  kit::BareControlPlane& server = stage.server();
  server.SetIndex(
      R"({"product": "Kuma", "version": "0.0.0-testversion", "hostname": "localhost",
          "clusterId": "test-cluster", "instanceId": "test-instance"})");
  std::map<std::string, const cli::Kind*> kinds;
  for (Value& document : *documents) {
    Value resource = kubernetes ? UniversalForm(document) : document;
    const cli::Kind* kind = cli::FindKind(TextOf(resource, "type"));
    if (kind == nullptr) return "unknown kind in the golden: " + TextOf(resource, "type");
    if (federation && kind->is_policy && resource.Find("labels") == nullptr)
      resource.if_object()->Set("labels", Object{{"kuma.io/origin", "zone"}});
    if (kubernetes) {
      for (const auto* key : {"resourceVersion", "uid", "generation"})
        document.if_object()->Find("metadata")->if_object()->Set(key, "of this cluster");
      server.AnswerAlways(
          cli::PathOf(*kind, TextOf(resource, "mesh"), TextOf(resource, "name")) + "?format=k8s",
          model::ToJson(document));
    }
    AddToStore(server, std::move(resource), kinds);
  }
  for (const char* name : {"envoy-admin-ca", "inter-cp-ca"})
    AddToStore(server, Object{{"type", "GlobalSecret"}, {"name", name}, {"data", "eA=="}}, kinds);
  if (no_dataplanes)
    AddToStore(server, Object{{"type", "Dataplane"}, {"mesh", "default"}, {"name", "dp"}}, kinds);
  Array rows;
  for (const auto& [type, kind] : kinds) rows.push_back(KindRow(*kind));
  server.AnswerAlways("/_resources", model::ToJson(Object{{"resources", std::move(rows)}}));
  const auto outcome = stage.CallServer(args);
  const std::string difference =
      TextDifference(base::Trim(outcome.out), base::Trim(ReadText(golden)));
  // The version of this server is an invented one; kumactl warns of it.
  return difference.empty() && outcome.code == 0 ? "" : difference + outcome.err;
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".cases.json")) {
    const auto cases = ReadJson(file);
    if (!cases.has_value()) {
      report.Case(file.stem(), cases.error().message());
      continue;
    }
    for (const Value& test : *cases->if_array())
      report.Case(test.Find("case") ? model::ToJson(*test.Find("case")) : "", Check(folder, test));
  }
}

}  // namespace kuma::conformance::kumactl_export

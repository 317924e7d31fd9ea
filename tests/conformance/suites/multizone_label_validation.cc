// What the control planes say about labels of a write: <mode>.<kind>.<case>.input.yaml and the
// answer, as text with JSON in it.

#include "base/format.h"
#include "model/labels.h"
#include "model/names.h"
#include "tests/conformance/rest_case.h"
#include "tests/conformance/suite.h"
#include "tests/conformance/validate_input.h"
#include "tests/kit/rest_server.h"

namespace kuma::conformance::multizone_label_validation {
namespace {

using model::ControlPlane;
using model::Value;

// The answer to the write, status line and all.
std::string CheckAnswer(const model::ResourceType& type, const Value& input,
                        const ControlPlane& here, const std::string& golden) {
  rest::ApiSettings settings = kit::RestServer::Settings();
  settings.resources.here = here;
  kit::RestServer server(AllKinds(), std::move(settings));
  const std::string mesh = TextOf(input, "mesh");
  auto stored = ReadAsIs(model::Object{{"type", "Mesh"}, {"name", mesh}});
  if (!stored) return stored.error().message();
  server.Load(*std::move(stored));
  const net::HttpResponse response =
      server.Send("PUT", base::Format("/meshes/{}/{}/{}", mesh, type.plural, TextOf(input, "name")),
                  model::ToJson(input));
  const std::string line =
      base::Format("HTTP/1.1 {} {}", response.status, net::ReasonPhrase(response.status));
  const std::string want = golden.substr(0, golden.find('\n'));
  if (line != want) return base::Format("want {}, got {}\n{}", want, line, response.body);
  const size_t body = golden.find('{');
  if (body == std::string::npos) return golden + ": no answer in it";
  return JsonDifference(WithoutAdditions(response.body, kit::RestServer::kAddress),
                        golden.substr(body));
}

std::string Check(const fs::path& file, const fs::path& golden) {
  const bool is_zone = file.filename().string().starts_with("zone-uni.");
  if (!is_zone && !file.filename().string().starts_with("global."))
    return "there is no control plane of this mode";
  const auto documents = ReadYaml(file);
  if (!documents.has_value()) return documents.error().message();
  if (documents->empty()) return "empty input";
  const Value& input = documents->front();
  const ControlPlane here = is_zone ? ControlPlane{.zone = "kuma-4", .federated = true}
                                    : ControlPlane{.mode = ControlPlane::Mode::kGlobal};
  if (const model::ResourceType* known = AllKinds().Find(TextOf(input, "type"))) {
    return CheckAnswer(*known, input, here, ReadText(golden));
  }
  // A kind that is not there yet: by what matters to labels.
  const model::ResourceType type{.kind = TextOf(input, "type") == "MeshTimeout"
                                             ? std::string_view("MeshTimeout")
                                             : std::string_view("MeshExternalService"),
                                 .is_policy = TextOf(input, "type") == "MeshTimeout",
                                 .global_to_zones = true,
                                 .zone_to_global = true};
  model::Metadata meta{.mesh = TextOf(input, "mesh"), .name = TextOf(input, "name")};
  if (const Value* labels = input.Find("labels"); labels != nullptr && labels->if_object()) {
    for (const auto& [key, value] : *labels->if_object()) meta.labels[key] = TextOf(&value);
  }
  model::Violations found;
  model::CheckLabels(type, meta, here, found);
  model::ValidateMetadata(type, meta, found);
  const std::string text = ReadText(golden);
  const size_t body = text.find('{');
  const auto answer = model::ParseJson(body == std::string::npos ? "" : text.substr(body));
  if (!answer.has_value()) return golden.string() + ": " + answer.error().message();
  model::Array wanted;
  if (const Value* list = answer->Find("invalid_parameters")) {
    for (const Value& entry : *list->if_array()) {
      wanted.push_back(
          model::Object{{"field", TextOf(entry, "field")}, {"message", TextOf(entry, "reason")}});
    }
  }
  const Value wanted_list(std::move(wanted));
  return ViolationDifference(found, &wanted_list);
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".input.yaml")) {
    std::string stem = file.filename().string();
    stem.resize(stem.size() - std::string_view(".input.yaml").size());
    report.Case(stem, Check(file, folder / (stem + ".golden.yaml")));
  }
}

}  // namespace kuma::conformance::multizone_label_validation

// What kuma-dp sends to POST /bootstrap. What the case says about the caller is read off the
// expected request.

#include "dp/bootstrap.h"

#include "tests/conformance/suite.h"

namespace kuma::conformance::dp_bootstrap_client {
namespace {

using model::Value;

std::string Check(const fs::path& folder, const Value& test) {
  const auto want = ReadJson(folder / TextOf(test, "expectedBootstrapRequestFile"));
  if (!want.has_value()) return want.error().message();
  const auto text = [&](std::initializer_list<std::string_view> path) {
    return TextOf(want->At(path));
  };
  const auto number = [&](std::string_view key) -> int64_t {
    const Value* value = want->Find(key);
    return value != nullptr && value->if_int() != nullptr ? *value->if_int() : 0;
  };
  dp::Settings settings;
  settings.metrics_cert_path = text({"metricsResources", "certPath"});
  settings.metrics_key_path = text({"metricsResources", "keyPath"});
  settings.spire_socket_path = text({"spireResources", "socketPath"});
  settings.spire_supported = !settings.spire_socket_path.empty();
  dp::BootstrapInput input;
  input.proxy = {.mesh = text({"mesh"}), .name = text({"name"}), .resource = "", .notes = {}};
  input.proxy.resource =
      dp::ResourceJson(model::Object{{"type", "Dataplane"}}, input.proxy.mesh, input.proxy.name);
  input.token = text({"dataplaneToken"});
  input.token_path = text({"dataplaneTokenPath"});
  input.ca_cert = text({"caCert"});
  input.readiness_port = static_cast<uint16_t>(number("readinessPort"));
  input.max_heap_bytes = want->At({"resources", "maxHeapSizeBytes"}) &&
                                 want->At({"resources", "maxHeapSizeBytes"})->if_int()
                             ? *want->At({"resources", "maxHeapSizeBytes"})->if_int()
                             : 0;
  input.work_folder = text({"workdir"});
  input.system_ca_path = text({"systemCaPath"});
  if (const Value* features = test.Find("features"); features && features->if_array()) {
    for (const Value& feature : *features->if_array()) input.features.push_back(TextOf(&feature));
  }
  if (const Value* metadata = test.Find("metadata"); metadata && metadata->if_object())
    input.dynamic_metadata = *metadata->if_object();
  Value got = dp::BootstrapRequest(settings, input);
  // Versions are set, not compared; their shape is.
  for (const std::string_view part : {"kumaDp", "envoy"}) {
    const Value* ours = got.At({"version", part});
    const Value* theirs = want->At({"version", part});
    if (ours == nullptr || theirs == nullptr) return "no version." + std::string(part);
    for (const auto& [key, value] : *ours->if_object()) {
      if (theirs->Find(key) == nullptr)
        return "not in the expected request: version." + std::string(part) + "." + key;
    }
  }
  if (const Value* version = want->Find("version")) got.if_object()->Set("version", *version);
  return ValueDifference(got, *want);
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
      report.Case(TextOf(test, "expectedBootstrapRequestFile"), Check(folder, test));
  }
}

}  // namespace kuma::conformance::dp_bootstrap_client

// Envoy's bootstrap. generator.*: the table of the suite's README. bootstrap.*: whole answers of the
// server; what was asked is read off the answer.

#include "generate/bootstrap.h"

#include <algorithm>
#include <map>

#include "base/strings.h"
#include "tests/conformance/suite.h"

namespace kuma::conformance::bootstrap {
namespace {

using model::Array;
using model::Object;
using model::Value;

struct Case {
  generate::BootstrapRequest request;
  generate::BootstrapSettings settings;
  generate::BootstrapDataplane dataplane{"backend", 1234};
};

base::Redacted<std::string> Token(std::string_view text) {
  return base::Redacted<std::string>(std::string(text));
}

Case DefaultCase() {
  Case made;
  made.request.mesh = "mesh";
  made.request.name = "name.namespace";
  made.request.workdir = "/tmp";
  made.request.version = *model::ParseJson(
      R"({"kumaDp":{"version":"0.0.1","gitTag":"v0.0.1","gitCommit":"91ce236824a9d875601679aa80c63783fb0e8725",
          "buildDate":"2019-08-07T11:26:06Z"},"envoy":{"version":"1.15.0","build":"hash/1.15.0/RELEASE"}})");
  made.settings.xds_host = "localhost";
  made.settings.admin_port = 0;
  made.settings.admin_unix_socket = false;
  made.settings.ca_pem = "certificate";
  return made;
}

void OnKubernetes(Case& made) {
  made.request.dataplane_token = Token("token");
  made.settings.hds = false;
}

void Custom(Case& made) {
  made.settings.admin_address = "192.168.0.1";
  made.settings.xds_port = 15678;
  made.settings.xds_connect_timeout = std::chrono::seconds(2);
}

// The rows of the README; each changes the default case.
const std::map<std::string, void (*)(Case&, const Value& golden)>& Rows() {
  static const std::map<std::string, void (*)(Case&, const Value&)> kRows = {
      {"default-config-minimal-request",
       [](Case& made, const Value&) { made.dataplane.admin_port = 0; }},
      {"default-config",
       [](Case& made, const Value&) {
         made.request.dataplane_token = Token("token");
         made.request.dns_port = 53001;
       }},
      {"custom-config-minimal-request",
       [](Case& made, const Value&) {
         Custom(made);
         made.settings.admin_access_log_path = "/var/log";
         made.settings.xds_grpc_max_receive_message_bytes = 16777216;
         made.dataplane.admin_port = 9902;
       }},
      {"custom-config",
       [](Case& made, const Value& golden) {
         Custom(made);
         made.settings.admin_port = 9902;
         made.request.dataplane_token = Token("token");
         made.request.dynamic_metadata = Object{{"test", "value"}};
         made.request.dataplane_resource =
             TextOf(golden.At({"node", "metadata", "dataplane.resource"}));
       }},
      {"default-config.kubernetes", [](Case& made, const Value&) { OnKubernetes(made); }},
      {"default-config.kubernetes.ipv6",
       [](Case& made, const Value&) {
         OnKubernetes(made);
         made.settings.xds_host = "fd00:a123::1";
       }},
      {"system-cert-config.kubernetes",
       [](Case& made, const Value&) {
         OnKubernetes(made);
         made.request.system_ca_path = "/etc/certs/cert.pem";
       }},
      {"default-config-token-path",
       [](Case& made, const Value&) {
         made.settings.reloadable_tokens = true;
         made.request.dataplane_token = Token("token");
         made.request.dataplane_token_path = "/path/to/file";
         made.request.dns_port = 53001;
         made.request.metrics_cert_path = "/path/cert/pem";
         made.request.metrics_key_path = "/path/key/pem";
       }},
      {"probes.kubernetes",
       [](Case& made, const Value&) {
         OnKubernetes(made);
         made.request.readiness_port = 15000;
         made.request.app_probe_proxy_enabled = true;
       }},
  };
  return kRows;
}

uint32_t PortOf(const Value* text) {
  return static_cast<uint32_t>(base::ParseUint(TextOf(text)).value_or(0));
}

// The question to an answer, as far as an answer shows it.
Case FromAnswer(const Value& golden) {
  Case made = DefaultCase();
  const std::string id = TextOf(golden.At({"node", "id"}));
  const size_t dot = id.find('.');
  made.request.mesh = id.substr(0, dot);
  made.request.name = dot == std::string::npos ? "" : id.substr(dot + 1);
  made.dataplane.workload = TextOf(golden.At({"node", "cluster"}));
  const auto metadata = [&](std::string_view key) { return golden.At({"node", "metadata", key}); };
  made.dataplane.admin_port = PortOf(metadata("dataplane.admin.port"));
  made.request.dns_port = PortOf(metadata("dataplane.dns.port"));
  made.request.readiness_port = PortOf(metadata("dataplane.readinessReporter.port"));
  made.request.metrics_cert_path = TextOf(metadata("metricsCertPath"));
  made.request.metrics_key_path = TextOf(metadata("metricsKeyPath"));
  made.request.dataplane_resource = TextOf(metadata("dataplane.resource"));
  if (const Value* version = metadata("version")) made.request.version = *version;
  if (const Value* features = metadata("features"); features && features->if_array()) {
    for (const Value& feature : *features->if_array())
      made.request.features.push_back(TextOf(&feature));
  }
  made.settings.hds = golden.Find("hdsConfig") != nullptr;
  const Value* services = golden.At({"dynamicResources", "adsConfig", "grpcServices"});
  if (services != nullptr && services->if_array() != nullptr && !services->if_array()->empty() &&
      services->if_array()->front().Find("initialMetadata") != nullptr)
    made.request.dataplane_token = Token("token");
  return made;
}

// The order of features is not part of the contract; certificates differ.
void Normalise(Value& value, std::string_view key = {}) {
  if (Object* object = value.if_object()) {
    for (auto& [name, member] : *object) Normalise(member, name);
  } else if (Array* list = value.if_array()) {
    for (Value& element : *list) Normalise(element);
    if (key == "features") {
      std::sort(list->begin(), list->end(),
                [](const Value& a, const Value& b) { return TextOf(&a) < TextOf(&b); });
    }
  } else if (key == "inlineBytes") {
    value = "PEM";
  } else if (key == "inlineString" && TextOf(&value).find("token") == std::string::npos) {
    value = "PEM";
  }
}

std::string Check(const fs::path& file) {
  const auto documents = ReadYaml(file);
  if (!documents.has_value()) return documents.error().message();
  if (documents->empty()) return "empty golden";
  Value want = documents->front();
  std::string name = file.stem().stem().string();
  Case made;
  if (name.starts_with("generator.")) {
    const auto row = Rows().find(name.substr(std::string_view("generator.").size()));
    if (row == Rows().end()) return "the README has no row for it";
    made = DefaultCase();
    row->second(made, want);
  } else {
    made = FromAnswer(want);
  }
  auto got = generate::MakeBootstrap(made.request, made.dataplane, made.settings, "ignored");
  if (!got.has_value()) return got.error().message();
  Normalise(want);
  Normalise(*got);
  return ValueDifference(*got, want);
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".golden.yaml"))
    report.Case(file.stem().stem(), Check(file));
}

}  // namespace kuma::conformance::bootstrap

// What Envoy is asked to probe.

#include "generate/health_checks.h"

#include "base/format.h"
#include "model/duration.h"
#include "model/resource_type.h"
#include "resources/dataplane/dataplane.h"
#include "tests/conformance/suite.h"

namespace kuma::conformance::hds {
namespace {

using model::Value;

void ReadDuration(const Value* value, std::chrono::nanoseconds& into) {
  if (value == nullptr || value->if_string() == nullptr) return;
  if (const auto parsed = model::ParseDuration(*value->if_string())) into = parsed->value;
}
void ReadNumber(const Value* value, uint32_t& into) {
  if (value != nullptr && value->if_int() != nullptr)
    into = static_cast<uint32_t>(*value->if_int());
}

// The vectors do not say the configuration of a case: its golden's check of Envoy itself, which
// nothing overrides, shows it.
void ReadConfiguration(const Value& golden, generate::HealthSettings& settings,
                       generate::ProxyNode& node) {
  ReadDuration(golden.Find("interval"), settings.report_interval);
  const Value* clusters = golden.Find("clusterHealthChecks");
  if (clusters == nullptr || clusters->if_array() == nullptr) return;
  for (const Value& cluster : *clusters->if_array()) {
    if (TextOf(cluster, "clusterName") != generate::kAdminProbe) continue;
    if (const Value* check = cluster.At({"healthChecks", "0"})) {
      ReadDuration(check->Find("timeout"), settings.timeout);
      ReadDuration(check->Find("interval"), settings.interval);
      ReadDuration(check->Find("noTrafficInterval"), settings.no_traffic_interval);
      ReadNumber(check->Find("healthyThreshold"), settings.healthy_threshold);
      ReadNumber(check->Find("unhealthyThreshold"), settings.unhealthy_threshold);
    }
    if (const Value* address =
            cluster.At({"localityEndpoints", "0", "endpoints", "0", "address"})) {
      node.admin_socket_path = TextOf(address->At({"pipe", "path"}));
      ReadNumber(address->At({"socketAddress", "portValue"}), settings.admin_port);
    }
  }
}

std::string Difference(const Value& test, const fs::path& folder) {
  const std::string want = ReadText(folder / TextOf(test, "goldenFile"));
  const auto golden = model::ParseYaml(want);
  if (!golden.has_value() || golden->empty()) return "the golden file cannot be read";
  const auto documents = model::ParseYaml(TextOf(test, "dataplane"));
  if (!documents.has_value() || documents->size() != 1 || (*documents)[0].if_object() == nullptr)
    return "the Dataplane cannot be read";
  Value text = (*documents)[0];
  text.if_object()->Set("type", "Dataplane");
  text.if_object()->Set("mesh", "mesh-1");
  text.if_object()->Set("name", "dp-1");
  const model::TypeTable types({&resources::dataplane::Type()});
  const model::Decoded decoded = model::DecodeResource(text, types);
  if (decoded.resource == nullptr) return decoded.unreadable + decoded.violations.ToString();
  const auto& networking = decoded.resource->Spec<resources::dataplane::Spec>().networking;
  if (!networking) return "the Dataplane has no networking";

  generate::HealthSettings settings;
  generate::ProxyNode node;
  ReadConfiguration((*golden)[0], settings, node);
  const auto checks = generate::HealthChecks(*networking, node, settings);
  return checks == nullptr ? "nothing is probed"
                           : YamlDifference(generate::HealthChecksJson(*checks), want);
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".cases.json")) {
    const auto cases = ReadJson(file);
    if (!cases.has_value() || cases->if_array() == nullptr) {
      report.Case(file.stem(), cases.has_value() ? "not a list" : cases.error().message());
      continue;
    }
    for (const Value& test : *cases->if_array()) {
      const Value* number = test.Find("case");
      report.Case(base::Format("{} {}", number == nullptr ? "?" : model::ToJson(*number),
                               TextOf(test, "goldenFile")),
                  Difference(test, folder));
    }
  }
}

}  // namespace kuma::conformance::hds

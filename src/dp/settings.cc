#include "dp/settings.h"

#include <algorithm>

#include "base/format.h"
#include "base/strings.h"
#include "net/http.h"

namespace kuma::dp {
namespace {

using model::Object;
using model::Value;

// The member at a dotted key, or null.
const Value* FindKey(const Value& root, std::string_view key) {
  const Value* value = &root;
  for (const std::string& part : base::Split(key, '.')) {
    value = value->Find(part);
    if (value == nullptr) return nullptr;
  }
  return value;
}

void CollectKeys(const Value& value, const std::string& path, std::vector<std::string>& keys) {
  if (const auto* object = value.if_object()) {
    for (const auto& [key, member] : *object) {
      CollectKeys(member, path.empty() ? key : path + "." + key, keys);
    }
  } else if (!value.is_null()) {
    keys.push_back(path);
  }
}

std::string ScalarText(const Value& value) {
  if (const std::string* text = value.if_string()) return *text;
  return model::ToJson(value);
}

std::optional<bool> ParseBool(std::string_view text) {
  const std::string word = base::ToLower(text);
  if (word == "true" || word == "1" || word == "t") return true;
  if (word == "false" || word == "0" || word == "f") return false;
  return std::nullopt;
}

bool IsEmpty(const Setting::Target& target) {
  struct Visitor {
    bool operator()(const std::string* value) { return value->empty(); }
    bool operator()(const bool* value) { return !*value; }
    bool operator()(const int64_t* value) { return *value == 0; }
    bool operator()(const model::Duration* value) { return value->value.count() == 0; }
    bool operator()(const Files* value) { return value->empty(); }
    bool operator()(const Variables* value) { return value->empty(); }
  };
  return std::visit(Visitor(), target);
}

Value ToValue(const Setting::Target& target) {
  struct Visitor {
    Value operator()(const std::string* value) { return *value; }
    Value operator()(const bool* value) { return *value; }
    Value operator()(const int64_t* value) { return *value; }
    Value operator()(const model::Duration* value) { return model::ToString(*value); }
    Value operator()(const Files* value) { return base::Join(*value, ","); }
    Value operator()(const Variables* value) {
      Object object;
      for (const auto& [key, text] : *value) object.Set(key, text);
      return object;
    }
  };
  return std::visit(Visitor(), target);
}

}  // namespace

std::vector<Setting> SettingsTable(Settings& s) {
  return {
      {"controlPlane.url", "KUMA_CONTROL_PLANE_URL", "cp-address", 0,
       "URL of the Control Plane Dataplane Server", &s.cp_url, true},
      {"controlPlane.caCertFile", "KUMA_CONTROL_PLANE_CA_CERT_FILE", "ca-cert-file", 0,
       "Path to CA cert by which connection to the Control Plane will be verified if HTTPS is used",
       &s.ca_cert_file, true},
      {"controlPlane.caCert", "KUMA_CONTROL_PLANE_CA_CERT", "", 0, "", &s.ca_cert, true},
      {"controlPlane.tlsSkipVerify", "KUMA_CONTROL_PLANE_TLS_SKIP_VERIFY", "skip-verify", 0,
       "Skip verification of the Control Plane's certificate", &s.skip_verify, true},
      {"controlPlane.retry.backoff", "KUMA_CONTROL_PLANE_RETRY_BACKOFF", "", 0, "",
       &s.retry_backoff, true},
      {"controlPlane.retry.maxDuration", "KUMA_CONTROL_PLANE_RETRY_MAX_DURATION", "", 0, "",
       &s.retry_max, true},
      {"dataplane.mesh", "KUMA_DATAPLANE_MESH", "mesh", 0, "Mesh that Dataplane belongs to",
       &s.mesh},
      {"dataplane.name", "KUMA_DATAPLANE_NAME", "name", 0, "Name of the Dataplane", &s.name},
      {"dataplane.proxyType", "KUMA_DATAPLANE_PROXY_TYPE", "proxy-type", 0,
       "type of the Dataplane (\"dataplane\")", &s.proxy_type},
      {"dataplane.drainTime", "KUMA_DATAPLANE_DRAIN_TIME", "drain-time", 0,
       "drain time for Envoy connections on "
       "Kuma DP shutdown",
       &s.drain_time, true},
      {"dataplane.readinessPort", "KUMA_READINESS_PORT", "", 0, "", &s.readiness_port, true},
      {"dataplane.resilientComponentBaseBackoff", "KUMA_DATAPLANE_RESILIENT_COMPONENT_BASE_BACKOFF",
       "", 0, "", &s.component_backoff, true},
      {"dataplane.resilientComponentMaxBackoff", "KUMA_DATAPLANE_RESILIENT_COMPONENT_MAX_BACKOFF",
       "", 0, "", &s.component_max_backoff, true},
      {"dataplaneRuntime.binaryPath", "KUMA_DATAPLANE_RUNTIME_BINARY_PATH", "binary-path", 0,
       "Binary path of Envoy executable", &s.binary_path},
      {"dataplaneRuntime.workDir", "KUMA_DATAPLANE_RUNTIME_WORK_DIR", "work-dir", 0,
       "Directory in which bootstrap and sockets are kept; a temporary one if not set",
       &s.work_dir},
      {"dataplaneRuntime.concurrency", "KUMA_DATAPLANE_RUNTIME_CONCURRENCY", "concurrency", 0,
       "Number of Envoy worker threads", &s.concurrency},
      {"dataplaneRuntime.dataplaneTokenPath", "KUMA_DATAPLANE_RUNTIME_TOKEN_PATH",
       "dataplane-token-file", 0, "Path to a file with dataplane token", &s.token_path},
      {"dataplaneRuntime.dataplaneToken", "KUMA_DATAPLANE_RUNTIME_TOKEN", "dataplane-token", 0,
       "Dataplane Token", &s.token},
      {"dataplaneRuntime.resource", "KUMA_DATAPLANE_RUNTIME_RESOURCE", "dataplane", 0,
       "Dataplane template to apply (YAML or JSON)", &s.resource},
      {"dataplaneRuntime.resourcePath", "KUMA_DATAPLANE_RUNTIME_RESOURCE_PATH", "dataplane-file",
       'd', "Path to Dataplane template to apply (YAML or JSON)", &s.resource_path},
      {"dataplaneRuntime.resourceVars", "", "dataplane-var", 'v',
       "Variable to replace in Dataplane template", &s.resource_vars},
      {"dataplaneRuntime.envoyLogLevel", "KUMA_DATAPLANE_RUNTIME_ENVOY_LOG_LEVEL",
       "envoy-log-level", 0, "Envoy log level; follows --log-level if not set", &s.envoy_log_level},
      {"dataplaneRuntime.envoyComponentLogLevel",
       "KUMA_DATAPLANE_RUNTIME_ENVOY_COMPONENT_LOG_LEVEL", "envoy-component-log-level", 0,
       "Configures Envoy's --component-log-level", &s.envoy_component_log_level},
      {"dataplaneRuntime.resources.maxMemoryBytes", "KUMA_DATAPLANE_RESOURCES_MAX_MEMORY_BYTES", "",
       0, "", &s.max_memory_bytes},
      {"dataplaneRuntime.metrics.certPath", "KUMA_DATAPLANE_RUNTIME_METRICS_CERT_PATH",
       "metrics-cert-path", 0, "A path to the certificate for metrics listener",
       &s.metrics_cert_path},
      {"dataplaneRuntime.metrics.keyPath", "KUMA_DATAPLANE_RUNTIME_METRICS_KEY_PATH",
       "metrics-key-path", 0, "A path to the certificate key for metrics listener",
       &s.metrics_key_path},
      {"dataplaneRuntime.dynamicConfiguration.refreshInterval",
       "KUMA_DATAPLANE_RUNTIME_DYNAMIC_CONFIGURATION_REFRESH_INTERVAL", "", 0, "",
       &s.refresh_interval, true},
      {"dataplaneRuntime.systemCaPath", "KUMA_DATAPLANE_RUNTIME_DYNAMIC_SYSTEM_CA_PATH", "", 0, "",
       &s.system_ca_path},
      {"dataplaneRuntime.transparentProxy", "KUMA_DATAPLANE_RUNTIME_TRANSPARENT_PROXY",
       "transparent-proxy", 0,
       "The workload's traffic is redirected to Envoy, by the ports that Kuma uses",
       &s.transparent_proxy},
      {"dataplaneRuntime.transparentProxyConfig", "", "transparent-proxy-config", 0,
       "How the workload's traffic is redirected: files, separated by commas, or - for the "
       "standard input; may be repeated, later values win",
       &s.transparent_proxy_config},
      {"dataplaneRuntime.bindOutbounds", "KUMA_DATAPLANE_RUNTIME_BIND_OUTBOUNDS", "bind-outbounds",
       0, "Bind outbounds to their addresses instead of redirecting to them", &s.bind_outbounds},
      {"dataplaneRuntime.IPv6Enabled", "KUMA_DATAPLANE_RUNTIME_IPV6_ENABLED", "", 0, "",
       &s.ipv6_enabled, true},
      {"dataplaneRuntime.spire.supported", "KUMA_DATAPLANE_RUNTIME_SPIRE_SUPPORTED", "", 0, "",
       &s.spire_supported},
      {"dataplaneRuntime.spire.socketPath", "KUMA_DATAPLANE_RUNTIME_SPIRE_SOCKET_PATH", "", 0, "",
       &s.spire_socket_path},
      {"dataplaneRuntime.strictInboundPortsEnabled",
       "KUMA_DATAPLANE_RUNTIME_STRICT_INBOUND_PORTS_ENABLED", "", 0, "", &s.strict_inbound_ports,
       true},
      {"dataplaneRuntime.otelPipeEnabled", "KUMA_DATAPLANE_RUNTIME_OTEL_PIPE_ENABLED", "", 0, "",
       &s.otel_pipe, true},
      {"dataplaneRuntime.reusePortEnabled", "KUMA_DATAPLANE_RUNTIME_REUSE_PORT_ENABLED", "", 0, "",
       &s.reuse_port, true},
      {"dns.enabled", "KUMA_DNS_ENABLED", "dns-enabled", 0, "If true then the DNS proxy is enabled",
       &s.dns_enabled, true},
      {"dns.proxyPort", "KUMA_DNS_PROXY_PORT", "dns-proxy-port", 0, "Port of the DNS proxy",
       &s.dns_port, true},
      {"applicationProbeProxyServer.port", "KUMA_APPLICATION_PROBE_PROXY_PORT", "", 0, "",
       &s.probe_proxy_port},
  };
}

base::Status SetFromText(Settings& settings, const Setting& row, std::string_view text) {
  struct Visitor {
    std::string_view text;
    std::string_view operator()(std::string* target) {
      *target = text;
      return {};
    }
    std::string_view operator()(bool* target) {
      const auto value = ParseBool(text);
      if (!value) return "true or false";
      *target = *value;
      return {};
    }
    std::string_view operator()(int64_t* target) {
      const auto value = base::ParseInt(text);
      if (!value) return "a number";
      *target = *value;
      return {};
    }
    std::string_view operator()(model::Duration* target) {
      const auto value = model::ParseDuration(text);
      if (!value) return "a duration such as 30s or 5m";
      *target = *value;
      return {};
    }
    std::string_view operator()(Files* target) {
      for (const std::string& part : base::Split(text, ',')) {
        if (!base::Trim(part).empty()) target->emplace_back(base::Trim(part));
      }
      return {};
    }
    std::string_view operator()(Variables* target) {
      for (const std::string& part : base::Split(text, ',')) {
        const size_t equals = part.find('=');
        if (equals != std::string::npos) {
          target->emplace_back(part.substr(0, equals), part.substr(equals + 1));
        } else if (!target->empty()) {
          target->back().second += "," + part;
        } else {
          return "key=value";
        }
      }
      return {};
    }
  };
  const std::string_view expected = std::visit(Visitor{text}, row.target);
  if (!expected.empty()) return base::Invalid(base::Format("\"{}\" is not {}", text, expected));
  settings.given.emplace(row.key);
  return base::Ok{};
}

base::Status LoadSettings(Settings& settings, std::string_view file,
                          const Environment& environment) {
  const std::vector<Setting> table = SettingsTable(settings);
  TRY_ASSIGN(const std::vector<Value> documents, model::ParseYaml(file));
  if (!documents.empty() && !documents.front().is_null()) {
    const Value& root = documents.front();
    if (root.if_object() == nullptr)
      return base::Invalid("the configuration is not a YAML mapping");
    std::vector<std::string> keys;
    CollectKeys(root, "", keys);
    for (const std::string& key : keys) {
      const bool known = std::ranges::any_of(table, [&](const Setting& row) {
        return row.key == key || key.starts_with(std::string(row.key) + ".");
      });
      if (!known) return base::Invalid(base::Format("unknown key {}", key));
    }
    for (const Setting& row : table) {
      const Value* value = FindKey(root, row.key);
      if (value == nullptr || value->is_null()) continue;
      if (auto* const* variables = std::get_if<Variables*>(&row.target);
          variables && value->if_object()) {
        for (const auto& [key, text] : *value->if_object())
          (*variables)->emplace_back(key, ScalarText(text));
        continue;
      }
      auto status = SetFromText(settings, row, ScalarText(*value));
      if (!status.has_value()) return std::move(status).error().Context(row.key);
    }
  }
  for (const Setting& row : table) {
    if (row.variable.empty()) continue;
    const auto text = environment(row.variable);
    if (!text) continue;
    auto status = SetFromText(settings, row, *text);
    if (!status.has_value()) return std::move(status).error().Context(row.variable);
  }
  return base::Ok{};
}

model::Value WriteSettings(const Settings& settings) {
  Settings copy = settings;
  Value root = Object();
  for (const Setting& row : SettingsTable(copy)) {
    Object* object = root.if_object();
    std::vector<std::string> parts = base::Split(row.key, '.');
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      Value& member = (*object)[parts[i]];
      if (member.if_object() == nullptr) member = Object();
      object = member.if_object();
    }
    if (row.always_shown || !IsEmpty(row.target)) object->Set(parts.back(), ToValue(row.target));
  }
  return model::Sorted(std::move(root));
}

std::string HowToSet(std::string_view key) {
  Settings settings;
  for (const Setting& row : SettingsTable(settings)) {
    if (row.key != key) continue;
    if (row.flag.empty()) return std::string(row.variable);
    if (row.variable.empty()) return base::Format("--{}", row.flag);
    return base::Format("--{} or {}", row.flag, row.variable);
  }
  return std::string(key);
}

model::Violations ValidateSettings(const Settings& settings) {
  model::Violations violations;
  const auto add = [&](std::string_view key, std::string_view message) {
    violations.Add(std::string(key), std::string(message),
                   base::Format("set it with {}", HowToSet(key)));
  };
  const auto url = net::ParseUrl(settings.cp_url);
  if (!url.has_value() || url->host.empty() || (url->scheme != "http" && url->scheme != "https")) {
    add("controlPlane.url", "must be an absolute http or https URL");
  }
  if (settings.retry_backoff.value.count() <= 0)
    add("controlPlane.retry.backoff", "must be positive");
  if (settings.retry_max.value.count() <= 0)
    add("controlPlane.retry.maxDuration", "must be positive");
  if (settings.proxy_type != "dataplane") {
    add("dataplane.proxyType",
        base::Format("\"{}\" is not supported; it must be \"dataplane\"", settings.proxy_type));
  }
  if (settings.resource.empty() && settings.resource_path.empty()) {
    if (settings.mesh.empty()) add("dataplane.mesh", "must be set");
    if (settings.name.empty())
      add("dataplane.name", "must be set, or a Dataplane given with --dataplane-file");
  }
  if (settings.name.find("$(") != std::string::npos) {
    add("dataplane.name", "holds names of variables instead of their values");
  }
  if (settings.drain_time.value.count() <= 0) add("dataplane.drainTime", "must be positive");
  const auto port = [&](std::string_view key, int64_t value, int64_t least) {
    if (value < least || value > 65535)
      add(key, base::Format("must be a port ({} to 65535)", least));
  };
  port("dataplane.readinessPort", settings.readiness_port, 1);
  port("dns.proxyPort", settings.dns_port, 0);
  port("applicationProbeProxyServer.port", settings.probe_proxy_port, 0);
  if (settings.binary_path.empty()) add("dataplaneRuntime.binaryPath", "must be set");
  if (settings.concurrency < 0) add("dataplaneRuntime.concurrency", "must not be negative");
  if (!settings.resource.empty() && !settings.resource_path.empty()) {
    add("dataplaneRuntime.resource", "cannot be set together with dataplaneRuntime.resourcePath");
  }
  if (!settings.token.empty() && !settings.token_path.empty()) {
    add("dataplaneRuntime.dataplaneToken",
        "cannot be set together with dataplaneRuntime.dataplaneTokenPath");
  }
  return violations;
}

}  // namespace kuma::dp

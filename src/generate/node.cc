#include <algorithm>

#include "base/format.h"
#include "base/strings.h"
#include "generate/generate.h"
#include "model/value.h"

namespace kuma::generate {
namespace {

using model::Value;

std::string Text(const Value& metadata, std::string_view key) {
  const Value* member = metadata.Find(key);
  const std::string* text = member == nullptr ? nullptr : member->if_string();
  return text == nullptr ? std::string() : *text;
}

// Ports are texts in node metadata.
base::Status ReadPort(const Value& metadata, std::string_view key, uint32_t& out) {
  const Value* member = metadata.Find(key);
  if (member == nullptr || member->is_null()) return base::Ok{};
  std::optional<uint64_t> port;
  if (const std::string* text = member->if_string()) port = base::ParseUint(*text);
  if (const int64_t* number = member->if_int(); number != nullptr && *number >= 0) port = *number;
  if (!port || *port > 65535)
    return base::Invalid(base::Format("node metadata {}: not a port", key));
  out = static_cast<uint32_t>(*port);
  return base::Ok{};
}

base::Result<NodeTransparentProxy::Flow> ReadFlow(const Value& redirect, std::string_view key) {
  NodeTransparentProxy::Flow flow{.enabled = false, .port = 0};
  const Value* member = redirect.Find(key);
  if (member == nullptr || member->if_object() == nullptr) return flow;
  if (const Value* enabled = member->Find("enabled"); enabled != nullptr && enabled->if_bool())
    flow.enabled = *enabled->if_bool();
  auto status = ReadPort(*member, "port", flow.port);
  if (!status.has_value())
    return std::move(status).error().Context(base::Format("transparentProxy.redirect.{}", key));
  if (flow.enabled && flow.port == 0)
    return base::Invalid(
        base::Format("node metadata transparentProxy.redirect.{}.port: must be set", key));
  return flow;
}

base::Result<NodeTransparentProxy> ReadTransparentProxy(const Value& config) {
  NodeTransparentProxy result;
  const std::string mode = base::ToLower(Text(config, "ipFamilyMode"));
  if (!mode.empty() && mode != "dualstack" && mode != "ipv4")
    return base::Invalid(
        "node metadata transparentProxy.ipFamilyMode: must be 'dualstack' or 'ipv4'");
  result.ipv4_only = mode == "ipv4";
  static const Value kNone;
  const Value* redirect = config.Find("redirect");
  if (redirect == nullptr) redirect = &kNone;
  TRY_ASSIGN(result.inbound, ReadFlow(*redirect, "inbound"));
  TRY_ASSIGN(result.outbound, ReadFlow(*redirect, "outbound"));
  return result;
}

}  // namespace

base::Result<ProxyNode> ParseProxyNode(std::string_view metadata_json) {
  TRY_ASSIGN(const Value metadata, model::ParseJson(metadata_json));
  if (metadata.if_object() == nullptr) return base::Invalid("node metadata: not an object");
  ProxyNode node;
  node.readiness_port = 0;
  TRY(ReadPort(metadata, "dataplane.admin.port", node.admin_port));
  TRY(ReadPort(metadata, "dataplane.readinessReporter.port", node.readiness_port));
  TRY(ReadPort(metadata, "dataplane.dns.port", node.dns_port));
  node.admin_address = Text(metadata, "dataplane.admin.address");
  node.admin_socket_path = Text(metadata, "dataplane.admin.socketPath");
  node.workdir = Text(metadata, "workdir");
  node.system_ca_path = Text(metadata, "systemCaPath");
  if (const Value* config = metadata.Find("transparentProxy");
      config != nullptr && config->if_object() != nullptr) {
    TRY_ASSIGN(node.transparent_proxy, ReadTransparentProxy(*config));
  }
  if (const Value* flag = metadata.Find("ipv6Enabled");
      flag != nullptr && flag->if_bool() != nullptr)
    node.ipv6_enabled = *flag->if_bool();
  if (const Value* list = metadata.Find("features");
      list != nullptr && list->if_array() != nullptr) {
    for (const Value& feature : *list->if_array()) {
      if (const std::string* text = feature.if_string()) node.features.push_back(*text);
    }
  }
  std::sort(node.features.begin(), node.features.end());
  node.features.erase(std::unique(node.features.begin(), node.features.end()), node.features.end());
  if (const Value* version = metadata.At({"version", "envoy", "version"});
      version && version->if_string())
    node.envoy_version = *version->if_string();
  if (const Value* env = metadata.Find("otelEnvInventory"); env != nullptr && env->if_object())
    node.collector_env = model::ToJson(*env);
  return node;
}

}  // namespace kuma::generate

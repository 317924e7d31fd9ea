#include "dp/otel_env.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::dp {
namespace {

using model::Array;
using model::Object;
using model::Value;

struct Variable {
  std::string_view name;  // in the inventory
  std::string_view suffix;
  std::optional<std::string> OtelVariables::*value;
};
// In the order of names, as the inventory has them.
constexpr Variable kVariables[] = {
    {"certificate", "CERTIFICATE", &OtelVariables::certificate},
    {"clientCertificate", "CLIENT_CERTIFICATE", &OtelVariables::client_certificate},
    {"clientKey", "CLIENT_KEY", &OtelVariables::client_key},
    {"compression", "COMPRESSION", &OtelVariables::compression},
    {"endpoint", "ENDPOINT", &OtelVariables::endpoint},
    {"headers", "HEADERS", &OtelVariables::headers},
    {"insecure", "INSECURE", &OtelVariables::insecure},
    {"protocol", "PROTOCOL", &OtelVariables::protocol},
    {"timeout", "TIMEOUT", &OtelVariables::timeout},
};

constexpr std::string_view kShared = "OTEL_EXPORTER_OTLP_";

std::string PrefixOf(OtelSignal signal) {
  std::string prefix(kShared);
  for (const char c : NameOf(signal)) prefix += static_cast<char>(c - 'a' + 'A');
  return prefix + "_";
}

OtelVariables ReadVariables(const Environment& environment, const std::string& prefix) {
  OtelVariables variables;
  for (const Variable& row : kVariables) {
    const std::string text(base::Trim(environment(prefix + std::string(row.suffix)).value_or("")));
    if (!text.empty()) variables.*row.value = text;
  }
  return variables;
}

// An endpoint with a path needs HTTP. `shared` may be null.
bool IsEndpointFaulty(const OtelVariables& variables, const OtelVariables* shared) {
  if (!variables.endpoint || ParseOtelEndpoint(*variables.endpoint).path.empty()) return false;
  const auto& protocol =
      variables.protocol || shared == nullptr ? variables.protocol : shared->protocol;
  return !protocol || ParseOtelProtocol(*protocol) == OtelProtocol::kGrpc;
}

// What is wrong, by the names of the inventory; "mtls": a client certificate without key or the
// other way round.
std::vector<std::string_view> FaultsOf(const OtelVariables& variables,
                                       const OtelVariables* shared) {
  std::vector<std::string_view> faults;
  if (variables.protocol && !ParseOtelProtocol(*variables.protocol)) faults.push_back("protocol");
  if (IsEndpointFaulty(variables, shared)) faults.push_back("endpoint");
  if (variables.compression && !ParseOtelCompression(*variables.compression))
    faults.push_back("compression");
  if (variables.timeout && !ParseOtelTimeout(*variables.timeout)) faults.push_back("timeout");
  if (variables.client_certificate.has_value() != variables.client_key.has_value())
    faults.push_back("mtls");
  return faults;
}

std::string_view AuthModeOf(const OtelVariables& variables) {
  if (variables.client_certificate && variables.client_key) return "mtls";
  if (variables.certificate) return "tls";
  return variables.headers ? "headers" : "none";
}

// Null if no variable is set. `shared` is null for the set that is shared.
Value InventoryOf(std::string_view name, const OtelVariables& variables,
                  const OtelVariables* shared) {
  Object out;
  Array overrides;
  for (const Variable& row : kVariables) {
    const auto& value = variables.*row.value;
    if (!value) continue;
    out.Set(base::Format("{}Present", row.name), true);
    if (shared != nullptr && shared->*row.value != value) overrides.emplace_back(row.name);
  }
  if (out.empty()) return {};
  out.Set("signal", name);
  if (variables.endpoint) {
    const OtelEndpoint endpoint = ParseOtelEndpoint(*variables.endpoint);
    if (endpoint.tls) out.Set("endpointParsedAsURL", true);
    if (!endpoint.path.empty()) out.Set("endpointHasPath", true);
  }
  if (variables.protocol) {
    out.Set("effectiveProtocol",
            ParseOtelProtocol(*variables.protocol) ? *variables.protocol : "unknown");
  }
  out.Set("effectiveAuthMode", AuthModeOf(variables));
  if (!overrides.empty()) out.Set("overrideKinds", std::move(overrides));
  Array faults;
  for (const std::string_view fault : FaultsOf(variables, shared))
    faults.emplace_back(base::Format("{}.{}", name, fault));
  if (!faults.empty()) out.Set("validationErrors", std::move(faults));
  return out;
}

}  // namespace

std::string_view NameOf(OtelSignal signal) {
  switch (signal) {
    case OtelSignal::kTraces: return "traces";
    case OtelSignal::kLogs: return "logs";
    case OtelSignal::kMetrics: return "metrics";
  }
  return "";
}

OtelEnvironment ReadOtelEnvironment(const Environment& environment) {
  OtelEnvironment result;
  result.shared = ReadVariables(environment, std::string(kShared));
  for (const OtelSignal signal : kOtelSignals)
    result.signals[static_cast<size_t>(signal)] = ReadVariables(environment, PrefixOf(signal));
  result.host_ip = environment("HOST_IP").value_or("");
  return result;
}

Value OtelInventory(const OtelEnvironment& environment, bool pipe_enabled) {
  Object out;
  if (pipe_enabled) out.Set("pipeEnabled", true);
  Array faults;
  const auto add = [&](std::string_view name, Value inventory) {
    if (inventory.is_null()) return;
    if (const Value* own = inventory.Find("validationErrors"))
      faults.insert(faults.end(), own->if_array()->begin(), own->if_array()->end());
    out.Set(name, std::move(inventory));
  };
  add("shared", InventoryOf("shared", environment.shared, nullptr));
  for (const OtelSignal signal : kOtelSignals) {
    add(NameOf(signal), InventoryOf(NameOf(signal), environment.Of(signal), &environment.shared));
  }
  if (!faults.empty()) out.Set("validationErrors", std::move(faults));
  return out;
}

std::vector<std::string> FaultyOtelVariables(const OtelEnvironment& environment) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& prefix, const OtelVariables& variables,
                       const OtelVariables* shared) {
    for (const std::string_view fault : FaultsOf(variables, shared)) {
      const auto* row = std::ranges::find(kVariables, fault, &Variable::name);
      names.push_back(
          prefix + std::string(row == std::end(kVariables) ? "CLIENT_CERTIFICATE" : row->suffix));
    }
  };
  add(std::string(kShared), environment.shared, nullptr);
  for (const OtelSignal signal : kOtelSignals)
    add(PrefixOf(signal), environment.Of(signal), &environment.shared);
  return names;
}

std::optional<OtelProtocol> ParseOtelProtocol(std::string_view text) {
  if (text == "grpc") return OtelProtocol::kGrpc;
  if (text == "http/protobuf") return OtelProtocol::kHttp;
  return std::nullopt;
}

std::optional<bool> ParseOtelCompression(std::string_view text) {
  if (base::EqualsIgnoreCase(text, "gzip")) return true;
  if (base::EqualsIgnoreCase(text, "none")) return false;
  return std::nullopt;
}

std::optional<runtime::Duration> ParseOtelTimeout(std::string_view text) {
  const auto milliseconds = base::ParseInt(text);
  if (!milliseconds || *milliseconds < 0) return std::nullopt;
  // A year is as good as for ever.
  return std::chrono::milliseconds(std::min<int64_t>(*milliseconds, int64_t{365} * 86'400'000));
}

std::optional<bool> ParseOtelInsecure(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

net::Headers ParseOtelHeaders(std::string_view text) {
  net::Headers headers;
  for (const std::string& pair : base::Split(text, ',')) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos) continue;
    const std::string_view name = base::Trim(std::string_view(pair).substr(0, equals));
    if (name.empty()) continue;
    std::string value = pair.substr(equals + 1);
    if (auto decoded = net::PercentDecode(value)) value = *std::move(decoded);
    headers.Set(name, std::move(value));
  }
  return headers;
}

OtelEndpoint ParseOtelEndpoint(std::string_view text) {
  const size_t separator = text.find("://");
  if (separator != std::string_view::npos && separator > 0) {
    const std::string scheme = base::ToLower(text.substr(0, separator));
    std::string_view rest = text.substr(separator + 3);
    std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
    rest.remove_prefix(authority.size());
    rest = rest.substr(0, rest.find_first_of("?#"));
    authority.remove_prefix(authority.rfind('@') + 1);  // npos + 1 is 0
    if (!authority.empty()) {
      return {.authority = std::string(authority),
              .tls = scheme != "http" && scheme != "unix",
              .path = std::string(rest)};
    }
  }
  return {.authority = std::string(text), .tls = std::nullopt, .path = ""};
}

}  // namespace kuma::dp

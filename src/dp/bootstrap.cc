#include "dp/bootstrap.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/format.h"
#include "base/strings.h"
#include "base/version.h"
#include "dp/files.h"

namespace kuma::dp {
namespace {

using model::Array;
using model::Object;
using model::Value;

// Older ones lack what the generated configuration uses.
constexpr int64_t kOldestMinor = 36;

std::string Text(const Value& object, std::string_view key) {
  const Value* value = object.Find(key);
  return value != nullptr && value->if_string() != nullptr ? *value->if_string() : "";
}

// A key in camelCase or snake_case, as Envoy accepts both.
const Value* FindEither(const Value& object, std::string_view camel, std::string_view snake) {
  const Value* value = object.Find(camel);
  return value != nullptr ? value : object.Find(snake);
}

bool IsOwnAddress(const std::string& host) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return false;
  bool own = false;
  for (const ifaddrs* item = list; item != nullptr && !own; item = item->ifa_next) {
    if (item->ifa_addr == nullptr) continue;
    char text[INET6_ADDRSTRLEN] = "";
    if (item->ifa_addr->sa_family == AF_INET) {
      inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(item->ifa_addr)->sin_addr, text,
                sizeof text);
    } else if (item->ifa_addr->sa_family == AF_INET6) {
      inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(item->ifa_addr)->sin6_addr, text,
                sizeof text);
    }
    own = host == text;
  }
  freeifaddrs(list);
  return own;
}

}  // namespace

base::Result<EnvoyVersion> ParseEnvoyVersion(std::string_view output) {
  // "envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL"
  const size_t label = output.find("version:");
  if (label != std::string_view::npos) {
    std::string_view build = base::Trim(output.substr(label + 8));
    build = base::Trim(build.substr(0, build.find('\n')));
    const std::vector<std::string> parts = base::Split(build, '/');
    if (parts.size() >= 2) {
      EnvoyVersion version{.version = parts[1], .build = std::string(build), .compatible = false};
      const std::vector<std::string> numbers = base::Split(parts[1], '.');
      const auto minor = numbers.size() >= 2 ? base::ParseInt(numbers[1]) : std::nullopt;
      version.compatible = numbers[0] == "1" && minor.value_or(0) >= kOldestMinor;
      return version;
    }
  }
  return base::Invalid(
      base::Format("its --version printed: {}", base::Trim(output).substr(0, 200)));
}

std::vector<std::string> Features(const Settings& settings) {
  std::vector<std::string> features = {"feature-tcp-accesslog-via-named-pipe"};
  if (settings.otel_pipe) features.emplace_back("feature-otel-via-kuma-dp");
  if (settings.transparent_proxy || !settings.transparent_proxy_config.empty())
    features.emplace_back("feature-transparent-proxy-in-dataplane-metadata");
  if (settings.bind_outbounds) features.emplace_back("feature-bind-outbounds");
  if (settings.spire_supported) features.emplace_back("feature-spire");
  if (settings.strict_inbound_ports) features.emplace_back("feature-strict-inbound-ports");
  if (settings.reuse_port) features.emplace_back("feature-reuse-port");
  return features;
}

Value BootstrapRequest(const Settings& settings, const BootstrapInput& input) {
  const base::BuildVersion& own = base::Version();
  Object request{{"mesh", input.proxy.mesh},
                 {"name", input.proxy.name},
                 {"proxyType", settings.proxy_type},
                 {"dataplaneToken", input.token}};
  if (!input.token_path.empty()) request.Set("dataplaneTokenPath", input.token_path);
  if (!input.proxy.resource.empty()) request.Set("dataplaneResource", input.proxy.resource);
  request.Set("version", Object{{"kumaDp", Object{{"version", own.version},
                                                  {"gitTag", own.git_tag},
                                                  {"gitCommit", own.git_commit},
                                                  {"buildDate", own.build_date}}},
                                {"envoy", Object{{"version", input.envoy.version},
                                                 {"build", input.envoy.build},
                                                 {"kumaDpCompatible", input.envoy.compatible}}}});
  request.Set("caCert", input.ca_cert);
  request.Set("dynamicMetadata", input.dynamic_metadata ? Value(*input.dynamic_metadata) : Value());
  if (!input.otel_env.is_null()) request.Set("otelEnv", input.otel_env);
  if (settings.dns_enabled) request.Set("dnsPort", settings.dns_port);
  request.Set("readinessPort", int64_t{input.readiness_port});
  // In spite of its name, true means that the probe proxy is on.
  if (settings.probe_proxy_port != 0) request.Set("appProbeProxyDisabled", true);
  request.Set("operatingSystem", "linux");
  request.Set("features", Array(input.features.begin(), input.features.end()));
  request.Set("resources", Object{{"maxHeapSizeBytes", input.max_heap_bytes}});
  request.Set("workdir", input.work_folder);
  request.Set("metricsResources", Object{{"certPath", settings.metrics_cert_path},
                                         {"keyPath", settings.metrics_key_path}});
  request.Set("systemCaPath", input.system_ca_path);
  if (!input.proxy.transparent_proxy.is_null())
    request.Set("dataplaneConfig", input.proxy.transparent_proxy);
  request.Set("ipv6Enabled", settings.ipv6_enabled);
  request.Set("spireResources", Object{{"socketPath", settings.spire_socket_path}});
  return request;
}

base::Result<std::string> ReadBootstrapReply(const net::HttpResponse& response) {
  if (!response.headers.Get("content-type").starts_with("application/json")) return response.body;
  TRY_ASSIGN(const Value reply, model::ParseJson(response.body));
  auto bootstrap = base::DecodeBase64(Text(reply, "bootstrap"));
  if (!bootstrap || bootstrap->empty())
    return base::Internal("the answer holds no bootstrap configuration");
  return *std::move(bootstrap);
}

std::string WithAnchoredStatsTags(std::string bootstrap) {
  // As plain YAML has it, and as quoted YAML and JSON have it.
  for (const std::string_view tag : {R"(((.+?)\.)rbac\.)", R"(((.+?)\\.)rbac\\.)"}) {
    for (size_t at = bootstrap.find(tag); at != std::string::npos;
         at = bootstrap.find(tag, at + tag.size())) {
      if (at > 0 && bootstrap[at - 1] != '^') bootstrap.insert(at++, 1, '^');
    }
  }
  return bootstrap;
}

std::string RefusalText(const net::HttpResponse& response) {
  const auto parsed = model::ParseJson(response.body);
  std::string text;
  if (parsed.has_value() && !Text(*parsed, "title").empty()) {
    text = Text(*parsed, "title");
    if (const std::string detail = Text(*parsed, "detail"); !detail.empty()) text += ": " + detail;
    if (const Value* list = parsed->Find("invalid_parameters");
        list != nullptr && list->if_array() != nullptr) {
      for (const Value& item : *list->if_array()) {
        text += base::Format("; {}: {}", Text(item, "field"), Text(item, "reason"));
        if (const std::string hint = Text(item, "hint"); !hint.empty())
          text += base::Format(" ({})", hint);
      }
    }
    if (const std::string hint = Text(*parsed, "hint"); !hint.empty()) text += "; " + hint;
  } else {
    text = base::ReplaceAll(std::string(base::Trim(response.body)), "\n", " ");
  }
  if (text.empty()) text = net::ReasonPhrase(response.status);
  return base::Format("{} ({})", text, response.status);
}

base::Result<std::optional<AdminAddress>> FindAdmin(std::string_view bootstrap) {
  TRY_ASSIGN(const std::vector<Value> documents, model::ParseYaml(bootstrap));
  const Value* address = documents.empty() ? nullptr : documents.front().At({"admin", "address"});
  if (address == nullptr) return std::optional<AdminAddress>();
  AdminAddress admin;
  if (const Value* pipe = address->Find("pipe")) {
    admin.unix_socket = Text(*pipe, "path");
    return std::optional(admin);
  }
  const Value* socket = FindEither(*address, "socketAddress", "socket_address");
  if (socket == nullptr)
    return base::Invalid("admin.address is neither a pipe nor a socket address");
  admin.host = Text(*socket, "address");
  const Value* port = FindEither(*socket, "portValue", "port_value");
  if (port != nullptr && port->if_int() != nullptr)
    admin.port = static_cast<uint16_t>(*port->if_int());
  return std::optional(admin);
}

std::string DefaultCaFile(const Environment& environment) {
  std::string folder = environment("KUMA_GENERAL_WORK_DIR").value_or("");
  if (folder.empty()) folder = environment("HOME").value_or("") + "/.kuma";
  return folder + "/kuma-cp.crt";
}

bool IsThisHost(std::string_view host) {
  const std::string name = base::ToLower(host);
  if (name == "localhost" || name.ends_with(".localhost") || name.starts_with("127.") ||
      name == "::1")
    return true;
  char own[256] = "";
  if (gethostname(own, sizeof own - 1) == 0 && base::EqualsIgnoreCase(name, own)) return true;
  return IsOwnAddress(name);
}

base::Result<TrustedCa> FindCa(const Settings& settings, const Environment& environment) {
  if (!settings.ca_cert.empty()) return TrustedCa{settings.ca_cert, "KUMA_CONTROL_PLANE_CA_CERT"};
  if (!settings.ca_cert_file.empty()) {
    auto pem = ReadFile(settings.ca_cert_file);
    if (!pem.has_value()) {
      return std::move(pem).error().Context(base::Format("the control plane's CA certificate ({})",
                                                         HowToSet("controlPlane.caCertFile")));
    }
    return TrustedCa{*std::move(pem), "file " + settings.ca_cert_file};
  }
  TrustedCa system{"", "the CAs of this system"};
  if (settings.skip_verify) return system;
  const auto url = net::ParseUrl(settings.cp_url);
  if (!url.has_value() || url->scheme != "https" || !IsThisHost(url->host)) return system;
  const std::string file = DefaultCaFile(environment);
  auto pem = ReadFile(file);
  if (pem.has_value()) return TrustedCa{*std::move(pem), "file " + file};
  system.source += base::Format(", because there is no file {}", file);
  return system;
}

uint64_t CountInboundConnections(std::string_view stats) {
  uint64_t sum = 0;
  for (const std::string& line : base::Split(stats, '\n')) {
    const size_t colon = line.rfind(": ");
    if (colon == std::string::npos) continue;
    const std::string_view name = std::string_view(line).substr(0, colon);
    if (!name.ends_with(".downstream_cx_active") || name.find(".worker_") != std::string_view::npos)
      continue;
    for (const std::string_view inbound :
         {"listener.self_inbound", "listener.self_zone", "listener.inbound",
          "listener.self_transparentproxy_passthrough_inbound"}) {
      if (name.starts_with(inbound))
        sum += base::ParseUint(std::string_view(line).substr(colon + 2)).value_or(0);
    }
  }
  return sum;
}

}  // namespace kuma::dp

#include "dp/otel_config.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/strings.h"
#include "model/value.h"

namespace kuma::dp {
namespace {

using model::Value;

constexpr std::string_view kUnix = "unix:";

std::string Text(const Value& object, std::string_view key) {
  const Value* value = object.Find(key);
  return value != nullptr && value->if_string() != nullptr ? *value->if_string() : "";
}

bool Flag(const Value& object, std::string_view key) {
  const Value* value = object.Find(key);
  return value != nullptr && value->if_bool() != nullptr && *value->if_bool();
}

std::vector<std::string> Texts(const Value& object, std::string_view key) {
  std::vector<std::string> texts;
  const Value* list = object.Find(key);
  if (list == nullptr || list->if_array() == nullptr) return texts;
  for (const Value& item : *list->if_array()) {
    if (item.if_string() != nullptr) texts.push_back(*item.if_string());
  }
  return texts;
}

bool Contains(const std::vector<std::string>& texts, std::string_view text) {
  return std::ranges::find(texts, text) != texts.end();
}

// The path of a signal below that of a collector.
std::string PathOf(std::string_view base, OtelSignal signal) {
  while (base.ends_with('/')) base.remove_suffix(1);
  while (base.starts_with('/')) base.remove_prefix(1);
  return base::Format("{}{}/v1/{}", base.empty() ? "" : "/", base, NameOf(signal));
}

// An address without a host is one of the machine that this proxy runs on.
std::string WithHost(std::string endpoint, const std::string& host_ip) {
  if (!endpoint.starts_with(':')) return endpoint;
  const std::string host = host_ip.empty() ? "127.0.0.1" : host_ip;
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + endpoint;
}

// What the control plane sends.
void ApplyBackend(const Value& backend, OtelSignal signal, const std::string& host_ip,
                  OtelTarget& target) {
  target.authority = WithHost(Text(backend, "endpoint"), host_ip);
  target.tls = Flag(backend, "useHTTPS");
  if (Flag(backend, "useHTTP")) target.path = PathOf(Text(backend, "path"), signal);
}

void ApplyEndpoint(const OtelVariables& variables, OtelSignal signal, bool shared,
                   OtelTarget& target) {
  std::optional<bool> tls;
  if (variables.endpoint) {
    OtelEndpoint endpoint = ParseOtelEndpoint(*variables.endpoint);
    const bool http = target.protocol == OtelProtocol::kHttp;
    if (http || endpoint.path.empty()) {  // with gRPC a path has no meaning: the whole is skipped
      target.authority = std::move(endpoint.authority);
      tls = endpoint.tls;
      // A shared one is the base of all signals, the signal's own is used as it is.
      if (tls && http)
        target.path = shared                  ? PathOf(endpoint.path, signal)
                      : endpoint.path.empty() ? "/"
                                              : std::move(endpoint.path);
    }
  }
  if (!tls && variables.insecure) {
    if (const auto insecure = ParseOtelInsecure(*variables.insecure)) tls = !*insecure;
  }
  if (tls) target.tls = *tls;
}

void ApplyVariables(const OtelVariables& variables, OtelSignal signal, bool shared,
                    OtelTarget& target) {
  ApplyEndpoint(variables, signal, shared, target);
  if (variables.headers) {
    net::Headers headers = ParseOtelHeaders(*variables.headers);
    if (!headers.empty()) target.headers = base::Redacted(std::move(headers));
  }
  if (variables.compression)
    target.gzip = ParseOtelCompression(*variables.compression).value_or(target.gzip);
  if (variables.timeout) {
    const auto timeout = ParseOtelTimeout(*variables.timeout).value_or(runtime::Duration(0));
    if (timeout > runtime::Duration(0)) target.timeout = timeout;
  }
  if (variables.certificate) target.ca_file = *variables.certificate;
  if (variables.client_certificate && variables.client_key) {
    target.certificate_file = *variables.client_certificate;
    target.key_file = *variables.client_key;
  }
}

// Why the control plane does not want the signal to be sent; empty: it does.
std::string RefusalOf(const Value* plan, OtelSignal signal) {
  if (plan == nullptr || !Flag(*plan, "enabled"))
    return base::Format("no policy sends {} there", NameOf(signal));
  const std::vector<std::string> missing = Texts(*plan, "missingFields");
  if (missing.empty() && !Contains(Texts(*plan, "blockedReasons"), "RequiredEnvMissing")) return {};
  return base::Format("the backend requires variables OTEL_EXPORTER_OTLP_*{}{}",
                      missing.empty() ? "" : "; not usable: ", base::Join(missing, ", "));
}

// Why the parts do not make an address; empty: they do. Without their texts, which may hold secrets.
std::string FaultOf(const OtelTarget& target) {
  if (target.authority.empty()) return "the collector has no address";
  if (target.authority.starts_with(kUnix)) {
    return target.protocol == OtelProtocol::kGrpc ? "" : "HTTP over a Unix socket is not supported";
  }
  const bool usable =
      net::MakeRequest("POST", "http://" + target.authority + target.path).has_value() &&
      target.authority.find_first_of("/?#") == std::string::npos;
  return usable ? "" : "the collector's endpoint is neither host:port nor a URL";
}

OtelTarget TargetOf(const Value& backend, OtelSignal signal, const OtelEnvironment& environment) {
  OtelTarget target;
  const Value* plan = backend.Find(NameOf(signal));
  target.unavailable = RefusalOf(plan, signal);
  if (!target.unavailable.empty()) return target;

  const std::vector<std::string> blocked = Texts(*plan, "blockedReasons");
  const bool env_allowed =
      !Contains(blocked, "EnvDisabledByPolicy") && !Contains(blocked, "MultipleBackendsForSignal");
  const bool overrides_allowed = env_allowed && !Contains(blocked, "SignalOverridesDisallowed");
  const Value* precedence = backend.At({"envPolicy", "precedence"});
  const bool explicit_first = precedence != nullptr && *precedence == Value("ExplicitFirst");

  std::vector<const OtelVariables*> sources;  // null: the document
  if (!explicit_first) sources.push_back(nullptr);
  if (env_allowed) sources.push_back(&environment.shared);
  if (overrides_allowed) sources.push_back(&environment.Of(signal));
  if (explicit_first) sources.push_back(nullptr);

  // What an endpoint means depends on the protocol.
  for (const OtelVariables* variables : sources) {
    if (variables == nullptr) {
      target.protocol = Flag(backend, "useHTTP") ? OtelProtocol::kHttp : OtelProtocol::kGrpc;
    } else if (variables->protocol) {
      target.protocol = ParseOtelProtocol(*variables->protocol).value_or(target.protocol);
    }
  }
  for (const OtelVariables* variables : sources) {
    if (variables == nullptr) {
      ApplyBackend(backend, signal, environment.host_ip, target);
    } else {
      ApplyVariables(*variables, signal, variables == &environment.shared, target);
    }
  }
  if (target.path.empty()) target.path = PathOf(Text(backend, "path"), signal);
  target.unavailable = FaultOf(target);
  return target;
}

}  // namespace

std::string UrlOf(const OtelTarget& target) {
  const bool http = target.protocol == OtelProtocol::kHttp;
  if (target.authority.starts_with(kUnix)) return target.authority;
  return base::Format("{}{}://{}{}", http ? "http" : "grpc", target.tls ? "s" : "",
                      target.authority, http ? target.path : "");
}

net::ClientTlsOptions TlsOf(const OtelTarget& target) {
  net::ClientTlsOptions tls;
  tls.ca_file = target.ca_file;
  tls.certificate.cert_file = target.certificate_file;
  tls.certificate.key_file = target.key_file;
  return tls;
}

base::Result<OtelBackends> ParseOtelBackends(std::string_view document,
                                             const OtelEnvironment& environment) {
  OtelBackends backends;
  if (document.empty()) return backends;
  TRY_ASSIGN(const Value root, model::ParseJson(document));
  if (root.if_object() == nullptr) return base::Invalid("it is not a JSON object");
  const Value* list = root.Find("backends");
  if (list == nullptr || list->is_null()) return backends;
  if (list->if_array() == nullptr) return base::Invalid("backends: must be a list");
  for (size_t i = 0; i < list->if_array()->size(); ++i) {
    const Value& item = (*list->if_array())[i];
    std::string socket = Text(item, "socketPath");
    if (socket.empty()) return base::Invalid(base::Format("backends[{}].socketPath: missing", i));
    OtelBackend& backend = backends[std::move(socket)];
    backend.name = Text(item, "name");
    for (const OtelSignal signal : kOtelSignals)
      backend.targets[static_cast<size_t>(signal)] = TargetOf(item, signal, environment);
  }
  return backends;
}

}  // namespace kuma::dp

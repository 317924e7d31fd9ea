#pragma once

// The conversation with the control plane at start: what POST /bootstrap sends, and what comes
// back.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "dp/proxy.h"
#include "dp/settings.h"
#include "model/value.h"
#include "net/http.h"

namespace kuma::dp {

struct EnvoyVersion {
  std::string version;  // "1.40.0"
  std::string build;    // "<commit>/1.40.0/Clean/RELEASE/BoringSSL"
  bool compatible = false;
};
// From the output of `envoy --version`. kInvalid if it is none.
base::Result<EnvoyVersion> ParseEnvoyVersion(std::string_view output);

struct BootstrapInput {
  Proxy proxy;
  std::string token;
  std::string token_path;
  std::string ca_cert;  // PEM by which the control plane was verified
  EnvoyVersion envoy;
  uint16_t readiness_port = 0;
  std::string work_folder;
  std::vector<std::string> features;
  std::optional<model::Object> dynamic_metadata;
  model::Value otel_env;  // OtelInventory, or null
  int64_t max_heap_bytes = 0;
  std::string system_ca_path;
};
// The body of POST /bootstrap. Versions of kuma-dp are those of this build.
model::Value BootstrapRequest(const Settings& settings, const BootstrapInput& input);

// What this kuma-dp can do, as the control plane wants to know it.
std::vector<std::string> Features(const Settings& settings);

// The bare YAML of Envoy's bootstrap from a 200.
base::Result<std::string> ReadBootstrapReply(const net::HttpResponse& response);
// The same bootstrap with the stats tag `((.+?)\.)rbac\.` anchored at the start. Envoy tries it on
// every statistic of every cluster that changes; unanchored, each try costs the square of the
// name's length, five sixths of the CPU of such a change. It finds the same tags either way.
std::string WithAnchoredStatsTags(std::string bootstrap);
// The text of an answer other than 200, in one line.
std::string RefusalText(const net::HttpResponse& response);

// Where Envoy's admin server listens: a Unix socket or host and port.
struct AdminAddress {
  std::string unix_socket;
  std::string host;
  uint16_t port = 0;
};
// From Envoy's bootstrap YAML; nothing if it has no admin server.
base::Result<std::optional<AdminAddress>> FindAdmin(std::string_view bootstrap);

// The certificates that the control plane's one must lead to.
struct TrustedCa {
  std::string pem;     // empty: the CAs of the system
  std::string source;  // for messages: "file /x/ca.crt"
};
// From the settings; else, if the control plane is on this host, its self-made certificate at the
// default place. The message of an error names file and flag.
base::Result<TrustedCa> FindCa(const Settings& settings, const Environment& environment);
// "<folder>/kuma-cp.crt", where a control plane of this user puts its self-made certificate.
std::string DefaultCaFile(const Environment& environment);
// Whether a host of a URL is this machine.
bool IsThisHost(std::string_view host);

// The sum of open inbound connections in the text of Envoy's /stats.
uint64_t CountInboundConnections(std::string_view stats);

}  // namespace kuma::dp

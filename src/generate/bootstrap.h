#pragma once

// Envoy's bootstrap: what POST /bootstrap answers to kuma-dp. Pure functions over plain values.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/redacted.h"
#include "base/result.h"
#include "model/value.h"
#include "model/violations.h"

namespace kuma::generate {

// The body of POST /bootstrap.
struct BootstrapRequest {
  std::string mesh;
  std::string name;
  std::string proxy_type = "dataplane";
  base::Redacted<std::string> dataplane_token;
  std::string dataplane_token_path;
  std::string dataplane_resource;  // Dataplane as JSON or YAML text; empty: it is stored already
  model::Value version;            // {"kumaDp": {...}, "envoy": {...}} as given
  std::string ca_cert;             // PEM
  model::Value dynamic_metadata;   // object of strings, or null
  model::Value otel_env;           // or null
  uint32_t dns_port = 0;
  uint32_t readiness_port = 0;
  // Sent as `appProbeProxyDisabled`: in spite of that name true means enabled, in Kuma, too.
  bool app_probe_proxy_enabled = false;
  std::string operating_system;
  std::vector<std::string> features;  // as given, without repetitions
  uint64_t max_heap_size_bytes = 0;
  std::string workdir;
  std::string metrics_cert_path;
  std::string metrics_key_path;
  std::string system_ca_path;
  model::Value transparent_proxy;  // sent as `dataplaneConfig`; null: none
  bool ipv6_enabled = false;
  std::string spire_socket_path;

  base::ProxyKey Key() const { return {mesh, name}; }
};
// Unknown fields are ignored, as newer versions of kuma-dp may send them. Violations name fields of
// a wrong type.
BootstrapRequest ParseBootstrapRequest(const model::Value& body, model::Violations& violations);

// bootstrapServer.params and what else the answer depends on; Kuma's defaults.
struct BootstrapSettings {
  std::string admin_address = "127.0.0.1";
  uint32_t admin_port = 9901;  // for Dataplanes without networking.admin.port; 0: none
  std::string admin_access_log_path = "/dev/null";
  bool admin_unix_socket = true;
  std::string xds_host;  // empty: the Host of the request
  uint32_t xds_port = 5678;
  std::chrono::nanoseconds xds_connect_timeout = std::chrono::seconds(1);
  uint32_t xds_grpc_max_receive_message_bytes = 4'194'304;
  bool hds = true;
  bool reloadable_tokens = false;
  bool token_required = false;
  std::string ca_pem;  // what the data plane server's certificate is verified by
};

// What of the proxy's Dataplane shapes the bootstrap.
struct BootstrapDataplane {
  std::string workload;     // label kuma.io/workload
  uint32_t admin_port = 0;  // networking.admin.port
};

// Text of the error of a request without token where one is needed; Kuma answers it with 422.
extern const std::string kTokenRequired;

// `host`: of the request, without port. `host_is_ipv4_only`: the name resolves, and to IPv4
// addresses only. The bootstrap as JSON value with sorted keys. kInvalid: a token is required, or
// the proxy type is unknown.
base::Result<model::Value> MakeBootstrap(const BootstrapRequest& request,
                                         const BootstrapDataplane& dataplane,
                                         const BootstrapSettings& settings, std::string_view host,
                                         bool host_is_ipv4_only = false);
// The same as YAML text.
base::Result<std::string> BootstrapYaml(const BootstrapRequest& request,
                                        const BootstrapDataplane& dataplane,
                                        const BootstrapSettings& settings, std::string_view host,
                                        bool host_is_ipv4_only = false);

// Paths of sockets in the work directory of kuma-dp, short enough for a Unix socket.
std::string AdminSocket(std::string_view workdir);
std::string AccessLogSocket(std::string_view workdir, std::string_view name, std::string_view mesh);
std::string MetricsSocket(std::string_view workdir, std::string_view name, std::string_view mesh);
std::string DynamicConfigSocket(std::string_view workdir);
std::string ReadinessSocket(std::string_view workdir);  // of old versions of kuma-dp
std::string OpenTelemetrySocket(std::string_view workdir, std::string_view backend);

}  // namespace kuma::generate

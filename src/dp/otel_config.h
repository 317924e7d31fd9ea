#pragma once

// Which collectors data of OpenTelemetry goes to: the document /otel of the control plane, together
// with the variables of the environment where it allows them.
//
//   {"backends": [{"name": "main", "socketPath": "/run/kuma-otel-main.sock",
//     "endpoint": "collector:4317", "useHTTP": false, "useHTTPS": false, "path": "/base",
//     "envPolicy": {"mode": "Optional", "precedence": "EnvFirst", "allowSignalOverrides": true},
//     "logs": {"enabled": true, "missingFields": [...], "blockedReasons": [...]}, ...}]}
//
// Of the sources that are allowed, the later one wins in each part: endpoint of the document, shared
// variables, variables of the signal; with precedence ExplicitFirst the document comes last.

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/redacted.h"
#include "base/result.h"
#include "dp/otel_env.h"
#include "net/http.h"
#include "net/tls.h"
#include "runtime/clock.h"

namespace kuma::dp {

// How one signal reaches a collector.
struct OtelTarget {
  std::string unavailable;  // why it does not; empty: what follows holds
  OtelProtocol protocol = OtelProtocol::kGrpc;
  bool tls = false;
  std::string authority;  // "collector:4317"; "unix:/path" with gRPC
  std::string path;       // with HTTP: "/v1/logs"
  base::Redacted<net::Headers> headers;
  bool gzip = false;
  runtime::Duration timeout = std::chrono::seconds(10);  // of one attempt
  std::string ca_file;                                   // empty: the CAs of the system
  std::string certificate_file;                          // of the client; empty: none
  std::string key_file;

  bool operator==(const OtelTarget&) const = default;
};
// "grpc://collector:4317", "https://collector:4318/v1/logs".
std::string UrlOf(const OtelTarget& target);
net::ClientTlsOptions TlsOf(const OtelTarget& target);

struct OtelBackend {
  std::string name;
  std::array<OtelTarget, kOtelSignals.size()> targets;  // by OtelSignal

  bool operator==(const OtelBackend&) const = default;
};
using OtelBackends = std::map<std::string, OtelBackend>;  // by the path of their socket

// An empty document has no backends. kInvalid if it is none of ours; endpoints and variables that
// cannot be used make a target unavailable.
base::Result<OtelBackends> ParseOtelBackends(std::string_view document,
                                             const OtelEnvironment& environment);

}  // namespace kuma::dp

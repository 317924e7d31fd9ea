#pragma once

// The variables OTEL_EXPORTER_OTLP_* of OpenTelemetry's specification of OTLP exporters, by which
// users say how data reaches their collector. OTEL_EXPORTER_OTLP_ENDPOINT holds for every signal,
// OTEL_EXPORTER_OTLP_LOGS_ENDPOINT for one.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dp/settings.h"
#include "model/value.h"
#include "net/http.h"
#include "runtime/clock.h"

namespace kuma::dp {

enum class OtelSignal : uint8_t { kTraces, kLogs, kMetrics };
inline constexpr std::array kOtelSignals = {OtelSignal::kTraces, OtelSignal::kLogs,
                                            OtelSignal::kMetrics};
// "traces"
std::string_view NameOf(OtelSignal signal);

// What the variables of one set say, trimmed; nothing: not set, or empty. Headers, and the user in an
// endpoint, are secrets: none of these texts reaches a log.
struct OtelVariables {
  std::optional<std::string> certificate;
  std::optional<std::string> client_certificate;
  std::optional<std::string> client_key;
  std::optional<std::string> compression;
  std::optional<std::string> endpoint;
  std::optional<std::string> headers;
  std::optional<std::string> insecure;
  std::optional<std::string> protocol;
  std::optional<std::string> timeout;
};

struct OtelEnvironment {
  OtelVariables shared;
  std::array<OtelVariables, kOtelSignals.size()> signals;
  std::string host_ip;  // HOST_IP: where a collector without an address is; empty: on this host

  const OtelVariables& Of(OtelSignal signal) const { return signals[static_cast<size_t>(signal)]; }
};
OtelEnvironment ReadOtelEnvironment(const Environment& environment);

// Member `otelEnv` of the bootstrap request: which variables are set and which are wrong, without
// their values.
model::Value OtelInventory(const OtelEnvironment& environment, bool pipe_enabled);
// Names of variables whose values cannot be used, or not beside the others.
std::vector<std::string> FaultyOtelVariables(const OtelEnvironment& environment);

// The values of variables; nothing if they have no meaning here.
enum class OtelProtocol : uint8_t { kGrpc, kHttp };
std::optional<OtelProtocol> ParseOtelProtocol(std::string_view text);      // grpc, http/protobuf
std::optional<bool> ParseOtelCompression(std::string_view text);           // true: gzip
std::optional<runtime::Duration> ParseOtelTimeout(std::string_view text);  // milliseconds
std::optional<bool> ParseOtelInsecure(std::string_view text);
// "name=value,..." with percent-encoded values. What is no pair is left out.
net::Headers ParseOtelHeaders(std::string_view text);

// "https://collector:4318/base". Anything else is an address as a whole: "collector:4317".
struct OtelEndpoint {
  std::string authority;    // without a user
  std::optional<bool> tls;  // of a URL
  std::string path;         // of a URL; empty: none
};
OtelEndpoint ParseOtelEndpoint(std::string_view text);

}  // namespace kuma::dp

#pragma once

// The place where Envoy hands over data of OpenTelemetry: a Unix socket for each backend of the
// document /otel, with OTLP over gRPC (services opentelemetry.proto.collector.{trace,logs,metrics}.v1),
// from which it goes on to the backend's collector.

#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/result.h"
#include "dp/otel_config.h"
#include "dp/otel_exporter.h"
#include "net/event_loop.h"
#include "net/server.h"

namespace kuma::dp {

// A call is answered when its data has reached the collector, or was refused or given up; each signal
// of each backend has a queue and connections of its own. Confined to the loop, destruction included.
class OtelReceiver {
 public:
  // `loops` is one loop, and outlives the receiver.
  OtelReceiver(net::EventLoops& loops, OtelEnvironment environment, OtelExporter::Options options);
  OtelReceiver(net::EventLoops& loops, OtelEnvironment environment)
      : OtelReceiver(loops, std::move(environment), OtelExporter::Options()) {}
  ~OtelReceiver();
  OtelReceiver(const OtelReceiver&) = delete;
  OtelReceiver& operator=(const OtelReceiver&) = delete;

  // Opens, changes and closes sockets as the document says (empty: none). What waits for a signal
  // whose target changes goes to the new one. An error: apply it again later; what could be done is
  // done.
  base::Status Apply(std::string_view document);

  // Sums of all exporters that there are.
  OtelExporter::Counts counts() const;

 private:
  struct Backend;

  base::Status Update(const std::string& socket, OtelBackend wanted);
  base::Status Listen(const std::string& socket, Backend& backend);

  net::EventLoops& loops_;
  const OtelEnvironment environment_;
  const OtelExporter::Options options_;
  base::Logger log_{"otel"};
  std::map<std::string, std::unique_ptr<Backend>> backends_;  // by the path of their socket
};

}  // namespace kuma::dp

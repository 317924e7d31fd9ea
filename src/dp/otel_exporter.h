#pragma once

// Sends data of one signal to a collector by OTLP, over gRPC or HTTP. What is in it is not looked at:
// both carry the same protobuf messages (opentelemetry.proto.collector.*.v1).

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "dp/otel_config.h"
#include "net/client.h"
#include "net/event_loop.h"
#include "net/grpc.h"

namespace kuma::dp {

// "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
std::string_view ExportMethod(OtelSignal signal);

// Connects when there is something to send. What fails for a reason that may pass (no connection,
// UNAVAILABLE, 503 and the like) is sent again with growing pauses; so a collector may get it twice.
// Bounded by what waits: new data is refused while there is no room. What was refused or given up is
// counted; the log says so once a minute. Confined to the loop, destruction included.
class OtelExporter {
 public:
  struct Options {
    size_t max_bytes = 1 << 20;  // one that is larger is taken when nothing else waits
    size_t max_exports = 256;
    runtime::Duration give_up = std::chrono::seconds(30);  // no attempt starts later than that
    runtime::Duration first_pause = std::chrono::seconds(1);
    runtime::Duration longest_pause = std::chrono::seconds(8);
    runtime::Duration report_every = std::chrono::minutes(1);
  };
  struct Counts {
    uint64_t sent = 0;      // the collector took it
    uint64_t refused = 0;   // no room, or no collector
    uint64_t given_up = 0;  // the collector did not take it
    uint64_t again = 0;     // attempts that failed and are followed by another one
  };
  // With kOk, the collector's answer (Export...ServiceResponse).
  using Done = std::function<void(const net::GrpcStatus& status, std::string answer)>;
  struct Waiting {
    std::string request;
    Done done;
  };

  // `backend` is for logs.
  OtelExporter(net::EventLoop& loop, std::string backend, OtelSignal signal, OtelTarget target,
               Options options);
  // What waits is given up; its `done` is not called.
  ~OtelExporter();
  OtelExporter(const OtelExporter&) = delete;
  OtelExporter& operator=(const OtelExporter&) = delete;

  // An Export...ServiceRequest. `done` is called once, at once if it is refused. It may destroy
  // nothing of this exporter.
  void Export(std::string request, Done done);
  // What waits, in order, for another exporter.
  std::vector<Waiting> TakeWaiting();

  const OtelTarget& target() const { return target_; }
  const Counts& counts() const { return counts_; }
  size_t waiting_bytes() const { return bytes_; }

 private:
  struct Item {
    std::string request;
    Done done;
    runtime::Time taken;
    runtime::Duration pause;
    runtime::Timer next;
  };
  struct Outcome {
    net::GrpcStatus status;
    bool may_pass = false;   // the fault is one of those that pass
    bool timed_out = false;  // the connection may be dead without a sign
    std::string answer;
  };

  void Attempt(uint64_t id);
  void SendHttp(std::string body, std::function<void(Outcome)> done);
  void SendGrpc(std::string body, std::function<void(Outcome)> done);
  void OnOutcome(uint64_t id, Outcome outcome);
  void Refuse(const Done& done, net::GrpcStatus status);
  void Faulty(const net::GrpcStatus& status);
  std::string WithoutSecrets(std::string text) const;
  void ReportLater();
  void Report();

  net::EventLoop& loop_;
  const std::string backend_;
  const OtelSignal signal_;
  const OtelTarget target_;
  const Options options_;
  base::Logger log_{"otel"};
  std::map<uint64_t, Item> items_;  // in the order in which they came
  uint64_t last_id_ = 0;
  size_t bytes_ = 0;
  Counts counts_;
  Counts reported_;
  std::string last_fault_;
  bool faulty_ = false;           // the log says that the collector does not take data
  runtime::Time silent_until_{};  // it has said so lately
  bool stale_ = false;            // the connections may be dead: the next attempt makes new ones
  bool report_due_ = false;
  runtime::Timer report_;
  std::shared_ptr<OtelExporter*> self_;  // for answers that come later than the end
  std::unique_ptr<net::HttpClient> http_;
  std::unique_ptr<net::GrpcChannel> grpc_;
};

}  // namespace kuma::dp

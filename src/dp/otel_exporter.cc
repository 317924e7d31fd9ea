#include "dp/otel_exporter.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/format.h"
#include "base/strings.h"
#include "dp/gzip.h"

namespace kuma::dp {
namespace {

constexpr auto kConnectTime = std::chrono::seconds(5);
constexpr size_t kConnections = 4;
constexpr size_t kAnswerBytes = 64 << 10;
constexpr size_t kFaultBytes = 200;  // of what a collector says
// Servers in Go answer pings of idle connections with the end of the connection.
constexpr auto kNoPings = std::chrono::hours(24 * 365);

// OTLP's specification, "Failures" of OTLP/gRPC and of OTLP/HTTP.
bool MayPass(net::GrpcCode code) {
  using enum net::GrpcCode;
  return code == kUnavailable || code == kCancelled || code == kDeadlineExceeded ||
         code == kAborted || code == kOutOfRange || code == kDataLoss;
}
bool MayPass(int http_status) {
  return http_status == 429 || http_status == 502 || http_status == 503 || http_status == 504;
}

net::GrpcCode CodeOf(int http_status) {
  using enum net::GrpcCode;
  switch (http_status) {
    case 400: return kInvalidArgument;
    case 401: return kUnauthenticated;
    case 403: return kPermissionDenied;
    case 404: return kUnimplemented;
    case 413: return kResourceExhausted;
    default: return MayPass(http_status) ? kUnavailable : kUnknown;
  }
}

// An error's body may be text or protobuf.
std::string Printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kFaultBytes)) {
    if (c > ' ' && c <= '~') {
      out += c;
    } else if (!out.empty() && !out.ends_with(' ')) {
      out += ' ';
    }
  }
  return std::string(base::Trim(out));
}

}  // namespace

std::string_view ExportMethod(OtelSignal signal) {
  switch (signal) {
    case OtelSignal::kTraces: return "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    case OtelSignal::kLogs: return "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    case OtelSignal::kMetrics:
      return "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
  }
  return "";
}

OtelExporter::OtelExporter(net::EventLoop& loop, std::string backend, OtelSignal signal,
                           OtelTarget target, Options options)
    : loop_(loop),
      backend_(std::move(backend)),
      signal_(signal),
      target_(std::move(target)),
      options_(options),
      self_(std::make_shared<OtelExporter*>(this)) {}

OtelExporter::~OtelExporter() {
  *self_ = nullptr;
  counts_.given_up += items_.size();
  Report();
}

void OtelExporter::Export(std::string request, Done done) {
  if (!target_.unavailable.empty()) {
    return Refuse(done, {net::GrpcCode::kFailedPrecondition,
                         base::Format("{} are not sent to {}: {}", NameOf(signal_), backend_,
                                      target_.unavailable)});
  }
  const bool full = items_.size() >= options_.max_exports ||
                    (!items_.empty() && bytes_ + request.size() > options_.max_bytes);
  if (full) {
    return Refuse(done, {net::GrpcCode::kResourceExhausted,
                         base::Format("too much waits for collector {}", backend_)});
  }
  bytes_ += request.size();
  const uint64_t id = ++last_id_;
  items_.emplace(id, Item{std::move(request), std::move(done), loop_.Now(), options_.first_pause,
                          runtime::Timer()});
  Attempt(id);
}

std::vector<OtelExporter::Waiting> OtelExporter::TakeWaiting() {
  std::vector<Waiting> waiting;
  for (auto& [id, item] : std::exchange(items_, {}))
    waiting.push_back({std::move(item.request), std::move(item.done)});
  bytes_ = 0;
  return waiting;
}

void OtelExporter::Attempt(uint64_t id) {
  if (std::exchange(stale_, false)) {  // what is in progress there is sent again
    http_.reset();
    grpc_.reset();
  }
  const std::string& request = items_.at(id).request;
  const auto done = [self = self_, id](Outcome outcome) {
    if (*self != nullptr) (*self)->OnOutcome(id, std::move(outcome));
  };
  std::string body = target_.gzip ? Gzip(request) : request;
  if (target_.protocol == OtelProtocol::kHttp) {
    SendHttp(std::move(body), done);
  } else {
    SendGrpc(std::move(body), done);
  }
}

void OtelExporter::SendHttp(std::string body, std::function<void(Outcome)> done) {
  if (http_ == nullptr) {
    net::ClientOptions options;
    options.tls = TlsOf(target_);
    options.connect_timeout = kConnectTime;
    options.request_timeout = target_.timeout;
    options.connections_per_origin = kConnections;
    options.limits.body_bytes = kAnswerBytes;
    options.limits.keepalive_time = kNoPings;
    http_ = std::make_unique<net::HttpClient>(loop_, std::move(options));
  }
  auto request = net::MakeRequest("POST", UrlOf(target_));
  CHECK(request.has_value(), "ParseOtelBackends makes sure that it is a URL");
  request->headers = target_.headers.Reveal();
  request->headers.Set("content-type", "application/x-protobuf");
  if (target_.gzip) request->headers.Set("content-encoding", "gzip");
  request->body = std::move(body);
  http_->Send(*std::move(request), [done = std::move(done), &loop = loop_, sent = loop_.Now(),
                                    time = target_.timeout](base::Result<net::HttpResponse> reply) {
    Outcome outcome;
    if (!reply.has_value()) {
      const base::Code code = reply.error().code();
      outcome.status = net::ToGrpcStatus(reply.error());
      outcome.may_pass = code == base::Code::kUnavailable || code == base::Code::kCancelled;
      outcome.timed_out = outcome.may_pass && loop.Now() - sent >= time;
    } else if (reply->status < 200 || reply->status > 299) {
      const std::string text = Printable(reply->body);
      outcome.status = {CodeOf(reply->status),
                        base::Format("the collector answers {}{}{}", reply->status,
                                     text.empty() ? "" : ": ", text)};
      outcome.may_pass = MayPass(reply->status);
    } else if (reply->headers.Get("content-type").starts_with("application/x-protobuf")) {
      outcome.answer = std::move(reply->body);
    }
    done(std::move(outcome));
  });
}

void OtelExporter::SendGrpc(std::string body, std::function<void(Outcome)> done) {
  if (grpc_ == nullptr) {
    net::GrpcChannelOptions options;
    options.target = UrlOf(target_);
    options.tls = TlsOf(target_);
    options.connect_timeout = kConnectTime;
    options.backoff.initial = options_.first_pause;
    options.backoff.max = options_.longest_pause;
    options.waiting_calls = options_.max_exports;
    options.limits.message_bytes = kAnswerBytes;
    options.limits.keepalive_time = kNoPings;
    grpc_ = std::make_unique<net::GrpcChannel>(loop_, std::move(options));
  }
  net::GrpcCall call;
  call.path = std::string(ExportMethod(signal_));
  call.metadata = target_.headers.Reveal();
  call.timeout = target_.timeout;
  if (target_.gzip) call.encoding = "gzip";
  grpc_->CallUnary(std::move(call), std::move(body),
                   [done = std::move(done)](net::GrpcStatus status, std::string reply) {
                     const net::GrpcCode code = status.code;
                     done({.status = {code, Printable(status.message)},
                           .may_pass = MayPass(code),
                           .timed_out = code == net::GrpcCode::kDeadlineExceeded,
                           .answer = std::move(reply)});
                   });
}

void OtelExporter::OnOutcome(uint64_t id, Outcome outcome) {
  const auto found = items_.find(id);
  if (found == items_.end()) return;
  Item& item = found->second;
  if (outcome.status.ok()) {
    ++counts_.sent;
    if (std::exchange(faulty_, false))
      log_.Info("the collector takes data again",
                {{"backend", backend_}, {"signal", NameOf(signal_)}});
  } else {
    outcome.status.message = WithoutSecrets(std::move(outcome.status.message));
    Faulty(outcome.status);
    stale_ = stale_ || outcome.timed_out;
    if (outcome.may_pass && loop_.Now() - item.taken + item.pause <= options_.give_up) {
      ++counts_.again;
      item.next = loop_.PostAfter(item.pause, [this, id] { Attempt(id); });
      item.pause = std::min(item.pause * 2, options_.longest_pause);
      return;
    }
    ++counts_.given_up;
    ReportLater();
  }
  bytes_ -= item.request.size();
  const Done done = std::move(item.done);
  items_.erase(found);
  done(outcome.status, std::move(outcome.answer));
}

void OtelExporter::Refuse(const Done& done, net::GrpcStatus status) {
  ++counts_.refused;
  last_fault_ = status.message;
  ReportLater();
  done(status, "");
}

void OtelExporter::Faulty(const net::GrpcStatus& status) {
  last_fault_ = base::Format("{}: {}", net::ToString(status.code), status.message);
  if (faulty_ || loop_.Now() < silent_until_) return;
  faulty_ = true;
  silent_until_ = loop_.Now() + options_.report_every;
  log_.Warn("the collector does not take data", {{"backend", backend_},
                                                 {"signal", NameOf(signal_)},
                                                 {"url", UrlOf(target_)},
                                                 {"reason", last_fault_}});
}

// A collector may repeat in its answer what it was told.
std::string OtelExporter::WithoutSecrets(std::string text) const {
  for (const auto& [name, value] : target_.headers.Reveal()) {
    const std::string last_word = value.substr(value.rfind(' ') + 1);  // "Bearer <secret>"
    for (const std::string& secret : {value, last_word}) {
      if (secret.size() > 3) text = base::ReplaceAll(std::move(text), secret, "[redacted]");
    }
  }
  return text;
}

void OtelExporter::ReportLater() {
  if (std::exchange(report_due_, true)) return;
  report_ = loop_.PostAfter(options_.report_every, [this] { Report(); });
}

void OtelExporter::Report() {
  report_due_ = false;
  const uint64_t refused = counts_.refused - reported_.refused;
  const uint64_t given_up = counts_.given_up - reported_.given_up;
  reported_ = counts_;
  if (refused + given_up == 0) return;
  log_.Warn("data of OpenTelemetry was dropped", {{"backend", backend_},
                                                  {"signal", NameOf(signal_)},
                                                  {"refused", refused},
                                                  {"given_up", given_up},
                                                  {"reason", last_fault_}});
}

}  // namespace kuma::dp

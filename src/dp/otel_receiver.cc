#include "dp/otel_receiver.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/format.h"
#include "net/grpc.h"

namespace kuma::dp {
namespace {

// A unary call of Envoy.
class ExportCall final : public net::GrpcStreamHandler {
 public:
  // `exporter` outlives the call's server.
  explicit ExportCall(const std::unique_ptr<OtelExporter>& exporter)
      : exporter_(exporter), stream_(std::make_shared<net::GrpcStream*>(nullptr)) {}

  void OnStart(net::GrpcStream& stream) override { *stream_ = &stream; }
  void OnMessage(std::string_view message) override {
    if (++messages_ == 1) request_ = message;
  }
  void OnHalfClose() override {
    if (messages_ != 1)
      return (*stream_)->Finish({net::GrpcCode::kInvalidArgument, "one message was expected"});
    exporter_->Export(std::move(request_),
                      [stream = stream_](const net::GrpcStatus& status, std::string answer) {
                        if (*stream == nullptr) return;  // the caller did not wait
                        if (status.ok()) (*stream)->Send(std::move(answer));
                        (*stream)->Finish(status);
                      });
  }
  void OnClosed(const net::GrpcStatus&, const net::Headers&) override { *stream_ = nullptr; }

 private:
  const std::unique_ptr<OtelExporter>& exporter_;  // another one when the target changes
  std::shared_ptr<net::GrpcStream*> stream_;       // null when it has ended
  std::string request_;
  int messages_ = 0;
};

net::ServerOptions ServerOptionsFor(const std::string& socket) {
  net::ServerOptions options;
  options.name = "otel";
  options.address = "unix:" + socket;
  options.limits.connections = 64;
  options.limits.message_bytes = 4 << 20;  // as gRPC servers have it by default
  options.limits.buffered_bytes = 8 << 20;
  options.limits.server_bytes = 16 << 20;
  // The other end is a process of this host, which cannot vanish silently.
  options.limits.idle_time = std::chrono::hours(24);
  options.limits.keepalive_time = std::chrono::hours(24);
  return options;
}

}  // namespace

struct OtelReceiver::Backend {
  OtelBackend settings;
  std::array<std::unique_ptr<OtelExporter>, kOtelSignals.size()> exporters;  // by OtelSignal
  std::unique_ptr<net::Server> server;  // last: its calls use the exporters
};

OtelReceiver::OtelReceiver(net::EventLoops& loops, OtelEnvironment environment,
                           OtelExporter::Options options)
    : loops_(loops), environment_(std::move(environment)), options_(options) {}

OtelReceiver::~OtelReceiver() = default;

base::Status OtelReceiver::Apply(std::string_view document) {
  TRY_ASSIGN(OtelBackends wanted, ParseOtelBackends(document, environment_));
  std::erase_if(backends_, [&](const auto& entry) {
    if (wanted.contains(entry.first)) return false;
    log_.Info("no receiver of OpenTelemetry any more", {{"backend", entry.second->settings.name}});
    return true;
  });
  base::Status result = base::Ok{};
  for (auto& [socket, backend] : wanted) {
    base::Status updated = Update(socket, std::move(backend));
    if (!updated.has_value() && result.has_value()) result = std::move(updated);
  }
  return result;
}

base::Status OtelReceiver::Update(const std::string& socket, OtelBackend wanted) {
  base::Status result = base::Ok{};
  // Files of certificates may come later than the document that makes us read them.
  for (OtelTarget& target : wanted.targets) {
    const bool has_files = !target.ca_file.empty() || !target.certificate_file.empty();
    if (!target.unavailable.empty() || !target.tls || !has_files) continue;
    auto usable = net::CheckTls(TlsOf(target));
    if (usable.has_value()) continue;
    target.unavailable = usable.error().message();
    result = std::move(usable).error().Context(base::Format("backend {}", wanted.name));
  }
  std::unique_ptr<Backend>& backend = backends_[socket];
  if (backend == nullptr) backend = std::make_unique<Backend>();
  for (const OtelSignal signal : kOtelSignals) {
    const OtelTarget& target = wanted.targets[static_cast<size_t>(signal)];
    auto& exporter = backend->exporters[static_cast<size_t>(signal)];
    if (exporter != nullptr && exporter->target() == target) continue;
    const auto old = std::exchange(
        exporter,
        std::make_unique<OtelExporter>(loops_.at(0), wanted.name, signal, target, options_));
    if (old != nullptr) {
      for (auto& [request, done] : old->TakeWaiting())
        exporter->Export(std::move(request), std::move(done));
    }
    if (target.unavailable.empty()) {
      log_.Info("data of OpenTelemetry has a collector",
                {{"backend", wanted.name}, {"signal", NameOf(signal)}, {"url", UrlOf(target)}});
    }
  }
  backend->settings = std::move(wanted);
  if (backend->server == nullptr) {
    auto listening = Listen(socket, *backend);
    if (!listening.has_value()) result = std::move(listening);
  }
  return result;
}

base::Status OtelReceiver::Listen(const std::string& socket, Backend& backend) {
  const auto route = [&backend](const net::GrpcRequest& request) -> net::GrpcAnswer {
    for (const OtelSignal signal : kOtelSignals) {
      if (request.path == ExportMethod(signal))
        return std::make_unique<ExportCall>(backend.exporters[static_cast<size_t>(signal)]);
    }
    return net::GrpcStatus{net::GrpcCode::kUnimplemented, "unknown method " + request.path};
  };
  TRY_ASSIGN(backend.server, net::Server::Start(loops_, ServerOptionsFor(socket), nullptr, route));
  if (chmod(socket.c_str(), 0600) != 0) {
    backend.server.reset();
    return base::Unavailable(base::Format("chmod {}: {}", socket, std::strerror(errno)));
  }
  return base::Ok{};
}

OtelExporter::Counts OtelReceiver::counts() const {
  OtelExporter::Counts sum;
  for (const auto& [socket, backend] : backends_) {
    for (const auto& exporter : backend->exporters) {
      sum.sent += exporter->counts().sent;
      sum.refused += exporter->counts().refused;
      sum.given_up += exporter->counts().given_up;
      sum.again += exporter->counts().again;
    }
  }
  return sum;
}

}  // namespace kuma::dp

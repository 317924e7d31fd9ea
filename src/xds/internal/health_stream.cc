#include "xds/internal/health_stream.h"

#include <string>
#include <utility>
#include <variant>

#include "base/log.h"
#include "xds/internal/admission.h"
#include "xds/internal/wire.h"

namespace kuma::xds::internal {
namespace {

constexpr base::Logger kLog("hds");

// Shared by the stream and those who make plans. Confined to the stream's loop, but for SetPlan.
class Line final : public HealthLine, public std::enable_shared_from_this<Line> {
 public:
  Line(net::GrpcStream& stream, std::shared_ptr<const std::string> idle)
      : loop_(stream.loop()), stream_(&stream), session_(std::move(idle)) {}

  void SetPlan(HealthPlan plan) override {
    loop_.Post([self = shared_from_this(), plan = std::move(plan)]() mutable {
      if (self->stream_ == nullptr) return;
      if (auto message = self->session_.OnPlan(std::move(plan)))
        self->stream_->Send({}, {std::move(message)});
    });
  }
  HealthSession& session() { return session_; }
  void Close() { stream_ = nullptr; }

 private:
  runtime::SerialExecutor& loop_;
  net::GrpcStream* stream_;  // null: it is over
  HealthSession session_;
};

class HealthStream final : public net::GrpcStreamHandler {
 public:
  HealthStream(std::shared_ptr<HubState> hub, std::shared_ptr<const AdsServiceOptions> options,
               net::Headers metadata, net::Peer peer)
      : hub_(std::move(hub)),
        options_(std::move(options)),
        metadata_(std::move(metadata)),
        peer_(std::move(peer)) {}

  void OnStart(net::GrpcStream& stream) override { stream_ = &stream; }
  void OnMessage(std::string_view bytes) override {
    auto message = ParseHealthMessage(bytes);
    if (!message) return stream_->Finish(StatusOf(message.error()));
    if (line_ != nullptr) {
      if (auto* report = std::get_if<HealthReport>(&*message)) OnReport(std::move(*report));
      return;
    }
    if (admission_ != nullptr) return;
    auto* node = std::get_if<NodeDescription>(&*message);
    if (node == nullptr)
      return stream_->Finish(
          {net::GrpcCode::kInvalidArgument, "the first message must have a node"});
    node_ = std::move(*node);
    node_.peer = peer_;
    admission_ = std::make_shared<Admission>();
    const auto enter = [this] {
      admission_->Start(stream_->loop(), *options_, node_, metadata_,
                        [this](base::Status status) { OnAdmitted(std::move(status)); });
    };
    if (!hub_->GateOf(stream_->loop()).Ask(Urgency::kHealth, enter, place_)) {
      ++hub_->counters().streams_refused;
      stream_->Finish(TooManyStreams(), ComeBackLater());
    }
  }
  void OnHalfClose() override { stream_->Finish({}); }
  void OnDrain() override {
    stream_->Finish({net::GrpcCode::kUnavailable, "the control plane is stopping"});
  }
  void OnClosed(const net::GrpcStatus&, const net::Headers&) override {
    if (admission_ != nullptr) admission_->Cancel();
    place_.reset();
    if (line_ == nullptr) return;
    line_->Close();
    if (options_->health.closed) options_->health.closed(node_.proxy, line_.get());
  }

 private:
  void OnAdmitted(base::Status status) {
    place_.reset();
    if (!status) {
      kLog.Debug("stream refused", {{"proxy", node_.id}, {"reason", status.error().message()}});
      return stream_->Finish(StatusOf(status.error()));
    }
    metadata_ = {};  // holds the token
    line_ = std::make_shared<Line>(
        *stream_,
        std::make_shared<const std::string>(EncodeEmptyHealthChecks(options_->health_interval)));
    if (options_->health.opened) {
      options_->health.opened(node_, line_);
    } else {
      line_->SetPlan({});
    }
    node_.metadata_json = {};
  }

  void OnReport(HealthReport report) {
    auto changed = line_->session().OnReport(std::move(report));
    if (!changed) return;
    if (base::GetLogLevel() == base::LogLevel::kDebug) {
      std::string text;
      for (const auto& [name, healthy] : *changed) text += " " + name + (healthy ? "+" : "-");
      kLog.Debug("report", {{"proxy", node_.id}, {"health", text}});
    }
    if (options_->health.reported)
      options_->health.reported(node_.proxy, line_.get(), *std::move(changed));
  }

  const std::shared_ptr<HubState> hub_;
  const std::shared_ptr<const AdsServiceOptions> options_;
  net::Headers metadata_;
  const net::Peer peer_;
  net::GrpcStream* stream_ = nullptr;
  NodeDescription node_;
  std::shared_ptr<Admission> admission_;
  std::unique_ptr<AdmissionGate::Place> place_;  // until it is admitted
  std::shared_ptr<Line> line_;                   // once the node is authenticated
};

}  // namespace

std::unique_ptr<net::GrpcStreamHandler> NewHealthStream(
    std::shared_ptr<HubState> hub, std::shared_ptr<const AdsServiceOptions> options,
    net::Headers metadata, net::Peer peer) {
  return std::make_unique<HealthStream>(std::move(hub), std::move(options), std::move(metadata),
                                        std::move(peer));
}

}  // namespace kuma::xds::internal

#include "xds/ads_service.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/log.h"
#include "xds/internal/admission.h"
#include "xds/internal/health_stream.h"
#include "xds/internal/hub_state.h"
#include "xds/internal/wire.h"

namespace kuma::xds {
namespace {

using internal::Admission;
using internal::HubState;
using internal::StatusOf;
using internal::Urgency;

constexpr base::Logger kLog("xds");

bool Debugs() { return base::GetLogLevel() == base::LogLevel::kDebug; }

// "Cluster 7 +a -b", for the log.
std::string Text(const DeltaRequest& request) {
  std::string text =
      request.type_url.substr(request.type_url.rfind('.') + 1) + " " + request.response_nonce;
  for (const std::string& name : request.subscribe) text += " +" + name;
  for (const std::string& name : request.unsubscribe) text += " -" + name;
  for (const auto& [name, version] : request.initial_resource_versions)
    text += " " + name + "=" + version;
  if (request.error_detail) text += " NACK";
  return text;
}
std::string Text(const DeltaResponse& response) {
  std::string text(response.type_url().substr(response.type_url().rfind('.') + 1));
  text += " " + response.nonce;
  for (const SealedPtr& resource : response.resources) text += " +" + resource->name;
  for (const std::string& name : response.removed) text += " -" + name;
  return text;
}

// One delta ADS stream. Confined to its loop.
class AdsStream final : public net::GrpcStreamHandler, public internal::ProxyStream {
 public:
  AdsStream(std::shared_ptr<HubState> hub, std::shared_ptr<const AdsServiceOptions> options,
            net::Headers metadata, net::Peer peer)
      : hub_(std::move(hub)),
        options_(std::move(options)),
        metadata_(std::move(metadata)),
        peer_(std::move(peer)) {}

  // net::GrpcStreamHandler
  void OnStart(net::GrpcStream& stream) override { stream_ = &stream; }

  void OnMessage(std::string_view message) override {
    if (ended_) return;
    auto parsed = internal::ParseDeltaRequest(message);
    if (!parsed) return Finish(StatusOf(parsed.error()));
    if (Debugs()) kLog.Debug("request", {{"proxy", node_.id}, {"is", Text(parsed->request)}});
    if (session_) {
      Take(session_->OnRequest(Now(), parsed->request));
      return;
    }
    waiting_bytes_ += message.size();
    if (waiting_.size() >= options_->waiting_requests || waiting_bytes_ > options_->waiting_bytes) {
      return Finish(
          {net::GrpcCode::kResourceExhausted, "too much was sent before the token was checked"});
    }
    waiting_.push_back(std::move(parsed->request));
    if (admission_ != nullptr) return;
    if (!parsed->node)
      return Finish({net::GrpcCode::kInvalidArgument, "the first message must have node.id"});
    node_ = std::move(*parsed->node);
    node_.peer = peer_;
    // Envoy's own first request says whether it has anything yet.
    const Urgency urgency =
        waiting_.front().initial_resource_versions.empty() ? Urgency::kFresh : Urgency::kReturning;
    admission_ = std::make_shared<Admission>();
    const bool has_place = hub_->GateOf(stream_->loop())
                               .Ask(
                                   urgency, [this] { Enter(); }, place_);
    if (!has_place) {
      ++hub_->counters().streams_refused;
      ended_ = true;
      stream_->Finish(internal::TooManyStreams(), internal::ComeBackLater());
    }
  }

  void OnHalfClose() override { Finish({}); }

  void OnDrain() override {
    Leave("the control plane is stopping", true);
    Finish({net::GrpcCode::kUnavailable, "the control plane is stopping"});
  }

  void OnClosed(const net::GrpcStatus& status, const net::Headers&) override {
    if (admission_ != nullptr) admission_->Cancel();
    Leave(status.ok() ? "closed by the proxy" : status.message, false);
    if (session_) {
      SetInStep(false);
      --hub_->counters().streams;
    }
    SetStalled(false);
    timer_.Cancel();
    place_timer_.Cancel();
    place_.reset();
    stream_ = nullptr;
    ended_ = true;
  }

  // internal::ProxyStream
  void OnBundle(BundlePtr bundle) override {
    SetInStep(false);
    newest_ = bundle->revision;
    Take(session_->OnBundle(Now(), std::move(bundle)));
  }
  void Recall(const SessionMemory& memory) override { session_->Recall(memory); }
  SessionMemory Remember() const override { return session_->Remember(); }
  std::string Describe() const override { return session_->Describe(); }
  void End(const base::Error& reason) override {
    number_ = 0;
    Finish(StatusOf(reason));
  }

 private:
  runtime::Time Now() const { return hub_->options().clock->Now(); }

  void Enter() {
    // One that is slow gives its place to others; it goes on without.
    place_timer_ = stream_->loop().PostAfter(internal::kPlaceTime, [this] { place_.reset(); });
    admission_->Start(stream_->loop(), *options_, node_, metadata_,
                      [this](base::Status status) { OnAdmitted(std::move(status)); });
  }

  void OnAdmitted(base::Status status) {
    if (ended_) return;
    if (!status) {
      kLog.Warn("proxy refused", {{"proxy", node_.id}, {"reason", status.error().message()}});
      return Finish(StatusOf(status.error()));
    }
    metadata_ = {};  // holds the token
    session_.emplace(hub_->options().session);
    ++hub_->counters().streams;
    HubState::Registration registration = hub_->Register(stream_->loop(), *this, node_);
    number_ = registration.number;
    session_->Recall(registration.memory);
    if (registration.bundle != nullptr) {
      newest_ = registration.bundle->revision;
      Take(session_->OnBundle(Now(), std::move(registration.bundle)));
    }
    kLog.Debug("proxy connected",
               {{"proxy", node_.id}, {"envoy", node_.envoy_version}, {"stream", number_}});
    node_.metadata_json = {};
    for (DeltaRequest& request : std::exchange(waiting_, {})) {
      if (ended_) return;
      Take(session_->OnRequest(Now(), request));
    }
  }

  void Take(SessionOutput output) {
    std::vector<ProxyEvent> events;
    const auto report = [&](auto event) {
      events.push_back({node_.proxy, number_, std::move(event)});
    };
    HubCounters& counters = hub_->counters();
    for (AckEvent& ack : output.acks) report(ack);
    for (NackEvent& nack : output.nacks) report(std::move(nack));
    counters.rejected += output.nacks.size();
    if (output.in_step) {
      if (*output.in_step == newest_) SetInStep(true);
      place_.reset();
      report(InStepEvent{*output.in_step, session_->Quarantined()});
    }
    if (SetStalled(session_->stalled(Now()))) report(StalledEvent{stalled_});
    if (output.failure) {
      hub_->Report(stream_->loop(), std::move(events));
      return Finish(StatusOf(*output.failure));
    }
    std::vector<std::vector<net::Slice>> slices;
    slices.reserve(output.send.size());
    for (const DeltaResponse& response : output.send) {
      if (Debugs()) kLog.Debug("response", {{"proxy", node_.id}, {"is", Text(response)}});
      std::vector<net::Slice>& parts = slices.emplace_back();
      parts.reserve(response.resources.size());
      uint64_t bytes = 0;
      for (const SealedPtr& resource : response.resources) {
        parts.push_back(resource->Bytes());
        bytes += parts.back()->size();
      }
      ++counters.responses_sent;
      counters.resources_sent += response.resources.size();
      counters.resources_removed += response.removed.size();
      counters.bytes_sent += bytes;
      if (response.other_type_url.empty()) {
        report(SentEvent{response.type, response.revision,
                         static_cast<uint32_t>(response.resources.size()),
                         static_cast<uint32_t>(response.removed.size()), bytes});
      }
    }
    hub_->Report(stream_->loop(), std::move(events));
    for (size_t i = 0; i < output.send.size(); ++i) {
      if (ended_) return;
      if (!stream_->Send(internal::EncodeHead(output.send[i]), std::move(slices[i]))) return;
    }
    Wake(output.wake_at);
  }

  // A timer that is early does no harm, one for each response would cost.
  void Wake(std::optional<runtime::Time> at) {
    if (!at) {
      wake_at_.reset();
      return;
    }
    const bool sooner = !armed_for_ || *at < *armed_for_;
    wake_at_ = at;
    if (!sooner || ended_) return;
    armed_for_ = at;
    timer_ = stream_->loop().PostAfter(std::max(*at - Now(), runtime::Duration::zero()), [this] {
      armed_for_.reset();
      if (ended_ || !wake_at_) return;
      if (Now() >= *wake_at_)
        Take(session_->OnTimer(Now()));
      else
        Wake(wake_at_);
    });
  }

  void SetInStep(bool in_step) {
    if (std::exchange(in_step_, in_step) == in_step) return;
    if (in_step) {
      ++hub_->counters().streams_in_step;
    } else {
      --hub_->counters().streams_in_step;
    }
  }

  // True if that is news.
  bool SetStalled(bool stalled) {
    if (std::exchange(stalled_, stalled) == stalled) return false;
    if (stalled) {
      ++hub_->counters().streams_stalled;
    } else {
      --hub_->counters().streams_stalled;
    }
    return true;
  }

  void Leave(std::string reason, bool stopping) {
    if (number_ == 0) return;
    hub_->Unregister(stream_->loop(), node_.proxy, std::exchange(number_, 0), session_->Remember(),
                     {std::move(reason), stopping});
  }

  void Finish(net::GrpcStatus status) {
    if (std::exchange(ended_, true)) return;
    Leave(status.message, false);
    stream_->Finish(std::move(status));
  }

  const std::shared_ptr<HubState> hub_;
  const std::shared_ptr<const AdsServiceOptions> options_;
  net::Headers metadata_;
  const net::Peer peer_;
  net::GrpcStream* stream_ = nullptr;
  NodeDescription node_;
  std::shared_ptr<Admission> admission_;
  std::unique_ptr<internal::AdmissionGate::Place> place_;  // until it is in step for the first time
  runtime::Timer place_timer_;
  std::vector<DeltaRequest> waiting_;  // until the node is authenticated
  size_t waiting_bytes_ = 0;
  std::optional<DeltaSession> session_;  // once it is
  uint64_t number_ = 0;                  // while it is registered at the hub
  Revision newest_;                      // of the bundle that the session has
  bool in_step_ = false;
  bool ended_ = false;
  bool stalled_ = false;
  std::optional<runtime::Time> wake_at_, armed_for_;
  runtime::Timer timer_;
};

}  // namespace

AdsService::AdsService(const Hub& hub, AdsServiceOptions options)
    : hub_(hub.state()), options_(std::make_shared<const AdsServiceOptions>(std::move(options))) {}

std::optional<net::GrpcAnswer> AdsService::Serve(const net::GrpcRequest& request) const {
  if (request.path ==
      "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources") {
    return net::GrpcAnswer(
        std::make_unique<AdsStream>(hub_, options_, request.metadata, request.peer));
  }
  if (request.path ==
      "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources") {
    return net::GrpcAnswer(net::GrpcStatus{net::GrpcCode::kUnimplemented,
                                           "this control plane speaks incremental xDS only: set "
                                           "ads_config.api_type to DELTA_GRPC in the bootstrap"});
  }
  if (request.path == "/envoy.service.health.v3.HealthDiscoveryService/StreamHealthCheck") {
    return net::GrpcAnswer(
        internal::NewHealthStream(hub_, options_, request.metadata, request.peer));
  }
  return std::nullopt;
}

}  // namespace kuma::xds

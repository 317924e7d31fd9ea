#include "app/observation.h"

#include "base/format.h"
#include "base/log.h"
#include "generate/generate.h"
#include "model/value.h"

namespace kuma::app {
namespace {

constexpr base::Logger kLog("proxies");

using resources::dataplane_insight::Version;

insight::Service ServiceOf(bundle::XdsType type) {
  switch (type) {
    case bundle::XdsType::kCluster: return insight::Service::kCds;
    case bundle::XdsType::kEndpoints: return insight::Service::kEds;
    case bundle::XdsType::kListener: return insight::Service::kLds;
    case bundle::XdsType::kRoute: return insight::Service::kRds;
    case bundle::XdsType::kSecret: return insight::Service::kOther;
  }
  return insight::Service::kOther;
}

// The Dataplane that kuma-dp put into the node's metadata, or empty.
std::string BroughtDataplane(const model::Value& metadata) {
  const model::Value* text = metadata.Find("dataplane.resource");
  return text != nullptr && text->if_string() ? *text->if_string() : std::string();
}

model::Value ParseMetadata(const xds::NodeDescription& node) {
  auto parsed = model::ParseJson(node.metadata_json);
  return parsed ? *std::move(parsed) : model::Value(model::Object());
}

}  // namespace

Observation::Observation(runtime::SerialExecutor& executor, insight::ProxyInsights& insights,
                         insight::Progress& progress, runtime::Random& random,
                         rest::BroughtDataplanes& brought)
    : executor_(executor),
      insights_(insights),
      progress_(progress),
      random_(random),
      brought_(brought) {}

void Observation::OnConnected(const base::ProxyKey& proxy, uint64_t stream,
                              const xds::NodeDescription& node) {
  const model::Value metadata = ParseMetadata(node);
  control::Arrival arrival;
  arrival.proxy = proxy;
  arrival.stream = {stream};
  if (auto parsed = generate::ParseProxyNode(node.metadata_json)) {
    arrival.node = *std::move(parsed);
    arrival.node.envoy_version = node.envoy_version;
  } else {
    kLog.Warn("node metadata is unusable, defaults count",
              {{"proxy", proxy.ToString()}, {"error", parsed.error().message()}});
  }
  if (const std::string text = BroughtDataplane(metadata); !text.empty()) {
    if (auto decoded = brought_.Decode(text, proxy)) {
      arrival.dataplane = *std::move(decoded);
    }
  }
  control_->Connected(std::move(arrival));
  Version version;
  if (const model::Value* given = metadata.Find("version");
      given != nullptr && given->if_object()) {
    model::Violations violations;
    std::vector<std::string> unknown;
    model::DecodeStruct(model::TableOf<Version>(), *given, &version, "version",
                        {.proto_json = true}, violations, unknown);
    if (version.kuma_dp) version.kuma_dp->kuma_cp_compatible = true;
  }
  insights_.OnConnected(proxy, stream, random_.Uuid(), model::JsonText::Of(metadata),
                        std::move(version));
}

void Observation::OnEvent(const xds::ProxyEvent& event) {
  const base::ProxyKey& proxy = event.proxy;
  const uint64_t stream = event.stream;
  progress_.OnEvent(event);
  if (const auto* connected = std::get_if<xds::ConnectedEvent>(&event.what)) {
    OnConnected(proxy, stream, *connected->node);
  } else if (const auto* gone = std::get_if<xds::DisconnectedEvent>(&event.what)) {
    if (!gone->stopping) {
      control_->Disconnected(proxy, {stream}, false);
      insights_.OnDisconnected(proxy, stream);
    }
  } else if (const auto* ack = std::get_if<xds::AckEvent>(&event.what)) {
    insights_.OnAcknowledged(proxy, stream, ServiceOf(ack->type));
  } else if (const auto* nack = std::get_if<xds::NackEvent>(&event.what)) {
    insights_.OnRejected(proxy, stream, ServiceOf(nack->type));
  }
}

void Observation::OnRound(control::RoundReport report) {
  executor_.Post([this, report = std::move(report)]() mutable {
    for (const control::Published& published : report.published)
      insights_.OnCollectors(published.proxy, published.collectors);
    TakeRound(std::move(report), progress_);
  });
}

void TakeRound(control::RoundReport report, insight::Progress& progress) {
  if (report.began) progress.OnStart(report.settled);
  std::vector<insight::GivenBundle> given;
  given.reserve(report.published.size());
  for (control::Published& published : report.published) {
    insight::GivenBundle& one = given.emplace_back();
    one.proxy = std::move(published.proxy);
    one.bundle = std::move(published.bundle);
    one.changes.reserve(published.effects.size());
    for (control::Published::Effect& effect : published.effects)
      one.changes.push_back(
          {std::move(effect.revisions), std::move(effect.what), std::move(effect.reason)});
  }
  progress.OnRound(report.left, given, report.settled);
}

xds::HealthSubscriber SubscribeToHealth(control::ControlLoop& control) {
  return {.opened =
              [&control](const xds::NodeDescription& node, std::shared_ptr<xds::HealthLine> line) {
                // What is wrong with the metadata is said when the proxy's ADS stream opens.
                auto parsed = generate::ParseProxyNode(node.metadata_json);
                control.HealthOpened(node.proxy, std::move(line),
                                     parsed ? *std::move(parsed) : generate::ProxyNode());
              },
          .reported =
              [&control](const base::ProxyKey& proxy, const xds::HealthLine* line,
                         xds::HealthReport report) {
                control.HealthReported(proxy, line, std::move(report));
              },
          .closed = [&control](const base::ProxyKey& proxy,
                               const xds::HealthLine* line) { control.HealthClosed(proxy, line); }};
}

xds::Authenticate MakeStreamAuthentication(store::Store& store, rest::BroughtDataplanes& brought,
                                           runtime::Pool& pool, rest::VerifyDataplaneToken verify) {
  return [&store, &brought, &pool, verify](const xds::NodeDescription& node,
                                           const net::Headers& metadata,
                                           std::function<void(base::Status)> done) {
    std::vector<std::string> tokens;
    for (const std::string_view token : metadata.GetAll("authorization"))
      tokens.emplace_back(token);
    pool.Post([&store, &brought, verify, node, tokens = std::move(tokens), done = std::move(done)] {
      done([&]() -> base::Status {
        const base::ProxyKey& proxy = node.proxy;
        if (!store.Get({"Mesh", "", proxy.mesh})) {
          return base::NotFound(base::Format("mesh \"{}\" does not exist", proxy.mesh));
        }
        model::ResourcePtr dataplane;
        if (const std::string text = BroughtDataplane(ParseMetadata(node)); !text.empty()) {
          TRY_ASSIGN(dataplane, brought.Decode(text, proxy));
        } else {
          auto stored = store.Get({"Dataplane", proxy.mesh, proxy.name});
          if (!stored)
            return std::move(stored).error().Context(
                base::Format("Dataplane {}", proxy.ToString()));
          dataplane = *std::move(stored);
        }
        if (verify == nullptr) return base::Ok{};
        if (tokens.size() != 1) {
          return base::Denied(tokens.empty() ? "the stream carries no token"
                                             : "the stream carries several tokens");
        }
        return verify(dataplane->meta(), base::Redacted<std::string>(tokens[0]));
      }());
    });
  };
}

}  // namespace kuma::app

#include <algorithm>

#include "app/observation.h"
#include "policies/default_policies.h"
#include "tests/sim/world_parts.h"

namespace kuma::sim {
namespace {

using base::Format;
using base::ProxyKey;
using bundle::SealedPtr;
using bundle::XdsType;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kAdsPath =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

generate::ProxyNode NodeOfPeers() {
  generate::ProxyNode node;
  node.dns_port = 15053;
  return node;
}

}  // namespace

bool World::Wire::Send(std::string head, std::vector<net::Slice> slices) {
  const auto stream = stream_.lock();
  if (stream == nullptr || stream->finished) return false;
  for (const net::Slice& slice : slices) head += *slice;
  const bool slow = peer_.slow && !world_.waits_for_quiet_;
  const runtime::Duration late = slow ? std::chrono::seconds(20) : world_.late_;
  world_.Deliver(*stream, false, late, [this, weak = stream_, bytes = std::move(head)] {
    if (const auto open = weak.lock()) world_.OnResponse(peer_, open, bytes);
  });
  return true;
}

void World::Wire::Finish(net::GrpcStatus, net::Headers) {
  const auto stream = stream_.lock();
  if (stream == nullptr || std::exchange(stream->finished, true)) return;
  loop_.Post([world = &world_, weak = stream_] {
    if (const auto open = weak.lock()) world->CloseServerSide(open, false);
  });
  world_.Deliver(*stream, false, world_.late_, [this, weak = stream_] {
    const auto open = weak.lock();
    if (open == nullptr || peer_.stream != open) return;
    world_.Cut(peer_, seconds(0), false);
  });
}

// The control plane.

void World::StartControlPlane() {
  Note("the control plane starts");
  auto started = std::make_shared<ControlPlane>();
  ControlPlane& here = *started;
  here.world = this;
  std::weak_ptr<ControlPlane> weak = started;
  xds::SessionOptions session;
  session.retry_after = runtime::Duration::zero();
  here.hub = std::make_unique<xds::Hub>(
      xds::HubOptions{.loops = loops_,
                      .clock = &simulation_.clock(),
                      .session = session,
                      .subscribers = {{&insight_, [weak](const xds::ProxyEvent& event) {
                                         if (const auto self = weak.lock()) self->OnEvent(event);
                                       }}}});
  here.ads = std::make_unique<xds::AdsService>(
      *here.hub, xds::AdsServiceOptions{
                     .authenticate = [this](const xds::NodeDescription&, const net::Headers&,
                                            std::function<void(base::Status)> done) {
                       simulation_.pool().Post([done = std::move(done)] { done(base::Ok{}); });
                     }});
  here.insights = std::make_unique<insight::ProxyInsights>(
      insight::Settings{.instance_id = Format("instance-{}", next_stream_)}, *store_,
      simulation_.clock(), insight_);
  here.progress = std::make_unique<insight::Progress>(insight_, simulation_.clock(),
                                                      [this] { return memory_->revision(); });
  derive::Settings derive;
  derive.default_policies = [](const std::string& mesh) { return policies::DefaultPolicies(mesh); };
  here.loop = std::make_unique<control::ControlLoop>(
      settings_, std::move(derive),
      control::ControlLoop::Surroundings{
          .store = *store_,
          .generator = *generator_,
          .clock = simulation_.clock(),
          .writer = writer_,
          .pool = simulation_.pool(),
          .publish =
              [this, weak](std::vector<std::pair<ProxyKey, bundle::BundlePtr>> bundles,
                           std::shared_ptr<void> taken) {
                const auto self = weak.lock();
                if (self == nullptr) return;
                for (const auto& [proxy, bundle] : bundles) {
                  Note(Format("publish {} revision {}", proxy.ToString(), bundle->revision.value));
                  CheckPublished(proxy, *bundle);
                  for (const XdsType type : bundle::kAllXdsTypes) {
                    for (const SealedPtr& resource : bundle->Of(type)) {
                      if (seen_.insert(resource).second)
                        sealed_.insert_or_assign({type, resource->name, resource->VersionText()},
                                                 resource);
                    }
                  }
                }
                // Busy streams take them later.
                std::shared_ptr<void> later = random_.OneIn(4) ? taken : nullptr;
                self->hub->PublishAll(std::move(bundles), std::move(taken));
                if (later == nullptr) return;
                timers_.push_back(writer_.PostAfter(milliseconds(random_.Below(40)),
                                                    [later = std::move(later)] {}));
              },
          .newcomers = [weak]() -> uint64_t {
            const auto self = weak.lock();
            if (self == nullptr) return 0;
            const xds::HubCounters& streams = self->hub->counters();
            return streams.streams_waiting + streams.streams_entering;
          },
          .withdraw =
              [weak](const ProxyKey& proxy) {
                if (const auto self = weak.lock()) self->hub->Withdraw(proxy);
              },
          .forget =
              [this, weak](const ProxyKey& proxy) {
                ++counts_["forgotten"];
                if (const auto self = weak.lock()) self->hub->Forget(proxy);
              },
          .on_round =
              [this, weak](const control::RoundReport& report) {
                insight_.Post([weak, report] {
                  const auto self = weak.lock();
                  if (self == nullptr) return;
                  app::TakeRound(report, *self->progress);
                  for (const ProxyKey& proxy : report.left) self->Given(proxy).clear();
                  for (const control::Published& published : report.published) {
                    Peer::Given given{published.bundle, {}};
                    for (const auto& effect : published.effects)
                      given.effects.insert(effect.revisions->begin(), effect.revisions->end());
                    self->Given(published.proxy).push_back(std::move(given));
                  }
                });
              }});
  control_plane_ = std::move(started);
  rollouts_.clear();
  open_rollouts_.clear();
  looked_up_to_ = 0;
  insight_.Post([weak] {
    if (const auto self = weak.lock()) self->insights->Start();
  });
  const base::Status watching = here.loop->Start();
  if (!watching.has_value()) Fail("no watch: " + watching.error().message());
}

void World::ControlPlane::OnEvent(const xds::ProxyEvent& event) {
  const ProxyKey& proxy = event.proxy;
  const auto service = [](XdsType type) {
    switch (type) {
      case XdsType::kCluster: return insight::Service::kCds;
      case XdsType::kEndpoints: return insight::Service::kEds;
      case XdsType::kListener: return insight::Service::kLds;
      case XdsType::kRoute: return insight::Service::kRds;
      default: return insight::Service::kOther;
    }
  };
  progress->OnEvent(event);
  if (std::holds_alternative<xds::ConnectedEvent>(event.what)) {
    Given(proxy).clear();
    control::Arrival arrival{
        .proxy = proxy, .stream = {event.stream}, .node = NodeOfPeers(), .dataplane = nullptr};
    const auto peer = world->peers_.find(proxy.name);
    if (peer != world->peers_.end()) arrival.dataplane = peer->second->brought;
    insights->OnConnected(proxy, event.stream, Format("{}-{}", world->next_stream_, event.stream),
                          model::JsonText(), {});
    loop->Connected(std::move(arrival));
  } else if (const auto* gone = std::get_if<xds::DisconnectedEvent>(&event.what)) {
    Given(proxy).clear();
    if (gone->stopping) return;
    insights->OnDisconnected(proxy, event.stream);
    loop->Disconnected(proxy, {event.stream}, gone->reason == "closed by the proxy");
  } else if (const auto* ack = std::get_if<xds::AckEvent>(&event.what)) {
    insights->OnAcknowledged(proxy, event.stream, service(ack->type));
  } else if (const auto* nack = std::get_if<xds::NackEvent>(&event.what)) {
    ++world->counts_["nacks"];
    insights->OnRejected(proxy, event.stream, service(nack->type));
  }
}

// Nothing of the process is left; the machines see their connections break.
void World::Crash() {
  Happens("the control plane crashes");
  ++counts_["crashes"];
  const auto gone = std::exchange(control_plane_, nullptr);
  const auto streams = std::exchange(gone->streams, {});
  for (const auto& [number, stream] : streams) {
    stream->finished = true;
    if (auto handler = std::exchange(stream->handler, nullptr))
      handler->OnClosed({net::GrpcCode::kUnavailable, ""}, {});
  }
  for (auto& [name, peer] : peers_) {
    if (peer->stream != nullptr && peer->stream->open) Cut(*peer, seconds(0), false);
  }
  RestartWhoIsInDoubt();
  timers_.push_back(
      writer_.PostAfter(milliseconds(random_.Below(3000)), [this] { StartControlPlane(); }));
}

void World::StopGracefully() {
  Happens("the control plane stops");
  ++counts_["stops"];
  const std::shared_ptr<ControlPlane> here = control_plane_;
  const auto streams = here->streams;
  for (const auto& [number, stream] : streams) {
    if (stream->handler != nullptr) stream->handler->OnDrain();
  }
  simulation_.RunUntilIdle();
  here->loop->Stop(nullptr);
  insight_.Post([here] { here->insights->Stop(nullptr); });
  Pass(seconds(1));
  for (const auto& [number, stream] : here->streams) {
    if (auto handler = std::exchange(stream->handler, nullptr))
      handler->OnClosed({net::GrpcCode::kUnavailable, ""}, {});
  }
  here->streams.clear();
  control_plane_ = nullptr;
  for (auto& [name, peer] : peers_) {
    if (peer->stream != nullptr && peer->stream->open) Cut(*peer, seconds(0), false);
  }
  RestartWhoIsInDoubt();
  StartControlPlane();
}

// What an Envoy took from a refused response, only the process knew that is gone
// (docs/protocols/xds-delta.md, Reconnects).
void World::RestartWhoIsInDoubt() {
  for (auto& [name, peer] : peers_) {
    if (!peer->refuses || peer->envoy->NamesWhatItRuns()) continue;
    ++counts_["in doubt at a crash"];
    Note(name + " restarts");
    peer->envoy->Restart();
  }
}

// Proxies.

void World::AddPeer(const std::string& name) {
  auto added = std::make_unique<Peer>();
  Peer& peer = *added;
  peer.key = {std::string(kMesh), name};
  peer.owned = choice_.OneIn(2);
  peer.slow = choice_.OneIn(12);
  peer.refuses = refusals_ && choice_.OneIn(2);
  peer.dataplane.address = Format("10.0.0.{}", 1 + peers_.size());
  peer.dataplane.labels = {{"app", SomeService()}, {"rack", Format("r{}", choice_.Below(3))}};
  if (choice_.OneIn(2))
    peer.dataplane.labels["kuma.io/workload"] = peer.dataplane.labels["app"] + "-w";
  peers_[name] = std::move(added);
  Register(peer);
}

// What kuma-dp does at its start: bootstrap, then Envoy.
void World::Register(Peer& peer) {
  peer.alive = true;
  peer.dataplane.owned_by_proxy = peer.owned;
  peer.dataplane.ready = true;
  peer.dataplane.outbounds.clear();
  for (uint64_t i = 0; i < kServices; ++i) {
    if (choice_.OneIn(2))
      peer.dataplane.outbounds.push_back({Format("s{}", i), 80, static_cast<uint32_t>(10000 + i)});
  }
  if (choice_.OneIn(3)) peer.dataplane.outbounds.push_back({"s0-w", 8080, 10100});
  if (transparent_) {
    peer.dataplane.transparent = choice_.OneIn(2);
    // With outbounds these are all that it reaches, without them that is everything.
    if (peer.dataplane.transparent && choice_.OneIn(2)) peer.dataplane.outbounds.clear();
    if (peer.dataplane.transparent && choice_.OneIn(4))
      peer.dataplane.direct_access = {choice_.OneIn(2) ? std::string("*") : SomeService()};
  }
  const model::ResourcePtr dataplane = DataplaneOf(peer);
  peer.brought = peer.owned ? dataplane : nullptr;
  Commit("register " + peer.key.ToString(), {kit::Put(dataplane)});

  kit::ModelEnvoyOptions options;
  options.subscribes_before_ack = !choice_.OneIn(3);
  options.has_endpoints = HasEndpoints;
  options.refuses = [this, &peer](const bundle::SealedResource& resource) {
    return Refuses(peer, resource);
  };
  // Refused and forgotten endpoints leave clusters warming until the fetch time-out.
  options.expects_warm_clusters = false;
  peer.envoy = std::make_unique<kit::ModelEnvoy>(options, random_);
  ConnectSoon(peer, milliseconds(choice_.Below(500)));
}

std::optional<kit::Refusal> World::Refuses(const Peer& peer,
                                           const bundle::SealedResource& resource) const {
  if (!peer.refuses || resource.version.low % 7 != 0) return std::nullopt;
  return kit::Refusal{"no reason", resource.version.high % 2 == 0};
}

void World::ConnectSoon(Peer& peer, runtime::Duration after) {
  peer.connect_timer = clients_.PostAfter(after, [this, &peer] { Connect(peer); });
}

void World::Connect(Peer& peer) {
  if (!peer.alive) return;
  if (control_plane_ == nullptr || !control_plane_->loop->ready()) {
    ConnectSoon(peer, milliseconds(200 + random_.Below(800)));
    return;
  }
  auto stream = std::make_shared<Stream>();
  stream->number = next_stream_++;
  runtime::SerialExecutor& loop = *loops_[random_.Below(loops_.size())];
  stream->wire = std::make_unique<Wire>(*this, peer, loop);
  stream->wire->Attach(stream);
  net::GrpcRequest request;
  request.path = kAdsPath;
  auto answer = control_plane_->ads->Serve(request);
  stream->handler = std::move(answer->handler);
  control_plane_->streams.emplace(stream->number, stream);
  peer.stream = stream;
  ++counts_["streams"];
  loop.Post([weak = std::weak_ptr<Stream>(stream)] {
    if (const auto open = weak.lock(); open != nullptr && open->handler != nullptr)
      open->handler->OnStart(*open->wire);
  });
  SendRequests(peer, peer.envoy->Connect(simulation_.clock().Now()));
  ArmClient(peer);
}

void World::Deliver(Stream& stream, bool to_server, runtime::Duration late, runtime::Task task) {
  const runtime::Time now = simulation_.clock().Now();
  runtime::Time& last = to_server ? stream.last_to_server : stream.last_to_client;
  last = std::max(last, now + runtime::Duration(static_cast<int64_t>(
                                  random_.Below(static_cast<uint64_t>(late.count()) + 1))));
  while (stream.timers.size() > 64) stream.timers.pop_front();
  runtime::SerialExecutor& to = to_server ? stream.wire->loop() : clients_;
  stream.timers.push_back(to.PostAfter(last - now, std::move(task)));
}

void World::SendRequests(Peer& peer, std::vector<xds::DeltaRequest> requests) {
  for (const xds::DeltaRequest& request : requests) {
    std::string bytes = kit::EncodeRequest(request, peer.key.NodeId());
    Deliver(*peer.stream, true, late_,
            [weak = std::weak_ptr<Stream>(peer.stream), bytes = std::move(bytes)] {
              const auto open = weak.lock();
              if (open == nullptr || open->handler == nullptr || open->finished) return;
              open->handler->OnMessage(bytes);
            });
  }
}

void World::OnResponse(Peer& peer, const std::shared_ptr<Stream>& stream, std::string bytes) {
  if (!stream->open || peer.stream != stream) return;
  const auto response = kit::DecodeResponse(
      bytes,
      [this](XdsType type, std::string_view name, std::string_view version,
             std::string_view) -> SealedPtr {
        const auto found = sealed_.find({type, std::string(name), std::string(version)});
        return found == sealed_.end() ? nullptr : found->second;
      });
  if (!response) return Fail("a response that cannot be decoded");
  ++counts_["responses"];
  counts_["resources"] += response->resources.size();
  Note(Format("-> {} {} revision {} {} resources {} removed", peer.key.name, response->type_url(),
              response->revision.value, response->resources.size(), response->removed.size()));
  if (options_.verbose) {
    for (const SealedPtr& resource : response->resources)
      Note(Format("   {} {}{}", resource->name, resource->VersionText(),
                  Refuses(peer, *resource) ? " refused" : ""));
    for (const std::string& name : response->removed) Note("   removed " + name);
  }
  if (response->revision < peer.newest_sent)
    Fail(Format("{} is sent revision {} after {}", peer.key.name, response->revision.value,
                peer.newest_sent.value));
  peer.newest_sent = std::max(peer.newest_sent, response->revision);
  SendRequests(peer, peer.envoy->OnResponse(simulation_.clock().Now(), *response));
  ArmClient(peer);
}

void World::ArmClient(Peer& peer) {
  const std::optional<runtime::Time> next = peer.envoy->NextTimer();
  if (!next) return;
  peer.client_timer = clients_.PostAfter(*next - simulation_.clock().Now(), [this, &peer] {
    std::vector<xds::DeltaRequest> requests = peer.envoy->OnTimer(simulation_.clock().Now());
    if (peer.stream != nullptr && peer.stream->open) SendRequests(peer, std::move(requests));
    ArmClient(peer);
  });
}

void World::CloseServerSide(const std::shared_ptr<Stream>& stream, bool graceful) {
  const auto handler = std::exchange(stream->handler, nullptr);
  if (handler == nullptr) return;
  if (graceful && !stream->finished) handler->OnHalfClose();
  handler->OnClosed(graceful ? net::GrpcStatus{}
                             : net::GrpcStatus{net::GrpcCode::kUnavailable, "connection lost"},
                    {});
  stream->finished = true;
  if (control_plane_ != nullptr) control_plane_->streams.erase(stream->number);
}

// The connection of a proxy breaks; the server notices after a while.
void World::Cut(Peer& peer, runtime::Duration until_noticed, bool graceful) {
  const std::shared_ptr<Stream> stream = peer.stream;
  if (stream == nullptr || !stream->open) return;
  stream->open = false;
  stream->timers.clear();
  peer.envoy->Disconnect();
  timers_.push_back(stream->wire->loop().PostAfter(
      until_noticed, [this, stream, graceful] { CloseServerSide(stream, graceful); }));
  if (!peer.alive) return;
  const bool long_gone = random_.OneIn(6);
  ConnectSoon(peer, milliseconds(random_.Below(long_gone ? 40'000 : 900)));
}

void World::Kill(Peer& peer, bool graceful) {
  Happens(Format("{} {}", graceful ? "goodbye" : "kill", peer.key.ToString()));
  ++counts_[graceful ? "goodbyes" : "kills"];
  peer.alive = false;
  peer.connect_timer.Cancel();
  Cut(peer, milliseconds(graceful ? 0 : random_.Below(20)), graceful);
  peer.client_timer.Cancel();
}

World::Peer* World::SomePeer(bool alive) {
  std::vector<Peer*> found;
  for (auto& [name, peer] : peers_) {
    if (peer->alive == alive) found.push_back(peer.get());
  }
  return found.empty() ? nullptr : found[choice_.Below(found.size())];
}

}  // namespace kuma::sim

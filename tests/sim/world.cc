#include "tests/sim/world.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/service/discovery/v3/discovery.pb.h>

#include <algorithm>
#include <cstdio>

#include "app/observation.h"
#include "base/format.h"
#include "base/hash.h"
#include "base/strings.h"
#include "insight/progress.h"
#include "insight/proxy_insights.h"
#include "policies/all.h"
#include "policies/default_policies.h"
#include "policies/mesh_timeout/mesh_timeout.h"
#include "resources/dataplane/dataplane.h"
#include "resources/dataplane_insight/dataplane_insight.h"
#include "resources/mesh_service/mesh_service.h"
#include "store/memory/memory_store.h"
#include "xds/ads_service.h"
#include "xds/hub.h"

namespace kuma::sim {
namespace {

namespace insights = resources::dataplane_insight;
using base::Format;
using base::ProxyKey;
using base::Revision;
using bundle::SealedPtr;
using bundle::XdsType;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::string_view kAdsPath =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
constexpr std::string_view kMesh = "default";

generate::ProxyNode NodeOfPeers() {
  generate::ProxyNode node;
  node.dns_port = 15053;
  return node;
}
constexpr std::string_view kBrokenTimeout = "13s";  // no cluster can be built with it
constexpr uint64_t kServices = 6;
constexpr uint64_t kPeers = 20;
constexpr uint64_t kMostPeers = 26;
// No snapshot is older than this: the longest outage of the store and the longest retry after it.
constexpr std::chrono::seconds kLongestDelay(20);

// All policies, and one more row that cannot be applied to some clusters.
policy::PolicyTable Policies(bool broken) {
  policy::PolicyTable table = policies::AllPolicies();
  if (!broken) return table;
  const policy::PolicyType* timeout = policy::FindPolicy(table, "MeshTimeout");
  policy::PolicyType faulty = *timeout;
  faulty.hooks = {};
  faulty.hooks.cluster = [](const policy::ClusterContext& context,
                            envoy::ClusterDraft&) -> base::Status {
    const auto* conf = context.Conf<policies::mesh_timeout::Conf>();
    if (conf != nullptr && conf->connection_timeout &&
        conf->connection_timeout->value == seconds(13))
      return base::Invalid("MeshTimeout: 13s cannot be applied");
    return base::Ok{};
  };
  table.push_back(faulty);
  return table;
}

// What the messages of clusters and endpoint sets say, each version read once.
template <class Message, class Read>
uint64_t Reading(const bundle::SealedResource& resource, Read read) {
  static std::map<std::pair<std::string, std::string>, uint64_t> known;
  const auto [at, is_new] = known.try_emplace({resource.name, resource.VersionText()}, 1);
  if (!is_new) return at->second;
  ::envoy::service::discovery::v3::DeltaDiscoveryResponse response;
  Message message;
  if (response.ParseFromString(*resource.Bytes()) &&
      response.resources(0).resource().UnpackTo(&message))
    at->second = read(message);
  return at->second;
}

bool HasEndpoints(const bundle::SealedResource& cluster) {
  using Cluster = ::envoy::config::cluster::v3::Cluster;
  return Reading<Cluster>(cluster, [](const Cluster& message) -> uint64_t {
           return message.type() == Cluster::EDS;
         }) != 0;
}

bool IsEmpty(const bundle::SealedResource& endpoints) {
  using Assignment = ::envoy::config::endpoint::v3::ClusterLoadAssignment;
  return Reading<Assignment>(endpoints, [](const Assignment& message) {
           uint64_t count = 0;
           for (const auto& locality : message.endpoints())
             count += static_cast<uint64_t>(locality.lb_endpoints_size());
           return count;
         }) == 0;
}

uint64_t GenerationsOf(const control::Counters& counters) {
  uint64_t sum = 0;
  for (const auto& number : counters.generations) sum += number;
  return sum;
}

}  // namespace

// Since when each MeshService of the users' exists and has a ready endpoint, as the store says.
class World::Healthy final : public store::WatchSink {
 public:
  Healthy(store::Store& store, const runtime::Clock& clock) : clock_(clock) {
    auto watch = store.Watch({}, *this);
    CHECK(watch.has_value(), "the memory store can be watched");
    watch_ = *std::move(watch);
  }

  void OnSnapshot(Revision, std::vector<model::ResourcePtr> resources) override {
    for (const model::ResourcePtr& resource : resources) Take(resource->key(), resource.get());
  }
  void OnEvents(std::span<const store::StoreEvent> events) override {
    for (const store::StoreEvent& event : events) Take(event.key, event.after.get());
  }
  std::optional<runtime::Time> Since(const std::string& service) const {
    const auto found = since_.find(service);
    return found == since_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  void Take(const model::ResourceKey& key, const model::Resource* now) {
    if (key.kind == "MeshService") {
      now == nullptr ? services_.erase(key.name) : services_.insert(key.name).second;
      Update(key.name);
    } else if (key.kind == "Dataplane") {
      std::string& app = ready_[key.name];
      const std::string before = app;
      app.clear();
      if (now != nullptr) {
        const auto& spec = now->Spec<resources::dataplane::Spec>();
        const auto& inbounds = spec.networking->inbound;
        if (!inbounds.empty() &&
            inbounds.front().state == resources::dataplane::InboundState::kReady)
          app = now->meta().Label("app");
      }
      Update(before);
      Update(app);
    }
  }
  void Update(const std::string& service) {
    const bool healthy = services_.contains(service) &&
                         std::any_of(ready_.begin(), ready_.end(),
                                     [&](const auto& entry) { return entry.second == service; });
    if (!healthy) {
      since_.erase(service);
    } else {
      since_.try_emplace(service, clock_.Now());
    }
  }

  const runtime::Clock& clock_;
  std::set<std::string> services_;
  std::map<std::string, std::string> ready_;  // Dataplane -> its app, empty: not ready
  std::map<std::string, runtime::Time> since_;
  store::WatchHandle watch_;
};

// A transport between one model Envoy and the ADS service.
class World::Wire final : public net::GrpcStream {
 public:
  Wire(World& world, Peer& peer, runtime::SerialExecutor& loop)
      : world_(world), peer_(peer), loop_(loop) {}
  void Attach(const std::shared_ptr<Stream>& stream) { stream_ = stream; }

  runtime::SerialExecutor& loop() override { return loop_; }
  bool Send(std::string head, std::vector<net::Slice> slices) override;
  void Finish(net::GrpcStatus status, net::Headers trailers) override;
  size_t queued_bytes() const override { return 0; }

 private:
  World& world_;
  Peer& peer_;
  runtime::SerialExecutor& loop_;
  std::weak_ptr<Stream> stream_;
};

struct World::Stream {
  uint64_t number = 0;
  std::unique_ptr<Wire> wire;
  std::unique_ptr<net::GrpcStreamHandler> handler;  // null: closed at the server
  bool open = true;                                 // at the client
  bool finished = false;                            // by the server
  runtime::Time last_to_server, last_to_client;
  std::deque<runtime::Timer> timers;
};

// A machine with an Envoy and a workload.
struct World::Peer {
  ProxyKey key;
  bool owned = false;
  bool alive = false;
  bool slow = false;
  bool refuses = false;
  kit::DataplaneOptions dataplane;
  model::ResourcePtr brought;  // what it registered at its start
  struct Given {
    bundle::BundlePtr bundle;
    std::set<Revision> effects;
  };
  std::vector<Given> given;  // to its newest stream, oldest first
  Revision newest_sent;      // to any of its streams
  std::unique_ptr<kit::ModelEnvoy> envoy;
  std::shared_ptr<Stream> stream;  // the newest
  runtime::Timer client_timer, connect_timer, flap_timer;
};

struct World::ControlPlane : std::enable_shared_from_this<World::ControlPlane> {
  std::unique_ptr<xds::Hub> hub;
  std::unique_ptr<xds::AdsService> ads;
  std::unique_ptr<control::ControlLoop> loop;
  std::unique_ptr<insight::ProxyInsights> insights;
  std::unique_ptr<insight::Progress> progress;
  World* world = nullptr;
  std::map<uint64_t, std::shared_ptr<Stream>> streams;

  void OnEvent(const xds::ProxyEvent& event);
  std::vector<Peer::Given>& Given(const ProxyKey& proxy) {
    return world->peers_.at(proxy.name)->given;
  }
};

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

// ---------------------------------------------------------------------------------------------------------------
// Life and death

World::World(WorldOptions options)
    : options_(options),
      simulation_(options.seed),
      random_(simulation_.random()),
      writer_(simulation_.AddExecutor("writer")),
      insight_(simulation_.AddExecutor("insight")),
      storage_(simulation_.AddExecutor("storage")),
      clients_(simulation_.AddExecutor("clients")),
      loops_{&simulation_.AddExecutor("loop0"), &simulation_.AddExecutor("loop1")},
      refusals_(random_.OneIn(4)),
      broken_policy_(random_.OneIn(3)),
      transparent_(options.seed % 3 == 0),
      late_(random_.OneIn(3) ? milliseconds(1500) : milliseconds(20)),
      memory_(store::NewMemoryStore(simulation_.clock(), true)),
      store_(std::make_unique<kit::FaultyStore>(*memory_)),
      generator_(
          std::make_unique<generate::Generator>(Policies(broken_policy_), generate::Settings{})) {
  if (random_.OneIn(4)) settings_.oracle_interval = runtime::Duration::zero();
  store_->DelayBy([this](std::function<void()> commit) {
    const runtime::Time now = simulation_.clock().Now();
    last_commit_ =
        std::max(last_commit_, now + milliseconds(random_.Below(random_.OneIn(10) ? 300 : 5)));
    commits_.push_back(storage_.PostAfter(last_commit_ - now, std::move(commit)));
    while (commits_.size() > 1000) commits_.pop_front();
  });
  store_->Inject([this](const store::Transaction&) {
    using Fault = kit::FaultyStore::Fault;
    if (simulation_.clock().Now() >= store_fails_until_) return Fault::kNone;
    ++counts_["store unavailable"];
    return Fault::kRefused;
  });
  store_->ObserveBy(
      [this](const store::Transaction& transaction, const base::Result<store::Committed>& result) {
        std::string what = Format(
            "  the control plane's commit (cause {}): {}", transaction.cause.value,
            result.has_value() ? Format("{}", result->revision.value) : result.error().message());
        for (const store::Write& write : transaction.writes)
          what += ", " + (write.resource != nullptr ? write.resource->key().ToString()
                                                    : "-" + write.key.ToString());
        Note(what);
        if (!result.has_value()) ++counts_["store " + std::string(ToString(result.error().code()))];
      });
  healthy_ = std::make_unique<Healthy>(*memory_, simulation_.clock());
  settings_.round_limit = 1 + random_.Below(8);
  settings_.wave_of = 1 + random_.Below(6);
  settings_.longest_rest = milliseconds(100 + random_.Below(900));
  settings_.guard_minimum = random_.OneIn(3) ? 1 : 100;
}

World::~World() {
  for (auto& [name, peer] : peers_) {
    peer->stream = nullptr;
    peer->client_timer.Cancel();
    peer->connect_timer.Cancel();
    peer->flap_timer.Cancel();
  }
  control_plane_ = nullptr;
}

runtime::Duration World::elapsed() {
  return simulation_.clock().Now().time_since_epoch() - std::chrono::hours(1);
}

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
                          model::Value(), {});
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
  StartControlPlane();
}

// ---------------------------------------------------------------------------------------------------------------
// Proxies

void World::AddPeer(const std::string& name) {
  auto added = std::make_unique<Peer>();
  Peer& peer = *added;
  peer.key = {std::string(kMesh), name};
  peer.owned = choice_.OneIn(2);
  peer.slow = choice_.OneIn(12);
  peer.refuses = refusals_ && choice_.OneIn(2);
  peer.dataplane.address = Format("10.0.0.{}", 1 + peers_.size());
  peer.dataplane.labels = {{"app", SomeService()}};
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

// ---------------------------------------------------------------------------------------------------------------
// Users

std::string World::SomeService() { return Format("s{}", choice_.Below(kServices)); }
std::string World::SomeApp() { return choice_.OneIn(3) ? std::string() : SomeService(); }

void World::Commit(std::string what, std::vector<store::Write> writes) {
  const base::Result<store::Committed> done =
      memory_->Commit({.writes = std::move(writes), .cause = {}});
  ++edits_;
  ++counts_["edits"];
  what = done.has_value() ? Format("{} at {}", what, done->revision.value)
                          : what + ": " + done.error().message();
  Happens(what);
}

model::ResourcePtr World::DataplaneOf(const Peer& peer) {
  return kit::Dataplane(peer.key.name, peer.dataplane);
}

void World::EditProxy() {
  Peer* peer = SomePeer(!choice_.OneIn(8));
  if (peer == nullptr) return;
  switch (choice_.Below(5)) {
    case 0:
    case 1: peer->dataplane.ready = !peer->dataplane.ready; break;
    case 2:
      peer->dataplane.address =
          Format("10.0.{}.{}", 1 + choice_.Below(250), 1 + choice_.Below(250));
      break;
    case 3: peer->dataplane.labels["app"] = SomeService(); break;
    default:
      if (peer->dataplane.outbounds.empty() || choice_.OneIn(2)) {
        const uint64_t service = choice_.Below(kServices);
        std::erase_if(peer->dataplane.outbounds, [&](const kit::Outbound& outbound) {
          return outbound.service == Format("s{}", service);
        });
        peer->dataplane.outbounds.push_back(
            {Format("s{}", service), 80, static_cast<uint32_t>(10000 + service)});
      } else {
        peer->dataplane.outbounds.pop_back();
      }
      break;
  }
  if (choice_.OneIn(25) && !peer->owned) {
    Commit("delete " + peer->key.ToString(),
           {kit::Delete({"Dataplane", peer->key.mesh, peer->key.name})});
  } else {
    Commit("edit " + peer->key.ToString(), {kit::Put(DataplaneOf(*peer))});
  }
}

void World::EditPolicy() {
  const std::string name = Format("p{}", choice_.Below(5));
  const std::string mesh(kMesh);
  if (choice_.OneIn(4)) {
    static constexpr std::array<std::string_view, 4> kKinds = {"MeshTimeout", "MeshHTTPRoute",
                                                               "MeshRetry", "MeshCircuitBreaker"};
    const std::string kind(kKinds[choice_.Below(kKinds.size())]);
    Commit(Format("delete {} {}", kind, name), {kit::Delete({kind, mesh, name})});
    return;
  }
  const std::string app = SomeApp();
  const std::string top =
      app.empty() ? "{kind: Mesh}" : Format("{{kind: Dataplane, labels: {{app: {}}}}}", app);
  const std::string to =
      Format("{{kind: MeshService, labels: {{kuma.io/display-name: {}}}}}", SomeService());
  switch (choice_.Below(5)) {
    case 0:
    case 1: {
      const bool broken = broken_policy_ && choice_.OneIn(3);
      const std::string timeout =
          broken ? std::string(kBrokenTimeout) : Format("{}s", 1 + choice_.Below(9));
      Commit(
          Format("put MeshTimeout {} {}", name, timeout),
          {kit::Put(kit::MeshTimeout(name, app, choice_.OneIn(2) ? "" : SomeService(), timeout))});
      break;
    }
    case 2: {
      const uint64_t weight = choice_.Below(100);
      Commit("put MeshHTTPRoute " + name,
             {kit::Put(kit::FromYaml(Format(R"(
type: MeshHTTPRoute
mesh: {}
name: {}
spec:
  targetRef: {}
  to:
  - targetRef: {}
    rules:
    - matches: [{{path: {{type: PathPrefix, value: /{}}}}}]
      default:
        backendRefs:
        - {{kind: MeshService, labels: {{kuma.io/display-name: {}}}, port: 80, weight: {}}}
        - {{kind: MeshService, labels: {{kuma.io/display-name: {}}}, port: 80, weight: {}}}
)",
                                            mesh, name, top, to, choice_.OneIn(2) ? "" : "x",
                                            SomeService(), weight, SomeService(), 100 - weight)))});
      break;
    }
    case 3:
      Commit("put MeshRetry " + name,
             {kit::Put(kit::FromYaml(Format(R"(
type: MeshRetry
mesh: {}
name: {}
spec:
  targetRef: {}
  to:
  - targetRef: {}
    default:
      http: {{numRetries: {}}}
)",
                                            mesh, name, top, to, 1 + choice_.Below(5))))});
      break;
    default:
      Commit("put MeshCircuitBreaker " + name,
             {kit::Put(kit::FromYaml(Format(R"(
type: MeshCircuitBreaker
mesh: {}
name: {}
spec:
  targetRef: {}
  to:
  - targetRef: {}
    default:
      connectionLimits: {{maxConnections: {}}}
)",
                                            mesh, name, top, to, 1 + choice_.Below(50))))});
      break;
  }
}

void World::EditService() {
  const std::string name = SomeService();
  if (choice_.OneIn(12)) {
    Commit("edit the mesh",
           {kit::Put(kit::WithLabels(*kit::Mesh(kMesh), {{"edit", Format("{}", edits_)}}))});
  } else if (choice_.OneIn(3)) {
    Commit("delete MeshService " + name, {kit::Delete({"MeshService", std::string(kMesh), name})});
  } else {
    Commit("put MeshService " + name,
           {kit::Put(kit::MeshService(name, kMesh, choice_.OneIn(3) ? "tcp" : "http"))});
  }
}

// ---------------------------------------------------------------------------------------------------------------
// The run

// Without some of the events the others are still the same.
void World::Choose(size_t number) {
  choice_ = runtime::SeededRandom(base::Hash64(Format("{}", number), options_.seed));
  event_ = number;
}

void World::Disturb() {
  const uint64_t choice = choice_.Below(100);
  if (choice < 28) {
    EditProxy();
  } else if (choice < 42) {
    EditPolicy();
  } else if (choice < 54) {
    EditService();
  } else if (choice < 68) {
    if (Peer* peer = SomePeer(true)) {
      ++counts_["cuts"];
      const milliseconds unnoticed(choice_.OneIn(4) ? choice_.Below(5000) : choice_.Below(20));
      Happens("cut " + peer->key.ToString());
      Cut(*peer, unnoticed, false);
    }
  } else if (choice < 74) {
    if (Peer* peer = SomePeer(true)) Kill(*peer, choice_.OneIn(3));
  } else if (choice < 80) {
    if (Peer* peer = SomePeer(false)) Register(*peer);
  } else if (choice < 82) {
    if (peers_.size() < kMostPeers) AddPeer(Format("dp-{}", peers_.size()));
  } else if (choice < 86) {
    if (Peer* peer = SomePeer(true))
      Flap(*peer, 2 * (1 + choice_.Below(6)), milliseconds(20 + choice_.Below(1500)));
  } else if (choice < 89) {
    const milliseconds outage(choice_.Below(8000));
    Happens(Format("the store fails for {} ms", outage.count()));
    store_fails_until_ = simulation_.clock().Now() + outage;
  } else if (choice < 92) {
    JumpClock();
  } else if (choice < 95) {
    if (Peer* peer = SomePeer(true)) {
      peer->slow = !peer->slow;
      Happens(peer->key.ToString() + (peer->slow ? " is slow" : " is fast"));
    }
  } else if (choice < 96) {
    Happens("all connections break");
    for (auto& [name, peer] : peers_) {
      if (peer->alive) Cut(*peer, milliseconds(choice_.Below(20)), false);
    }
  } else if (choice < 98) {
    if (control_plane_ != nullptr) Crash();
  } else if (control_plane_ != nullptr) {
    StopGracefully();
  }
}

// Ends as it began.
void World::Flap(Peer& peer, uint64_t times, runtime::Duration every) {
  Happens(Format("{} flaps {} times", peer.key.ToString(), times));
  ++counts_["flaps"];
  const auto left = std::make_shared<uint64_t>(times);
  const auto flip = std::make_shared<std::function<void()>>();
  *flip = [this, &peer, every, left, weak = std::weak_ptr(flip)] {
    peer.dataplane.ready = !peer.dataplane.ready;
    Commit("  flap " + peer.key.ToString(), {kit::Put(DataplaneOf(peer))});
    const auto again = weak.lock();
    if (--*left > 0 && again != nullptr)
      peer.flap_timer = clients_.PostAfter(every, [again] { (*again)(); });
  };
  peer.flap_timer = clients_.PostAfter(every, [flip] { (*flip)(); });
}

// Forward and back, by a second or by days.
void World::JumpClock() {
  ++counts_["clock jumps"];
  runtime::Duration by = choice_.OneIn(2) ? runtime::Duration(seconds(choice_.Below(100)))
                                          : runtime::Duration(minutes(choice_.Below(3000)));
  if (choice_.OneIn(2)) by = -by;
  Happens(Format("the clock jumps by {} s", std::chrono::duration_cast<seconds>(by).count()));
  simulation_.JumpWallClock(by);
}

void World::Run() {
  StartControlPlane();
  Pass(seconds(1));
  Choose(0);
  for (uint64_t i = 0; i < kServices; ++i) {
    if (!choice_.OneIn(4)) Commit("first services", {kit::Put(kit::MeshService(Format("s{}", i)))});
  }
  for (uint64_t i = 0; i < kPeers; ++i) AddPeer(Format("dp-{}", i));
  Pass(seconds(3));
  for (size_t number = 1; number <= options_.events && failures_.empty(); ++number) {
    Choose(number);
    // Drawn before what depends on the state of the world.
    const bool quiet = choice_.OneIn(50);
    const uint64_t pace = choice_.Below(20);
    const runtime::Duration pause = pace < 12 ? runtime::Duration(milliseconds(choice_.Below(30)))
                                    : pace < 19
                                        ? runtime::Duration(milliseconds(choice_.Below(2500)))
                                        : runtime::Duration(seconds(choice_.Below(40)));
    const bool happens = !options_.only || options_.only->contains(number);
    if (happens) Disturb();
    if (pace < 6) continue;  // with the next one
    Pass(pause);
    CheckAlways();
    if (happens && quiet) CheckQuiet();
  }
  CheckQuiet();
  if (failures_.empty()) CheckStatusWritesCostNothing();
  if (failures_.empty()) CheckWhatIsUndoneCostsNothing();
  if (failures_.empty()) CheckRestartChangesNothing();
}

// ---------------------------------------------------------------------------------------------------------------
// Checks

void World::CheckAlways() {
  for (const auto& [name, peer] : peers_) {
    for (const std::string& fault : peer->envoy->faults()) Fail(name + ": " + fault);
  }
  if (control_plane_ == nullptr) return;
  const control::Counters& counters = control_plane_->loop->counters();
  if (counters.oracle_differences != 0) Fail("the sampled oracle found a difference");
  CheckRollouts(false);
}

// A bundle brings everything that it names, and no service without its healthy endpoints.
void World::CheckPublished(const ProxyKey& proxy, const bundle::XdsBundle& bundle) {
  for (const SealedPtr& endpoints : bundle.Of(XdsType::kEndpoints)) {
    if (!IsEmpty(*endpoints)) continue;
    const std::string_view name = endpoints->name;
    const size_t at = name.find("__s");
    if (at == std::string_view::npos || !name.ends_with("_80")) continue;
    const std::string service(name.substr(at + 2, name.size() - at - 5));
    const std::optional<runtime::Time> since = healthy_->Since(service);
    if (since && simulation_.clock().Now() - *since > kLongestDelay)
      Fail(Format("{} is given {} without endpoints, and {} has some", proxy.ToString(), name,
                  service));
  }
  for (const SealedPtr& listener : bundle.Of(XdsType::kListener)) {
    for (const std::string& cluster : listener->clusters) {
      if (bundle::Find(bundle.Of(XdsType::kCluster), cluster) == nullptr)
        Fail(
            Format("{} is given {} without cluster {}", proxy.ToString(), listener->name, cluster));
    }
  }
}

// What is ready runs before time passes.
void World::Pass(runtime::Duration duration) {
  simulation_.RunUntilIdle();
  simulation_.Advance(duration);
}

// No rollout goes back.
void World::CheckRollouts(bool all) {
  const Revision newest = memory_->revision();
  if (looked_up_to_ == 0) looked_up_to_ = newest.value - std::min<uint64_t>(newest.value, 200);
  while (looked_up_to_ < newest.value) open_rollouts_.insert(++looked_up_to_);
  const auto look = [&](uint64_t revision) {
    const insight::Rollouts::Answer answer =
        control_plane_->progress->rollouts().Find({revision}, newest);
    const auto* now = std::get_if<insight::Rollout>(&answer);
    if (now == nullptr) return true;
    insight::Rollout& before = rollouts_[revision];
    if (now->complete() && !before.complete()) CheckIsThere({revision});
    if (now->acknowledged < before.acknowledged || now->affected() < before.affected())
      Fail(Format("rollout {} went back", revision));
    if (before.complete() && !now->complete())
      Fail(Format("rollout {} is not complete any more", revision));
    before = *now;
    return now->complete();
  };
  std::erase_if(open_rollouts_, look);
  if (!all) return;
  for (const auto& [revision, rollout] : rollouts_) look(revision);
}

// Of a complete rollout: what its first bundle changed, each connected model Envoy runs in this
// content or that of a later bundle.
void World::CheckIsThere(Revision revision) {
  for (const auto& [name, peer] : peers_) {
    const auto& given = peer->given;
    const auto first = std::find_if(given.begin(), given.end(), [&](const Peer::Given& one) {
      return one.effects.contains(revision);
    });
    // What a stream is given first is nobody's change.
    if (first == given.end() || first == given.begin() || peer->refuses) continue;
    if (!peer->alive || peer->stream == nullptr || !peer->stream->open) continue;
    ++counts_["complete rollouts compared"];
    for (const XdsType type : bundle::kAllXdsTypes) {
      for (const SealedPtr& resource : first->bundle->Of(type)) {
        const SealedPtr* before =
            bundle::FindPtr(std::prev(first)->bundle->Of(type), resource->name);
        if (before != nullptr && SameContent(**before, *resource)) continue;
        const SealedPtr running = peer->envoy->Running(type, resource->name);
        // Envoy asks for these when it needs them.
        if (running == nullptr && type != XdsType::kCluster && type != XdsType::kListener) continue;
        const bool is_there = std::any_of(first, given.end(), [&](const Peer::Given& later) {
          const SealedPtr* wanted = bundle::FindPtr(later.bundle->Of(type), resource->name);
          // Removals take their time.
          return wanted == nullptr || (running != nullptr && SameContent(**wanted, *running));
        });
        if (!is_there)
          Fail(Format("rollout {} is complete, and {} does not run its {}", revision.value, name,
                      resource->name));
      }
    }
  }
}

// Waits until nothing can happen any more.
void World::CheckQuiet() {
  ++counts_["quiet points"];
  store_fails_until_ = {};
  waits_for_quiet_ = true;
  Pass(minutes(6));
  waits_for_quiet_ = false;
  Note("quiet");
  CheckAlways();
  if (control_plane_ == nullptr) return Fail("the control plane did not start");
  CheckRollouts(true);
  if (!control_plane_->loop->IdleForTest()) Fail("the writer is not idle");
  const xds::HubCounters& hub = control_plane_->hub->counters();
  const auto alive = static_cast<uint64_t>(std::count_if(
      peers_.begin(), peers_.end(), [](const auto& entry) { return entry.second->alive; }));
  if (hub.streams != alive || hub.streams_waiting != 0 || hub.streams_stalled != 0)
    Fail(Format("{} streams of {} proxies, {} wait, {} are stalled", hub.streams.load(), alive,
                hub.streams_waiting.load(), hub.streams_stalled.load()));
  const control::Counters& counters = control_plane_->loop->counters();
  if (counters.waiting_cells != 0 || counters.waiting_proxies != 0 || counters.waiting_events != 0)
    Fail("something waits although nothing happens");
  for (const std::string& difference : control_plane_->loop->CheckAllForTest())
    Fail("oracle: " + difference);
  for (auto& [name, peer] : peers_) {
    if (peer->alive) CheckPeer(*peer);
  }
  for (const auto& [revision, rollout] : rollouts_) {
    if (!rollout.complete())
      Fail(Format("rollout {} is not complete: settled {} pending {}", revision, rollout.settled,
                  rollout.pending));
  }
  CheckStore();
}

// Runs what it was given. That this is what a generation from scratch gives, or what was last good,
// was checked before.
void World::CheckPeer(Peer& peer) {
  const std::string& name = peer.key.name;
  if (peer.stream == nullptr || !peer.stream->open) return Fail(name + " is not connected");
  const mesh::SnapshotPtr snapshot = control_plane_->loop->snapshots().Load();
  const mesh::MeshSnapshot* mesh = snapshot->Mesh(kMesh);
  if (mesh == nullptr || mesh->Find("Dataplane", name) == nullptr) {
    ++counts_["proxies without Dataplane"];
    if (peer.owned) Fail(name + " is connected, and its Dataplane is gone");
    return;
  }
  if (peer.given.empty()) return Fail(name + " was given nothing");
  const bundle::XdsBundle& wanted = *peer.given.back().bundle;
  if (peer.refuses) return CheckRefusingPeer(peer, wanted);
  ++counts_["compared proxies"];
  for (const XdsType type : bundle::kAllXdsTypes) {
    for (const SealedPtr& resource : wanted.Of(type)) {
      const SealedPtr running = peer.envoy->Running(type, resource->name);
      if (running == nullptr || !SameContent(*running, *resource))
        Fail(Format("{}: {} {} is {}", name, TypeUrl(type), resource->name,
                    running == nullptr ? "missing" : "old"));
    }
    for (const std::string& held : peer.envoy->Names(type)) {
      if (bundle::Find(wanted.Of(type), held) == nullptr)
        Fail(Format("{}: {} {} is still there", name, TypeUrl(type), held));
    }
  }
}

// What exactly is withheld from it, is tested where sessions are. It gets everything that it can
// take and that needs nothing refused; whether it has an older content of that, nobody can know for
// sure after a reconnect.
void World::CheckRefusingPeer(Peer& peer, const bundle::XdsBundle& wanted) {
  ++counts_["compared proxies that refuse"];
  const auto refuses = [&](XdsType type, const std::string& name) {
    const SealedPtr* resource = bundle::FindPtr(wanted.Of(type), name);
    return resource != nullptr && Refuses(peer, **resource).has_value();
  };
  for (const XdsType type : {XdsType::kCluster, XdsType::kListener}) {
    for (const SealedPtr& resource : wanted.Of(type)) {
      if (peer.envoy->Running(type, resource->name) != nullptr || refuses(type, resource->name))
        continue;
      if (std::any_of(resource->clusters.begin(), resource->clusters.end(),
                      [&](const std::string& cluster) {
                        return refuses(XdsType::kCluster, cluster) ||
                               refuses(XdsType::kEndpoints, cluster);
                      }))
        continue;
      Fail(Format("{}: {} is missing, and would be accepted", peer.key.name, resource->name));
      control_plane_->hub->Describe(peer.key, [this](const std::string& text) { Note(text); });
    }
  }
}

// What is stored about proxies is true.
void World::CheckStore() {
  std::vector<ProxyKey> held;
  control_plane_->loop->ListHeld([&](std::vector<ProxyKey> proxies) { held = std::move(proxies); });
  simulation_.RunUntilIdle();
  for (const auto& [name, peer] : peers_) {
    const auto dataplane = memory_->Get({"Dataplane", peer->key.mesh, name});
    if (!peer->alive && peer->owned && dataplane.has_value() &&
        std::find(held.begin(), held.end(), peer->key) == held.end()) {
      Fail(name + " is gone, and its Dataplane is still there");
    }
    const auto insight = memory_->Get({"DataplaneInsight", peer->key.mesh, name});
    if (dataplane.has_value() &&
        peer->alive !=
            (insight.has_value() && insights::IsOnline((*insight)->Spec<insights::Spec>()))) {
      Fail(Format("{} is {}, and its insight says otherwise", name,
                  peer->alive ? "online" : "offline"));
    }
    if (!dataplane.has_value() && insight.has_value())
      Fail(name + " has an insight without a Dataplane");
  }
  if (!held.empty()) {
    ++counts_["held"];
    control_plane_->loop->ReleaseHeld(std::string(kMesh));
    Pass(seconds(5));
    for (const ProxyKey& proxy : held) {
      if (memory_->Get({"Dataplane", proxy.mesh, proxy.name}).has_value())
        Fail(proxy.name + " was not released");
    }
  }
}

void World::CheckStatusWritesCostNothing() {
  const control::Counters& counters = control_plane_->loop->counters();
  const uint64_t built = GenerationsOf(counters);
  const uint64_t checks = counters.checks;
  const uint64_t publishes = counters.publishes;
  const auto page =
      memory_->List({.kind = "MeshService", .mesh = {}, .name_contains = {}, .labels = {}});
  std::vector<store::Write> writes;
  for (const model::ResourcePtr& service : page->items) {
    const auto* status = service->Status<resources::mesh_service::Status>();
    auto changed = std::make_shared<resources::mesh_service::Status>();
    if (status != nullptr) *changed = *status;
    changed->dataplane_proxies.total += 1000;
    writes.push_back({.kind = store::Write::Kind::kPut,
                      .resource = std::make_shared<const model::Resource>(
                          service->type(), service->meta(), service->spec(), changed),
                      .key = service->key(),
                      .expected = {},
                      .status_only = true});
  }
  if (writes.empty()) return;
  Commit("statuses only", std::move(writes));
  Pass(minutes(1));
  if (GenerationsOf(counters) != built || counters.checks != checks ||
      counters.publishes != publishes)
    Fail(Format("statuses cost {} checks and {} generations", counters.checks - checks,
                GenerationsOf(counters) - built));
  CheckQuiet();
}

// A change that is taken back before anybody looked.
void World::CheckWhatIsUndoneCostsNothing() {
  const auto page =
      memory_->List({.kind = "Dataplane", .mesh = {}, .name_contains = {}, .labels = {}});
  const uint64_t publishes = control_plane_->loop->counters().publishes;
  const uint64_t resources = counts_["resources"];
  for (const model::ResourcePtr& dataplane : page->items) {
    model::Labels other = dataplane->meta().labels;
    other["app"] = "s0";
    Commit("for a moment", {kit::Put(kit::WithLabels(*dataplane, other))});
    Commit("and back", {kit::Put(dataplane)});
  }
  Pass(minutes(1));
  if (control_plane_->loop->counters().publishes != publishes || counts_["resources"] != resources)
    Fail("what was undone at once was sent");
  CheckQuiet();
}

void World::CheckRestartChangesNothing() {
  const control::Counters& before = control_plane_->loop->counters();
  if (before.degraded_cells != 0) return;  // what was last good is not remembered
  const uint64_t cells = before.cells;
  const uint64_t bytes = before.cell_bytes;
  const uint64_t resources = counts_["resources"];
  const bool all_present = std::none_of(peers_.begin(), peers_.end(), [&](const auto& entry) {
    const Peer& peer = *entry.second;
    return peer.alive &&
           (peer.refuses || !memory_->Get({"Dataplane", peer.key.mesh, peer.key.name}).has_value());
  });
  StopGracefully();
  CheckQuiet();
  const control::Counters& after = control_plane_->loop->counters();
  if (after.cells != cells || after.cell_bytes != bytes)
    Fail(Format("{} cells with {} bytes before a restart, {} with {} after it", cells, bytes,
                after.cells.load(), after.cell_bytes.load()));
  if (all_present && counts_["resources"] != resources)
    Fail(Format("a restart sent {} resources to proxies that had them",
                counts_["resources"] - resources));
}

void World::Happens(const std::string& what) {
  std::string& words = events_[event_];
  words += (words.empty() ? "" : ", ") + what;
  Note(Format("#{} {}", event_, what));
}

void World::Note(const std::string& what) {
  simulation_.Trace(what);
  if (!options_.verbose) return;
  const auto elapsed = simulation_.clock().Now().time_since_epoch() - std::chrono::hours(1);
  std::fprintf(stderr, "%9.3f %s\n", std::chrono::duration<double>(elapsed).count(), what.c_str());
}

void World::Fail(std::string what) {
  Note("FAULT " + what);
  if (failures_.size() < 8) failures_.push_back(std::move(what));
}

}  // namespace kuma::sim

#pragma once

// What the files of the simulated world share. They are: world.cc (the run), world_machines.cc (the
// control plane, proxies and their connections), world_users.cc (what is edited), world_checks.cc.

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/format.h"
#include "insight/progress.h"
#include "insight/proxy_insights.h"
#include "net/grpc.h"
#include "resources/dataplane/dataplane.h"
#include "tests/sim/world.h"
#include "xds/ads_service.h"
#include "xds/hub.h"

namespace kuma::sim {

constexpr std::string_view kMesh = "default";
constexpr uint64_t kServices = 6;

// Is it a cluster whose endpoints come by EDS?
bool HasEndpoints(const bundle::SealedResource& cluster);

// Since when each MeshService of the users' exists and has a ready endpoint, as the store says.
class World::Healthy final : public store::WatchSink {
 public:
  Healthy(store::Store& store, const runtime::Clock& clock) : clock_(clock) {
    auto watch = store.Watch({}, *this);
    CHECK(watch.has_value(), "the memory store can be watched");
    watch_ = *std::move(watch);
  }

  void OnSnapshot(base::Revision, std::vector<model::ResourcePtr> resources) override {
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
  base::ProxyKey key;
  bool owned = false;
  bool alive = false;
  bool slow = false;
  bool refuses = false;
  kit::DataplaneOptions dataplane;
  model::ResourcePtr brought;  // what it registered at its start
  struct Given {
    bundle::BundlePtr bundle;
    std::set<base::Revision> effects;
  };
  std::vector<Given> given;    // to its newest stream, oldest first
  base::Revision newest_sent;  // to any of its streams
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
  std::vector<Peer::Given>& Given(const base::ProxyKey& proxy) {
    return world->peers_.at(proxy.name)->given;
  }
};

}  // namespace kuma::sim

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/service/discovery/v3/discovery.pb.h>

#include <algorithm>
#include <map>

#include "resources/dataplane_insight/dataplane_insight.h"
#include "resources/mesh_service/mesh_service.h"
#include "tests/sim/world_parts.h"

namespace kuma::sim {
namespace {

namespace insights = resources::dataplane_insight;
using base::Format;
using base::ProxyKey;
using base::Revision;
using bundle::SealedPtr;
using bundle::XdsType;
using std::chrono::minutes;
using std::chrono::seconds;

// No snapshot is older than this: the longest outage of the store and the longest retry after it.
constexpr seconds kLongestDelay(20);

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

bool HasEndpoints(const bundle::SealedResource& cluster) {
  using Cluster = ::envoy::config::cluster::v3::Cluster;
  return Reading<Cluster>(cluster, [](const Cluster& message) -> uint64_t {
           return message.type() == Cluster::EDS;
         }) != 0;
}

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
    // What is not stored yet is given to nobody.
    if (since && simulation_.clock().Now() - std::max(*since, store_fails_until_) > kLongestDelay)
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
            bundle::FindPtr(std::prev(first)->bundle->Of(type), resource->key());
        if (before != nullptr && SameContent(**before, *resource)) continue;
        const SealedPtr running = peer->envoy->Running(type, resource->name);
        // Envoy asks for these when it needs them.
        if (running == nullptr && type != XdsType::kCluster && type != XdsType::kListener) continue;
        const bool is_there = std::any_of(first, given.end(), [&](const Peer::Given& later) {
          const SealedPtr* wanted = bundle::FindPtr(later.bundle->Of(type), resource->key());
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
    if (rollout.complete()) continue;
    std::string who;
    for (const base::ProxyKey& proxy : rollout.pending_proxies) who += " " + proxy.name;
    Fail(Format("rollout {} is not complete: settled {} pending {}:{}", revision, rollout.settled,
                rollout.pending, who));
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
    const SealedPtr* resource = bundle::FindPtr(wanted.Of(type), bundle::NameRef(name));
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
      Fail(Format("{}: {} {} is missing, and would be accepted", peer.key.name, TypeUrl(type),
                  resource->name));
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
  const size_t services = writes.size();
  Commit("statuses only", std::move(writes));
  Pass(minutes(1));
  // The grace period of a generated one may end in this minute.
  if (memory_->List({.kind = "MeshService", .mesh = {}, .name_contains = {}, .labels = {}})
          ->items.size() != services)
    return;
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

}  // namespace kuma::sim

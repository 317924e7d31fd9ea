#include "tests/sim/world.h"

#include <algorithm>
#include <cstdio>

#include "base/hash.h"
#include "policies/all.h"
#include "policies/mesh_timeout/mesh_timeout.h"
#include "store/memory/memory_store.h"
#include "tests/sim/world_parts.h"

namespace kuma::sim {
namespace {

using base::Format;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr uint64_t kPeers = 20;
constexpr uint64_t kMostPeers = 26;

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

}  // namespace

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

// What is ready runs before time passes.
void World::Pass(runtime::Duration duration) {
  simulation_.RunUntilIdle();
  simulation_.Advance(duration);
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

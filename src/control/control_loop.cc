#include "control/control_loop.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "base/log.h"
#include "control/internal/affected.h"
#include "control/internal/dataplane_lifecycle.h"
#include "control/internal/follow_up.h"
#include "control/internal/rounds.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::control {
namespace {

using base::ProxyKey;
using base::Revision;
using runtime::Time;

constexpr base::Logger kLog("control");
constexpr runtime::Duration kFirstRetry = std::chrono::milliseconds(10);
constexpr runtime::Duration kLongestRetry = std::chrono::seconds(5);
// Derivation reaches its fixed point at once; this only bounds the damage of a fault in it.
constexpr int kMaxDerivations = 16;
// Of more writes in one step only the newest are followed by what is derived from them: as many as
// rollouts are kept of.
constexpr size_t kMaxStepCauses = 1000;

// Kinds whose derived values must be durable before a proxy sees them: addresses and keys.
bool MustBeDurable(const mesh::Change& change) {
  if (!change.inputs_changed || change.after == nullptr) return false;
  const std::string& kind = change.key.kind;
  return kind == "MeshService" || kind == "MeshExternalService" || kind == "MeshMultiZoneService" ||
         kind == "Secret";
}

// Its proxy was told to drain, or its workload is not ready: nobody loses an endpoint when it goes.
bool IsDrained(const model::Resource& dataplane) {
  const auto& networking = dataplane.Spec<resources::dataplane::Spec>().networking;
  if (!networking || networking->inbound.empty()) return false;
  return std::none_of(networking->inbound.begin(), networking->inbound.end(),
                      [](const auto& inbound) {
                        return inbound.state == resources::dataplane::InboundState::kReady;
                      });
}

}  // namespace

// Confined to the writer's executor, but for what says otherwise.
class ControlLoop::Writer final : public store::WatchSink,
                                  public std::enable_shared_from_this<Writer> {
 public:
  Writer(Settings settings, derive::Settings derive, Surroundings surroundings)
      : settings_(settings),
        around_(std::move(surroundings)),
        derivation_(std::move(derive)),
        dataplanes_(std::make_shared<internal::DataplaneLifecycle>(
            settings_, internal::DataplaneLifecycle::Surroundings{
                           .store = around_.store,
                           .writer = around_.writer,
                           .clock = around_.clock,
                           .counters = counters_,
                           .find = [this](const ProxyKey& proxy) { return FindDataplane(proxy); },
                           .catch_up = [this] { CatchUp(); }})),
        rounds_(std::make_shared<internal::Rounds>(settings_, around_, counters_)) {}

  // Any thread.

  base::Status Start() {
    base::Result<store::WatchHandle> watch = around_.store.Watch(*this);
    if (!watch.has_value()) return std::move(watch).error();
    watch_ = *std::move(watch);
    return base::Ok{};
  }

  void OnSnapshot(Revision revision, std::vector<model::ResourcePtr> resources) override {
    Post([revision, resources = std::move(resources)](Writer& self) {
      self.Load(revision, resources);
    });
  }
  void OnEvents(std::span<const store::StoreEvent> events) override {
    if (events.empty()) return;
    counters_.events += events.size();
    // Nothing here reads insights; that they were written counts as a revision.
    std::vector<store::StoreEvent> read;
    std::copy_if(events.begin(), events.end(), std::back_inserter(read),
                 [](const store::StoreEvent& event) {
                   return !(event.after != nullptr ? event.after : event.before)->type().is_insight;
                 });
    Post([revision = events.back().revision, events = std::move(read)](Writer& self) mutable {
      self.heard_ = std::max(self.heard_, revision);
      std::move(events.begin(), events.end(), std::back_inserter(self.events_));
      self.counters_.waiting_events = self.events_.size();
      self.WantStep();
    });
  }

  // Runs `task` on the writer, unless this is gone or stopped by then.
  template <class F>
  void Post(F task) {
    around_.writer.Post([weak = weak_from_this(), task = std::move(task)]() mutable {
      const std::shared_ptr<Writer> self = weak.lock();
      if (self != nullptr && !self->stopped_) task(*self);
    });
  }

  // On the writer.

  void Stop() {
    stopped_ = true;
    watch_ = {};
    retry_timer_.Cancel();
    status_timer_.Cancel();
    derive_timer_.Cancel();
    forget_timer_.Cancel();
    dataplanes_->Stop();
    rounds_ = nullptr;
  }

  void OnArrival(const Arrival& arrival) {
    if (!rounds_->Connected(arrival)) return;
    connections_[arrival.proxy] = true;
    dataplanes_->OnConnected(arrival.proxy, arrival.dataplane);
    WantStep();
  }
  void OnDeparture(const ProxyKey& proxy, StreamId stream, bool graceful) {
    if (!rounds_->Disconnected(proxy, stream)) return;
    const model::ResourcePtr dataplane = FindDataplane(proxy);
    using Departure = internal::OwnedDataplanes::Departure;
    Departure how = Departure::kAlone;
    if (graceful || (dataplane != nullptr && IsDrained(*dataplane))) {
      how = Departure::kGoodbye;
    } else if (dataplane != nullptr && HasPeers(*dataplane)) {
      how = Departure::kReplaceable;
    }
    dataplanes_->OnDisconnected(proxy, how);
    if (dataplane == nullptr) Withdraw(proxy);
    away_.emplace_back(around_.clock.Now() + settings_.forget_after, proxy);
    ArmForget();
    connections_[proxy] = false;
    WantStep();
  }
  // Each service that it offers is offered by another connected proxy, too.
  bool HasPeers(const model::Resource& dataplane) const {
    const mesh::MeshSnapshot* mesh = state_.current().Mesh(dataplane.mesh());
    const std::vector<std::string> services = state_.ServicesOf(dataplane);
    return mesh != nullptr && !services.empty() &&
           std::all_of(services.begin(), services.end(), [&](const std::string& service) {
             const mesh::MembersPtr members = mesh->MembersOf(service);
             return std::any_of(members->begin(), members->end(),
                                [&](const model::ResourcePtr& member) {
                                  return member->name() != dataplane.name() &&
                                         dataplanes_->IsConnected({member->mesh(), member->name()});
                                });
           });
  }
  internal::DataplaneLifecycle& dataplanes() { return *dataplanes_; }
  const internal::Rounds& rounds() const { return *rounds_; }

  bool idle() const {
    return loaded_ && events_.empty() && connections_.empty() && !step_wanted_ && marks_.empty() &&
           follow_up_.idle() && dataplanes_->idle() && rounds_->idle();
  }

  SnapshotHolder snapshots_;
  Counters counters_;
  std::atomic<bool> ready_ = false;

 private:
  struct Pending {
    mesh::SnapshotPtr snapshot;
    size_t marks;
  };
  // Users' writes that something goes back to; none: it came by itself (time, a stream).
  using Causes = std::set<Revision>;
  // Changes of one step, with why.
  struct Marks {
    internal::CausePtr cause;
    std::vector<internal::Scope> scopes;
  };
  // What the events of one step go back to.
  struct StepCauses {
    std::map<model::ResourceKey, Causes> users;  // writes of users
    std::map<model::ResourceKey, Causes>
        derived;  // causes of derived writes, of another instance or our own echo

    void Add(const store::StoreEvent& event) {
      if (event.cause.value == 0) {
        users[event.key].insert(event.revision);
      } else {
        derived[event.key].insert(event.cause);
      }
    }
    // An echo changes nothing by itself: where a user wrote too, his write counts.
    const Causes& Of(const model::ResourceKey& key) const {
      static const Causes kNone;
      if (const auto found = users.find(key); found != users.end()) return found->second;
      const auto found = derived.find(key);
      return found == derived.end() ? kNone : found->second;
    }
  };

  void Load(Revision revision, const std::vector<model::ResourcePtr>& resources) {
    std::vector<mesh::Change> changes;
    changes.reserve(resources.size());
    for (const model::ResourcePtr& resource : resources) {
      if (resource->type().is_insight) continue;
      changes.push_back({.key = resource->key(),
                         .before = nullptr,
                         .after = resource,
                         .revision = revision,
                         .inputs_changed = false});
    }
    newest_ = heard_ = revision;
    state_.Advance(revision);
    loaded_ = true;
    rounds_->Begin(revision);
    const mesh::ChangeSet applied = state_.Apply(changes);
    TakeChanges(applied, Causes());
    Derive(applied, {});
    dataplanes_->OnLoaded();
    kLog.Info("loaded", {{"revision", revision.value}, {"resources", resources.size()}});
    WantStep();
  }

  void WantStep() {
    if (step_wanted_) return;
    step_wanted_ = true;
    // Behind the events that are queued already: they are one step.
    Post([](Writer& self) { self.Step(); });
  }

  void CatchUp() {
    if (!events_.empty()) Step();
  }

  model::ResourcePtr FindDataplane(const ProxyKey& proxy) const {
    return state_.Find({"Dataplane", proxy.mesh, proxy.name});
  }

  // One step: everything that is queued -> state -> derived -> snapshot -> marks.
  void Step() {
    step_wanted_ = false;
    if (!loaded_) return;
    const Time begin = around_.clock.Now();

    const bool stored = !events_.empty();
    std::vector<mesh::Change> changes;
    StepCauses causes;
    for (const store::StoreEvent& event : std::exchange(events_, {})) {
      newest_ = std::max(newest_, event.revision);
      causes.Add(event);
      if (!follow_up_.OnEvent(event)) continue;
      changes.push_back({.key = event.key,
                         .before = event.before,
                         .after = event.after,
                         .revision = event.revision,
                         .inputs_changed = false});
    }
    counters_.waiting_events = 0;
    if (stored) RetrySoon();
    if (!changes.empty()) {
      const mesh::ChangeSet applied = state_.Apply(changes);
      // What is derived goes back to all of the step: to which of it, only the derivation could
      // say.
      Causes all;
      for (const mesh::Change& change : applied.changes) {
        const Causes& some = causes.Of(change.key);
        all.insert(some.begin(), some.end());
      }
      while (all.size() > kMaxStepCauses) all.erase(all.begin());
      TakeChanges(applied, [&](const mesh::Change& change) { return causes.Of(change.key); });
      Derive(applied, all);
    }
    newest_ = std::max(newest_, heard_);
    state_.Advance(newest_);
    for (const auto& [proxy, connected] : std::exchange(connections_, {}))
      ApplyDerived(derivation_.OnConnection(state_, proxy, connected), {});
    RunTimers();

    Publish();
    const auto spent = static_cast<uint64_t>((around_.clock.Now() - begin).count());
    ++counters_.steps;
    counters_.step_nanoseconds += spent;
    counters_.last_step_nanoseconds = spent;
    if (spent > counters_.longest_step_nanoseconds) counters_.longest_step_nanoseconds = spent;
  }

  // Freezes, stores what is wanted, starts generation.
  void Publish() {
    snapshots_.Store(state_.Freeze());
    StoreDerived();
    if (MustWait()) {
      rounds_->Wake();  // new streams get what is durable
    } else {
      Generate(snapshots_.Load(), marks_.size());
    }
    MaybeReady();
    dataplanes_->RemoveDue();
    rounds_->UpdateCounters();
  }

  // Hands over the first `count` marks with a snapshot that shows their changes.
  void Generate(mesh::SnapshotPtr snapshot, size_t count) {
    rounds_->SetSnapshot(std::move(snapshot));
    const auto end = marks_.begin() + static_cast<std::ptrdiff_t>(count);
    for (auto at = marks_.begin(); at != end; ++at) {
      for (const internal::Scope& scope : at->scopes) rounds_->Mark(scope, at->cause);
    }
    marks_.erase(marks_.begin(), end);
    rounds_->Wake();
  }

  template <class CausesOf>
  void TakeChanges(const mesh::ChangeSet& applied, CausesOf causes_of) {
    const mesh::Snapshot& now = state_.current();
    std::map<std::string, Causes> of_members;
    std::set<std::string> other_changes;  // meshes of Dataplanes that left or changed
    for (const mesh::Change& change : applied.changes) {
      if (change.key.kind == "Dataplane") {
        TakeDataplane(change);
        if (change.before != nullptr && change.inputs_changed)
          other_changes.insert(change.key.mesh);
      }
      const Causes causes = causes_of(change);
      if (change.key.kind == "Dataplane" || change.key.kind == "MeshService")
        of_members[change.key.mesh].insert(causes.begin(), causes.end());
      std::vector<internal::Scope> scopes =
          internal::ScopesOf(change, now, around_.generator.policies());
      if (!scopes.empty()) AddMarks(causes, internal::TextOf(change), std::move(scopes));
    }
    for (const auto& [mesh, service] : applied.services_with_changed_members) {
      const bool joined =
          !other_changes.contains(mesh) && HasOlderMember(applied, now, mesh, service);
      AddMarks(of_members[mesh], "MeshService " + mesh + "/" + service + " has other endpoints",
               internal::ScopesOfMembers(mesh, service, joined));
    }
  }
  static bool HasOlderMember(const mesh::ChangeSet& applied, const mesh::Snapshot& now,
                             const std::string& mesh, const std::string& service) {
    const mesh::MeshSnapshot* found = now.Mesh(mesh);
    if (found == nullptr) return false;
    const mesh::MembersPtr members = found->MembersOf(service);
    return std::any_of(members->begin(), members->end(), [&](const model::ResourcePtr& member) {
      const mesh::Change* change = applied.Find(member->key());
      return change == nullptr || change->before != nullptr;
    });
  }
  void TakeChanges(const mesh::ChangeSet& applied, const Causes& causes) {
    TakeChanges(applied, [&](const mesh::Change&) { return causes; });
  }

  void AddMarks(const Causes& causes, const std::string& text,
                std::vector<internal::Scope> scopes) {
    Marks marks{.cause = std::make_shared<const internal::Cause>(
                    internal::Cause{{causes.begin(), causes.end()}, text}),
                .scopes = std::move(scopes)};
    marks_.push_back(std::move(marks));
  }

  void TakeDataplane(const mesh::Change& change) {
    const ProxyKey proxy{change.key.mesh, change.key.name};
    dataplanes_->OnDataplane(proxy, change.after);
    if (change.after == nullptr && !rounds_->IsConnected(proxy)) Withdraw(proxy);
  }

  void Derive(const mesh::ChangeSet& first, const Causes& causes) {
    mesh::ChangeSet applied = first;
    for (int i = 0; i < kMaxDerivations; ++i) {
      std::vector<derive::Derived> writes =
          derivation_.Run(state_, applied, around_.clock.WallNow());
      for (const derive::Notice& notice : derivation_.TakeNotices())
        kLog.Warn(notice.text, {{"resource", notice.key.ToString()}});
      if (writes.empty()) return;
      applied = ApplyDerived(std::move(writes), causes);
    }
    kLog.Error("derived resources do not settle", {{"revision", newest_.value}});
  }

  mesh::ChangeSet ApplyDerived(std::vector<derive::Derived> writes, const Causes& causes) {
    if (writes.empty()) return {};
    std::vector<mesh::Change> changes;
    for (derive::Derived& write : writes) {
      model::ResourcePtr before = state_.Find(write.key);
      changes.push_back({.key = write.key,
                         .before = before,
                         .after = write.resource,
                         .revision = newest_,
                         .inputs_changed = false});
      follow_up_.Want(std::move(write), std::move(before),
                      causes.empty() ? newest_ : *causes.rbegin());
    }
    counters_.derived_writes += changes.size();
    const mesh::ChangeSet applied = state_.Apply(changes);
    TakeChanges(applied, causes);
    for (const mesh::Change& change : applied.changes) {
      waits_wanted_ = waits_wanted_ || MustBeDurable(change);
      urgent_ =
          urgent_ || change.inputs_changed || change.before == nullptr || change.after == nullptr;
    }
    return applied;
  }

  void RunTimers() {
    derive::Derivation::Timed timed = derivation_.RunTimers(state_, around_.clock.WallNow());
    if (!timed.writes.empty()) {
      const mesh::ChangeSet applied = ApplyDerived(std::move(timed.writes), {});
      Derive(applied, {});
      timed = derivation_.RunTimers(state_, around_.clock.WallNow());
    }
    if (timed.next == derive_at_) return;
    derive_at_ = timed.next;
    derive_timer_.Cancel();
    if (!timed.next) return;
    const auto delay = std::max<runtime::Duration>(*timed.next - around_.clock.WallNow(),
                                                   std::chrono::milliseconds(1));
    derive_timer_ = PostAfter(delay, [](Writer& self) {
      self.derive_at_.reset();
      self.WantStep();
    });
  }

  template <class F>
  runtime::Timer PostAfter(runtime::Duration delay, F task) {
    return around_.writer.PostAfter(delay, [weak = weak_from_this(), task] {
      const std::shared_ptr<Writer> self = weak.lock();
      if (self != nullptr && !self->stopped_) task(*self);
    });
  }

  // The follow-up transaction.

  void StoreDerived() {
    if (!follow_up_.wants() || follow_up_.in_flight() || retrying_) return;
    const Time now = around_.clock.Now();
    if (!urgent_ && now < status_at_) {
      // Statuses that configuration does not read wait for one another.
      if (!status_waits_) {
        status_waits_ = true;
        status_timer_ = PostAfter(status_at_ - now, [](Writer& self) {
          self.status_waits_ = false;
          self.StoreDerived();
        });
      }
      return;
    }
    urgent_ = false;
    status_at_ = now + settings_.status_interval;
    std::optional<store::Transaction> transaction = follow_up_.Next();
    if (!transaction) {
      waits_wanted_ = waits_wanted_ && follow_up_.wants();
      return;
    }
    if (!follow_up_.wants()) {
      // All that the newest snapshot holds is stored when this transaction is.
      waits_in_flight_ = std::exchange(waits_wanted_, false);
      pending_ = Pending{snapshots_.Load(), marks_.size()};
    }
    ++counters_.derived_commits;
    around_.store.CommitAsync(
        *std::move(transaction), [weak = weak_from_this()](base::Result<store::Committed> done) {
          const std::shared_ptr<Writer> self = weak.lock();
          if (self != nullptr)
            self->Post([done = std::move(done)](Writer& writer) { writer.OnStored(done); });
        });
  }

  void OnStored(const base::Result<store::Committed>& done) {
    // The events of the transaction, or of the write that it lost against, came before: see them
    // first.
    CatchUp();
    if (done.has_value()) {
      retry_delay_ = kFirstRetry;
      if (const std::vector<mesh::Change> changes = follow_up_.Stored(); !changes.empty()) {
        const mesh::ChangeSet applied = state_.Apply(changes);
        TakeChanges(applied, Causes());
        Derive(applied, {});
        snapshots_.Store(state_.Freeze());
      }
      AfterStored();
      return;
    }
    outage_ = false;
    switch (done.error().code()) {
      case base::Code::kConflict:
      case base::Code::kNotFound: {
        ++counters_.derived_conflicts;
        const std::vector<mesh::Change> changes = follow_up_.Refused(false);
        const mesh::ChangeSet applied = state_.Apply(changes);
        TakeChanges(applied, Causes());
        waits_wanted_ = waits_in_flight_ = false;
        pending_.reset();
        Derive(applied, {});
        break;
      }
      case base::Code::kUnavailable:
      case base::Code::kCancelled:
        ++counters_.derived_failures;
        outage_ = true;
        follow_up_.Unavailable();
        TakeBackWaits();
        break;
      case base::Code::kInvalid:
      case base::Code::kDenied:
      case base::Code::kInternal:
        ++counters_.derived_failures;
        kLog.Error("the store refuses derived resources", {{"error", done.error().message()}});
        follow_up_.Refused(true);
        TakeBackWaits();
        waits_wanted_ = waits_wanted_ && follow_up_.wants();
        break;
    }
    // At once it would meet the same obstacle.
    retrying_ = true;
    urgent_ = true;
    RetryAfter(retry_delay_);
    retry_delay_ = std::min(2 * retry_delay_, kLongestRetry);
    Publish();
  }

  void RetryAfter(runtime::Duration delay) {
    retry_at_ = around_.clock.Now() + delay;
    retry_timer_ = PostAfter(delay, [](Writer& self) {
      self.retrying_ = false;
      self.Publish();
    });
  }

  // Something was stored: an outage that the follow-up transaction waits out may be over.
  void RetrySoon() {
    if (outage_ && retrying_ && retry_at_ > around_.clock.Now() + kFirstRetry)
      RetryAfter(kFirstRetry);
  }

  void TakeBackWaits() {
    waits_wanted_ = waits_wanted_ || waits_in_flight_;
    waits_in_flight_ = false;
    pending_.reset();
  }

  // A wanted write holds what no proxy may see before it is stored.
  bool MustWait() const { return waits_wanted_ || waits_in_flight_; }

  void AfterStored() {
    if (waits_in_flight_ && pending_ && waits_wanted_)
      Generate(pending_->snapshot, pending_->marks);
    pending_.reset();
    waits_in_flight_ = false;
    StoreDerived();
    if (!MustWait()) Generate(snapshots_.Load(), marks_.size());
    MaybeReady();
  }

  void MaybeReady() {
    if (!ready_ && loaded_ && follow_up_.idle()) ready_ = true;
  }

  // Bundles of proxies that are away.

  // Without a Dataplane there is nothing to be given; but what its Envoy may run still counts when
  // it comes back.
  void Withdraw(const ProxyKey& proxy) {
    if (around_.withdraw) around_.withdraw(proxy);
  }
  void Forget(const ProxyKey& proxy) {
    if (around_.forget) around_.forget(proxy);
  }
  void ArmForget() {
    if (forget_armed_ || away_.empty()) return;
    forget_armed_ = true;
    const auto delay = std::max<runtime::Duration>(away_.front().first - around_.clock.Now(),
                                                   runtime::Duration(1));
    forget_timer_ = PostAfter(delay, [](Writer& self) {
      self.forget_armed_ = false;
      const Time now = self.around_.clock.Now();
      while (!self.away_.empty() && self.away_.front().first <= now) {
        if (!self.rounds_->IsConnected(self.away_.front().second))
          self.Forget(self.away_.front().second);
        self.away_.pop_front();
      }
      self.ArmForget();
    });
  }

  const Settings settings_;
  const Surroundings around_;
  store::WatchHandle watch_;
  bool stopped_ = false;

  mesh::MeshState state_;
  derive::Derivation derivation_;
  internal::FollowUp follow_up_;
  // Shared with tasks and answers that are on their way, by weak pointers.
  std::shared_ptr<internal::DataplaneLifecycle> dataplanes_;
  std::shared_ptr<internal::Rounds> rounds_;

  bool loaded_ = false;
  bool step_wanted_ = false;
  Revision newest_;
  Revision heard_;  // of all events, insights too
  std::vector<store::StoreEvent> events_;
  std::map<ProxyKey, bool> connections_;  // that came or went since the last step
  std::vector<Marks> marks_;              // not given to rounds_ yet
  bool waits_wanted_ = false;             // see MustWait
  bool waits_in_flight_ = false;
  std::optional<Pending>
      pending_;          // what can be generated when the transaction in flight is stored
  bool urgent_ = false;  // a wanted write is more than a status
  bool retrying_ = false;
  bool status_waits_ = false;
  Time status_at_;
  runtime::Duration retry_delay_ = kFirstRetry;
  Time retry_at_{};      // if retrying_
  bool outage_ = false;  // the store could not be reached, which is why
  std::optional<model::WallTime> derive_at_;
  runtime::Timer retry_timer_;
  runtime::Timer status_timer_;
  runtime::Timer derive_timer_;
  std::deque<std::pair<Time, ProxyKey>>
      away_;  // proxies without a stream, by when their bundles are forgotten
  bool forget_armed_ = false;
  runtime::Timer forget_timer_;
};

ControlLoop::ControlLoop(Settings settings, derive::Settings derive, Surroundings surroundings)
    : writer_(std::make_shared<Writer>(settings, std::move(derive), std::move(surroundings))) {}
ControlLoop::~ControlLoop() = default;

base::Status ControlLoop::Start() { return writer_->Start(); }

void ControlLoop::Stop(std::function<void()> done) {
  writer_->Post([done = std::move(done)](Writer& writer) {
    writer.Stop();
    if (done) done();
  });
}

bool ControlLoop::ready() const { return writer_->ready_; }
const SnapshotHolder& ControlLoop::snapshots() const { return writer_->snapshots_; }
const Counters& ControlLoop::counters() const { return writer_->counters_; }

void ControlLoop::Connected(Arrival arrival) {
  writer_->Post([arrival = std::move(arrival)](Writer& writer) { writer.OnArrival(arrival); });
}
void ControlLoop::Disconnected(const base::ProxyKey& proxy, StreamId stream, bool graceful) {
  writer_->Post(
      [proxy, stream, graceful](Writer& writer) { writer.OnDeparture(proxy, stream, graceful); });
}

void ControlLoop::HealthOpened(const base::ProxyKey& proxy, std::shared_ptr<xds::HealthLine> line,
                               generate::ProxyNode node) {
  writer_->Post([proxy, line = std::move(line), node = std::move(node)](Writer& writer) mutable {
    writer.dataplanes().OnHealthOpened(proxy, std::move(line), std::move(node));
  });
}
void ControlLoop::HealthReported(const base::ProxyKey& proxy, const xds::HealthLine* line,
                                 xds::HealthReport report) {
  writer_->Post([proxy, line, report = std::move(report)](Writer& writer) mutable {
    writer.dataplanes().OnHealthReported(proxy, line, std::move(report));
  });
}
void ControlLoop::HealthClosed(const base::ProxyKey& proxy, const xds::HealthLine* line) {
  writer_->Post([proxy, line](Writer& writer) { writer.dataplanes().OnHealthClosed(proxy, line); });
}

void ControlLoop::ListDegraded(std::function<void(std::vector<DegradedCell>)> answer) {
  writer_->Post(
      [answer = std::move(answer)](Writer& writer) { answer(writer.rounds().degraded()); });
}
void ControlLoop::ListHeld(std::function<void(std::vector<base::ProxyKey>)> answer) {
  writer_->Post(
      [answer = std::move(answer)](Writer& writer) { answer(writer.dataplanes().held()); });
}
void ControlLoop::ReleaseHeld(const std::string& mesh) {
  writer_->Post([mesh](Writer& writer) { writer.dataplanes().Release(mesh); });
}

std::vector<std::string> ControlLoop::CheckAllForTest() const {
  return writer_->rounds().CheckAll();
}
bool ControlLoop::IdleForTest() const { return writer_->idle(); }

}  // namespace kuma::control

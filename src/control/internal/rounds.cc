#include "control/internal/rounds.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "control/internal/assembly.h"

namespace kuma::control::internal {
namespace {

using base::ProxyKey;
using generate::CellKind;

constexpr base::Logger kLog("control");
// Tasks for the pool: small enough to keep its threads busy, large enough that posting costs
// nothing.
constexpr size_t kTasksPerRound = 8;
constexpr size_t kMaxJobsPerTask = 32;
// A wave of new proxies is over when it was not seen for so long.
constexpr runtime::Duration kWaveGap = std::chrono::milliseconds(50);

Effects EffectsOf(const Causes& causes, const std::string& what) {
  Effects effects;
  for (const CausePtr& cause : causes)
    effects.push_back({cause, std::make_shared<const std::string>(cause->text + ": " + what)});
  return effects;
}

// Shares the texts with every other proxy that the effect came to.
Published::Effect PublishedOf(const Effect& effect) {
  return {.revisions = {effect.cause, &effect.cause->revisions},
          .what = {effect.cause, &effect.cause->text},
          .reason = effect.reason};
}

}  // namespace

Rounds::Rounds(const Settings& settings, const ControlLoop::Surroundings& surroundings,
               Counters& counters)
    : settings_(settings), around_(surroundings), counters_(counters), cells_(counters) {}

void Rounds::Begin(base::Revision revision) {
  settled_ = revision;
  if (around_.on_round)
    around_.on_round({.began = true, .left = {}, .published = {}, .settled = revision});
}

// Streams.

bool Rounds::Connected(const Arrival& arrival) {
  std::unique_ptr<Proxy>& held = proxies_[arrival.proxy];
  if (held != nullptr) {
    if (arrival.stream < held->stream) return false;
    Remove(*held);
    left_.push_back(arrival.proxy);
  }
  held = std::make_unique<Proxy>();
  held->key = arrival.proxy;
  held->number = next_number_++;
  held->stream = arrival.stream;
  held->node = std::make_shared<const generate::ProxyNode>(arrival.node);
  held->must_publish = true;
  NoteDataplane(*held);
  MarkProxy(*held, true, true, nullptr);
  return true;
}

bool Rounds::Disconnected(const ProxyKey& proxy, StreamId stream) {
  const auto found = proxies_.find(proxy);
  if (found == proxies_.end() || found->second->stream != stream) return false;
  Remove(*found->second);
  proxies_.erase(found);
  left_.push_back(proxy);
  if (!running_) Collect();
  return true;
}

void Rounds::Remove(Proxy& proxy) {
  calls_peers_.erase(&proxy);
  Detach(proxy);
}

// Its configuration goes; its Dataplane may come back.
void Rounds::Detach(Proxy& proxy) {
  touched_.erase(&proxy);
  resting_.erase(&proxy);
  cells_.Join(proxy, nullptr);
  cells_.SetOwn(proxy, nullptr);
}

// Rounds.

bool Rounds::idle() const {
  return !running_ && marked_cells_.empty() && queue_.empty() && new_queue_.empty() &&
         touched_.empty() && resting_.empty() && stale_.empty();
}

void Rounds::LookForWave() {
  const runtime::Time now = around_.clock.Now();
  if (around_.newcomers && around_.newcomers() >= settings_.wave_of) {
    if (!wave_began_) wave_began_ = now;
    wave_seen_ = now;
  } else if (wave_began_ && now >= wave_seen_ + kWaveGap) {
    wave_began_.reset();
  }
}

bool Rounds::Rests() const { return wave_began_ && around_.clock.Now() < rest_until_; }

// What concerns few overtakes what concerns many: no reason to hold it.
bool Rounds::StreamsAreBusy() const {
  return taking_ > 0 && touched_.size() > std::max(settings_.few, proxies_.size() / 8);
}

bool Rounds::HasWork() const {
  const bool some_rest = !stale_.empty() || !resting_.empty();
  return !marked_cells_.empty() || !queue_.empty() || !new_queue_.empty() ||
         (some_rest && !Rests()) || (!touched_.empty() && !StreamsAreBusy());
}

// Goes when the streams have taken what is published now. Those who rested get the next ones when
// the wave is twice as old as it is then.
std::shared_ptr<void> Rounds::OnTaken(bool of_all) {
  ++taking_;
  auto* const writer = &around_.writer;
  return std::shared_ptr<void>(this, [weak = weak_from_this(), writer, of_all](void*) {
    writer->Post([weak, of_all] {
      const auto self = weak.lock();
      if (self == nullptr) return;
      --self->taking_;
      const runtime::Time now = self->around_.clock.Now();
      if (self->wave_began_ && of_all)
        self->rest_until_ = now + std::min(now - *self->wave_began_, self->settings_.longest_rest);
      self->Wake();
    });
  });
}

// Bundles that are held go out when nothing holds them any more.
void Rounds::ArmRest() {
  rest_timer_.Cancel();
  if ((resting_.empty() && stale_.empty()) || !Rests()) return;  // or the streams wake us
  const runtime::Time now = around_.clock.Now();
  const runtime::Duration rest =
      std::clamp<runtime::Duration>(rest_until_ - now, runtime::Duration(1), kWaveGap);
  rest_timer_ = around_.writer.PostAfter(rest, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Wake();
  });
}

void Rounds::Wake() {
  if (running_) return;
  LookForWave();
  if (HasWork()) return StartRound();
  ArmRest();
  const bool settles =
      touched_.empty() && resting_.empty() && stale_.empty() && settled_ < next_snapshot_->revision;
  if (settles || !left_.empty()) {
    if (settles) settled_ = next_snapshot_->revision;
    if (around_.on_round)
      around_.on_round(
          {.began = false, .left = std::move(left_), .published = {}, .settled = settled_});
    left_.clear();
  }
}

void Rounds::StartRound() {
  running_ = true;
  snapshot_ = next_snapshot_;
  late_causes_.clear();
  ++counters_.rounds;

  for (const uint64_t number : std::exchange(marked_cells_, {})) {
    const auto found = cells_.all().find(number);
    if (found == cells_.all().end()) continue;
    found->second->marked = false;
    Check(*found->second);
  }

  // By turns, so that neither a wave of new streams nor one of changes keeps the other waiting.
  size_t picked = 0;
  const auto pick = [&](std::deque<ProxyKey>& queue) {
    while (!queue.empty()) {
      const ProxyKey key = std::move(queue.front());
      queue.pop_front();
      const auto found = proxies_.find(key);
      if (found == proxies_.end() || !found->second->queued) continue;
      Proxy& proxy = *found->second;
      proxy.queued = false;
      proxy.behind = false;
      proxy.checking = std::exchange(proxy.causes, {});
      proxy.check_own = std::exchange(proxy.own_marked, false);
      round_proxies_.push_back(key);
      ++picked;
      if (std::exchange(proxy.plan_marked, false)) {
        plan_jobs_.push_back({.proxy = key,
                              .number = proxy.number,
                              .node = proxy.node,
                              .views = ViewsOf(key.mesh),
                              .plan = {}});
      } else if (proxy.own != nullptr) {
        Check(*proxy.own);
      }
      return;
    }
  };
  while (picked < settings_.round_limit && (!queue_.empty() || !new_queue_.empty())) {
    pick(queue_);
    pick(new_queue_);
  }
  all_looked_at_ = queue_.empty() && new_queue_.empty();
  for (const auto* queue : {&queue_, &new_queue_}) {
    for (const ProxyKey& key : *queue) {
      const auto found = proxies_.find(key);
      // The key may be left over from an earlier stream.
      if (found != proxies_.end() && found->second->queued) found->second->behind = true;
    }
  }
  PostPlans();
  PostCells();
  MaybeFinish();
}

std::shared_ptr<const policy::ViewIndex> Rounds::ViewsOf(const std::string& mesh) {
  std::shared_ptr<const policy::ViewIndex>& views = views_[mesh];
  const mesh::MeshSnapshot* snapshot = snapshot_->Mesh(mesh);
  if (views == nullptr && snapshot != nullptr)
    views = std::make_shared<const policy::ViewIndex>(*snapshot, around_.generator.policies());
  return views;
}

void Rounds::Check(Cell& cell) {
  if (cell.running) return;
  cell.running = true;
  cell.checking = std::exchange(cell.causes, {});
  round_cells_.push_back(&cell);
  CellJob job{.cell = &cell,
              .id = cell.id,
              .node = nullptr,
              .known = {},
              .outcome = {},
              .context = {},
              .sealed = {},
              .failure = {}};
  if (cell.id.kind == CellKind::kOwn) {
    const Proxy* owner = OwnerOf(cell);
    CHECK(owner != nullptr, "own parts are checked for the proxy that has them");
    job.node = owner->node;
  }
  if (cell.checked && !cell.gone) job.known = cell.context;
  cell_jobs_.push_back(std::move(job));
}

template <class Job, class Run, class Done>
void Rounds::PostJobs(std::vector<Job>& jobs, Run run, Done done) {
  const size_t size =
      std::clamp<size_t>((jobs.size() + kTasksPerRound - 1) / kTasksPerRound, 1, kMaxJobsPerTask);
  for (size_t begin = 0; begin < jobs.size(); begin += size) {
    const auto from = jobs.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto to = jobs.begin() + static_cast<std::ptrdiff_t>(std::min(begin + size, jobs.size()));
    auto batch = std::make_shared<std::vector<Job>>(std::make_move_iterator(from),
                                                    std::make_move_iterator(to));
    ++outstanding_;
    around_.pool.Post([batch, run, done, weak = weak_from_this(), snapshot = snapshot_,
                       generator = &around_.generator, writer = &around_.writer] {
      for (Job& job : *batch) run(*generator, *snapshot, job);
      writer->Post([batch, done, weak] {
        const auto self = weak.lock();
        if (self == nullptr) return;
        --self->outstanding_;
        (self.get()->*done)(std::move(*batch));
        self->PostPlans();
        self->PostCells();
        self->MaybeFinish();
      });
    });
  }
  jobs.clear();
}

void Rounds::PostPlans() {
  PostJobs(
      plan_jobs_,
      [](const generate::Generator& generator, const mesh::Snapshot& snapshot, PlanJob& job) {
        job.plan = generator.PlanOf(snapshot, job.proxy, *job.node, job.views.get());
      },
      &Rounds::OnPlans);
}

void Rounds::PostCells() {
  PostJobs(
      cell_jobs_,
      [](const generate::Generator& generator, const mesh::Snapshot& snapshot, CellJob& job) {
        const generate::CellContextPtr context =
            generator.ContextOf(snapshot, job.id, job.node.get());
        if (context == nullptr) {
          job.outcome = CellJob::Outcome::kGone;
          return;
        }
        job.context = generate::Generator::HashOf(*context);
        if (job.known == job.context) {
          job.outcome = CellJob::Outcome::kUnchanged;
          return;
        }
        base::Result<generate::SealedCell> sealed = generator.Build(*context);
        if (sealed.has_value()) {
          job.outcome = CellJob::Outcome::kBuilt;
          job.sealed = *std::move(sealed);
        } else {
          job.outcome = CellJob::Outcome::kFailed;
          job.failure = sealed.error().message();
        }
      },
      &Rounds::OnCells);
}

void Rounds::OnPlans(std::vector<PlanJob> jobs) {
  counters_.plans += jobs.size();
  for (PlanJob& job : jobs) {
    const auto found = proxies_.find(job.proxy);
    if (found == proxies_.end() || found->second->number != job.number) continue;
    Proxy& proxy = *found->second;
    if (job.plan->has_value()) {
      TakePlan(proxy, **std::move(job.plan));
    } else if (job.plan->error().code() == base::Code::kNotFound) {
      // Its Dataplane is not there (yet): the proxy keeps what it has, and costs nothing.
      proxy.plan.reset();
      proxy.effects.clear();
      Detach(proxy);
    } else {
      kLog.Error("no plan for the proxy",
                 {{"proxy", job.proxy.ToString()}, {"error", job.plan->error().message()}});
      if (proxy.check_own && proxy.own != nullptr) Check(*proxy.own);
    }
  }
}

void Rounds::TakePlan(Proxy& proxy, generate::ProxyPlan plan) {
  if (!proxy.plan || !(*proxy.plan == plan)) {
    plan.view = cells_.Intern(plan.view);
    plan.own.view = plan.view;
    plan.listener.view = plan.view;
    if (proxy.plan)
      AddEffects(proxy.effects, EffectsOf(proxy.checking, "other policies or outbounds"));
    proxy.plan = std::move(plan);
    proxy.regroup = true;
    NeedListeners(*proxy.plan);
    Cell& own = cells_.FindOrCreate(proxy.plan->own);
    proxy.check_own = proxy.check_own || !own.checked;
    cells_.SetOwn(proxy, &own);
    if (!own.checked && snapshot_ != next_snapshot_) {
      for (const CausePtr& cause : late_causes_) MarkProxy(proxy, true, true, cause);
    }
  }
  if (proxy.check_own) Check(*proxy.own);
}

// Once for all proxies with the same list.
void Rounds::NeedListeners(const generate::ProxyPlan& plan) {
  const bool first = needed_lists_.insert({plan.outbounds, plan.listener}).second;
  if (!first) return;
  for (const generate::OutboundAt& outbound : plan.outbounds->items())
    Need(plan.Listener(outbound));
}

Cell& Rounds::Need(const generate::CellId& id) {
  Cell& cell = cells_.FindOrCreate(id);
  if (cell.checked || cell.running) return cell;
  Check(cell);
  // Marks that came while this round runs could not find it, and it is about to be built from
  // before them.
  if (snapshot_ != next_snapshot_) {
    for (const CausePtr& cause : late_causes_) MarkCell(cell, cause, false);
  }
  return cell;
}

void Rounds::OnCells(std::vector<CellJob> jobs) {
  counters_.checks += jobs.size();
  for (CellJob& job : jobs) TakeCell(job);
}

void Rounds::TakeCell(CellJob& job) {
  Cell& cell = *job.cell;
  cell.checked = true;
  bool changed = false;
  switch (job.outcome) {
    case CellJob::Outcome::kUnchanged: ++counters_.hits; return;
    case CellJob::Outcome::kGone:
      cell.gone = true;
      cell.has_good = false;  // if it comes back and fails, nothing is not its last good content
      cell.whole = nullptr;
      cells_.SetFailure(cell, {}, {});
      changed = cells_.SetContent(cell, {});
      break;
    case CellJob::Outcome::kBuilt:
      ++counters_.generations[static_cast<size_t>(cell.id.kind)];
      cell.gone = false;
      cells_.SetFailure(cell, {}, {});
      changed = TakeBuilt(cell, job.sealed);
      break;
    case CellJob::Outcome::kFailed:
      ++counters_.build_failures;
      cell.gone = false;
      changed = TakeFailure(cell, std::move(job.failure));
      break;
  }
  cell.context = job.context;
  if (changed) changed_cells_.push_back(&cell);
}

bool Rounds::TakeBuilt(Cell& cell, generate::SealedCell& sealed) {
  for (bundle::SealedPtr& resource : sealed.resources)
    resource = interner_.Resource(std::move(resource));
  std::vector<Cell*> needs;
  for (const generate::CellId& id : sealed.needs) {
    needs.push_back(&Need(id));
  }
  cell.has_good = true;
  std::sort(sealed.resources.begin(), sealed.resources.end(), Before);
  return cells_.SetContent(
      cell, {std::move(sealed.resources), std::move(needs), std::move(sealed.collectors)});
}

// Never half-applied: the cell keeps its last good resources; a new one takes those of the cell
// that it replaces.
bool Rounds::TakeFailure(Cell& cell, std::string failure) {
  kLog.Warn("a cell keeps its last good resources",
            {{"cell", cell.id.ToString()}, {"error", failure}});
  cells_.SetFailure(cell, std::move(failure), snapshot_->revision);
  if (cell.has_good) return false;
  const Cell* alike = cells_.MostAlike(cell);
  if (alike == nullptr) return false;
  cell.has_good = true;
  return cells_.SetContent(cell, *alike->content);
}

void Rounds::MaybeFinish() {
  if (running_ && outstanding_ == 0 && plan_jobs_.empty() && cell_jobs_.empty()) Finish();
}

void Rounds::Regroup(Proxy& proxy) {
  proxy.regroup = false;
  GroupKey key{proxy.plan->listener, proxy.plan->outbounds, {}};
  for (const Cell* need : proxy.own->content->needs) key.more.push_back(need->id);
  Group& group = cells_.GroupOf(std::move(key));
  proxy.plan->outbounds = group.key.outbounds;  // equal: one of them is enough
  cells_.Join(proxy, &group);
  if (group.fresh) {
    group.pressing = true;
    stale_.insert(&group);
  }
  touched_.insert(&proxy);
}

// In a rest, a group that only got more endpoints need not be looked at before somebody is given
// its lists. Cells that others need must not wait: nothing else keeps them.
void Rounds::RefreshGroups(bool rests) {
  if (!stale_.empty()) {
    for (const Proxy* proxy : touched_)
      if (proxy->group != nullptr) proxy->group->needed = true;
  }
  for (auto at = stale_.begin(); at != stale_.end();) {
    Group& group = **at;
    if (rests && !group.needed && !group.pressing) {
      ++at;
      continue;
    }
    if (!group.proxies.empty() && cells_.Refresh(group, interner_)) {
      for (Proxy* proxy : group.proxies) {
        AddEffects(proxy->effects, group.effects);
        (rests && !group.pressing ? resting_ : touched_).insert(proxy);
      }
    }
    group.effects.clear();
    group.needed = group.pressing = false;
    at = stale_.erase(at);
  }
  if (rests) return;
  touched_.merge(resting_);
  resting_.clear();
}

void Rounds::Collect() {
  std::erase_if(stale_, [](const Group* group) { return group->proxies.empty(); });
  cells_.Collect();
}

void Rounds::Finish() {
  for (const Cell* cell : changed_cells_) {
    if (cell->id.kind == CellKind::kOwn) {
      Proxy* owner = OwnerOf(*cell);
      if (owner == nullptr) continue;
      AddEffects(owner->effects, EffectsOf(owner->checking, cell->id.ToString()));
      owner->regroup = true;  // its needs are roots of its group
    } else {
      const Effects effects = EffectsOf(cell->checking, cell->id.ToString());
      for (Group* group : cell->groups) {
        AddEffects(group->effects, effects);
        group->pressing =
            group->pressing || cell->pressing || cell->id.kind != CellKind::kEndpoints;
        stale_.insert(group);
      }
    }
  }
  for (const ProxyKey& key : round_proxies_) {
    const auto found = proxies_.find(key);
    if (found == proxies_.end()) continue;
    Proxy& proxy = *found->second;
    if (proxy.regroup && proxy.plan) Regroup(proxy);
    proxy.checking = Causes();  // gives its memory back
    proxy.check_own = false;
  }
  LookForWave();
  const bool rests = Rests();
  RefreshGroups(rests);
  const bool busy = StreamsAreBusy();

  RoundReport report;
  std::vector<std::pair<ProxyKey, bundle::BundlePtr>> bundles;
  bool gives_others = false;
  std::erase_if(touched_, [&](Proxy* proxy) {
    const bool is_new = proxy->must_publish;
    if (proxy->behind || (busy && !is_new)) return false;
    resting_.erase(proxy);
    if (auto published = Publish(*proxy)) {
      gives_others = gives_others || !is_new;
      report.published.push_back(*std::move(published));
      bundles.emplace_back(proxy->key, proxy->bundle);
    }
    return true;
  });

  for (Cell* cell : round_cells_) {
    cell->running = false;
    cell->pressing = cell->pressing && cell->marked;
    cell->checking = Causes();
  }
  round_cells_.clear();
  changed_cells_.clear();
  round_proxies_.clear();
  needed_lists_.clear();
  Collect();
  interner_.Sweep();
  const bool settled = all_looked_at_ && touched_.empty() && resting_.empty() && stale_.empty() &&
                       settled_ < snapshot_->revision;
  if (settled) settled_ = snapshot_->revision;
  report.settled = settled_;
  report.left = std::exchange(left_, {});
  SampleOracle(report.published);
  running_ = false;
  snapshot_ = nullptr;
  UpdateCounters();
  // Before the bundles: nobody hears of an answer before he knows the question.
  if (around_.on_round && (settled || !report.published.empty() || !report.left.empty()))
    around_.on_round(std::move(report));
  if (!bundles.empty())
    around_.publish(std::move(bundles), gives_others ? OnTaken(!rests) : nullptr);
  // Behind the events that wait: they join the next round.
  if (!idle() || settled_ < next_snapshot_->revision) {
    around_.writer.Post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Wake();
    });
  }
}

// Nothing: it has it already, or its Dataplane is not there.
std::optional<Published> Rounds::Publish(Proxy& proxy) {
  const Effects effects = std::exchange(proxy.effects, {});
  if (!proxy.plan) return std::nullopt;
  Assembled assembled = Assemble(proxy, snapshot_->revision);
  if (!assembled.changed && !proxy.must_publish) {
    ++counters_.publishes_equal;
    return std::nullopt;
  }

  Published published{.proxy = proxy.key, .bundle = nullptr, .effects = {}, .collectors = {}};
  const bool first = std::exchange(proxy.must_publish, false);
  for (const Effect& effect : effects) {
    if (!first && !effect.cause->revisions.empty())
      published.effects.push_back(PublishedOf(effect));
  }

  proxy.bundle = std::make_shared<const bundle::XdsBundle>(std::move(assembled.bundle));
  proxy.sources = {proxy.own->content, proxy.plan->values, proxy.group->lists};
  published.bundle = proxy.bundle;
  published.collectors = proxy.own->content->collectors;
  ++counters_.publishes;
  return published;
}

}  // namespace kuma::control::internal

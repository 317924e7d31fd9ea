#include "insight/proxy_insights.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"

namespace kuma::insight {
namespace {

namespace insights = resources::dataplane_insight;
using base::ProxyKey;
using base::Revision;
using insights::ServiceStats;
using insights::Subscription;

constexpr base::Logger kLog("insight");
constexpr size_t kMaxWrites = 2000;  // of one transaction
// While the Dataplane of a connected proxy is missing: so many attempts with the usual interval,
// then with this one.
constexpr unsigned kMaxAttempts = 10;
constexpr runtime::Duration kOrphanInterval = std::chrono::seconds(60);

model::ResourceKey KeyOf(const ProxyKey& proxy) {
  return {"DataplaneInsight", proxy.mesh, proxy.name};
}
model::ResourceKey OwnerOf(const ProxyKey& proxy) { return {"Dataplane", proxy.mesh, proxy.name}; }

}  // namespace

struct ProxyInsights::Proxy {
  uint64_t stream = 0;
  bool connected = false;
  bool dirty = false;
  bool counted = false;  // in counted_
  bool orphan = false;
  std::vector<Subscription> own;  // of this process, oldest first; the last one may be open
  std::optional<model::JsonText> metadata;  // absent: as in `stored`
  std::optional<insights::Mtls> mtls;       // of this process
  uint32_t certificates = 0;                // not counted in `stored`
  // Absent: as in `stored`.
  std::optional<std::shared_ptr<const insights::OpenTelemetry>> collectors;

  bool loaded = false;                           // the following two are as stored
  std::shared_ptr<const insights::Spec> stored;  // the store's own; null: none
  Revision revision;                             // 0: not stored
  unsigned missing = 0;                          // attempts that found no Dataplane
};

ProxyInsights::ProxyInsights(Settings settings, store::Store& store, const runtime::Clock& clock,
                             runtime::SerialExecutor& executor)
    : settings_(std::move(settings)), store_(store), clock_(clock), executor_(executor) {}
ProxyInsights::~ProxyInsights() = default;

void ProxyInsights::Start() {
  CHECK_CONFINED(executor_);
  if (base::Result<store::WatchHandle> watch = store_.Watch(*this); watch.has_value()) {
    watch_ = *std::move(watch);
  } else {
    kLog.Error("deleted insights are not noticed", {{"error", watch.error().message()}});
  }
  if (settings_.only_instance)
    grace_timer_ = executor_.PostAfter(settings_.return_grace, [this] { CloseLeftOver(); });
}

void ProxyInsights::OnEvents(std::span<const store::StoreEvent> events) {
  for (const store::StoreEvent& event : events) {
    if (event.after != nullptr || event.key.kind != insights::Type().kind) continue;
    executor_.Post([this, alive = std::weak_ptr<char>(alive_),
                    proxy = ProxyKey{event.key.mesh, event.key.name}] {
      if (!alive.expired()) OnDeleted(proxy);
    });
  }
}

// With its Dataplane, which may be there again.
void ProxyInsights::OnDeleted(const ProxyKey& proxy) {
  const auto found = proxies_.find(proxy);
  if (found == proxies_.end() || !found->second->connected) return;
  found->second->loaded = false;
  found->second->missing = 0;
  Touch(proxy, *found->second);
}

void ProxyInsights::Stop(std::function<void()> done) {
  CHECK_CONFINED(executor_);
  watch_ = {};
  for (auto& [proxy, state] : proxies_) {
    if (state->connected) OnDisconnected(proxy, state->stream);
  }
  stopping_ = std::move(done);
  flush_timer_.Cancel();
  count_timer_.Cancel();
  grace_timer_.Cancel();
  orphan_timer_.Cancel();
  scheduled_ = false;
  if (!flushing_) Flush();
}

ProxyInsights::Proxy* ProxyInsights::Find(const ProxyKey& proxy, uint64_t stream) {
  CHECK_CONFINED(executor_);
  const auto found = proxies_.find(proxy);
  if (found == proxies_.end() || !found->second->connected || found->second->stream != stream)
    return nullptr;
  return found->second.get();
}

void ProxyInsights::OnConnected(const ProxyKey& proxy, uint64_t stream, std::string id,
                                model::JsonText metadata, insights::Version version) {
  CHECK_CONFINED(executor_);
  std::unique_ptr<Proxy>& state = proxies_[proxy];
  if (state == nullptr) state = std::make_unique<Proxy>();
  if (state->connected) {
    if (stream < state->stream) return;
    OnDisconnected(proxy, state->stream);
  }
  state->stream = stream;
  state->connected = true;
  state->missing = 0;
  state->metadata = std::move(metadata);
  Subscription subscription;
  subscription.id = std::move(id);
  subscription.control_plane_instance_id = settings_.instance_id;
  subscription.connect_time = clock_.WallNow();
  subscription.status = insights::SubscriptionStatus{.last_update_time = clock_.WallNow(),
                                                     .total = ServiceStats{},
                                                     .cds = ServiceStats{},
                                                     .eds = ServiceStats{},
                                                     .lds = ServiceStats{},
                                                     .rds = ServiceStats{}};
  subscription.version = std::move(version);
  state->own.push_back(std::move(subscription));
  if (state->own.size() > settings_.subscriptions) state->own.erase(state->own.begin());
  Touch(proxy, *state);
}

void ProxyInsights::OnDisconnected(const ProxyKey& proxy, uint64_t stream) {
  Proxy* state = Find(proxy, stream);
  if (state == nullptr) return;
  state->own.back().disconnect_time = clock_.WallNow();
  state->connected = false;
  Touch(proxy, *state);
}

ProxyInsights::Proxy* ProxyInsights::Count(const ProxyKey& proxy, uint64_t stream, Service service,
                                           uint64_t ServiceStats::*answer) {
  Proxy* state = Find(proxy, stream);
  if (state == nullptr) return nullptr;
  insights::SubscriptionStatus& status = *state->own.back().status;
  status.last_update_time = clock_.WallNow();
  const auto count = [answer](ServiceStats& stats) {
    ++stats.responses_sent;
    ++(stats.*answer);
  };
  count(*status.total);
  switch (service) {
    case Service::kCds: count(*status.cds); break;
    case Service::kEds: count(*status.eds); break;
    case Service::kLds: count(*status.lds); break;
    case Service::kRds: count(*status.rds); break;
    case Service::kOther: break;
  }
  return state;
}

void ProxyInsights::OnAcknowledged(const ProxyKey& proxy, uint64_t stream, Service service) {
  Proxy* state = Count(proxy, stream, service, &ServiceStats::responses_acknowledged);
  if (state != nullptr) TouchLater(proxy, *state);
}
void ProxyInsights::OnRejected(const ProxyKey& proxy, uint64_t stream, Service service) {
  Proxy* state = Count(proxy, stream, service, &ServiceStats::responses_rejected);
  if (state != nullptr) Touch(proxy, *state);
}

void ProxyInsights::OnCertificate(const ProxyKey& proxy, runtime::WallTime issued,
                                  runtime::WallTime expires, std::string backend,
                                  std::vector<std::string> supported) {
  CHECK_CONFINED(executor_);
  const auto found = proxies_.find(proxy);
  if (found == proxies_.end()) return;
  Proxy& state = *found->second;
  if (!state.mtls) state.mtls.emplace();
  state.mtls->last_certificate_regeneration = issued;
  state.mtls->certificate_expiration_time = expires;
  ++state.certificates;
  state.mtls->issued_backend = std::move(backend);
  state.mtls->supported_backends = std::move(supported);
  Touch(proxy, state);
}

void ProxyInsights::OnCollectors(const ProxyKey& proxy,
                                 const std::shared_ptr<const insights::OpenTelemetry>& collectors) {
  CHECK_CONFINED(executor_);
  const auto found = proxies_.find(proxy);
  if (found == proxies_.end()) return;
  Proxy& state = *found->second;
  const bool had_some = state.collectors ? *state.collectors != nullptr
                                         : state.stored != nullptr && state.stored->open_telemetry;
  if (state.collectors && *state.collectors == collectors) return;
  state.collectors = collectors;
  if (had_some || collectors != nullptr) Touch(proxy, state);
}

void ProxyInsights::MarkDirty(const ProxyKey& proxy, Proxy& state) {
  if (!std::exchange(state.dirty, true)) dirty_.push_back(proxy);
}

void ProxyInsights::MarkDirty(const std::vector<ProxyKey>& proxies) {
  for (const ProxyKey& proxy : proxies) {
    const auto found = proxies_.find(proxy);
    if (found == proxies_.end()) continue;
    found->second->orphan = false;
    MarkDirty(proxy, *found->second);
  }
}

void ProxyInsights::Touch(const ProxyKey& proxy, Proxy& state) {
  MarkDirty(proxy, state);
  Schedule();
}

void ProxyInsights::TouchLater(const ProxyKey& proxy, Proxy& state) {
  if (state.dirty || std::exchange(state.counted, true)) return;
  counted_.push_back(proxy);
  if (counted_.size() > 1) return;
  count_timer_ = executor_.PostAfter(settings_.count_interval, [this] {
    for (const ProxyKey& counted : std::exchange(counted_, {})) {
      const auto found = proxies_.find(counted);
      if (found == proxies_.end()) continue;
      found->second->counted = false;
      MarkDirty(counted, *found->second);
    }
    Schedule();
  });
}

void ProxyInsights::Schedule() {
  if (scheduled_ || flushing_ || dirty_.empty() || stopping_) return;
  scheduled_ = true;
  const runtime::Time now = clock_.Now();
  const runtime::Duration delay =
      last_flush_ ? std::max<runtime::Duration>(*last_flush_ + settings_.interval - now,
                                                runtime::Duration::zero())
                  : runtime::Duration::zero();
  flush_timer_ = executor_.PostAfter(delay, [this] {
    scheduled_ = false;
    Flush();
  });
}

// False when there is no Dataplane to be seen.
bool ProxyInsights::Load(const ProxyKey& proxy, Proxy& state) {
  if (state.loaded) return true;
  if (!store_.Get(OwnerOf(proxy)).has_value()) return false;
  state.revision = {};
  if (const auto found = store_.Get(KeyOf(proxy)); found.has_value()) {
    state.stored = std::static_pointer_cast<const insights::Spec>((*found)->spec());
    state.revision = (*found)->meta().revision;
  } else {
    if (!state.metadata && state.stored != nullptr) state.metadata = state.stored->metadata;
    state.stored = nullptr;
  }
  state.loaded = true;
  return true;
}

insights::Spec ProxyInsights::SpecOf(const Proxy& state) const {
  static const insights::Spec kNone;
  const insights::Spec& stored = state.stored != nullptr ? *state.stored : kNone;
  insights::Spec spec;
  spec.mtls = stored.mtls;
  spec.open_telemetry = stored.open_telemetry;
  if (state.collectors) {
    spec.open_telemetry =
        *state.collectors == nullptr ? std::nullopt : std::optional(**state.collectors);
  }
  spec.metadata = state.metadata ? *state.metadata : stored.metadata;
  std::copy_if(stored.subscriptions.begin(), stored.subscriptions.end(),
               std::back_inserter(spec.subscriptions), [&](const Subscription& subscription) {
                 return std::none_of(
                     state.own.begin(), state.own.end(),
                     [&](const Subscription& own) { return own.id == subscription.id; });
               });
  for (Subscription& subscription : spec.subscriptions) {
    if (settings_.only_instance && !subscription.disconnect_time)
      subscription.disconnect_time = clock_.WallNow();
  }
  spec.subscriptions.insert(spec.subscriptions.end(), state.own.begin(), state.own.end());
  if (spec.subscriptions.size() > settings_.subscriptions) {
    spec.subscriptions.erase(
        spec.subscriptions.begin(),
        spec.subscriptions.end() - static_cast<std::ptrdiff_t>(settings_.subscriptions));
  }
  if (state.mtls) {
    const uint32_t before = spec.mtls ? spec.mtls->certificate_regenerations : 0;
    spec.mtls = state.mtls;
    spec.mtls->certificate_regenerations = before + state.certificates;
  }
  return spec;
}

void ProxyInsights::Flush() {
  store::Transaction transaction;
  std::vector<Sent> sent;
  std::vector<ProxyKey> later;
  while (!dirty_.empty() && sent.size() < kMaxWrites) {
    const ProxyKey proxy = std::move(dirty_.front());
    dirty_.pop_front();
    const auto found = proxies_.find(proxy);
    if (found == proxies_.end() || !std::exchange(found->second->dirty, false)) continue;
    Proxy& state = *found->second;
    if (!Load(proxy, state)) {
      // Its registration may be on the way; without a Dataplane there is nothing to say.
      if (!state.connected) {
        proxies_.erase(found);
      } else if (!stopping_ && ++state.missing < kMaxAttempts) {
        later.push_back(proxy);
      } else if (!stopping_ && !std::exchange(state.orphan, true)) {
        if (orphans_.empty()) {
          orphan_timer_ = executor_.PostAfter(kOrphanInterval, [this] {
            MarkDirty(std::exchange(orphans_, {}));
            Schedule();
          });
        }
        orphans_.push_back(proxy);
      }
      continue;
    }
    state.missing = 0;
    auto spec = std::make_shared<const insights::Spec>(SpecOf(state));
    sent.push_back({proxy, spec, state.certificates});
    model::Metadata meta;
    meta.mesh = proxy.mesh;
    meta.name = proxy.name;
    meta.owner = OwnerOf(proxy);
    transaction.writes.push_back({.kind = store::Write::Kind::kPut,
                                  .resource = std::make_shared<const model::Resource>(
                                      insights::Type(), std::move(meta), std::move(spec)),
                                  .key = KeyOf(proxy),
                                  .expected = state.revision});
  }
  MarkDirty(later);
  last_flush_ = clock_.Now();
  if (sent.empty()) {
    if (stopping_) {
      std::exchange(stopping_, nullptr)();
    } else {
      Schedule();
    }
    return;
  }
  flushing_ = true;
  ++transactions_;
  store_.CommitAsync(std::move(transaction),
                     [this, alive = std::weak_ptr<char>(alive_), &executor = executor_,
                      sent = std::move(sent)](base::Result<store::Committed> done) mutable {
                       executor.Post([this, alive, sent = std::move(sent), done = std::move(done)] {
                         if (!alive.expired()) OnStored(sent, done);
                       });
                     });
}

void ProxyInsights::OnStored(const std::vector<Sent>& sent,
                             const base::Result<store::Committed>& done) {
  flushing_ = false;
  for (const auto& [proxy, spec, certificates] : sent) {
    const auto found = proxies_.find(proxy);
    if (found == proxies_.end()) continue;
    Proxy& state = *found->second;
    if (done.has_value()) {
      state.stored = spec;
      if (state.metadata && state.stored->metadata == *state.metadata) state.metadata.reset();
      state.certificates -= certificates;
      state.revision = done->revision;
      state.loaded = done->changed;  // what was no change has kept an older revision
      if (!state.connected && !state.dirty) proxies_.erase(found);
    } else {
      // Somebody else wrote, the Dataplane went, or the store is not well: read again, try again.
      state.loaded = false;
      MarkDirty(proxy, state);
    }
  }
  if (!done.has_value() && done.error().code() != base::Code::kConflict &&
      done.error().code() != base::Code::kNotFound) {
    kLog.Warn("insights could not be stored",
              {{"insights", sent.size()}, {"error", done.error().message()}});
    if (stopping_) dirty_.clear();
  }
  if (stopping_) {
    Flush();
  } else {
    Schedule();
  }
}

void ProxyInsights::CloseLeftOver() {
  const base::Result<store::Page> page =
      store_.List({.kind = "DataplaneInsight", .mesh = {}, .name_contains = {}, .labels = {}});
  if (!page.has_value()) {
    grace_timer_ = executor_.PostAfter(settings_.return_grace, [this] { CloseLeftOver(); });
    return;
  }
  for (const model::ResourcePtr& insight : page->items) {
    const ProxyKey proxy{insight->mesh(), insight->name()};
    if (proxies_.contains(proxy) || !insights::IsOnline(insight->Spec<insights::Spec>())) continue;
    // Writing it closes what is open.
    Touch(proxy, *proxies_.emplace(proxy, std::make_unique<Proxy>()).first->second);
  }
}

}  // namespace kuma::insight

#include "control/internal/dataplane_lifecycle.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "resources/dataplane/probes.h"

namespace kuma::control::internal {
namespace {

using base::ProxyKey;
using base::Revision;
using runtime::Time;

constexpr base::Logger kLog("control");
constexpr runtime::Duration kRetry = std::chrono::seconds(1);

model::ResourceKey KeyOf(const ProxyKey& proxy) { return {"Dataplane", proxy.mesh, proxy.name}; }

// "main=true,admin=false" of the inbounds that are probed.
std::string ReadyOf(const model::Resource& dataplane) {
  std::vector<std::string> parts;
  for (const auto& inbound : dataplane.Spec<resources::dataplane::Spec>().networking->inbound) {
    if (!resources::dataplane::IsProbed(inbound) || !inbound.health) continue;
    parts.push_back(inbound.SectionName() + (inbound.health->ready ? "=true" : "=false"));
  }
  return base::Join(parts, ",");
}

}  // namespace

DataplaneLifecycle::DataplaneLifecycle(const Settings& settings, Surroundings surroundings)
    : around_(std::move(surroundings)), owned_(settings), probed_(settings.health) {}

void DataplaneLifecycle::Stop() {
  stopped_ = true;
  register_timer_.Cancel();
  remove_timer_.Cancel();
  health_timer_.Cancel();
}

bool DataplaneLifecycle::idle() const {
  return registering_.empty() && register_again_.empty() && removing_.empty() &&
         storing_health_.empty() && store_health_again_.empty();
}

// `then(self, done)` on the writer, unless this is gone or stopped by then.
template <class F>
void DataplaneLifecycle::Commit(store::Write write, F then) {
  store::Transaction transaction;
  transaction.writes.push_back(std::move(write));
  around_.store.CommitAsync(std::move(transaction), [weak = weak_from_this(), then](Done done) {
    const auto alive = weak.lock();
    if (alive == nullptr) return;
    alive->around_.writer.Post([weak, then, done = std::move(done)] {
      const auto self = weak.lock();
      if (self != nullptr && !self->stopped_) then(*self, done);
    });
  });
}

template <class F>
runtime::Timer DataplaneLifecycle::PostAfter(runtime::Duration delay, F task) {
  return around_.writer.PostAfter(delay, [weak = weak_from_this(), task] {
    const auto self = weak.lock();
    if (self != nullptr && !self->stopped_) task(*self);
  });
}

void DataplaneLifecycle::OnLoaded() {
  loaded_ = true;
  for (const auto& [proxy, dataplane] : brought_) Register(proxy);
}

void DataplaneLifecycle::OnConnected(const ProxyKey& proxy, const model::ResourcePtr& brought) {
  owned_.Connected(proxy);
  if (brought == nullptr) return;
  brought_[proxy] = brought;
  if (loaded_) Register(proxy);
}

void DataplaneLifecycle::OnDisconnected(const ProxyKey& proxy, OwnedDataplanes::Departure how) {
  owned_.Disconnected(proxy, how, around_.clock.Now());
  brought_.erase(proxy);
}

void DataplaneLifecycle::OnDataplane(const ProxyKey& proxy, const model::ResourcePtr& dataplane) {
  probed_.Put(proxy, dataplane);
  StoreHealth(proxy);
  if (dataplane == nullptr) {
    owned_.Erase(proxy);
  } else {
    owned_.Put(proxy, dataplane->meta().owned_by_proxy, around_.clock.Now());
    // One copy of what was registered is enough.
    if (const auto found = brought_.find(proxy);
        found != brought_.end() && found->second->spec() == dataplane->spec() &&
        found->second->meta().labels == dataplane->meta().labels)
      found->second = dataplane;
  }
}

// Registration.

void DataplaneLifecycle::Register(const ProxyKey& proxy) {
  if (around_.find(proxy) != nullptr || !registering_.insert(proxy).second) return;
  const model::Resource& brought = *brought_.at(proxy);
  model::Metadata meta = brought.meta();
  meta.owned_by_proxy = true;
  Commit({.kind = store::Write::Kind::kPut,
          .resource = std::make_shared<const model::Resource>(brought.type(), std::move(meta),
                                                              brought.spec(), brought.status()),
          .key = KeyOf(proxy),
          .expected = Revision{0}},
         [proxy](DataplaneLifecycle& self, const Done& done) { self.OnRegistered(proxy, done); });
}

void DataplaneLifecycle::OnRegistered(const ProxyKey& proxy, const Done& done) {
  registering_.erase(proxy);
  if (done.has_value()) {
    ++around_.counters.dataplanes_registered;
    return;
  }
  kLog.Warn("a Dataplane could not be registered",
            {{"proxy", proxy.ToString()}, {"error", done.error().message()}});
  if (done.error().code() != base::Code::kUnavailable) return;
  register_again_.insert(proxy);
  register_timer_ = PostAfter(kRetry, [](DataplaneLifecycle& self) {
    for (const ProxyKey& again : std::exchange(self.register_again_, {})) {
      if (self.brought_.contains(again)) self.Register(again);
    }
  });
}

// Removal.

void DataplaneLifecycle::Release(const std::string& mesh) {
  owned_.Release(mesh, around_.clock.Now());
  RemoveDue();
}

void DataplaneLifecycle::RemoveDue() {
  const Time now = around_.clock.Now();
  const size_t held = owned_.held_count();
  for (const ProxyKey& proxy : owned_.TakeDue(now)) Remove(proxy);
  // Proxies leave one by one: a line when it begins, and one whenever there are twice as many.
  if (const size_t now_held = owned_.held_count();
      now_held > held && (held == 0 || std::bit_width(now_held) > std::bit_width(held))) {
    kLog.Warn("mass removal held: many proxies left at once",
              {{"dataplanes", now_held}, {"release", "POST /mass-removals/<mesh>/release"}});
  }
  around_.counters.held_dataplanes = owned_.held_count();
  const std::optional<Time> next = owned_.next();
  if (next == remove_at_) return;
  remove_at_ = next;
  remove_timer_.Cancel();
  if (!next) return;
  remove_timer_ = PostAfter(std::max<runtime::Duration>(*next - now, runtime::Duration(1)),
                            [](DataplaneLifecycle& self) {
                              self.remove_at_.reset();
                              self.RemoveDue();
                            });
}

void DataplaneLifecycle::Remove(const ProxyKey& proxy) {
  const model::ResourcePtr dataplane = around_.find(proxy);
  if (dataplane == nullptr || !removing_.insert(proxy).second) return;
  // Registered anew meanwhile: then it is not ours to remove.
  Commit({.kind = store::Write::Kind::kDelete,
          .resource = nullptr,
          .key = KeyOf(proxy),
          .expected = dataplane->meta().revision},
         [proxy](DataplaneLifecycle& self, const Done& done) { self.OnRemoved(proxy, done); });
}

void DataplaneLifecycle::OnRemoved(const ProxyKey& proxy, const Done& done) {
  around_.catch_up();
  removing_.erase(proxy);
  if (!done.has_value() && done.error().code() != base::Code::kNotFound) {
    owned_.Retry(proxy, around_.clock.Now() + kRetry);
    RemoveDue();
    return;
  }
  ++around_.counters.dataplanes_removed;
  // It came back in the moment of its removal.
  if (brought_.contains(proxy)) Register(proxy);
}

// Health: what probes found, where it is not stored yet.

void DataplaneLifecycle::OnHealthOpened(const ProxyKey& proxy,
                                        std::shared_ptr<xds::HealthLine> line,
                                        generate::ProxyNode node) {
  probed_.Opened(proxy, std::move(line), std::move(node), around_.find(proxy));
}
void DataplaneLifecycle::OnHealthReported(const ProxyKey& proxy, const xds::HealthLine* line,
                                          xds::HealthReport report) {
  if (probed_.Reported(proxy, line, std::move(report))) StoreHealth(proxy);
}
void DataplaneLifecycle::OnHealthClosed(const ProxyKey& proxy, const xds::HealthLine* line) {
  probed_.Closed(proxy, line);
}

void DataplaneLifecycle::StoreHealth(const ProxyKey& proxy) {
  model::ResourcePtr wanted = probed_.Wanted(proxy, around_.find(proxy));
  if (wanted == nullptr || !storing_health_.insert(proxy).second) return;
  Commit({.kind = store::Write::Kind::kPut,
          .resource = wanted,
          .key = wanted->key(),
          .expected = wanted->meta().revision},
         [proxy, wanted](DataplaneLifecycle& self, const Done& done) {
           self.OnHealthStored(proxy, *wanted, done);
         });
}

void DataplaneLifecycle::OnHealthStored(const ProxyKey& proxy, const model::Resource& stored,
                                        const Done& done) {
  around_.catch_up();
  storing_health_.erase(proxy);
  if (done.has_value()) {
    ++around_.counters.health_changes;
    kLog.Info("health of workloads changed",
              {{"proxy", proxy.ToString()}, {"ready", ReadyOf(stored)}});
    StoreHealth(proxy);
    return;
  }
  switch (done.error().code()) {
    case base::Code::kConflict: StoreHealth(proxy); return;
    case base::Code::kNotFound: return;  // the Dataplane is gone
    default: break;
  }
  if (store_health_again_.empty()) {
    kLog.Warn("health of workloads could not be stored, trying again",
              {{"proxy", proxy.ToString()}, {"error", done.error().message()}});
    health_timer_ = PostAfter(kRetry, [](DataplaneLifecycle& self) {
      for (const ProxyKey& again : std::exchange(self.store_health_again_, {}))
        self.StoreHealth(again);
    });
  }
  store_health_again_.insert(proxy);
}

}  // namespace kuma::control::internal

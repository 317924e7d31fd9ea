#pragma once

// What the control plane itself writes to Dataplanes: it registers those that proxies bring along,
// removes them when their proxies have left, and stores the health of workloads as Envoys found it.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "control/control_loop.h"
#include "control/counters.h"
#include "control/internal/owned_dataplanes.h"
#include "control/internal/probed_inbounds.h"
#include "runtime/clock.h"
#include "runtime/executor.h"
#include "store/store.h"

namespace kuma::control::internal {

// Confined to the mesh writer, but for the constructor. A write is made with the revision that was
// seen: one that somebody else made meanwhile is not undone; its event brings us here again. What
// the store could not take is tried again after a second.
class DataplaneLifecycle : public std::enable_shared_from_this<DataplaneLifecycle> {
 public:
  // Borrowed: all of it must outlive this, and `writer` the callbacks of the store.
  struct Surroundings {
    store::Store& store;
    runtime::SerialExecutor& writer;
    const runtime::Clock& clock;
    Counters& counters;
    // The Dataplane as the newest events say; null: there is none.
    std::function<model::ResourcePtr(const base::ProxyKey&)> find;
    // Sees all events that were heard. Those of a write come before its answer.
    std::function<void()> catch_up;
  };
  DataplaneLifecycle(const Settings& settings, Surroundings surroundings);
  // Nothing is written any more.
  void Stop();

  // The store is loaded: nothing is registered before.
  void OnLoaded();
  // `brought` may be null.
  void OnConnected(const base::ProxyKey& proxy, const model::ResourcePtr& brought);
  void OnDisconnected(const base::ProxyKey& proxy, OwnedDataplanes::Departure how);
  // It was written (again), or deleted (null).
  void OnDataplane(const base::ProxyKey& proxy, const model::ResourcePtr& dataplane);

  void OnHealthOpened(const base::ProxyKey& proxy, std::shared_ptr<xds::HealthLine> line,
                      generate::ProxyNode node);
  void OnHealthReported(const base::ProxyKey& proxy, const xds::HealthLine* line,
                        xds::HealthReport report);
  void OnHealthClosed(const base::ProxyKey& proxy, const xds::HealthLine* line);

  // Removes those whose time has come, and comes back when the next one's has.
  void RemoveDue();
  // Removes those that the guard holds.
  void Release(const std::string& mesh);
  std::vector<base::ProxyKey> held() const { return owned_.held(); }
  bool IsConnected(const base::ProxyKey& proxy) const { return owned_.IsConnected(proxy); }
  // No write is on its way or waits to be tried again.
  bool idle() const;

 private:
  using Done = base::Result<store::Committed>;
  template <class F>
  void Commit(store::Write write, F then);
  template <class F>
  runtime::Timer PostAfter(runtime::Duration delay, F task);
  void Register(const base::ProxyKey& proxy);
  void OnRegistered(const base::ProxyKey& proxy, const Done& done);
  void Remove(const base::ProxyKey& proxy);
  void OnRemoved(const base::ProxyKey& proxy, const Done& done);
  void StoreHealth(const base::ProxyKey& proxy);
  void OnHealthStored(const base::ProxyKey& proxy, const model::Resource& stored, const Done& done);

  const Surroundings around_;
  OwnedDataplanes owned_;
  ProbedInbounds probed_;
  bool loaded_ = false;
  bool stopped_ = false;

  std::map<base::ProxyKey, model::ResourcePtr> brought_;  // by proxies that are connected
  std::set<base::ProxyKey> registering_;
  std::set<base::ProxyKey> register_again_;
  runtime::Timer register_timer_;

  std::set<base::ProxyKey> removing_;
  std::optional<runtime::Time> remove_at_;
  runtime::Timer remove_timer_;

  std::set<base::ProxyKey> storing_health_;
  std::set<base::ProxyKey> store_health_again_;
  runtime::Timer health_timer_;
};

}  // namespace kuma::control::internal

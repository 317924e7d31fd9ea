#pragma once

// Connections and answers of proxies as DataplaneInsight resources.

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "model/value.h"
#include "resources/dataplane_insight/dataplane_insight.h"
#include "runtime/clock.h"
#include "runtime/executor.h"
#include "store/store.h"

namespace kuma::insight {

// What Kuma's statistics tell apart; secrets count in the total only.
enum class Service : uint8_t { kCds, kEds, kLds, kRds, kOther };

struct Settings {
  std::string instance_id;                               // of this control plane
  runtime::Duration interval = std::chrono::seconds(1);  // at most one transaction in this time
  // Acknowledgements are counted at once, and stored when something else of their proxy is, or after
  // this: a change of every proxy is one write of each, however many follow it.
  runtime::Duration count_interval = std::chrono::seconds(10);
  size_t subscriptions = 10;  // kept in an insight, newest
  // Connections that an earlier process left open are closed after this, unless their proxy came
  // back.
  runtime::Duration return_grace = std::chrono::seconds(60);
  // False when other control planes use the same store: connections of others are left alone.
  bool only_instance = true;
};

// Confined to the insight executor; everything but the constructor is called there. Queues: one
// entry each for each proxy whose insight is not stored yet.
class ProxyInsights final : public store::WatchSink {
 public:
  // Borrowed: all of it must outlive this.
  ProxyInsights(Settings settings, store::Store& store, const runtime::Clock& clock,
                runtime::SerialExecutor& executor);
  ~ProxyInsights() override;

  // Looks for connections that an earlier process left open, and for insights that go with their
  // Dataplane.
  void Start();
  // Stores what is left. `done` is called when it is stored, or could not be.
  void Stop(std::function<void()> done);

  // `stream` tells the connections of one proxy apart; newer ones are greater. `metadata`: of
  // Envoy's node.
  void OnConnected(const base::ProxyKey& proxy, uint64_t stream, std::string id,
                   model::JsonText metadata, resources::dataplane_insight::Version version);
  void OnDisconnected(const base::ProxyKey& proxy, uint64_t stream);
  // A response was sent and is answered.
  void OnAcknowledged(const base::ProxyKey& proxy, uint64_t stream, Service service);
  void OnRejected(const base::ProxyKey& proxy, uint64_t stream, Service service);
  void OnCertificate(const base::ProxyKey& proxy, runtime::WallTime issued,
                     runtime::WallTime expires, std::string backend,
                     std::vector<std::string> supported);

  // How its signals reach collectors of OpenTelemetry now; null: none.
  void OnCollectors(
      const base::ProxyKey& proxy,
      const std::shared_ptr<const resources::dataplane_insight::OpenTelemetry>& collectors);

  // store::WatchSink: on store threads.
  void OnSnapshot(base::Revision, std::vector<model::ResourcePtr>) override {}
  void OnEvents(std::span<const store::StoreEvent> events) override;

  uint64_t transactions() const { return transactions_; }
  size_t waiting() const { return dirty_.size() + counted_.size(); }

 private:
  struct Proxy;
  Proxy* Find(const base::ProxyKey& proxy, uint64_t stream);
  // Null: of a stream that is not the proxy's.
  Proxy* Count(const base::ProxyKey& proxy, uint64_t stream, Service service,
               uint64_t resources::dataplane_insight::ServiceStats::*answer);
  void MarkDirty(const base::ProxyKey& proxy, Proxy& state);
  void MarkDirty(const std::vector<base::ProxyKey>& proxies);
  void Touch(const base::ProxyKey& proxy, Proxy& state);
  void TouchLater(const base::ProxyKey& proxy, Proxy& state);
  void Schedule();
  bool Load(const base::ProxyKey& proxy, Proxy& state);
  void Flush();
  struct Sent {
    base::ProxyKey proxy;
    std::shared_ptr<const resources::dataplane_insight::Spec> spec;
    uint32_t certificates;
  };
  void OnStored(const std::vector<Sent>& sent, const base::Result<store::Committed>& done);
  resources::dataplane_insight::Spec SpecOf(const Proxy& state) const;
  void CloseLeftOver();
  void OnDeleted(const base::ProxyKey& proxy);

  const Settings settings_;
  store::Store& store_;
  const runtime::Clock& clock_;
  runtime::SerialExecutor& executor_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();

  std::unordered_map<base::ProxyKey, std::unique_ptr<Proxy>> proxies_;
  std::deque<base::ProxyKey> dirty_;     // oldest first; those marked so count
  std::vector<base::ProxyKey> counted_;  // to be marked so when the timer fires
  std::vector<base::ProxyKey> orphans_;  // connected, but their Dataplane is not there
  bool flushing_ = false;
  bool scheduled_ = false;
  std::optional<runtime::Time> last_flush_;
  std::function<void()> stopping_;
  uint64_t transactions_ = 0;
  store::WatchHandle watch_;
  runtime::Timer flush_timer_;
  runtime::Timer count_timer_;
  runtime::Timer grace_timer_;
  runtime::Timer orphan_timer_;
};

}  // namespace kuma::insight

#pragma once

// How far every proxy and every revision is: rollouts, timelines, freshness, who is stalled and
// what is withheld from whom.

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "insight/rollouts.h"
#include "insight/timeline.h"
#include "runtime/clock.h"
#include "runtime/executor.h"
#include "xds/hub.h"

namespace kuma::insight {

// A proxy was given a bundle.
struct GivenBundle {
  // New in it, with the users' writes that it goes back to.
  struct Change {
    std::shared_ptr<const std::vector<base::Revision>> revisions;
    std::shared_ptr<const std::string> what;
    std::shared_ptr<const std::string> reason;
  };
  base::ProxyKey proxy;
  xds::BundlePtr bundle;
  std::vector<Change> changes;
};

// How far one connected proxy is behind the store.
struct Freshness {
  base::ProxyKey proxy;
  base::Revision acknowledged;  // everything up to it that concerns the proxy
  uint64_t lag = 0;             // revisions: of the store, minus acknowledged
  std::optional<runtime::Duration>
      behind_for;  // since when it has not acknowledged all; absent: it has
  bool stalled = false;
};

// A connected proxy that does not have all that it should.
struct TroubledProxy {
  base::ProxyKey proxy;
  std::optional<runtime::WallTime> stalled_since;
  std::vector<Rejection> withheld;  // one resource each
};

// Questions may come from any thread and are answered on the insight executor; everything else is
// confined to it. Memory: a timeline for each connected proxy and for the last 1,000 that left; of
// each connected proxy the newest bundle, which the hub holds too.
class Progress {
 public:
  // Borrowed: they outlive this. `newest`: the store's revision; thread-safe.
  Progress(runtime::SerialExecutor& executor, const runtime::Clock& clock,
           std::function<base::Revision()> newest);
  ~Progress();

  void OnEvent(const xds::ProxyEvent& event);
  // Nothing is known of this revision and older ones.
  void OnStart(base::Revision revision) { rollouts_.OnStart(revision); }
  // One round of generation. `left`: streams that ended since the last one, before what follows.
  void OnRound(const std::vector<base::ProxyKey>& left, const std::vector<GivenBundle>& given,
               base::Revision settled);
  // Answers everybody who waits, now and later.
  void Stop();

  // Waits for at most `wait` until the rollout is complete; answers at once if it is.
  void AskRollout(base::Revision revision, runtime::Duration wait,
                  std::function<void(Rollouts::Answer)> answer);
  void AskRollouts(size_t count, std::function<void(std::vector<Rollout>)> answer);
  // Nothing: no such proxy was seen by this process, or long ago.
  void AskTimeline(base::ProxyKey proxy,
                   std::function<void(std::optional<std::vector<TimelineEvent>>)> answer);
  void AskFreshness(std::function<void(std::vector<Freshness>)> answer);     // sorted by proxy
  void AskTroubles(std::function<void(std::vector<TroubledProxy>)> answer);  // sorted by proxy

  const Rollouts& rollouts() const { return rollouts_; }

 private:
  struct Proxy {
    Timeline timeline;
    bool connected = false;
    xds::BundlePtr bundle;   // the newest given to this stream
    base::Revision in_step;  // of this stream
    base::Revision floor;    // acknowledged, while it is not in step with `bundle`
    runtime::Time behind_since;
    std::optional<runtime::WallTime> stalled_since;
    std::map<Part, Rejection> withheld;
    std::list<base::ProxyKey>::iterator left;  // its place, while it is not connected

    bool IsInStep() const { return bundle != nullptr && in_step >= bundle->revision; }
  };
  struct Waiter {
    base::Revision revision;
    std::function<void(Rollouts::Answer)> answer;
    runtime::Timer timer;
  };
  template <class F>
  void Post(F task);
  Proxy* Find(const base::ProxyKey& proxy);  // null: none is known
  Proxy& Connect(const base::ProxyKey& proxy);
  void Disconnect(const base::ProxyKey& proxy);
  void OnNack(const base::ProxyKey& key, Proxy& proxy, const xds::NackEvent& nack);
  void OnInStep(const base::ProxyKey& key, Proxy& proxy, const xds::InStepEvent& in_step);
  void Note(Proxy& proxy, TimelineEvent event) const;
  Freshness FreshnessOf(const base::ProxyKey& key, const Proxy& proxy) const;
  void WakeWaiters();

  runtime::SerialExecutor& executor_;
  const runtime::Clock& clock_;
  const std::function<base::Revision()> newest_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();

  Rollouts rollouts_;
  std::unordered_map<base::ProxyKey, Proxy> proxies_;
  std::list<base::ProxyKey> left_;  // not connected any more, oldest first
  std::list<Waiter> waiters_;
  uint64_t finals_seen_ = 0;
  bool stopped_ = false;
};

}  // namespace kuma::insight

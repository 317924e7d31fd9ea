#pragma once

// Who has which revision: "revision 4711: 118 of 120 proxies acknowledged, 1 rejected, 1 pending".

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"

namespace kuma::insight {

// A proxy refused what a revision gave it.
struct Rejection {
  base::ProxyKey proxy;
  std::vector<std::string> resources;  // Envoy's names
  std::vector<std::string>
      origins;         // stored resources that shaped them ("MeshRateLimit default/burst")
  std::string detail;  // Envoy's words
};

// What became of one revision. A proxy counts when its configuration changed because of the
// revision or of derived writes that it caused; it is in exactly one of the five states.
struct Rollout {
  base::Revision revision;
  bool settled = false;  // all proxies that it changes are known
  uint64_t pending = 0;
  uint64_t acknowledged = 0;
  uint64_t rejected = 0;
  uint64_t gone = 0;        // disconnected before an answer
  uint64_t superseded = 0;  // a newer revision came before an answer, and was rejected
  std::vector<base::ProxyKey> pending_proxies;  // sorted, at most 32
  std::vector<Rejection> rejections;            // at most 32

  uint64_t affected() const { return pending + acknowledged + rejected + gone + superseded; }
  // It stays complete once it is.
  bool complete() const { return settled && pending == 0; }
};

// Pure. Memory: the last `limit` revisions with effect, and for each connected proxy those that it
// has not answered. Confined to the insight executor.
class Rollouts {
 public:
  explicit Rollouts(size_t limit = 1000) : limit_(limit) {}

  // A proxy was given a bundle of `revision`; `causes`: revisions whose effects are new to it,
  // sorted.
  void OnPublished(const base::ProxyKey& proxy, base::Revision revision,
                   const std::vector<base::Revision>& causes);
  // Effects of every revision up to this one were published to all connected proxies.
  void OnSettled(base::Revision revision);
  // The proxy has everything of its bundle of `revision`, but for what it rejected.
  void OnInStep(const base::ProxyKey& proxy, base::Revision revision);
  // The proxy rejected resources of its bundle of `revision`.
  void OnRejected(base::Revision revision, Rejection rejection);
  // Its stream ended, or another one began.
  void OnGone(const base::ProxyKey& proxy);

  struct TooOld {};   // no longer known
  struct Unknown {};  // `newest` of the store is below it
  using Answer = std::variant<Rollout, TooOld, Unknown>;
  // A revision without effects is settled and complete with no proxy affected.
  Answer Find(base::Revision revision, base::Revision newest) const;

  base::Revision settled() const { return settled_; }
  size_t size() const { return rollouts_.size(); }
  size_t pending() const { return pending_; }  // (proxy, revision) pairs, for metrics

 private:
  struct Entry {
    base::Revision bundle;
    std::vector<base::Revision> causes;
    bool rejected = false;
    bool superseded = false;
  };
  void Close(const Entry& entry, uint64_t Rollout::*state);
  void Forget();

  const size_t limit_;
  std::map<base::Revision, Rollout> rollouts_;
  std::map<base::ProxyKey, std::deque<Entry>> waiting_;  // oldest first
  base::Revision settled_;
  base::Revision forgotten_;  // rollouts up to this one may be missing
  size_t pending_ = 0;
};

}  // namespace kuma::insight

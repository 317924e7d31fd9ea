#pragma once

// Who has which revision: "revision 4711: 118 of 120 proxies acknowledged, 1 rejected, 1 pending".

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "bundle/bundle.h"
#include "xds/delta_session.h"

namespace kuma::insight {

// One Envoy resource of a proxy, whatever its content: a hash of type and name.
using Part = uint64_t;
Part PartOf(xds::XdsType type, const bundle::NameRef& name);
// Sorted; null stands for all parts.
using Parts = std::shared_ptr<const std::vector<Part>>;
// What `after` adds or changes. `before` may be null: all of it.
Parts ChangedParts(const bundle::XdsBundle* before, const bundle::XdsBundle& after);

// A proxy refused what a revision gave it, or does not get it because it refused it, or what it
// needs, before.
struct Rejection {
  base::ProxyKey proxy;
  std::vector<std::string> resources;  // Envoy's names
  std::vector<Part> parts;             // the same
  std::vector<std::string>
      origins;         // stored resources that shaped them ("MeshRateLimit default/burst")
  std::string detail;  // Envoy's words, or ours
};

// A user's write that a bundle holds the effect of. `what` ("MeshTimeout default/slow changed") may
// be null.
struct Effect {
  base::Revision revision;
  std::shared_ptr<const std::string> what;
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
  uint64_t superseded = 0;  // a newer revision changed the same before an answer, and was rejected
  std::vector<std::shared_ptr<const std::string>> what;  // changes that had effect, at most 8
  std::vector<base::Revision> superseded_by;             // sorted, at most 8
  std::vector<base::ProxyKey> pending_proxies;           // sorted, at most 32
  std::vector<Rejection> rejections;                     // at most 32

  uint64_t affected() const { return pending + acknowledged + rejected + gone + superseded; }
  // It stays complete once it is.
  bool complete() const { return settled && pending == 0; }
};

// Pure. Memory: the last `limit` revisions with effect, and for each connected proxy at most
// kMaxWaiting bundles that it has not answered. Confined to the insight executor.
class Rollouts {
 public:
  static constexpr size_t kMaxWaiting = 16;

  explicit Rollouts(size_t limit = 1000) : limit_(limit) {}

  // Nothing is known of this revision and older ones.
  void OnStart(base::Revision revision);
  // A proxy was given a bundle of `revision` that changed `changed`. `effects`: those that are new
  // to it; revisions may occur several times.
  void OnPublished(const base::ProxyKey& proxy, base::Revision revision,
                   std::span<const Effect> effects, Parts changed);
  // Effects of every revision up to this one were published to all connected proxies.
  void OnSettled(base::Revision revision);
  // The proxy has everything of its bundles up to `revision`, or newer content instead, but for
  // `withheld`.
  void OnInStep(const base::ProxyKey& proxy, base::Revision revision,
                std::span<const Rejection> withheld = {});
  // The proxy rejected these resources of its bundle of `revision`; more of the bundle may follow.
  void OnRejected(base::Revision revision, const Rejection& rejection);
  // Its stream ended, or another one began.
  void OnGone(const base::ProxyKey& proxy);

  struct TooOld {
    std::string reason;
  };
  struct Unknown {};  // `newest` of the store is below it
  using Answer = std::variant<Rollout, TooOld, Unknown>;
  // A revision without effects is settled and complete with no proxy affected.
  Answer Find(base::Revision revision, base::Revision newest) const;
  // True if Find would say that it is complete, or too old.
  bool IsFinal(base::Revision revision) const;
  // Those with effect, newest first.
  std::vector<Rollout> Newest(size_t count) const;

  base::Revision settled() const { return settled_; }
  size_t size() const { return rollouts_.size(); }
  size_t pending() const { return pending_; }  // (proxy, revision) pairs
  size_t waiting_bundles() const;
  // Grows whenever some revision becomes final.
  uint64_t finals() const { return finals_; }

 private:
  struct Entry {
    base::Revision bundle;
    std::vector<base::Revision> causes;  // sorted, unique
    Parts changed;
    bool rejected = false;
    base::Revision superseded_by;  // 0: not
  };
  using Entries = std::vector<Entry>;  // oldest first
  void Reject(Entries& entries, base::Revision revision, const Rejection& rejection);
  void Close(const Entry& entry, uint64_t Rollout::*state);
  void Bound(Entries& entries) const;
  void Forget();
  Rollout Complete(Rollout rollout) const;

  const size_t limit_;
  std::map<base::Revision, Rollout> rollouts_;
  std::unordered_map<base::ProxyKey, Entries> waiting_;
  base::Revision settled_;
  base::Revision started_;    // of this process
  base::Revision forgotten_;  // rollouts up to this one may be missing
  size_t pending_ = 0;
  uint64_t finals_ = 0;
};

}  // namespace kuma::insight

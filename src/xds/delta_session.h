#pragma once

// One delta xDS stream of one client, seen from the server, as a state machine. Pure: no I/O, no
// lock; time is a parameter. docs/protocols/xds-delta.md is its specification. Confined to the
// event loop of its connection.

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bundle/bundle.h"
#include "runtime/clock.h"

namespace kuma::xds {

using bundle::BundlePtr;
using bundle::ContentHash;
using bundle::Revision;
using bundle::SealedPtr;
using bundle::XdsType;
using runtime::Duration;
using runtime::Time;

// What of envoy.service.discovery.v3.DeltaDiscoveryRequest the session reads.
struct DeltaRequest {
  std::string type_url;
  std::vector<std::string> subscribe;
  std::vector<std::string> unsubscribe;
  std::map<std::string, std::string>
      initial_resource_versions;            // name -> version; read in a type's first request
  std::string response_nonce;               // empty: not an answer
  std::optional<std::string> error_detail;  // set: NACK
};

// A response to be sent: its head is small and of its own, the resources are shared bytes.
struct DeltaResponse {
  XdsType type = XdsType::kCluster;
  std::string
      other_type_url;  // not empty: an answer for a type that is not ours, and `type` means nothing
  std::string nonce;
  Revision revision;  // of the bundle; system_version_info is its decimal text
  std::vector<SealedPtr> resources;
  std::vector<std::string> removed;

  std::string_view type_url() const {
    return other_type_url.empty() ? bundle::TypeUrl(type) : std::string_view(other_type_url);
  }
};

struct AckEvent {
  XdsType type;
  Revision revision;  // of the bundle that the acknowledged response was made from
};
struct NackEvent {
  XdsType type;
  Revision revision;
  std::vector<SealedPtr> rejected;  // the culprits if they are known, else all of the response
  bool culprits_known =
      false;  // they are quarantined; false: the session now tries parts of the response
  std::string detail;
};

struct SessionOutput {
  std::vector<DeltaResponse> send;  // in this order
  std::vector<AckEvent> acks;
  std::vector<NackEvent> nacks;
  // Set when it grows: of every bundle up to this revision, everything that the client asked for is
  // acknowledged, in this content or a newer one, or quarantined. It is the newest bundle's
  // revision when the client is in step. Clusters that wait for their removal do not count.
  std::optional<Revision> in_step;
  std::optional<Time> wake_at;  // call OnTimer then, if set; replaces what earlier outputs said
  std::optional<base::Error>
      failure;  // set: the client broke a bound; end the stream with this reason
};

struct SessionOptions {
  // A removed cluster or endpoint set stays until the last listener update that dropped it was
  // acknowledged and this has passed: the drain time of Envoy's bootstrap plus a reserve.
  Duration removal_delay = std::chrono::seconds(35);
  // A response that is not answered within this time counts as stalled.
  Duration stall_after = std::chrono::seconds(30);
  // Listeners wait this long for something that they need and that exists in some version: clusters
  // that change all the time, endpoints that nobody asks for.
  Duration patience = std::chrono::seconds(5);
  // Quarantined content is tried again after this, doubled each time up to `retry_at_most`; 0:
  // never. For causes outside of the configuration, such as a port in use.
  Duration retry_after = std::chrono::minutes(1);
  Duration retry_at_most = std::chrono::minutes(30);
  size_t response_bytes =
      4u << 20;            // more than this is split over several responses, each acknowledged
  size_t names = 100'000;  // subscribed names of one stream; more is a failure
};

// What must survive the end of a stream, because Envoy's own versions do not tell it. Small; empty
// for a client in step.
struct SessionMemory {
  // Envoy may name a version that it does not run, or run a version whose endpoints it still waits
  // for.
  struct Doubt {
    XdsType type;
    std::string name;
    std::vector<SealedPtr> possible;  // what it may run instead
    bool anything = false;            // or something that we do not know
  };
  struct Rejection {
    XdsType type;
    std::string name;
    ContentHash version;
    Time retry_at;  // zero: never
    uint32_t tries = 1;
  };
  std::vector<Doubt> doubts;
  std::vector<Rejection> rejections;

  bool empty() const { return doubts.empty() && rejections.empty(); }
};

// Content that this client does not get, or does not get any more.
struct QuarantineEntry {
  XdsType type;
  std::string name;
  bool needs_another = false;  // good itself, but uses a cluster that was rejected
};

class DeltaSession {
 public:
  explicit DeltaSession(SessionOptions options = {});
  ~DeltaSession();
  DeltaSession(DeltaSession&&) noexcept;
  DeltaSession& operator=(DeltaSession&&) noexcept;

  SessionOutput OnRequest(Time now, const DeltaRequest& request);
  // Only the newest bundle counts; may be called before the first request. REQUIRES: no list is
  // null.
  SessionOutput OnBundle(Time now, BundlePtr bundle);
  SessionOutput OnTimer(Time now);
  // What Remember() of the client's previous stream returned. At any time, best before the first
  // request.
  void Recall(const SessionMemory& memory);

  SessionMemory Remember() const;
  // A response has waited for its answer for longer than stall_after.
  bool stalled(Time now) const;
  // Sorted by type, then in the order of bundle::NameRef.
  std::vector<QuarantineEntry> Quarantined() const;
  // Names that differ from the lists that the session shares with others: 0 for a client in step.
  size_t deviations() const;
  // For people: a line for each deviating name.
  std::string Describe() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kuma::xds

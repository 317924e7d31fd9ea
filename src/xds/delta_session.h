#pragma once

// One delta ADS stream of one Envoy, as a state machine. Pure: no I/O, no lock; time is a parameter.
// docs/protocols/xds-delta.md is its specification. Confined to the event loop of its connection.

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bundle/bundle.h"
#include "runtime/clock.h"

namespace kuma::xds {

using bundle::BundlePtr;
using bundle::Revision;
using bundle::SealedPtr;
using bundle::XdsType;
using runtime::Time;

// What of envoy.service.discovery.v3.DeltaDiscoveryRequest the session reads.
struct DeltaRequest {
  std::string type_url;
  std::vector<std::string> subscribe;
  std::vector<std::string> unsubscribe;
  std::map<std::string, std::string> initial_resource_versions;  // name -> version; first request of a type only
  std::string response_nonce;                                    // empty: not an answer
  std::optional<std::string> error_detail;                       // set: NACK
};

// A response to be sent: its head is small and of its own, the resources are shared bytes.
struct DeltaResponse {
  XdsType type;
  std::string type_url;  // of an unknown type when unknown_type is true: answered with nothing but removals
  std::string nonce;
  std::string system_version;            // the bundle's revision, decimal
  std::vector<SealedPtr> resources;
  std::vector<std::string> removed;
};

struct AckEvent {
  XdsType type;
  Revision revision;  // of the bundle that the acknowledged response was made from
};
struct NackEvent {
  XdsType type;
  Revision revision;
  std::vector<SealedPtr> rejected;  // the culprits as far as known: named by error_detail, else all of the response
  std::string detail;
};
// Everything of the newest bundle is acknowledged (or quarantined): the proxy is in step with this revision.
struct InStepEvent {
  Revision revision;
};

struct SessionOutput {
  std::vector<DeltaResponse> send;
  std::vector<AckEvent> acks;
  std::vector<NackEvent> nacks;
  std::optional<InStepEvent> in_step;
  std::optional<Time> wake_at;  // call OnTimer at this time, if set
};

struct SessionOptions {
  // A removed cluster or endpoint set stays until its last listener's removal was acknowledged and this has passed:
  // the drain time of Envoy's bootstrap plus a reserve.
  std::chrono::nanoseconds removal_delay = std::chrono::seconds(35);
  // A response that is not answered within this time counts as stalled.
  std::chrono::nanoseconds stall_after = std::chrono::seconds(30);
};

class DeltaSession {
 public:
  explicit DeltaSession(SessionOptions options);
  ~DeltaSession();

  SessionOutput OnRequest(Time now, const DeltaRequest& request);
  // Only the newest bundle counts; may be called before the first request.
  SessionOutput OnBundle(Time now, BundlePtr bundle);
  SessionOutput OnTimer(Time now);

  bool stalled() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kuma::xds

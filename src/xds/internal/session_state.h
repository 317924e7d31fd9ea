#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/format.h"
#include "xds/delta_session.h"
#include "xds/internal/type_state.h"

namespace kuma::xds::internal {

using bundle::kAllXdsTypes;
using bundle::kXdsTypeCount;

inline constexpr std::string_view kWildcard = "*";

// What one look at a type finds to do. Views point into lists and overlays, which do not change
// while it lives.
struct Survey {
  std::vector<SealedPtr> sends;  // to be sent, and nothing stands in the way; sorted
  std::vector<NameRef> blocked;  // rejected, and the client has no other content; sorted
  std::vector<Name> gone;        // held, but not part of the bundle
  std::vector<Name> removed;     // to be told as removed now
  bool settled = true;           // nothing was to be sent or in flight
  bool waiting = false;          // something is to be sent and has to wait for another type
  bool held_back = false;        // something is not sent because what it needs is rejected

  bool IsBlocked(const NameRef& name) const {
    return std::binary_search(blocked.begin(), blocked.end(), name);
  }
};

// The names of a request.
struct Names {
  bool wildcard = false;
  std::vector<NameRef> others;  // sorted, each once

  explicit Names(const std::vector<std::string>& texts);
};

struct Uses;

// Endpoints that a cluster may wait for are sent even if the bundle has them no more, if we know
// which they are.
void OweDoubted(Held& held, const std::vector<SealedPtr>& possible);

// What a DeltaSession is made of. The rules are those of docs/protocols/xds-delta.md;
// session_requests.cc reads what the client says, session_plan.cc decides what to send.
struct SessionState {
  explicit SessionState(SessionOptions chosen) : options(chosen) {}

  SessionOptions options;
  BundlePtr bundle;
  std::array<TypeState, kXdsTypeCount> types;
  uint64_t next_nonce = 1;
  bool in_step_reported = false;  // with this bundle
  Revision covered_reported;
  std::optional<Time> came_back;  // when the client named clusters or listeners that it has

  TypeState& Of(XdsType type) { return types[static_cast<size_t>(type)]; }
  const TypeState& Of(XdsType type) const { return types[static_cast<size_t>(type)]; }
  const SealedListPtr& Desired(XdsType type) const {
    return bundle->resources[static_cast<size_t>(type)];
  }

  // Requests.
  void Answer(Time now, XdsType type, const DeltaRequest& request, SessionOutput& out);
  void OnAck(Time now, XdsType type, const InFlight& response);
  void OnNack(Time now, XdsType type, const InFlight& response, const std::string& detail,
              SessionOutput& out);
  // REQUIRES: `held` is the entry of its name.
  void Quarantine(Time now, Held& held, const SealedPtr& culprit);
  void Unsubscribe(TypeState& ts, const Names& names);
  void Subscribe(XdsType type, const Names& names, const DeltaRequest& request, bool first);
  void FirstRequest(TypeState& ts, const DeltaRequest& request);
  void AwaitEndpoints(Time now, const std::vector<NameRef>& names);

  // Responses.
  void Plan(Time now, SessionOutput& out);
  Survey Look(XdsType type, Time now);
  void HoldEndpoints(Survey& endpoints, const Survey& clusters);
  void GateUsers(XdsType type, Time now, Survey& users, const Survey& clusters,
                 const Survey& endpoints);
  void RemoveClusters(Time now, Survey& clusters);
  void RemoveOthers(XdsType type, Time now, bool users_settled, Survey& survey);
  void RemoveAfterDelay(TypeState& ts, Time now, const NameRef& name, bool free, Survey& survey);
  Uses UsesOfClient() const;
  bool IsAwaited(const NameRef& endpoints) const {
    return Of(XdsType::kEndpoints).awaited.contains(endpoints);
  }
  // Forgets what is awaited no longer.
  void Await(Time now);
  void Compose(XdsType type, Time now, Survey& survey, SessionOutput& out);
  void OweEndpoints(Time now, const std::vector<SealedPtr>& clusters);
  // The client has not asked for the type on this stream yet, and probably will.
  bool IsExpected(XdsType type, Time now) const;
  bool InStep(const std::array<Survey, kXdsTypeCount>& surveys, Time now) const;
  // Advances TypeState::covered.
  void Cover(const std::array<Survey, kXdsTypeCount>& surveys, Time now);
  Revision Covered() const;
  std::optional<Time> NextWake(Time now) const;
  DeltaResponse NewResponse(XdsType type) {
    DeltaResponse response;
    response.type = type;
    response.nonce = base::Format("{}", next_nonce++);
    response.revision = bundle == nullptr ? Revision{} : bundle->revision;
    return response;
  }
};

}  // namespace kuma::xds::internal

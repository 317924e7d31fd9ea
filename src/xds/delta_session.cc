#include "xds/delta_session.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/format.h"
#include "xds/internal/culprits.h"
#include "xds/internal/type_state.h"

namespace kuma::xds {
namespace {

using bundle::kAllXdsTypes;
using bundle::kXdsTypeCount;
using bundle::SameContent;
using bundle::SealedListPtr;
using internal::Held;
using internal::InFlight;
using internal::TypeState;

constexpr std::string_view kWildcard = "*";

// What one look at a type finds to do. Views point into lists and overlays, which do not change while it lives.
struct Survey {
  std::vector<SealedPtr> sends;             // to be sent, and nothing stands in the way
  std::vector<std::string_view> unsettled;  // to be sent or in flight; sorted
  std::vector<std::string_view> blocked;    // rejected, and the client has no other content; sorted
  std::vector<std::string_view> gone;       // held, but not part of the bundle
  std::vector<std::string_view> removed;    // to be told as removed now
  bool waiting = false;                     // something is to be sent and has to wait for another type

  bool IsUnsettled(std::string_view name) const {
    return std::binary_search(unsettled.begin(), unsettled.end(), name);
  }
  bool IsBlocked(std::string_view name) const { return std::binary_search(blocked.begin(), blocked.end(), name); }
};

// What may still be in use at the client: clusters of its listeners and routes, of every content that it may run.
struct Uses {
  bool anything = false;  // some content is not known
  std::vector<std::string_view> clusters;

  void Add(const SealedPtr& content) { clusters.insert(clusters.end(), content->clusters.begin(), content->clusters.end()); }
  void Add(const Held& held) {
    anything = anything || held.claimed.has_value() || held.anything;
    if (held.certain != nullptr) Add(held.certain);
    for (const SealedPtr& content : held.maybe) Add(content);
  }
  void Finish() { std::sort(clusters.begin(), clusters.end()); }
  bool Contains(std::string_view name) const {
    return anything || std::binary_search(clusters.begin(), clusters.end(), name);
  }
};

}  // namespace

struct DeltaSession::State {
  explicit State(SessionOptions chosen) : options(chosen) {}

  SessionOptions options;
  BundlePtr bundle;
  std::array<TypeState, kXdsTypeCount> types;
  uint64_t next_nonce = 1;
  bool in_step_reported = false;

  TypeState& Of(XdsType type) { return types[static_cast<size_t>(type)]; }
  const TypeState& Of(XdsType type) const { return types[static_cast<size_t>(type)]; }
  const SealedListPtr& Desired(XdsType type) const { return bundle->resources[static_cast<size_t>(type)]; }

  // Requests.
  void Answer(Time now, XdsType type, const DeltaRequest& request, SessionOutput& out);
  void OnAck(Time now, XdsType type, const InFlight& response);
  void OnNack(Time now, XdsType type, const InFlight& response, const std::string& detail, SessionOutput& out);
  void Quarantine(Time now, XdsType type, const SealedPtr& culprit);
  void Unsubscribe(TypeState& ts, const std::string& name);
  void Subscribe(TypeState& ts, const std::string& name, const DeltaRequest& request, bool first);
  void FirstRequest(TypeState& ts, const DeltaRequest& request);
  void AwaitEndpoints(Time now, const std::vector<std::string>& names);

  // Responses.
  void Plan(Time now, SessionOutput& out);
  Survey Look(XdsType type, Time now);
  void HoldEndpoints(Survey& endpoints, const Survey& clusters);
  void GateUsers(XdsType type, Time now, Survey& users, const Survey& clusters, const Survey& endpoints);
  void RemoveClusters(Time now, Survey& clusters);
  void RemoveOthers(XdsType type, Time now, bool users_settled, Survey& survey);
  void RemoveAfterDelay(TypeState& ts, Time now, std::string_view name, bool free, Survey& survey);
  Uses UsesOfClient() const;
  bool IsAwaited(std::string_view endpoints, Time now) const;
  void Compose(XdsType type, Time now, Survey& survey, SessionOutput& out);
  void OweEndpoints(Time now, const std::vector<SealedPtr>& clusters);
  bool InStep(const std::array<Survey, kXdsTypeCount>& surveys, Time now) const;
  std::optional<Time> NextWake(Time now) const;
  DeltaResponse NewResponse(XdsType type) {
    DeltaResponse response;
    response.type = type;
    response.nonce = base::Format("{}", next_nonce++);
    response.revision = bundle == nullptr ? Revision{} : bundle->revision;
    return response;
  }
};

// ---------------------------------------------------------------------------------------------------------------
// Requests

void DeltaSession::State::Answer(Time now, XdsType type, const DeltaRequest& request, SessionOutput& out) {
  TypeState& ts = Of(type);
  // Another nonce is that of an older response, which a newer one has replaced or a reconnect has made void.
  if (request.response_nonce.empty() || ts.in_flight == nullptr || ts.in_flight->nonce != request.response_nonce) {
    return;
  }
  const std::unique_ptr<InFlight> response = std::move(ts.in_flight);
  if (request.error_detail) {
    OnNack(now, type, *response, *request.error_detail, out);
  } else {
    OnAck(now, type, *response);
    out.acks.push_back({type, response->revision});
  }
}

void DeltaSession::State::OnAck(Time now, XdsType type, const InFlight& response) {
  TypeState& ts = Of(type);
  TypeState& endpoints = Of(XdsType::kEndpoints);
  for (const SealedPtr& resource : response.resources) {
    ts.suspects.erase(resource->name);
    // The client dropped what it unsubscribed from while this was under way.
    if (!ts.Subscribed(resource->name)) continue;
    ts.Touch(resource->name).Acknowledge(resource);
    if (type == XdsType::kCluster) {
      const auto awaited = endpoints.awaited.find(resource->name);
      if (awaited != endpoints.awaited.end() && !awaited->second.sent) awaited->second.since = now;
    } else if (type == XdsType::kEndpoints) {
      const auto awaited = ts.awaited.find(resource->name);
      const bool again = ts.Touch(resource->name).resend;
      if (awaited != ts.awaited.end() && (awaited->second.sent || !again)) ts.awaited.erase(awaited);
    }
  }
  for (const std::string& name : response.removed) {
    if (ts.Subscribed(name)) ts.Touch(name).Acknowledge(nullptr);
    if (type == XdsType::kCluster) endpoints.awaited.erase(name);
  }
  if (!ts.suspects.empty()) ts.probe *= 2;
}

void DeltaSession::State::OnNack(Time now, XdsType type, const InFlight& response, const std::string& detail,
                                 SessionOutput& out) {
  TypeState& ts = Of(type);
  std::vector<SealedPtr> culprits = internal::FindCulprits(response.resources, detail);
  if (culprits.empty() && response.resources.size() == 1) culprits = response.resources;
  const auto is_culprit = [&culprits](const SealedPtr& resource) {
    return std::find(culprits.begin(), culprits.end(), resource) != culprits.end();
  };
  // Envoy applied what was good, and keeps the old version of all of it.
  for (const SealedPtr& resource : response.resources) {
    if (!ts.Subscribed(resource->name)) continue;
    if (is_culprit(resource)) {
      Quarantine(now, type, resource);
      ts.suspects.erase(resource->name);
    } else {
      ts.Touch(resource->name).SetUnknown(resource);
      if (culprits.empty()) ts.suspects.insert(resource->name);
    }
  }
  for (const std::string& name : response.removed) {
    if (!ts.Subscribed(name)) continue;
    Held& held = ts.Touch(name);
    if (response.resources.empty()) {
      held.Acknowledge(nullptr);  // a removal alone cannot be refused; asking for ever would not help
      continue;
    }
    if (held.certain != nullptr) held.SetUnknown(held.certain);
    if (held.claimed) held.anything = true;
    held.unknown = held.HasSomething();
    held.certain = nullptr;
    held.claimed.reset();
  }
  if (culprits.empty()) ts.probe = std::max<size_t>(1, response.resources.size() / 2);
  out.nacks.push_back({type, response.revision, culprits.empty() ? response.resources : culprits, !culprits.empty(),
                       detail});
}

void DeltaSession::State::Quarantine(Time now, XdsType type, const SealedPtr& culprit) {
  Held& held = Of(type).Touch(culprit->name);
  const bool again = held.rejection && held.rejection->version == culprit->version;
  const uint32_t tries = again ? held.rejection->tries + 1 : 1;
  Time retry_at{};
  if (options.retry_after > Duration::zero()) {
    const uint32_t doublings = std::min<uint32_t>(tries - 1, 20);
    retry_at = now + std::min(options.retry_after * (int64_t{1} << doublings), options.retry_at_most);
  }
  held.rejection = internal::Rejection{culprit->version, retry_at, tries};
  Of(XdsType::kEndpoints).awaited.erase(culprit->name);
}

void DeltaSession::State::Unsubscribe(TypeState& ts, const std::string& name) {
  if (name == kWildcard) {
    if (!ts.wildcard) return;
    ts.Unshare([&ts](std::string_view held) { return ts.names.Contains(held); });
    ts.wildcard = ts.owes_first = false;
    return;
  }
  if (!ts.names.Remove(name)) return;
  if (ts.wildcard) {
    // The client does not know whether it still has it by the wildcard, and keeps it until it is told.
    Held& held = ts.Touch(name);
    held.resend = held.tell_absent = true;
  } else {
    ts.overlay.erase(name);
    ts.awaited.erase(name);
    ts.suspects.erase(name);
  }
}

void DeltaSession::State::Subscribe(TypeState& ts, const std::string& name, const DeltaRequest& request, bool first) {
  if (name == kWildcard) {
    if (!first) ts.Unshare([](std::string_view) { return true; });
    if (ts.wildcard) {
      for (auto& [held_name, held] : ts.overlay) held.resend = true;
    }
    ts.wildcard = true;
    ts.owes_first = !first || request.initial_resource_versions.empty();
    return;
  }
  const bool added = ts.names.Add(name);
  if (first) {
    if (!request.initial_resource_versions.contains(name)) ts.overlay[name].tell_absent = true;
    return;
  }
  Held& held = ts.Touch(name);
  // A new interest means that the client has forgotten what it had.
  if (added && !ts.wildcard) held.Acknowledge(nullptr);
  held.resend = held.tell_absent = true;
}

void DeltaSession::State::FirstRequest(TypeState& ts, const DeltaRequest& request) {
  for (const auto& [name, version] : request.initial_resource_versions) {
    if (!ts.Subscribed(name)) continue;
    Held& held = ts.overlay[name];
    held.claimed = version;
  }
  // Also of names without a version: Envoy may run what it took from a response that it refused as a whole.
  for (const auto& [name, doubt] : ts.doubts) {
    if (ts.Subscribed(name)) ts.Believe(name, doubt);
  }
  ts.doubts.clear();
  for (const auto& [name, awaited] : ts.awaited) {
    if (awaited.owed && ts.Subscribed(name)) ts.Touch(name).resend = true;
  }
}

// What the client asks for and does not have, or may not have given to its cluster.
void DeltaSession::State::AwaitEndpoints(Time now, const std::vector<std::string>& names) {
  TypeState& ts = Of(XdsType::kEndpoints);
  for (const std::string& name : names) {
    if (name != kWildcard && !ts.HasSurely(name) && !ts.awaited.contains(name)) ts.awaited[name] = {now, false, false};
  }
}

// ---------------------------------------------------------------------------------------------------------------
// Responses

Survey DeltaSession::State::Look(XdsType type, Time now) {
  TypeState& ts = Of(type);
  Survey survey;
  if (!ts.requested || ts.IsQuiet(Desired(type))) return survey;
  ts.Walk(Desired(type), [&](std::string_view name, const SealedPtr* want, const SealedPtr* have, Held* entry) {
    if (want == nullptr) {
      const bool held = entry != nullptr ? entry->HasSomething() : have != nullptr;
      if (entry != nullptr && entry->resend) {
        // A cluster that the bundle has dropped meanwhile warms, and is in use until its users are gone.
        if (type == XdsType::kEndpoints && entry->certain != nullptr) {
          survey.sends.push_back(entry->certain);
          return;
        }
        entry->resend = false;
        if (type == XdsType::kEndpoints && !held) entry->tell_absent = true;
      }
      const bool stays = held && (type == XdsType::kCluster || type == XdsType::kRoute);
      if (entry != nullptr && entry->tell_absent && !stays) {
        survey.removed.push_back(name);
      } else if (held && ts.Subscribed(name)) {
        survey.gone.push_back(name);
      }
      return;
    }
    if (entry == nullptr) {
      if (have == nullptr || !SameContent(**have, **want)) survey.sends.push_back(*want);
      return;
    }
    entry->removal_due.reset();
    entry->tell_absent = false;
    if (entry->claimed && !entry->unknown && *entry->claimed == (*want)->VersionText()) {
      entry->claimed.reset();
      entry->certain = *want;
    }
    const bool has_it = entry->certain != nullptr && !entry->unknown && SameContent(*entry->certain, **want);
    if (has_it) entry->gated_since.reset();
    const auto& rejection = entry->rejection;
    const bool rejected = rejection && rejection->version == (*want)->version;
    if (rejected && !(rejection->retry_at != Time{} && now >= rejection->retry_at)) {
      if (!entry->HasSurely()) survey.blocked.push_back(name);
      if (!entry->resend) {
        ts.awaited.erase(std::string(name));  // there is nothing more to come
      } else if (entry->certain != nullptr) {
        survey.sends.push_back(entry->certain);  // better the last good content than none
      } else if (!entry->HasSomething()) {
        survey.removed.push_back(name);  // it need not wait
      } else {
        entry->resend = false;
      }
    } else if (!has_it || entry->resend) {
      survey.sends.push_back(*want);
    }
  });
  for (const SealedPtr& resource : survey.sends) survey.unsettled.push_back(resource->name);
  if (ts.in_flight != nullptr) {
    for (const SealedPtr& resource : ts.in_flight->resources) survey.unsettled.push_back(resource->name);
    for (const std::string& removed : ts.in_flight->removed) survey.unsettled.push_back(removed);
  }
  std::sort(survey.unsettled.begin(), survey.unsettled.end());
  return survey;
}

// Endpoints follow the change of their cluster: not its acknowledgement, which Envoy gives when the cluster is
// warm. Those that are owed since a cluster was sent go at once: it warms, whatever comes after it.
void DeltaSession::State::HoldEndpoints(Survey& endpoints, const Survey& clusters) {
  if (clusters.sends.empty()) return;
  const TypeState& ts = Of(XdsType::kEndpoints);
  const TypeState& cds = Of(XdsType::kCluster);
  const auto must_wait = [&](const SealedPtr& resource) {
    const auto entry = ts.overlay.find(resource->name);
    if (entry != ts.overlay.end() && entry->second.resend) return false;
    return std::any_of(clusters.sends.begin(), clusters.sends.end(), [&](const SealedPtr& cluster) {
      return cluster->name == resource->name && (cds.in_flight == nullptr || !cds.in_flight->Sends(*cluster));
    });
  };
  const auto held = std::remove_if(endpoints.sends.begin(), endpoints.sends.end(), must_wait);
  endpoints.waiting = held != endpoints.sends.end();
  endpoints.sends.erase(held, endpoints.sends.end());
}

// Make before break: what uses clusters waits until the client acknowledged them and their endpoints.
void DeltaSession::State::GateUsers(XdsType type, Time now, Survey& users, const Survey& clusters,
                                    const Survey& endpoints) {
  TypeState& ts = Of(type);
  const TypeState& cds = Of(XdsType::kCluster);
  const TypeState& eds = Of(XdsType::kEndpoints);
  // A client that reconnects while a cluster warms asks for clusters last.
  const Duration patience = cds.requested ? options.patience : options.stall_after;
  enum class Gate { kOpen, kWait, kBlocked };
  const auto gate_of = [&](const SealedPtr& user) {
    Gate gate = Gate::kOpen;
    for (const std::string& name : user->clusters) {
      if (clusters.IsBlocked(name) || endpoints.IsBlocked(name)) return Gate::kBlocked;
      if (bundle::Find(*Desired(XdsType::kCluster), name) == nullptr) continue;  // not ours: built into the bootstrap
      if (!cds.requested || clusters.IsUnsettled(name) || IsAwaited(name, now)) gate = Gate::kWait;
    }
    return gate;
  };
  const auto has_all = [&](const SealedPtr& user) {
    return std::all_of(user->clusters.begin(), user->clusters.end(), [&](const std::string& name) {
      return !cds.requested || bundle::Find(*Desired(XdsType::kCluster), name) == nullptr ||
             (cds.HasSurely(name) && (cds.in_flight == nullptr || !cds.in_flight->Removes(name)) &&
              (eds.HasSurely(name) || !IsAwaited(name, now)));
    });
  };
  std::vector<SealedPtr> ready;
  for (SealedPtr& user : users.sends) {
    const Gate gate = user->clusters.empty() ? Gate::kOpen : gate_of(user);
    if (gate == Gate::kOpen) {
      ready.push_back(std::move(user));
    } else if (gate == Gate::kWait) {
      Held& held = ts.Touch(user->name);
      if (!held.gated_since) held.gated_since = now;
      if (now >= *held.gated_since + patience && has_all(user)) {
        ready.push_back(std::move(user));
      } else {
        users.waiting = true;
      }
    }
  }
  users.sends = std::move(ready);
}

// Endpoints that nobody asks for are awaited for a while only.
bool DeltaSession::State::IsAwaited(std::string_view endpoints, Time now) const {
  const TypeState& ts = Of(XdsType::kEndpoints);
  const auto awaited = ts.awaited.find(endpoints);
  return awaited != ts.awaited.end() && bundle::Find(*Desired(XdsType::kEndpoints), endpoints) != nullptr &&
         ((ts.requested && ts.Subscribed(endpoints)) || now < awaited->second.since + options.patience);
}

Uses DeltaSession::State::UsesOfClient() const {
  Uses uses;
  for (const XdsType type : {XdsType::kListener, XdsType::kRoute}) {
    const TypeState& ts = Of(type);
    for (const SealedPtr& resource : *ts.base) {
      if (!ts.overlay.contains(resource->name) && ts.Subscribed(resource->name)) uses.Add(resource);
    }
    for (const auto& [name, held] : ts.overlay) uses.Add(held);
    if (ts.in_flight != nullptr) {
      for (const SealedPtr& resource : ts.in_flight->resources) uses.Add(resource);
    }
    for (const SealedPtr& resource : *Desired(type)) uses.Add(resource);
  }
  uses.Finish();
  return uses;
}

void DeltaSession::State::RemoveAfterDelay(TypeState& ts, Time now, std::string_view name, bool free,
                                           Survey& survey) {
  Held& held = ts.Touch(name);
  if (!free) {
    held.removal_due.reset();
    return;
  }
  if (!held.removal_due) held.removal_due = now + options.removal_delay;
  if (now >= *held.removal_due) survey.removed.push_back(name);
}

void DeltaSession::State::RemoveClusters(Time now, Survey& clusters) {
  if (clusters.gone.empty()) return;
  TypeState& ts = Of(XdsType::kCluster);
  const Uses uses = UsesOfClient();
  for (const std::string_view name : clusters.gone) {
    RemoveAfterDelay(ts, now, name, !uses.Contains(name), clusters);
  }
}

// Envoy drops endpoints and secrets with their last user; what it then still asks for is told as removed. (Routes
// are never taken away: Envoy would go on to use them, and forget which version that is.)
void DeltaSession::State::RemoveOthers(XdsType type, Time now, bool users_settled, Survey& survey) {
  TypeState& ts = Of(type);
  for (const std::string_view name : survey.gone) {
    bool free = users_settled;
    if (type == XdsType::kEndpoints && bundle::Find(*Desired(XdsType::kCluster), name) == nullptr) {
      free = free && !Of(XdsType::kCluster).HasSomething(name);
    }
    RemoveAfterDelay(ts, now, name, free, survey);
  }
}

void DeltaSession::State::Compose(XdsType type, Time now, Survey& survey, SessionOutput& out) {
  TypeState& ts = Of(type);
  if (!ts.requested || ts.in_flight != nullptr) return;
  std::vector<SealedPtr> chosen;
  size_t bytes = 0;
  const auto choose = [&](const SealedPtr& resource) {
    if (!chosen.empty() && bytes + resource->bytes->size() > options.response_bytes) return false;
    bytes += resource->bytes->size();
    chosen.push_back(resource);
    return true;
  };
  if (!ts.suspects.empty()) {
    for (const SealedPtr& resource : survey.sends) {
      if (ts.suspects.contains(resource->name) && (chosen.size() >= ts.probe || !choose(resource))) break;
    }
    if (chosen.empty()) ts.suspects.clear();  // other contents or no contents now: nothing to find out
  }
  const bool probing = !chosen.empty();
  bool all = !probing;
  if (!probing) {
    for (const SealedPtr& resource : survey.sends) {
      if (!choose(resource)) {
        all = false;
        break;
      }
    }
  }
  std::vector<std::string> removed;
  if (all) {
    removed.assign(survey.removed.begin(), survey.removed.end());
    // A listener leaves together with the last one that may take its place (Envoy removes before it adds).
    if (type == XdsType::kListener && !survey.waiting) {
      removed.insert(removed.end(), survey.gone.begin(), survey.gone.end());
      std::sort(removed.begin(), removed.end());
    }
  }
  const bool empty = chosen.empty() && removed.empty();
  if (empty && !(ts.owes_first && !survey.waiting)) return;

  auto in_flight = std::make_unique<InFlight>();
  DeltaResponse response = NewResponse(type);
  response.resources = std::move(chosen);
  response.removed = std::move(removed);
  in_flight->nonce = response.nonce;
  in_flight->revision = response.revision;
  in_flight->sent_at = now;
  in_flight->resources = response.resources;
  in_flight->removed = response.removed;
  ts.owes_first = false;
  for (const SealedPtr& resource : response.resources) {
    if (Held* held = ts.FindOverlay(resource->name)) held->resend = held->tell_absent = false;
    const auto awaited = ts.awaited.find(resource->name);
    if (awaited != ts.awaited.end()) awaited->second.sent = true;
  }
  for (const std::string& name : response.removed) {
    if (Held* held = ts.FindOverlay(name)) held->resend = held->tell_absent = false;
  }
  ts.in_flight = std::move(in_flight);
  if (type == XdsType::kCluster) OweEndpoints(now, response.resources);
  out.send.push_back(std::move(response));
}

// Envoy warms a changed cluster until its endpoints come, and does not ask for them again if it has some.
void DeltaSession::State::OweEndpoints(Time now, const std::vector<SealedPtr>& clusters) {
  TypeState& ts = Of(XdsType::kEndpoints);
  for (const SealedPtr& cluster : clusters) {
    if (bundle::Find(*Desired(XdsType::kEndpoints), cluster->name) != nullptr) {
      ts.awaited[cluster->name] = {now, false, true};
    }
    if (ts.requested && ts.Subscribed(cluster->name)) ts.Touch(cluster->name).resend = true;
  }
}

bool DeltaSession::State::InStep(const std::array<Survey, kXdsTypeCount>& surveys, Time now) const {
  bool any = false;
  for (const XdsType type : kAllXdsTypes) {
    const TypeState& ts = Of(type);
    const Survey& survey = surveys[static_cast<size_t>(type)];
    any = any || ts.requested;
    if (ts.in_flight != nullptr || survey.waiting || !survey.sends.empty()) return false;
    const bool first = type == XdsType::kCluster || type == XdsType::kListener;
    if (first && !ts.requested && !Desired(type)->empty()) return false;
  }
  const TypeState& endpoints = Of(XdsType::kEndpoints);
  return any && std::none_of(endpoints.awaited.begin(), endpoints.awaited.end(),
                             [&](const auto& awaited) { return IsAwaited(awaited.first, now); });
}

std::optional<Time> DeltaSession::State::NextWake(Time now) const {
  std::optional<Time> wake;
  const auto consider = [&](Time at) {
    if (at > now && (!wake || at < *wake)) wake = at;
  };
  for (const TypeState& ts : types) {
    if (ts.in_flight != nullptr) consider(ts.in_flight->sent_at + options.stall_after);
    for (const auto& [name, awaited] : ts.awaited) consider(awaited.since + options.patience);
    for (const auto& [name, held] : ts.overlay) {
      if (held.removal_due) consider(*held.removal_due);
      if (held.gated_since) {
        consider(*held.gated_since + (Of(XdsType::kCluster).requested ? options.patience : options.stall_after));
      }
      if (held.rejection && held.rejection->retry_at != Time{}) consider(held.rejection->retry_at);
    }
  }
  return wake;
}

void DeltaSession::State::Plan(Time now, SessionOutput& out) {
  if (bundle != nullptr) {
    std::array<Survey, kXdsTypeCount> surveys;
    const auto of = [&surveys](XdsType type) -> Survey& { return surveys[static_cast<size_t>(type)]; };
    Survey& clusters = of(XdsType::kCluster);
    Survey& endpoints = of(XdsType::kEndpoints);

    for (const XdsType type : kAllXdsTypes) {
      if (type != XdsType::kEndpoints) of(type) = Look(type, now);
    }
    RemoveClusters(now, clusters);
    Compose(XdsType::kCluster, now, clusters, out);
    endpoints = Look(XdsType::kEndpoints, now);  // some are owed now
    HoldEndpoints(endpoints, clusters);
    for (const XdsType type : {XdsType::kListener, XdsType::kRoute}) {
      GateUsers(type, now, of(type), clusters, endpoints);
    }
    bool users_settled = true;
    for (const XdsType type : {XdsType::kCluster, XdsType::kListener}) {
      users_settled = users_settled && of(type).unsettled.empty() && !of(type).waiting;
    }
    for (const XdsType type : {XdsType::kEndpoints, XdsType::kSecret}) {
      RemoveOthers(type, now, users_settled, of(type));
    }

    for (const XdsType type : kAllXdsTypes) {
      if (type != XdsType::kCluster) Compose(type, now, of(type), out);
    }
    if (!in_step_reported && InStep(surveys, now)) {
      in_step_reported = true;
      // A client that reconnects asks for all that it has before it answers anything.
      for (TypeState& ts : types) {
        if (ts.requested) continue;
        ts.doubts.clear();
        ts.overlay.clear();
      }
      out.in_step = bundle->revision;
    }
    for (const XdsType type : kAllXdsTypes) {
      TypeState& ts = Of(type);
      const Survey& survey = of(type);
      std::erase_if(ts.awaited, [&](const auto& awaited) {
        return !IsAwaited(awaited.first, now);
      });
      if (ts.requested && ts.in_flight == nullptr && survey.sends.empty() && !survey.waiting &&
          survey.removed.empty() && !ts.IsQuiet(Desired(type))) {
        surveys[static_cast<size_t>(type)] = Survey();  // its views end here
        ts.Share(Desired(type));
      }
    }
  }
  out.wake_at = NextWake(now);
}

// ---------------------------------------------------------------------------------------------------------------

DeltaSession::DeltaSession(SessionOptions options) : state_(std::make_unique<State>(options)) {}
DeltaSession::~DeltaSession() = default;
DeltaSession::DeltaSession(DeltaSession&&) noexcept = default;
DeltaSession& DeltaSession::operator=(DeltaSession&&) noexcept = default;

SessionOutput DeltaSession::OnRequest(Time now, const DeltaRequest& request) {
  State& s = *state_;
  SessionOutput out;
  const XdsType* type = bundle::FindXdsType(request.type_url);
  if (type == nullptr) {
    // We have nothing of it. Saying so lets the client go on instead of waiting for a time-out.
    const bool wildcard = request.subscribe.empty() && request.unsubscribe.empty() &&
                          request.initial_resource_versions.empty();
    if (request.response_nonce.empty() && (wildcard || !request.subscribe.empty())) {
      DeltaResponse response = s.NewResponse(XdsType::kCluster);
      response.other_type_url = request.type_url;
      std::copy_if(request.subscribe.begin(), request.subscribe.end(), std::back_inserter(response.removed),
                   [](const std::string& name) { return name != kWildcard; });
      out.send.push_back(std::move(response));
    }
    out.wake_at = s.NextWake(now);
    return out;
  }
  TypeState& ts = s.Of(*type);
  s.Answer(now, *type, request, out);
  const bool first = !ts.requested;
  ts.requested = true;
  for (const std::string& name : request.unsubscribe) s.Unsubscribe(ts, name);
  // The older spelling of "everything".
  if (first && request.subscribe.empty() && (*type == XdsType::kCluster || *type == XdsType::kListener)) {
    s.Subscribe(ts, std::string(kWildcard), request, first);
  }
  for (const std::string& name : request.subscribe) s.Subscribe(ts, name, request, first);
  if (first) s.FirstRequest(ts, request);
  if (*type == XdsType::kEndpoints) s.AwaitEndpoints(now, request.subscribe);
  if (!request.unsubscribe.empty() && s.bundle != nullptr) ts.names.ShareWith(s.Desired(*type));
  if (ts.names.size() > s.options.names || ts.overlay.size() > s.options.names) {
    out.failure = base::Invalid(base::Format("more than {} resource names of {}", s.options.names, request.type_url));
    return out;
  }
  s.Plan(now, out);
  return out;
}

SessionOutput DeltaSession::OnBundle(Time now, BundlePtr bundle) {
  SessionOutput out;
  if (state_->bundle != bundle) state_->in_step_reported = false;
  state_->bundle = std::move(bundle);
  state_->Plan(now, out);
  return out;
}

SessionOutput DeltaSession::OnTimer(Time now) {
  SessionOutput out;
  state_->Plan(now, out);
  return out;
}

void DeltaSession::Recall(const SessionMemory& memory) {
  for (const SessionMemory::Doubt& doubt : memory.doubts) {
    TypeState& ts = state_->Of(doubt.type);
    internal::Doubt believed{doubt.possible, doubt.anything};
    if (!ts.requested) {
      ts.doubts[doubt.name] = std::move(believed);
    } else if (ts.Subscribed(doubt.name)) {
      ts.Believe(doubt.name, believed);
    }
  }
  for (const SessionMemory::Rejection& rejection : memory.rejections) {
    TypeState& ts = state_->Of(rejection.type);
    if (ts.requested && !ts.Subscribed(rejection.name)) continue;
    ts.Touch(rejection.name).rejection = {rejection.version, rejection.retry_at, rejection.tries};
  }
}

SessionMemory DeltaSession::Remember() const {
  SessionMemory memory;
  for (const XdsType type : kAllXdsTypes) {
    const TypeState& ts = state_->Of(type);
    std::map<std::string, internal::Doubt, std::less<>> doubts = ts.doubts;
    for (const auto& [name, held] : ts.overlay) {
      if (held.unknown || held.resend) {
        internal::Doubt& doubt = doubts[name];
        doubt.possible = held.maybe;
        if (held.certain != nullptr) doubt.possible.push_back(held.certain);
        doubt.anything = held.anything || held.claimed.has_value();
      }
      if (held.rejection) {
        const internal::Rejection& r = *held.rejection;
        memory.rejections.push_back({type, name, r.version, r.retry_at, r.tries});
      }
    }
    // Answers that will never come: if one was a refusal, the versions that Envoy names next are wrong.
    const auto doubt_answer = [&](const std::string& name, const SealedPtr& sent) {
      internal::Doubt& doubt = doubts[name];
      if (sent != nullptr) doubt.possible.push_back(sent);
      const auto found = ts.overlay.find(name);
      if (found != ts.overlay.end()) {
        if (found->second.certain != nullptr) doubt.possible.push_back(found->second.certain);
        doubt.anything = doubt.anything || found->second.claimed.has_value();
      } else if (const SealedPtr* held = bundle::FindPtr(*ts.base, name)) {
        doubt.possible.push_back(*held);
      }
    };
    if (ts.in_flight != nullptr) {
      for (const SealedPtr& resource : ts.in_flight->resources) doubt_answer(resource->name, resource);
      for (const std::string& name : ts.in_flight->removed) doubt_answer(name, nullptr);
    }
    if (type == XdsType::kEndpoints) {
      // A cluster may be waiting for them, although Envoy has them.
      for (const auto& [name, awaited] : ts.awaited) doubts[name];
      if (const auto& clusters = state_->Of(XdsType::kCluster).in_flight; clusters != nullptr) {
        for (const SealedPtr& cluster : clusters->resources) doubts[cluster->name];
      }
    }
    for (auto& [name, doubt] : doubts) {
      memory.doubts.push_back({type, name, std::move(doubt.possible), doubt.anything});
    }
  }
  return memory;
}

bool DeltaSession::stalled(Time now) const {
  return std::any_of(state_->types.begin(), state_->types.end(), [&](const TypeState& ts) {
    return ts.in_flight != nullptr && now >= ts.in_flight->sent_at + state_->options.stall_after;
  });
}

std::vector<QuarantineEntry> DeltaSession::Quarantined() const {
  std::vector<QuarantineEntry> entries;
  if (state_->bundle == nullptr) return entries;
  const TypeState& cds = state_->Of(XdsType::kCluster);
  const TypeState& eds = state_->Of(XdsType::kEndpoints);
  const auto is_rejected = [&](XdsType type, const Held& held, std::string_view name) {
    const bundle::SealedResource* want = bundle::Find(*state_->Desired(type), name);
    return held.rejection && want != nullptr && want->version == held.rejection->version;
  };
  const auto is_blocked = [&](const TypeState& ts, XdsType type, std::string_view name) {
    const auto found = ts.overlay.find(name);
    return found != ts.overlay.end() && !found->second.HasSurely() && is_rejected(type, found->second, name);
  };
  for (const XdsType type : kAllXdsTypes) {
    for (const auto& [name, held] : state_->Of(type).overlay) {
      const bundle::SealedResource* want = bundle::Find(*state_->Desired(type), name);
      if (is_rejected(type, held, name)) {
        entries.push_back({type, name, false});
      } else if (want != nullptr && (held.certain == nullptr || !SameContent(*held.certain, *want)) &&
                 std::any_of(want->clusters.begin(), want->clusters.end(), [&](const std::string& cluster) {
                   return is_blocked(cds, XdsType::kCluster, cluster) || is_blocked(eds, XdsType::kEndpoints, cluster);
                 })) {
        entries.push_back({type, name, true});
      }
    }
  }
  return entries;
}

size_t DeltaSession::deviations() const {
  size_t count = 0;
  for (const TypeState& ts : state_->types) {
    count += ts.overlay.size() + ts.names.deviations() + ts.awaited.size() + ts.suspects.size() + ts.doubts.size();
  }
  return count;
}

std::string DeltaSession::Describe() const {
  std::string text;
  for (const XdsType type : kAllXdsTypes) {
    const TypeState& ts = state_->Of(type);
    const std::string_view url = bundle::TypeUrl(type);
    const std::string_view kind = url.substr(url.rfind('.') + 1);
    if (ts.in_flight != nullptr) {
      text += base::Format("{}: response {} in flight with {} resources and {} removals\n", kind, ts.in_flight->nonce,
                           ts.in_flight->resources.size(), ts.in_flight->removed.size());
    }
    for (const auto& [name, held] : ts.overlay) {
      text += base::Format("{} {}:", kind, name);
      if (held.certain != nullptr) text += " has " + held.certain->VersionText();
      if (held.claimed) text += " says that it has " + *held.claimed;
      if (held.unknown) text += " may have something else";
      for (const SealedPtr& possible : held.maybe) text += " " + possible->VersionText();
      if (held.anything) text += " (anything)";
      if (held.resend) text += ", to be sent again";
      if (held.tell_absent) text += ", to be told";
      if (held.rejection) text += ", rejected " + held.rejection->version.ToHex();
      if (held.removal_due) text += ", to be removed";
      if (held.gated_since) text += ", waits for clusters";
      text += "\n";
    }
    for (const auto& [name, awaited] : ts.awaited) text += base::Format("{} {}: awaited\n", kind, name);
    for (const std::string& name : ts.suspects) text += base::Format("{} {}: suspect\n", kind, name);
    for (const auto& [name, doubt] : ts.doubts) text += base::Format("{} {}: doubted\n", kind, name);
    if (ts.names.deviations() > 0) text += base::Format("{}: {} names of its own\n", kind, ts.names.deviations());
  }
  return text;
}

}  // namespace kuma::xds

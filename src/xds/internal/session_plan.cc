#include <algorithm>
#include <utility>

#include "xds/internal/session_state.h"

namespace kuma::xds::internal {

using bundle::SameContent;

// What may still be in use at the client: clusters of its listeners and routes, of every content
// that it may run.
struct Uses {
  bool anything = false;  // some content is not known
  std::vector<NameRef> clusters;

  void Add(const SealedPtr& content) {
    for (const std::string& name : content->clusters) clusters.emplace_back(name);
  }
  void Add(const Held& held) {
    anything = anything || held.claimed.has_value() || held.anything;
    if (held.certain != nullptr) Add(held.certain);
    for (const SealedPtr& content : held.maybe) Add(content);
  }
  void Finish() { std::sort(clusters.begin(), clusters.end()); }
  bool Contains(const NameRef& name) const {
    return anything || std::binary_search(clusters.begin(), clusters.end(), name);
  }
};

Survey SessionState::Look(XdsType type, Time now) {
  TypeState& ts = Of(type);
  Survey survey;
  if (!ts.requested || ts.IsQuiet(Desired(type))) return survey;
  ts.Walk(Desired(type),
          [&](const NameRef& name, const SealedPtr* want, const SealedPtr* have, Held* entry) {
            if (want == nullptr) {
              const bool held = entry != nullptr ? entry->HasSomething() : have != nullptr;
              if (entry != nullptr && entry->resend) {
                // A cluster that the bundle has dropped meanwhile warms, and is in use until its
                // users are gone.
                if (type == XdsType::kEndpoints && entry->certain != nullptr) {
                  survey.sends.push_back(entry->certain);
                  return;
                }
                entry->resend = false;
                if (type == XdsType::kEndpoints && !held) entry->tell_absent = true;
              }
              // It is gone, and Envoy would name its version when it comes back.
              if (entry != nullptr && entry->removal_refused && ts.Subscribed(name)) {
                survey.removed.emplace_back(name);
                return;
              }
              const bool stays = held && (type == XdsType::kCluster || type == XdsType::kRoute);
              if (entry != nullptr && entry->tell_absent && !stays) {
                survey.removed.emplace_back(name);
              } else if (held && ts.Subscribed(name)) {
                survey.gone.emplace_back(name);
              }
              return;
            }
            if (entry == nullptr) {
              if (have == nullptr || !SameContent(**have, **want)) survey.sends.push_back(*want);
              return;
            }
            entry->removal_due.reset();
            entry->tell_absent = entry->removal_refused = false;
            if (entry->claimed && !entry->unknown && *entry->claimed == (*want)->VersionText()) {
              entry->claimed.reset();
              entry->certain = *want;
            }
            const bool has_it = entry->certain != nullptr && !entry->unknown &&
                                SameContent(*entry->certain, **want);
            if (has_it) entry->gated_since.reset();
            const auto& rejection = entry->rejection;
            const bool rejected = rejection && rejection->version == (*want)->version;
            if (rejected && !(rejection->retry_at != Time{} && now >= rejection->retry_at)) {
              if (!entry->HasSurely()) survey.blocked.push_back(name);
              if (entry->resend && entry->certain != nullptr) {
                survey.sends.push_back(entry->certain);  // better the last good content than none
              } else if (entry->resend && !entry->HasSomething()) {
                survey.removed.emplace_back(name);  // it need not wait
              } else {
                // There is nothing to come. What it only claims to have stays owed until the bundle
                // wants a content that can be sent.
                ts.awaited.Erase(name);
              }
            } else if (!has_it || entry->resend) {
              survey.sends.push_back(*want);
            }
          });
  survey.settled =
      survey.sends.empty() && (ts.in_flight == nullptr ||
                               (ts.in_flight->resources.empty() && ts.in_flight->removed.empty()));
  return survey;
}

// Endpoints follow the change of their cluster: not its acknowledgement, which Envoy gives when the
// cluster is warm. Those that are owed since a cluster was sent, or were never there, go at once:
// it warms, whatever comes next.
void SessionState::HoldEndpoints(Survey& endpoints, const Survey& clusters) {
  if (clusters.sends.empty()) return;
  const TypeState& ts = Of(XdsType::kEndpoints);
  const TypeState& cds = Of(XdsType::kCluster);
  AscendingSearch entries(ts.overlay);
  AscendingSearch changed(clusters.sends);
  const auto must_wait = [&](const SealedPtr& resource) {
    const auto* entry = entries.Find(resource->key());
    if (entry != nullptr && (entry->second.resend || !entry->second.HasSurely())) return false;
    const SealedPtr* cluster = changed.Find(resource->key());
    return cluster != nullptr && (cds.in_flight == nullptr || !cds.in_flight->Sends(**cluster));
  };
  const auto held = std::remove_if(endpoints.sends.begin(), endpoints.sends.end(), must_wait);
  endpoints.waiting = held != endpoints.sends.end();
  endpoints.sends.erase(held, endpoints.sends.end());
}

// Make before break: what uses clusters waits until the client acknowledged them and their
// endpoints.
void SessionState::GateUsers(XdsType type, Time now, Survey& users, const Survey& clusters,
                             const Survey& endpoints) {
  TypeState& ts = Of(type);
  const TypeState& cds = Of(XdsType::kCluster);
  const TypeState& eds = Of(XdsType::kEndpoints);
  // A client that reconnects while a cluster warms asks for clusters last.
  const Duration patience = cds.requested ? options.patience : options.stall_after;
  const auto is_unsettled = [&](const NameRef& cluster) {
    return bundle::FindPtr(clusters.sends, cluster) != nullptr ||
           (cds.in_flight != nullptr && cds.in_flight->Concerns(cluster));
  };
  enum class Gate { kOpen, kWait, kBlocked };
  const auto gate_of = [&](const SealedPtr& user) {
    Gate gate = Gate::kOpen;
    for (const std::string& text : user->clusters) {
      const NameRef name(text);
      if (clusters.IsBlocked(name) || endpoints.IsBlocked(name)) return Gate::kBlocked;
      if (bundle::Find(*Desired(XdsType::kCluster), name) == nullptr)
        continue;  // not ours: built into the bootstrap
      if (!cds.requested || is_unsettled(name) || IsAwaited(name)) gate = Gate::kWait;
    }
    return gate;
  };
  const auto has_all = [&](const SealedPtr& user) {
    return std::all_of(user->clusters.begin(), user->clusters.end(), [&](const std::string& text) {
      const NameRef name(text);
      return !cds.requested || bundle::Find(*Desired(XdsType::kCluster), name) == nullptr ||
             (cds.HasSurely(name) && (cds.in_flight == nullptr || !cds.in_flight->Removes(name)) &&
              (eds.HasSurely(name) || !IsAwaited(name)));
    });
  };
  if (cds.requested && clusters.settled && eds.awaited.empty() && clusters.blocked.empty() &&
      endpoints.blocked.empty()) {
    return;  // there is nothing to wait for
  }
  std::vector<SealedPtr> ready;
  for (SealedPtr& user : users.sends) {
    const Gate gate = user->clusters.empty() ? Gate::kOpen : gate_of(user);
    if (gate == Gate::kOpen) {
      ready.push_back(std::move(user));
    } else if (gate == Gate::kWait) {
      Held& held = ts.Touch(user->key());
      if (!held.gated_since) held.gated_since = now;
      if (now >= *held.gated_since + patience && has_all(user)) {
        ready.push_back(std::move(user));
      } else {
        users.waiting = true;
      }
    } else {
      users.held_back = true;
    }
  }
  users.sends = std::move(ready);
}

// Endpoints that nobody asks for are awaited for a while only.
void SessionState::Await(Time now) {
  TypeState& ts = Of(XdsType::kEndpoints);
  AscendingSearch desired(*Desired(XdsType::kEndpoints));
  SubscriptionSearch subscribed(ts);
  ts.awaited.EraseIf([&](const auto& entry) {
    const auto& [name, awaited] = entry;
    return desired.Find(name) == nullptr || (now >= awaited.since + options.patience &&
                                             !(ts.requested && subscribed.Contains(name)));
  });
}

Uses SessionState::UsesOfClient() const {
  Uses uses;
  for (const XdsType type : {XdsType::kListener, XdsType::kRoute}) {
    const TypeState& ts = Of(type);
    for (const SealedPtr& resource : *ts.base) {
      if (!ts.overlay.contains(resource->key()) && ts.Subscribed(resource->key()))
        uses.Add(resource);
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

void SessionState::RemoveAfterDelay(TypeState& ts, Time now, const NameRef& name, bool free,
                                    Survey& survey) {
  Held& held = ts.Touch(name);
  if (!free) {
    held.removal_due.reset();
    return;
  }
  if (!held.removal_due) held.removal_due = now + options.removal_delay;
  if (now >= *held.removal_due) survey.removed.emplace_back(name);
}

void SessionState::RemoveClusters(Time now, Survey& clusters) {
  if (clusters.gone.empty()) return;
  TypeState& ts = Of(XdsType::kCluster);
  const Uses uses = UsesOfClient();
  for (const Name& name : clusters.gone) {
    const SealedPtr held = ts.Touch(name).certain;
    if (held != nullptr && held->dispensable) {
      clusters.removed.emplace_back(name);
      continue;
    }
    RemoveAfterDelay(ts, now, name, !uses.Contains(name), clusters);
  }
}

// Envoy drops endpoints and secrets with their last user; what it then still asks for is told as
// removed. (Routes are never taken away: Envoy would go on to use them, and forget which version
// that is.)
void SessionState::RemoveOthers(XdsType type, Time now, bool users_settled, Survey& survey) {
  TypeState& ts = Of(type);
  for (const Name& name : survey.gone) {
    bool free = users_settled;
    if (type == XdsType::kEndpoints && bundle::Find(*Desired(XdsType::kCluster), name) == nullptr) {
      free = free && !Of(XdsType::kCluster).HasSomething(name);
    }
    RemoveAfterDelay(ts, now, name, free, survey);
  }
}

void SessionState::Compose(XdsType type, Time now, Survey& survey, SessionOutput& out) {
  TypeState& ts = Of(type);
  if (!ts.requested || ts.in_flight != nullptr) return;
  std::vector<SealedPtr> chosen;
  size_t bytes = 0;
  const auto choose = [&](const SealedPtr& resource) {
    const size_t size = resource->ByteSize();
    const bool fits = bytes == 0 || bytes + size <= options.response_bytes;
    if (fits) bytes += size;
    return fits;
  };
  const bool removes_first = !ts.suspects.empty() && !survey.removed.empty();
  if (!ts.suspects.empty() && !removes_first) {
    for (const SealedPtr& resource : survey.sends) {
      if (!ts.suspects->contains(resource->key())) continue;
      if (chosen.size() >= ts.probe || !choose(resource)) break;
      chosen.push_back(resource);
    }
    if (chosen.empty())
      ts.suspects.clear();  // other contents or no contents now: nothing to find out
  }
  const bool probing = !chosen.empty();
  bool all = !probing && !removes_first;
  if (all) {
    const auto fits = std::find_if_not(survey.sends.begin(), survey.sends.end(), choose);
    all = fits == survey.sends.end();
    if (all) {
      chosen = std::move(survey.sends);
      survey.sends.clear();
    } else {
      chosen.assign(survey.sends.begin(), fits);
    }
  }
  std::vector<std::string> removed;
  if (removes_first || all) {
    for (const Name& name : survey.removed) removed.push_back(name.text());
  }
  if (all) {
    // A listener leaves together with the last one that may take its place (Envoy removes before it
    // adds).
    if (type == XdsType::kListener && !survey.waiting) {
      for (const Name& name : survey.gone) removed.push_back(name.text());
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
  in_flight->whole = all && !survey.waiting;
  if (in_flight->whole && !survey.held_back) in_flight->target = Desired(type);
  ts.owes_first = false;
  AscendingSearch entries(ts.overlay);
  AscendingSearch awaited(ts.awaited);
  for (const SealedPtr& resource : response.resources) {
    if (auto* entry = entries.Find(resource->key()))
      entry->second.resend = entry->second.tell_absent = false;
    if (auto* entry = awaited.Find(resource->key())) entry->second.sent = true;
  }
  for (const std::string& name : response.removed) {
    if (Held* held = ts.overlay.Find(NameRef(name))) held->resend = held->tell_absent = false;
  }
  ts.ForgetPlain();
  ts.in_flight = std::move(in_flight);
  if (type == XdsType::kCluster) OweEndpoints(now, response.resources);
  out.send.push_back(std::move(response));
}

// Envoy warms a changed cluster until its endpoints come, and does not ask for them again if it has
// some.
void SessionState::OweEndpoints(Time now, const std::vector<SealedPtr>& clusters) {
  TypeState& ts = Of(XdsType::kEndpoints);
  AscendingSearch desired(*Desired(XdsType::kEndpoints));
  SubscriptionSearch subscribed(ts);
  std::vector<NameRef> wanted;
  std::vector<NameRef> asked_for;
  for (const SealedPtr& cluster : clusters) {
    const NameRef name = cluster->key();
    if (desired.Find(name) != nullptr) wanted.push_back(name);
    if (ts.requested && subscribed.Contains(name)) asked_for.push_back(name);
  }
  ts.awaited.Each(wanted, [&](Awaited& awaited, const NameRef&, bool is_new) {
    awaited = {now, false, true, is_new ? bundle->revision : awaited.revision};
  });
  ts.TouchEach(asked_for, [](Held& held, const NameRef&) { held.resend = true; });
}

// Clusters and listeners are asked for by every client. One that comes back with some asks for what
// they use in the same breath; for what it does not, it has no use.
bool SessionState::IsExpected(XdsType type, Time now) const {
  if (Of(type).requested || Desired(type)->empty()) return false;
  return type == XdsType::kCluster || type == XdsType::kListener ||
         (came_back && now < *came_back + options.patience);
}

bool SessionState::InStep(const std::array<Survey, kXdsTypeCount>& surveys, Time now) const {
  bool any = false;
  for (const XdsType type : kAllXdsTypes) {
    const TypeState& ts = Of(type);
    const Survey& survey = surveys[static_cast<size_t>(type)];
    any = any || ts.requested;
    if (ts.in_flight != nullptr || survey.waiting || !survey.sends.empty()) return false;
    if (IsExpected(type, now)) return false;
  }
  return any && Of(XdsType::kEndpoints).awaited.empty();
}

void SessionState::Cover(const std::array<Survey, kXdsTypeCount>& surveys, Time now) {
  if (std::none_of(types.begin(), types.end(), [](const TypeState& ts) { return ts.requested; }))
    return;
  for (const XdsType type : kAllXdsTypes) {
    TypeState& ts = Of(type);
    const Survey& survey = surveys[static_cast<size_t>(type)];
    if (IsExpected(type, now)) continue;
    if (ts.in_flight == nullptr && survey.sends.empty() && !survey.waiting)
      ts.covered = bundle->revision;
  }
}

// Under a stream of changes a client may never have the newest bundle, and still comes in step with
// one after the other.
Revision SessionState::Covered() const {
  Revision covered = bundle->revision;
  const auto bound = [&covered](Revision revision) { covered = std::min(covered, revision); };
  const auto below = [](Revision revision) {
    return Revision{revision.value - std::min<uint64_t>(revision.value, 1)};
  };
  for (const TypeState& ts : types) bound(ts.covered);
  for (const auto& [name, awaited] : Of(XdsType::kEndpoints).awaited)
    bound(below(awaited.revision));
  return in_step_reported ? covered : std::min(covered, below(bundle->revision));
}

std::optional<Time> SessionState::NextWake(Time now) const {
  std::optional<Time> wake;
  const auto consider = [&](Time at) {
    if (at > now && (!wake || at < *wake)) wake = at;
  };
  if (came_back && !in_step_reported) consider(*came_back + options.patience);
  for (const TypeState& ts : types) {
    if (ts.in_flight != nullptr) consider(ts.in_flight->sent_at + options.stall_after);
    for (const auto& [name, awaited] : ts.awaited) consider(awaited.since + options.patience);
    for (const auto& [name, held] : ts.overlay) {
      if (held.removal_due) consider(*held.removal_due);
      if (held.gated_since) {
        consider(*held.gated_since +
                 (Of(XdsType::kCluster).requested ? options.patience : options.stall_after));
      }
      if (held.rejection && held.rejection->retry_at != Time{}) consider(held.rejection->retry_at);
    }
  }
  return wake;
}

void SessionState::Plan(Time now, SessionOutput& out) {
  if (bundle != nullptr) {
    Await(now);
    std::array<Survey, kXdsTypeCount> surveys;
    const auto of = [&surveys](XdsType type) -> Survey& {
      return surveys[static_cast<size_t>(type)];
    };
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
      users_settled = users_settled && of(type).settled && !of(type).waiting;
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
      out.in_step = covered_reported = bundle->revision;
    }
    Cover(surveys, now);
    if (const Revision covered = Covered(); covered > covered_reported)
      out.in_step = covered_reported = covered;
    for (const XdsType type : kAllXdsTypes) {
      TypeState& ts = Of(type);
      const Survey& survey = of(type);
      if (ts.requested && ts.in_flight == nullptr && survey.sends.empty() && !survey.waiting &&
          survey.removed.empty() && !ts.IsQuiet(Desired(type))) {
        surveys[static_cast<size_t>(type)] = Survey();  // its views end here
        ts.Share(Desired(type));
      }
    }
  }
  out.wake_at = NextWake(now);
}

}  // namespace kuma::xds::internal

#include "xds/delta_session.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/format.h"
#include "xds/internal/session_state.h"

namespace kuma::xds {

using bundle::kAllXdsTypes;
using bundle::Name;
using bundle::NameRef;
using bundle::SameContent;
using internal::Held;
using internal::kWildcard;
using internal::Names;
using internal::OweDoubted;
using internal::TypeState;

struct DeltaSession::State : internal::SessionState {
  using SessionState::SessionState;
};

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
      std::copy_if(request.subscribe.begin(), request.subscribe.end(),
                   std::back_inserter(response.removed),
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
  const bool root = *type == XdsType::kCluster || *type == XdsType::kListener;
  if (first && root && !request.initial_resource_versions.empty() && !s.came_back)
    s.came_back = now;
  s.Unsubscribe(ts, Names(request.unsubscribe));
  Names subscribe(request.subscribe);
  // The older spelling of "everything".
  if (first && root && request.subscribe.empty()) subscribe.wildcard = true;
  s.Subscribe(*type, subscribe, request, first);
  if (first) s.FirstRequest(ts, request);
  if (*type == XdsType::kEndpoints) s.AwaitEndpoints(now, subscribe.others);
  if (!request.unsubscribe.empty() && s.bundle != nullptr) ts.names.ShareWith(s.Desired(*type));
  if (ts.names.size() > s.options.names || ts.overlay.size() > s.options.names) {
    out.failure = base::Invalid(
        base::Format("more than {} resource names of {}", s.options.names, request.type_url));
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
    const Name name(doubt.name);
    internal::Doubt believed{doubt.possible, doubt.anything};
    if (!ts.requested) {
      ts.doubts.Use()[name] = std::move(believed);
    } else if (ts.Subscribed(name)) {
      ts.Believe(name, believed);
      if (doubt.type == XdsType::kEndpoints) OweDoubted(ts.Touch(name), doubt.possible);
    }
  }
  for (const SessionMemory::Rejection& rejection : memory.rejections) {
    TypeState& ts = state_->Of(rejection.type);
    const Name name(rejection.name);
    if (ts.requested && !ts.Subscribed(name)) continue;
    ts.Touch(name).rejection = {rejection.version, rejection.retry_at, rejection.tries};
  }
}

SessionMemory DeltaSession::Remember() const {
  SessionMemory memory;
  for (const XdsType type : kAllXdsTypes) {
    const TypeState& ts = state_->Of(type);
    std::map<Name, internal::Doubt, std::less<>> doubts = *ts.doubts;
    for (const auto& [name, held] : ts.overlay) {
      if (held.unknown || held.resend) {
        internal::Doubt& doubt = doubts[name];
        doubt.possible = held.maybe;
        if (held.certain != nullptr) doubt.possible.push_back(held.certain);
        doubt.anything = held.anything || held.claimed.has_value();
      }
      if (held.rejection) {
        const internal::Rejection& r = *held.rejection;
        memory.rejections.push_back({type, name.text(), r.version, r.retry_at, r.tries});
      }
    }
    // Answers that will never come: if one was a refusal, the versions that Envoy names next are
    // wrong.
    const auto doubt_answer = [&](const NameRef& name, const SealedPtr& sent) {
      internal::Doubt& doubt = doubts[Name(name)];
      if (sent != nullptr) doubt.possible.push_back(sent);
      if (const Held* entry = ts.overlay.Find(name)) {
        if (entry->certain != nullptr) doubt.possible.push_back(entry->certain);
        doubt.anything = doubt.anything || entry->claimed.has_value();
      } else if (const SealedPtr* held = bundle::FindPtr(*ts.base, name)) {
        doubt.possible.push_back(*held);
      }
    };
    if (ts.in_flight != nullptr) {
      for (const SealedPtr& resource : ts.in_flight->resources)
        doubt_answer(resource->key(), resource);
      for (const std::string& name : ts.in_flight->removed) doubt_answer(NameRef(name), nullptr);
    }
    if (type == XdsType::kEndpoints) {
      // A cluster may be waiting for them, although Envoy has them.
      const auto doubt_warmth = [&](const NameRef& name) {
        const Held* entry = ts.overlay.Find(name);
        const SealedPtr* held =
            entry != nullptr ? &entry->certain : bundle::FindPtr(*ts.base, name);
        internal::Doubt& doubt = doubts[Name(name)];
        if (held != nullptr && *held != nullptr) doubt.possible.push_back(*held);
      };
      for (const auto& [name, awaited] : ts.awaited) doubt_warmth(name);
      if (const auto& clusters = state_->Of(XdsType::kCluster).in_flight; clusters != nullptr) {
        for (const SealedPtr& cluster : clusters->resources) doubt_warmth(cluster->key());
      }
    }
    for (auto& [name, doubt] : doubts) {
      memory.doubts.push_back({type, name.text(), std::move(doubt.possible), doubt.anything});
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
  const auto is_rejected = [&](XdsType type, const Held& held, const NameRef& name) {
    const bundle::SealedResource* want = bundle::Find(*state_->Desired(type), name);
    return held.rejection && want != nullptr && want->version == held.rejection->version;
  };
  const auto is_blocked = [&](const TypeState& ts, XdsType type, const NameRef& name) {
    const Held* entry = ts.overlay.Find(name);
    return entry != nullptr && !entry->HasSurely() && is_rejected(type, *entry, name);
  };
  for (const XdsType type : kAllXdsTypes) {
    for (const auto& [name, held] : state_->Of(type).overlay) {
      const bundle::SealedResource* want = bundle::Find(*state_->Desired(type), NameRef(name));
      if (is_rejected(type, held, name)) {
        entries.push_back({type, name.text(), false});
      } else if (want != nullptr &&
                 (held.certain == nullptr || !SameContent(*held.certain, *want)) &&
                 std::any_of(want->clusters.begin(), want->clusters.end(),
                             [&](const std::string& text) {
                               const NameRef cluster(text);
                               return is_blocked(cds, XdsType::kCluster, cluster) ||
                                      is_blocked(eds, XdsType::kEndpoints, cluster);
                             })) {
        entries.push_back({type, name.text(), true});
      }
    }
  }
  return entries;
}

size_t DeltaSession::deviations() const {
  size_t count = 0;
  for (const TypeState& ts : state_->types) {
    count += ts.overlay.size() + ts.names.deviations() + ts.awaited.size() + ts.suspects->size() +
             ts.doubts->size();
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
      text += base::Format("{}: response {} in flight with {} resources and {} removals\n", kind,
                           ts.in_flight->nonce, ts.in_flight->resources.size(),
                           ts.in_flight->removed.size());
    }
    for (const auto& [name, held] : ts.overlay) {
      text += base::Format("{} {}:", kind, name.text());
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
    for (const auto& [name, awaited] : ts.awaited)
      text += base::Format("{} {}: awaited\n", kind, name.text());
    for (const Name& name : *ts.suspects)
      text += base::Format("{} {}: suspect\n", kind, name.text());
    for (const auto& [name, doubt] : *ts.doubts)
      text += base::Format("{} {}: doubted\n", kind, name.text());
    if (ts.names.deviations() > 0)
      text += base::Format("{}: {} names of its own\n", kind, ts.names.deviations());
  }
  return text;
}

}  // namespace kuma::xds

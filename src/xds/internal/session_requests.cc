#include <algorithm>
#include <utility>

#include "xds/internal/culprits.h"
#include "xds/internal/session_state.h"

namespace kuma::xds::internal {

void SessionState::Answer(Time now, XdsType type, const DeltaRequest& request, SessionOutput& out) {
  TypeState& ts = Of(type);
  // Another nonce is that of an older response, which a newer one has replaced or a reconnect has
  // made void.
  if (request.response_nonce.empty() || ts.in_flight == nullptr ||
      ts.in_flight->nonce != request.response_nonce) {
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

void SessionState::OnAck(Time now, XdsType type, const InFlight& response) {
  TypeState& ts = Of(type);
  TypeState& endpoints = Of(XdsType::kEndpoints);
  for (const SealedPtr& resource : response.resources) {
    Erase(ts.suspects, resource->key());
    // The client dropped what it unsubscribed from while this was under way.
    if (!ts.Subscribed(resource->key())) continue;
    ts.Touch(resource->key()).Acknowledge(resource);
    if (type == XdsType::kCluster) {
      const auto awaited = endpoints.awaited.find(resource->key());
      if (awaited != endpoints.awaited.end() && !awaited->second.sent) awaited->second.since = now;
    } else if (type == XdsType::kEndpoints) {
      const auto awaited = ts.awaited.find(resource->key());
      const bool again = ts.Touch(resource->key()).resend;
      if (awaited != ts.awaited.end() && (awaited->second.sent || !again))
        ts.awaited.erase(awaited);
    }
  }
  for (const std::string& removed : response.removed) {
    const NameRef name(removed);
    if (ts.Subscribed(name)) ts.Touch(name).Acknowledge(nullptr);
    if (type == XdsType::kCluster) Erase(endpoints.awaited, name);
  }
  if (response.whole) ts.covered = std::max(ts.covered, response.revision);
  if (!ts.suspects.empty() && !response.resources.empty()) ts.probe *= 2;
}

void SessionState::OnNack(Time now, XdsType type, const InFlight& response,
                          const std::string& detail, SessionOutput& out) {
  TypeState& ts = Of(type);
  std::vector<SealedPtr> culprits = internal::FindCulprits(response.resources, detail);
  if (culprits.empty() && response.resources.size() == 1) culprits = response.resources;
  const auto is_culprit = [&culprits](const SealedPtr& resource) {
    return std::find(culprits.begin(), culprits.end(), resource) != culprits.end();
  };
  // Envoy applied what was good, and keeps the old version of all of it.
  for (const SealedPtr& resource : response.resources) {
    if (!ts.Subscribed(resource->key())) continue;
    if (is_culprit(resource)) {
      Quarantine(now, type, resource);
      Erase(ts.suspects, resource->key());
    } else {
      ts.Touch(resource->key()).SetUnknown(resource);
      if (culprits.empty()) ts.suspects.emplace(resource->key());
    }
  }
  for (const std::string& removed : response.removed) {
    const NameRef name(removed);
    if (!ts.Subscribed(name)) continue;
    Held& held = ts.Touch(name);
    if (response.resources.empty()) {
      held.Acknowledge(
          nullptr);  // a removal alone cannot be refused; asking for ever would not help
      continue;
    }
    if (held.certain != nullptr) held.SetUnknown(held.certain);
    if (held.claimed) held.anything = true;
    held.unknown = held.HasSomething();
    held.certain = nullptr;
    held.claimed.reset();
    held.removal_refused = true;
  }
  if (culprits.empty()) ts.probe = std::max<size_t>(1, response.resources.size() / 2);
  out.nacks.push_back({type, response.revision, culprits.empty() ? response.resources : culprits,
                       !culprits.empty(), detail});
}

void SessionState::Quarantine(Time now, XdsType type, const SealedPtr& culprit) {
  Held& held = Of(type).Touch(culprit->key());
  const bool again = held.rejection && held.rejection->version == culprit->version;
  const uint32_t tries = again ? held.rejection->tries + 1 : 1;
  Time retry_at{};
  if (options.retry_after > Duration::zero()) {
    const uint32_t doublings = std::min<uint32_t>(tries - 1, 20);
    retry_at =
        now + std::min(options.retry_after * (int64_t{1} << doublings), options.retry_at_most);
  }
  held.rejection = internal::Rejection{culprit->version, retry_at, tries};
  Erase(Of(XdsType::kEndpoints).awaited, culprit->key());
}

void SessionState::Unsubscribe(TypeState& ts, const Name& name) {
  if (name.text() == kWildcard) {
    if (!ts.wildcard) return;
    ts.Unshare([&ts](const NameRef& held) { return ts.names.Contains(held); });
    ts.wildcard = ts.owes_first = false;
    return;
  }
  if (!ts.names.Remove(name)) return;
  if (ts.wildcard) {
    // The client does not know whether it still has it by the wildcard, and keeps it until it is
    // told.
    Held& held = ts.Touch(name);
    held.resend = held.tell_absent = true;
  } else {
    ts.overlay.erase(name);
    ts.awaited.erase(name);
    ts.suspects.erase(name);
  }
}

void SessionState::Subscribe(TypeState& ts, const Name& name, const DeltaRequest& request,
                             bool first) {
  if (name.text() == kWildcard) {
    if (!first) ts.Unshare([](const NameRef&) { return true; });
    if (ts.wildcard) {
      for (auto& [held_name, held] : ts.overlay) held.resend = true;
    }
    ts.wildcard = true;
    ts.owes_first = !first || request.initial_resource_versions.empty();
    return;
  }
  const bool added = ts.names.Add(name);
  if (first) {
    if (!request.initial_resource_versions.contains(name.text())) ts.overlay[name].tell_absent = true;
    return;
  }
  Held& held = ts.Touch(name);
  // A new interest means that the client has forgotten what it had.
  if (added && !ts.wildcard) held.Acknowledge(nullptr);
  held.resend = held.tell_absent = true;
}

void SessionState::FirstRequest(TypeState& ts, const DeltaRequest& request) {
  for (const auto& [text, version] : request.initial_resource_versions) {
    const Name name(text);
    if (ts.Subscribed(name)) ts.overlay[name].claimed = version;
  }
  // Also of names without a version: Envoy may run what it took from a response that it refused as
  // a whole.
  for (const auto& [name, doubt] : ts.doubts) {
    if (!ts.Subscribed(name)) continue;
    ts.Believe(name, doubt);
    if (&ts == &Of(XdsType::kEndpoints)) OweDoubted(ts.Touch(name), doubt.possible);
  }
  ts.doubts.clear();
  for (const auto& [name, awaited] : ts.awaited) {
    if (awaited.owed && ts.Subscribed(name)) ts.Touch(name).resend = true;
  }
}

// What the client asks for and does not have, or may not have given to its cluster.
void SessionState::AwaitEndpoints(Time now, const std::vector<std::string>& names) {
  TypeState& ts = Of(XdsType::kEndpoints);
  for (const std::string& text : names) {
    const Name name(text);
    const Held* held = ts.FindOverlay(name);
    const bool has = ts.HasSurely(name) && (held == nullptr || !held->unknown);
    if (text != kWildcard && !has && !ts.awaited.contains(name))
      ts.awaited[name] = {now, false, false, bundle == nullptr ? Revision{} : bundle->revision};
  }
}

void OweDoubted(Held& held, const std::vector<SealedPtr>& possible) {
  const auto found = std::find_if(possible.begin(), possible.end(), [&](const SealedPtr& content) {
    return held.claimed && content->VersionText() == *held.claimed;
  });
  if (found == possible.end()) return;
  held.certain = *found;
  held.resend = true;
}

}  // namespace kuma::xds::internal

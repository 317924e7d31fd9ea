#include <algorithm>
#include <utility>

#include "xds/internal/culprits.h"
#include "xds/internal/session_state.h"

namespace kuma::xds::internal {
namespace {

void EraseSuspect(TypeState& ts, const NameRef& name) {
  if (ts.suspects.empty()) return;
  std::set<Name, std::less<>>& suspects = ts.suspects.Use();
  if (const auto found = suspects.find(name); found != suspects.end()) suspects.erase(found);
}

std::vector<const SealedPtr*> SubscribedOf(const TypeState& ts,
                                           const std::vector<SealedPtr>& resources) {
  std::vector<const SealedPtr*> subscribed;
  subscribed.reserve(resources.size());
  SubscriptionSearch search(ts);
  for (const SealedPtr& resource : resources) {
    if (search.Contains(resource->key())) subscribed.push_back(&resource);
  }
  return subscribed;
}

}  // namespace

Names::Names(const std::vector<std::string>& texts) {
  others.reserve(texts.size());
  for (const std::string& text : texts) {
    if (text == kWildcard) {
      wildcard = true;
    } else {
      others.emplace_back(text);
    }
  }
  std::sort(others.begin(), others.end());
  others.erase(std::unique(others.begin(), others.end()), others.end());
}

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
  // The client dropped what it unsubscribed from while this was under way.
  const std::vector<const SealedPtr*> kept = SubscribedOf(ts, response.resources);
  if (!ts.Adopt(response.target, response.removed))
    ts.TouchEach(kept, [](Held& held, const SealedPtr* resource) { held.Acknowledge(*resource); });
  if (!ts.suspects.empty()) {
    for (const SealedPtr& resource : response.resources) EraseSuspect(ts, resource->key());
  }
  if (type == XdsType::kCluster) {
    AscendingSearch awaited(endpoints.awaited);
    for (const SealedPtr* cluster : kept) {
      auto* entry = awaited.Find(KeyOf(cluster));
      if (entry != nullptr && !entry->second.sent) entry->second.since = now;
    }
  } else if (type == XdsType::kEndpoints) {
    AscendingSearch acknowledged(kept);
    AscendingSearch entries(ts.overlay);
    ts.awaited.EraseIf([&](const auto& entry) {
      const auto& [name, awaited] = entry;
      if (acknowledged.Find(name) == nullptr) return false;
      const auto* held = entries.Find(name);
      return awaited.sent || held == nullptr || !held->second.resend;
    });
  }
  for (const std::string& removed : response.removed) {
    const NameRef name(removed);
    if (ts.Subscribed(name)) ts.Touch(name).Acknowledge(nullptr);
    if (type == XdsType::kCluster) endpoints.awaited.Erase(name);
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
  ts.TouchEach(SubscribedOf(ts, response.resources), [&](Held& held, const SealedPtr* resource) {
    if (is_culprit(*resource)) {
      Quarantine(now, held, *resource);
      EraseSuspect(ts, KeyOf(resource));
    } else {
      held.SetUnknown(*resource);
      if (culprits.empty()) ts.suspects.Use().emplace(KeyOf(resource));
    }
  });
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

void SessionState::Quarantine(Time now, Held& held, const SealedPtr& culprit) {
  const bool again = held.rejection && held.rejection->version == culprit->version;
  const uint32_t tries = again ? held.rejection->tries + 1 : 1;
  Time retry_at{};
  if (options.retry_after > Duration::zero()) {
    const uint32_t doublings = std::min<uint32_t>(tries - 1, 20);
    retry_at =
        now + std::min(options.retry_after * (int64_t{1} << doublings), options.retry_at_most);
  }
  held.rejection = internal::Rejection{culprit->version, retry_at, tries};
  Of(XdsType::kEndpoints).awaited.Erase(culprit->key());
}

void SessionState::Unsubscribe(TypeState& ts, const Names& names) {
  std::vector<NameRef> dropped;
  for (const NameRef& name : names.others) {
    if (ts.names.Remove(name)) dropped.push_back(name);
  }
  if (ts.wildcard) {
    // The client does not know whether it still has it by the wildcard, and keeps it until it is
    // told.
    ts.TouchEach(dropped,
                 [](Held& held, const NameRef&) { held.resend = held.tell_absent = true; });
  } else if (!dropped.empty()) {
    AscendingSearch held(dropped);
    ts.overlay.EraseIf([&](const auto& entry) { return held.Find(entry.first) != nullptr; });
    AscendingSearch awaited(dropped);
    ts.awaited.EraseIf([&](const auto& entry) { return awaited.Find(entry.first) != nullptr; });
    for (const NameRef& name : dropped) EraseSuspect(ts, name);
  }
  if (names.wildcard && ts.wildcard) {
    ts.Unshare([&ts](const NameRef& held) { return ts.names.Contains(held); });
    ts.wildcard = ts.owes_first = false;
  }
}

void SessionState::Subscribe(XdsType type, const Names& names, const DeltaRequest& request,
                             bool first) {
  TypeState& ts = Of(type);
  if (names.wildcard) {
    if (!first) ts.Unshare([](const NameRef&) { return true; });
    if (ts.wildcard) {
      for (auto& [name, held] : ts.overlay) held.resend = true;
    }
    ts.wildcard = true;
    ts.owes_first = !first || request.initial_resource_versions.empty();
  }
  if (first) {
    // Most clients ask for all that there is.
    ts.names = NameSet(names.others, bundle == nullptr ? bundle::EmptyList() : Desired(type));
    const auto& versions = request.initial_resource_versions;
    ts.overlay.Each(names.others, [&](Held& held, const NameRef& name, bool) {
      held.tell_absent = versions.empty() || !versions.contains(std::string(name.text));
    });
    return;
  }
  std::vector<bool> added;
  for (const NameRef& name : names.others) added.push_back(ts.names.Add(name));
  size_t index = 0;
  ts.TouchEach(names.others, [&](Held& held, const NameRef&) {
    // A new interest means that the client has forgotten what it had.
    if (added[index++] && !ts.wildcard) held.Acknowledge(nullptr);
    held.resend = held.tell_absent = true;
  });
}

void SessionState::FirstRequest(TypeState& ts, const DeltaRequest& request) {
  std::vector<std::pair<NameRef, const std::string*>> claims;
  for (const auto& [name, version] : request.initial_resource_versions)
    claims.emplace_back(NameRef(name), &version);
  std::sort(claims.begin(), claims.end());
  SubscriptionSearch subscribed(ts);
  std::erase_if(claims, [&](const auto& claim) { return !subscribed.Contains(claim.first); });
  ts.overlay.Each(claims,
                  [](Held& held, const auto& claim, bool) { held.claimed = *claim.second; });
  // Also of names without a version: Envoy may run what it took from a response that it refused as
  // a whole.
  for (const auto& [name, doubt] : *ts.doubts) {
    if (!ts.Subscribed(name)) continue;
    ts.Believe(name, doubt);
    if (&ts == &Of(XdsType::kEndpoints)) OweDoubted(ts.Touch(name), doubt.possible);
  }
  ts.doubts.clear();
  std::vector<NameRef> owed;
  for (const auto& [name, awaited] : ts.awaited) {
    if (awaited.owed && ts.Subscribed(name)) owed.push_back(name);
  }
  ts.TouchEach(owed, [](Held& held, const NameRef&) { held.resend = true; });
}

// What the client asks for and does not have, or may not have given to its cluster.
void SessionState::AwaitEndpoints(Time now, const std::vector<NameRef>& names) {
  TypeState& ts = Of(XdsType::kEndpoints);
  AscendingSearch entries(ts.overlay);
  std::vector<NameRef> lacking;
  for (const NameRef& name : names) {
    const auto* entry = entries.Find(name);
    const bool has =
        entry != nullptr ? entry->second.HasSurely() && !entry->second.unknown : ts.HasSurely(name);
    if (!has) lacking.push_back(name);
  }
  const Revision revision = bundle == nullptr ? Revision{} : bundle->revision;
  ts.awaited.Each(lacking, [&](Awaited& awaited, const NameRef&, bool is_new) {
    if (is_new) awaited = {now, false, false, revision};
  });
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

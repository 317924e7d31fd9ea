#include "xds/internal/type_state.h"

#include <algorithm>
#include <utility>

namespace kuma::xds::internal {
namespace {

// Contents that an entry remembers; beyond this it could be anything.
constexpr size_t kMaxPossible = 8;

}  // namespace

void Held::SetUnknown(const SealedPtr& possible) {
  unknown = true;
  if (anything || std::find(maybe.begin(), maybe.end(), possible) != maybe.end()) return;
  if (maybe.size() == kMaxPossible) {
    anything = true;
    maybe.clear();
    return;
  }
  maybe.push_back(possible);
}

void Held::Acknowledge(SealedPtr content) {
  // The last good content, sent again, proves nothing about the rejected one.
  if (content != nullptr && (certain == nullptr || !bundle::SameContent(*certain, *content)))
    rejection.reset();
  certain = std::move(content);
  claimed.reset();
  unknown = anything = removal_refused = false;
  maybe.clear();
  removal_due.reset();
  gated_since.reset();
}

bool InFlight::Removes(const NameRef& name) const {
  return std::find(removed.begin(), removed.end(), name.text) != removed.end();
}

bool InFlight::Concerns(const NameRef& name) const {
  return bundle::FindPtr(resources, name) != nullptr || Removes(name);
}

bool InFlight::Sends(const bundle::SealedResource& content) const {
  const bundle::SealedResource* sent = bundle::Find(resources, content.key());
  return sent != nullptr && bundle::SameContent(*sent, content);
}

Held& TypeState::Touch(const NameRef& name) {
  if (Held* held = overlay.Find(name)) return *held;
  Held& held = overlay[name];
  if (const SealedPtr* certain = bundle::FindPtr(*base, name);
      certain != nullptr && Subscribed(name)) {
    held.certain = *certain;
  }
  return held;
}

void TypeState::Believe(const NameRef& name, const Doubt& doubt) {
  Held& held = Touch(name);
  held.unknown = true;
  for (const SealedPtr& possible : doubt.possible) held.SetUnknown(possible);
  const bool known = !held.claimed || std::any_of(doubt.possible.begin(), doubt.possible.end(),
                                                  [&](const auto& possible) {
                                                    return possible->VersionText() == *held.claimed;
                                                  });
  if (doubt.anything || !known) held.SetUnknown();
}

bool TypeState::HasSurely(const NameRef& name) const {
  if (const Held* held = overlay.Find(name)) return held->HasSurely();
  return bundle::Find(*base, name) != nullptr && Subscribed(name);
}

bool TypeState::HasSomething(const NameRef& name) const {
  if (const Held* held = overlay.Find(name)) return held->HasSomething();
  return bundle::Find(*base, name) != nullptr && Subscribed(name);
}

void TypeState::ForgetPlain() {
  if (overlay.empty()) return;
  AscendingSearch listed(*base);
  SubscriptionSearch subscribed(*this);
  overlay.EraseIf([&](const auto& entry) {
    const auto& [name, held] = entry;
    if (!held.IsPlain()) return false;
    const SealedPtr* certain = listed.Find(name);
    return certain == nullptr ? held.certain == nullptr
                              : held.certain == *certain && subscribed.Contains(name);
  });
}

bool TypeState::Adopt(const SealedListPtr& target, const std::vector<std::string>& removed) {
  if (target == nullptr || !overlay.empty()) return false;
  if (base != target) {
    // What the bundle had no more, and has not been taken away yet.
    std::vector<SealedPtr> rest;
    SubscriptionSearch subscribed(*this);
    auto at = target->begin();
    for (const SealedPtr& held : *base) {
      while (at != target->end() && *at != held && (*at)->key() < held->key()) ++at;
      if (at != target->end() && (*at == held || (*at)->key() == held->key())) {
        ++at;
      } else if (subscribed.Contains(held->key()) &&
                 std::find(removed.begin(), removed.end(), held->name) == removed.end()) {
        rest.push_back(held);
      }
    }
    base = target;
    overlay.Each(rest, [](Held& held, const SealedPtr& certain, bool) { held.certain = certain; });
  }
  if (!wildcard || names.size() > 0) names.ShareWith(target);
  return true;
}

void TypeState::Share(const SealedListPtr& desired) {
  NameTable<Held> rest;
  Walk(desired, [&](const NameRef& name, const SealedPtr* want, const SealedPtr* have,
                    Held* entry) {
    if (want != nullptr) {
      if (entry != nullptr && entry->rejection && entry->rejection->version != (*want)->version) {
        entry->rejection.reset();  // nobody wants that any more
      }
      const SealedPtr* certain = entry != nullptr ? &entry->certain : have;
      const bool same =
          certain != nullptr && *certain != nullptr && bundle::SameContent(**certain, **want);
      if (same && (entry == nullptr || entry->IsPlain())) return;
      // What it lacks is an entry too, an empty one: the list that is shared from now on holds the
      // name.
      if (entry == nullptr) {
        if (have != nullptr)
          rest[name].certain = *have;
        else
          rest[name];
      } else {
        rest[name] = std::move(*entry);
      }
    } else if (entry != nullptr) {
      if (entry->HasSomething() || entry->resend || entry->tell_absent)
        rest[name] = std::move(*entry);
    } else if (have != nullptr) {
      rest[name].certain = *have;
    }
  });
  overlay = std::move(rest);
  base = desired;
  if (!wildcard || names.size() > 0) names.ShareWith(desired);
}

}  // namespace kuma::xds::internal

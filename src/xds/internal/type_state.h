#pragma once

// What a session knows about one resource type of its client. The memory of a client in step is a
// pointer to a list that it shares with others; `overlay` holds the names that deviate from it.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/bundle.h"
#include "runtime/clock.h"
#include "xds/internal/name_set.h"
#include "xds/internal/name_table.h"
#include "xds/internal/rare.h"

namespace kuma::xds::internal {

using bundle::SealedListPtr;
using runtime::Time;

struct Rejection {
  bundle::ContentHash version;
  Time retry_at{};  // zero: never
  uint32_t tries = 1;
};

// What the client has under one name.
struct Held {
  SealedPtr certain;  // the content that it acknowledged last; null: none
  std::optional<std::string>
      claimed;            // it named this version when it connected; we do not have its content
  bool unknown = false;   // it may run something else than the two above say
  bool anything = false;  // what that could be is not known
  std::vector<SealedPtr> maybe;        // what that could be: contents of rejected responses
  bool resend = false;                 // to be sent even if it has it
  bool tell_absent = false;            // to be told so if it does not exist
  bool removal_refused = false;        // it was told as removed in a response that was refused
  std::optional<Rejection> rejection;  // quarantined content
  std::optional<Time> removal_due;
  std::optional<Time> gated_since;

  bool HasSomething() const { return certain != nullptr || claimed.has_value() || unknown; }
  bool HasSurely() const { return certain != nullptr || (claimed.has_value() && !unknown); }
  // True if `certain` says everything.
  bool IsPlain() const {
    return !claimed && !unknown && !resend && !tell_absent && !removal_refused && !rejection &&
           !removal_due && !gated_since;
  }
  void SetUnknown(const SealedPtr& possible);
  void SetUnknown() { unknown = anything = true; }
  // It acknowledged `content` (null: that it is gone). Requests for resending stay: they came after
  // it was sent.
  void Acknowledge(SealedPtr content);
};

struct InFlight {
  std::string nonce;
  bundle::Revision revision;
  Time sent_at;
  std::vector<SealedPtr> resources;  // sorted
  std::vector<std::string> removed;
  bool whole = false;    // nothing of its bundle was left for a later response
  SealedListPtr target;  // null, or what the client has once this is acknowledged

  bool Removes(const NameRef& name) const;
  // Sends or removes it.
  bool Concerns(const NameRef& name) const;
  bool Sends(const bundle::SealedResource& content) const;
};

// Endpoints that must be acknowledged before a listener may use their cluster.
struct Awaited {
  Time since;
  bool sent = false;
  bool owed = false;            // their cluster was sent after they were
  bundle::Revision revision{};  // of the bundle at that time
};

struct Doubt {
  std::vector<SealedPtr> possible;
  bool anything = false;
};

struct TypeState {
  bool requested = false;
  bundle::Revision covered;  // of every bundle up to this one: acknowledged, or newer content is
  bool wildcard = false;
  bool owes_first = false;  // a new wildcard subscription is answered even if there is nothing
  NameSet names;            // subscribed by name
  SealedListPtr base = bundle::EmptyList();  // held, as far as subscribed and not in the overlay
  NameTable<Held> overlay;
  std::unique_ptr<InFlight> in_flight;
  NameTable<Awaited> awaited;                       // of endpoints only
  Rare<std::set<Name, std::less<>>> suspects;       // of rejected responses that named no culprit
  size_t probe = 0;                                 // how many of them are tried at once
  Rare<std::map<Name, Doubt, std::less<>>> doubts;  // recalled, waiting for the first request

  bool Subscribed(const NameRef& name) const { return wildcard || names.Contains(name); }
  // Believes a recalled doubt.
  void Believe(const NameRef& name, const Doubt& doubt);
  // The entry of the overlay, made from the base if there is none. Valid until another is made.
  Held& Touch(const NameRef& name);
  // Touch() of each of `keys`, which ascend: visit(held, key).
  template <class Keys, class Visit>
  void TouchEach(const Keys& keys, Visit visit);
  bool HasSurely(const NameRef& name) const;
  bool HasSomething(const NameRef& name) const;
  bool IsQuiet(const SealedListPtr& desired) const {
    return base == desired && overlay.empty() && !owes_first && in_flight == nullptr;
  }
  // Makes every held name an entry of the overlay, as far as `keep` says so, and forgets the rest.
  template <class Keep>
  void Unshare(Keep keep);
  // Forgets the entries of the overlay that say no more than the base does.
  void ForgetPlain();
  // The client has acknowledged all of `target`. Without deviations that is all there is to know.
  // True if so; false: each resource has to be looked at.
  bool Adopt(const SealedListPtr& target, const std::vector<std::string>& removed);
  // Shares `desired` from now on. REQUIRES: nothing is in flight or to be sent.
  void Share(const SealedListPtr& desired);

  // Calls visit(name, desired, held, entry) for each name of the three sources in order. `desired`
  // and `held` (of the base) are null if there is none or the client is not subscribed to it;
  // `entry` comes before `held`. Entries may be changed, not added or erased.
  template <class Visit>
  void Walk(const SealedListPtr& desired, Visit visit);
};

// TypeState::Subscribed() for names that ascend.
class SubscriptionSearch {
 public:
  explicit SubscriptionSearch(const TypeState& ts) : all_(ts.wildcard), names_(ts.names) {}
  bool Contains(const NameRef& name) { return all_ || names_.Contains(name); }

 private:
  bool all_;
  NameSet::Search names_;
};

template <class Keep>
void TypeState::Unshare(Keep keep) {
  SubscriptionSearch subscribed(*this);
  std::vector<NameRef> held;
  for (const SealedPtr& resource : *base) {
    if (subscribed.Contains(resource->key())) held.push_back(resource->key());
  }
  TouchEach(held, [](Held&, const NameRef&) {});
  overlay.EraseIf([&keep](const auto& entry) { return !keep(entry.first); });
  base = bundle::EmptyList();
}

template <class Keys, class Visit>
void TypeState::TouchEach(const Keys& keys, Visit visit) {
  AscendingSearch listed(*base);
  SubscriptionSearch subscribed(*this);
  overlay.Each(keys, [&](Held& held, const auto& key, bool is_new) {
    if (is_new) {
      const NameRef name = KeyOf(key);
      const SealedPtr* certain = listed.Find(name);
      if (certain != nullptr && subscribed.Contains(name)) held.certain = *certain;
    }
    visit(held, key);
  });
}

template <class Visit>
void TypeState::Walk(const SealedListPtr& desired, Visit visit) {
  const bool has_desired = wildcard || names.Covers(desired);
  const bool has_base = wildcard || names.Covers(base);
  SubscriptionSearch subscribed(*this);
  auto d = desired->begin();
  auto b = base->begin();
  auto o = overlay.begin();
  const auto d_end = desired->end();
  const auto b_end = base->end();
  const auto o_end = overlay.end();
  while (d != d_end || b != b_end || o != o_end) {
    if (d != d_end && b != b_end && *d == *b && (o == o_end || (*d)->key() < o->first)) {
      ++d;  // the same content, acknowledged: nothing to see
      ++b;
      continue;
    }
    NameRef name = d != d_end ? (*d)->key() : b != b_end ? (*b)->key() : NameRef(o->first);
    if (b != b_end && (*b)->key() < name) name = (*b)->key();
    if (o != o_end && o->first < name) name = o->first;
    const SealedPtr* want = d != d_end && (*d)->key() == name ? &*d++ : nullptr;
    const SealedPtr* have = b != b_end && (*b)->key() == name ? &*b++ : nullptr;
    Held* entry = nullptr;
    if (o != o_end && o->first == name) {
      entry = &o->second;
      ++o;
    }
    const bool known = (want != nullptr && has_desired) || (have != nullptr && has_base);
    if (!known && !subscribed.Contains(name)) want = have = nullptr;
    visit(name, want, have, entry);
  }
}

}  // namespace kuma::xds::internal

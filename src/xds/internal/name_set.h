#pragma once

// The names that a client subscribed to, without a copy of them for every client: what they have in
// common with a shared list is kept as a pointer to that list. Confined to the owner's executor.

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "bundle/bundle.h"

namespace kuma::xds::internal {

class NameSet {
 public:
  bool Contains(const bundle::NameRef& name) const;
  // True if it was new.
  bool Add(const bundle::NameRef& name);
  // True if it was there.
  bool Remove(const bundle::NameRef& name);
  size_t size() const;
  void ForEach(const std::function<void(const bundle::NameRef&)>& visit) const;

  // True if it is known at no cost that every name of the list is in the set.
  bool Covers(const bundle::SealedListPtr& list) const { return list_ == list && missing_.empty(); }
  // Keeps the names as a difference to `list` from now on, if that is small.
  void ShareWith(const bundle::SealedListPtr& list);
  // Names kept as copies.
  size_t deviations() const { return extra_.size() + missing_.size(); }

 private:
  using Names = std::set<bundle::Name, std::less<>>;
  bundle::SealedListPtr list_ = bundle::EmptyList();
  Names extra_;    // in the set, not in the list
  Names missing_;  // in the list, not in the set
};

}  // namespace kuma::xds::internal

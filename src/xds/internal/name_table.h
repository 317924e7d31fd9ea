#pragma once

// Names with a value each, in order, in one piece of memory. A session looks at whole lists at a
// time: one pass through list and table, without a search for each name. A single name costs a
// search, and a new one a move of all that is behind it: for lists there is Each().
// Confined to the owner's executor.

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

#include "bundle/bundle.h"

namespace kuma::xds::internal {

using bundle::Name;
using bundle::NameRef;
using bundle::SealedPtr;

inline NameRef KeyOf(const NameRef& name) { return name; }
inline NameRef KeyOf(const Name& name) { return name; }
inline NameRef KeyOf(const SealedPtr& resource) { return resource->key(); }
inline NameRef KeyOf(const SealedPtr* resource) { return (*resource)->key(); }
template <class Key, class Value>
NameRef KeyOf(const std::pair<Key, Value>& entry) {
  return entry.first;
}

// Finds names that ascend in a sorted sequence, which must not change meanwhile. Each search starts
// where the last one ended: many together cost one pass, a few cost little.
template <class Iterator>
class AscendingSearch {
 public:
  AscendingSearch(Iterator begin, Iterator end) : at_(begin), end_(end) {}
  template <class Sequence>
  explicit AscendingSearch(Sequence& sequence)
      : AscendingSearch(std::begin(sequence), std::end(sequence)) {}

  // Null if there is none.
  auto* Find(const NameRef& name) {
    std::ptrdiff_t step = 1;
    while (end_ - at_ >= step && KeyOf(at_[step - 1]) < name) {
      at_ += step;
      step *= 2;
    }
    at_ = std::lower_bound(at_, at_ + std::min(step, end_ - at_), name,
                           [](const auto& a, const NameRef& b) { return KeyOf(a) < b; });
    return at_ != end_ && KeyOf(*at_) == name ? &*at_ : nullptr;
  }

 private:
  Iterator at_;
  Iterator end_;
};
template <class Sequence>
AscendingSearch(Sequence& sequence) -> AscendingSearch<decltype(std::begin(sequence))>;

template <class Value>
class NameTable {
 public:
  using Entry = std::pair<Name, Value>;

  auto begin() { return entries_.begin(); }
  auto end() { return entries_.end(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  void clear() { entries_ = {}; }

  // Null if there is none. Valid until a name is added or erased.
  Value* Find(const NameRef& name) {
    const auto at = LowerBound(name);
    return at != end() && at->first == name ? &at->second : nullptr;
  }
  const Value* Find(const NameRef& name) const { return const_cast<NameTable*>(this)->Find(name); }
  bool contains(const NameRef& name) const { return Find(name) != nullptr; }
  // Made if there is none. Valid until another name is added or erased.
  Value& operator[](const NameRef& name) {
    const auto at = empty() || entries_.back().first < name ? end() : LowerBound(name);
    if (at != end() && at->first == name) return at->second;
    return entries_.emplace(at, Name(name), Value())->second;
  }
  // Calls visit(value, key, is_new) for each of `keys`. REQUIRES: they ascend; `visit` leaves the
  // table alone.
  template <class Keys, class Visit>
  void Each(const Keys& keys, Visit visit) {
    std::vector<Entry> added;
    AscendingSearch search(entries_);
    for (const auto& key : keys) {
      if (Entry* found = search.Find(KeyOf(key)); found != nullptr) {
        visit(found->second, key, false);
      } else {
        if (added.empty()) added.reserve(keys.size());
        visit(added.emplace_back(Name(KeyOf(key)), Value()).second, key, true);
      }
    }
    if (empty()) {
      entries_ = std::move(added);
    } else if (!added.empty()) {
      const auto old = static_cast<std::ptrdiff_t>(size());
      entries_.insert(end(), std::make_move_iterator(added.begin()),
                      std::make_move_iterator(added.end()));
      std::inplace_merge(begin(), begin() + old, end(),
                         [](const Entry& a, const Entry& b) { return a.first < b.first; });
    }
  }
  void Erase(const NameRef& name) {
    if (const auto at = LowerBound(name); at != end() && at->first == name) entries_.erase(at);
  }
  // Erases where erases(entry), in order.
  template <class Erases>
  void EraseIf(Erases erases) {
    std::erase_if(entries_, [&erases](const Entry& entry) { return erases(entry); });
    if (empty()) clear();
  }

 private:
  auto LowerBound(const NameRef& name) {
    return std::lower_bound(begin(), end(), name,
                            [](const Entry& a, const NameRef& b) { return a.first < b; });
  }

  std::vector<Entry> entries_;
};

}  // namespace kuma::xds::internal

#pragma once

// The names that a client subscribed to, without a copy of them for every client: what they have in
// common with a shared list is kept as a pointer to that list. Confined to the owner's executor.

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/bundle.h"
#include "xds/internal/name_table.h"
#include "xds/internal/rare.h"

namespace kuma::xds::internal {

class NameSet {
  using Names = std::set<bundle::Name, std::less<>>;

 public:
  NameSet() = default;
  // All of `names`, which ascend, as a difference to `list`.
  NameSet(const std::vector<bundle::NameRef>& names, const bundle::SealedListPtr& list);

  // Contains() for names that ascend; the set must not change meanwhile.
  class Search {
   public:
    explicit Search(const NameSet& set) : set_(set), list_(*set.list_) {}
    bool Contains(const bundle::NameRef& name) {
      return list_.Find(name) != nullptr ? set_.missing_.empty() || !set_.missing_->contains(name)
                                         : !set_.extra_.empty() && set_.extra_->contains(name);
    }

   private:
    const NameSet& set_;
    AscendingSearch<bundle::SealedList::const_iterator> list_;
  };

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
  size_t deviations() const { return extra_->size() + missing_->size(); }

 private:
  static bool Erase(Rare<Names>& from, const bundle::NameRef& name);  // true if it was there

  bundle::SealedListPtr list_ = bundle::EmptyList();
  Rare<Names> extra_;    // in the set, not in the list
  Rare<Names> missing_;  // in the list, not in the set
};

}  // namespace kuma::xds::internal

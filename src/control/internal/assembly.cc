#include "control/internal/assembly.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <span>
#include <tuple>
#include <utility>

namespace kuma::control::internal {
namespace {

bool SameContent(const bundle::SealedList& a, const bundle::SealedList& b) {
  return &a == &b ||
         std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return bundle::SameContent(*x, *y); });
}

// The two together, in the order of a list; of two with one name the first counts. Both are sorted.
bundle::SealedList Merge(std::span<const bundle::SealedPtr> own, const bundle::SealedList& shared) {
  bundle::SealedList merged;
  merged.reserve(own.size() + shared.size());
  std::merge(own.begin(), own.end(), shared.begin(), shared.end(), std::back_inserter(merged),
             Before);
  merged.erase(std::unique(merged.begin(), merged.end(),
                           [](const auto& a, const auto& b) { return a->key() == b->key(); }),
               merged.end());
  return merged;
}

// Of a template what the proxy has already, if it still counts.
bundle::SealedPtr FillFor(const Proxy& proxy, const bundle::SealedPtr& resource) {
  if (!resource->IsTemplate()) return resource;
  if (proxy.bundle != nullptr) {
    const bundle::SealedPtr* held =
        bundle::FindPtr(proxy.bundle->Of(resource->type), resource->key());
    if (held != nullptr && (*held)->mould == resource->mould &&
        (*held)->values == proxy.plan->values)
      return *held;
  }
  return bundle::Fill(resource, proxy.plan->values);
}

}  // namespace

bool Before(const bundle::SealedPtr& a, const bundle::SealedPtr& b) {
  return std::tuple(a->type, a->key(), a->version) < std::tuple(b->type, b->key(), b->version);
}

Assembled Assemble(const Proxy& proxy, base::Revision revision) {
  Assembled assembled;
  assembled.bundle.revision = revision;
  assembled.changed = proxy.bundle == nullptr;
  const std::vector<bundle::SealedPtr>& own = proxy.own->content->resources;
  auto begin = own.begin();
  const bool same_own = proxy.sources.own == proxy.own->content &&
                        proxy.sources.values == proxy.plan->values && proxy.bundle != nullptr;
  for (size_t type = 0; type < bundle::kXdsTypeCount; ++type) {
    const auto end = std::find_if(begin, own.end(), [type](const bundle::SealedPtr& resource) {
      return static_cast<size_t>(resource->type) > type;
    });
    const bundle::SealedListPtr& shared = proxy.group->lists[type];
    const bundle::SealedListPtr* before =
        proxy.bundle == nullptr ? nullptr : &proxy.bundle->resources[type];
    bundle::SealedListPtr& list = assembled.bundle.resources[type];
    if (same_own && proxy.sources.shared[type] == shared) {
      list = *before;
      begin = end;
      continue;
    }
    const bool fills =
        proxy.plan->values != nullptr &&
        std::any_of(shared->begin(), shared->end(),
                    [](const bundle::SealedPtr& resource) { return resource->IsTemplate(); });
    if (begin == end && !fills) {
      list = shared;
    } else {
      // What only this proxy has is in no other list; an equal one stays the list that it was.
      bundle::SealedList merged = Merge({begin, end}, *shared);
      if (fills) {
        for (bundle::SealedPtr& resource : merged) resource = FillFor(proxy, resource);
      }
      list = before != nullptr && **before == merged
                 ? *before
                 : std::make_shared<const bundle::SealedList>(std::move(merged));
    }
    assembled.changed = assembled.changed || !SameContent(*list, **before);
    begin = end;
  }
  return assembled;
}

}  // namespace kuma::control::internal

#include "control/internal/interner.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"

namespace kuma::control::internal {
namespace {

// Who shaped it more often without effect may be left out; who does not shape it any more must not
// be named in a NACK.
bool Covers(const std::vector<std::string>& origins, const std::vector<std::string>& some) {
  return std::all_of(some.begin(), some.end(), [&](const std::string& origin) {
    return std::find(origins.begin(), origins.end(), origin) != origins.end();
  });
}

}  // namespace

bundle::SealedPtr Interner::Resource(bundle::SealedPtr resource) {
  const uint64_t hash =
      resource->name_hash ^ resource->version.low ^ static_cast<uint64_t>(resource->type);
  const auto [begin, end] = resources_.equal_range(hash);
  for (auto at = begin; at != end; ++at) {
    const bundle::SealedPtr held = at->second.lock();
    if (held != nullptr && held->type == resource->type && SameContent(*held, *resource) &&
        Covers(resource->origins, held->origins)) {
      return held;
    }
  }
  resources_.emplace(hash, resource);
  return resource;
}

bundle::SealedListPtr Interner::List(bundle::SealedListPtr list) {
  uint64_t hash = list->size();
  for (const bundle::SealedPtr& resource : *list)
    hash =
        (hash ^ (hash >> 29) ^ reinterpret_cast<uintptr_t>(resource.get())) * 0x9E3779B97F4A7C15u;
  const auto [begin, end] = lists_.equal_range(hash);
  for (auto at = begin; at != end; ++at) {
    bundle::SealedListPtr held = at->second.lock();
    if (held != nullptr && *held == *list) return held;
  }
  lists_.emplace(hash, list);
  return list;
}

void Interner::Sweep() {
  if (resources_.size() + lists_.size() < sweep_at_) return;
  std::erase_if(resources_, [](const auto& entry) { return entry.second.expired(); });
  std::erase_if(lists_, [](const auto& entry) { return entry.second.expired(); });
  sweep_at_ = std::max<size_t>(1024, 2 * (resources_.size() + lists_.size()));
}

}  // namespace kuma::control::internal

#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "bundle/bundle.h"

namespace kuma::control::internal {

// Equal resources and equal lists exist once while somebody holds them. Confined to the mesh
// writer.
class Interner {
 public:
  bundle::SealedPtr Resource(bundle::SealedPtr resource);
  // REQUIRES: the elements came from Resource().
  bundle::SealedListPtr List(bundle::SealedListPtr list);
  size_t lists() const { return lists_.size(); }
  // Forgets what nobody holds; a no-op until enough may have died.
  void Sweep();

 private:
  std::unordered_multimap<uint64_t, std::weak_ptr<const bundle::SealedResource>> resources_;
  std::unordered_multimap<uint64_t, std::weak_ptr<const bundle::SealedList>> lists_;
  size_t sweep_at_ = 1024;
};

}  // namespace kuma::control::internal

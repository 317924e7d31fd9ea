#pragma once

#include <cstddef>
#include <vector>

namespace kuma::net::internal {

// Slots of fresh pages. nghttp2 keeps a frame buffer of 16 KB per session of which only the first
// page is written when DATA is not copied through it; from the heap it would be recycled, dirty
// memory. Confined to one loop.
class PageSlab {
 public:
  static constexpr size_t kSlotBytes = 20480;

  PageSlab() = default;
  ~PageSlab();
  PageSlab(const PageSlab&) = delete;
  PageSlab& operator=(const PageSlab&) = delete;

  // A slot of zeroed pages, or nullptr when the system has none left.
  void* Get();
  // Gives the pages back to the system and keeps the addresses.
  void Put(void* slot);

 private:
  static constexpr size_t kSlotsPerRegion = 256;
  std::vector<void*> regions_;
  std::vector<void*> free_;
};

}  // namespace kuma::net::internal

#include "net/internal/page_slab.h"

#include <sys/mman.h>

namespace kuma::net::internal {

PageSlab::~PageSlab() {
  for (void* region : regions_) munmap(region, kSlotBytes * kSlotsPerRegion);
}

void* PageSlab::Get() {
  if (free_.empty()) {
    void* region = mmap(nullptr, kSlotBytes * kSlotsPerRegion, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED) return nullptr;
    madvise(region, kSlotBytes * kSlotsPerRegion, MADV_NOHUGEPAGE);
    regions_.push_back(region);
    free_.reserve(regions_.size() * kSlotsPerRegion);
    for (size_t i = kSlotsPerRegion; i-- > 0;) {
      free_.push_back(static_cast<char*>(region) + i * kSlotBytes);
    }
  }
  void* slot = free_.back();
  free_.pop_back();
  return slot;
}

void PageSlab::Put(void* slot) {
  madvise(slot, kSlotBytes, MADV_DONTNEED);
  free_.push_back(slot);
}

}  // namespace kuma::net::internal

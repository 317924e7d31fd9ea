#include "net/internal/http2_memory.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "net/internal/memory_account.h"

namespace kuma::net::internal {
namespace {

constexpr size_t kFrameBuffer = 16384;  // nghttp2 allocates this and a bit more, once per session
constexpr size_t kPage = 4096;

// nghttp2's memory. Each block carries its origin in front, so that freeing needs no lookup.
struct alignas(16) BlockHeader {
  uint64_t from_slab;
  uint64_t size;
};

MemoryAccount& Account(bool slab) { return slab ? g_frame_pages : g_nghttp2_memory; }
// Of a slot usually the first page only is written.
int64_t Counted(bool slab, size_t size) {
  return static_cast<int64_t>(slab ? kPage : size + sizeof(BlockHeader));
}

void* Allocate(size_t size, void* user) {
  auto* pages = static_cast<PageSlab*>(user);
  const bool slab = pages != nullptr && size >= kFrameBuffer &&
                    size + sizeof(BlockHeader) <= PageSlab::kSlotBytes;
  void* block = slab ? pages->Get() : std::malloc(size + sizeof(BlockHeader));
  if (block == nullptr) return nullptr;
  new (block) BlockHeader{slab ? 1u : 0u, size};
  Account(slab).Add(Counted(slab, size));
  return static_cast<char*>(block) + sizeof(BlockHeader);
}

void Free(void* memory, void* user) {
  if (memory == nullptr) return;
  auto* header = reinterpret_cast<BlockHeader*>(static_cast<char*>(memory) - sizeof(BlockHeader));
  const bool slab = header->from_slab != 0;
  Account(slab).Add(-Counted(slab, header->size));
  if (slab) {
    static_cast<PageSlab*>(user)->Put(header);
  } else {
    std::free(header);
  }
}

void* AllocateZeroed(size_t count, size_t size, void* user) {
  if (size != 0 && count > SIZE_MAX / 2 / size) return nullptr;
  void* memory = Allocate(count * size, user);
  if (memory != nullptr) std::memset(memory, 0, count * size);
  return memory;
}

void* Reallocate(void* memory, size_t size, void* user) {
  if (memory == nullptr) return Allocate(size, user);
  auto* header = reinterpret_cast<BlockHeader*>(static_cast<char*>(memory) - sizeof(BlockHeader));
  void* fresh = Allocate(size, user);
  if (fresh == nullptr) return nullptr;
  std::memcpy(fresh, memory, std::min<size_t>(size, header->size));
  Free(memory, user);
  return fresh;
}

}  // namespace

nghttp2_mem MemoryOf(PageSlab* pages) {
  return {pages, Allocate, Free, AllocateZeroed, Reallocate};
}

}  // namespace kuma::net::internal

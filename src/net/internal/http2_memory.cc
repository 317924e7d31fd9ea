#include "net/internal/http2_memory.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "net/internal/memory_account.h"

namespace kuma::net::internal {
namespace {

constexpr size_t kFrameBytes = 16384;  // nghttp2 allocates this and a bit more, first of all

// Each block carries its origin and its size in front, so that freeing needs no lookup. All
// sessions write the same in front of the buffer that they share.
struct alignas(16) BlockHeader {
  uint64_t is_shared;
  uint64_t size;
};

int64_t Counted(size_t size) { return static_cast<int64_t>(size + sizeof(BlockHeader)); }

void* Allocate(size_t size, void* user) {
  auto& memory = *static_cast<SessionMemory*>(user);
  const bool shared = memory.shared != nullptr && !memory.taken && size >= kFrameBytes &&
                      size + sizeof(BlockHeader) <= FrameBuffer::kBytes;
  void* block = shared ? memory.shared->bytes() : std::malloc(size + sizeof(BlockHeader));
  if (block == nullptr) return nullptr;
  new (block) BlockHeader{shared ? 1u : 0u, size};
  if (shared)
    memory.taken = true;
  else
    g_nghttp2_memory.Add(Counted(size));
  return static_cast<char*>(block) + sizeof(BlockHeader);
}

void Free(void* memory, void*) {
  if (memory == nullptr) return;
  auto* header = reinterpret_cast<BlockHeader*>(static_cast<char*>(memory) - sizeof(BlockHeader));
  if (header->is_shared != 0) return;
  g_nghttp2_memory.Add(-Counted(header->size));
  std::free(header);
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

nghttp2_mem MemoryOf(SessionMemory* memory) {
  return {memory, Allocate, Free, AllocateZeroed, Reallocate};
}

}  // namespace kuma::net::internal

#include "net/library_memory.h"

#include <malloc.h>
#include <openssl/crypto.h>

#include <cstdlib>

#include "net/internal/memory_account.h"

namespace kuma::net {
namespace internal {

MemoryAccount g_openssl_memory;
MemoryAccount g_nghttp2_memory;

}  // namespace internal

namespace {

using internal::g_openssl_memory;

int64_t SizeOf(void* block) { return static_cast<int64_t>(malloc_usable_size(block)); }

void* Allocate(size_t size, const char*, int) {
  void* block = std::malloc(size);
  g_openssl_memory.Add(SizeOf(block));
  return block;
}

void* Reallocate(void* block, size_t size, const char*, int) {
  const int64_t before = SizeOf(block);
  void* moved = std::realloc(block, size);
  if (moved != nullptr) g_openssl_memory.Add(SizeOf(moved) - before);
  return moved;
}

void Free(void* block, const char*, int) {
  g_openssl_memory.Add(-SizeOf(block));
  std::free(block);
}

}  // namespace

bool CountOpenSsl() { return CRYPTO_set_mem_functions(Allocate, Reallocate, Free) == 1; }

LibraryMemory MemoryOfLibraries() {
  return {g_openssl_memory.bytes(), internal::g_nghttp2_memory.bytes()};
}

}  // namespace kuma::net

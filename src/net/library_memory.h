#pragma once

// Memory that libraries hold in this process, for its accounts. Thread-safe.

#include <cstdint>

namespace kuma::net {

struct LibraryMemory {
  // Heap, as the allocator counts it: connections, contexts, keys. 0 without CountOpenSsl.
  uint64_t openssl = 0;
  uint64_t nghttp2 = 0;  // sessions, streams, header tables
};
LibraryMemory MemoryOfLibraries();

// False when OpenSSL was used before: call it first in main.
bool CountOpenSsl();

}  // namespace kuma::net

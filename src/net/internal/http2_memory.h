#pragma once

#include <nghttp2/nghttp2.h>

#include "net/internal/frame_buffer.h"

namespace kuma::net::internal {

// `memory` outlives the session, and `memory->shared` too.
nghttp2_mem MemoryOf(SessionMemory* memory);

}  // namespace kuma::net::internal

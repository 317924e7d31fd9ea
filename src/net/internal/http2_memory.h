#pragma once

#include <nghttp2/nghttp2.h>

#include "net/internal/page_slab.h"

namespace kuma::net::internal {

// Where a session's memory comes from: its frame buffer from `pages` (if any), the rest from the
// heap. `pages` outlives the session.
nghttp2_mem MemoryOf(PageSlab* pages);

}  // namespace kuma::net::internal

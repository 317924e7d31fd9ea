#pragma once

#include "envoy/drafts.h"
#include "generate/internal/cell_context.h"

namespace kuma::generate {

// Adds where redirected traffic goes that no other listener takes. Nothing when none is redirected.
void AddPassthrough(const OwnCell& own, envoy::ProxyDraft& draft);

}  // namespace kuma::generate

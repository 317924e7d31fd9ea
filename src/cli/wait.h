#pragma once

// Waits until what was written is live.

#include <cstdint>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "runtime/clock.h"

namespace kuma::cli {

// A write and its revision.
struct Written {
  std::string what;  // "MeshTimeout default/web"
  uint64_t revision = 0;
};

// Waits for at most `timeout` until every rollout is complete. Progress, and who rejected what and
// why, go to the error output. An error sets the exit code: 3 rejected, 4 timed out.
base::Status WaitForRollouts(Invocation& invocation, const std::vector<Written>& writes,
                             runtime::Duration timeout);

}  // namespace kuma::cli

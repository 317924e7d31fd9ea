#pragma once

// kuma-dp: starts Envoy next to a workload. main() does nothing but call Run.

#include <string>
#include <vector>

#include "dp/settings.h"

namespace kuma::dp {

// Runs one command line (without the program's name) and returns the exit code. `run` blocks until
// Envoy has ended or a SIGTERM or SIGINT, which are blocked for the whole process from then on.
int Run(const std::vector<std::string>& args, const Environment& environment);

}  // namespace kuma::dp

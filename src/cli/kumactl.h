#pragma once

// kumactl: the command line of the control plane. main() does nothing but call Run.

#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/clock.h"

namespace kuma::cli {

// What a call sees of the outside world besides files and the network.
struct Environment {
  std::ostream& out;
  std::ostream& err;
  std::istream& in;
  std::string home;             // ".kumactl/config" lies here
  const runtime::Clock& clock;  // outlives the call
  size_t width = 0;             // of the terminal that `out` is, in characters; 0: it is none
};

// Runs one command line (without the program's name) and returns the exit code: 0, or 1 (apply
// --wait: also 3 rejected, 4 timed out) after "Error: ..." on `err`. Blocks; confined to one thread.
int Run(const std::vector<std::string>& args, Environment& environment);

}  // namespace kuma::cli

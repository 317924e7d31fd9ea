#pragma once

#include <csignal>

#include <chrono>

namespace kuma::app {

// From now on stopping is bounded: a second SIGINT or SIGTERM among `signals` ends the process at
// once (128 + its number), and so does the end of `longest` (1), each with a line in the log. What
// is stored is safe at any moment: nothing is lost by not waiting, for a disk that does not answer
// for one. REQUIRES: `signals` are blocked in every thread.
void BoundStop(const sigset_t& signals, std::chrono::nanoseconds longest);

}  // namespace kuma::app

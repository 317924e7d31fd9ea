#include "base/check.h"

#include <execinfo.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace kuma::base {

void CheckFailed(const char* file, int line, const char* condition, std::string_view reason) {
  std::fprintf(stderr, "CHECK failed at %s:%d: %s (%.*s)\n", file, line, condition,
               static_cast<int>(reason.size()), reason.data());
  std::fflush(stderr);
  void* frames[64];
  backtrace_symbols_fd(frames, backtrace(frames, 64), STDERR_FILENO);
  std::abort();
}

}  // namespace kuma::base

#pragma once

// Broken invariants. A failed CHECK prints file, line, condition and reason, then a backtrace, and
// ends the process. Never CHECK something that a user, a peer or the network can cause.

#include <string_view>

namespace kuma::base {

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              std::string_view reason);

}  // namespace kuma::base

#define CHECK(condition, reason)                                         \
  do {                                                                   \
    if (!(condition)) [[unlikely]]                                       \
      ::kuma::base::CheckFailed(__FILE__, __LINE__, #condition, reason); \
  } while (false)

#ifdef NDEBUG
#define DCHECK(condition, reason) \
  do {                            \
  } while (false)
#else
#define DCHECK(condition, reason) CHECK(condition, reason)
#endif

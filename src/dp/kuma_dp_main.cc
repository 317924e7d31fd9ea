#include <malloc.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "dp/kuma_dp.h"

int main(int argc, char** argv) {
  // One heap for the two threads: a sidecar is small or it is nothing.
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TRIM_THRESHOLD, 64 << 10);
  mallopt(M_MMAP_THRESHOLD, 64 << 10);
  return kuma::dp::Run(std::vector<std::string>(argv + 1, argv + argc), [](std::string_view name) {
    const char* value = std::getenv(std::string(name).c_str());
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
  });
}

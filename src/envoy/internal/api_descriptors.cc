#include "envoy/internal/api_descriptors.h"

// KUMA_API_DESCRIPTORS: the file, as tools/strip_descriptors.py made it. As part of the program's
// read-only data it takes memory only where it is read.
__asm__(
    ".section .rodata\n"
    ".balign 16\n"
    ".local kuma_api_descriptors_begin\n"
    "kuma_api_descriptors_begin:\n"
    ".incbin \"" KUMA_API_DESCRIPTORS
    "\"\n"
    ".local kuma_api_descriptors_end\n"
    "kuma_api_descriptors_end:\n"
    ".previous\n");

extern "C" {
extern const char kuma_api_descriptors_begin[];
extern const char kuma_api_descriptors_end[];
}

namespace kuma::envoy {

std::string_view ApiDescriptors() {
  return {kuma_api_descriptors_begin,
          static_cast<size_t>(kuma_api_descriptors_end - kuma_api_descriptors_begin)};
}

}  // namespace kuma::envoy

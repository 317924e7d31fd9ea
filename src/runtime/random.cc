#include "runtime/random.h"

#include <sys/random.h>

#include "base/check.h"
#include "base/format.h"

namespace kuma::runtime {

uint64_t Random::Below(uint64_t bound) {
  CHECK(bound > 0, "the range is empty");
  // Values of the incomplete last round would make small results likelier.
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  uint64_t value = Next();
  while (value >= limit) value = Next();
  return value % bound;
}

std::string Random::Uuid() {
  uint64_t high = Next();
  uint64_t low = Next();
  high = (high & ~0xF000ULL) | 0x4000ULL;
  low = (low & ~(3ULL << 62)) | (2ULL << 62);
  return base::Format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, high >> 16 & 0xFFFF,
                      high & 0xFFFF, low >> 48, low & 0xFFFFFFFFFFFFULL);
}

uint64_t SeededRandom::Next() {
  // SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
  state_ += 0x9E3779B97F4A7C15ULL;
  uint64_t z = state_;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
  return z ^ z >> 31;
}

uint64_t SystemRandom::Next() {
  uint64_t value = 0;
  CHECK(getrandom(&value, sizeof value, 0) == sizeof value, "getrandom cannot fail for 8 bytes");
  return value;
}

}  // namespace kuma::runtime

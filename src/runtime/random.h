#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace kuma::runtime {

// Source of randomness. Not for keys: those come from OpenSSL.
class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t Next() = 0;  // uniform over all 64-bit values

  // Uniform in [0, bound). REQUIRES: bound > 0.
  uint64_t Below(uint64_t bound);
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  // RFC 4122 version 4, lower case with hyphens.
  std::string Uuid();
};

// Same seed, same numbers, on every machine. Confined to one thread.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  uint64_t Next() override;

 private:
  uint64_t state_;
};

// From the operating system. Thread-safe.
class SystemRandom final : public Random {
 public:
  uint64_t Next() override;
};

}  // namespace kuma::runtime

#pragma once

// Content hashes (XXH3, 128 bits): versions of Envoy resources, hashes of contexts. Not
// cryptographic.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kuma::base {

struct ContentHash {
  uint64_t high = 0;
  uint64_t low = 0;

  auto operator<=>(const ContentHash&) const = default;
  std::string ToHex() const;  // 32 lower-case hexadecimal digits
};

ContentHash HashBytes(std::string_view bytes);
uint64_t Hash64(std::string_view bytes, uint64_t seed = 0);

// Feeds values into one hash without joining them into a string. Each Add is framed by its length,
// so that ("ab", "c") and ("a", "bc") differ.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  Hasher& Add(std::string_view bytes);
  Hasher& Add(uint64_t number);
  Hasher& Add(const ContentHash& hash) { return Add(hash.high).Add(hash.low); }
  ContentHash Finish() const;

 private:
  void* state_;  // owned XXH3_state_t
};

}  // namespace kuma::base

template <>
struct std::hash<kuma::base::ContentHash> {
  size_t operator()(const kuma::base::ContentHash& content) const noexcept { return content.low; }
};

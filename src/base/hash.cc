#include "base/hash.h"

#include <xxhash.h>

#include "base/check.h"
#include "base/format.h"

namespace kuma::base {

std::string ContentHash::ToHex() const { return Format("{:016x}{:016x}", high, low); }

ContentHash HashBytes(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.high64, hash.low64};
}

uint64_t Hash64(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

Hasher::Hasher() : state_(XXH3_createState()) {
  CHECK(state_ != nullptr, "out of memory");
  XXH3_128bits_reset(static_cast<XXH3_state_t*>(state_));
}

Hasher::~Hasher() { XXH3_freeState(static_cast<XXH3_state_t*>(state_)); }

Hasher& Hasher::Add(std::string_view bytes) {
  Add(static_cast<uint64_t>(bytes.size()));
  XXH3_128bits_update(static_cast<XXH3_state_t*>(state_), bytes.data(), bytes.size());
  return *this;
}

Hasher& Hasher::Add(uint64_t number) {
  XXH3_128bits_update(static_cast<XXH3_state_t*>(state_), &number, sizeof number);
  return *this;
}

ContentHash Hasher::Finish() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(static_cast<const XXH3_state_t*>(state_));
  return {hash.high64, hash.low64};
}

}  // namespace kuma::base

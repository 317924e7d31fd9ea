#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace kuma::net::internal {

// A sum that many threads add to. Thread-safe.
class MemoryAccount {
 public:
  void Add(int64_t bytes) { shards_[Shard()].bytes.fetch_add(bytes, std::memory_order_relaxed); }
  uint64_t bytes() const {
    int64_t sum = 0;
    for (const One& shard : shards_) sum += shard.bytes.load(std::memory_order_relaxed);
    return sum < 0 ? 0 : static_cast<uint64_t>(sum);
  }

 private:
  struct alignas(64) One {
    std::atomic<int64_t> bytes = 0;
  };
  static size_t Shard() {
    static std::atomic<size_t> next = 0;
    thread_local const size_t mine = next.fetch_add(1, std::memory_order_relaxed) % kShards;
    return mine;
  }
  static constexpr size_t kShards = 16;  // threads seldom share one
  std::array<One, kShards> shards_;
};

// Of this process.
extern MemoryAccount g_openssl_memory;
extern MemoryAccount g_nghttp2_memory;

}  // namespace kuma::net::internal

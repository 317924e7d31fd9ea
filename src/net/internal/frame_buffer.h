#pragma once

#include <cstddef>
#include <memory>

namespace kuma::net::internal {

// Where nghttp2 packs the frame that it sends next: 16 KB that each session would have for itself.
// All server sessions of a loop share one: its bytes count within one call of
// Http2Session::Produce, never across calls. Confined to one loop.
class FrameBuffer {
 public:
  static constexpr size_t kBytes = 20480;

  char* bytes() { return bytes_.get(); }

 private:
  std::unique_ptr<char[]> bytes_ = std::make_unique_for_overwrite<char[]>(kBytes);
};

// What the memory of one session comes from: the first block of that size from `shared` (null: the
// heap, too), everything else from the heap.
struct SessionMemory {
  FrameBuffer* shared = nullptr;
  bool taken = false;
};

}  // namespace kuma::net::internal

#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "net/internal/frame_buffer.h"

namespace kuma::net::internal {

// Buffers that all connections of a loop share, so that an idle connection has none. Used within
// one call and never across calls. Their pages are touched when they are first used.
struct LoopScratch {
  static constexpr size_t kReadBytes = 64 << 10;
  static constexpr size_t kStageBytes = 64 << 10;

  std::unique_ptr<char[]> read = std::make_unique_for_overwrite<char[]>(kReadBytes);
  std::unique_ptr<char[]> stage = std::make_unique_for_overwrite<char[]>(kStageBytes);
  std::string cipher;
  FrameBuffer frames;
};

}  // namespace kuma::net::internal

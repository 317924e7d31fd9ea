#pragma once

// What went over the streams of a measured run, so that the same bytes can be sent again in the
// same order and pacing by a server that knows nothing: the limit of what a control plane can do.
// A phase is one measured piece (all connect, one edit, ...).

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "net/grpc.h"

namespace kuma::bench {

struct RecordedMessage {
  uint32_t phase = 0;
  uint32_t after = 0;  // sent when so many messages have come from the other side
  std::string head;
  std::vector<uint32_t> slices;  // of Recording::slices, behind the head; from the server only
};
struct RecordedStream {
  std::vector<RecordedMessage> server;
  std::vector<RecordedMessage> client;
};

// Confined to one thread.
class Recording {
 public:
  std::vector<net::Slice> slices;  // resources as sent, each content once
  std::vector<RecordedStream> streams;
  uint32_t phase = 0;

  void FromServer(size_t stream, std::string_view message);
  void FromClient(size_t stream, std::string_view message);

  base::Status Save(const std::string& path) const;
  static base::Result<Recording> Load(const std::string& path);

 private:
  std::unordered_map<std::string_view, uint32_t> known_;  // views of `slices`
};

// Serves a recording on a free TLS port, which it prints as one line "URL"; then each line
// "PHASE" on standard input starts that phase, until the end of the input. Phase 0 has started.
int ServeRecording(const std::string& path);

}  // namespace kuma::bench

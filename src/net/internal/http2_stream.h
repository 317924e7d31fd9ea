#pragma once

#include <nghttp2/nghttp2.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/internal/http2_session.h"

namespace kuma::net::internal {

struct OutMessage {
  std::string head;
  std::vector<Slice> slices;
};

// One exchange of either kind and role.
//
//   server, HTTP:  headers -> body -> with the handler -> response -> closed
//   server, gRPC:  headers -> accepted: messages both ways -> trailers -> closed
//   client:        request -> [headers -> body or messages] -> trailers -> closed
struct Http2Session::Stream final : GrpcStream {
  Stream(Http2Session& owner, runtime::Time now)
      : session(owner), began(now), in_share(owner.hooks_.budget), out_share(owner.hooks_.budget) {}
  ~Stream() override {
    session.buffered_ -= buffered;
    if (gone != nullptr) gone->store(true);
  }

  runtime::SerialExecutor& loop() override { return session.host_.loop(); }
  size_t queued_bytes() const override { return queued; }

  bool Send(std::string head, std::vector<Slice> slices) override {
    CHECK_CONFINED(session.host_.loop());
    if (finished || dead || session.dead_) return false;
    size_t size = head.size();
    for (const Slice& slice : slices) size += slice->size();
    if (queued + size > session.limits_.queued_bytes || size > UINT32_MAX) {
      session.Abort(*this, {GrpcCode::kResourceExhausted, "too many bytes are queued"},
                    NGHTTP2_ENHANCE_YOUR_CALM);
      return false;
    }
    std::erase_if(slices, [](const Slice& slice) { return slice->empty(); });
    const char prefix[5] = {encoded ? '\1' : '\0', static_cast<char>(size >> 24),
                            static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                            static_cast<char>(size)};
    std::string framed;
    framed.reserve(sizeof prefix + head.size());
    framed.append(prefix, sizeof prefix).append(head);
    Queue({std::move(framed), std::move(slices)}, size + sizeof prefix);
    return true;
  }

  void Finish(GrpcStatus status, Headers own_trailers) override {
    CHECK_CONFINED(session.host_.loop());
    if (finished || dead || session.dead_) return;
    if (!session.server_ && !status.ok()) {
      session.Abort(*this, std::move(status), NGHTTP2_CANCEL);
      return;
    }
    finished = true;
    if (session.server_) {
      own_status = std::make_unique<GrpcStatus>(std::move(status));
      if (!own_trailers.empty()) trailers = std::make_unique<Headers>(std::move(own_trailers));
    }
    if (queued == 0) progress = session.now_;
    session.Resume(*this);
  }

  void Queue(OutMessage message, size_t size) {
    if (queue == nullptr) queue = std::make_unique<std::deque<OutMessage>>();
    if (queued == 0) progress = session.now_;
    queue->push_back(std::move(message));
    queued += size;
    above_low = above_low || queued > session.limits_.queue_low_bytes;
    session.Resume(*this);
  }

  void DropQueue() {
    queue.reset();
    queued = 0;
    part = 0;
    offset = 0;
  }

  // Copies the next `size` queued bytes.
  char* Gather(char* out, size_t size) {
    queued -= size;
    while (size > 0) {
      const OutMessage& message = queue->front();
      const std::string& bytes = part == 0 ? message.head : *message.slices[part - 1];
      const size_t count = std::min(size, bytes.size() - offset);
      std::memcpy(out, bytes.data() + offset, count);
      out += count;
      size -= count;
      offset += count;
      if (offset < bytes.size()) continue;
      offset = 0;
      if (part++ < message.slices.size()) continue;
      part = 0;
      queue->pop_front();
    }
    if (queue != nullptr && queue->empty()) queue.reset();
    return out;
  }

  // Where nghttp2 takes the queue from.
  nghttp2_data_provider Provider();

  Http2Session& session;
  int32_t id = 0;
  bool grpc = false;
  bool deferred = false;    // nghttp2 waits for Resume
  bool finished = false;    // nothing more will be queued
  bool end_sent = false;    // END_STREAM is out
  bool dead = false;        // reset by us, or refused
  bool responded = false;   // server, HTTP
  bool dispatched = false;  // server, HTTP: the handler has it
  bool too_large = false;   // headers
  bool encoded = false;     // client: messages are compressed
  bool answered = false;    // client: final response headers are here
  bool is_head = false;     // HTTP: the method is HEAD
  bool has_length = false;  // `need` is known
  bool above_low = false;
  bool half_closed = false;  // the peer sends no more
  int http_status = 0;       // client
  size_t header_bytes = 0;
  size_t header_count = 0;
  size_t drained = 0;   // bytes of an upload that was answered already
  size_t buffered = 0;  // counted in session.buffered_
  size_t need = 0;      // of the message that is being received
  std::string in;       // its prefix or its bytes
  runtime::Time began;
  runtime::Time deadline{};
  runtime::Time progress{};  // of sending
  BudgetShare in_share;      // `buffered` of it
  BudgetShare out_share;     // server, HTTP: the answer until it is sent

  std::unique_ptr<std::deque<OutMessage>> queue;  // made on demand: an empty deque costs 576 bytes
  size_t part = 0;
  size_t offset = 0;
  size_t queued = 0;

  std::unique_ptr<HttpRequest> request;      // server: until it is dispatched
  std::unique_ptr<Headers> headers;          // client: of the answer
  std::unique_ptr<Headers> trailers;         // client: received; server: own
  std::unique_ptr<GrpcStatus> own_status;    // server: of Finish
  std::unique_ptr<GrpcStatus> final_status;  // decided before the stream is closed
  std::unique_ptr<GrpcStreamHandler> handler;
  ResponseDone done;                        // client, HTTP
  std::shared_ptr<std::atomic<bool>> gone;  // server, HTTP
};

// nghttp2 copies names and values when they are submitted.
inline nghttp2_nv Pair(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

}  // namespace kuma::net::internal

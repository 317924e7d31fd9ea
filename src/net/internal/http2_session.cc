#include "net/internal/http2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/format.h"
#include "base/strings.h"
#include "net/internal/grpc_metadata.h"
#include "net/internal/http2_stream.h"

namespace kuma::net::internal {
namespace {

constexpr auto kGoawayGap = std::chrono::milliseconds(200);

}  // namespace

std::unique_ptr<Http2Session> Http2Session::MakeServer(const Limits& limits,
                                                       const ServerHooks& hooks, Peer peer,
                                                       SessionHost& host, FrameBuffer* frames,
                                                       runtime::Time now) {
  return std::unique_ptr<Http2Session>(
      new Http2Session(true, limits, hooks, std::move(peer), host, frames, now));
}

std::unique_ptr<Http2Session> Http2Session::MakeClient(const Limits& limits, Peer peer,
                                                       SessionHost& host, runtime::Time now) {
  static const ServerHooks kNoHooks;
  return std::unique_ptr<Http2Session>(
      new Http2Session(false, limits, kNoHooks, std::move(peer), host, nullptr, now));
}

Http2Session::~Http2Session() {
  OnDisconnected(base::Error(base::Code::kCancelled, "the connection was closed"));
  *self_ = nullptr;
  nghttp2_session_del(session_);
}

Http2Session::Stream* Http2Session::Find(int32_t id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.get();
}

bool Http2Session::AllowFrame(uint8_t type, uint8_t flags, size_t length) {
  switch (type) {
    case NGHTTP2_RST_STREAM: return !server_ || resets_.Take(now_);
    case NGHTTP2_PING:
      return ((flags & NGHTTP2_FLAG_ACK) != 0 && ping_outstanding_) || pings_.Take(now_);
    case NGHTTP2_SETTINGS: return settings_.Take(now_);
    case NGHTTP2_PRIORITY: return priorities_.Take(now_);
    case NGHTTP2_WINDOW_UPDATE: return window_updates_.Take(now_);
    case NGHTTP2_CONTINUATION: return continuations_.Take(now_);
    case NGHTTP2_DATA:
      return length != 0 || (flags & NGHTTP2_FLAG_END_STREAM) != 0 || empty_data_.Take(now_);
    case NGHTTP2_HEADERS: return true;  // bounded by the answers
    default: return other_frames_.Take(now_);
  }
}

// A peer that makes this side reset its streams opens more than it may have, as one that resets
// them itself ("made you reset").
void Http2Session::CountReset(uint32_t code) {
  const bool by_peer = code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
                       code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR ||
                       code == NGHTTP2_REFUSED_STREAM || code == NGHTTP2_INTERNAL_ERROR;
  if (server_ && by_peer && !resets_.Take(now_))
    Fail("too many streams with errors", NGHTTP2_ENHANCE_YOUR_CALM);
}

bool Http2Session::IsLate(uint8_t type, int32_t id) const {
  return server_ && type == NGHTTP2_HEADERS && id % 2 == 1 && id <= last_stream_ &&
         !streams_.contains(id) && std::find(reset_.begin(), reset_.end(), id) == reset_.end();
}

void Http2Session::RememberReset(int32_t id) {
  if (!server_) return;
  if (reset_.size() < kResetsRemembered) {
    reset_.push_back(id);
  } else {
    reset_[next_reset_++ % kResetsRemembered] = id;
  }
}

int Http2Session::Fail(std::string why, uint32_t code) {
  if (failure_.empty()) failure_ = std::move(why);
  nghttp2_session_terminate_session(session_, code);
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

bool Http2Session::Feed(std::string_view bytes, runtime::Time now) {
  now_ = now;
  heard_ = now;
  if (!failure_.empty() || dead_) return false;
  const ssize_t used = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  host_.WantWrite();
  if (used >= 0 && static_cast<size_t>(used) == bytes.size() && failure_.empty()) return true;
  if (failure_.empty()) {
    failure_ = used < 0 ? nghttp2_strerror(static_cast<int>(used)) : "the session stopped reading";
    if (used == NGHTTP2_ERR_FLOODED)
      nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
  }
  return false;
}

size_t Http2Session::Produce(std::span<char> out, runtime::Time now) {
  now_ = now;
  if (dead_) return 0;
  out_ = out.data();
  room_ = out.size();
  const auto put = [this](std::string_view bytes) {
    const size_t count = std::min(bytes.size(), room_);
    std::memcpy(out_, bytes.data(), count);
    out_ += count;
    room_ -= count;
    return bytes.substr(count);
  };
  unsent_.erase(0, unsent_.size() - put(unsent_).size());
  while (unsent_.empty() && room_ >= kMinRoom) {
    const char* before = out_;
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0 || (size == 0 && out_ == before)) break;
    if (size == 0) continue;  // DATA was written directly: look again
    unsent_ = put({reinterpret_cast<const char*>(bytes), static_cast<size_t>(size)});
  }
  out_ = nullptr;
  const size_t written = out.size() - room_;
  room_ = 0;
  for (const int32_t id : std::exchange(low_, {})) {
    Stream* stream = Find(id);
    if (stream != nullptr && stream->handler != nullptr && !stream->dead)
      stream->handler->OnQueueLow();
  }
  return written;
}

bool Http2Session::Finished() const {
  if (dead_) return true;
  return unsent_.empty() && nghttp2_session_want_read(session_) == 0 &&
         nghttp2_session_want_write(session_) == 0;
}

// The peer sends no more on this stream.
void Http2Session::OnEnd(Stream& stream) {
  stream.half_closed = true;
  if (stream.dead) return;
  if (server_) {
    if (stream.grpc) {
      if (stream.own_status != nullptr) return;
      if (stream.has_length || !stream.in.empty()) {
        Abort(stream, {GrpcCode::kInternal, "the stream ended within a message"},
              NGHTTP2_PROTOCOL_ERROR);
      } else {
        stream.handler->OnHalfClose();
      }
    } else if (stream.request != nullptr && !stream.responded) {
      DispatchRequest(stream);
    }
    return;
  }
  if (stream.grpc) {
    const Headers* fields =
        stream.trailers != nullptr ? stream.trailers.get() : stream.headers.get();
    const std::string* code = fields == nullptr ? nullptr : fields->Find("grpc-status");
    GrpcStatus status{GrpcCode::kUnknown, "the server sent no grpc-status"};
    if (stream.http_status != 200 && code == nullptr) status = StatusOfHttp(stream.http_status);
    if (code != nullptr) {
      const auto number = base::ParseUint(*code);
      const bool known = number.has_value() && *number <= 16;
      status.code = known ? static_cast<GrpcCode>(*number) : GrpcCode::kUnknown;
      status.message = DecodeGrpcMessage(fields->Get("grpc-message"));
    }
    if (status.ok() && (stream.has_length || !stream.in.empty())) {
      status = {GrpcCode::kInternal, "the stream ended within a message"};
    }
    auto metadata = std::make_unique<Headers>();
    if (fields != nullptr) DecodeMetadata(*fields, *metadata);
    stream.trailers = std::move(metadata);
    stream.final_status = std::make_unique<GrpcStatus>(std::move(status));
  } else if (stream.done) {
    HttpResponse response;
    response.status = stream.http_status;
    if (stream.headers != nullptr) response.headers = std::move(*stream.headers);
    response.body = std::move(stream.in);
    Buffer(stream, 0);
    const ResponseDone done = std::exchange(stream.done, nullptr);
    done(std::move(response));
  }
  // The answer is complete; whatever we still wanted to send, nobody reads.
  if (!stream.end_sent) {
    stream.dead = true;
    stream.DropQueue();
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_NO_ERROR);
    host_.WantWrite();
  }
}

void Http2Session::OnBody(Stream& stream, std::string_view bytes) {
  if (server_ && (stream.responded || stream.request == nullptr)) {
    stream.drained += bytes.size();
    if (stream.drained > limits_.body_bytes) {
      stream.dead = true;
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_NO_ERROR);
    }
    return;
  }
  std::string& body = server_ ? stream.request->body : stream.in;
  const bool small = body.size() + bytes.size() <= limits_.body_bytes;
  const bool full = small && !Buffer(stream, body.size() + bytes.size());
  if (small && !full) {
    body.append(bytes);
    return;
  }
  if (server_) {
    Respond(stream, {full ? 503 : 413,
                     {{"content-type", "text/plain"}},
                     full ? "too many requests are being received, try again\n"
                          : "the body is too large\n"});
    return;
  }
  stream.dead = true;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_CANCEL);
  if (const ResponseDone done = std::exchange(stream.done, nullptr)) {
    done(base::Unavailable("the answer is too large"));
  }
}

void Http2Session::OnMessageBytes(Stream& stream, std::string_view bytes) {
  while (!bytes.empty() && !stream.dead && stream.own_status == nullptr) {
    if (!stream.has_length) {
      const size_t count = std::min(bytes.size(), 5 - stream.in.size());
      stream.in.append(bytes.substr(0, count));
      bytes.remove_prefix(count);
      if (stream.in.size() < 5) return;
      const auto* prefix = reinterpret_cast<const uint8_t*>(stream.in.data());
      stream.need =
          size_t{prefix[1]} << 24 | size_t{prefix[2]} << 16 | size_t{prefix[3]} << 8 | prefix[4];
      const bool compressed = prefix[0] != 0;
      stream.in.clear();
      stream.has_length = true;
      if (compressed || stream.need > limits_.message_bytes) {
        GrpcStatus status =
            compressed ? GrpcStatus{GrpcCode::kUnimplemented, "compression is not supported"}
                       : GrpcStatus{GrpcCode::kResourceExhausted,
                                    base::Format("a message of {} bytes exceeds the limit of {}",
                                                 stream.need, limits_.message_bytes)};
        if (server_) {
          // What was queued before stays valid; the status follows it.
          static_cast<GrpcStream&>(stream).Finish(std::move(status));
        } else {
          Abort(stream, std::move(status), NGHTTP2_CANCEL);
        }
        return;
      }
      if (stream.need > 0) continue;
    }
    const size_t count = std::min(bytes.size(), stream.need - stream.in.size());
    const bool complete = stream.in.size() + count == stream.need;
    if (complete) stream.has_length = false;
    if (complete && stream.in.empty()) {  // the whole message is in this chunk: no copy
      const std::string_view message = bytes.substr(0, count);
      bytes.remove_prefix(count);
      stream.handler->OnMessage(message);
      continue;
    }
    if (!Buffer(stream, stream.in.size() + count)) {
      Abort(stream, {GrpcCode::kResourceExhausted, "too many bytes are buffered"},
            NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    stream.in.append(bytes.substr(0, count));
    bytes.remove_prefix(count);
    if (complete) {
      Buffer(stream, 0);
      std::string message;
      message.swap(stream.in);  // an idle stream holds no buffer
      stream.handler->OnMessage(message);
    }
  }
}

// False: the limit of the connection or of the server does not allow so many.
bool Http2Session::Buffer(Stream& stream, size_t bytes) {
  if (bytes > stream.buffered && buffered_ + (bytes - stream.buffered) > limits_.buffered_bytes) {
    return false;
  }
  if (!stream.in_share.Set(bytes)) return false;
  buffered_ += bytes - stream.buffered;
  stream.buffered = bytes;
  return true;
}

void Http2Session::Resume(Stream& stream) {
  if (stream.deferred) {
    stream.deferred = false;
    nghttp2_session_resume_data(session_, stream.id);
  }
  host_.WantWrite();
}

void Http2Session::Abort(Stream& stream, GrpcStatus status, uint32_t code) {
  stream.dead = true;
  stream.DropQueue();
  stream.final_status = std::make_unique<GrpcStatus>(std::move(status));
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, code);
  host_.WantWrite();
}

void Http2Session::Close(std::unique_ptr<Stream> stream, uint32_t code) {
  if (streams_.empty()) empty_since_ = now_;
  stream->dead = true;
  ended_answer_began_ = stream->http_status != 0;
  if (stream->done) {
    const ResponseDone done = std::exchange(stream->done, nullptr);
    done(base::Unavailable(code == NGHTTP2_NO_ERROR ? "the peer closed the stream without an answer"
                                                    : StatusOfReset(code).message));
  }
  if (stream->handler == nullptr) return;
  GrpcStatus status;
  if (stream->final_status != nullptr) {
    status = std::move(*stream->final_status);
  } else if (server_ && stream->own_status != nullptr && stream->end_sent) {
    status = std::move(*stream->own_status);
  } else if (server_) {
    status = {GrpcCode::kCancelled, StatusOfReset(code).message};
  } else if (stream->deadline != runtime::Time{} && now_ >= stream->deadline) {
    status = {GrpcCode::kDeadlineExceeded, "the deadline of the call has passed"};
  } else {
    status = StatusOfReset(code);
  }
  static const Headers kNone;
  const bool received = !server_ && stream->trailers != nullptr;
  stream->handler->OnClosed(status, received ? *stream->trailers : kNone);
}

void Http2Session::SweepStreams(runtime::Time now) {
  runtime::Time next{};
  for (const auto& [id, owned] : streams_) {
    Stream& stream = *owned;
    if (stream.dead) continue;
    if (stream.deadline > now && (next == runtime::Time{} || stream.deadline < next))
      next = stream.deadline;
    if (stream.deadline != runtime::Time{} && now >= stream.deadline && server_ &&
        stream.queued == 0) {
      static_cast<GrpcStream&>(stream).Finish(
          {GrpcCode::kDeadlineExceeded, "the deadline of the call has passed"});
    } else if (stream.deadline != runtime::Time{} && now >= stream.deadline) {
      Abort(stream, {GrpcCode::kDeadlineExceeded, "the deadline of the call has passed"},
            NGHTTP2_CANCEL);
    } else if (stream.queued > 0 && now - stream.progress >= limits_.stall_time) {
      // Its window is closed: the socket makes progress or is idle, so no timer of the socket would
      // see it.
      Abort(stream, {GrpcCode::kUnavailable, "the peer does not read"}, NGHTTP2_CANCEL);
    } else if (server_ && !stream.grpc && stream.request != nullptr && !stream.responded &&
               now - stream.began >= limits_.request_time) {
      Respond(stream,
              {408, {{"content-type", "text/plain"}}, "the request did not arrive in time\n"});
    } else if (server_ && !stream.grpc && stream.end_sent &&
               now - stream.began >= limits_.request_time) {
      stream.dead = true;  // answered long ago, and its upload does not end
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_NO_ERROR);
      host_.WantWrite();
    }
  }
  if (next != runtime::Time{}) host_.WakeAt(next);
}

bool Http2Session::OnTimer(runtime::Time now) {
  now_ = now;
  if (dead_) return false;
  if (!streams_.empty()) SweepStreams(now);
  if (final_goaway_at_ != runtime::Time{}) {
    if (now >= final_goaway_at_) {
      SendFinalGoaway();
    } else {
      host_.WakeAt(final_goaway_at_);
    }
  }
  if (ping_outstanding_) {
    if (now - ping_sent_ >= limits_.keepalive_timeout && heard_ < ping_sent_) {
      failure_ = "keepalive: the peer does not answer";
      return false;
    }
    if (heard_ > ping_sent_) ping_outstanding_ = false;
  } else if (now - heard_ >= limits_.keepalive_time) {
    ping_outstanding_ = true;
    ping_sent_ = now;
    nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
    host_.WantWrite();
  }
  if (server_ && streams_.empty() && !final_goaway_ && now - empty_since_ >= limits_.idle_time) {
    SendFinalGoaway();
  }
  return true;
}

bool Http2Session::IsCalm() const {
  return !dead_ && !ping_outstanding_ && final_goaway_at_ == runtime::Time{} &&
         std::all_of(streams_.begin(), streams_.end(), [](const auto& entry) {
           const Stream& stream = *entry.second;
           return stream.grpc && !stream.dead && stream.queued == 0 && !stream.end_sent &&
                  stream.deadline == runtime::Time{};
         });
}

void Http2Session::SendFinalGoaway() {
  final_goaway_at_ = {};
  if (std::exchange(final_goaway_, true)) return;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  host_.WantWrite();
}

void Http2Session::Drain(runtime::Time now) {
  now_ = now;
  if (std::exchange(draining_, true) || dead_) return;
  if (!server_ || streams_.empty()) {
    SendFinalGoaway();
    return;
  }
  // First a notice, so that requests on their way are still served; then the exact last one.
  nghttp2_submit_shutdown_notice(session_);
  final_goaway_at_ = now + kGoawayGap;
  host_.WakeAt(final_goaway_at_);
  host_.WantWrite();
  for (const auto& [id, stream] : streams_) {
    if (stream->handler != nullptr && !stream->dead) stream->handler->OnDrain();
  }
}

void Http2Session::DrainNow(runtime::Time now) {
  now_ = now;
  if (dead_) return;
  draining_ = true;
  SendFinalGoaway();
  for (const auto& [id, owned] : streams_) {
    Stream& stream = *owned;
    if (stream.dead) continue;
    if (!server_) {
      Abort(stream, {GrpcCode::kCancelled, "the client is shutting down"}, NGHTTP2_CANCEL);
    } else if (stream.grpc) {
      static_cast<GrpcStream&>(stream).Finish(
          {GrpcCode::kUnavailable, "the server is shutting down"});
    } else {
      Respond(stream, {503, {{"content-type", "text/plain"}}, "the server is shutting down\n"});
    }
  }
}

void Http2Session::OnDisconnected(const base::Error& why) {
  if (std::exchange(dead_, true)) return;
  auto streams = std::move(streams_);
  streams_.clear();
  for (auto& [id, stream] : streams) {
    stream->dead = true;
    ended_answer_began_ = stream->http_status != 0;
    if (stream->done) {
      const ResponseDone done = std::exchange(stream->done, nullptr);
      done(why);
    }
    if (stream->handler == nullptr) continue;
    GrpcStatus status = ToGrpcStatus(why);
    if (stream->final_status != nullptr) status = std::move(*stream->final_status);
    if (server_ && stream->own_status != nullptr && stream->end_sent) status = *stream->own_status;
    stream->handler->OnClosed(status, {});
  }
}

}  // namespace kuma::net::internal

// What nghttp2 calls: frames in, frames out.

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/check.h"
#include "base/format.h"
#include "net/internal/grpc_metadata.h"
#include "net/internal/http2_memory.h"
#include "net/internal/http2_session.h"
#include "net/internal/http2_stream.h"

namespace kuma::net::internal {
namespace {

constexpr size_t kFrameHeader = 9;

std::string_view View(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

struct Http2Session::Callbacks {
  static Http2Session& Self(void* user) { return *static_cast<Http2Session*>(user); }

  static int BeginFrame(nghttp2_session*, const nghttp2_frame_hd* header, void* user) {
    Http2Session& self = Self(user);
    if (!self.AllowFrame(header->type, header->flags, header->length)) {
      return self.Fail(base::Format("too many frames of type {}", header->type),
                       NGHTTP2_ENHANCE_YOUR_CALM);
    }
    // nghttp2 ignores both: the first without memory of closed streams, the second because
    // priorities are switched off. (DATA of such a stream it drops before it asks; RFC 9113
    // allows.)
    if (self.IsLate(header->type, header->stream_id)) {
      return self.Fail("a frame of a stream that has ended", NGHTTP2_STREAM_CLOSED);
    }
    if (header->type == NGHTTP2_PRIORITY && header->stream_id == 0) {
      return self.Fail("PRIORITY of the connection", NGHTTP2_PROTOCOL_ERROR);
    }
    return 0;
  }

  static int BeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Session& self = Self(user);
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      auto stream = std::make_unique<Stream>(self, self.now_);
      stream->id = frame->hd.stream_id;
      self.last_stream_ = frame->hd.stream_id;
      stream->request = std::make_unique<HttpRequest>();
      stream->request->method.clear();
      stream->request->target.clear();
      self.streams_[frame->hd.stream_id] = std::move(stream);
    } else if (Stream* stream = self.Find(frame->hd.stream_id);
               stream != nullptr && !self.server_) {
      // Informational responses are followed by another one, the final one by trailers.
      if (!stream->answered) {
        stream->headers = std::make_unique<Headers>();
        stream->http_status = 0;
      } else {
        stream->trailers = std::make_unique<Headers>();
      }
    }
    return 0;
  }

  static int Header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name_bytes,
                    size_t name_size, const uint8_t* value_bytes, size_t value_size, uint8_t,
                    void* user) {
    Http2Session& self = Self(user);
    Stream* stream = self.Find(frame->hd.stream_id);
    if (stream == nullptr) return 0;
    const std::string_view name = View(name_bytes, name_size);
    const std::string_view value = View(value_bytes, value_size);
    stream->header_bytes += name_size + value_size + 32;
    // nghttp2 announces SETTINGS_MAX_HEADER_LIST_SIZE and does not enforce it.
    if (stream->header_bytes > self.limits_.header_bytes ||
        ++stream->header_count > self.limits_.header_count + 4) {
      stream->too_large = true;
      return stream->header_bytes > 8 * self.limits_.header_bytes || !self.server_
                 ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
                 : 0;
    }
    if (self.server_) {
      // Trailers of a request are dropped: they must not pass for headers.
      if (frame->headers.cat == NGHTTP2_HCAT_REQUEST && stream->request != nullptr) {
        SetRequestHeader(*stream->request, name, value);
      }
      return 0;
    }
    if (name == ":status") {
      std::from_chars(value.data(), value.data() + value.size(), stream->http_status);
    } else if (!name.starts_with(':')) {
      (stream->answered ? *stream->trailers : *stream->headers).Add(name, std::string(value));
    }
    return 0;
  }

  static void SetRequestHeader(HttpRequest& request, std::string_view name,
                               std::string_view value) {
    if (name == ":method") {
      request.method = value;
    } else if (name == ":path") {
      request.target = value;
    } else if (name == ":authority") {
      request.authority = value;
    } else if (!name.starts_with(':')) {
      request.headers.Add(name, std::string(value));
    }
  }

  static int FrameReceived(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Session& self = Self(user);
    const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) self.ready_ = true;
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) self.ping_outstanding_ = false;
        break;
      case NGHTTP2_HEADERS: {
        Stream* stream = self.Find(frame->hd.stream_id);
        if (stream == nullptr) break;
        if (!self.server_) {
          self.OnAnswerHeaders(*stream, end);
        } else if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
          self.OnRequestHeaders(*stream, end);
        } else if (end) {
          self.OnEnd(*stream);
        }
        break;
      }
      case NGHTTP2_DATA: {
        Stream* stream = self.Find(frame->hd.stream_id);
        if (stream != nullptr && end) self.OnEnd(*stream);
        break;
      }
      default: break;
    }
    return 0;
  }

  // Such as a stream beyond the limit: it is reset, and the peer cannot know yet.
  static int InvalidFrame(nghttp2_session*, const nghttp2_frame* frame, int, void* user) {
    if (frame->hd.type == NGHTTP2_HEADERS) Self(user).RememberReset(frame->hd.stream_id);
    return 0;
  }

  static int DataChunk(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes,
                       size_t size, void* user) {
    Http2Session& self = Self(user);
    Stream* stream = self.Find(id);
    if (stream != nullptr && !stream->dead) {
      if (stream->grpc) {
        self.OnMessageBytes(*stream, View(bytes, size));
      } else {
        self.OnBody(*stream, View(bytes, size));
      }
    }
    // Given back as bytes arrive: a message larger than the window would otherwise never be
    // complete.
    nghttp2_session_consume(session, id, size);
    return 0;
  }

  static int StreamClosed(nghttp2_session*, int32_t id, uint32_t code, void* user) {
    Http2Session& self = Self(user);
    auto node = self.streams_.extract(id);
    if (!node.empty()) self.Close(std::move(node.mapped()), code);
    return 0;
  }

  // Must not be 0 or less; there is always room for kMinRoom when nghttp2 asks.
  static ssize_t ReadLength(nghttp2_session*, uint8_t, int32_t, int32_t connection_window,
                            int32_t stream_window, uint32_t max_frame, void* user) {
    const size_t room = std::max(Self(user).room_, kMinRoom) - kFrameHeader;
    const int64_t length =
        std::min({static_cast<int64_t>(room), static_cast<int64_t>(connection_window),
                  static_cast<int64_t>(stream_window), static_cast<int64_t>(max_frame)});
    return static_cast<ssize_t>(std::max<int64_t>(length, 1));
  }

  static ssize_t Read(nghttp2_session* session, int32_t id, uint8_t*, size_t size, uint32_t* flags,
                      nghttp2_data_source* source, void*) {
    Stream& stream = *static_cast<Stream*>(source->ptr);
    const size_t count = std::min(size, stream.queued);
    if (stream.dead || (count == 0 && !stream.finished)) {
      stream.deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (stream.finished && count == stream.queued) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (stream.own_status != nullptr) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        SubmitTrailers(session, id, stream);
      }
    }
    return static_cast<ssize_t>(count);
  }

  static void SubmitTrailers(nghttp2_session* session, int32_t id, const Stream& stream) {
    Headers fields;
    fields.Add("grpc-status", std::to_string(static_cast<int>(stream.own_status->code)));
    if (!stream.own_status->message.empty()) {
      fields.Add("grpc-message", EncodeGrpcMessage(stream.own_status->message));
    }
    if (stream.trailers != nullptr) AppendMetadata(*stream.trailers, fields);
    std::vector<nghttp2_nv> pairs;
    for (const auto& [name, value] : fields) pairs.push_back(Pair(name, value));
    nghttp2_submit_trailer(session, id, pairs.data(), pairs.size());
  }

  static int SendData(nghttp2_session*, nghttp2_frame*, const uint8_t* header, size_t size,
                      nghttp2_data_source* source, void* user) {
    Http2Session& self = Self(user);
    Stream& stream = *static_cast<Stream*>(source->ptr);
    // ReadLength has seen to it. Waiting is no way out: the header is in the frame buffer.
    if (self.room_ < kFrameHeader + size) return NGHTTP2_ERR_CALLBACK_FAILURE;
    std::memcpy(self.out_, header, kFrameHeader);
    self.out_ = stream.Gather(self.out_ + kFrameHeader, size);
    self.room_ -= kFrameHeader + size;
    stream.progress = self.now_;
    // An honest peer answers DATA with WINDOW_UPDATE, and with PING to measure the bandwidth.
    self.window_updates_.Earn(2);
    self.pings_.Earn(2);
    if (stream.above_low && stream.queued <= self.limits_.queue_low_bytes) {
      stream.above_low = false;
      self.low_.push_back(stream.id);
    }
    // nghttp2 loops over such frames by itself: stop it before the buffer is full.
    return self.room_ < kMinRoom ? NGHTTP2_ERR_PAUSE : 0;
  }

  static int FrameSent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    Http2Session& self = Self(user);
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
      self.RememberReset(frame->hd.stream_id);
      self.CountReset(frame->rst_stream.error_code);
    }
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) return 0;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    Stream* stream = self.Find(frame->hd.stream_id);
    if (stream == nullptr) return 0;
    stream->end_sent = true;
    // A gRPC client that still sends is told that nobody listens, as other servers do. An HTTP
    // upload is read to its end instead: some clients turn the early response into an error
    // otherwise.
    if (self.server_ && stream->grpc &&
        nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
  }

  static nghttp2_session_callbacks* Make() {
    nghttp2_session_callbacks* all = nullptr;
    CHECK(nghttp2_session_callbacks_new(&all) == 0, "out of memory");
    nghttp2_session_callbacks_set_on_begin_frame_callback(all, BeginFrame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(all, BeginHeaders);
    nghttp2_session_callbacks_set_on_header_callback(all, Header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(all, FrameReceived);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(all, InvalidFrame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(all, DataChunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(all, StreamClosed);
    nghttp2_session_callbacks_set_data_source_read_length_callback(all, ReadLength);
    nghttp2_session_callbacks_set_send_data_callback(all, SendData);
    nghttp2_session_callbacks_set_on_frame_send_callback(all, FrameSent);
    return all;
  }

  static nghttp2_data_provider Provider(Stream& stream) {
    nghttp2_data_provider provider{};
    provider.source.ptr = &stream;
    provider.read_callback = Read;
    return provider;
  }
};

Http2Session::Http2Session(bool server, const Limits& limits, const ServerHooks& hooks, Peer peer,
                           SessionHost& host, FrameBuffer* frames, runtime::Time now)
    : server_(server),
      limits_(limits),
      hooks_(hooks),
      peer_(std::move(peer)),
      host_(host),
      memory_{frames},
      self_(std::make_shared<Http2Session*>(this)),
      now_(now),
      heard_(now),
      empty_since_(now),
      resets_(limits.resets),
      pings_(limits.pings),
      settings_(limits.settings),
      priorities_(limits.priorities),
      window_updates_(limits.window_updates),
      empty_data_(limits.empty_data),
      continuations_(limits.continuations),
      other_frames_(limits.other_frames) {
  nghttp2_session_callbacks* callbacks = Callbacks::Make();
  nghttp2_option* option = nullptr;
  CHECK(nghttp2_option_new(&option) == 0, "out of memory");
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_deflate_dynamic_table_size(option, limits.header_table_bytes);
  nghttp2_option_set_max_outbound_ack(option, 64);
  nghttp2_mem memory = MemoryOf(&memory_);
  const int made = (server ? nghttp2_session_server_new3 : nghttp2_session_client_new3)(
      &session_, callbacks, this, option, &memory);
  CHECK(made == 0, "out of memory");
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry entries[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.concurrent_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.stream_window_bytes},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(limits.header_bytes)},
      {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, limits.header_table_bytes},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries, server ? 5 : 6);
  if (limits.connection_window_bytes > NGHTTP2_INITIAL_CONNECTION_WINDOW_SIZE) {
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                          static_cast<int32_t>(limits.connection_window_bytes));
  }
}

nghttp2_data_provider Http2Session::Stream::Provider() { return Callbacks::Provider(*this); }

}  // namespace kuma::net::internal

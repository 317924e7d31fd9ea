#include "net/internal/http2_session.h"

#include <nghttp2/nghttp2.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <new>
#include <utility>

#include "base/check.h"
#include "base/format.h"
#include "base/strings.h"

namespace kuma::net::internal {
namespace {

constexpr size_t kFrameHeader = 9;
constexpr size_t kFrameBuffer = 16384;  // what nghttp2 allocates per session, and a bit more
constexpr size_t kMinRoom = 521;  // a frame header and a worthwhile piece of DATA
constexpr auto kGoawayGap = std::chrono::milliseconds(200);

// nghttp2's memory. Each block carries its origin in front, so that freeing needs no lookup.
struct alignas(16) BlockHeader {
  uint64_t from_slab;
  uint64_t size;
};

void* Allocate(size_t size, void* user) {
  auto* pages = static_cast<PageSlab*>(user);
  const bool slab = pages != nullptr && size >= kFrameBuffer &&
                    size + sizeof(BlockHeader) <= PageSlab::kSlotBytes;
  void* block = slab ? pages->Get() : std::malloc(size + sizeof(BlockHeader));
  if (block == nullptr) return nullptr;
  new (block) BlockHeader{slab ? 1u : 0u, size};
  return static_cast<char*>(block) + sizeof(BlockHeader);
}

void Free(void* memory, void* user) {
  if (memory == nullptr) return;
  auto* header = reinterpret_cast<BlockHeader*>(static_cast<char*>(memory) - sizeof(BlockHeader));
  if (header->from_slab != 0) {
    static_cast<PageSlab*>(user)->Put(header);
  } else {
    std::free(header);
  }
}

void* AllocateZeroed(size_t count, size_t size, void* user) {
  if (size != 0 && count > SIZE_MAX / 2 / size) return nullptr;
  void* memory = Allocate(count * size, user);
  if (memory != nullptr) std::memset(memory, 0, count * size);
  return memory;
}

void* Reallocate(void* memory, size_t size, void* user) {
  if (memory == nullptr) return Allocate(size, user);
  auto* header = reinterpret_cast<BlockHeader*>(static_cast<char*>(memory) - sizeof(BlockHeader));
  void* fresh = Allocate(size, user);
  if (fresh == nullptr) return nullptr;
  std::memcpy(fresh, memory, std::min<size_t>(size, header->size));
  Free(memory, user);
  return fresh;
}

std::string_view View(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// nghttp2 copies names and values when they are submitted.
nghttp2_nv Pair(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

bool IsGrpcType(std::string_view content_type) {
  static constexpr std::string_view kType = "application/grpc";
  return content_type.starts_with(kType) &&
         (content_type.size() == kType.size() || content_type[kType.size()] == '+' ||
          content_type[kType.size()] == ';');
}

bool IsReservedMetadata(std::string_view name) {
  return IsHopByHop(name) || name == "content-type" || name == "host" ||
         (name.starts_with("grpc-") && !name.ends_with("-bin"));
}

std::string Cleaned(const std::string& value) {
  return std::string(base::Trim(CleanHeaderValue(value)));
}

// Metadata of ours as it goes over the wire.
void AppendMetadata(const Headers& metadata, Headers& out) {
  for (const auto& [name, value] : metadata) {
    if (!IsHeaderName(name) || IsReservedMetadata(name)) continue;
    if (name.ends_with("-bin")) {
      std::string encoded = base::EncodeBase64(value);
      while (encoded.ends_with('=')) encoded.pop_back();
      out.Add(name, std::move(encoded));
    } else {
      out.Add(name, Cleaned(value));
    }
  }
}

// One received value; a binary one may be a list. False: not base64.
bool AddReceived(std::string_view name, std::string_view value, Headers& out) {
  if (!name.ends_with("-bin")) {
    out.Add(name, std::string(value));
    return true;
  }
  for (const std::string& part : base::Split(value, ',')) {
    std::string padded(base::Trim(part));
    while (padded.size() % 4 != 0) padded += '=';
    auto decoded = base::DecodeBase64(padded);
    if (!decoded.has_value()) return false;
    out.Add(name, *std::move(decoded));
  }
  return true;
}

bool DecodeMetadata(const Headers& received, Headers& out) {
  for (const auto& [name, value] : received) {
    if (IsReservedMetadata(name)) continue;
    if (!AddReceived(name, value, out)) return false;
  }
  return true;
}

GrpcStatus StatusOfHttp(int status) {
  std::string message = base::Format("HTTP status {} instead of gRPC", status);
  switch (status) {
    case 400: return {GrpcCode::kInternal, std::move(message)};
    case 401: return {GrpcCode::kUnauthenticated, std::move(message)};
    case 403: return {GrpcCode::kPermissionDenied, std::move(message)};
    case 404: return {GrpcCode::kUnimplemented, std::move(message)};
    case 429:
    case 502:
    case 503:
    case 504: return {GrpcCode::kUnavailable, std::move(message)};
    default: return {GrpcCode::kUnknown, std::move(message)};
  }
}

GrpcStatus StatusOfReset(uint32_t code) {
  std::string message =
      base::Format("the peer reset the stream ({})", nghttp2_http2_strerror(code));
  switch (code) {
    case NGHTTP2_REFUSED_STREAM: return {GrpcCode::kUnavailable, std::move(message)};
    case NGHTTP2_CANCEL: return {GrpcCode::kCancelled, std::move(message)};
    case NGHTTP2_ENHANCE_YOUR_CALM: return {GrpcCode::kResourceExhausted, std::move(message)};
    case NGHTTP2_INADEQUATE_SECURITY: return {GrpcCode::kPermissionDenied, std::move(message)};
    default: return {GrpcCode::kInternal, std::move(message)};
  }
}

struct OutMessage {
  std::string head;
  std::vector<Slice> slices;
};

}  // namespace

// One exchange of either kind and role.
//
//   server, HTTP:  headers -> body -> with the handler -> response -> closed
//   server, gRPC:  headers -> accepted: messages both ways -> trailers -> closed
//   client:        request -> [headers -> body or messages] -> trailers -> closed
struct Http2Session::Stream final : GrpcStream {
  Stream(Http2Session& owner, runtime::Time now) : session(owner), began(now) {}
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
    const char prefix[5] = {0, static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                            static_cast<char>(size >> 8), static_cast<char>(size)};
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

  Http2Session& session;
  int32_t id = 0;
  bool grpc = false;
  bool deferred = false;          // nghttp2 waits for Resume
  bool finished = false;          // nothing more will be queued
  bool end_sent = false;          // END_STREAM is out
  bool dead = false;              // reset by us, or refused
  bool responded = false;         // server, HTTP
  bool dispatched = false;        // server, HTTP: the handler has it
  bool too_large = false;         // headers
  bool answered = false;          // client: final response headers are here
  bool is_head = false;           // HTTP: the method is HEAD
  bool has_length = false;        // `need` is known
  bool above_low = false;
  bool half_closed = false;       // the peer sends no more
  int http_status = 0;            // client
  size_t header_bytes = 0;
  size_t header_count = 0;
  size_t drained = 0;             // bytes of an upload that was answered already
  size_t buffered = 0;            // counted in session.buffered_
  size_t need = 0;                // of the message that is being received
  std::string in;                 // its prefix or its bytes
  runtime::Time began;
  runtime::Time deadline{};
  runtime::Time progress{};       // of sending

  std::unique_ptr<std::deque<OutMessage>> queue;  // made on demand: an empty deque costs 576 bytes
  size_t part = 0;
  size_t offset = 0;
  size_t queued = 0;

  std::unique_ptr<HttpRequest> request;        // server: until it is dispatched
  std::unique_ptr<Headers> headers;            // client: of the answer
  std::unique_ptr<Headers> trailers;           // client: received; server: own
  std::unique_ptr<GrpcStatus> own_status;      // server: of Finish
  std::unique_ptr<GrpcStatus> final_status;    // decided before the stream is closed
  std::unique_ptr<GrpcStreamHandler> handler;
  ResponseDone done;                           // client, HTTP
  std::shared_ptr<std::atomic<bool>> gone;     // server, HTTP
};

struct Http2Session::Callbacks {
  static Http2Session& Self(void* user) { return *static_cast<Http2Session*>(user); }

  static int BeginFrame(nghttp2_session*, const nghttp2_frame_hd* header, void* user) {
    Http2Session& self = Self(user);
    if (self.AllowFrame(header->type, header->flags, header->length)) return 0;
    return self.Fail(base::Format("too many frames of type {}", header->type),
                     NGHTTP2_ENHANCE_YOUR_CALM);
  }

  static int BeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Session& self = Self(user);
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      auto stream = std::make_unique<Stream>(self, self.now_);
      stream->id = frame->hd.stream_id;
      stream->request = std::make_unique<HttpRequest>();
      stream->request->method.clear();
      stream->request->target.clear();
      self.streams_[frame->hd.stream_id] = std::move(stream);
    } else if (Stream* stream = self.Find(frame->hd.stream_id); stream != nullptr && !self.server_) {
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
                    size_t name_size, const uint8_t* value_bytes, size_t value_size, uint8_t, void* user) {
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

  static void SetRequestHeader(HttpRequest& request, std::string_view name, std::string_view value) {
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

  static int DataChunk(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes, size_t size,
                       void* user) {
    Http2Session& self = Self(user);
    Stream* stream = self.Find(id);
    if (stream != nullptr && !stream->dead) {
      if (stream->grpc) {
        self.OnMessageBytes(*stream, View(bytes, size));
      } else {
        self.OnBody(*stream, View(bytes, size));
      }
    }
    // Given back as bytes arrive: a message larger than the window would otherwise never be complete.
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
    const int64_t length = std::min({static_cast<int64_t>(room), static_cast<int64_t>(connection_window),
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
    if (self.room_ < kFrameHeader + size) return NGHTTP2_ERR_WOULDBLOCK;
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
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) return 0;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    Stream* stream = self.Find(frame->hd.stream_id);
    if (stream == nullptr) return 0;
    stream->end_sent = true;
    // A gRPC client that still sends is told that nobody listens, as other servers do. An HTTP upload is read
    // to its end instead: some clients turn the early response into an error otherwise.
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
                           SessionHost& host, PageSlab* pages, runtime::Time now)
    : server_(server),
      limits_(limits),
      hooks_(hooks),
      peer_(std::move(peer)),
      host_(host),
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
      continuations_(limits.continuations) {
  nghttp2_session_callbacks* callbacks = Callbacks::Make();
  nghttp2_option* option = nullptr;
  CHECK(nghttp2_option_new(&option) == 0, "out of memory");
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_deflate_dynamic_table_size(option, limits.header_table_bytes);
  nghttp2_option_set_max_outbound_ack(option, 64);
  nghttp2_mem memory{pages, Allocate, Free, AllocateZeroed, Reallocate};
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

std::unique_ptr<Http2Session> Http2Session::MakeServer(const Limits& limits, const ServerHooks& hooks,
                                                       Peer peer, SessionHost& host, PageSlab* pages,
                                                       runtime::Time now) {
  return std::unique_ptr<Http2Session>(
      new Http2Session(true, limits, hooks, std::move(peer), host, pages, now));
}

std::unique_ptr<Http2Session> Http2Session::MakeClient(const Limits& limits, Peer peer, SessionHost& host,
                                                       PageSlab* pages, runtime::Time now) {
  static const ServerHooks kNoHooks;
  return std::unique_ptr<Http2Session>(
      new Http2Session(false, limits, kNoHooks, std::move(peer), host, pages, now));
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
    case NGHTTP2_PING: return (flags & NGHTTP2_FLAG_ACK) != 0 || pings_.Take(now_);
    case NGHTTP2_SETTINGS: return settings_.Take(now_);
    case NGHTTP2_PRIORITY: return priorities_.Take(now_);
    case NGHTTP2_WINDOW_UPDATE: return window_updates_.Take(now_);
    case NGHTTP2_CONTINUATION: return continuations_.Take(now_);
    case NGHTTP2_DATA:
      return length != 0 || (flags & NGHTTP2_FLAG_END_STREAM) != 0 || empty_data_.Take(now_);
    default: return true;
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
    if (used == NGHTTP2_ERR_FLOODED) nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
  }
  return false;
}

size_t Http2Session::Produce(std::span<char> out, runtime::Time now) {
  now_ = now;
  if (dead_) return 0;
  out_ = out.data();
  room_ = out.size();
  while (true) {
    if (pending_bytes_ > 0) {
      const size_t count = std::min(pending_bytes_, room_);
      std::memcpy(out_, pending_, count);
      out_ += count;
      room_ -= count;
      pending_ += count;
      pending_bytes_ -= count;
      if (pending_bytes_ > 0) break;
    }
    if (room_ < kMinRoom) break;
    const char* before = out_;
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) break;
    if (size == 0) {
      if (out_ == before) break;
      continue;  // DATA was written directly: look again
    }
    pending_ = bytes;
    pending_bytes_ = static_cast<size_t>(size);
  }
  out_ = nullptr;
  const size_t written = out.size() - room_;
  room_ = 0;
  for (const int32_t id : std::exchange(low_, {})) {
    Stream* stream = Find(id);
    if (stream != nullptr && stream->handler != nullptr && !stream->dead) stream->handler->OnQueueLow();
  }
  return written;
}

bool Http2Session::Finished() const {
  if (dead_) return true;
  return pending_bytes_ == 0 && nghttp2_session_want_read(session_) == 0 &&
         nghttp2_session_want_write(session_) == 0;
}

void Http2Session::OnRequestHeaders(Stream& stream, bool end) {
  HttpRequest& request = *stream.request;
  if (request.authority.empty()) request.authority = std::string(request.headers.Get("host"));
  stream.half_closed = end;
  stream.grpc = IsGrpcType(request.headers.Get("content-type"));
  if (stream.grpc) return AcceptCall(stream, end);
  if (stream.too_large) {
    return Respond(stream, {431, {{"content-type", "text/plain"}}, "headers are too large\n"});
  }
  if (!ParseTarget(request.target, request) || request.method == "CONNECT") {
    const int status = request.method == "CONNECT" ? 501 : 400;
    return Respond(stream, {status, {{"content-type", "text/plain"}}, "malformed request target\n"});
  }
  if (base::EqualsIgnoreCase(request.headers.Get("expect"), "100-continue") && !end) {
    const nghttp2_nv pairs[] = {Pair(":status", "100")};
    nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id, nullptr, pairs, 1, nullptr);
  }
  if (end) DispatchRequest(stream);
}

void Http2Session::AcceptCall(Stream& stream, bool end) {
  const auto request = std::move(stream.request);
  if (stream.too_large) {
    return RefuseCall(stream, {GrpcCode::kResourceExhausted, "the metadata is too large"});
  }
  if (request->method != "POST") return RefuseCall(stream, {GrpcCode::kInternal, "the method must be POST"});
  const std::string_view encoding = request->headers.Get("grpc-encoding");
  if (!encoding.empty() && encoding != "identity") {
    return RefuseCall(stream, {GrpcCode::kUnimplemented,
                               base::Format("compression \"{}\" is not supported", encoding)});
  }
  GrpcRequest call;
  call.path = std::move(request->target);
  call.authority = std::move(request->authority);
  call.peer = peer_;
  if (!DecodeMetadata(request->headers, call.metadata)) {
    return RefuseCall(stream, {GrpcCode::kInternal, "binary metadata is not base64"});
  }
  if (const std::string* timeout = request->headers.Find("grpc-timeout")) {
    call.timeout = ParseGrpcTimeout(*timeout);
    if (!call.timeout.has_value()) {
      return RefuseCall(stream, {GrpcCode::kInternal, "malformed grpc-timeout"});
    }
  }
  if (hooks_.grpc == nullptr) return RefuseCall(stream, {GrpcCode::kUnimplemented, "no gRPC is served here"});
  if (draining_) return RefuseCall(stream, {GrpcCode::kUnavailable, "the server is shutting down"});
  GrpcAnswer answer = hooks_.grpc(call);
  if (answer.handler == nullptr) return RefuseCall(stream, answer.refusal);
  stream.handler = std::move(answer.handler);
  const nghttp2_nv pairs[] = {Pair(":status", "200"), Pair("content-type", "application/grpc"),
                              Pair("grpc-accept-encoding", "identity")};
  const nghttp2_data_provider provider = Callbacks::Provider(stream);
  nghttp2_submit_response(session_, stream.id, pairs, 3, &provider);
  if (call.timeout.has_value()) {
    stream.deadline = now_ + *call.timeout;
    host_.WakeAt(stream.deadline);
  }
  host_.WantWrite();
  stream.handler->OnStart(stream);
  if (end) OnEnd(stream);
}

void Http2Session::RefuseCall(Stream& stream, const GrpcStatus& status) {
  stream.dead = true;
  const std::string code = std::to_string(static_cast<int>(status.code));
  const std::string message = EncodeGrpcMessage(status.message);
  const nghttp2_nv pairs[] = {Pair(":status", "200"), Pair("content-type", "application/grpc"),
                              Pair("grpc-status", code), Pair("grpc-message", message)};
  nghttp2_submit_response(session_, stream.id, pairs, message.empty() ? 3 : 4, nullptr);
  host_.WantWrite();
}

void Http2Session::DispatchRequest(Stream& stream) {
  stream.dispatched = true;
  HttpRequest request = std::move(*stream.request);
  stream.request.reset();
  Buffer(stream, 0);
  request.version = HttpVersion::kHttp2;
  request.scheme = peer_.tls ? "https" : "http";
  request.peer = peer_;
  stream.is_head = request.method == "HEAD";
  stream.gone = std::make_shared<std::atomic<bool>>(false);
  HttpResponder responder(
      [poster = host_.poster(), self = std::weak_ptr<Http2Session*>(self_),
       id = stream.id](HttpResponse response) {
        poster([self, id, response = std::move(response)]() mutable {
          const auto alive = self.lock();
          if (alive == nullptr || *alive == nullptr) return;
          Http2Session& session = **alive;
          if (Stream* found = session.Find(id)) session.Respond(*found, std::move(response));
        });
      },
      stream.gone);
  if (hooks_.http == nullptr) {
    responder.Send({404, {{"content-type", "text/plain"}}, "nothing is served here\n"});
    return;
  }
  hooks_.http(std::move(request), std::move(responder));
}

void Http2Session::Respond(Stream& stream, HttpResponse response) {
  if (stream.responded || stream.dead || dead_) return;
  stream.responded = true;
  const bool head = stream.is_head || (stream.request != nullptr && stream.request->method == "HEAD");
  stream.request.reset();
  stream.gone.reset();
  Buffer(stream, 0);
  const bool bodiless = response.status < 200 || response.status == 204 || response.status == 304;
  const std::string status = std::to_string(response.status);
  const std::string length = std::to_string(response.body.size());
  Headers fields;
  for (const auto& [name, value] : response.headers) {
    if (IsHeaderName(name) && !IsHopByHop(name)) fields.Add(name, Cleaned(value));
  }
  std::vector<nghttp2_nv> pairs{Pair(":status", status)};
  for (const auto& [name, value] : fields) pairs.push_back(Pair(name, value));
  if (!bodiless) pairs.push_back(Pair("content-length", length));
  stream.finished = true;
  if (head || bodiless || response.body.empty()) {
    nghttp2_submit_response(session_, stream.id, pairs.data(), pairs.size(), nullptr);
  } else {
    const size_t size = response.body.size();
    stream.Queue({std::move(response.body), {}}, size);
    const nghttp2_data_provider provider = Callbacks::Provider(stream);
    nghttp2_submit_response(session_, stream.id, pairs.data(), pairs.size(), &provider);
  }
  host_.WantWrite();
}

void Http2Session::OnAnswerHeaders(Stream& stream, bool end) {
  if (!stream.answered && stream.http_status >= 200) {
    stream.answered = true;
    if (stream.grpc && !end) {
      if (stream.http_status != 200) {
        Abort(stream, StatusOfHttp(stream.http_status), NGHTTP2_CANCEL);
        return;
      }
      if (!IsGrpcType(stream.headers->Get("content-type"))) {
        Abort(stream, {GrpcCode::kUnknown, "the answer is not gRPC"}, NGHTTP2_CANCEL);
        return;
      }
      const std::string_view encoding = stream.headers->Get("grpc-encoding");
      if (!encoding.empty() && encoding != "identity") {
        Abort(stream, {GrpcCode::kUnimplemented, "compression is not supported"}, NGHTTP2_CANCEL);
        return;
      }
      Headers metadata;
      if (!DecodeMetadata(*stream.headers, metadata)) {
        Abort(stream, {GrpcCode::kInternal, "binary metadata is not base64"}, NGHTTP2_CANCEL);
        return;
      }
      stream.headers.reset();
      stream.handler->OnHeaders(metadata);
    }
  }
  if (end) OnEnd(stream);
}

// The peer sends no more on this stream.
void Http2Session::OnEnd(Stream& stream) {
  stream.half_closed = true;
  if (stream.dead) return;
  if (server_) {
    if (stream.grpc) {
      if (stream.own_status != nullptr) return;
      if (stream.has_length || !stream.in.empty()) {
        Abort(stream, {GrpcCode::kInternal, "the stream ended within a message"}, NGHTTP2_PROTOCOL_ERROR);
      } else {
        stream.handler->OnHalfClose();
      }
    } else if (stream.request != nullptr && !stream.responded) {
      DispatchRequest(stream);
    }
    return;
  }
  if (stream.grpc) {
    const Headers* fields = stream.trailers != nullptr ? stream.trailers.get() : stream.headers.get();
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
  const bool full = buffered_ + bytes.size() > limits_.buffered_bytes;
  if (!full && body.size() + bytes.size() <= limits_.body_bytes) {
    body.append(bytes);
    Buffer(stream, body.size());
    return;
  }
  if (server_) {
    Respond(stream, {full ? 503 : 413, {{"content-type", "text/plain"}}, "the body is too large\n"});
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
      stream.need = size_t{prefix[1]} << 24 | size_t{prefix[2]} << 16 | size_t{prefix[3]} << 8 | prefix[4];
      const bool compressed = prefix[0] != 0;
      stream.in.clear();
      stream.has_length = true;
      if (compressed || stream.need > limits_.message_bytes) {
        GrpcStatus status = compressed
                                ? GrpcStatus{GrpcCode::kUnimplemented, "compression is not supported"}
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
    if (buffered_ + count > limits_.buffered_bytes) {
      Abort(stream, {GrpcCode::kResourceExhausted, "too many bytes are buffered"},
            NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    stream.in.append(bytes.substr(0, count));
    bytes.remove_prefix(count);
    Buffer(stream, complete ? 0 : stream.in.size());
    if (complete) {
      std::string message;
      message.swap(stream.in);  // an idle stream holds no buffer
      stream.handler->OnMessage(message);
    }
  }
}

void Http2Session::Buffer(Stream& stream, size_t bytes) {
  buffered_ += bytes - stream.buffered;
  stream.buffered = bytes;
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
    if (stream.deadline > now && (next == runtime::Time{} || stream.deadline < next)) next = stream.deadline;
    if (stream.deadline != runtime::Time{} && now >= stream.deadline && server_ && stream.queued == 0) {
      static_cast<GrpcStream&>(stream).Finish(
          {GrpcCode::kDeadlineExceeded, "the deadline of the call has passed"});
    } else if (stream.deadline != runtime::Time{} && now >= stream.deadline) {
      Abort(stream, {GrpcCode::kDeadlineExceeded, "the deadline of the call has passed"}, NGHTTP2_CANCEL);
    } else if (stream.queued > 0 && now - stream.progress >= limits_.stall_time) {
      // Its window is closed: the socket makes progress or is idle, so no timer of the socket would see it.
      Abort(stream, {GrpcCode::kUnavailable, "the peer does not read"}, NGHTTP2_CANCEL);
    } else if (server_ && !stream.grpc && stream.request != nullptr && !stream.responded &&
               now - stream.began >= limits_.request_time) {
      Respond(stream, {408, {{"content-type", "text/plain"}}, "the request did not arrive in time\n"});
    } else if (server_ && !stream.grpc && stream.end_sent && now - stream.began >= limits_.request_time) {
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

void Http2Session::SendFinalGoaway() {
  final_goaway_at_ = {};
  if (std::exchange(final_goaway_, true)) return;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
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
      static_cast<GrpcStream&>(stream).Finish({GrpcCode::kUnavailable, "the server is shutting down"});
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

bool Http2Session::CanStart() const {
  return !dead_ && failure_.empty() && !draining_ &&
         nghttp2_session_check_request_allowed(session_) != 0;
}

uint64_t Http2Session::StartRequest(HttpRequest request, runtime::Time now, ResponseDone done) {
  now_ = now;
  auto stream = std::make_unique<Stream>(*this, now);
  stream->finished = true;
  stream->is_head = request.method == "HEAD";
  stream->done = std::move(done);
  if (!request.body.empty()) {
    const size_t size = request.body.size();
    stream->queue = std::make_unique<std::deque<OutMessage>>();
    stream->queue->push_back({std::move(request.body), {}});
    stream->queued = size;
    stream->progress = now;
    request.headers.Set("content-length", std::to_string(size));
  }
  Headers fields;
  for (const auto& [name, value] : request.headers) {
    if (name == "content-length" || (IsHeaderName(name) && !IsHopByHop(name) && name != "host")) {
      fields.Add(name, Cleaned(value));
    }
  }
  std::vector<nghttp2_nv> pairs{Pair(":method", request.method), Pair(":scheme", request.scheme),
                                Pair(":authority", request.authority), Pair(":path", request.target)};
  for (const auto& [name, value] : fields) pairs.push_back(Pair(name, value));
  const nghttp2_data_provider provider = Callbacks::Provider(*stream);
  const int32_t id = nghttp2_submit_request(session_, nullptr, pairs.data(), pairs.size(),
                                            stream->queued > 0 ? &provider : nullptr, nullptr);
  if (id < 0) {
    const ResponseDone failed = std::exchange(stream->done, nullptr);
    failed(base::Unavailable(nghttp2_strerror(id)));
    return 0;
  }
  stream->id = id;
  streams_[id] = std::move(stream);
  host_.WantWrite();
  return static_cast<uint64_t>(id);
}

void Http2Session::CancelRequest(uint64_t number) {
  Stream* stream = Find(static_cast<int32_t>(number));
  if (stream == nullptr || dead_) return;
  stream->done = nullptr;
  stream->dead = true;
  stream->DropQueue();
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
  host_.WantWrite();
}

bool Http2Session::AnswerBegan(uint64_t number) const {
  const Stream* stream = Find(static_cast<int32_t>(number));
  return stream != nullptr && stream->http_status != 0;
}

void Http2Session::StartCall(const GrpcCall& call, std::string_view authority, runtime::Time now,
                             std::unique_ptr<GrpcStreamHandler> handler) {
  now_ = now;
  auto stream = std::make_unique<Stream>(*this, now);
  stream->grpc = true;
  Headers fields{{"te", "trailers"}, {"content-type", "application/grpc"}, {"grpc-accept-encoding", "identity"}};
  if (call.timeout.has_value()) {
    fields.Add("grpc-timeout", FormatGrpcTimeout(*call.timeout));
    stream->deadline = now + *call.timeout;
    host_.WakeAt(stream->deadline);
  }
  AppendMetadata(call.metadata, fields);
  std::vector<nghttp2_nv> pairs{Pair(":method", "POST"), Pair(":scheme", peer_.tls ? "https" : "http"),
                                Pair(":authority", authority), Pair(":path", call.path)};
  for (const auto& [name, value] : fields) pairs.push_back(Pair(name, value));
  const nghttp2_data_provider provider = Callbacks::Provider(*stream);
  const int32_t id =
      nghttp2_submit_request(session_, nullptr, pairs.data(), pairs.size(), &provider, nullptr);
  if (id < 0) {
    handler->OnClosed({GrpcCode::kUnavailable, nghttp2_strerror(id)}, {});
    return;
  }
  stream->id = id;
  stream->handler = std::move(handler);
  Stream& started = *stream;
  streams_[id] = std::move(stream);
  host_.WantWrite();
  started.handler->OnStart(started);
}

}  // namespace kuma::net::internal

// The client's side of Http2Session: requests and calls of ours.

#include <nghttp2/nghttp2.h>

#include <utility>

#include "net/internal/grpc_metadata.h"
#include "net/internal/http2_session.h"
#include "net/internal/http2_stream.h"

namespace kuma::net::internal {

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
      fields.Add(name, CleanedValue(value));
    }
  }
  std::vector<nghttp2_nv> pairs{Pair(":method", request.method), Pair(":scheme", request.scheme),
                                Pair(":authority", request.authority),
                                Pair(":path", request.target)};
  for (const auto& [name, value] : fields) pairs.push_back(Pair(name, value));
  const nghttp2_data_provider provider = stream->Provider();
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
  return stream != nullptr ? stream->http_status != 0 : ended_answer_began_;
}

void Http2Session::StartCall(const GrpcCall& call, std::string_view authority, runtime::Time now,
                             std::unique_ptr<GrpcStreamHandler> handler) {
  now_ = now;
  auto stream = std::make_unique<Stream>(*this, now);
  stream->grpc = true;
  Headers fields{{"te", "trailers"},
                 {"content-type", "application/grpc"},
                 {"grpc-accept-encoding", "identity"}};
  if (call.timeout.has_value()) {
    fields.Add("grpc-timeout", FormatGrpcTimeout(*call.timeout));
    stream->deadline = now + *call.timeout;
    host_.WakeAt(stream->deadline);
  }
  if (!call.encoding.empty()) {
    fields.Add("grpc-encoding", call.encoding);
    stream->encoded = true;
  }
  AppendMetadata(call.metadata, fields);
  std::vector<nghttp2_nv> pairs{Pair(":method", "POST"),
                                Pair(":scheme", peer_.tls ? "https" : "http"),
                                Pair(":authority", authority), Pair(":path", call.path)};
  for (const auto& [name, value] : fields) pairs.push_back(Pair(name, value));
  const nghttp2_data_provider provider = stream->Provider();
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

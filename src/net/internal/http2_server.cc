// The server's side of Http2Session: requests and calls that arrive.

#include <nghttp2/nghttp2.h>

#include <atomic>
#include <utility>

#include "base/format.h"
#include "base/strings.h"
#include "net/internal/grpc_metadata.h"
#include "net/internal/http2_session.h"
#include "net/internal/http2_stream.h"

namespace kuma::net::internal {

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
    return Respond(stream,
                   {status, {{"content-type", "text/plain"}}, "malformed request target\n"});
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
  if (request->method != "POST")
    return RefuseCall(stream, {GrpcCode::kInternal, "the method must be POST"});
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
  if (hooks_.grpc == nullptr)
    return RefuseCall(stream, {GrpcCode::kUnimplemented, "no gRPC is served here"});
  if (draining_) return RefuseCall(stream, {GrpcCode::kUnavailable, "the server is shutting down"});
  GrpcAnswer answer = hooks_.grpc(call);
  if (answer.handler == nullptr) return RefuseCall(stream, answer.refusal);
  stream.handler = std::move(answer.handler);
  const nghttp2_nv pairs[] = {Pair(":status", "200"), Pair("content-type", "application/grpc"),
                              Pair("grpc-accept-encoding", "identity")};
  const nghttp2_data_provider provider = stream.Provider();
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
  const bool head =
      stream.is_head || (stream.request != nullptr && stream.request->method == "HEAD");
  stream.request.reset();
  stream.gone.reset();
  Buffer(stream, 0);
  if (!stream.out_share.Set(response.body.size())) {
    response = {503, {{"content-type", "text/plain"}}, "too many answers wait to be read\n"};
  }
  const bool bodiless = response.status < 200 || response.status == 204 || response.status == 304;
  const std::string status = std::to_string(response.status);
  const std::string length = std::to_string(response.body.size());
  Headers fields;
  for (const auto& [name, value] : response.headers) {
    if (IsHeaderName(name) && !IsHopByHop(name)) fields.Add(name, CleanedValue(value));
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
    const nghttp2_data_provider provider = stream.Provider();
    nghttp2_submit_response(session_, stream.id, pairs.data(), pairs.size(), &provider);
  }
  host_.WantWrite();
}

}  // namespace kuma::net::internal

#pragma once

// gRPC streams, the same for server and client. Messages are bytes: what is in them is not net's
// business.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/http.h"
#include "runtime/clock.h"
#include "runtime/executor.h"

namespace kuma::net {

enum class GrpcCode : uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};
// "UNAVAILABLE"
std::string_view ToString(GrpcCode code);

struct GrpcStatus {
  GrpcCode code = GrpcCode::kOk;
  std::string message;

  bool ok() const { return code == GrpcCode::kOk; }
  bool operator==(const GrpcStatus&) const = default;
};
// The one table between base::Code and gRPC.
GrpcStatus ToGrpcStatus(const base::Error& error);
base::Error ToError(const GrpcStatus& status);

// Immutable bytes, shared by streams of all threads.
using Slice = std::shared_ptr<const std::string>;

// One bidirectional stream. Confined to loop(): post there from elsewhere. Valid from OnStart until
// OnClosed of its handler returns. An interface, so that tests can fake it.
class GrpcStream {
 public:
  virtual ~GrpcStream() = default;

  virtual runtime::SerialExecutor& loop() = 0;

  // Queues one message: `head` followed by the slices, which are sent without being joined. False:
  // the stream is over, or this message would exceed Limits::queued_bytes; then the stream is
  // closed with RESOURCE_EXHAUSTED, because a lost message would break the protocol above. Slices
  // must not be null.
  virtual bool Send(std::string head, std::vector<Slice> slices) = 0;

  // Server: ends the stream with a status after what is queued. Client: kOk half-closes after what
  // is queued; any other code cancels the stream at once. Only the first call counts.
  virtual void Finish(GrpcStatus status, Headers trailers) = 0;

  // Bytes queued and not yet handed to the socket.
  virtual size_t queued_bytes() const = 0;

  void Finish(GrpcStatus status) { Finish(std::move(status), Headers()); }
  bool Send(std::string message) { return Send(std::move(message), {}); }
};

// What a stream tells its owner. The stream owns its handler and destroys it after OnClosed. All
// calls are on the stream's loop. A handler may call its stream from each of them, but destroys no
// server, client or channel.
class GrpcStreamHandler {
 public:
  virtual ~GrpcStreamHandler() = default;
  // First call. The stream stays valid until OnClosed returns. A client call that never reached a
  // connection gets OnClosed without OnStart.
  virtual void OnStart(GrpcStream& stream) = 0;
  // Client only: the server's initial metadata; not called if it refuses at once.
  virtual void OnHeaders(const Headers&) {}
  // `message` is valid during the call.
  virtual void OnMessage(std::string_view message) = 0;
  // The peer sends no more messages. A server answers with Finish sooner or later.
  virtual void OnHalfClose() {}
  // queued_bytes() fell to Limits::queue_low_bytes after it had been above.
  virtual void OnQueueLow() {}
  // Server only: the server wants to stop; streams that do not Finish by the deadline are ended by
  // it.
  virtual void OnDrain() {}
  // Last call. Server: the own status, or kCancelled when the peer reset the stream, kUnavailable
  // when the connection was lost, kDeadlineExceeded after the call's timeout. Client: the status of
  // the call.
  virtual void OnClosed(const GrpcStatus& status, const Headers& trailers) = 0;
};

// A call that arrives at a server. Values of metadata whose name ends in "-bin" are already
// decoded. Metadata holds neither pseudo headers nor those of the protocol (te, content-type,
// grpc-timeout, ...).
struct GrpcRequest {
  std::string path;  // "/package.Service/Method"
  std::string authority;
  Headers metadata;
  std::optional<runtime::Duration> timeout;
  Peer peer;
};

// What a router decides: a handler, or a refusal.
struct GrpcAnswer {
  GrpcAnswer(std::unique_ptr<GrpcStreamHandler> accepted) : handler(std::move(accepted)) {}
  template <class T>
  requires std::is_base_of_v<GrpcStreamHandler, T> GrpcAnswer(std::unique_ptr<T> accepted)
      : handler(std::move(accepted)) {}
  GrpcAnswer(GrpcStatus refused) : refusal(std::move(refused)) {}

  std::unique_ptr<GrpcStreamHandler> handler;
  GrpcStatus refusal{GrpcCode::kUnimplemented, "unknown method"};  // used if there is no handler
};

// Called on the loop of the connection; must not block.
using GrpcRouter = std::function<GrpcAnswer(const GrpcRequest&)>;

// A call to be made by a client. Binary values under names that end in "-bin" are encoded by the
// transport.
struct GrpcCall {
  std::string path;
  Headers metadata;
  std::optional<runtime::Duration> timeout;  // sent as grpc-timeout, and enforced here
  // How the caller compressed the messages ("gzip"), or empty. Answers are never compressed.
  std::string encoding = {};
};

// "grpc-timeout": at most eight digits and one of H M S m u n.
std::optional<runtime::Duration> ParseGrpcTimeout(std::string_view text);
std::string FormatGrpcTimeout(runtime::Duration timeout);
// grpc-message: percent-encoding of what is not printable ASCII. Decoding leaves broken escapes
// alone.
std::string EncodeGrpcMessage(std::string_view text);
std::string DecodeGrpcMessage(std::string_view text);

}  // namespace kuma::net

#pragma once

// Clients: HTTP requests, and a gRPC channel that stays connected.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "net/event_loop.h"
#include "net/grpc.h"
#include "net/http.h"
#include "net/limits.h"
#include "net/tls.h"

namespace kuma::net {

// A transport error has code kUnavailable and reads like "connect to 127.0.0.1:5681: connection
// refused", "resolve kuma.example: name or service not known", "certificate verify failed:
// self-signed certificate (server localhost:5678)", "GET http://x/y: no answer within 5s". Unusable
// options give kInvalid.

struct ClientOptions {
  ClientTlsOptions tls;     // used for https
  std::string unix_socket;  // not empty: every request goes to this path
  bool http2 = true;        // offer HTTP/2 by ALPN; plain text is always HTTP/1.1
  runtime::Duration connect_timeout = std::chrono::seconds(10);  // DNS, TCP and TLS together
  runtime::Duration request_timeout = std::chrono::seconds(60);  // from Send to the whole answer
  runtime::Duration idle_timeout = std::chrono::seconds(60);     // of a kept connection
  size_t connections_per_origin = 8;                             // more requests wait in order
  Limits limits = Limits::ForClient();
};

// Keeps connections to the origins that it talked to. Thread-safe. Every status of HTTP is an
// answer, not an error; redirects are not followed. A request is sent again only if its kept
// connection turned out to be closed before any byte of the answer, and it is GET, HEAD, PUT,
// DELETE or OPTIONS.
class HttpClient {
 public:
  using Done = std::function<void(base::Result<HttpResponse>)>;

  // `loop` outlives the client.
  HttpClient(EventLoop& loop, ClientOptions options);
  // Requests in progress end with kCancelled. Blocks until the loop lets go, unless called on it.
  // Not from within `done`.
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // `done` is called exactly once, on the loop. Scheme, authority and target of the request say
  // where to.
  void Send(HttpRequest request, Done done);

 private:
  class State;
  EventLoop& loop_;
  std::shared_ptr<State> state_;
};

// One request with a loop and a connection of its own; blocks. For command-line tools.
base::Result<HttpResponse> Fetch(HttpRequest request, ClientOptions options = {});

// Waiting time before attempt n: initial * multiplier^n up to max, plus or minus jitter.
struct Backoff {
  runtime::Duration initial = std::chrono::seconds(1);
  runtime::Duration max = std::chrono::seconds(30);
  double multiplier = 1.6;
  double jitter = 0.2;
};

struct GrpcChannelOptions {
  // "grpcs://host:port" and "https://..." use TLS; "grpc://...", "http://..." and "host:port" do
  // not; "unix:/path" is a socket.
  std::string target;
  ClientTlsOptions tls;
  std::string authority;  // empty: host:port of the target
  runtime::Duration connect_timeout = std::chrono::seconds(10);
  Backoff backoff;
  size_t waiting_calls = 100;  // calls that may wait for a connection; more: RESOURCE_EXHAUSTED
  Limits limits = Limits::ForClient();
  // Called on the loop: at every new connection, and whenever an attempt failed or a connection was
  // lost.
  std::function<void()> on_connected;
  std::function<void(const base::Error&)> on_disconnected;
};

// One connection to one target, made again for ever after it is lost: at once if it had been useful
// for ten seconds, else after the backoff. Thread-safe.
class GrpcChannel {
 public:
  using Done = std::function<void(GrpcStatus, std::string reply)>;

  // Starts to connect. `loop` outlives the channel.
  GrpcChannel(EventLoop& loop, GrpcChannelOptions options);
  // Streams end with kCancelled. Blocks until the loop lets go, unless called on it. Not from
  // within a handler or callback of this channel.
  ~GrpcChannel();
  GrpcChannel(const GrpcChannel&) = delete;
  GrpcChannel& operator=(const GrpcChannel&) = delete;

  // Starts a stream; the handler is called on the loop. While the channel connects, the call waits;
  // while it waits for the next attempt, the call ends at once with UNAVAILABLE and the last error.
  void Open(GrpcCall call, std::unique_ptr<GrpcStreamHandler> handler);
  // One message there and one back; `done` is called once, on the loop.
  void CallUnary(GrpcCall call, std::string request, Done done);

 private:
  class State;
  EventLoop& loop_;
  std::shared_ptr<State> state_;
};

}  // namespace kuma::net

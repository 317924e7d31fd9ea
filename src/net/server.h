#pragma once

// One listening port that speaks HTTP/1.1, HTTP/2 and gRPC, in plain text or over TLS. Over TLS the
// client chooses by ALPN; in plain text, HTTP/2 is known by its preface.

#include <cstdint>
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

struct ServerOptions {
  std::string name = "server";        // in logs
  std::string address = "127.0.0.1";  // IPv4, IPv6, "" or "::" (any, both families), "unix:/path"
  uint16_t port = 0;                  // 0: a free one, see Server::port
  std::optional<ServerTlsOptions> tls;
  Limits limits;
};

struct ServerStats {
  uint64_t accepted = 0;
  uint64_t refused = 0;  // over a limit of connections
  uint64_t starved = 0;  // times that accepting paused, because the process had no descriptors left
  uint64_t open = 0;
  uint64_t handshakes = 0;  // TLS, successful
  uint64_t handshakes_failed = 0;
  uint64_t resumed = 0;  // of the successful ones
};

// Raises this process's limit of open files to what the system allows it; returns it. A control
// plane holds a descriptor per proxy, and the usual soft limit is 1,024.
size_t RaiseDescriptorLimit();

// Thread-safe. Requests and calls arrive on the loops; connections are dealt to them in turn.
class Server {
 public:
  // Listens. kUnavailable "listen on 127.0.0.1:5681: address already in use"; kInvalid for unusable
  // TLS files (which are named), cipher suites and addresses. Without handler: 404; without router:
  // UNIMPLEMENTED. `loops` outlives the server.
  static base::Result<std::unique_ptr<Server>> Start(EventLoops& loops, ServerOptions options,
                                                     HttpHandler http, GrpcRouter grpc = nullptr);
  // Closes every connection at once; handlers of streams get OnClosed. Blocks until the loops let
  // go, so never call it on one of several loops, nor from within a handler of this server. On a
  // single loop both it and Start run at once.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;
  // "https://127.0.0.1:5682"
  std::string url() const;

  // Accepts no more connections, tells clients to go (GOAWAY, connection: close), lets requests
  // finish, and calls GrpcStreamHandler::OnDrain. After `deadline` the remaining streams end with
  // UNAVAILABLE and the connections are closed. `done` (may be null) is called once, on a loop,
  // when none is left.
  void Drain(runtime::Duration deadline, std::function<void()> done);

  ServerStats stats() const;
  // Looks at the certificate files now instead of at the next interval.
  void ReloadCertificates();

 private:
  struct State;
  explicit Server(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace kuma::net

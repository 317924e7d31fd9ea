#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/event_loop.h"
#include "net/internal/connection.h"
#include "net/internal/credentials.h"
#include "net/internal/http2_session.h"
#include "net/internal/session.h"
#include "net/internal/socket.h"
#include "net/limits.h"

namespace kuma::net::internal {

// Where a client connects to.
struct LinkTarget {
  std::string host;  // name, literal address, or "unix:/path"
  uint16_t port = 0;
  std::shared_ptr<const Credentials> credentials;  // null: plain text
  std::string server_name;                         // for TLS
  bool plain_http2 = false;                        // without TLS: HTTP/2 by prior knowledge
  bool http2_only = false;

  std::string ToString() const { return Address{host, port}.ToString(); }
};

// One attempt to connect and what became of it: name lookup, one address after the other, TLS,
// session. Confined to its loop. Made as a shared_ptr.
class ClientLink final : public FdWatcher,
                         public Connection::Owner,
                         public std::enable_shared_from_this<ClientLink> {
 public:
  struct Events {
    std::function<void()> ready;                     // at most once; session() is there
    std::function<void(const base::Error&)> closed;  // once, unless Close was called first
  };

  ClientLink(EventLoop& loop, const Limits& limits, LinkTarget target, Events events);

  // Both events come later, never from within.
  void Start(runtime::Duration connect_timeout);
  // Ends everything on it with `why`. No event follows.
  void Close(const base::Error& why);

  // Null until it is ready and after it was closed.
  ClientSession* session() { return session_; }
  // The same if HTTP/2 was agreed, else null.
  Http2Session* http2() { return http2_; }
  bool closed() const { return closed_; }
  void Drain() {
    if (connection_ != nullptr) connection_->Drain();
  }

  size_t requests_started = 0;  // for its owner
  runtime::Time ready_at{};
  runtime::Time idle_since{};

 private:
  void TryNext();
  void OnReady(uint32_t events) override;
  void OnConnected(int fd);
  std::unique_ptr<Session> MakeSession(Connection& connection, bool http2) override;
  void OnClosed(Connection& connection, const base::Error& why) override;
  void Fail(base::Error why);
  void Tick();
  void DropSocket();

  EventLoop& loop_;
  const Limits limits_;
  const LinkTarget target_;
  Events events_;
  std::deque<SocketAddress> addresses_;
  SocketAddress current_;
  int fd_ = -1;
  std::shared_ptr<Connection> connection_;
  ClientSession* session_ = nullptr;
  Http2Session* http2_ = nullptr;
  runtime::Timer timeout_;
  runtime::Timer tick_;
  bool closed_ = false;
};

}  // namespace kuma::net::internal

#include "net/internal/client_link.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/format.h"
#include "net/internal/http1_session.h"
#include "net/internal/loop_scratch.h"

namespace kuma::net::internal {
namespace {

constexpr auto kTick = std::chrono::seconds(1);

}  // namespace

ClientLink::ClientLink(EventLoop& loop, const Limits& limits, LinkTarget target, Events events)
    : loop_(loop), limits_(limits), target_(std::move(target)), events_(std::move(events)) {}

void ClientLink::Start(runtime::Duration connect_timeout) {
  timeout_ = loop_.PostAfter(connect_timeout, [this] {
    Fail(base::Unavailable(base::Format("connect to {}: timed out", target_.ToString())));
  });
  Resolve(target_.host, target_.port, loop_.MakePoster(),
          [weak = weak_from_this()](base::Result<std::vector<SocketAddress>> result) {
            const auto self = weak.lock();
            if (self == nullptr || self->closed_) return;
            if (!result.has_value()) return self->Fail(std::move(result).error());
            self->addresses_.assign(result->begin(), result->end());
            self->TryNext();
          });
}

void ClientLink::TryNext() {
  while (!addresses_.empty()) {
    current_ = addresses_.front();
    addresses_.pop_front();
    const auto fd = StartConnect(current_);
    if (fd.has_value()) {
      fd_ = *fd;
      loop_.Watch(fd_, EPOLLOUT, *this);
      return;
    }
    if (addresses_.empty()) {
      const std::string where = current_.ToAddress().ToString();
      return Fail(
          base::Unavailable(base::Format("connect to {}: {}", where, fd.error().message())));
    }
  }
}

void ClientLink::OnReady(uint32_t) {
  const int error = ConnectOutcome(fd_);
  if (error == 0) {
    loop_.Unwatch(fd_, *this);
    OnConnected(std::exchange(fd_, -1));
    return;
  }
  DropSocket();
  if (!addresses_.empty()) return TryNext();
  const std::string where = current_.ToAddress().ToString();
  Fail(base::Unavailable(base::Format("connect to {}: {}", where, ErrnoText(error))));
}

void ClientLink::OnConnected(int fd) {
  Connection::Settings settings;
  settings.fd = fd;
  settings.server = false;
  settings.plain_http2 = target_.plain_http2;
  settings.peer.remote = current_.ToAddress();
  settings.peer.local = LocalAddress(fd);
  settings.peer.tls = target_.credentials != nullptr;
  settings.keep_alive = shared_from_this();
  if (target_.credentials != nullptr) {
    settings.tls = TlsStream::Client(target_.credentials, target_.server_name, limits_.key_updates);
  }
  connection_ = std::make_shared<Connection>(loop_, limits_, *this, std::move(settings));
  Tick();
  connection_->Start();
}

std::unique_ptr<Session> ClientLink::MakeSession(Connection& connection, bool http2) {
  timeout_.Cancel();
  ready_at = idle_since = loop_.Now();
  std::unique_ptr<ClientSession> session;
  if (http2) {
    auto fresh = Http2Session::MakeClient(limits_, connection.peer(), connection, loop_.Now());
    http2_ = fresh.get();
    session = std::move(fresh);
  } else {
    session = std::make_unique<Http1ClientSession>(limits_, connection);
  }
  session_ = session.get();
  // Posted: the connection does not have the session yet.
  loop_.Post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr || self->closed_) return;
    if (self->target_.http2_only && self->http2_ == nullptr) {
      return self->Fail(base::Unavailable(
          base::Format("{}: the server does not speak HTTP/2", self->target_.ToString())));
    }
    if (self->events_.ready) self->events_.ready();
  });
  return session;
}

void ClientLink::OnClosed(Connection&, const base::Error& why) {
  const bool was_ready = session_ != nullptr;
  session_ = nullptr;
  http2_ = nullptr;
  tick_.Cancel();
  loop_.DeleteLater(std::exchange(connection_, nullptr));
  if (closed_) return;
  const std::string where = target_.ToString();
  if (!was_ready && target_.credentials != nullptr) {
    Fail(base::Unavailable(base::Format("{} (server {})", why.message(), where)));
  } else {
    Fail(base::Unavailable(base::Format("{}: {}", where, why.message())));
  }
}

void ClientLink::Tick() {
  tick_ = loop_.PostAfter(kTick, [this] {
    const auto self = shared_from_this();
    Tick();
    if (connection_ != nullptr) connection_->Tick(std::chrono::steady_clock::now());
  });
}

void ClientLink::DropSocket() {
  if (fd_ < 0) return;
  loop_.Unwatch(fd_, *this);
  close(std::exchange(fd_, -1));
}

void ClientLink::Fail(base::Error why) {
  if (std::exchange(closed_, true)) return;
  const auto self = shared_from_this();
  timeout_.Cancel();
  tick_.Cancel();
  DropSocket();
  if (connection_ != nullptr) connection_->Close(why);
  // Posted: a caller that starts another attempt is not on the stack of this one.
  loop_.Post([self, why = std::move(why)] {
    if (self->events_.closed) self->events_.closed(why);
  });
}

void ClientLink::Close(const base::Error& why) {
  events_ = {};
  if (std::exchange(closed_, true)) return;
  const auto self = shared_from_this();
  timeout_.Cancel();
  tick_.Cancel();
  DropSocket();
  if (connection_ != nullptr) connection_->Close(why);
}

}  // namespace kuma::net::internal

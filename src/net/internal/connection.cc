#include "net/internal/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "net/internal/loop_scratch.h"
#include "net/internal/socket.h"

namespace kuma::net::internal {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
// The sentence is the one that Go's servers answer.
constexpr std::string_view kPlainHttpAnswer =
    "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 80\r\n"
    "connection: close\r\n\r\n"
    "Client sent an HTTP request to an HTTPS server.\nUse https:// with this address.\n";
constexpr int kReadsPerTurn = 4;  // fairness: 256 KB in, 256 KB out
constexpr int kWritesPerTurn = 4;

// "GET ", "POST ", "PRI ": the start of a request, which no TLS record begins with.
bool LooksLikeHttp(std::string_view bytes) {
  const size_t size = bytes.substr(0, 8).find(' ');
  return size != std::string_view::npos && size >= 3 &&
         std::all_of(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size),
                     [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

Connection::Connection(EventLoop& loop, const Limits& limits, Owner& owner, Settings settings)
    : settings_(std::move(settings)),
      loop_(loop),
      limits_(limits),
      owner_(owner),
      since_(loop.Now()) {
  SetSocketOptions(settings_.fd, limits.socket_send_buffer_bytes);
}

Connection::~Connection() {
  if (dead_) return;
  dead_ = true;
  if (watched_) loop_.Unwatch(settings_.fd, *this);
  close(settings_.fd);
}

void Connection::Start() {
  interest_ = EPOLLIN;
  loop_.Watch(settings_.fd, interest_, *this);
  watched_ = true;
  if (settings_.server) return;
  if (settings_.tls == nullptr) {
    Establish(settings_.plain_http2);
    return;
  }
  std::string& cipher = loop_.scratch().cipher;
  cipher.clear();
  settings_.tls->Start(cipher);
  if (!Push(cipher)) return;
  UpdateInterest();
}

base::Error Connection::Failure(const std::string& what) const {
  return base::Unavailable(what.empty() ? "the connection was closed by the peer" : what);
}

void Connection::OnReady(uint32_t events) {
  if ((events & EPOLLOUT) != 0 && !FlushPending()) return;
  if ((events & EPOLLOUT) != 0) WantWrite();
  if ((events & EPOLLIN) != 0) {
    Read();
  } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    const int error = ConnectOutcome(settings_.fd);
    Close(Failure(error != 0 ? ErrnoText(error) : ""));
  }
}

void Connection::OnTurnEnd() { Flush(); }

void Connection::Read() {
  LoopScratch& scratch = loop_.scratch();
  for (int i = 0; i < kReadsPerTurn && !dead_ && !eof_; ++i) {
    const ssize_t size =
        recv(settings_.fd, scratch.read.get(), LoopScratch::kReadBytes, MSG_DONTWAIT);
    if (size < 0) {
      if (errno == EAGAIN || errno == EINTR) return;
      Close(Failure(ErrnoText(errno)));
      return;
    }
    if (size == 0) {
      OnEof();
      return;
    }
    if (!lingering_) OnBytes({scratch.read.get(), static_cast<size_t>(size)});
    if (static_cast<size_t>(size) < LoopScratch::kReadBytes) return;
    if (session_ != nullptr && !session_->WantsRead()) return;
  }
}

void Connection::OnBytes(std::string_view bytes) {
  if (settings_.tls == nullptr) {
    OnPlain(bytes);
    return;
  }
  TlsStream& tls = *settings_.tls;
  const bool shaking = tls.state() == TlsStream::State::kHandshake;
  std::string& cipher = loop_.scratch().cipher;
  cipher.clear();
  const TlsStream::State state =
      tls.Feed(bytes, cipher, [this](std::string_view plain) { OnPlain(plain); });
  if (shaking && state != TlsStream::State::kHandshake) {
    owner_.OnHandshake(state != TlsStream::State::kFailed, tls.resumed());
  }
  if (state == TlsStream::State::kFailed && shaking && settings_.server && LooksLikeHttp(bytes)) {
    if (Push(kPlainHttpAnswer)) Linger();
    return;
  }
  if (dead_ || (!cipher.empty() && !Push(cipher))) return;
  if (state == TlsStream::State::kFailed) {
    FlushPending();  // the alert
    Close(Failure(tls.error()));
    return;
  }
  if (state == TlsStream::State::kHandshake) {
    UpdateInterest();
    return;
  }
  // A client speaks first even if the server has sent nothing; a server waits for the first bytes.
  if (session_ == nullptr) OnPlain({});
  if (state == TlsStream::State::kClosed && !dead_) OnEof();
}

// Within TlsStream::Feed: writes nothing and closes nothing.
void Connection::OnPlain(std::string_view bytes) {
  if (dead_) return;
  if (session_ == nullptr) {
    if (settings_.tls != nullptr) {
      settings_.peer.certificate = settings_.tls->peer_certificate();
      const std::string alpn = settings_.tls->alpn();
      if (!settings_.server || !alpn.empty()) {
        Establish(alpn == "h2");
      }
    }
    if (session_ == nullptr) {
      Sniff(bytes);
      return;
    }
  }
  if (bytes.empty() || failed_) return;
  if (!session_->Feed(bytes, loop_.Now())) failed_ = true;
  WantWrite();
}

void Connection::Sniff(std::string_view bytes) {
  sniffed_.append(bytes);
  if (sniffed_.empty()) return;
  const size_t size = std::min(sniffed_.size(), kPreface.size());
  const bool same = std::string_view(sniffed_).substr(0, size) == kPreface.substr(0, size);
  if (same && size < kPreface.size()) return;
  Establish(same);
  const std::string first = std::exchange(sniffed_, {});
  if (!session_->Feed(first, loop_.Now())) failed_ = true;
  WantWrite();
}

void Connection::Establish(bool http2) {
  session_ = owner_.MakeSession(*this, http2);
  CHECK(session_ != nullptr, "an owner makes a session");
  if (draining_) session_->Drain(loop_.Now());
  WantWrite();
}

void Connection::OnEof() {
  eof_ = true;
  if (lingering_ || session_ == nullptr || !session_->OnEof(loop_.Now())) {
    std::string why = session_ != nullptr ? session_->failure() : "";
    if (session_ == nullptr && settings_.tls != nullptr)
      why = "the peer closed the connection in the TLS handshake";
    Close(Failure(why));
    return;
  }
  WantWrite();
  UpdateInterest();
}

void Connection::WantWrite() {
  if (!dead_) loop_.CallAtTurnEnd(*this);
}

void Connection::WakeAt(runtime::Time time) {
  if (dead_ || (wake_at_ != runtime::Time{} && wake_at_ <= time)) return;
  wake_at_ = time;
  wake_ = loop_.PostAfter(time - loop_.Now(), [this] {
    // OnTimer asks again for what is still ahead.
    wake_at_ = {};
    if (dead_ || session_ == nullptr) return;
    if (!session_->OnTimer(std::chrono::steady_clock::now())) {
      Close(Failure(session_->failure()));
      return;
    }
    WantWrite();
  });
}

// Bytes for the socket. False: the connection is closed.
bool Connection::Push(std::string_view bytes) {
  if (dead_) return false;
  while (!bytes.empty() && pending_.empty()) {
    const ssize_t size =
        send(settings_.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size >= 0) {
      bytes.remove_prefix(static_cast<size_t>(size));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) break;
    Close(Failure(ErrnoText(errno)));
    return false;
  }
  if (bytes.empty()) return true;
  if (pending_.empty()) stalled_since_ = loop_.Now();
  pending_.append(bytes);
  return true;
}

bool Connection::FlushPending() {
  if (dead_) return false;
  while (pending_offset_ < pending_.size()) {
    const ssize_t size = send(settings_.fd, pending_.data() + pending_offset_,
                              pending_.size() - pending_offset_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return true;
      Close(Failure(ErrnoText(errno)));
      return false;
    }
    pending_offset_ += static_cast<size_t>(size);
    stalled_since_ = loop_.Now();
  }
  if (!pending_.empty()) std::string().swap(pending_);
  pending_offset_ = 0;
  stalled_since_ = {};
  return true;
}

void Connection::Flush() {
  if (dead_ || !FlushPending()) return;
  if (session_ != nullptr && !lingering_) {
    LoopScratch& scratch = loop_.scratch();
    const std::span<char> stage(scratch.stage.get(), LoopScratch::kStageBytes);
    int writes = 0;
    while (pending_.empty()) {
      const size_t size = session_->Produce(stage, loop_.Now());
      if (size == 0) break;
      const std::string_view plain(stage.data(), size);
      if (settings_.tls == nullptr) {
        if (!Push(plain)) return;
      } else {
        scratch.cipher.clear();
        if (!settings_.tls->Write(plain, scratch.cipher)) {
          Close(Failure(settings_.tls->error()));
          return;
        }
        if (!Push(scratch.cipher)) return;
      }
      if (++writes == kWritesPerTurn) {
        WantWrite();
        break;
      }
    }
    if (pending_.empty() && writes < kWritesPerTurn && (failed_ || session_->Finished())) {
      BeginLinger();
      return;
    }
  }
  UpdateInterest();
}

// The last bytes are out. Closing now could destroy them: the peer may still be sending, and the
// answer to that would be a reset.
void Connection::BeginLinger() {
  const base::Error why = Failure(session_->failure());
  if (settings_.tls != nullptr) {
    std::string& cipher = loop_.scratch().cipher;
    cipher.clear();
    settings_.tls->Close(cipher);
    if (!Push(cipher)) return;
  }
  if (!settings_.server || eof_ || !pending_.empty()) {
    Close(why);
    return;
  }
  session_->OnDisconnected(why);
  Linger();
}

void Connection::Linger() {
  shutdown(settings_.fd, SHUT_WR);
  lingering_ = true;
  since_ = loop_.Now();
  UpdateInterest();
}

void Connection::UpdateInterest() {
  if (dead_) return;
  uint32_t interest = 0;
  if (!eof_ && (lingering_ || session_ == nullptr || session_->WantsRead())) interest |= EPOLLIN;
  if (!pending_.empty()) interest |= EPOLLOUT;
  if (interest == interest_) return;
  interest_ = interest;
  loop_.Rewatch(settings_.fd, interest, *this);
}

bool Connection::Tick(runtime::Time now) {
  if (dead_) return false;
  if (lingering_) {
    if (now - since_ >= limits_.linger_time) Close(Failure(""));
    return false;
  }
  if (session_ == nullptr) {
    if (now - since_ >= limits_.handshake_time) {
      Close(Failure(settings_.tls != nullptr ? "the TLS handshake took too long"
                                             : "no request arrived"));
    }
    return false;
  }
  if (stalled_since_ != runtime::Time{} && now - stalled_since_ >= limits_.stall_time) {
    Close(Failure("the peer does not read"));
    return false;
  }
  if (!session_->OnTimer(now)) {
    Close(Failure(session_->failure()));
    return false;
  }
  return pending_.empty() && session_->IsCalm();
}

void Connection::Drain() {
  draining_ = true;
  if (dead_ || lingering_) return;
  if (session_ == nullptr) {
    Close(Failure("the server is shutting down"));
    return;
  }
  session_->Drain(loop_.Now());
  WantWrite();
}

void Connection::DrainNow() {
  if (dead_ || lingering_ || session_ == nullptr) return;
  session_->DrainNow(loop_.Now());
  WantWrite();
}

void Connection::Close(const base::Error& why) {
  if (std::exchange(dead_, true)) return;
  wake_.Cancel();
  if (watched_) loop_.Unwatch(settings_.fd, *this);
  close(settings_.fd);
  if (session_ != nullptr) session_->OnDisconnected(why);
  owner_.OnClosed(*this, why);
}

}  // namespace kuma::net::internal

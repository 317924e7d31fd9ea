#include "net/tcp_sender.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/format.h"
#include "net/internal/socket.h"

namespace kuma::net {

using internal::SocketAddress;

//   kIdle --Send--> kConnecting --> kOpen --peer gone--> kIdle, or kConnecting if messages wait
//                    |     ^
//                    v     | pause
//                    kPausing
class TcpSender::State final : public FdWatcher, public std::enable_shared_from_this<State> {
 public:
  State(EventLoop& loop, Options options, OnChange on_change)
      : loop_(loop), options_(std::move(options)), on_change_(std::move(on_change)) {}

  bool Send(std::string_view message) {
    if (bytes_ + message.size() > options_.max_queued_bytes) return false;
    bytes_ += message.size();
    queue_.emplace_back(message);
    if (stage_ == Stage::kIdle) Connect();
    if (stage_ == Stage::kOpen && queue_.size() == 1) Flush();
    return true;
  }

  size_t queued() const { return queue_.size(); }

  // No event follows.
  void Close() {
    on_change_ = nullptr;
    stage_ = Stage::kClosed;
    timer_.Cancel();
    DropSocket();
  }

 private:
  enum class Stage { kIdle, kConnecting, kPausing, kOpen, kClosed };

  void Connect() {
    stage_ = Stage::kConnecting;
    timer_ =
        loop_.PostAfter(options_.connect_timeout, [this] { Fail("connecting took too long"); });
    internal::Resolve(
        options_.host, options_.port, loop_.MakePoster(),
        [weak = weak_from_this(),
         attempt = ++attempt_](base::Result<std::vector<SocketAddress>> found) {
          const auto self = weak.lock();
          if (self == nullptr || self->attempt_ != attempt || self->stage_ != Stage::kConnecting)
            return;
          if (!found.has_value()) return self->Fail(found.error().message());
          self->addresses_.assign(found->begin(), found->end());
          self->TryNext("no address");
        });
  }

  void TryNext(std::string reason) {
    while (!addresses_.empty()) {
      const auto fd = internal::StartConnect(addresses_.front());
      addresses_.pop_front();
      if (fd.has_value()) {
        fd_ = *fd;
        loop_.Watch(fd_, EPOLLOUT, *this);
        return;
      }
      reason = fd.error().message();
    }
    Fail(reason);
  }

  void OnReady(uint32_t events) override {
    const auto self = shared_from_this();
    if (stage_ == Stage::kConnecting) {
      if (const int error = internal::ConnectOutcome(fd_); error != 0) {
        DropSocket();
        return TryNext(internal::ErrnoText(error));
      }
      stage_ = Stage::kOpen;
      failures_ = 0;
      timer_.Cancel();
      interest_ = 0;
      Tell(base::Ok{});
      if (stage_ == Stage::kOpen) Flush();
      return;
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !ReadAway()) return;
    if ((events & EPOLLOUT) != 0) Flush();
  }

  // What the peer says is of no interest; false: it is gone.
  bool ReadAway() {
    std::array<char, 512> buffer;
    for (;;) {
      const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
      if (got > 0) continue;
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
      Fail(got == 0 ? "the peer closed the connection" : internal::ErrnoText(errno));
      return false;
    }
  }

  void Flush() {
    while (!queue_.empty()) {
      const std::string& first = queue_.front();
      const ssize_t sent =
          send(fd_, first.data() + offset_, first.size() - offset_, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
      if (sent < 0) {
        // Posted: this may be within Send.
        loop_.Post(
            [weak = weak_from_this(), attempt = attempt_, reason = internal::ErrnoText(errno)] {
              const auto self = weak.lock();
              if (self != nullptr && self->stage_ == Stage::kOpen && self->attempt_ == attempt)
                self->Fail(reason);
            });
        return;
      }
      offset_ += static_cast<size_t>(sent);
      if (offset_ < first.size()) continue;
      bytes_ -= first.size();
      offset_ = 0;
      queue_.pop_front();
    }
    const uint32_t interest = EPOLLIN | (queue_.empty() ? 0U : static_cast<uint32_t>(EPOLLOUT));
    if (interest != interest_) loop_.Rewatch(fd_, interest_ = interest, *this);
  }

  void Fail(const std::string& reason) {
    const bool was_open = stage_ == Stage::kOpen;
    DropSocket();
    addresses_.clear();
    offset_ = 0;
    timer_.Cancel();
    if (was_open && queue_.empty()) {
      stage_ = Stage::kIdle;
    } else {
      const auto doubled = options_.first_pause * (1LL << std::min(failures_, 16));
      stage_ = Stage::kPausing;
      timer_ = loop_.PostAfter(std::min<runtime::Duration>(doubled, options_.longest_pause),
                               [this] { Connect(); });
      if (++failures_ > 1) return;
    }
    Tell(base::Unavailable(
        base::Format("{}: {}", Address{options_.host, options_.port}.ToString(), reason)));
  }

  void Tell(const base::Status& status) {
    // The owner may destroy the sender meanwhile.
    const auto self = shared_from_this();
    if (const OnChange on_change = on_change_) on_change(status);
  }

  void DropSocket() {
    if (fd_ < 0) return;
    loop_.Unwatch(fd_, *this);
    close(std::exchange(fd_, -1));
  }

  EventLoop& loop_;
  const Options options_;
  OnChange on_change_;
  Stage stage_ = Stage::kIdle;
  std::deque<std::string> queue_;
  size_t bytes_ = 0;   // of the queue
  size_t offset_ = 0;  // of the first message, what is sent
  std::deque<SocketAddress> addresses_;
  int fd_ = -1;
  uint32_t interest_ = 0;
  uint64_t attempt_ = 0;
  int failures_ = 0;  // in a row
  runtime::Timer timer_;
};

TcpSender::TcpSender(EventLoop& loop, Options options, OnChange on_change)
    : state_(std::make_shared<State>(loop, std::move(options), std::move(on_change))) {}
TcpSender::~TcpSender() { state_->Close(); }

bool TcpSender::Send(std::string_view message) { return state_->Send(message); }
size_t TcpSender::queued() const { return state_->queued(); }

}  // namespace kuma::net

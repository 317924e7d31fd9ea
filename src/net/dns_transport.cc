#include "net/dns_transport.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

#include "base/format.h"
#include "net/internal/socket.h"

namespace kuma::net {
namespace {

using internal::SocketAddress;

constexpr size_t kMaxMessage = 65535;
constexpr size_t kHeader = 12;
constexpr int kMessagesPerTurn = 32;

std::string Framed(std::string_view message) {
  std::string frame;
  frame += static_cast<char>(message.size() >> 8);
  frame += static_cast<char>(message.size() & 0xff);
  frame += message;
  return frame;
}

// The first message of a TCP stream; nothing: not whole yet.
std::optional<std::string_view> FirstFrame(std::string_view bytes) {
  if (bytes.size() < 2) return std::nullopt;
  const size_t size =
      static_cast<size_t>(static_cast<uint8_t>(bytes[0])) << 8 | static_cast<uint8_t>(bytes[1]);
  if (bytes.size() < 2 + size) return std::nullopt;
  return bytes.substr(2, size);
}

base::Result<int> BindUdp(const std::string& host, uint16_t port) {
  TRY_ASSIGN(const SocketAddress address, internal::ParseAddress(host, port));
  const int fd = socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, address.get(), address.size) != 0) {
    const std::string reason = internal::ErrnoText(errno);
    if (fd >= 0) close(fd);
    return base::Unavailable(
        base::Format("listen on {} (UDP): {}", Address{host, port}.ToString(), reason));
  }
  return fd;
}

}  // namespace

// ---- server

class DnsServer::State final : public std::enable_shared_from_this<State> {
 public:
  State(EventLoop& loop, Options options, DnsHandler handler)
      : loop_(loop), options_(std::move(options)), handler_(std::move(handler)) {}

  base::Status Start() {
    // A port that is free for TCP may be taken for UDP.
    for (int attempt = 0;; ++attempt) {
      TRY_ASSIGN(const internal::Listening tcp, internal::ListenOn(options_.host, options_.port));
      auto udp = BindUdp(options_.host, tcp.address.port);
      if (!udp.has_value()) {
        close(tcp.fd);
        if (options_.port != 0 || attempt >= 10) return std::move(udp).error();
        continue;
      }
      port_ = tcp.address.port;
      udp_.fd = *udp;
      tcp_.fd = tcp.fd;
      loop_.Watch(udp_.fd, EPOLLIN, udp_);
      loop_.Watch(tcp_.fd, EPOLLIN, tcp_);
      return base::Ok{};
    }
  }

  void Close() {
    connections_.clear();
    for (const auto& [fd, watcher] :
         {std::pair<int*, FdWatcher*>{&udp_.fd, &udp_}, {&tcp_.fd, &tcp_}}) {
      if (*fd < 0) continue;
      loop_.Unwatch(*fd, *watcher);
      close(std::exchange(*fd, -1));
    }
  }

  uint16_t port() const { return port_; }

 private:
  struct UdpSocket final : FdWatcher {
    explicit UdpSocket(State& owner) : state(owner) {}
    void OnReady(uint32_t) override { state.ReadDatagrams(); }
    State& state;
    int fd = -1;
  };
  struct TcpListener final : FdWatcher {
    explicit TcpListener(State& owner) : state(owner) {}
    void OnReady(uint32_t) override { state.AcceptConnections(); }
    State& state;
    int fd = -1;
  };

  // One query at a time; what the client sends meanwhile waits in the socket.
  class Connection final : public FdWatcher {
   public:
    Connection(State& state, uint64_t number, int fd) : state_(state), number_(number), fd_(fd) {
      Wait();
    }
    ~Connection() { Stop(); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void Stop() {
      if (fd_ < 0) return;
      if (watched_) state_.loop_.Unwatch(fd_, *this);
      close(std::exchange(fd_, -1));
      idle_.Cancel();
    }
    void Answer(std::string_view message) {
      out_ = Framed(message);
      Watch(EPOLLOUT);
    }

   private:
    void Wait() {
      Watch(EPOLLIN);
      idle_ = state_.loop_.PostAfter(state_.options_.idle_time, [this] { End(); });
    }
    void Watch(uint32_t events) {
      if (std::exchange(watched_, true)) {
        state_.loop_.Rewatch(fd_, events, *this);
      } else {
        state_.loop_.Watch(fd_, events, *this);
      }
    }
    void End() {
      Stop();
      const auto node = state_.connections_.extract(number_);
      state_.loop_.DeleteLater(std::shared_ptr<Connection>(std::move(node.mapped())));
    }

    void OnReady(uint32_t) override {
      if (!out_.empty()) return Write();
      std::array<char, 4096> buffer;
      const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (got <= 0) return End();
      in_.append(buffer.data(), static_cast<size_t>(got));
      TakeQuery();
    }
    void TakeQuery() {
      const auto query = FirstFrame(in_);
      if (!query) return;
      if (query->size() < kHeader) return End();
      const std::string message(*query);
      in_.erase(0, 2 + message.size());
      Watch(0);
      state_.handler_(
          message, DnsTransport::kTcp,
          [weak = state_.weak_from_this(), number = number_](const std::string& answer) {
            const auto state = weak.lock();
            if (state == nullptr) return;
            const auto found = state->connections_.find(number);
            if (found != state->connections_.end()) found->second->Answer(answer);
          });
    }
    void Write() {
      const ssize_t sent = send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
      if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (sent < 0) return End();
      out_.erase(0, static_cast<size_t>(sent));
      if (!out_.empty()) return;
      Wait();
      TakeQuery();
    }

    State& state_;
    const uint64_t number_;
    int fd_;
    bool watched_ = false;
    std::string in_;
    std::string out_;
    runtime::Timer idle_;
  };

  void ReadDatagrams() {
    std::array<char, 4096> buffer;
    for (int i = 0; i < kMessagesPerTurn && udp_.fd >= 0; ++i) {
      SocketAddress from;
      from.size = sizeof from.storage;
      const ssize_t got = recvfrom(udp_.fd, buffer.data(), buffer.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from.storage), &from.size);
      if (got < 0) return;
      if (got < static_cast<ssize_t>(kHeader)) continue;
      handler_({buffer.data(), static_cast<size_t>(got)}, DnsTransport::kUdp,
               [weak = weak_from_this(), from](const std::string& answer) {
                 const auto state = weak.lock();
                 if (state == nullptr || state->udp_.fd < 0) return;
                 // A client that is gone, or a full socket: it asks again.
                 [[maybe_unused]] const ssize_t sent =
                     sendto(state->udp_.fd, answer.data(), answer.size(), MSG_NOSIGNAL, from.get(),
                            from.size);
               });
    }
  }

  void AcceptConnections() {
    for (int i = 0; i < kMessagesPerTurn; ++i) {
      const int fd = accept4(tcp_.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      if (connections_.size() >= options_.max_connections) {
        close(fd);
        continue;
      }
      const uint64_t number = next_number_++;
      connections_.emplace(number, std::make_unique<Connection>(*this, number, fd));
    }
  }

  EventLoop& loop_;
  const Options options_;
  DnsHandler handler_;
  uint16_t port_ = 0;
  UdpSocket udp_{*this};
  TcpListener tcp_{*this};
  uint64_t next_number_ = 0;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
};

DnsServer::DnsServer(std::shared_ptr<State> state) : state_(std::move(state)) {}
DnsServer::~DnsServer() { state_->Close(); }
uint16_t DnsServer::port() const { return state_->port(); }

base::Result<std::unique_ptr<DnsServer>> DnsServer::Start(EventLoop& loop, Options options,
                                                          DnsHandler handler) {
  auto state = std::make_shared<State>(loop, std::move(options), std::move(handler));
  if (base::Status done = state->Start(); !done.has_value()) return std::move(done).error();
  return std::unique_ptr<DnsServer>(new DnsServer(std::move(state)));
}

// ---- client

class DnsClient::State final : public std::enable_shared_from_this<State> {
 public:
  State(EventLoop& loop, Options options) : loop_(loop), options_(std::move(options)) {}

  void Ask(std::string_view query, DnsTransport transport, Done done);
  void Close();
  void End(uint64_t number, base::Result<std::string> answer);

 private:
  friend class DnsClient::Question;
  EventLoop& loop_;
  const Options options_;
  uint64_t next_number_ = 0;
  std::map<uint64_t, std::unique_ptr<Question>> questions_;
};

class DnsClient::Question final : public FdWatcher {
 public:
  Question(State& state, uint64_t number, std::string_view query, DnsTransport transport, Done done)
      : state_(state),
        number_(number),
        tcp_(transport == DnsTransport::kTcp),
        id_(query.substr(0, 2)),
        out_(tcp_ ? Framed(query) : std::string(query)),
        done_(std::move(done)) {}
  ~Question() { Stop(); }
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;

  base::Status Start() {
    TRY_ASSIGN(const SocketAddress to,
               internal::ParseAddress(state_.options_.host, state_.options_.port));
    const int type = (tcp_ ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    const int fd = socket(to.family(), type, 0);
    if (fd < 0) return base::Unavailable(internal::ErrnoText(errno));
    if (connect(fd, to.get(), to.size) != 0 && errno != EINPROGRESS) {
      const std::string reason = internal::ErrnoText(errno);
      close(fd);
      return base::Unavailable(reason);
    }
    fd_ = fd;
    state_.loop_.Watch(fd_, EPOLLOUT, *this);
    timeout_ = state_.loop_.PostAfter(state_.options_.timeout,
                                      [this] { Fail("no answer within the time"); });
    return base::Ok{};
  }
  void Stop() {
    if (fd_ < 0) return;
    state_.loop_.Unwatch(fd_, *this);
    close(std::exchange(fd_, -1));
    timeout_.Cancel();
  }
  Done TakeDone() { return std::move(done_); }

 private:
  void Fail(const std::string& reason) { state_.End(number_, base::Unavailable(reason)); }

  void OnReady(uint32_t) override { out_.empty() ? Read() : Write(); }
  void Write() {
    const ssize_t sent = send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (sent < 0) return Fail(internal::ErrnoText(errno));
    out_.erase(0, static_cast<size_t>(sent));
    if (out_.empty()) state_.loop_.Rewatch(fd_, EPOLLIN, *this);
  }
  void Read() {
    std::string buffer(tcp_ ? 4096 : kMaxMessage, '\0');
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got < 0) return Fail(internal::ErrnoText(errno));
    buffer.resize(static_cast<size_t>(got));
    if (!tcp_) {
      // Something that is no answer to this question is none of ours.
      if (buffer.size() >= kHeader && buffer.starts_with(id_))
        state_.End(number_, std::move(buffer));
      return;
    }
    if (got == 0) return Fail("the server closed the connection");
    in_ += buffer;
    const auto answer = FirstFrame(in_);
    if (!answer) return;
    if (answer->size() < kHeader || !answer->starts_with(id_))
      return Fail("no answer to the query");
    state_.End(number_, std::string(*answer));
  }

  State& state_;
  const uint64_t number_;
  const bool tcp_;
  const std::string id_;
  std::string out_;
  std::string in_;
  Done done_;
  int fd_ = -1;
  runtime::Timer timeout_;
};

void DnsClient::State::Ask(std::string_view query, DnsTransport transport, Done done) {
  const auto later = [&](base::Error error) {
    loop_.Post([weak = weak_from_this(), done = std::move(done), error = std::move(error)] {
      if (weak.lock() != nullptr) done(error);
    });
  };
  if (query.size() < kHeader) return later(base::Invalid("no DNS message"));
  if (questions_.size() >= options_.max_questions)
    return later(base::Unavailable("too many questions at once"));
  const uint64_t number = next_number_++;
  auto question = std::make_unique<Question>(*this, number, query, transport, std::move(done));
  if (base::Status started = question->Start(); !started.has_value()) {
    done = question->TakeDone();
    return later(std::move(started).error());
  }
  questions_.emplace(number, std::move(question));
}

void DnsClient::State::End(uint64_t number, base::Result<std::string> answer) {
  const auto node = questions_.extract(number);
  if (node.empty()) return;
  const Done done = node.mapped()->TakeDone();
  node.mapped()->Stop();
  loop_.DeleteLater(std::shared_ptr<Question>(std::move(node.mapped())));
  done(std::move(answer));
}

void DnsClient::State::Close() { questions_.clear(); }

DnsClient::DnsClient(EventLoop& loop, Options options)
    : state_(std::make_shared<State>(loop, std::move(options))) {}
DnsClient::~DnsClient() { state_->Close(); }
void DnsClient::Ask(std::string_view query, DnsTransport transport, Done done) {
  state_->Ask(query, transport, std::move(done));
}

}  // namespace kuma::net

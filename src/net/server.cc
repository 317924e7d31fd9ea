#include "net/server.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/format.h"
#include "base/log.h"
#include "net/internal/connection.h"
#include "net/internal/credentials.h"
#include "net/internal/http1_session.h"
#include "net/internal/http2_session.h"
#include "net/internal/loop_scratch.h"
#include "net/internal/socket.h"

namespace kuma::net {
namespace {

constexpr base::Logger kLog("net");
constexpr int kAcceptsPerTurn = 64;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr auto kTick = std::chrono::seconds(1);
constexpr size_t kCalmTicks = 8;  // between two looks at a calm connection
constexpr auto kLastWords =
    std::chrono::seconds(1);  // for the final status after a drain's deadline

using internal::Connection;
using internal::Credentials;

// How often times are looked at: a fraction of the shortest one, and at most once a second.
runtime::Duration TickOf(const Limits& limits) {
  const runtime::Duration shortest = std::min(
      {limits.handshake_time, limits.header_time, limits.request_time, limits.idle_time,
       limits.stall_time, limits.keepalive_time, limits.keepalive_timeout, limits.linger_time});
  return std::clamp<runtime::Duration>(shortest / 2, std::chrono::milliseconds(5), kTick);
}

size_t DescriptorLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace

size_t RaiseDescriptorLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return DescriptorLimit();
}

struct Server::State : std::enable_shared_from_this<Server::State> {
  // The connections of one loop. Confined to it.
  struct Shard final : Connection::Owner {
    struct Held {
      std::shared_ptr<Connection> connection;
      bool calm = false;  // at the last look
    };

    Shard(State& owner, EventLoop& own_loop) : state(owner), loop(own_loop) {}

    void Adopt(int fd, std::shared_ptr<const Credentials> credentials) {
      Connection::Settings settings;
      settings.fd = fd;
      settings.peer.remote = internal::RemoteAddress(fd);
      settings.peer.local = internal::LocalAddress(fd);
      settings.peer.tls = credentials != nullptr;
      settings.keep_alive = state.shared_from_this();
      if (credentials != nullptr) {
        settings.tls =
            internal::TlsStream::Server(std::move(credentials), state.options.limits.key_updates);
      }
      auto connection =
          std::make_shared<Connection>(loop, state.options.limits, *this, std::move(settings));
      Connection& started = *connection;
      connections.emplace(&started, Held{std::move(connection)});
      started.Start();
    }

    std::unique_ptr<internal::Session> MakeSession(Connection& connection, bool http2) override {
      const Limits& limits = state.options.limits;
      if (http2) {
        return internal::Http2Session::MakeServer(limits, state.hooks, connection.peer(),
                                                  connection, &loop.scratch().frames, loop.Now());
      }
      return std::make_unique<internal::Http1ServerSession>(limits, state.hooks, connection.peer(),
                                                            connection, loop.Now());
    }

    void OnHandshake(bool succeeded, bool resumed) override {
      ++(succeeded ? state.handshakes : state.handshakes_failed);
      if (resumed) ++state.resumed;
    }

    void OnClosed(Connection& connection, const base::Error& why) override {
      kLog.Debug("connection closed", {{"server", state.options.name},
                                       {"peer", connection.peer().remote.ToString()},
                                       {"reason", why.message()}});
      auto node = connections.extract(&connection);
      CHECK(!node.empty(), "a connection is closed once");
      loop.DeleteLater(std::move(node.mapped().connection));
      --state.open;
      state.loops.at(0).Post([weak = state.weak_from_this(), host = connection.peer().remote.host] {
        if (const auto alive = weak.lock()) alive->Release(host);
      });
      if (connections.empty() && draining) FinishDrain();
    }

    void Start() {
      tick = loop.PostAfter(TickOf(state.options.limits), [this] {
        ++ticks;
        ForEach(
            [this](const Held& held) {
              const size_t turn = std::hash<Connection*>()(held.connection.get()) / 64;
              return !held.calm || (turn + ticks) % kCalmTicks == 0;
            },
            [this, now = std::chrono::steady_clock::now()](Connection& one) {
              const bool calm = one.Tick(now);
              const auto found = connections.find(&one);
              if (found != connections.end()) found->second.calm = calm;
            });
        Start();
      });
    }

    // Calls may close connections.
    template <class Chooses, class Function>
    void ForEach(const Chooses& chooses, const Function& function) {
      std::vector<std::shared_ptr<Connection>> chosen;
      for (const auto& [address, held] : connections) {
        if (chooses(held)) chosen.push_back(held.connection);
      }
      for (const auto& connection : chosen) function(*connection);
    }
    template <class Function>
    void ForEach(const Function& function) {
      ForEach([](const Held&) { return true; }, function);
    }

    void Drain(runtime::Duration time) {
      draining = true;
      ForEach([](Connection& one) { one.Drain(); });
      if (connections.empty()) return FinishDrain();
      deadline = loop.PostAfter(time, [this] {
        ForEach([](Connection& one) { one.DrainNow(); });
        if (connections.empty()) return;
        deadline = loop.PostAfter(kLastWords, [this] { CloseAll("the server is shutting down"); });
      });
    }

    void CloseAll(const char* why) {
      ForEach([&](Connection& one) { one.Close(base::Unavailable(why)); });
    }

    void FinishDrain() {
      if (std::exchange(drained, true)) return;
      if (state.shards_to_drain.fetch_sub(1) == 1 && state.on_drained) state.on_drained();
    }

    void Stop() {
      tick.Cancel();
      deadline.Cancel();
      CloseAll("the server was stopped");
    }

    State& state;
    EventLoop& loop;
    std::unordered_map<Connection*, Held> connections;
    runtime::Timer tick;
    size_t ticks = 0;
    runtime::Timer deadline;
    bool draining = false;
    bool drained = false;
  };

  // Accepts, and deals connections to the loops in turn. Confined to the first loop.
  struct Acceptor final : FdWatcher {
    explicit Acceptor(State& owner) : state(owner), loop(owner.loops.at(0)) {}

    void Start() {
      loop.Watch(fd, EPOLLIN, *this);
      if (credentials != nullptr) ScheduleReload();
    }

    void OnReady(uint32_t) override {
      for (int i = 0; i < kAcceptsPerTurn; ++i) {
        const int accepted = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted >= 0) {
          Accepted(accepted);
          continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN) {
          Pause(errno);
        } else if (std::exchange(starving, false)) {
          kLog.Info("accepting connections again", {{"server", state.options.name}});
        }
        return;
      }
    }

    void Accepted(int accepted) {
      const Limits& limits = state.options.limits;
      const std::string host = internal::RemoteAddress(accepted).host;
      size_t& of_address = per_address[host];
      // Descriptors are given out from below: a high one means that few are left.
      const size_t descriptors = DescriptorLimit();
      const size_t spare = std::min(limits.spare_descriptors, descriptors / 4);
      if (of_address >= limits.connections_per_address || state.open.load() >= limits.connections ||
          static_cast<size_t>(accepted) >= descriptors - spare) {
        if (of_address == 0) per_address.erase(host);
        const uint64_t refused = ++state.refused;  // first: who is refused may look it up
        close(accepted);
        // One line per power of two: a flood must not fill the log.
        if ((refused & (refused - 1)) == 0) {
          kLog.Warn("too many connections, refusing", {{"server", state.options.name},
                                                       {"peer", host},
                                                       {"refused", refused},
                                                       {"open", state.open.load()},
                                                       {"descriptors", descriptors}});
        }
        return;
      }
      ++of_address;
      ++state.accepted;
      ++state.open;
      const size_t index = next++ % state.shards.size();
      auto current = credentials == nullptr ? nullptr : credentials->current();
      if (index == 0) {
        state.shards[0]->Adopt(accepted, std::move(current));
        return;
      }
      state.loops.at(index).Post([alive = state.shared_from_this(), index, accepted, current] {
        alive->shards[index]->Adopt(accepted, current);
      });
    }

    // Out of descriptors or memory: the socket stays readable, so look away for a while.
    void Pause(int error) {
      if (!std::exchange(starving, true)) {
        const uint64_t starved = ++state.starved;
        if ((starved & (starved - 1)) == 0) {
          kLog.Error("cannot accept connections, those that wait are served when others end",
                     {{"server", state.options.name},
                      {"error", internal::ErrnoText(error)},
                      {"descriptors", DescriptorLimit()},
                      {"times", starved}});
        }
      }
      loop.Rewatch(fd, 0, *this);
      pause = loop.PostAfter(kAcceptPause, [this] { loop.Rewatch(fd, EPOLLIN, *this); });
    }

    void ScheduleReload() {
      reload = loop.PostAfter(state.options.tls->reload_interval, [this] {
        Reload();
        ScheduleReload();
      });
    }

    void Reload() {
      if (credentials == nullptr) return;
      const auto changed = credentials->Check();
      if (!changed.has_value()) {
        kLog.Error("the new certificate cannot be used, the old one stays",
                   {{"server", state.options.name}, {"error", changed.error().message()}});
      } else if (*changed) {
        kLog.Info("certificate reloaded", {{"server", state.options.name}});
      }
    }

    void Stop() {
      reload.Cancel();
      pause.Cancel();
      if (fd < 0) return;
      loop.Unwatch(fd, *this);
      close(fd);
      fd = -1;
      if (state.bound.host.starts_with("unix:")) unlink(state.bound.host.c_str() + 5);
    }

    State& state;
    EventLoop& loop;
    int fd = -1;
    size_t next = 0;
    std::map<std::string, size_t> per_address;
    std::unique_ptr<internal::ReloadingCredentials> credentials;
    runtime::Timer reload;
    runtime::Timer pause;
    bool starving = false;
  };

  State(EventLoops& all, ServerOptions given, internal::ServerHooks given_hooks)
      : loops(all),
        options(std::move(given)),
        budget(options.limits.server_bytes),
        hooks(std::move(given_hooks)),
        acceptor(*this) {
    hooks.budget = &budget;
    for (size_t i = 0; i < loops.size(); ++i) {
      shards.push_back(std::make_unique<Shard>(*this, loops.at(i)));
    }
  }

  void Release(const std::string& host) {
    const auto found = acceptor.per_address.find(host);
    if (found != acceptor.per_address.end() && --found->second == 0)
      acceptor.per_address.erase(found);
  }

  EventLoops& loops;
  const ServerOptions options;
  internal::ByteBudget budget;
  internal::ServerHooks hooks;
  Address bound;
  Acceptor acceptor;
  std::vector<std::unique_ptr<Shard>> shards;
  std::function<void()> on_drained;
  bool drain_begun = false;  // on the first loop
  std::atomic<size_t> shards_to_drain = 0;
  std::atomic<uint64_t> accepted = 0, refused = 0, starved = 0, open = 0;
  std::atomic<uint64_t> handshakes = 0, handshakes_failed = 0, resumed = 0;
};

base::Result<std::unique_ptr<Server>> Server::Start(EventLoops& loops, ServerOptions options,
                                                    HttpHandler http, GrpcRouter grpc) {
  std::unique_ptr<internal::ReloadingCredentials> credentials;
  if (options.tls.has_value()) {
    TRY_ASSIGN(credentials, internal::ReloadingCredentials::Load(*options.tls));
  }
  TRY_ASSIGN(const internal::Listening listening,
             internal::ListenOn(options.address, options.port));
  auto state = std::make_shared<State>(loops, std::move(options),
                                       internal::ServerHooks{std::move(http), std::move(grpc)});
  state->bound = listening.address;
  state->acceptor.fd = listening.fd;
  state->acceptor.credentials = std::move(credentials);
  for (size_t i = 0; i < loops.size(); ++i) {
    loops.at(i).RunAndWait([&] { state->shards[i]->Start(); });
  }
  loops.at(0).RunAndWait([&] { state->acceptor.Start(); });
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::Server(std::shared_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() {
  // Connections that were accepted before are adopted before the shards stop: their tasks are
  // queued.
  state_->loops.at(0).RunAndWait([this] { state_->acceptor.Stop(); });
  for (size_t i = 0; i < state_->loops.size(); ++i) {
    state_->loops.at(i).RunAndWait([this, i] { state_->shards[i]->Stop(); });
  }
}

uint16_t Server::port() const { return state_->bound.port; }

std::string Server::url() const {
  return base::Format("{}://{}", state_->options.tls.has_value() ? "https" : "http",
                      state_->bound.ToString());
}

void Server::Drain(runtime::Duration deadline, std::function<void()> done) {
  state_->loops.at(0).Post([state = state_, deadline, done = std::move(done)]() mutable {
    if (std::exchange(state->drain_begun, true)) return;
    state->acceptor.Stop();
    state->on_drained = std::move(done);
    state->shards_to_drain = state->shards.size();
    for (size_t i = 0; i < state->shards.size(); ++i) {
      state->loops.at(i).Post([state, i, deadline] { state->shards[i]->Drain(deadline); });
    }
  });
}

ServerStats Server::stats() const {
  return {state_->accepted,   state_->refused,           state_->starved, state_->open,
          state_->handshakes, state_->handshakes_failed, state_->resumed};
}

void Server::ReloadCertificates() {
  state_->loops.at(0).RunAndWait([this] { state_->acceptor.Reload(); });
}

}  // namespace kuma::net

#include "net/simulated.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/check.h"
#include "net/internal/http2_session.h"

namespace kuma::net {
namespace {

constexpr size_t kMaxOnTheWay = 256 << 10;
constexpr auto kTick = std::chrono::seconds(10);

const base::Error kLost(base::Code::kUnavailable, "the connection was lost");

// A connection of two sessions. Alive while somebody holds the client's end or a task is due.
struct Wire : std::enable_shared_from_this<Wire> {
  struct End final : internal::SessionHost {
    End(Wire& owner, runtime::SerialExecutor& own_executor) : wire(owner), executor(own_executor) {}

    void WantWrite() override {
      if (std::exchange(write_posted, true)) return;
      executor.Post([this, alive = wire.shared_from_this()] {
        write_posted = false;
        Write();
      });
    }

    void WakeAt(runtime::Time time) override {
      // Weak: a timer that fired waits in the executor's queue, where it cannot be cancelled any
      // more.
      timers.push_back(executor.PostAfter(time - wire.simulation.clock().Now(),
                                          [this, weak = wire.weak_from_this()] {
                                            if (const auto alive = weak.lock()) OnTimer();
                                          }));
      if (timers.size() > 16) timers.erase(timers.begin());
    }

    runtime::SerialExecutor& loop() override { return executor; }

    Poster poster() override {
      return [&target = executor](runtime::Task task) { target.Post(std::move(task)); };
    }

    // What the session has to say goes into the other end's inbox.
    void Write() {
      if (wire.closed) return;
      End& peer = wire.Other(*this);
      std::array<char, 16384> bytes;
      while (peer.inbox.size() < kMaxOnTheWay) {
        const size_t size = session->Produce(bytes, wire.simulation.clock().Now());
        if (size == 0) break;
        peer.inbox.append(bytes.data(), size);
        peer.ScheduleDelivery();
      }
      if (failed || session->Finished()) over = true;
      if (over) peer.ScheduleDelivery();
    }

    void ScheduleDelivery() {
      if (wire.held || std::exchange(delivery_posted, true)) return;
      const auto deliver = [this, alive = wire.shared_from_this()] {
        delivery_posted = false;
        Deliver();
      };
      const int64_t most = wire.transport.max_delay.count();
      if (most == 0) return executor.Post(deliver);
      const auto delay =
          static_cast<int64_t>(wire.simulation.random().Below(static_cast<uint64_t>(most) + 1));
      delivery = executor.PostAfter(runtime::Duration(delay), deliver);
    }

    void Deliver() {
      if (wire.closed || wire.held) return;
      End& peer = wire.Other(*this);
      const size_t most = std::min(inbox.size(), wire.transport.max_chunk);
      if (most > 0) {
        const size_t size = 1 + wire.simulation.random().Below(most);
        const std::string chunk = inbox.substr(0, size);
        inbox.erase(0, size);
        if (!failed && !session->Feed(chunk, wire.simulation.clock().Now())) failed = true;
        WantWrite();
        peer.WantWrite();  // there is room again
      }
      if (!inbox.empty()) {
        ScheduleDelivery();
      } else if (peer.over) {
        wire.Cut();
      }
    }

    void OnTimer() {
      if (wire.closed) return;
      if (!session->OnTimer(wire.simulation.clock().Now())) {
        wire.Cut();
        return;
      }
      WantWrite();
    }

    void Tick() {
      tick = executor.PostAfter(kTick, [this, weak = wire.weak_from_this()] {
        const auto alive = weak.lock();
        if (alive == nullptr || alive->closed) return;
        Tick();
        OnTimer();
      });
    }

    void Disconnect() {
      tick.Cancel();
      delivery.Cancel();
      timers.clear();
      inbox.clear();
      session->OnDisconnected(kLost);
    }

    Wire& wire;
    runtime::SerialExecutor& executor;
    std::unique_ptr<internal::Http2Session> session;
    std::string inbox;  // on the way to this end
    bool write_posted = false;
    bool delivery_posted = false;
    bool failed = false;
    bool over = false;  // says nothing more
    runtime::Timer delivery;
    runtime::Timer tick;
    std::vector<runtime::Timer> timers;
  };

  Wire(runtime::Simulation& world, SimulatedTransport how, runtime::SerialExecutor& client_loop,
       runtime::SerialExecutor& server_loop, const Limits& of_client, const Limits& of_server,
       std::shared_ptr<const internal::ServerHooks> server_hooks)
      : simulation(world),
        transport(how),
        client_limits(of_client),
        server_limits(of_server),
        hooks(std::move(server_hooks)),
        client(*this, client_loop),
        server(*this, server_loop) {}

  void Start(const std::string& address) {
    Peer peer;
    peer.local = {address, 0};
    peer.remote = {"127.0.0.1", 1};
    const runtime::Time now = simulation.clock().Now();
    client.session = internal::Http2Session::MakeClient(client_limits, peer, client, now);
    server.session =
        internal::Http2Session::MakeServer(server_limits, *hooks, peer, server, nullptr, now);
    for (End* end : {&client, &server}) {
      end->WantWrite();
      end->Tick();
    }
  }

  End& Other(const End& end) { return &end == &client ? server : client; }

  void Cut() {
    if (std::exchange(closed, true)) return;
    for (End* end : {&client, &server}) {
      end->executor.Post([end, alive = shared_from_this()] { end->Disconnect(); });
    }
  }

  void CutNow() {
    if (std::exchange(closed, true)) return;
    client.Disconnect();
    server.Disconnect();
  }

  runtime::Simulation& simulation;
  const SimulatedTransport transport;
  const Limits client_limits;
  const Limits server_limits;
  const std::shared_ptr<const internal::ServerHooks> hooks;
  bool closed = false;
  bool held = false;
  End client;
  End server;
};

class ClientEnd final : public SimulatedNetwork::Connection {
 public:
  explicit ClientEnd(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}
  ~ClientEnd() override { wire_->Cut(); }

  bool open() const override { return !wire_->closed; }

  void Open(GrpcCall call, std::unique_ptr<GrpcStreamHandler> handler) override {
    auto shared = std::make_shared<std::unique_ptr<GrpcStreamHandler>>(std::move(handler));
    wire_->client.executor.Post([wire = wire_, call = std::move(call), shared] {
      internal::Http2Session& session = *wire->client.session;
      if (wire->closed || !session.CanStart()) {
        (*shared)->OnClosed(ToGrpcStatus(kLost), {});
      } else {
        session.StartCall(call, "simulated", wire->simulation.clock().Now(), std::move(*shared));
      }
    });
  }

  void Send(HttpRequest request, std::function<void(base::Result<HttpResponse>)> done) override {
    wire_->client.executor.Post(
        [wire = wire_, request = std::move(request), done = std::move(done)] {
          internal::Http2Session& session = *wire->client.session;
          if (wire->closed || !session.CanStart()) {
            done(kLost);
          } else {
            session.StartRequest(request, wire->simulation.clock().Now(), done);
          }
        });
  }

  void Cut() override { wire_->Cut(); }

  void Hold(bool hold) override {
    wire_->held = hold;
    if (hold) return;
    wire_->client.ScheduleDelivery();
    wire_->server.ScheduleDelivery();
  }

 private:
  std::shared_ptr<Wire> wire_;
};

}  // namespace

bool RecordedStream::Send(std::string head, std::vector<Slice> slices) {
  if (finished_.has_value()) return false;
  for (const Slice& slice : slices) head += *slice;
  messages_.push_back(std::move(head));
  return true;
}

void RecordedStream::Finish(GrpcStatus status, Headers) {
  if (!finished_.has_value()) finished_ = std::move(status);
}

std::vector<std::string> RecordedStream::Take() { return std::exchange(messages_, {}); }

struct SimulatedNetwork::State {
  struct Listener {
    runtime::SerialExecutor* loop;
    std::shared_ptr<const internal::ServerHooks> hooks;
    Limits limits;
  };

  runtime::Simulation& simulation;
  SimulatedTransport transport;
  std::map<std::string, Listener> listeners;
  std::vector<std::pair<std::string, std::weak_ptr<Wire>>> wires;
};

SimulatedNetwork::SimulatedNetwork(runtime::Simulation& simulation, SimulatedTransport transport)
    : state_(std::make_shared<State>(State{simulation, transport, {}, {}})) {
  CHECK(transport.max_chunk > 0, "a chunk has at least one byte");
}

SimulatedNetwork::~SimulatedNetwork() {
  for (const auto& [address, weak] : state_->wires) {
    if (const auto wire = weak.lock()) wire->CutNow();
  }
}

void SimulatedNetwork::Listen(const std::string& address, runtime::SerialExecutor& loop,
                              HttpHandler http, GrpcRouter grpc, Limits limits) {
  auto hooks = std::make_shared<const internal::ServerHooks>(
      internal::ServerHooks{std::move(http), std::move(grpc)});
  state_->listeners[address] = {&loop, std::move(hooks), limits};
}

void SimulatedNetwork::Close(const std::string& address) {
  state_->listeners.erase(address);
  for (const auto& [where, weak] : state_->wires) {
    const auto wire = weak.lock();
    if (wire != nullptr && where == address) wire->Cut();
  }
}

std::shared_ptr<SimulatedNetwork::Connection> SimulatedNetwork::Connect(
    const std::string& address, runtime::SerialExecutor& loop, Limits limits) {
  const auto found = state_->listeners.find(address);
  if (found == state_->listeners.end()) return nullptr;
  const State::Listener& listener = found->second;
  auto wire = std::make_shared<Wire>(state_->simulation, state_->transport, loop, *listener.loop,
                                     limits, listener.limits, listener.hooks);
  wire->Start(address);
  std::erase_if(state_->wires, [](const auto& one) { return one.second.expired(); });
  state_->wires.emplace_back(address, wire);
  return std::make_shared<ClientEnd>(std::move(wire));
}

}  // namespace kuma::net

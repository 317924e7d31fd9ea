#pragma once

// Transport for tests and simulations: the real HTTP/2 sessions of server and client without
// sockets, under runtime::Simulation, with chunks and delays chosen by its seed; and a GrpcStream
// that only records.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/grpc.h"
#include "net/http.h"
#include "net/limits.h"
#include "runtime/simulation.h"

namespace kuma::net {

// Records what is sent. Calls no handler by itself. Confined to one thread.
class RecordedStream final : public GrpcStream {
 public:
  explicit RecordedStream(runtime::SerialExecutor& loop) : loop_(loop) {}
  runtime::SerialExecutor& loop() override { return loop_; }
  bool Send(std::string head, std::vector<Slice> slices) override;
  void Finish(GrpcStatus status, Headers trailers) override;
  size_t queued_bytes() const override { return queued_; }
  using GrpcStream::Finish;
  using GrpcStream::Send;

  // Takes the messages recorded since the last call, each joined.
  std::vector<std::string> Take();
  const std::optional<GrpcStatus>& finished() const { return finished_; }
  // What queued_bytes() answers; Send adds nothing to it.
  void SetQueued(size_t bytes) { queued_ = bytes; }

 private:
  runtime::SerialExecutor& loop_;
  std::vector<std::string> messages_;
  std::optional<GrpcStatus> finished_;
  size_t queued_ = 0;
};

struct SimulatedTransport {
  size_t max_chunk = 4096;         // bytes arrive in chunks of 1 to this
  runtime::Duration max_delay{0};  // each chunk is late by 0 to this; order is kept
};

// A network of named addresses. Confined to the simulation's thread; dies before the simulation.
class SimulatedNetwork {
 public:
  explicit SimulatedNetwork(runtime::Simulation& simulation, SimulatedTransport transport = {});
  ~SimulatedNetwork();
  SimulatedNetwork(const SimulatedNetwork&) = delete;
  SimulatedNetwork& operator=(const SimulatedNetwork&) = delete;

  // Serves an address on an executor of the simulation until Close.
  void Listen(const std::string& address, runtime::SerialExecutor& loop, HttpHandler http,
              GrpcRouter grpc, Limits limits = {});
  // Cuts every connection of the address; nobody listens there afterwards.
  void Close(const std::string& address);

  class Connection;
  // Connects from an executor of the simulation. Null: nobody listens.
  std::shared_ptr<Connection> Connect(const std::string& address, runtime::SerialExecutor& loop,
                                      Limits limits = Limits::ForClient());

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// The client's end. Destroying it cuts the connection.
class SimulatedNetwork::Connection {
 public:
  virtual ~Connection() = default;
  virtual bool open() const = 0;
  // The handler is called on the executor of the connection.
  virtual void Open(GrpcCall call, std::unique_ptr<GrpcStreamHandler> handler) = 0;
  virtual void Send(HttpRequest request, std::function<void(base::Result<HttpResponse>)> done) = 0;
  // Both ends see a lost connection; bytes on the way are lost.
  virtual void Cut() = 0;
  // While held, nothing is delivered in either direction.
  virtual void Hold(bool hold) = 0;
};

}  // namespace kuma::net

#pragma once

// For the tests of HTTP/2 sessions: a host, a handler that records, frames written by hand.

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/internal/http2_session.h"
#include "runtime/simulation.h"

namespace kuma::net::internal {

class Host : public SessionHost {
 public:
  void WantWrite() override {}
  void WakeAt(runtime::Time time) override { wake_at = time; }
  runtime::SerialExecutor& loop() override { return executor_; }
  Poster poster() override {
    return [this](runtime::Task task) { executor_.Post(std::move(task)); };
  }
  void Run() { simulation_.RunUntilIdle(); }
  // Handlers run on the executor.
  void On(runtime::Task task) {
    executor_.Post(std::move(task));
    Run();
  }
  runtime::Time wake_at{};

 private:
  runtime::Simulation simulation_{1};
  runtime::SerialExecutor& executor_ = simulation_.AddExecutor("loop");
};

struct Seen {
  GrpcStream* stream = nullptr;
  std::deque<std::string> messages;
  bool headers = false;
  bool half_closed = false;
  bool drained = false;
  int low = 0;
  std::optional<GrpcStatus> closed;
  Headers trailers;
};

class Recorder : public GrpcStreamHandler {
 public:
  explicit Recorder(Seen& seen) : seen_(seen) {}
  void OnStart(GrpcStream& stream) override { seen_.stream = &stream; }
  void OnHeaders(const Headers&) override { seen_.headers = true; }
  void OnMessage(std::string_view message) override { seen_.messages.emplace_back(message); }
  void OnHalfClose() override { seen_.half_closed = true; }
  void OnQueueLow() override { ++seen_.low; }
  void OnDrain() override { seen_.drained = true; }
  void OnClosed(const GrpcStatus& status, const Headers& trailers) override {
    seen_.closed = status;
    seen_.trailers = trailers;
    seen_.stream = nullptr;
  }

 private:
  Seen& seen_;
};

inline GrpcRouter To(Seen& seen) {
  return [&seen](const GrpcRequest&) -> GrpcAnswer { return std::make_unique<Recorder>(seen); };
}

// Frames by hand: type, flags, stream, payload.
inline std::string Frame(int type, int flags, uint32_t stream, const std::string& payload) {
  std::string frame;
  frame += static_cast<char>(payload.size() >> 16);
  frame += static_cast<char>(payload.size() >> 8);
  frame += static_cast<char>(payload.size());
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(stream >> shift);
  return frame + payload;
}
inline std::string Literal(const std::string& name, const std::string& value) {
  return std::string(1, '\0') + static_cast<char>(name.size()) + name +
         static_cast<char>(value.size()) + value;
}
inline const std::string kHello =
    std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + Frame(4, 0, 0, "");
inline std::string CallHeaders(uint32_t stream, const std::string& more = "", int flags = 4) {
  return Frame(1, flags, stream,
               Literal(":method", "POST") + Literal(":scheme", "http") + Literal(":path", "/e") +
                   Literal(":authority", "x") + Literal("content-type", "application/grpc") + more);
}

struct Victim {
  explicit Victim(Limits given = {}) : limits(given), hooks{nullptr, To(seen)} {
    session = Http2Session::MakeServer(limits, hooks, {}, host, nullptr, now);
  }
  bool Feed(const std::string& bytes) {
    bool good = true;
    host.On([&] {
      good = session->Feed(bytes, now);
      std::array<char, 8192> out;
      while (const size_t size = session->Produce(out, now)) sent.append(out.data(), size);
    });
    return good;
  }
  Host host;
  runtime::Time now{std::chrono::hours(1)};
  Limits limits;
  Seen seen;
  ServerHooks hooks;
  std::unique_ptr<Http2Session> session;
  std::string sent;
};

}  // namespace kuma::net::internal

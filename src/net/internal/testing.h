#pragma once

// For the tests of this room: handlers that echo, calls that can be waited for. Nothing here
// sleeps.

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/client.h"
#include "net/grpc.h"
#include "net/server.h"
#include "net/tls.h"

namespace kuma::net::internal {

constexpr auto kTestDeadline = std::chrono::seconds(30);

// Polls without sleeping until the condition holds; false after the deadline.
inline bool Eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kTestDeadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// Sends every message back, half of it as a slice, and finishes when the client does.
class EchoHandler : public GrpcStreamHandler {
 public:
  void OnStart(GrpcStream& stream) override { stream_ = &stream; }
  void OnMessage(std::string_view message) override {
    const size_t half = message.size() / 2;
    stream_->Send(std::string(message.substr(0, half)),
                  {std::make_shared<const std::string>(message.substr(half))});
  }
  void OnHalfClose() override {
    stream_->Finish({GrpcCode::kOk, "bye % \xe2\x82\xac"},
                    {{"done", "yes"}, {"raw-bin", std::string("\0\xff", 2)}});
  }
  void OnDrain() override { stream_->Finish({GrpcCode::kUnavailable, "drained"}); }
  void OnClosed(const GrpcStatus&, const Headers&) override {}

 protected:
  GrpcStream* stream_ = nullptr;
};

// A client's call, watched from the test's thread.
class WatchedCall {
 public:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    GrpcStream* stream = nullptr;
    Headers headers;
    std::vector<std::string> messages;
    bool closed = false;
    GrpcStatus status;
    Headers trailers;
    int queue_low = 0;
  };

  std::unique_ptr<GrpcStreamHandler> handler() { return std::make_unique<Handler>(shared_); }

  // Waits for the condition on the shared state, which is locked.
  bool Wait(const std::function<bool(const Shared&)>& condition) {
    std::unique_lock lock(shared_->mutex);
    return shared_->changed.wait_for(lock, kTestDeadline, [&] { return condition(*shared_); });
  }
  bool WaitStarted() {
    return Wait([](const Shared& s) { return s.stream != nullptr || s.closed; });
  }
  bool WaitMessages(size_t count) {
    return Wait([&](const Shared& s) { return s.messages.size() >= count || s.closed; });
  }
  bool WaitClosed() {
    return Wait([](const Shared& s) { return s.closed; });
  }
  void OnStream(std::function<void(GrpcStream&)> action) {
    GrpcStream* stream = shared_->stream;
    stream->loop().Post([shared = shared_, stream, action = std::move(action)] {
      if (!shared->closed) action(*stream);
    });
  }
  void Send(std::string message) {
    OnStream([message](GrpcStream& stream) { stream.Send(message); });
  }
  void Finish(GrpcStatus status = {}) {
    OnStream([status](GrpcStream& stream) { stream.Finish(status); });
  }
  Shared& shared() { return *shared_; }

 private:
  class Handler final : public GrpcStreamHandler {
   public:
    explicit Handler(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
    void OnStart(GrpcStream& stream) override {
      Change([&](Shared& s) { s.stream = &stream; });
    }
    void OnHeaders(const Headers& headers) override {
      Change([&](Shared& s) { s.headers = headers; });
    }
    void OnMessage(std::string_view message) override {
      Change([&](Shared& s) { s.messages.emplace_back(message); });
    }
    void OnQueueLow() override {
      Change([&](Shared& s) { ++s.queue_low; });
    }
    void OnClosed(const GrpcStatus& status, const Headers& trailers) override {
      Change([&](Shared& s) {
        s.closed = true;
        s.status = status;
        s.trailers = trailers;
      });
    }

   private:
    void Change(const std::function<void(Shared&)>& change) {
      const std::lock_guard lock(shared_->mutex);
      change(*shared_);
      shared_->changed.notify_all();
    }
    std::shared_ptr<Shared> shared_;
  };

  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

// Answers with a description of the request; the body comes back.
inline void DescribeRequest(HttpRequest request, HttpResponder responder) {
  HttpResponse response;
  response.headers.Add("x-method", request.method);
  response.headers.Add("x-path", request.path);
  response.headers.Add("x-version", std::to_string(static_cast<int>(request.version)));
  response.headers.Add("x-peer", request.peer.remote.host);
  response.headers.Add("x-tls", request.peer.tls ? "yes" : "no");
  response.headers.Add(
      "x-subject", request.peer.certificate == nullptr ? "" : request.peer.certificate->subject);
  response.body = std::move(request.body);
  responder.Send(std::move(response));
}

inline GrpcRouter EchoRouter() {
  return [](const GrpcRequest& request) -> GrpcAnswer {
    if (request.path == "/test.Echo/Echo") return std::make_unique<EchoHandler>();
    return GrpcStatus{GrpcCode::kUnimplemented, "no method " + request.path};
  };
}

inline base::Result<HttpResponse> Get(const std::string& url, ClientOptions options = {}) {
  auto request = MakeRequest("GET", url);
  if (!request.has_value()) return std::move(request).error();
  return Fetch(*std::move(request), std::move(options));
}

}  // namespace kuma::net::internal

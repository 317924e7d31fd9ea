// The HTTP/2 and gRPC session, as server (first bit 0) or client (1); the rest of the first byte is
// the size of the pieces. A server gets the client's preface for nothing.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/internal/http2_session.h"
#include "runtime/simulation.h"

namespace {

using namespace kuma;  // NOLINT: one small program

class Host final : public net::internal::SessionHost {
 public:
  void WantWrite() override {}
  void WakeAt(runtime::Time) override {}
  runtime::SerialExecutor& loop() override { return executor_; }
  net::Poster poster() override {
    return [this](runtime::Task task) { executor_.Post(std::move(task)); };
  }
  void On(runtime::Task task) {
    executor_.Post(std::move(task));
    simulation_.RunUntilIdle();
  }
  runtime::Time Now() { return simulation_.clock().Now(); }

 private:
  runtime::Simulation simulation_{1};
  runtime::SerialExecutor& executor_ = simulation_.AddExecutor("loop");
};

class Echo final : public net::GrpcStreamHandler {
 public:
  void OnStart(net::GrpcStream& stream) override { stream_ = &stream; }
  void OnMessage(std::string_view message) override { stream_->Send(std::string(message)); }
  void OnHalfClose() override { stream_->Finish(net::GrpcStatus{}); }
  void OnClosed(const net::GrpcStatus&, const net::Headers&) override {}

 private:
  net::GrpcStream* stream_ = nullptr;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const bool as_client = (bytes[0] & 1) != 0;
  const size_t step = 1 + bytes[0] / 2;
  std::string input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  net::Limits limits;
  limits.body_bytes = 10'000;
  limits.message_bytes = 10'000;
  Host host;
  const net::internal::ServerHooks hooks{
      [](net::HttpRequest request, const net::HttpResponder& responder) {
        responder.Send({200, request.headers, request.path + request.body});
      },
      [](const net::GrpcRequest&) -> net::GrpcAnswer { return std::make_unique<Echo>(); }};
  std::unique_ptr<net::internal::Http2Session> session;
  host.On([&] {
    if (as_client) {
      session = net::internal::Http2Session::MakeClient(limits, {}, host, host.Now());
      session->StartCall({"/a/b", {}, {}}, "x", host.Now(), std::make_unique<Echo>());
      session->StartRequest({}, host.Now(), [](const base::Result<net::HttpResponse>&) {});
    } else {
      session =
          net::internal::Http2Session::MakeServer(limits, hooks, {}, host, nullptr, host.Now());
      input.insert(0, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    }
  });
  std::string_view rest = input;
  std::array<char, 4096> out;
  bool good = true;
  while (good && !rest.empty()) {
    host.On([&] {
      const size_t count = std::min(step, rest.size());
      good = session->Feed(rest.substr(0, count), host.Now());
      rest.remove_prefix(count);
      while (session->Produce(out, host.Now()) > 0) {
      }
    });
  }
  host.On([&] {
    session->OnTimer(host.Now() + std::chrono::hours(1));
    session.reset();
  });
  return 0;
}

// The HTTP/1.1 sessions of server and client. First byte: how large the pieces are.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/internal/http1_session.h"
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
  void Run() { simulation_.RunUntilIdle(); }
  runtime::Time Now() { return simulation_.clock().Now(); }

 private:
  runtime::Simulation simulation_{1};
  runtime::SerialExecutor& executor_ = simulation_.AddExecutor("loop");
};

void FeedAll(net::internal::Session& session, Host& host, std::string_view bytes, size_t step) {
  std::array<char, 2048> out;
  while (!bytes.empty()) {
    const size_t size = std::min(step, bytes.size());
    if (!session.Feed(bytes.substr(0, size), host.Now())) return;
    host.Run();
    while (session.Produce(out, host.Now()) > 0) {
    }
    if (session.Finished()) return;
    bytes.remove_prefix(size);
  }
  session.OnEof(host.Now());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const size_t step = 1 + bytes[0];
  const std::string_view input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  net::Limits limits;
  limits.body_bytes = 10'000;
  Host host;
  const net::internal::ServerHooks hooks{
      [](net::HttpRequest request, const net::HttpResponder& responder) {
        responder.Send({200, request.headers, request.path + request.body});
      },
      nullptr};
  net::internal::Http1ServerSession server(limits, hooks, {}, host, host.Now());
  FeedAll(server, host, input, step);

  net::internal::Http1ClientSession client(limits, host);
  client.StartRequest({}, host.Now(), [](const base::Result<net::HttpResponse>&) {});
  FeedAll(client, host, input, step);
  client.OnDisconnected(base::Unavailable("end"));
  return 0;
}

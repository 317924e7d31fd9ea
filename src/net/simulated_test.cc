#include "net/simulated.h"

#include <gtest/gtest.h>

#include "net/event_loop.h"
#include "net/internal/testing.h"

namespace kuma::net {
namespace {

struct Outcome {
  std::vector<std::string> messages;
  std::optional<GrpcStatus> closed;
  GrpcStream* stream = nullptr;
};

class Client final : public GrpcStreamHandler {
 public:
  explicit Client(Outcome& outcome) : outcome_(outcome) {}
  void OnStart(GrpcStream& stream) override {
    outcome_.stream = &stream;
    for (int i = 0; i < 5; ++i) stream.Send(std::string(10'000, static_cast<char>('a' + i)));
  }
  void OnMessage(std::string_view message) override { outcome_.messages.emplace_back(message); }
  void OnClosed(const GrpcStatus& status, const Headers&) override { outcome_.closed = status; }

 private:
  Outcome& outcome_;
};

// What is ready now runs before time passes.
void Pass(runtime::Simulation& simulation, runtime::Duration time) {
  simulation.RunUntilIdle();
  simulation.Advance(time);
}

uint64_t RunWorld(uint64_t seed) {
  runtime::Simulation simulation(seed);
  SimulatedNetwork network(simulation,
                           {.max_chunk = 3000, .max_delay = std::chrono::milliseconds(5)});
  auto& server = simulation.AddExecutor("server");
  auto& client = simulation.AddExecutor("client");
  network.Listen("cp:5678", server, internal::DescribeRequest, internal::EchoRouter());
  EXPECT_EQ(network.Connect("nobody:1", client), nullptr);
  const auto connection = network.Connect("cp:5678", client);
  Outcome outcome;
  connection->Open({"/test.Echo/Echo", {}, {}}, std::make_unique<Client>(outcome));
  std::string path;
  HttpRequest request;
  request.target = "/a%20b";
  request.authority = "cp";
  connection->Send(request, [&](const base::Result<HttpResponse>& result) {
    if (result.has_value()) path = std::string(result->headers.Get("x-path"));
  });
  Pass(simulation, std::chrono::seconds(5));
  EXPECT_EQ(outcome.messages.size(), 5u);
  EXPECT_EQ(path, "/a b");
  EXPECT_FALSE(outcome.closed.has_value());

  connection->Hold(true);
  client.Post([&] { outcome.stream->Send("held"); });
  Pass(simulation, std::chrono::seconds(5));
  EXPECT_EQ(outcome.messages.size(), 5u);
  connection->Hold(false);
  Pass(simulation, std::chrono::seconds(5));
  EXPECT_EQ(outcome.messages.size(), 6u);

  // Keepalive passes for hours.
  Pass(simulation, std::chrono::hours(1));
  EXPECT_TRUE(connection->open());
  network.Close("cp:5678");
  Pass(simulation, std::chrono::seconds(1));
  EXPECT_FALSE(connection->open());
  EXPECT_EQ(*outcome.closed, (GrpcStatus{GrpcCode::kUnavailable, "the connection was lost"}));
  EXPECT_EQ(network.Connect("cp:5678", client), nullptr);
  return simulation.trace_hash();
}

TEST(SimulatedNetwork, SameSeedSameRun) {
  for (uint64_t seed = 1; seed <= 20; ++seed) EXPECT_EQ(RunWorld(seed), RunWorld(seed));
}

TEST(SimulatedNetwork, MayDieWithOpenStreams) {
  runtime::Simulation simulation(1);
  Outcome outcome;
  {
    SimulatedNetwork network(simulation);
    auto& loop = simulation.AddExecutor("both");
    network.Listen("a", loop, nullptr, internal::EchoRouter());
    const auto connection = network.Connect("a", loop);
    connection->Open({"/test.Echo/Echo", {}, {}}, std::make_unique<Client>(outcome));
    simulation.RunUntilIdle();
  }
  simulation.RunUntilIdle();
  EXPECT_TRUE(outcome.closed.has_value());
}

TEST(RecordedStream, Records) {
  runtime::Simulation simulation(1);
  RecordedStream stream(simulation.AddExecutor("loop"));
  EXPECT_TRUE(stream.Send("a", {std::make_shared<const std::string>("b")}));
  EXPECT_TRUE(stream.Send("c"));
  EXPECT_EQ(stream.Take(), (std::vector<std::string>{"ab", "c"}));
  stream.Finish({GrpcCode::kOk, "done"});
  EXPECT_FALSE(stream.Send("d"));
  EXPECT_EQ(stream.finished()->message, "done");
}

TEST(EventLoop, TasksTimersAndPosters) {
  Poster poster;
  std::atomic<int> count = 0;
  {
    EventLoop loop("loop");
    poster = loop.MakePoster();
    std::promise<void> fired;
    EXPECT_FALSE(loop.IsCurrent());
    std::vector<int> order;
    loop.RunAndWait([&] {
      EXPECT_TRUE(loop.IsCurrent());
      loop.Post([&] { order.push_back(1); });
      loop.Post([&] { order.push_back(2); });
    });
    runtime::Timer kept, cancelled;
    loop.RunAndWait([&] {
      kept = loop.PostAfter(std::chrono::milliseconds(5), [&] { fired.set_value(); });
      cancelled = loop.PostAfter(std::chrono::milliseconds(1), [&] { ++count; });
      cancelled.Cancel();
    });
    fired.get_future().wait();
    EXPECT_EQ(order, (std::vector<int>{1, 2}));
    poster([&] { count += 10; });
    loop.RunAndWait([] {});
    loop.RunAndWait([&] { kept.Cancel(); });
  }
  poster([&] { count += 100; });  // the loop is gone
  EXPECT_EQ(count, 10);
}

}  // namespace
}  // namespace kuma::net

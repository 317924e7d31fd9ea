#include "net/internal/http2_session.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <deque>
#include <random>

#include "net/internal/http2_testing.h"

namespace kuma::net::internal {
namespace {

class Echo : public GrpcStreamHandler {
 public:
  void OnStart(GrpcStream& stream) override { stream_ = &stream; }
  void OnMessage(std::string_view message) override {
    stream_->Send("", {std::make_shared<const std::string>(message)});
  }
  void OnHalfClose() override { stream_->Finish({GrpcCode::kOk, "bye"}); }
  void OnClosed(const GrpcStatus&, const Headers&) override {}

 private:
  GrpcStream* stream_ = nullptr;
};

// Two sessions and the bytes between them.
struct Pair {
  explicit Pair(GrpcRouter router, Limits server_limits = {}, Limits client_limits = {},
                HttpHandler http = nullptr)
      : limits_of_server(server_limits),
        limits_of_client(client_limits),
        hooks{std::move(http), std::move(router)},
        server(Http2Session::MakeServer(limits_of_server, hooks, {}, host, &frames, now)),
        client(Http2Session::MakeClient(limits_of_client, {}, host, now)) {}

  // Moves everything until nothing moves; false: a session failed.
  bool Pump() {
    bool good = true;
    host.On([&] {
      for (int idle = 0; idle < 3 && good; ++idle) {
        for (auto [from, to] :
             {std::pair(client.get(), server.get()), std::pair(server.get(), client.get())}) {
          std::array<char, 4096> bytes;
          while (const size_t size = from->Produce(bytes, now)) {
            idle = 0;
            if (!to->Feed({bytes.data(), size}, now)) good = false;
          }
        }
      }
    });
    host.Run();
    return good;
  }
  void Start(Seen& seen, const std::string& path = "/e", GrpcCall call = {}) {
    call.path = path;
    host.On([&] { client->StartCall(call, "h", now, std::make_unique<Recorder>(seen)); });
  }

  Host host;
  FrameBuffer frames;
  runtime::Time now{std::chrono::hours(1)};
  const Limits limits_of_server;
  const Limits limits_of_client;
  const ServerHooks hooks;
  std::unique_ptr<Http2Session> server;
  std::unique_ptr<Http2Session> client;
};

TEST(Http2, StatusAndTrailers) {
  Seen at_server, at_client;
  Pair pair(To(at_server));
  pair.Start(at_client);
  ASSERT_TRUE(pair.Pump());
  EXPECT_TRUE(at_client.headers);
  EXPECT_TRUE(pair.client->ready());
  pair.host.On([&] {
    at_server.stream->Send("one");
    at_server.stream->Finish({GrpcCode::kNotFound, "none\xc3\xa4"},
                             {{"k-bin", "\x01"}, {"k", "a\r\nb"}, {"grpc-status", "0"}});
    EXPECT_FALSE(at_server.stream->Send("late"));
  });
  ASSERT_TRUE(pair.Pump());
  EXPECT_EQ(at_client.messages, std::deque<std::string>{"one"});
  EXPECT_EQ(*at_client.closed, (GrpcStatus{GrpcCode::kNotFound, "none\xc3\xa4"}));
  EXPECT_EQ(at_client.trailers, (Headers{{"k-bin", "\x01"}, {"k", "a  b"}}));
  EXPECT_EQ(*at_server.closed, (GrpcStatus{GrpcCode::kNotFound, "none\xc3\xa4"}));
  EXPECT_EQ(pair.client->in_progress(), 0u);
  EXPECT_EQ(pair.server->in_progress(), 0u);
}

TEST(Http2, CompressedMessagesAreMarked) {
  Seen at_server, at_client;
  Pair pair(To(at_server));
  GrpcCall call;
  call.encoding = "gzip";
  pair.Start(at_client, "/e", call);
  std::string sent;
  pair.host.On([&] {
    at_client.stream->Send("zipped");
    std::array<char, 4096> bytes;
    while (const size_t size = pair.client->Produce(bytes, pair.now))
      sent.append(bytes.data(), size);
    pair.server->Feed(sent, pair.now);
  });
  EXPECT_NE(sent.find(std::string("\1\0\0\0\6zipped", 11)), std::string::npos);
  pair.Pump();
  EXPECT_EQ(*at_client.closed,
            (GrpcStatus{GrpcCode::kUnimplemented, "compression \"gzip\" is not supported"}));
}

TEST(Http2, ClientCancels) {
  Seen at_server, at_client;
  Pair pair(To(at_server));
  pair.Start(at_client);
  pair.Pump();
  pair.host.On([&] { at_client.stream->Finish({GrpcCode::kCancelled, "enough"}); });
  pair.Pump();
  EXPECT_EQ(*at_client.closed, (GrpcStatus{GrpcCode::kCancelled, "enough"}));
  EXPECT_EQ(at_server.closed->code, GrpcCode::kCancelled);
}

TEST(Http2, LostConnectionsEndStreams) {
  Seen at_server, at_client;
  Pair pair(To(at_server));
  pair.Start(at_client);
  pair.Pump();
  pair.host.On([&] { pair.client->OnDisconnected(base::Unavailable("cut")); });
  EXPECT_EQ(*at_client.closed, (GrpcStatus{GrpcCode::kUnavailable, "cut"}));
  pair.host.On([&] { pair.server.reset(); });
  EXPECT_EQ(at_server.closed->code, GrpcCode::kCancelled);
}

TEST(Http2, MessageLimits) {
  Seen at_server, at_client;
  Limits small;
  small.message_bytes = 1000;
  Pair pair(To(at_server), small);
  pair.Start(at_client);
  pair.host.On([&] {
    at_client.stream->Send(std::string(1000, 'a'));
    at_client.stream->Send(std::string(1001, 'b'));
  });
  pair.Pump();
  EXPECT_EQ(at_server.messages.size(), 1u);
  EXPECT_EQ(at_client.closed->code, GrpcCode::kResourceExhausted);
}

TEST(Http2, MetadataLimit) {
  Seen at_server, at_client, second;
  Pair pair(To(at_server));
  GrpcCall call;
  call.metadata.Add("big", std::string(40'000, 'x'));
  pair.Start(at_client, "/e", call);
  pair.Pump();
  EXPECT_EQ(at_client.closed->code, GrpcCode::kResourceExhausted);
  pair.Start(second);
  EXPECT_TRUE(pair.Pump());
  EXPECT_FALSE(second.closed.has_value());
}

TEST(Http2, DeadlineEndsTheCallOnBothSides) {
  Seen at_server, at_client;
  Pair pair(To(at_server));
  GrpcCall call;
  call.timeout = std::chrono::seconds(2);
  pair.Start(at_client, "/e", call);
  pair.Pump();
  EXPECT_EQ(pair.host.wake_at, pair.now + std::chrono::seconds(2));
  pair.now += std::chrono::seconds(2);
  pair.host.On([&] { pair.server->OnTimer(pair.now); });
  pair.Pump();
  EXPECT_EQ(at_server.closed->code, GrpcCode::kDeadlineExceeded);
  EXPECT_EQ(at_client.closed->code, GrpcCode::kDeadlineExceeded);
}

TEST(Http2, StalledStreamIsCutAndOthersLive) {
  Seen at_server, at_client;
  Limits narrow;
  narrow.stream_window_bytes = 1000;
  Pair pair(To(at_server), {}, narrow);
  pair.Start(at_client);
  pair.Pump();
  pair.host.On([&] { at_server.stream->Send(std::string(5000, 'x')); });
  // The client gets nothing, so its window stays closed.
  std::array<char, 8192> bytes;
  pair.host.On([&] {
    while (pair.server->Produce(bytes, pair.now) > 0) {
    }
  });
  EXPECT_GT(at_server.stream->queued_bytes(), 0u);
  pair.now += pair.limits_of_server.stall_time;
  pair.host.On([&] {
    EXPECT_TRUE(pair.server->OnTimer(pair.now));
    pair.server->Produce(bytes, pair.now);
  });
  EXPECT_EQ(*at_server.closed, (GrpcStatus{GrpcCode::kUnavailable, "the peer does not read"}));
}

TEST(Http2, KeepaliveAndIdle) {
  Seen at_server, at_client;
  Pair pair(To(at_server));
  pair.Start(at_client);
  pair.Pump();
  const Limits& limits = pair.limits_of_server;
  // Answered: the connection lives.
  pair.now += limits.keepalive_time;
  EXPECT_TRUE(pair.server->OnTimer(pair.now));
  pair.Pump();
  pair.now += limits.keepalive_timeout;
  EXPECT_TRUE(pair.server->OnTimer(pair.now));
  // Not answered: it does not.
  pair.now += limits.keepalive_time;
  EXPECT_TRUE(pair.server->OnTimer(pair.now));
  pair.now += limits.keepalive_timeout;
  EXPECT_FALSE(pair.server->OnTimer(pair.now));
  EXPECT_EQ(pair.server->failure(), "keepalive: the peer does not answer");

  Pair idle(To(at_server));
  idle.Pump();
  idle.now += limits.idle_time;
  EXPECT_TRUE(idle.server->OnTimer(idle.now));
  idle.Pump();
  EXPECT_TRUE(idle.server->Finished());
  EXPECT_FALSE(idle.client->CanStart());
}

TEST(Http2, DrainTellsAndWaits) {
  Seen at_server, at_client;
  Pair pair(To(at_server));
  pair.Start(at_client);
  pair.Pump();
  pair.host.On([&] { pair.server->Drain(pair.now); });
  EXPECT_TRUE(at_server.drained);
  pair.Pump();
  EXPECT_FALSE(pair.client->CanStart());
  EXPECT_FALSE(pair.server->Finished());
  pair.now += std::chrono::seconds(1);
  pair.host.On([&] {
    pair.server->OnTimer(pair.now);
    at_server.stream->Finish({GrpcCode::kUnavailable, "moved"});
  });
  pair.Pump();
  EXPECT_EQ(*at_client.closed, (GrpcStatus{GrpcCode::kUnavailable, "moved"}));
  EXPECT_TRUE(pair.server->Finished());
}

TEST(Http2, QueueLowNotice) {
  Seen at_server, at_client;
  Limits limits;
  limits.queue_low_bytes = 1000;
  Pair pair(To(at_server), limits);
  pair.Start(at_client);
  pair.Pump();
  pair.host.On([&] { at_server.stream->Send(std::string(100, 'x')); });
  pair.Pump();
  EXPECT_EQ(at_server.low, 0);
  pair.host.On([&] { at_server.stream->Send(std::string(300'000, 'x')); });
  pair.Pump();
  EXPECT_EQ(at_server.low, 1);
  EXPECT_EQ(at_client.messages.back().size(), 300'000u);
}

TEST(Http2, HttpRequests) {
  Pair pair(nullptr, {}, {}, [](HttpRequest request, const HttpResponder& responder) {
    if (request.path == "/none") return responder.Send({204, {}, "dropped"});
    responder.Send({200,
                    {{"X-A", "b"}, {"connection", "close"}},
                    request.method + request.body + request.authority});
  });
  std::vector<std::string> bodies;
  const auto send = [&](const std::string& method, const std::string& target, std::string body) {
    HttpRequest request;
    request.method = method;
    request.target = target;
    request.authority = "h:1";
    request.body = std::move(body);
    pair.host.On([&] {
      pair.client->StartRequest(request, pair.now, [&](base::Result<HttpResponse> result) {
        bodies.push_back(result.has_value() ? std::to_string(result->status) + result->body
                                            : result.error().message());
      });
    });
    EXPECT_TRUE(pair.Pump());
  };
  send("GET", "/a", "");
  send("POST", "/a", "body");
  send("HEAD", "/a", "");
  send("GET", "/none", "");
  send("GET", "/%zz", "");
  EXPECT_EQ(bodies, (std::vector<std::string>{"200GETh:1", "200POSTbodyh:1", "200", "204",
                                              "400malformed request target\n"}));
  Seen refused;
  pair.Start(refused);
  pair.Pump();
  EXPECT_EQ(refused.closed->code, GrpcCode::kUnimplemented);
}

// Random chunks and tiny windows, while other sessions use the frame buffer: every message arrives,
// in order and unchanged. Every other seed flips bits: then nothing may break but the connection.
TEST(Http2Simulation, Seeds) {
  for (uint64_t seed = 0; seed < 600; ++seed) {
    const bool corrupt = seed % 2 == 1;
    std::mt19937_64 random(seed);
    Limits server_limits, client_limits;
    server_limits.stream_window_bytes = static_cast<uint32_t>(1 + random() % 70'000);
    client_limits.stream_window_bytes = static_cast<uint32_t>(1 + random() % 70'000);
    for (Limits* limits : {&server_limits, &client_limits}) {
      limits->window_updates = {1'000'000'000, 0};
    }
    Pair pair(
        [](const GrpcRequest& request) -> GrpcAnswer {
          if (request.path == "/e") return std::make_unique<Echo>();
          return GrpcStatus{GrpcCode::kUnimplemented, ""};
        },
        server_limits, client_limits,
        [](HttpRequest request, const HttpResponder& responder) {
          responder.Send({200, {}, request.body});
        });
    std::vector<std::unique_ptr<Seen>> calls;
    std::vector<std::deque<std::string>> sent;
    const size_t count = 1 + random() % 4;
    const bool tiny =
        std::min(server_limits.stream_window_bytes, client_limits.stream_window_bytes) < 200;
    std::string wanted_body(tiny ? 500 : random() % 100'000, 'h');
    std::optional<std::string> body;
    for (size_t i = 0; i < count; ++i) {
      calls.push_back(std::make_unique<Seen>());
      GrpcCall call;
      call.metadata.Add("big", std::string(random() % 8000, 'x'));
      pair.Start(*calls[i], i == 3 ? "/none" : "/e", call);
      sent.emplace_back();
      for (uint64_t k = random() % 6; k > 0; --k) {
        const size_t size =
            random() % 3 != 0 ? random() % 2000 : random() % (tiny ? 3000 : 200'000);
        const std::string message(size, static_cast<char>('a' + random() % 26));
        const size_t cut = message.empty() ? 0 : random() % message.size();
        if (i != 3) sent[i].push_back(message);
        pair.host.On([&] {
          if (calls[i]->stream != nullptr) {
            calls[i]->stream->Send(message.substr(0, cut),
                                   {std::make_shared<const std::string>(message.substr(cut))});
          }
        });
      }
      pair.host.On([&] {
        if (calls[i]->stream != nullptr) calls[i]->stream->Finish(GrpcStatus{});
      });
    }
    pair.host.On([&] {
      HttpRequest request;
      request.method = "POST";
      request.authority = "x";
      request.body = wanted_body;
      pair.client->StartRequest(request, pair.now, [&](base::Result<HttpResponse> result) {
        if (result.has_value()) body = result->body;
      });
    });
    bool over = false;
    std::string wire[2];
    std::vector<char> bytes(70'000);
    int idle = 0;
    while (!over && idle < 20) {
      ++idle;
      pair.host.On([&] {
        for (int side = 0; side < 2 && !over; ++side) {
          Http2Session& from = side == 0 ? *pair.client : *pair.server;
          Http2Session& to = side == 0 ? *pair.server : *pair.client;
          if (wire[side].size() < 100'000) {
            const size_t room = 600 + random() % (random() % 2 == 0 ? 1000 : 60'000);
            // All but what every session writes in front.
            std::memset(pair.frames.bytes() + 16, 0xA5, FrameBuffer::kBytes - 16);
            const size_t size = from.Produce(std::span(bytes).first(room), pair.now);
            wire[side].append(bytes.data(), size);
          }
          std::string chunk =
              wire[side].substr(0, 1 + random() % (random() % 2 == 0 ? 100 : 30'000));
          wire[side].erase(0, chunk.size());
          if (chunk.empty()) continue;
          idle = 0;
          if (corrupt && random() % 8 == 0) {
            chunk[random() % chunk.size()] ^= static_cast<char>(1 << random() % 8);
          }
          if (!to.Feed(chunk, pair.now)) over = true;
        }
      });
      pair.now += std::chrono::microseconds(100);
    }
    if (!corrupt) {
      ASSERT_FALSE(over) << "seed " << seed << ": " << pair.server->failure()
                         << pair.client->failure();
      EXPECT_EQ(body, wanted_body) << "seed " << seed;
      for (size_t i = 0; i < count; ++i) {
        EXPECT_EQ(calls[i]->messages, sent[i]) << "seed " << seed << " call " << i;
        ASSERT_TRUE(calls[i]->closed.has_value()) << "seed " << seed << " call " << i;
        EXPECT_EQ(calls[i]->closed->code, i == 3 ? GrpcCode::kUnimplemented : GrpcCode::kOk);
      }
      EXPECT_EQ(pair.server->in_progress(), 0u);
    }
    pair.host.On([&] {
      pair.server.reset();
      pair.client.reset();
    });
    for (const auto& call : calls) EXPECT_TRUE(call->closed.has_value()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace kuma::net::internal

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "net/internal/http1_parser.h"
#include "net/internal/http1_session.h"
#include "runtime/simulation.h"

namespace kuma::net::internal {
namespace {

struct Parsed {
  int error = 0;  // 0: none
  bool done = false;
  std::string method, target, body;
  size_t left = 0;
};

// Feeds in pieces of `step` bytes.
Parsed Parse(Http1Parser::Kind kind, const std::string& text, size_t step,
             const Limits& limits = {}) {
  Http1Parser parser(kind, limits);
  size_t position = 0;
  while (position < text.size() && !parser.done() && !parser.failed()) {
    const size_t size = std::min(step, text.size() - position);
    const size_t used = parser.Feed(std::string_view(text).substr(position, size));
    position += used;
    if (used < size) break;
  }
  return {parser.failed() ? parser.error_status() : 0,
          parser.done(),
          parser.method,
          parser.target,
          parser.body,
          text.size() - position};
}

TEST(Http1Parser, RequestsInEverySplit) {
  const std::string text =
      "\r\nPOST /a?b=c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET";
  for (size_t step = 1; step <= text.size(); ++step) {
    const Parsed parsed = Parse(Http1Parser::Kind::kRequest, text, step);
    ASSERT_EQ(parsed.error, 0) << step;
    ASSERT_TRUE(parsed.done) << step;
    EXPECT_EQ(parsed.method, "POST");
    EXPECT_EQ(parsed.target, "/a?b=c");
    EXPECT_EQ(parsed.body, "abc0123456789");
    EXPECT_EQ(parsed.left, 3u);
  }
}

TEST(Http1Parser, RefusesWhatIsAmbiguous) {
  const std::string host = "Host: x\r\n";
  const std::pair<std::string, int> cases[] = {
      {"GET / HTTP/1.1\n" + host + "\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" + host + host + "\r\n", 400},
      {"GET / HTTP/1.1\r\n" + host + "A : b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" + host + " folded\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" + host + "A: b\x01\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /\r\n" + host + "\r\n", 400},
      {"G@T / HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET / HTTP/3.0\r\n" + host + "\r\n", 505},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: +1\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 999999999\r\n\r\n", 413},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413},
  };
  for (const auto& [text, status] : cases) {
    EXPECT_EQ(Parse(Http1Parser::Kind::kRequest, text, text.size()).error, status) << text;
    EXPECT_EQ(Parse(Http1Parser::Kind::kRequest, text, 1).error, status) << text;
  }
}

TEST(Http1Parser, Limits) {
  Limits limits;
  limits.header_bytes = 200;
  limits.header_count = 3;
  limits.body_bytes = 10;
  const std::string start = "GET / HTTP/1.1\r\nHost: x\r\n";
  const auto error = [&](const std::string& text) {
    return Parse(Http1Parser::Kind::kRequest, text, text.size(), limits).error;
  };
  EXPECT_EQ(error(start + "A: " + std::string(300, 'a') + "\r\n\r\n"), 431);
  EXPECT_EQ(error(start + "A: " + std::string(300, 'a')), 431);
  EXPECT_EQ(error(start + "A: 1\r\nB: 2\r\nC: 3\r\n\r\n"), 431);
  EXPECT_EQ(error(start + "Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n6\r\nabcdef\r\n"), 413);
  EXPECT_EQ(error(start + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(300, 'a')), 400);
  EXPECT_EQ(error(std::string(40, '\r') + "\n"), 400);
}

TEST(Http1Parser, Responses) {
  const Limits limits;
  Http1Parser parser(Http1Parser::Kind::kResponse, limits);
  parser.Feed("HTTP/1.1 200 OK\r\n\r\nuntil the end");
  EXPECT_FALSE(parser.done());
  parser.OnEof();
  EXPECT_TRUE(parser.done());
  EXPECT_FALSE(parser.keep_alive);
  EXPECT_EQ(parser.body, "until the end");
  parser.Reset(true);
  parser.Feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  EXPECT_TRUE(parser.done());
  parser.Reset();
  parser.Feed("HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_TRUE(parser.done());
  parser.Reset();
  parser.Feed("HTTP/1.0 200\r\nContent-Length: 2\r\n\r\nab");
  EXPECT_TRUE(parser.done());
  EXPECT_FALSE(parser.keep_alive);
  parser.Reset();
  parser.Feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
  parser.OnEof();
  EXPECT_TRUE(parser.failed());
  for (const char* wrong :
       {"HTTP/1.1 2000 x\r\n", "HTTP/1.1 99 x\r\n", "HTTP/1.1\r\n", "HTTP/1.1200\r\n", "x\r\n"}) {
    parser.Reset();
    parser.Feed(wrong);
    EXPECT_TRUE(parser.failed()) << wrong;
  }
}

// Runs what sessions post at once, on a simulated executor.
class Host : public SessionHost {
 public:
  void WantWrite() override {}
  void WakeAt(runtime::Time) override {}
  runtime::SerialExecutor& loop() override { return executor_; }
  Poster poster() override {
    return [this](runtime::Task task) { executor_.Post(std::move(task)); };
  }
  void Run() { simulation_.RunUntilIdle(); }
  runtime::Time Now() { return simulation_.clock().Now(); }
  void Advance(runtime::Duration time) { simulation_.Advance(time); }

 private:
  runtime::Simulation simulation_{1};
  runtime::SerialExecutor& executor_ = simulation_.AddExecutor("loop");
};

std::string Drain(Session& session, runtime::Time now) {
  std::string all;
  std::array<char, 1024> bytes;
  while (const size_t size = session.Produce(bytes, now)) all.append(bytes.data(), size);
  return all;
}

TEST(Http1Server, HeaderInjectionIsImpossible) {
  Host host;
  const Limits limits;
  const ServerHooks hooks{
      [](const HttpRequest&, const HttpResponder& responder) {
        responder.Send(
            {200, {{"x", "a\r\nSet-Cookie: b"}, {"bad name", "c"}, {"connection", "x"}}, "ok"});
      },
      nullptr};
  Http1ServerSession session(limits, hooks, {}, host, host.Now());
  session.Feed("GET / HTTP/1.1\r\nHost: x\r\n\r\n", host.Now());
  host.Run();
  EXPECT_EQ(Drain(session, host.Now()),
            "HTTP/1.1 200 OK\r\nx: a  Set-Cookie: b\r\ncontent-length: 2\r\n\r\nok");
}

TEST(Http1Server, HeldInputIsBounded) {
  Host host;
  const Limits limits;
  std::vector<HttpResponder> held;
  const ServerHooks hooks{
      [&](const HttpRequest&, const HttpResponder& responder) { held.push_back(responder); },
      nullptr};
  Http1ServerSession session(limits, hooks, {}, host, host.Now());
  const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  int fed = 0;
  for (; session.WantsRead() && fed < 100'000; ++fed) session.Feed(request, host.Now());
  EXPECT_LT(static_cast<size_t>(fed) * request.size(), 70'000u);
  EXPECT_EQ(held.size(), 1u);
  held[0].Send({200, {}, std::string(1000, 'x')});
  host.Run();
  EXPECT_EQ(held.size(), 2u);
}

TEST(Http1Server, UnreadAnswersStopFurtherRequests) {
  Host host;
  const Limits limits;
  int handled = 0;
  const ServerHooks hooks{[&](const HttpRequest&, const HttpResponder& responder) {
                            ++handled;
                            responder.Send({200, {}, std::string(100'000, 'x')});
                          },
                          nullptr};
  Http1ServerSession session(limits, hooks, {}, host, host.Now());
  std::string many;
  for (int i = 0; i < 50; ++i) many += "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  session.Feed(many, host.Now());
  host.Run();
  EXPECT_LT(handled, 6);
  size_t bytes = 0;
  for (int i = 0; i < 200; ++i) {
    bytes += Drain(session, host.Now()).size();
    host.Run();
  }
  EXPECT_EQ(handled, 50);
  EXPECT_GT(bytes, 50u * 100'000);
}

TEST(Http1Server, Times) {
  Host host;
  const Limits limits;
  const ServerHooks hooks;
  Http1ServerSession idle(limits, hooks, {}, host, host.Now());
  EXPECT_TRUE(idle.OnTimer(host.Now() + limits.idle_time - std::chrono::seconds(1)));
  EXPECT_FALSE(idle.OnTimer(host.Now() + limits.idle_time));
  Http1ServerSession slow(limits, hooks, {}, host, host.Now());
  slow.Feed("POST / HTTP/1.1\r\nHost: x\r\n", host.Now());
  EXPECT_TRUE(slow.OnTimer(host.Now() + limits.header_time));
  EXPECT_EQ(Drain(slow, host.Now()).substr(0, 12), "HTTP/1.1 408");
  EXPECT_TRUE(slow.Finished());
  Http1ServerSession body(limits, hooks, {}, host, host.Now());
  body.Feed("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", host.Now());
  EXPECT_TRUE(body.OnTimer(host.Now() + limits.header_time));
  EXPECT_EQ(Drain(body, host.Now()), "");
  EXPECT_TRUE(body.OnTimer(host.Now() + limits.request_time));
  EXPECT_EQ(Drain(body, host.Now()).substr(0, 12), "HTTP/1.1 408");
}

TEST(Http1Server, DrainAnswersWhatHasBegun) {
  Host host;
  const Limits limits;
  const ServerHooks hooks;
  Http1ServerSession idle(limits, hooks, {}, host, host.Now());
  idle.Drain(host.Now());
  EXPECT_TRUE(idle.Finished());
  Http1ServerSession begun(limits, hooks, {}, host, host.Now());
  begun.Feed("GET / HTTP/1.1\r\n", host.Now());
  begun.Drain(host.Now());
  EXPECT_FALSE(begun.Finished());
  begun.Feed("Host: x\r\n\r\n", host.Now());
  host.Run();
  const std::string answer = Drain(begun, host.Now());
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 404");
  EXPECT_NE(answer.find("connection: close"), std::string::npos);
  EXPECT_TRUE(begun.Finished());
}

TEST(Http1Client, SkipsInformationalAndRefusesUnasked) {
  Host host;
  const Limits limits;
  Http1ClientSession session(limits, host);
  std::vector<int> statuses;
  session.StartRequest({}, host.Now(), [&](base::Result<HttpResponse> result) {
    statuses.push_back(result.has_value() ? result->status : 0);
  });
  EXPECT_FALSE(session.CanStart());
  Drain(session, host.Now());
  EXPECT_TRUE(session.Feed(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", host.Now()));
  EXPECT_EQ(statuses, std::vector<int>{200});
  EXPECT_TRUE(session.CanStart());
  EXPECT_FALSE(session.Feed("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", host.Now()));
  EXPECT_FALSE(session.CanStart());
}

// A client and a server session, random chunks, then with bits flipped.
TEST(Http1Simulation, Seeds) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const bool corrupt = seed % 3 == 2;
    std::mt19937_64 random(seed);
    Host host;
    const Limits limits;
    const ServerHooks hooks{[](HttpRequest request, const HttpResponder& responder) {
                              responder.Send({200, {}, request.method + request.body});
                            },
                            nullptr};
    Http1ServerSession server(limits, hooks, {}, host, host.Now());
    Http1ClientSession client(limits, host);
    int completed = 0;
    bool over = false;
    bool answered = false;  // outlives a request that ends with the session
    std::string wire[2];
    for (int i = 0; i < 5 && !over; ++i) {
      HttpRequest request;
      request.method = random() % 2 == 0 ? "POST" : "HEAD";
      request.authority = "x";
      request.body = std::string(random() % 3 == 0 ? random() % 100'000 : random() % 100, 'b');
      const std::string expected = request.method == "HEAD" ? "" : request.method + request.body;
      answered = false;
      client.StartRequest(request, host.Now(), [&, expected](base::Result<HttpResponse> result) {
        answered = true;
        if (corrupt) return;
        ASSERT_TRUE(result.has_value());
        EXPECT_EQ(result->body, expected);
        ++completed;
      });
      for (int round = 0; !answered && !over && round < 200'000; ++round) {
        for (int side = 0; side < 2; ++side) {
          Session& from = side == 0 ? static_cast<Session&>(client) : server;
          Session& to = side == 0 ? static_cast<Session&>(server) : client;
          std::array<char, 2000> bytes;
          const size_t size =
              from.Produce(std::span(bytes).first(1024 + random() % 900), host.Now());
          wire[side].append(bytes.data(), size);
          std::string chunk = wire[side].substr(0, 1 + random() % 3000);
          wire[side].erase(0, chunk.size());
          if (chunk.empty()) continue;
          if (corrupt && random() % 8 == 0)
            chunk[random() % chunk.size()] ^= static_cast<char>(1 << random() % 8);
          if (!to.Feed(chunk, host.Now())) over = true;
        }
        host.Run();
        if (corrupt && round > 2000) over = true;
        if (server.Finished() && wire[1].empty()) over = true;
      }
      if (!client.CanStart()) over = true;
    }
    client.OnDisconnected(base::Unavailable("end"));
    EXPECT_TRUE(corrupt || completed == 5) << "seed " << seed;
  }
}

}  // namespace
}  // namespace kuma::net::internal

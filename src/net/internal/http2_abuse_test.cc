// What no honest client sends: every flood ends the connection, nothing grows without bound.

#include <gtest/gtest.h>

#include <utility>

#include "net/internal/http2_testing.h"

namespace kuma::net::internal {
namespace {

TEST(Http2Abuse, FloodsEndTheConnection) {
  const std::string ping = Frame(6, 0, 0, "12345678");
  const std::string settings = Frame(4, 0, 0, "");
  const std::string priority = Frame(2, 0, 1, std::string("\0\0\0\0\1", 5));
  const std::string update = Frame(8, 0, 0, std::string("\0\0\0\1", 4));
  const std::string empty = Frame(0, 0, 1, "");
  const std::pair<const char*, std::string> floods[] = {{"ping", ping},
                                                        {"settings", settings},
                                                        {"priority", priority},
                                                        {"update", update},
                                                        {"empty", empty}};
  for (const auto& [name, frame] : floods) {
    Victim victim;
    ASSERT_TRUE(victim.Feed(kHello + CallHeaders(1)));
    int sent = 0;
    while (sent < 20'000 && victim.Feed(frame)) ++sent;
    EXPECT_LT(sent, 2100) << name;
    EXPECT_NE(victim.sent.find(Frame(7, 0, 0, "").substr(3, 6)), std::string::npos)
        << "GOAWAY after " << name;
  }
}

TEST(Http2Abuse, RapidReset) {
  Victim victim;
  ASSERT_TRUE(victim.Feed(kHello));
  uint32_t stream = 1;
  while (stream < 40'000 &&
         victim.Feed(CallHeaders(stream) + Frame(3, 0, stream, std::string("\0\0\0\x08", 4)))) {
    stream += 2;
  }
  EXPECT_LT(stream, 1000u);
}

TEST(Http2Abuse, SlowRatesAreFine) {
  Victim victim;
  ASSERT_TRUE(victim.Feed(kHello + CallHeaders(1)));
  for (int i = 0; i < 2000; ++i) {
    victim.now += std::chrono::milliseconds(200);
    ASSERT_TRUE(victim.Feed(Frame(6, 0, 0, "12345678"))) << i;
  }
}

TEST(Http2Abuse, ContinuationFlood) {
  Victim victim;
  ASSERT_TRUE(victim.Feed(kHello + CallHeaders(1, "", 0)));
  int sent = 0;
  while (sent < 1000 && victim.Feed(Frame(9, 0, 1, Literal("a", "b")))) ++sent;
  EXPECT_LT(sent, 60);
}

TEST(Http2Abuse, TooManyStreams) {
  Victim victim;
  ASSERT_TRUE(victim.Feed(kHello + Frame(4, 1, 0, "")));
  std::string calls;
  for (uint32_t i = 0; i < 150; ++i) calls += CallHeaders(1 + 2 * i);
  victim.Feed(calls);
  EXPECT_LE(victim.session->in_progress(), 100u);
}

TEST(Http2Abuse, IncompleteMessagesAreBoundedOverAllStreams) {
  Limits limits;
  limits.stream_window_bytes = 1 << 20;
  limits.buffered_bytes = 150'000;
  Victim victim(limits);
  const std::string begin("\0\0\3\0\0", 5);  // a message of 196,608 bytes
  const auto part = [&](uint32_t stream) {
    std::string frames = Frame(0, 0, stream, begin);
    for (int i = 0; i < 5; ++i) frames += Frame(0, 0, stream, std::string(16'000, 'x'));
    return frames;
  };
  ASSERT_TRUE(victim.Feed(kHello + CallHeaders(1) + part(1)));
  EXPECT_FALSE(victim.seen.closed.has_value());
  ASSERT_TRUE(victim.Feed(CallHeaders(3) + part(3)));
  ASSERT_TRUE(victim.seen.closed.has_value());
  EXPECT_EQ(victim.seen.closed->code, GrpcCode::kResourceExhausted);
  EXPECT_EQ(victim.session->in_progress(), 1u);
}

TEST(Http2Abuse, CompressionIsUnimplemented) {
  Victim by_header;
  by_header.Feed(kHello + CallHeaders(1, Literal("grpc-encoding", "gzip")));
  EXPECT_EQ(by_header.seen.stream, nullptr);
  Victim by_flag;
  by_flag.Feed(kHello + CallHeaders(1) + Frame(0, 0, 1, std::string("\1\0\0\0\1x", 6)));
  EXPECT_EQ(by_flag.seen.closed->code, GrpcCode::kUnimplemented);
}

TEST(Http2Abuse, TrailersOfARequestAreNotHeaders) {
  Victim victim;
  std::string seen;
  victim.hooks.http = [&](const HttpRequest& request, const HttpResponder& responder) {
    seen = std::string(request.headers.Get("authorization"));
    responder.Send({});
  };
  victim.Feed(kHello +
              Frame(1, 4, 1,
                    Literal(":method", "POST") + Literal(":scheme", "http") +
                        Literal(":path", "/") + Literal(":authority", "x")) +
              Frame(0, 0, 1, "abc") + Frame(1, 5, 1, Literal("authorization", "admin")));
  EXPECT_EQ(seen, "");
}

TEST(Http2Abuse, IncompleteMessageAtTheEnd) {
  Victim victim;
  victim.Feed(kHello + CallHeaders(1) + Frame(0, 1, 1, std::string("\0\0\0\0\5ab", 7)));
  EXPECT_EQ(victim.seen.closed->code, GrpcCode::kInternal);
}

std::string Reset(uint32_t stream) { return Frame(3, 0, stream, std::string("\0\0\0\x08", 4)); }
// GOAWAY with this code, anywhere in what was sent.
bool WentAway(const Victim& victim, char code) {
  const std::string head = Frame(7, 0, 0, "").substr(3);
  for (size_t at = victim.sent.find(head); at != std::string::npos;
       at = victim.sent.find(head, at + 1)) {
    if (victim.sent.substr(at + head.size() + 4, 4) == std::string("\0\0\0", 3) + code) return true;
  }
  return false;
}

TEST(Http2Abuse, RequestsOnStreamsThatEndedAreAnError) {
  constexpr char kStreamClosed = 5;
  Victim victim;
  ASSERT_TRUE(victim.Feed(kHello + CallHeaders(1) + Reset(1)));
  EXPECT_FALSE(victim.Feed(CallHeaders(1)));
  EXPECT_TRUE(WentAway(victim, kStreamClosed));
  Victim skipped;
  ASSERT_TRUE(skipped.Feed(kHello + CallHeaders(5)));
  EXPECT_FALSE(skipped.Feed(CallHeaders(3)));
  Victim of_connection;
  EXPECT_FALSE(of_connection.Feed(kHello + Frame(2, 0, 0, std::string("\0\0\0\1\1", 5))));
  EXPECT_TRUE(WentAway(of_connection, 1));
}

// The peer cannot know yet that this side reset a stream: what it sent meanwhile is dropped.
TEST(Http2Abuse, FramesOfStreamsThatThisSideEndedAreDropped) {
  Victim victim;
  ASSERT_TRUE(victim.Feed(kHello + CallHeaders(1)));
  victim.host.On([&] { victim.seen.stream->Finish({GrpcCode::kUnavailable, "enough"}); });
  ASSERT_TRUE(victim.Feed(""));
  ASSERT_TRUE(victim.seen.closed.has_value());
  EXPECT_TRUE(victim.Feed(Frame(0, 0, 1, "x")));
  EXPECT_TRUE(victim.Feed(CallHeaders(1, "", 5)));
  // The same for a stream beyond the limit, refused in the same burst.
  Victim full(Limits{.concurrent_streams = 1});
  EXPECT_TRUE(full.Feed(kHello + CallHeaders(1) + CallHeaders(3) + Reset(1) + CallHeaders(5) +
                        Frame(0, 0, 3, "x")));
  EXPECT_EQ(full.session->in_progress(), 1u);
}

// "Made you reset": each stream breaks a rule that makes the server reset it.
TEST(Http2Abuse, MadeYouReset) {
  Victim victim;
  ASSERT_TRUE(victim.Feed(kHello));
  uint32_t stream = 1;
  while (stream < 40'000 && victim.Feed(CallHeaders(stream) +
                                        Frame(8, 0, stream, std::string("\x7f\xff\xff\xff", 4)))) {
    stream += 2;
  }
  EXPECT_LT(stream, 1000u);
  EXPECT_TRUE(WentAway(victim, 11));  // ENHANCE_YOUR_CALM
}

TEST(Http2Abuse, FramesWithoutMeaning) {
  const std::string frames[] = {Frame(6, 1, 0, "12345678"), Frame(7, 0, 0, std::string(8, '\0'))};
  for (const std::string& frame : frames) {
    Victim victim;
    ASSERT_TRUE(victim.Feed(kHello + CallHeaders(1)));
    int sent = 0;
    while (sent < 20'000 && victim.Feed(frame)) ++sent;
    EXPECT_LT(sent, 200) << static_cast<int>(frame[3]);
  }
}

// A field of 4,000 bytes in the dynamic table, named again and again: a byte each.
TEST(Http2Abuse, HpackBomb) {
  Victim victim;
  std::string path;
  int calls = 0;
  victim.hooks.http = [&](const HttpRequest&, const HttpResponder& responder) {
    ++calls;
    responder.Send({});
  };
  const auto number = [](size_t n) {  // a length beyond 126, HPACK 5.1
    std::string text = "\x7f";
    for (n -= 127; n >= 128; n /= 128) text += static_cast<char>(n % 128 + 128);
    return text + static_cast<char>(n);
  };
  const std::string indexed = std::string("\x40\1a", 3) + number(3900) + std::string(3900, 'x');
  const std::string request = Literal(":method", "GET") + Literal(":scheme", "http") +
                              Literal(":path", "/") + Literal(":authority", "x");
  ASSERT_TRUE(victim.Feed(kHello + Frame(1, 5, 1, request + indexed)));
  EXPECT_EQ(calls, 1);
  // 16,000 times 3,900 bytes.
  for (uint32_t stream = 3; stream < 43; stream += 2) {
    victim.Feed(Frame(1, 5, stream, request + std::string(16'000, '\xbe')));
    victim.host.Run();
    victim.Feed("");
  }
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(victim.session->in_progress(), 0u);
}

TEST(Http2Abuse, BytesOfAllConnectionsAreBounded) {
  ByteBudget budget(100'000);
  const auto request = [](uint32_t stream) {
    return Frame(1, 4, stream,
                 Literal(":method", "POST") + Literal(":scheme", "http") + Literal(":path", "/") +
                     Literal(":authority", "x")) +
           Frame(0, 0, stream, std::string(16'000, 'x')) +
           Frame(0, 0, stream, std::string(16'000, 'x'));
  };
  auto first = std::make_unique<Victim>();
  first->hooks.budget = &budget;
  Victim second;
  second.hooks.budget = &budget;
  std::vector<size_t> bodies;
  second.hooks.http = [&](const HttpRequest& got, const HttpResponder& responder) {
    bodies.push_back(got.body.size());
    responder.Send({200, {}, std::string(90'000, 'y')});
  };
  ASSERT_TRUE(first->Feed(kHello + request(1) + request(3)));
  ASSERT_TRUE(second.Feed(kHello + request(1)));
  ASSERT_TRUE(second.Feed(request(3)));  // beyond it: answered with 503
  ASSERT_TRUE(second.Feed(Frame(0, 1, 1, "x") + Frame(0, 1, 3, "x")));
  EXPECT_EQ(bodies, (std::vector<size_t>{32'001}));
  first.reset();
  ASSERT_TRUE(second.Feed(request(5) + Frame(0, 1, 5, "")));
  EXPECT_EQ(bodies, (std::vector<size_t>{32'001, 32'000}));
  // Its answer is not read: it holds 90,000 of the budget, and no second one fits.
  EXPECT_FALSE(budget.Take(20'000));
  second.Feed(Reset(5));
  EXPECT_TRUE(budget.Take(20'000));
}

}  // namespace
}  // namespace kuma::net::internal

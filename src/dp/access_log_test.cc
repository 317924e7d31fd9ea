// Access logs from a model Envoy, which writes to the pipe, to collectors that listen on TCP.

#include "dp/access_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "base/format.h"

namespace kuma::dp {
namespace {

using base::Format;
using std::chrono::milliseconds;
using std::chrono::seconds;

bool Eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(AccessLogLine, Forms) {
  const auto parsed = [](std::string_view line) {
    const auto result = ParseAccessLogLine(line);
    return result.has_value() ? Format("{} {} {}", result->host, result->port, result->message)
                              : "error: " + result.error().message();
  };
  EXPECT_EQ(parsed(R"({"address":"127.0.0.1:5000","message":"a b\n"})"), "127.0.0.1 5000 a b\n");
  EXPECT_EQ(parsed(R"({"message":{"b":1,"a":"<x>"},"address":"logs.example:1"})"),
            "logs.example 1 {\"a\":\"<x>\",\"b\":1}\n");
  EXPECT_EQ(parsed(R"({"address":"[::1]:5000","message":""})"), "::1 5000 ");
  EXPECT_EQ(parsed("10.0.0.1:80;text;more"), "10.0.0.1 80 text;more\n");
  EXPECT_EQ(parsed("text"), "error: neither JSON nor address;message");
  EXPECT_EQ(parsed(R"({"address":"a:1"})"), "error: 'address' or 'message' is missing");
  EXPECT_EQ(parsed(R"({"address":5,"message":""})"), "error: 'address' or 'message' is missing");
  for (const char* address : {"a", "a:", "a:0", "a:65536", ":1", "a:1x"}) {
    EXPECT_EQ(parsed(Format(R"({{"address":"{}","message":""}})", address)),
              Format("error: '{}' is no host:port", address));
  }
  EXPECT_THAT(parsed("{\"address\""), testing::HasSubstr("error: "));
}

// Listens at a port of 127.0.0.1, from the start or later.
class Collector {
 public:
  explicit Collector(bool open = true) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    if (open) Open();
  }
  ~Collector() {
    Hang();
    close(fd_);
  }
  void Open() { listen(fd_, 16); }
  // Ends the connection.
  void Hang() {
    if (peer_ >= 0) close(peer_);
    peer_ = -1;
  }
  bool Accept() {
    if (peer_ < 0) peer_ = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return peer_ >= 0;
  }
  // What came so far.
  const std::string& Read() {
    char buffer[65536];
    while (Accept()) {
      const ssize_t got = recv(peer_, buffer, sizeof buffer, 0);
      if (got == 0) Hang();
      if (got <= 0) break;
      text_.append(buffer, static_cast<size_t>(got));
    }
    return text_;
  }
  bool Gets(const std::string& text) {
    return Eventually([&] { return Read().find(text) != std::string::npos; });
  }
  std::string Line(std::string_view message) const {
    return Format("{{\"address\":\"127.0.0.1:{}\",\"message\":\"{}\\n\"}}\n", port_, message);
  }

 private:
  int fd_ = -1;
  int peer_ = -1;
  uint16_t port_ = 0;
  std::string text_;
};

class AccessLogTest : public testing::Test {
 protected:
  AccessLogTest() {
    std::string pattern = "/tmp/kuma-al-test-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    options_.sender.first_pause = milliseconds(1);
    options_.sender.longest_pause = milliseconds(20);
  }
  ~AccessLogTest() override {
    if (envoy_ >= 0) close(envoy_);
    loop_.RunAndWait([this] { forwarder_.reset(); });
    std::filesystem::remove_all(folder_);
  }
  std::string path() const { return folder_ + "/log.sock"; }
  void Open() {
    loop_.RunAndWait([this] {
      auto opened = AccessLogForwarder::Open(loop_, path(), options_);
      ASSERT_TRUE(opened.has_value()) << opened.error().message();
      forwarder_ = *std::move(opened);
    });
    // As Envoy opens it: without a reader this would hang.
    envoy_ = open(path().c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    ASSERT_GE(envoy_, 0);
  }
  void Write(const std::string& text) {
    size_t done = 0;
    while (done < text.size()) {
      const ssize_t count = write(envoy_, text.data() + done, text.size() - done);
      ASSERT_GT(count, 0);
      done += static_cast<size_t>(count);
    }
  }
  AccessLogForwarder::Counts Counts() {
    AccessLogForwarder::Counts counts;
    loop_.RunAndWait([&] { counts = forwarder_->counts(); });
    return counts;
  }

  AccessLogForwarder::Options options_;
  std::string folder_;
  net::EventLoop loop_{"access-log-test"};
  std::unique_ptr<AccessLogForwarder> forwarder_;
  int envoy_ = -1;
};

TEST_F(AccessLogTest, MessagesGoToTheAddressThatTheyName) {
  Collector one;
  Collector other;
  Open();
  Write(one.Line("a") + other.Line("b"));
  const std::string split = one.Line("in two writes");
  Write(split.substr(0, 30));
  Write(split.substr(30));
  EXPECT_TRUE(one.Gets("a\nin two writes\n")) << one.Read();
  EXPECT_TRUE(other.Gets("b\n"));
  EXPECT_EQ(one.Read(), "a\nin two writes\n");
  EXPECT_EQ(Counts().taken, 3u);
}

TEST_F(AccessLogTest, ThePipeReplacesWhatIsThereAndLeavesWithUs) {
  std::ofstream(path()) << "left over";
  Open();
  struct stat facts {};
  ASSERT_EQ(stat(path().c_str(), &facts), 0);
  EXPECT_TRUE(S_ISFIFO(facts.st_mode));
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  loop_.RunAndWait([this] { forwarder_.reset(); });
  EXPECT_NE(stat(path().c_str(), &facts), 0);
  const auto wrong = AccessLogForwarder::Open(loop_, folder_ + "/none/log.sock", options_);
  EXPECT_THAT(wrong.error().message(), testing::HasSubstr("/none/log.sock: No such file"));
}

TEST_F(AccessLogTest, WhatWaitsIsSentWhenTheCollectorComes) {
  Collector late(false);
  Open();
  Write(late.Line("early"));
  EXPECT_TRUE(Eventually([&] { return Counts().taken == 1; }));
  late.Open();
  EXPECT_TRUE(late.Gets("early\n"));
}

TEST_F(AccessLogTest, ConnectsAgainAfterTheCollectorWent) {
  Collector collector;
  Open();
  Write(collector.Line("first"));
  EXPECT_TRUE(collector.Gets("first\n"));
  collector.Hang();
  // The first message after it may meet the old connection, later ones do not.
  int number = 0;
  EXPECT_TRUE(Eventually([&] {
    Write(collector.Line(Format("again {}", ++number)));
    return collector.Read().find("again") != std::string::npos;
  }));
}

TEST_F(AccessLogTest, ACollectorThatDoesNotReadHoldsUpNobody) {
  options_.sender.max_queued_bytes = 10'000;
  Collector stuck;
  Collector fine;
  Open();
  const std::string line = stuck.Line(std::string(1000, 'x'));
  // More than the sockets between us hold.
  uint64_t written = 0;
  while (Counts().not_sent == 0 && written < 100'000) {
    std::string many;
    for (int i = 0; i < 100; ++i, ++written) many += line;
    Write(many);
  }
  EXPECT_GT(Counts().not_sent, 0u);
  Write(fine.Line("through"));
  EXPECT_TRUE(fine.Gets("through\n"));
  EXPECT_TRUE(Eventually([&] { return Counts().taken + Counts().not_sent == written + 1; }));
  // Whole messages only.
  const auto whole = [&] {
    std::string text = stuck.Read();
    return !text.empty() && text.size() % 1001 == 0 && text.size() / 1001 == Counts().taken - 1;
  };
  EXPECT_TRUE(Eventually(whole)) << stuck.Read().size();
}

TEST_F(AccessLogTest, TooLongAndUnreadableLinesAreSkipped) {
  options_.max_line = 5000;
  Collector collector;
  Open();
  Write(std::string(40'000, 'x') + "\n" + "nonsense\n\n" + collector.Line("fine"));
  EXPECT_TRUE(collector.Gets("fine\n"));
  EXPECT_EQ(collector.Read(), "fine\n");
  EXPECT_EQ(Counts().unreadable, 2u);
}

TEST_F(AccessLogTest, DestinationsAreFew) {
  options_.max_destinations = 2;
  Collector a;
  Collector b;
  Collector c;
  Collector absent(false);
  Collector absent_too(false);
  Open();
  Write(a.Line("1") + b.Line("2"));
  EXPECT_TRUE(a.Gets("1\n"));
  EXPECT_TRUE(b.Gets("2\n"));
  Write(c.Line("3"));  // in place of a
  EXPECT_TRUE(c.Gets("3\n"));
  Write(absent.Line("4") + absent_too.Line("5") + a.Line("6"));  // nobody to make room
  EXPECT_TRUE(Eventually([&] { return Counts().no_sender == 1; }));
  EXPECT_EQ(Counts().taken, 5u);
}

TEST_F(AccessLogTest, WhatIsInThePipeWhenEnvoyEndsIsRead) {
  Collector collector;
  Open();
  loop_.RunAndWait([&] {
    Write(collector.Line("last"));
    forwarder_->ReadAll();
    EXPECT_EQ(forwarder_->counts().taken, 1u);
  });
  EXPECT_TRUE(collector.Gets("last\n"));
}

}  // namespace
}  // namespace kuma::dp

#include "net/dns_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>

#include "net/internal/testing.h"

namespace kuma::net {
namespace {

using internal::Eventually;
using std::chrono::milliseconds;

std::string Message(std::string_view id, std::string_view rest) {
  return std::string(id) + std::string(10, '\0') + std::string(rest);
}

// Sends what the test says back; holds what it gets until then if it is asked to.
class DnsTransportTest : public testing::Test {
 protected:
  ~DnsTransportTest() override {
    loop_.RunAndWait([this] {
      client_.reset();
      server_.reset();
      held_.clear();
    });
  }
  void Start(DnsServer::Options options = {}) {
    loop_.RunAndWait([&] {
      auto started = DnsServer::Start(
          loop_, options,
          [this](std::string_view query, DnsTransport transport, const DnsAnswer& answer) {
            const std::string reply = std::string(query) +
                                      (transport == DnsTransport::kTcp ? " by tcp" : " by udp") +
                                      std::string(padding_, '.');
            if (holds_) return held_.emplace_back([answer, reply] { answer(reply); }), void();
            if (!silent_) answer(reply);
          });
      ASSERT_TRUE(started.has_value()) << started.error().message();
      server_ = *std::move(started);
      DnsClient::Options to;
      to.host = options.host;
      to.port = server_->port();
      to.timeout = timeout_;
      to.max_questions = 3;
      client_ = std::make_unique<DnsClient>(loop_, to);
    });
  }
  std::future<std::string> Ask(const std::string& query, DnsTransport transport) {
    auto promise = std::make_shared<std::promise<std::string>>();
    loop_.RunAndWait([&] {
      client_->Ask(query, transport, [promise](const base::Result<std::string>& answer) {
        promise->set_value(answer.has_value() ? *answer : "error: " + answer.error().message());
      });
    });
    return promise->get_future();
  }

  EventLoop loop_{"dns-test"};
  std::unique_ptr<DnsServer> server_;
  std::unique_ptr<DnsClient> client_;
  std::vector<std::function<void()>> held_;
  runtime::Duration timeout_ = std::chrono::seconds(20);
  size_t padding_ = 0;
  bool holds_ = false;
  bool silent_ = false;
};

TEST_F(DnsTransportTest, QuestionsAndAnswers) {
  padding_ = 3000;
  Start();
  const std::string dots(3000, '.');
  EXPECT_EQ(Ask(Message("ab", "x"), DnsTransport::kUdp).get(), Message("ab", "x by udp") + dots);
  EXPECT_EQ(Ask(Message("cd", "y"), DnsTransport::kTcp).get(), Message("cd", "y by tcp") + dots);
  EXPECT_THAT(Ask("short", DnsTransport::kUdp).get(), testing::HasSubstr("no DNS message"));
}

TEST_F(DnsTransportTest, OverIpv6) {
  DnsServer::Options options;
  options.host = "::1";
  Start(options);
  EXPECT_EQ(Ask(Message("ab", ""), DnsTransport::kUdp).get(), Message("ab", " by udp"));
  EXPECT_EQ(Ask(Message("ab", ""), DnsTransport::kTcp).get(), Message("ab", " by tcp"));
}

TEST_F(DnsTransportTest, NoAnswerWithinTheTime) {
  silent_ = true;
  timeout_ = milliseconds(20);
  Start();
  EXPECT_EQ(Ask(Message("ab", ""), DnsTransport::kUdp).get(), "error: no answer within the time");
  EXPECT_EQ(Ask(Message("ab", ""), DnsTransport::kTcp).get(), "error: no answer within the time");
}

TEST_F(DnsTransportTest, NobodyListens) {
  Start();
  loop_.RunAndWait([&] { server_.reset(); });
  EXPECT_EQ(Ask(Message("ab", ""), DnsTransport::kUdp).get(), "error: connection refused");
  EXPECT_EQ(Ask(Message("ab", ""), DnsTransport::kTcp).get(), "error: connection refused");
}

TEST_F(DnsTransportTest, QuestionsAreBounded) {
  holds_ = true;
  Start();
  std::vector<std::future<std::string>> answers;
  for (int i = 0; i < 4; ++i) answers.push_back(Ask(Message("ab", ""), DnsTransport::kUdp));
  EXPECT_EQ(answers[3].get(), "error: too many questions at once");
  EXPECT_TRUE(Eventually([&] {
    size_t count = 0;
    loop_.RunAndWait([&] { count = held_.size(); });
    return count == 3;
  }));
  loop_.RunAndWait([&] {
    for (const auto& answer : held_) answer();
  });
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(answers[static_cast<size_t>(i)].get(), Message("ab", " by udp"));
}

TEST_F(DnsTransportTest, AnswersAfterTheEndAreDropped) {
  holds_ = true;
  Start();
  auto udp = Ask(Message("ab", ""), DnsTransport::kUdp);
  auto tcp = Ask(Message("ab", ""), DnsTransport::kTcp);
  EXPECT_TRUE(Eventually([&] {
    size_t count = 0;
    loop_.RunAndWait([&] { count = held_.size(); });
    return count == 2;
  }));
  loop_.RunAndWait([&] {
    server_.reset();
    for (const auto& answer : held_) answer();
    client_.reset();
  });
  EXPECT_THROW(udp.get(), std::future_error);  // never answered: the promise went with the client
}

// A TCP client that talks by itself.
class TcpClient {
 public:
  explicit TcpClient(uint16_t port) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(port);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  }
  ~TcpClient() { close(fd_); }
  void Write(const std::string& bytes) {
    EXPECT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Until so many bytes came, or the end.
  std::string Read(size_t size) {
    std::string text(size, '\0');
    size_t done = 0;
    while (done < size) {
      const ssize_t got = recv(fd_, text.data() + done, size - done, 0);
      if (got <= 0) break;
      done += static_cast<size_t>(got);
    }
    text.resize(done);
    return text;
  }

 private:
  int fd_;
};

std::string Framed(const std::string& message) {
  return std::string{'\0', static_cast<char>(message.size())} + message;
}

TEST_F(DnsTransportTest, SeveralQueriesOnOneConnectionInPieces) {
  Start();
  TcpClient client(server_->port());
  const std::string both = Framed(Message("ab", "1")) + Framed(Message("cd", "2"));
  for (const char byte : both.substr(0, 20)) client.Write(std::string(1, byte));
  client.Write(both.substr(20));
  const std::string wanted = Framed(Message("ab", "1 by tcp")) + Framed(Message("cd", "2 by tcp"));
  EXPECT_EQ(client.Read(wanted.size()), wanted);
}

TEST_F(DnsTransportTest, ConnectionsEndWhenIdleMalformedOrTooMany) {
  DnsServer::Options options;
  options.idle_time = milliseconds(30);
  options.max_connections = 1;
  Start(options);
  TcpClient idle(server_->port());
  EXPECT_EQ(idle.Read(1), "");
  TcpClient malformed(server_->port());
  malformed.Write(Framed("short"));
  EXPECT_EQ(malformed.Read(1), "");
  TcpClient first(server_->port());
  TcpClient second(server_->port());
  EXPECT_EQ(second.Read(1), "");
}

TEST_F(DnsTransportTest, ATakenPortIsNamed) {
  Start();
  loop_.RunAndWait([&] {
    DnsServer::Options options;
    options.port = server_->port();
    const auto more = DnsServer::Start(loop_, options, [](auto, auto, auto) {});
    ASSERT_FALSE(more.has_value());
    EXPECT_THAT(more.error().message(), testing::HasSubstr("address already in use"));
  });
}

}  // namespace
}  // namespace kuma::net

// The DNS proxy: messages by themselves, then with a client and a name server of the host.

#include "dp/dns_proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <optional>

#include "base/strings.h"

namespace kuma::dp {
namespace {

using net::DnsTransport;

// A query with id "id" and recursion desired.
std::string Query(std::string_view name, uint16_t type, std::string_view more = {}) {
  std::string query("id\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
  for (const std::string& label : base::Split(name, '.')) {
    query += static_cast<char>(label.size());
    query += label;
  }
  query += std::string("\0", 1);
  query += static_cast<char>(type >> 8);
  query += static_cast<char>(type & 0xff);
  query += std::string("\0\1", 2);
  return query + std::string(more);
}

const DnsTable& Table() {
  static const DnsTable table = *ParseDnsTable(
      R"({"ttl": 30, "extraLabels": {"mesh": "default"}, "records": [
        {"name": "web.mesh", "ips": ["241.0.0.1", "::ffff:241.0.0.1", "nonsense"]},
        {"name": "Two.mesh", "ips": ["10.0.0.1", "10.0.0.2"]},
        {"name": "none.mesh", "ips": []}]})");
  return table;
}

// Id, flags, counts and what follows the question, as hexadecimal digits.
std::string Seen(const std::optional<std::string>& answer, const std::string& query) {
  if (!answer) return "not ours";
  return base::ToHex(answer->substr(0, 12)) + " " + base::ToHex(answer->substr(query.size()));
}
std::string Answer(const std::string& query, DnsTransport transport = DnsTransport::kUdp) {
  return Seen(AnswerFrom(Table(), query, transport), query);
}

TEST(DnsMessages, NamesOfTheTable) {
  // 6964: the id; 8580: answer, authoritative, recursion desired and available; one question, one
  // answer; then the name by reference, type, class, 30 seconds, length, address.
  EXPECT_EQ(Answer(Query("web.mesh", 1)),
            "696485800001000100000000 c00c000100010000001e0004f1000001");
  EXPECT_EQ(Answer(Query("web.mesh", 28)),
            "696485800001000100000000 c00c001c00010000001e001000000000000000000000fffff1000001");
  EXPECT_EQ(Answer(Query("two.mesh", 1)),
            "696485800001000200000000 c00c000100010000001e00040a000001"
            "c00c000100010000001e00040a000002");
  // It exists, but has no such address: others are not asked.
  EXPECT_EQ(Answer(Query("two.mesh", 28)), "696485800001000000000000 ");
  EXPECT_EQ(Answer(Query("none.mesh", 1)), "696485800001000000000000 ");
}

TEST(DnsMessages, TheQuestionComesBackAsItWasAsked) {
  const std::string query = Query("wEb.MESH", 1);
  const auto answer = AnswerFrom(Table(), query, DnsTransport::kUdp);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->substr(12, query.size() - 12), query.substr(12));
}

TEST(DnsMessages, OthersAreNotOurs) {
  EXPECT_EQ(Answer(Query("other.mesh", 1)), "not ours");
  EXPECT_EQ(Answer(Query("mesh", 1)), "not ours");
  EXPECT_EQ(Answer(Query("web.mesh", 16)), "not ours");
  std::string chaos = Query("web.mesh", 1);
  chaos.back() = 3;
  EXPECT_EQ(Answer(chaos), "not ours");
  std::string answer = Query("web.mesh", 1);
  answer[2] = static_cast<char>(0x80);
  EXPECT_EQ(Answer(answer), "not ours");
}

TEST(DnsMessages, TooLongForUdp) {
  DnsTable table;
  for (int i = 0; i < 40; ++i) table.names["many"].v4.emplace_back("\x0a\0\0\1", 4);
  const std::string query = Query("many", 1);
  EXPECT_EQ(Seen(AnswerFrom(table, query, DnsTransport::kUdp), query), "696487800001000000000000 ");
  EXPECT_EQ(AnswerFrom(table, query, DnsTransport::kTcp)->size(), query.size() + 40 * 16);
}

TEST(DnsMessages, AnythingMayCome) {
  const std::string query = Query("web.mesh", 1);
  for (size_t size = 12; size < query.size(); ++size) {
    EXPECT_EQ(Answer(query.substr(0, size)), "not ours") << size;
    EXPECT_GE(FailureOf(query.substr(0, size)).size(), 12u);
  }
  std::string reference = query;
  reference[12] = static_cast<char>(0xc0);  // a name by reference in a question
  EXPECT_EQ(Answer(reference), "not ours");
  EXPECT_EQ(Answer(Query(std::string(63, 'a') + "." + std::string(63, 'b') + "." +
                             std::string(63, 'c') + "." + std::string(63, 'd') + ".e",
                         1)),
            "not ours");
  EXPECT_EQ(Seen(FailureOf(query), query), "696481820001000000000000 ");
  EXPECT_EQ(base::ToHex(FailureOf(std::string("id\x01\0\0\0\0\0\0\0\0\0", 12))),
            "696481820000000000000000");
}

TEST(DnsTables, Errors) {
  EXPECT_FALSE(ParseDnsTable("{").has_value());
  EXPECT_EQ(ParseDnsTable("{}").error().message(), "'records' is missing or no list");
  EXPECT_EQ(ParseDnsTable(R"({"records": [{"ips": []}]})").error().message(),
            "a record has no 'name'");
}

TEST(DnsTables, ResolvConf) {
  EXPECT_EQ(FirstNameserver("# nameserver 1.1.1.1\nsearch a\n nameserver\t10.0.0.10 # x\n"
                            "nameserver 10.0.0.11\n"),
            "10.0.0.10");
  EXPECT_EQ(FirstNameserver("nameservers 1.1.1.1\noptions ndots:5\n"), "");
}

class DnsProxyTest : public testing::Test {
 protected:
  // `port` of the host's name server; 0: it has none.
  void Start(uint16_t port) {
    loop_.RunAndWait([&] {
      DnsProxy::Options options;
      options.ipv6 = true;
      if (port != 0) options.others.host = "127.0.0.1";
      options.others.port = port;
      options.others.timeout = std::chrono::seconds(20);
      auto started = DnsProxy::Start(loop_, options);
      ASSERT_TRUE(started.has_value()) << started.error().message();
      proxy_ = *std::move(started);
      net::DnsClient::Options to;
      to.host = "127.0.0.1";
      to.port = proxy_->port();
      to.timeout = std::chrono::seconds(20);
      client_ = std::make_unique<net::DnsClient>(loop_, to);
    });
  }
  ~DnsProxyTest() override {
    loop_.RunAndWait([this] {
      client_.reset();
      proxy_.reset();
      host_.reset();
    });
  }
  std::string Ask(const std::string& query, DnsTransport transport = DnsTransport::kUdp) {
    auto promise = std::make_shared<std::promise<std::string>>();
    loop_.RunAndWait([&] {
      client_->Ask(query, transport, [promise](const base::Result<std::string>& answer) {
        promise->set_value(answer.has_value() ? *answer : "error: " + answer.error().message());
      });
    });
    return promise->get_future().get();
  }

  net::EventLoop loop_{"dns-proxy-test"};
  std::unique_ptr<net::DnsServer> host_;
  std::unique_ptr<DnsProxy> proxy_;
  std::unique_ptr<net::DnsClient> client_;
};

TEST_F(DnsProxyTest, TheMeshItselfAndOthersByTheHost) {
  loop_.RunAndWait([&] {
    auto started = net::DnsServer::Start(
        loop_, {},
        [](std::string_view query, DnsTransport transport, const net::DnsAnswer& answer) {
          answer(std::string(query) + (transport == DnsTransport::kTcp ? "tcp" : "udp"));
        });
    ASSERT_TRUE(started.has_value());
    host_ = *std::move(started);
  });
  Start(host_->port());
  const std::string query = Query("web.mesh", 1);
  EXPECT_EQ(Ask(query), query + "udp");  // nothing is known yet
  loop_.RunAndWait([&] {
    EXPECT_FALSE(proxy_->has_table());
    proxy_->SetTable(Table());
    EXPECT_TRUE(proxy_->has_table());
  });
  const std::string known = "696485800001000100000000 c00c000100010000001e0004f1000001";
  EXPECT_EQ(Seen(Ask(query), query), known);
  EXPECT_EQ(Seen(Ask(query, DnsTransport::kTcp), query), known);
  const std::string other = Query("example.com", 1);
  EXPECT_EQ(Ask(other), other + "udp");
  EXPECT_EQ(Ask(other, DnsTransport::kTcp), other + "tcp");
  loop_.RunAndWait([&] { proxy_->SetTable({}); });
  EXPECT_EQ(Ask(query), query + "udp");
}

TEST_F(DnsProxyTest, WithoutANameServerOfTheHost) {
  Start(0);
  const std::string query = Query("example.com", 1);
  EXPECT_EQ(Seen(Ask(query), query), "696481820001000000000000 ");
}

TEST_F(DnsProxyTest, AHostThatDoesNotAnswer) {
  loop_.RunAndWait([&] {
    auto started = net::DnsServer::Start(loop_, {}, [](auto, auto, auto) {});
    ASSERT_TRUE(started.has_value());
    host_ = *std::move(started);
  });
  const uint16_t port = host_->port();
  loop_.RunAndWait([&] { host_.reset(); });
  Start(port);
  const std::string query = Query("example.com", 1);
  EXPECT_EQ(Seen(Ask(query), query), "696481820001000000000000 ");
}

}  // namespace
}  // namespace kuma::dp

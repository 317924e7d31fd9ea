#include "net/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "net/client.h"
#include "net/internal/testing.h"

namespace kuma::net {
namespace {

using internal::DescribeRequest;
using internal::EchoRouter;
using internal::Eventually;
using internal::Get;
using internal::WatchedCall;

class ServerTest : public testing::Test {
 protected:
  ServerTest() : loops(2) {
    folder = std::filesystem::temp_directory_path() /
             ("net_test_" + std::to_string(getpid()) + "_" + std::to_string(++counter));
    std::filesystem::create_directories(folder);
  }
  ~ServerTest() override {
    server.reset();
    std::filesystem::remove_all(folder);
  }

  void Start(bool tls, HttpHandler handler = DescribeRequest, Limits limits = {}) {
    ServerOptions options;
    options.limits = limits;
    if (tls) options.tls = TlsOptions();
    auto started = Server::Start(loops, options, std::move(handler), EchoRouter());
    ASSERT_TRUE(started.has_value()) << started.error().message();
    server = *std::move(started);
  }

  ServerTlsOptions TlsOptions() {
    auto made = MakeSelfSigned({"localhost", "127.0.0.1", "::1"});
    certificate = *std::move(made);
    ServerTlsOptions options;
    options.certificate.cert_pem = certificate.cert_pem;
    options.certificate.key_pem = certificate.key_pem;
    return options;
  }

  ClientOptions Trusting(bool http2 = true) {
    ClientOptions options;
    options.tls.ca_pem = certificate.cert_pem;
    options.http2 = http2;
    return options;
  }

  GrpcChannelOptions Channel(bool tls) {
    GrpcChannelOptions options;
    options.target =
        (tls ? "grpcs://" : "grpc://") + std::string("127.0.0.1:") + std::to_string(server->port());
    options.tls.ca_pem = certificate.cert_pem;
    return options;
  }

  std::string Path(const std::string& name) { return (folder / name).string(); }
  static void Write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }

  static inline int counter = 0;
  std::filesystem::path folder;
  EventLoops loops;
  EventLoop client_loop{"client"};
  SelfSigned certificate;
  std::unique_ptr<Server> server;
};

// A socket of the test's own, for what a good client would never send.
class RawClient {
 public:
  explicit RawClient(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    const timeval timeout{30, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    connected = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(fd_); }
  void Send(const std::string& bytes) { (void)!write(fd_, bytes.data(), bytes.size()); }
  std::string ReadToEnd() {
    std::string all;
    std::array<char, 4096> bytes;
    ssize_t size;
    while ((size = read(fd_, bytes.data(), bytes.size())) > 0)
      all.append(bytes.data(), static_cast<size_t>(size));
    return all;
  }
  std::string ReadUntil(const std::string& end) {
    std::string all;
    char byte;
    while (!all.ends_with(end) && read(fd_, &byte, 1) == 1) all += byte;
    return all;
  }
  bool connected = false;

 private:
  int fd_;
};

TEST_F(ServerTest, Http1OverPlainText) {
  Start(false);
  auto request = MakeRequest("POST", server->url() + "/a%20b?x=1");
  ASSERT_TRUE(request.has_value());
  request->body = std::string(300'000, 'x');
  const auto response = Fetch(*request);
  ASSERT_TRUE(response.has_value()) << response.error().message();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->headers.Get("x-method"), "POST");
  EXPECT_EQ(response->headers.Get("x-path"), "/a b");
  EXPECT_EQ(response->headers.Get("x-version"),
            std::to_string(static_cast<int>(HttpVersion::kHttp11)));
  EXPECT_EQ(response->headers.Get("x-peer"), "127.0.0.1");
  EXPECT_EQ(response->headers.Get("x-tls"), "no");
  EXPECT_EQ(response->body.size(), 300'000u);
}

TEST_F(ServerTest, HttpOverTlsByAlpn) {
  Start(true);
  for (const bool http2 : {false, true}) {
    const auto response = Get(server->url() + "/x", Trusting(http2));
    ASSERT_TRUE(response.has_value()) << response.error().message();
    EXPECT_EQ(response->headers.Get("x-tls"), "yes");
    EXPECT_EQ(response->headers.Get("x-version"),
              std::to_string(static_cast<int>(http2 ? HttpVersion::kHttp2 : HttpVersion::kHttp11)));
  }
}

TEST_F(ServerTest, LargeBodiesBothWaysOverHttp2) {
  Start(true);
  auto request = MakeRequest("PUT", server->url() + "/big");
  request->body = std::string(5 << 20, 'y');
  const auto response = Fetch(*request, Trusting());
  ASSERT_TRUE(response.has_value()) << response.error().message();
  EXPECT_EQ(response->body, request->body);
}

TEST_F(ServerTest, AnswersComeFromAnyThreadAndMissingOnesByThemselves) {
  std::vector<std::thread> threads;
  std::mutex mutex;
  Start(false, [&](const HttpRequest& request, const HttpResponder& responder) {
    if (request.path == "/drop") return;
    const std::lock_guard lock(mutex);
    threads.emplace_back([responder] { responder.Send({201, {}, "late"}); });
  });
  EXPECT_EQ(Get(server->url() + "/thread")->body, "late");
  EXPECT_EQ(Get(server->url() + "/drop")->status, 500);
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ServerTest, ManyRequestsShareConnections) {
  for (const bool tls : {false, true}) {
    Start(tls);
    HttpClient client(client_loop, Trusting());
    std::atomic<int> good = 0;
    std::atomic<int> all = 0;
    for (int i = 0; i < 300; ++i) {
      client.Send(*MakeRequest("GET", server->url() + "/" + std::to_string(i)),
                  [&](const base::Result<HttpResponse>& result) {
                    if (result.has_value() && result->status == 200) ++good;
                    ++all;
                  });
    }
    EXPECT_TRUE(Eventually([&] { return all == 300; }));
    EXPECT_EQ(good, 300);
    EXPECT_LE(server->stats().accepted, 8u);
    server.reset();
  }
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  EventLoop slow("slow");
  std::vector<runtime::Timer> timers;
  Start(false, [&](const HttpRequest& request, const HttpResponder& responder) {
    if (request.path != "/slow") return responder.Send({200, {}, request.path});
    slow.Post([&, responder] {
      timers.push_back(slow.PostAfter(std::chrono::milliseconds(20), [responder] {
        responder.Send({200, {}, "/slow"});
      }));
    });
  });
  RawClient raw(server->port());
  raw.Send(
      "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string all = raw.ReadToEnd();
  EXPECT_LT(all.find("/slow"), all.find("/2"));
  EXPECT_LT(all.find("/2"), all.find("/3"));
  EXPECT_NE(all.find("connection: close"), std::string::npos);
  slow.RunAndWait([&] { timers.clear(); });
}

TEST_F(ServerTest, HttpAbuseIsAnswered) {
  Limits limits;
  limits.header_bytes = 2000;
  limits.body_bytes = 1000;
  limits.linger_time = std::chrono::milliseconds(200);
  Start(false, DescribeRequest, limits);
  const auto answer = [&](const std::string& bytes) {
    RawClient raw(server->port());
    raw.Send(bytes);
    return raw.ReadToEnd().substr(0, 12);
  };
  EXPECT_EQ(answer("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(3000, 'a') + "\r\n\r\n"),
            "HTTP/1.1 431");
  EXPECT_EQ(
      answer("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + std::string(5000, 'a')),
      "HTTP/1.1 413");
  EXPECT_EQ(answer("nonsense\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(answer("GET / HTTP/2.7\r\n\r\n"), "HTTP/1.1 505");
  // Last: on a busy machine so short a time would cut those above as well.
  limits.header_time = std::chrono::milliseconds(50);
  Start(false, DescribeRequest, limits);
  EXPECT_EQ(answer("GET / HTTP/1.1\r\nHost: x\r\n"), "HTTP/1.1 408");
}

TEST_F(ServerTest, ContinueIsSentForAnExpectedBody) {
  Start(false);
  RawClient raw(server->port());
  raw.Send(
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: "
      "close\r\n\r\n");
  EXPECT_EQ(raw.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  raw.Send("abc");
  EXPECT_TRUE(raw.ReadToEnd().ends_with("\r\n\r\nabc"));
}

TEST_F(ServerTest, PortInUseNamesTheAddress) {
  Start(false);
  ServerOptions options;
  options.port = server->port();
  const auto second = Server::Start(loops, options, nullptr);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().message(),
            "listen on 127.0.0.1:" + std::to_string(server->port()) + ": address already in use");
  options.address = "nonsense";
  EXPECT_EQ(Server::Start(loops, options, nullptr).error().code(), base::Code::kInvalid);
}

TEST_F(ServerTest, BothFamiliesOnTheEmptyAddress) {
  ServerOptions options;
  options.address = "";
  server = *Server::Start(loops, options, DescribeRequest);
  const auto response = Get("http://127.0.0.1:" + std::to_string(server->port()) + "/");
  ASSERT_TRUE(response.has_value()) << response.error().message();
  EXPECT_EQ(response->headers.Get("x-peer"), "127.0.0.1");
}

TEST_F(ServerTest, UnixSocket) {
  ServerOptions options;
  options.address = "unix:" + Path("s.sock");
  server = *Server::Start(loops, options, DescribeRequest, EchoRouter());
  ClientOptions client;
  client.unix_socket = Path("s.sock");
  const auto response = Get("http://localhost/over/unix", client);
  ASSERT_TRUE(response.has_value()) << response.error().message();
  EXPECT_EQ(response->headers.Get("x-path"), "/over/unix");
  EXPECT_NE(Server::Start(loops, options, nullptr).error().message().find("already in use"),
            std::string::npos);
  server.reset();
  EXPECT_FALSE(std::filesystem::exists(Path("s.sock")));
  EXPECT_EQ(Get("http://localhost/", client).error().message(),
            "connect to unix:" + Path("s.sock") + ": no such file or directory");
}

TEST_F(ServerTest, TlsFilesAreNamedInErrors) {
  ServerOptions options;
  options.tls = ServerTlsOptions{};
  options.tls->certificate = {Path("none.pem"), Path("none.key"), {}, {}};
  EXPECT_EQ(Server::Start(loops, options, nullptr).error().message(),
            "certificate file " + Path("none.pem") + ": No such file or directory");
  const auto one = *MakeSelfSigned({"a"});
  const auto other = *MakeSelfSigned({"b"});
  Write(Path("cert.pem"), one.cert_pem);
  Write(Path("key.pem"), other.key_pem.Reveal());
  Write(Path("junk.pem"), "junk");
  options.tls->certificate = {Path("cert.pem"), Path("key.pem"), {}, {}};
  EXPECT_NE(Server::Start(loops, options, nullptr)
                .error()
                .message()
                .find("does not belong to certificate file"),
            std::string::npos);
  options.tls->certificate.cert_file = Path("junk.pem");
  EXPECT_NE(Server::Start(loops, options, nullptr).error().message().find("not a PEM certificate"),
            std::string::npos);
  ServerTlsOptions suites = TlsOptions();
  suites.cipher_suites = {"TLS_NONSENSE"};
  EXPECT_EQ(CheckTls(suites).error().message(), "unknown TLS cipher suite \"TLS_NONSENSE\"");
  suites.cipher_suites = {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384",
                          "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"};
  EXPECT_TRUE(CheckTls(suites).has_value());
  suites.min_version = TlsVersion::kTls13;
  suites.max_version = TlsVersion::kTls12;
  EXPECT_FALSE(CheckTls(suites).has_value());
  EXPECT_FALSE(ParseTlsVersion("TLSv9").has_value());
  EXPECT_EQ(*ParseTlsVersion("TLSv1_3"), TlsVersion::kTls13);
}

TEST_F(ServerTest, TlsVersionsAreHeeded) {
  ServerOptions options;
  options.tls = TlsOptions();
  options.tls->min_version = TlsVersion::kTls13;
  server = *Server::Start(loops, options, DescribeRequest);
  EXPECT_TRUE(Get(server->url(), Trusting()).has_value());
  ClientOptions old = Trusting();
  old.tls.max_version = TlsVersion::kTls12;
  const auto refused = Get(server->url(), old);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message().find("protocol version"), std::string::npos)
      << refused.error().message();
}

TEST_F(ServerTest, TransportErrorsAreReadable) {
  Start(true);
  const std::string port = std::to_string(server->port());
  EXPECT_EQ(Get(server->url()).error().message(),
            "certificate verify failed: self-signed certificate (server 127.0.0.1:" + port + ")");
  ClientOptions other = Trusting();
  other.tls.server_name = "other";
  EXPECT_NE(Get(server->url(), other)
                .error()
                .message()
                .find("certificate verify failed: hostname mismatch"),
            std::string::npos)
      << Get(server->url(), other).error().message();
  ClientOptions any;
  any.tls.skip_verify = true;
  EXPECT_TRUE(Get(server->url(), any).has_value());
  EXPECT_TRUE(Get("https://localhost:" + port + "/", Trusting()).has_value());
  server.reset();
  EXPECT_EQ(Get("http://127.0.0.1:" + port + "/").error().message(),
            "connect to 127.0.0.1:" + port + ": connection refused");
  const std::string unknown = Get("http://does-not-exist.invalid/").error().message();
  EXPECT_TRUE(unknown.starts_with("resolve does-not-exist.invalid: ")) << unknown;
  EXPECT_EQ(Get("ftp://x/").error().code(), base::Code::kInvalid);
}

// What the answer would go to may be gone with the client.
TEST_F(ServerTest, AClientThatIsGoneAnswersNobody) {
  auto client = std::make_unique<HttpClient>(client_loop, ClientOptions());
  bool gone = false;
  std::vector<std::pair<bool, base::Code>> answers;
  client_loop.RunAndWait([&] {
    HttpRequest request = *MakeRequest("GET", "http://localhost/");
    request.scheme = "ftp";  // has its answer in the same turn
    client->Send(std::move(request), [&](base::Result<HttpResponse> answer) {
      answers.emplace_back(gone, answer.error().code());
    });
    client_loop.Post([&] {
      client.reset();
      gone = true;
    });
  });
  while (!gone) client_loop.RunAndWait([] {});
  client_loop.RunAndWait([] {});
  EXPECT_EQ(answers, (std::vector<std::pair<bool, base::Code>>{{false, base::Code::kCancelled}}));
}

TEST_F(ServerTest, ClientTimeout) {
  std::vector<HttpResponder> held;
  Start(false,
        [&](const HttpRequest&, const HttpResponder& responder) { held.push_back(responder); });
  ClientOptions options;
  options.request_timeout = std::chrono::milliseconds(50);
  const auto arrived = [&] {
    bool any = false;
    loops.at(0).RunAndWait([&] { any = !held.empty(); });
    return any;
  };
  do {  // on a busy machine the time may be over before the request is sent
    const auto result = Get(server->url() + "/wait", options);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().message(), "GET " + server->url() + "/wait: no answer within 0.05s");
  } while (!arrived());
  EXPECT_TRUE(Eventually([&] {
    bool gone = false;
    loops.at(0).RunAndWait([&] { gone = held.front().peer_gone(); });
    return gone;
  }));
  server.reset();
  held.front().Send({});  // nobody is left, and nothing happens
}

TEST_F(ServerTest, ClientCertificates) {
  const auto client_certificate = *MakeSelfSigned({"client.example", "10.0.0.1"});
  ServerOptions options;
  options.tls = TlsOptions();
  options.tls->client_certificates = ClientCertificates::kOptional;
  options.tls->client_ca_pem = client_certificate.cert_pem;
  server = *Server::Start(loops, options, DescribeRequest);
  const auto without = Get(server->url(), Trusting());
  ASSERT_TRUE(without.has_value()) << without.error().message();
  EXPECT_EQ(without->headers.Get("x-subject"), "");
  ClientOptions with = Trusting();
  with.tls.certificate.cert_pem = client_certificate.cert_pem;
  with.tls.certificate.key_pem = client_certificate.key_pem;
  const auto shown = Get(server->url(), with);
  ASSERT_TRUE(shown.has_value()) << shown.error().message();
  EXPECT_EQ(shown->headers.Get("x-subject"), "CN=client.example");
  // One that another authority signed ends the handshake.
  const auto stranger = *MakeSelfSigned({"stranger"});
  with.tls.certificate.cert_pem = stranger.cert_pem;
  with.tls.certificate.key_pem = stranger.key_pem;
  EXPECT_FALSE(Get(server->url(), with).has_value());
  server.reset();

  options.tls->client_certificates = ClientCertificates::kRequired;
  server = *Server::Start(loops, options, DescribeRequest);
  EXPECT_FALSE(Get(server->url(), Trusting()).has_value());
}

TEST_F(ServerTest, CertificatesAreReloaded) {
  const auto first = *MakeSelfSigned({"127.0.0.1"});
  const auto second = *MakeSelfSigned({"127.0.0.1"});
  Write(Path("cert.pem"), first.cert_pem);
  Write(Path("key.pem"), first.key_pem.Reveal());
  ServerOptions options;
  options.tls = ServerTlsOptions{};
  options.tls->certificate = {Path("cert.pem"), Path("key.pem"), {}, {}};
  options.tls->reload_interval = std::chrono::milliseconds(5);
  server = *Server::Start(loops, options, DescribeRequest);
  const auto works = [&](const SelfSigned& trusted) {
    ClientOptions client;
    client.tls.ca_pem = trusted.cert_pem;
    return Get(server->url(), client).has_value();
  };
  EXPECT_TRUE(works(first));
  EXPECT_FALSE(works(second));
  // Broken in between: the old certificate stays.
  Write(Path("cert.pem"), "broken");
  server->ReloadCertificates();
  EXPECT_TRUE(works(first));
  Write(Path("key.pem"), second.key_pem.Reveal());
  Write(Path("cert.pem"), second.cert_pem);
  EXPECT_TRUE(Eventually([&] { return works(second); }));
  EXPECT_FALSE(works(first));
}

TEST_F(ServerTest, TooManyConnectionsOfOneAddressAreRefused) {
  Limits limits;
  limits.connections_per_address = 2;
  Start(false, DescribeRequest, limits);
  {
    RawClient one(server->port());
    RawClient two(server->port());
    ASSERT_TRUE(Eventually([&] { return server->stats().open == 2; }));
    RawClient three(server->port());
    EXPECT_EQ(three.ReadToEnd(), "");
    EXPECT_EQ(server->stats().refused, 1u);
  }
  EXPECT_TRUE(Eventually([&] { return Get(server->url()).has_value(); }));
}

// The limit of descriptors of this process, put back at the end.
class DescriptorLimit {
 public:
  DescriptorLimit() { getrlimit(RLIMIT_NOFILE, &old_); }
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &old_); }
  // So that `more` can be opened.
  void Leave(int more) {
    const int next = dup(0);
    close(next);
    Set(static_cast<size_t>(next + more));
  }
  void Set(size_t limit) {
    rlimit changed = old_;
    changed.rlim_cur = limit;
    setrlimit(RLIMIT_NOFILE, &changed);
  }
  void Restore() { setrlimit(RLIMIT_NOFILE, &old_); }

 private:
  rlimit old_{};
};

TEST_F(ServerTest, WithoutDescriptorsConnectionsWaitAndTheLogSaysSoOnce) {
  Limits limits;
  limits.spare_descriptors = 0;
  Start(false, DescribeRequest, limits);
  testing::internal::CaptureStderr();
  DescriptorLimit descriptors;
  descriptors.Leave(1);  // for the client's side
  {
    RawClient waiting(server->port());
    ASSERT_TRUE(waiting.connected);
    waiting.Send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    ASSERT_TRUE(Eventually([&] { return server->stats().starved == 1; }));
    EXPECT_EQ(server->stats().accepted, 0u);
    // While it waits the loops do nothing: the accepting socket is not watched.
    std::promise<void> later;
    loops.at(0).Post([&] {
      loops.at(0).RunAndWait([] {});
      later.set_value();
    });
    later.get_future().wait();
    descriptors.Restore();
    EXPECT_TRUE(waiting.ReadToEnd().starts_with("HTTP/1.1 200"));
  }
  EXPECT_TRUE(Get(server->url()).has_value());
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(server->stats().starved, 1u);
  const size_t first = log.find("cannot accept connections");
  EXPECT_NE(first, std::string::npos);
  EXPECT_EQ(log.find("cannot accept connections", first + 1), std::string::npos) << log;
}

TEST_F(ServerTest, DescriptorsAreKeptForFiles) {
  Limits limits;
  limits.spare_descriptors = 20;
  Start(false, DescribeRequest, limits);
  DescriptorLimit descriptors;
  const int next = dup(0);
  close(next);
  descriptors.Set(static_cast<size_t>(next) + 20 + 60);  // a quarter of it is at least 20
  std::vector<std::unique_ptr<RawClient>> clients;
  while (server->stats().refused == 0 && clients.size() < 60) {
    clients.push_back(std::make_unique<RawClient>(server->port()));
    ASSERT_TRUE(clients.back()->connected);
    const size_t count = clients.size();
    ASSERT_TRUE(
        Eventually([&] { return server->stats().accepted + server->stats().refused >= count; }));
  }
  EXPECT_EQ(clients.back()->ReadToEnd(), "");
  EXPECT_EQ(server->stats().starved, 0u);
  EXPECT_GE(clients.size(), 25u);
  clients.clear();
  EXPECT_TRUE(Eventually([&] { return Get(server->url()).has_value(); }));
}

TEST_F(ServerTest, PlainHttpOnATlsPortIsToldSo) {
  Start(true);
  for (const char* request :
       {"GET /x HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "DELETE /meshes/default HTTP/1.1\r\nHost: x\r\n\r\n"}) {
    RawClient raw(server->port());
    raw.Send(request);
    const std::string answer = raw.ReadToEnd();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
    EXPECT_NE(answer.find("HTTP request to an HTTPS server"), std::string::npos) << answer;
    EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 80u);
  }
  RawClient garbage(server->port());
  garbage.Send("get it, please. \1\2\3");
  EXPECT_EQ(garbage.ReadToEnd(), "");
  EXPECT_TRUE(Eventually([&] { return server->stats().handshakes_failed == 4; }));
}

TEST_F(ServerTest, BytesOfAllConnectionsAreBounded) {
  Limits limits;
  limits.server_bytes = 100'000;
  Start(false, DescribeRequest, limits);
  // Each alone is small enough; together they are not.
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n";
  auto first = std::make_unique<RawClient>(server->port());
  first->Send(head + std::string(60'000, 'a'));
  const auto second_answer = [&] {
    RawClient second(server->port());
    second.Send(head + std::string(60'000, 'a') + std::string(10'000, 'b'));
    return second.ReadUntil("\r\n");
  };
  EXPECT_TRUE(
      Eventually([&] { return second_answer() == "HTTP/1.1 503 Service Unavailable\r\n"; }));
  first.reset();
  EXPECT_TRUE(Eventually([&] { return second_answer() == "HTTP/1.1 200 OK\r\n"; }));
}

TEST_F(ServerTest, SlowHandshakesAreCut) {
  Limits limits;
  limits.handshake_time = std::chrono::milliseconds(30);
  Start(true, DescribeRequest, limits);
  RawClient silent(server->port());
  EXPECT_EQ(silent.ReadToEnd(), "");
  EXPECT_TRUE(Eventually([&] { return server->stats().open == 0; }));
}

TEST_F(ServerTest, GrpcEcho) {
  for (const bool tls : {false, true}) {
    Start(tls);
    GrpcChannel channel(client_loop, Channel(tls));
    WatchedCall call;
    channel.Open({"/test.Echo/Echo", {}, {}}, call.handler());
    ASSERT_TRUE(call.WaitStarted());
    std::vector<std::string> sent;
    for (const size_t size : {size_t{0}, size_t{1}, size_t{5}, size_t{70'000}, size_t{3'000'000}}) {
      sent.emplace_back(size, static_cast<char>('a' + size % 26));
      call.Send(sent.back());
    }
    ASSERT_TRUE(call.WaitMessages(sent.size()));
    EXPECT_EQ(call.shared().messages, sent);
    call.Finish();
    ASSERT_TRUE(call.WaitClosed());
    EXPECT_EQ(call.shared().status, (GrpcStatus{GrpcCode::kOk, "bye % \xe2\x82\xac"}));
    EXPECT_EQ(call.shared().trailers.Get("done"), "yes");
    EXPECT_EQ(call.shared().trailers.Get("raw-bin"), std::string_view("\0\xff", 2));
    server.reset();
  }
}

TEST_F(ServerTest, GrpcRefusals) {
  Start(false);
  GrpcChannel channel(client_loop, Channel(false));
  WatchedCall unknown;
  channel.Open({"/test.Echo/Other", {}, {}}, unknown.handler());
  ASSERT_TRUE(unknown.WaitClosed());
  EXPECT_EQ(unknown.shared().status,
            (GrpcStatus{GrpcCode::kUnimplemented, "no method /test.Echo/Other"}));
}

TEST_F(ServerTest, GrpcMetadataAndTimeout) {
  std::promise<GrpcRequest> arrived;
  server = *Server::Start(loops, {}, nullptr, [&](const GrpcRequest& request) -> GrpcAnswer {
    arrived.set_value(request);
    return std::make_unique<internal::EchoHandler>();
  });
  std::promise<void> connected;  // the call's time is not for connecting
  GrpcChannelOptions options = Channel(false);
  options.on_connected = [&] { connected.set_value(); };
  GrpcChannel channel(client_loop, options);
  ASSERT_EQ(connected.get_future().wait_for(internal::kTestDeadline), std::future_status::ready);
  WatchedCall call;
  channel.Open({"/a/b",
                {{"authorization", "Bearer x"},
                 {"many", "1"},
                 {"many", "2"},
                 {"raw-bin", std::string("\0\1\xfe", 3)}},
                std::chrono::milliseconds(100)},
               call.handler());
  ASSERT_TRUE(call.WaitClosed());
  EXPECT_EQ(call.shared().status.code, GrpcCode::kDeadlineExceeded);
  auto request = arrived.get_future();
  ASSERT_EQ(request.wait_for(internal::kTestDeadline), std::future_status::ready);
  const GrpcRequest seen = request.get();
  server.reset();
  EXPECT_EQ(seen.path, "/a/b");
  EXPECT_EQ(seen.metadata.Get("authorization"), "Bearer x");
  EXPECT_EQ(seen.metadata.GetAll("many"), (std::vector<std::string_view>{"1", "2"}));
  EXPECT_EQ(seen.metadata.Get("raw-bin"), std::string_view("\0\1\xfe", 3));
  EXPECT_FALSE(seen.metadata.Has("te"));
  ASSERT_TRUE(seen.timeout.has_value());
  EXPECT_EQ(*seen.timeout, std::chrono::milliseconds(100));
  EXPECT_EQ(seen.peer.remote.host, "127.0.0.1");
}

TEST_F(ServerTest, GrpcUnary) {
  class Upper final : public internal::EchoHandler {
    void OnMessage(std::string_view message) override { stream_->Send(std::string(message) + "!"); }
  };
  server = *Server::Start(loops, {}, nullptr, [](const GrpcRequest&) -> GrpcAnswer {
    return std::make_unique<Upper>();
  });
  GrpcChannel channel(client_loop, Channel(false));
  std::promise<std::pair<GrpcStatus, std::string>> promise;
  channel.CallUnary({"/a/b", {}, {}}, "hello", [&](GrpcStatus status, std::string reply) {
    promise.set_value({std::move(status), std::move(reply)});
  });
  const auto [status, reply] = promise.get_future().get();
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(reply, "hello!");
}

// The peer's window is closed: the socket is idle, and only the stream's own timer sees the stall.
TEST_F(ServerTest, SlowReaderIsCut) {
  class Flood final : public GrpcStreamHandler {
   public:
    explicit Flood(std::promise<GrpcStatus>& end) : end_(end) {}
    void OnStart(GrpcStream& stream) override { stream.Send(std::string(1 << 20, 'x')); }
    void OnMessage(std::string_view) override {}
    void OnClosed(const GrpcStatus& status, const Headers&) override { end_.set_value(status); }

   private:
    std::promise<GrpcStatus>& end_;
  };
  std::promise<GrpcStatus> end;
  ServerOptions options;
  options.limits.stall_time = std::chrono::milliseconds(50);
  server = *Server::Start(loops, options, nullptr, [&](const GrpcRequest&) -> GrpcAnswer {
    return std::make_unique<Flood>(end);
  });
  RawClient raw(server->port());
  // Preface, empty SETTINGS, and one HEADERS frame with literal fields.
  const auto literal = [](const std::string& name, const std::string& value) {
    return std::string(1, '\0') + static_cast<char>(name.size()) + name +
           static_cast<char>(value.size()) + value;
  };
  const std::string block = literal(":method", "POST") + literal(":scheme", "http") +
                            literal(":path", "/a/b") + literal(":authority", "x") +
                            literal("content-type", "application/grpc");
  raw.Send(std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + std::string("\0\0\0\4\0\0\0\0\0", 9) +
           std::string("\0\0", 2) + static_cast<char>(block.size()) +
           std::string("\1\4\0\0\0\1", 6) + block);
  auto future = end.get_future();
  ASSERT_EQ(future.wait_for(internal::kTestDeadline), std::future_status::ready);
  const GrpcStatus status = future.get();
  EXPECT_EQ(status, (GrpcStatus{GrpcCode::kUnavailable, "the peer does not read"}));
}

TEST_F(ServerTest, QueueIsBounded) {
  Start(false);
  GrpcChannelOptions options = Channel(false);
  options.limits.queued_bytes = 1'000'000;
  options.limits.queue_low_bytes = 1000;
  GrpcChannel channel(client_loop, options);
  WatchedCall call;
  channel.Open({"/test.Echo/Echo", {}, {}}, call.handler());
  ASSERT_TRUE(call.WaitStarted());
  call.Send(std::string(900'000, 'x'));
  ASSERT_TRUE(call.Wait([](const WatchedCall::Shared& s) { return s.queue_low == 1; }));
  call.OnStream([](GrpcStream& stream) {
    EXPECT_TRUE(stream.Send(std::string(900'000, 'y')));
    EXPECT_GT(stream.queued_bytes(), 0u);
    EXPECT_FALSE(stream.Send(std::string(900'000, 'z')));
  });
  ASSERT_TRUE(call.WaitClosed());
  EXPECT_EQ(call.shared().status.code, GrpcCode::kResourceExhausted);
}

TEST_F(ServerTest, ChannelReconnects) {
  Start(false);
  const uint16_t port = server->port();
  std::atomic<int> connected = 0;
  std::atomic<int> lost = 0;
  GrpcChannelOptions options = Channel(false);
  options.backoff.initial = std::chrono::milliseconds(5);
  options.backoff.max = std::chrono::milliseconds(20);
  options.on_connected = [&] { ++connected; };
  options.on_disconnected = [&](const base::Error&) { ++lost; };
  GrpcChannel channel(client_loop, options);
  ASSERT_TRUE(Eventually([&] { return connected == 1; }));
  WatchedCall call;
  channel.Open({"/test.Echo/Echo", {}, {}}, call.handler());
  call.WaitStarted();
  call.Send("x");
  ASSERT_TRUE(call.WaitMessages(1));
  server.reset();
  ASSERT_TRUE(call.WaitClosed());
  EXPECT_EQ(call.shared().status.code, GrpcCode::kUnavailable);
  ASSERT_TRUE(Eventually([&] { return lost >= 3; }));
  ServerOptions again;
  again.port = port;
  server = *Server::Start(loops, again, nullptr, EchoRouter());
  ASSERT_TRUE(Eventually([&] { return connected == 2; }));
  WatchedCall second;
  channel.Open({"/test.Echo/Echo", {}, {}}, second.handler());
  second.WaitStarted();
  second.Send("y");
  ASSERT_TRUE(second.WaitMessages(1));
  EXPECT_EQ(second.shared().messages, std::vector<std::string>{"y"});
}

TEST_F(ServerTest, ChannelErrorsReachTheCall) {
  GrpcChannelOptions options;
  options.target = "127.0.0.1:1";
  GrpcChannel channel(client_loop, options);
  WatchedCall call;
  channel.Open({"/a/b", {}, {}}, call.handler());
  ASSERT_TRUE(call.WaitClosed());
  EXPECT_EQ(call.shared().status,
            (GrpcStatus{GrpcCode::kUnavailable, "connect to 127.0.0.1:1: connection refused"}));
  options.target = "ftp://x";
  GrpcChannel broken(client_loop, options);
  WatchedCall never;
  broken.Open({"/a/b", {}, {}}, never.handler());
  ASSERT_TRUE(never.WaitClosed());
  EXPECT_NE(never.shared().status.message.find("ftp://x"), std::string::npos);
}

TEST_F(ServerTest, DrainFinishesWhatIsInProgress) {
  std::promise<HttpResponder> arrived;
  Start(false,
        [&](const HttpRequest&, const HttpResponder& responder) { arrived.set_value(responder); });
  GrpcChannel channel(client_loop, Channel(false));
  WatchedCall call;
  channel.Open({"/test.Echo/Echo", {}, {}}, call.handler());
  ASSERT_TRUE(call.WaitStarted());
  call.Send("before");
  ASSERT_TRUE(call.WaitMessages(1));
  auto slow = std::async(std::launch::async, [&] { return Get(server->url() + "/slow"); });
  const HttpResponder responder = arrived.get_future().get();
  std::promise<void> drained;
  server->Drain(std::chrono::seconds(30), [&] { drained.set_value(); });
  ASSERT_TRUE(call.WaitClosed());
  EXPECT_EQ(call.shared().status, (GrpcStatus{GrpcCode::kUnavailable, "drained"}));
  EXPECT_TRUE(Eventually([&] { return !RawClient(server->port()).connected; }));
  responder.Send({200, {}, "finished"});
  const auto response = slow.get();
  ASSERT_TRUE(response.has_value()) << response.error().message();
  EXPECT_EQ(response->body, "finished");
  EXPECT_EQ(drained.get_future().wait_for(internal::kTestDeadline), std::future_status::ready);
  EXPECT_EQ(server->stats().open, 0u);
}

TEST_F(ServerTest, DrainHasADeadline) {
  class Stubborn final : public internal::EchoHandler {
    void OnDrain() override {}
  };
  server = *Server::Start(loops, {}, nullptr, [](const GrpcRequest&) -> GrpcAnswer {
    return std::make_unique<Stubborn>();
  });
  GrpcChannel channel(client_loop, Channel(false));
  WatchedCall call;
  channel.Open({"/a/b", {}, {}}, call.handler());
  ASSERT_TRUE(call.WaitStarted());
  call.Send("x");
  ASSERT_TRUE(call.WaitMessages(1));
  std::promise<void> drained;
  server->Drain(std::chrono::milliseconds(30), [&] { drained.set_value(); });
  ASSERT_TRUE(call.WaitClosed());
  EXPECT_EQ(call.shared().status,
            (GrpcStatus{GrpcCode::kUnavailable, "the server is shutting down"}));
  EXPECT_EQ(drained.get_future().wait_for(internal::kTestDeadline), std::future_status::ready);
}

// A foreign peer. Skipped where there is no curl.
TEST_F(ServerTest, Curl) {
  if (std::system("curl --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "no curl";
  const auto run = [&](const std::string& arguments) {
    FILE* pipe = popen(("curl -sS -m 20 " + arguments + " 2>&1").c_str(), "r");
    std::string all;
    std::array<char, 4096> bytes;
    while (const size_t size = fread(bytes.data(), 1, bytes.size(), pipe))
      all.append(bytes.data(), size);
    pclose(pipe);
    return all;
  };
  Start(true);
  Write(Path("ca.pem"), certificate.cert_pem);
  Write(Path("body"), std::string(2'000'000, 'b'));
  const std::string format = " -o /dev/null -w '%{http_version} %{http_code} %{size_download}' ";
  const std::string trust = " --cacert " + Path("ca.pem") + " ";
  const std::string upload = " --data-binary @" + Path("body") + " ";
  EXPECT_EQ(run("--http1.1" + trust + format + upload + server->url() + "/x"), "1.1 200 2000000");
  EXPECT_EQ(run("--http2" + trust + format + upload + server->url() + "/x"), "2 200 2000000");
  EXPECT_EQ(run("--http2 -I" + trust + format + server->url() + "/x"), "2 200 0");
  EXPECT_EQ(run("--http1.1 -I" + trust + format + server->url() + "/x"), "1.1 200 0");
  EXPECT_EQ(run("--http1.1 -H 'Transfer-Encoding: chunked'" + trust + format + upload +
                server->url() + "/x"),
            "1.1 200 2000000");
  EXPECT_EQ(run("--tls-max 1.2" + trust + format + server->url() + "/x"), "2 200 0");
  server.reset();

  Limits small;
  small.body_bytes = 100'000;
  Start(false, DescribeRequest, small);
  // The early answer to an upload must reach the client over both.
  EXPECT_EQ(run("--http1.1" + format + upload + server->url() + "/x").substr(0, 7), "1.1 413");
  EXPECT_EQ(run("--http2-prior-knowledge" + format + upload + server->url() + "/x").substr(0, 5),
            "2 413");
  EXPECT_EQ(run("--http2" + format + server->url() + "/x"), "1.1 200 0");
}

}  // namespace
}  // namespace kuma::net

// Data of OpenTelemetry from a model Envoy, over a Unix socket, to model collectors.

#include "dp/otel_receiver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "base/format.h"
#include "dp/gzip.h"
#include "net/client.h"

namespace kuma::dp {
namespace {

using base::Format;
using net::GrpcCode;
using net::GrpcStatus;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

bool Eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

std::string Gunzip(const std::string& bytes) {
  std::string out(1 << 20, '\0');
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

TEST(GzipTest, IsReadBack) {
  for (const std::string& text : {std::string(), std::string("a"), std::string(100'000, 'x')})
    EXPECT_EQ(Gunzip(Gzip(text)), text);
  EXPECT_LT(Gzip(std::string(100'000, 'x')).size(), 1000u);
}

// What a collector was told, and what it answers.
class Collector {
 public:
  struct Taken {
    std::string path;
    net::Headers headers;
    std::string body;
  };

  explicit Collector(std::optional<net::ServerTlsOptions> tls = std::nullopt)
      : tls_(std::move(tls)) {
    Open();
  }
  void Open() {
    net::ServerOptions options;
    options.name = "collector";
    options.port = port_;
    options.tls = tls_;
    auto server = net::Server::Start(
        loops_, options,
        [this](const net::HttpRequest& request, const net::HttpResponder& responder) {
          Take({request.path, request.headers, request.body});
          std::lock_guard lock(mutex_);
          if (stuck_) return held_.push_back(responder);
          responder.Send(answer_);
        },
        [this](const net::GrpcRequest& request) { return std::make_unique<Call>(*this, request); });
    ASSERT_TRUE(server.has_value()) << server.error().message();
    server_ = *std::move(server);
    port_ = server_->port();
  }
  void Close() { server_.reset(); }
  void Answer(GrpcStatus status, net::HttpResponse response) {
    std::lock_guard lock(mutex_);
    status_ = std::move(status);
    answer_ = std::move(response);
  }
  // Takes data and does not answer.
  void Stick() {
    std::lock_guard lock(mutex_);
    stuck_ = true;
  }
  std::vector<Taken> taken() {
    std::lock_guard lock(mutex_);
    return taken_;
  }
  bool Gets(const std::string& body) {
    return Eventually([&] {
      for (const Taken& one : taken()) {
        if (one.body == body) return true;
      }
      return false;
    });
  }
  std::string address() const { return Format("127.0.0.1:{}", port_); }

 private:
  class Call final : public net::GrpcStreamHandler {
   public:
    Call(Collector& collector, const net::GrpcRequest& request)
        : collector_(collector), taken_{request.path, request.metadata, ""} {}
    void OnStart(net::GrpcStream& stream) override { stream_ = &stream; }
    void OnMessage(std::string_view message) override { taken_.body = message; }
    void OnHalfClose() override {
      collector_.Take(taken_);
      std::lock_guard lock(collector_.mutex_);
      if (collector_.stuck_) return;
      if (collector_.status_.ok()) stream_->Send("answer");
      stream_->Finish(collector_.status_);
    }
    void OnClosed(const GrpcStatus&, const net::Headers&) override {}

   private:
    Collector& collector_;
    Taken taken_;
    net::GrpcStream* stream_ = nullptr;
  };
  void Take(Taken one) {
    std::lock_guard lock(mutex_);
    taken_.push_back(std::move(one));
  }

  const std::optional<net::ServerTlsOptions> tls_;
  net::EventLoops loops_{1, "collector"};
  uint16_t port_ = 0;
  std::mutex mutex_;
  std::vector<Taken> taken_;
  GrpcStatus status_;
  net::HttpResponse answer_{200, {{"content-type", "application/x-protobuf"}}, "answer"};
  bool stuck_ = false;
  std::vector<net::HttpResponder> held_;
  std::unique_ptr<net::Server> server_;
};

// The answer to one call of Envoy.
struct Reply {
  bool done = false;
  GrpcStatus status;
  std::string answer;
};

class OtelReceiverTest : public testing::Test {
 protected:
  OtelReceiverTest() {
    std::string pattern = "/tmp/kuma-otel-test-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    options_.first_pause = milliseconds(1);
    options_.longest_pause = milliseconds(20);
  }
  ~OtelReceiverTest() override {
    loop().RunAndWait([this] {
      channels_.clear();
      receiver_.reset();
    });
    std::filesystem::remove_all(folder_);
  }
  net::EventLoop& loop() { return loops_.at(0); }
  std::string Socket(const std::string& name) const { return folder_ + "/" + name + ".sock"; }
  bool HasSocket(const std::string& name) const { return std::filesystem::exists(Socket(name)); }

  // One backend of a document, with every signal.
  std::string Backend(const std::string& name, const std::string& endpoint,
                      const std::string& more = "") const {
    return Format(R"({{"name": "{}", "socketPath": "{}", "endpoint": "{}", {}
                      "traces": {{"enabled": true}}, "logs": {{"enabled": true}},
                      "metrics": {{"enabled": true}}}})",
                  name, Socket(name), endpoint, more);
  }
  base::Status Apply(const std::string& backends) {
    base::Status status = base::Ok{};
    loop().RunAndWait([&] {
      if (receiver_ == nullptr)
        receiver_ = std::make_unique<OtelReceiver>(loops_, environment_, options_);
      status = receiver_->Apply("{\"backends\": [" + backends + "]}");
    });
    return status;
  }
  void Set(const std::string& name, const std::string& value) {
    variables_["OTEL_EXPORTER_OTLP_" + name] = value;
    environment_ = ReadOtelEnvironment([this](std::string_view key) -> std::optional<std::string> {
      const auto found = variables_.find(std::string(key));
      return found == variables_.end() ? std::nullopt : std::optional(found->second);
    });
  }
  // As Envoy calls it.
  std::shared_ptr<Reply> Export(const std::string& name, const std::string& body,
                                OtelSignal signal = OtelSignal::kLogs) {
    auto reply = std::make_shared<Reply>();
    loop().RunAndWait([&] {
      auto& channel = channels_[name];
      if (channel == nullptr) {
        net::GrpcChannelOptions options;
        options.target = "unix:" + Socket(name);
        channel = std::make_unique<net::GrpcChannel>(loop(), options);
      }
      net::GrpcCall call;
      call.path = std::string(ExportMethod(signal));
      channel->CallUnary(call, body, [reply](GrpcStatus status, std::string answer) {
        *reply = {true, std::move(status), std::move(answer)};
      });
    });
    return reply;
  }
  Reply Wait(const std::shared_ptr<Reply>& reply) {
    Reply copy;
    EXPECT_TRUE(Eventually([&] {
      loop().RunAndWait([&] { copy = *reply; });
      return copy.done;
    }));
    return copy;
  }
  OtelExporter::Counts Counts() {
    OtelExporter::Counts counts;
    loop().RunAndWait([&] { counts = receiver_->counts(); });
    return counts;
  }

  OtelExporter::Options options_;
  std::map<std::string, std::string> variables_;
  OtelEnvironment environment_;
  std::string folder_;
  net::EventLoops loops_{1, "otel-test"};
  std::unique_ptr<OtelReceiver> receiver_;
  std::map<std::string, std::unique_ptr<net::GrpcChannel>> channels_;
};

TEST_F(OtelReceiverTest, OverGrpc) {
  Collector collector;
  Set("HEADERS", "authorization=Bearer%20secret");
  ASSERT_TRUE(Apply(Backend("main", collector.address())).has_value());
  struct stat facts {};
  ASSERT_EQ(stat(Socket("main").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  for (const OtelSignal signal : kOtelSignals) {
    const std::string body = "\x0a data of " + std::string(NameOf(signal));
    const Reply reply = Wait(Export("main", body, signal));
    EXPECT_EQ(reply.status, GrpcStatus{});
    EXPECT_EQ(reply.answer, "answer");
    EXPECT_EQ(collector.taken().back().path, ExportMethod(signal));
    EXPECT_EQ(collector.taken().back().body, body);
    EXPECT_EQ(collector.taken().back().headers.Get("authorization"), "Bearer secret");
  }
  EXPECT_EQ(Counts().sent, 3u);
}

TEST_F(OtelReceiverTest, OverHttpCompressed) {
  Collector collector;
  Set("COMPRESSION", "gzip");
  Set("LOGS_HEADERS", "x-key=1");
  ASSERT_TRUE(Apply(Backend("main", collector.address(), R"("useHTTP": true, "path": "/base",)"))
                  .has_value());
  const Reply reply = Wait(Export("main", "records"));
  EXPECT_EQ(reply.status, GrpcStatus{});
  EXPECT_EQ(reply.answer, "answer");
  const Collector::Taken taken = collector.taken().back();
  EXPECT_EQ(taken.path, "/base/v1/logs");
  EXPECT_EQ(taken.headers.Get("content-type"), "application/x-protobuf");
  EXPECT_EQ(taken.headers.Get("content-encoding"), "gzip");
  EXPECT_EQ(taken.headers.Get("x-key"), "1");
  EXPECT_EQ(Gunzip(taken.body), "records");
}

TEST_F(OtelReceiverTest, OverTlsWhenTheFileOfTheCaComes) {
  const auto pair = net::MakeSelfSigned({"localhost"});
  net::ServerTlsOptions tls;
  tls.certificate.cert_pem = pair->cert_pem;
  tls.certificate.key_pem = pair->key_pem;
  Collector collector(tls);
  Set("CERTIFICATE", folder_ + "/ca.crt");
  Set("ENDPOINT", Format("https://localhost:{}", collector.address().substr(10)));
  const auto early = Apply(Backend("main", "unused:1"));
  ASSERT_FALSE(early.has_value());
  EXPECT_THAT(early.error().message(), HasSubstr("backend main: "));
  EXPECT_THAT(early.error().message(), HasSubstr("/ca.crt"));
  EXPECT_EQ(Wait(Export("main", "early")).status.code, GrpcCode::kFailedPrecondition);
  std::ofstream(folder_ + "/ca.crt") << pair->cert_pem;
  ASSERT_TRUE(Apply(Backend("main", "unused:1")).has_value());
  EXPECT_EQ(Wait(Export("main", "over gRPC")).status, GrpcStatus{});
  Set("PROTOCOL", "http/protobuf");
  loop().RunAndWait([this] { receiver_.reset(); });
  ASSERT_TRUE(Apply(Backend("main", "unused:1")).has_value());
  EXPECT_TRUE(Eventually([&] { return Wait(Export("main", "over HTTP")).status.ok(); }));
  EXPECT_TRUE(collector.Gets("over HTTP"));
}

TEST_F(OtelReceiverTest, WhatWaitsIsSentWhenTheCollectorComes) {
  for (const char* kind : {"", R"("useHTTP": true,)"}) {
    Collector collector;
    collector.Close();
    ASSERT_TRUE(Apply(Backend("main", collector.address(), kind)).has_value());
    const auto reply = Export("main", "early");
    EXPECT_TRUE(Eventually([&] { return Counts().again >= 2; }));
    collector.Open();
    EXPECT_EQ(Wait(reply).status, GrpcStatus{}) << kind;
    EXPECT_TRUE(collector.Gets("early"));
    // It goes away and comes back.
    collector.Close();
    const auto before = Counts().again;
    const auto again = Export("main", "again");
    EXPECT_TRUE(Eventually([&] { return Counts().again > before; }));
    collector.Open();
    EXPECT_EQ(Wait(again).status, GrpcStatus{}) << kind;
    ASSERT_TRUE(Apply("").has_value());
    loop().RunAndWait([this] { channels_.clear(); });
  }
}

TEST_F(OtelReceiverTest, FaultsThatDoNotPassReachTheCaller) {
  options_.give_up = seconds(0);
  Set("HEADERS", "authorization=Bearer%20the-secret");
  Collector collector;
  ASSERT_TRUE(Apply(Backend("grpc", collector.address()) + "," +
                    Backend("http", collector.address(), R"("useHTTP": true,)"))
                  .has_value());
  collector.Answer({GrpcCode::kUnauthenticated, "the-secret is wrong"},
                   {401, {}, "\x08\x10the-secret is\nwrong"});
  EXPECT_EQ(Wait(Export("grpc", "x")).status,
            (GrpcStatus{GrpcCode::kUnauthenticated, "[redacted] is wrong"}));
  EXPECT_EQ(
      Wait(Export("http", "x")).status,
      (GrpcStatus{GrpcCode::kUnauthenticated, "the collector answers 401: [redacted] is wrong"}));
  // These may pass, but the time is up.
  collector.Answer({GrpcCode::kUnavailable, "busy"}, {503, {}, ""});
  EXPECT_EQ(Wait(Export("grpc", "x")).status, (GrpcStatus{GrpcCode::kUnavailable, "busy"}));
  EXPECT_EQ(Wait(Export("http", "x")).status,
            (GrpcStatus{GrpcCode::kUnavailable, "the collector answers 503"}));
  EXPECT_EQ(Counts().given_up, 4u);
  EXPECT_EQ(collector.taken().size(), 4u);
}

TEST_F(OtelReceiverTest, FaultsThatPassAreTriedAgain) {
  Collector collector;
  ASSERT_TRUE(Apply(Backend("grpc", collector.address()) + "," +
                    Backend("http", collector.address(), R"("useHTTP": true,)"))
                  .has_value());
  collector.Answer({GrpcCode::kUnavailable, "busy"}, {503, {}, ""});
  const auto grpc = Export("grpc", "over gRPC");
  const auto http = Export("http", "over HTTP");
  EXPECT_TRUE(Eventually([&] { return collector.taken().size() >= 6; }));
  collector.Answer({}, {200, {}, "text"});
  EXPECT_EQ(Wait(grpc).status, GrpcStatus{});
  EXPECT_EQ(Wait(http).status, GrpcStatus{});
  EXPECT_EQ(Wait(http).answer, "");  // it was no protobuf
}

TEST_F(OtelReceiverTest, AStuckCollectorHoldsUpNobodyAndIsBounded) {
  options_.max_bytes = 1000;
  Collector stuck;
  stuck.Stick();
  Collector fine;
  ASSERT_TRUE(
      Apply(Backend("stuck", stuck.address()) + "," + Backend("fine", fine.address())).has_value());
  // One that is too large by itself is taken when nothing else waits.
  const auto large = Export("stuck", std::string(2000, 'x'));
  EXPECT_TRUE(stuck.Gets(std::string(2000, 'x')));
  const Reply refused = Wait(Export("stuck", "more"));
  EXPECT_EQ(refused.status.code, GrpcCode::kResourceExhausted);
  EXPECT_EQ(Wait(Export("fine", "through")).status, GrpcStatus{});
  // Each signal has room of its own.
  const auto traces = Export("stuck", "traces", OtelSignal::kTraces);
  EXPECT_TRUE(stuck.Gets("traces"));
  EXPECT_EQ(Counts().refused, 1u);
  EXPECT_FALSE(large->done);
}

TEST_F(OtelReceiverTest, ACollectorThatDoesNotAnswerIsTriedOnANewConnection) {
  for (const char* kind : {"", R"("useHTTP": true,)"}) {
    Set("TIMEOUT", "50");
    Collector stuck;
    stuck.Stick();
    ASSERT_TRUE(Apply(Backend("main", stuck.address(), kind)).has_value());
    const auto reply = Export("main", "again and again");
    EXPECT_TRUE(Eventually([&] { return stuck.taken().size() >= 3; })) << kind;
    EXPECT_FALSE(reply->done);
    ASSERT_TRUE(Apply("").has_value());
    EXPECT_EQ(Wait(reply).status.code, GrpcCode::kUnavailable);
    loop().RunAndWait([this] { channels_.clear(); });
  }
}

TEST_F(OtelReceiverTest, BackendsComeChangeAndGo) {
  Collector first;
  Collector second;
  ASSERT_TRUE(
      Apply(Backend("a", first.address()) + "," + Backend("b", first.address())).has_value());
  EXPECT_EQ(Wait(Export("a", "one")).status, GrpcStatus{});
  // What waits goes to where the backend is now; the socket stays.
  first.Close();
  const auto waiting = Export("a", "two");
  ASSERT_TRUE(Apply(Backend("a", second.address())).has_value());
  EXPECT_EQ(Wait(waiting).status, GrpcStatus{});
  EXPECT_TRUE(second.Gets("two"));
  EXPECT_TRUE(HasSocket("a"));
  EXPECT_FALSE(HasSocket("b"));
  // The same again changes nothing.
  ASSERT_TRUE(Apply(Backend("a", second.address())).has_value());
  EXPECT_EQ(Wait(Export("a", "three")).status, GrpcStatus{});
  loop().RunAndWait([this] { EXPECT_TRUE(receiver_->Apply("").has_value()); });
  EXPECT_FALSE(HasSocket("a"));
  EXPECT_TRUE(
      Eventually([&] { return Wait(Export("a", "four")).status.code == GrpcCode::kUnavailable; }));
}

TEST_F(OtelReceiverTest, WhatIsWrongWithOneBackendDoesNotTouchOthers) {
  Collector collector;
  // A socket that somebody else listens on, a path that cannot be, and one that is fine.
  net::ServerOptions taken;
  taken.address = "unix:" + Socket("taken");
  const auto other = net::Server::Start(loops_, taken, nullptr);
  ASSERT_TRUE(other.has_value());
  const auto status =
      Apply(Backend("taken", collector.address()) + "," + Backend("none/x", collector.address()) +
            "," + Backend("z", collector.address()));
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message(), HasSubstr("/none/x.sock: no such file"));
  EXPECT_EQ(Wait(Export("z", "through")).status, GrpcStatus{});
  // A document that is none leaves everything as it is.
  loop().RunAndWait([this] { EXPECT_FALSE(receiver_->Apply("nonsense").has_value()); });
  EXPECT_EQ(Wait(Export("z", "still")).status, GrpcStatus{});
}

TEST_F(OtelReceiverTest, CallsThatAreNoExports) {
  Collector collector;
  ASSERT_TRUE(Apply(Backend("main", collector.address())).has_value());
  Reply reply;
  loop().RunAndWait([&] {
    net::GrpcChannelOptions options;
    options.target = "unix:" + Socket("main");
    channels_["main"] = std::make_unique<net::GrpcChannel>(loop(), options);
  });
  const auto call = std::make_shared<Reply>();
  loop().RunAndWait([&] {
    net::GrpcCall unknown;
    unknown.path = "/a/b";
    channels_["main"]->CallUnary(unknown, "x", [call](GrpcStatus status, const std::string&) {
      *call = {true, std::move(status), ""};
    });
  });
  EXPECT_EQ(Wait(call).status.code, GrpcCode::kUnimplemented);
}

}  // namespace
}  // namespace kuma::dp

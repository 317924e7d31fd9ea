// What idle gRPC streams cost and what a push costs: a server with its loops in this process, all
// clients in a child, so that memory and CPU time are the server's own.
//
//   net_bench [streams=1000] [loops=2] [plain]

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "net/client.h"
#include "net/server.h"

namespace {

using namespace kuma;  // NOLINT: one small program

double CpuMs() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1000.0 + static_cast<double>(t.tv_usec) / 1000.0;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

double WallMs() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double RssKb() {
  std::ifstream file("/proc/self/statm");
  double size = 0;
  double resident = 0;
  file >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1024.0;
}

struct Streams {
  std::mutex mutex;
  std::set<net::GrpcStream*> all;
  std::atomic<int> acks = 0;
};

class ServerSide final : public net::GrpcStreamHandler {
 public:
  explicit ServerSide(Streams& streams) : streams_(streams) {}
  void OnStart(net::GrpcStream& stream) override {
    stream_ = &stream;
    const std::lock_guard lock(streams_.mutex);
    streams_.all.insert(&stream);
  }
  void OnMessage(std::string_view) override { ++streams_.acks; }
  void OnClosed(const net::GrpcStatus&, const net::Headers&) override {
    const std::lock_guard lock(streams_.mutex);
    streams_.all.erase(stream_);
  }

 private:
  Streams& streams_;
  net::GrpcStream* stream_ = nullptr;
};

class ClientSide final : public net::GrpcStreamHandler {
 public:
  explicit ClientSide(std::atomic<int>& open) : open_(open) {}
  void OnStart(net::GrpcStream& stream) override {
    stream_ = &stream;
    ++open_;
  }
  void OnMessage(std::string_view) override { stream_->Send("\x12\x01x\x32\x01n"); }
  void OnClosed(const net::GrpcStatus&, const net::Headers&) override {}

 private:
  std::atomic<int>& open_;
  net::GrpcStream* stream_ = nullptr;
};

void AllowDescriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

template <class Condition>
void WaitFor(const Condition& condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::microseconds(200));
}

// Reads "url certificate", opens the streams, and lives until its input ends.
void RunClients(int input, int count) {
  std::string text;
  char bytes[4096];
  ssize_t size;
  while (text.find('\0') == std::string::npos && (size = read(input, bytes, sizeof bytes)) > 0) {
    text.append(bytes, static_cast<size_t>(size));
  }
  const size_t space = text.find(' ');
  net::GrpcChannelOptions options;
  options.target = text.substr(0, space);
  options.tls.ca_pem = text.substr(space + 1, text.size() - space - 2);
  net::EventLoop loop("clients");
  std::vector<std::unique_ptr<net::GrpcChannel>> channels;
  std::atomic<int> open = 0;
  for (int i = 0; i < count; ++i) {
    channels.push_back(std::make_unique<net::GrpcChannel>(loop, options));
    channels.back()->Open({"/bench/Stream", {}, {}}, std::make_unique<ClientSide>(open));
    WaitFor([&] { return i - open.load() < 100; });
  }
  while (read(input, bytes, sizeof bytes) > 0) {
  }
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 1000;
  const size_t loop_count = argc > 2 ? static_cast<size_t>(std::atoi(argv[2])) : 2;
  const bool plain = argc > 3 && std::strcmp(argv[3], "plain") == 0;
  AllowDescriptors();
  int pipe_ends[2];
  CHECK(pipe2(pipe_ends, O_CLOEXEC) == 0, "no descriptors");
  const pid_t child = fork();
  if (child == 0) {
    close(pipe_ends[1]);
    RunClients(pipe_ends[0], count);
  }
  close(pipe_ends[0]);

  Streams streams;
  net::EventLoops loops(loop_count);
  net::ServerOptions options;
  std::string certificate;
  if (!plain) {
    auto made = net::MakeSelfSigned({"localhost", "127.0.0.1"});
    certificate = made->cert_pem;
    options.tls.emplace();
    options.tls->certificate.cert_pem = made->cert_pem;
    options.tls->certificate.key_pem = made->key_pem;
  }
  auto server =
      net::Server::Start(loops, options, nullptr, [&](const net::GrpcRequest&) -> net::GrpcAnswer {
        return std::make_unique<ServerSide>(streams);
      });
  CHECK(server.has_value(), "the server starts");
  const double rss_before = RssKb();
  double cpu = CpuMs();
  double wall = WallMs();
  const std::string hello = (*server)->url() + " " + certificate + std::string(1, '\0');
  CHECK(write(pipe_ends[1], hello.data(), hello.size()) == static_cast<ssize_t>(hello.size()),
        "the child reads");
  const auto open = [&] {
    const std::lock_guard lock(streams.mutex);
    return static_cast<int>(streams.all.size());
  };
  WaitFor([&] { return open() == count; });
  std::printf("%d streams, %zu loops, %s\n", count, loop_count, plain ? "plain text" : "TLS");
  std::printf("connect: %.3f ms CPU each, %.0f ms wall\n", (CpuMs() - cpu) / count,
              WallMs() - wall);
  std::printf("idle: %.1f KB RSS each (before: %.1f MB)", (RssKb() - rss_before) / count,
              rss_before / 1024.0);
  malloc_trim(0);
  std::printf(", %.1f KB after malloc_trim\n", (RssKb() - rss_before) / count);

  for (const size_t kilobytes : {size_t{30}, size_t{30}, size_t{200}}) {
    std::vector<net::Slice> slices;
    for (size_t i = 0; i < 6; ++i) {
      slices.push_back(
          std::make_shared<const std::string>(kilobytes * 1024 / 6, static_cast<char>('a' + i)));
    }
    streams.acks = 0;
    cpu = CpuMs();
    wall = WallMs();
    {
      const std::lock_guard lock(streams.mutex);
      for (net::GrpcStream* stream : streams.all) {
        stream->loop().Post([stream, slices] { stream->Send(std::string(40, 'h'), slices); });
      }
    }
    WaitFor([&] { return streams.acks.load() == count; });
    std::printf(
        "push of %zu KB to each: %.1f ms CPU, %.1f ms wall to the last ACK; RSS %.1f KB each\n",
        kilobytes, CpuMs() - cpu, WallMs() - wall, (RssKb() - rss_before) / count);
  }
  cpu = CpuMs();
  std::this_thread::sleep_for(std::chrono::seconds(10));
  std::printf("idle for 10 s: %.1f ms CPU\n", CpuMs() - cpu);
  close(pipe_ends[1]);
  waitpid(child, nullptr, 0);
  return 0;
}

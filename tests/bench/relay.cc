#include "tests/bench/relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <vector>

#include "base/check.h"
#include "base/format.h"

namespace kuma::bench {
namespace {

// Small, so that what is not read stays at the server.
constexpr int kBuffer = 4096;
constexpr int kTicksPerSecond = 20;

struct Line {
  int client = -1;
  int server = -1;
};

sockaddr_in Local(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

}  // namespace

SlowRelay::SlowRelay(uint16_t port, size_t bytes_per_second)
    : server_port_(port), bytes_per_second_(bytes_per_second) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address = Local(0);
  socklen_t size = sizeof address;
  CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
            listen(listener_, 1024) == 0 &&
            getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0,
        "a port for the relay");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Run(); });
}

SlowRelay::~SlowRelay() {
  stop_ = true;
  thread_.join();
  close(listener_);
}

std::string SlowRelay::url() const { return base::Format("https://127.0.0.1:{}", port_); }

void SlowRelay::Run() {
  std::vector<Line> lines;
  std::array<char, 16 << 10> buffer;
  const size_t share = std::max<size_t>(1, bytes_per_second_ / kTicksPerSecond);
  auto tick = std::chrono::steady_clock::now();
  while (!stop_) {
    std::vector<pollfd> watched{{listener_, POLLIN, 0}};
    for (const Line& line : lines) watched.push_back({line.client, POLLIN, 0});
    poll(watched.data(), watched.size(), 1000 / kTicksPerSecond);
    for (int client; (client = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
      const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      setsockopt(server, SOL_SOCKET, SO_RCVBUF, &kBuffer, sizeof kBuffer);
      const sockaddr_in address = Local(server_port_);
      if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        lines.push_back({client, server});
      } else {
        close(client);
        close(server);
      }
    }
    const bool is_tick = std::chrono::steady_clock::now() >= tick;
    if (is_tick) tick += std::chrono::milliseconds(1000 / kTicksPerSecond);
    std::erase_if(lines, [&](Line& line) {
      ssize_t size = recv(line.client, buffer.data(), buffer.size(), MSG_DONTWAIT);
      bool over = size == 0;
      if (size > 0)
        over = send(line.server, buffer.data(), static_cast<size_t>(size), MSG_NOSIGNAL) != size;
      if (!over && is_tick) {
        size = recv(line.server, buffer.data(), std::min(share, buffer.size()), MSG_DONTWAIT);
        over = size == 0;
        if (size > 0)
          over = send(line.client, buffer.data(), static_cast<size_t>(size), MSG_NOSIGNAL) != size;
      }
      if (!over) return false;
      close(line.client);
      close(line.server);
      return true;
    });
  }
  for (const Line& line : lines) {
    close(line.client);
    close(line.server);
  }
}

}  // namespace kuma::bench

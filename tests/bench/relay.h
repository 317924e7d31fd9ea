#pragma once

// A slow line: what the server sends reaches the clients at so many bytes a second each, what they
// send passes at once.

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace kuma::bench {

class SlowRelay {
 public:
  // `port`: of the server on this machine.
  SlowRelay(uint16_t port, size_t bytes_per_second);
  ~SlowRelay();
  SlowRelay(const SlowRelay&) = delete;
  SlowRelay& operator=(const SlowRelay&) = delete;

  std::string url() const;  // "https://127.0.0.1:PORT"

 private:
  void Run();

  const uint16_t server_port_;
  const size_t bytes_per_second_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace kuma::bench

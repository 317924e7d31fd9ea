#pragma once

// Messages one way over TCP: to a collector of logs, for example. What comes back is ignored.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/event_loop.h"

namespace kuma::net {

// Connects when there is something to send. While there is no connection, messages wait in a bounded
// queue, and attempts follow with growing pauses; what waits when a connection breaks is sent again
// from the beginning of a message, what the system had taken may be lost.
// Confined to its loop, destruction included.
class TcpSender {
 public:
  struct Options {
    std::string host;  // name or address
    uint16_t port = 0;
    size_t max_queued_bytes = 128 << 10;
    runtime::Duration connect_timeout = std::chrono::seconds(5);
    runtime::Duration first_pause = std::chrono::seconds(1);  // doubled up to the longest
    runtime::Duration longest_pause = std::chrono::seconds(30);
  };
  // Called when a connection stands (Ok), and with the reason when one breaks or the first attempt of
  // a row fails. Not from within Send.
  using OnChange = std::function<void(const base::Status&)>;

  TcpSender(EventLoop& loop, Options options, OnChange on_change);
  ~TcpSender();
  TcpSender(const TcpSender&) = delete;
  TcpSender& operator=(const TcpSender&) = delete;

  // False: the queue has no room for it, it is dropped.
  bool Send(std::string_view message);
  // Messages that wait.
  size_t queued() const;

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace kuma::net

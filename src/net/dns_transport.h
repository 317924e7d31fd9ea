#pragma once

// How DNS messages travel (RFC 1035 4.2, RFC 7766): a server for UDP and TCP, and questions to
// another server. What is in the messages is not known here.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/event_loop.h"

namespace kuma::net {

enum class DnsTransport : uint8_t { kUdp, kTcp };

// Gets one query; answers at most once, later or at once, on the loop. Without an answer the client
// waits in vain, on TCP until its connection is idle for too long.
using DnsAnswer = std::function<void(std::string message)>;
using DnsHandler = std::function<void(std::string_view query, DnsTransport transport, DnsAnswer)>;

// Listens on UDP and TCP at one address. Confined to the loop, destruction included; answers after it
// are dropped.
class DnsServer {
 public:
  struct Options {
    std::string host = "127.0.0.1";  // an IP address
    uint16_t port = 0;               // 0: a free one for both
    size_t max_connections = 64;
    runtime::Duration idle_time = std::chrono::seconds(10);
  };
  // kUnavailable names address and reason.
  static base::Result<std::unique_ptr<DnsServer>> Start(EventLoop& loop, Options options,
                                                        DnsHandler handler);
  ~DnsServer();
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;
  uint16_t port() const;

 private:
  class State;
  explicit DnsServer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// Asks one other server. Each question has a socket of its own, so that nobody can guess where its
// answer is awaited. Confined to the loop, destruction included; no answer comes after it.
class DnsClient {
 public:
  struct Options {
    std::string host;  // an IP address
    uint16_t port = 53;
    size_t max_questions = 256;  // at once
    runtime::Duration timeout = std::chrono::seconds(4);
  };
  using Done = std::function<void(base::Result<std::string>)>;

  DnsClient(EventLoop& loop, Options options);
  ~DnsClient();
  DnsClient(const DnsClient&) = delete;
  DnsClient& operator=(const DnsClient&) = delete;

  // The answer has the id of the query. kUnavailable: no answer, or too many questions. Never calls
  // `done` from within.
  void Ask(std::string_view query, DnsTransport transport, Done done);

 private:
  class Question;
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace kuma::net

#pragma once

// MeshAccessLog's TCP backends: Envoy writes to a named pipe, one line for each message,
//
//   {"address": "collector.example:5000", "message": "text\n" or {...}}
//
// and the message goes to the address over TCP: a text as it is, an object as one line of JSON.

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/result.h"
#include "net/event_loop.h"
#include "net/tcp_sender.h"

namespace kuma::dp {

// What a line says; kInvalid when it is none.
struct AccessLogLine {
  std::string host;
  uint16_t port = 0;
  std::string message;
};
base::Result<AccessLogLine> ParseAccessLogLine(std::string_view line);

// Reads the pipe as fast as Envoy writes, whatever becomes of the messages: nobody waits for a
// collector. What cannot be sent is dropped and counted; the log says so once a minute.
// Bounded: 16 destinations with 128 KiB each, lines of 64 KiB. Confined to the loop, destruction
// included.
class AccessLogForwarder final : public net::FdWatcher {
 public:
  struct Counts {
    uint64_t taken = 0;       // given to a sender
    uint64_t not_sent = 0;    // no room in the queue of a destination
    uint64_t unreadable = 0;  // no message, or too long
    uint64_t no_sender = 0;   // too many destinations
  };
  struct Options {
    size_t max_destinations = 16;
    size_t max_line = 64 << 10;
    runtime::Duration report_every = std::chrono::minutes(1);
    net::TcpSender::Options sender;  // host and port are those of a line
  };

  // Makes the pipe in place of what is there. Before Envoy starts: a writer without a reader waits.
  static base::Result<std::unique_ptr<AccessLogForwarder>> Open(net::EventLoop& loop,
                                                                const std::string& path,
                                                                Options options);
  static base::Result<std::unique_ptr<AccessLogForwarder>> Open(net::EventLoop& loop,
                                                                const std::string& path) {
    return Open(loop, path, Options());
  }
  ~AccessLogForwarder();
  AccessLogForwarder(const AccessLogForwarder&) = delete;
  AccessLogForwarder& operator=(const AccessLogForwarder&) = delete;

  // Takes what is in the pipe now; for when Envoy has ended.
  void ReadAll();
  const Counts& counts() const { return counts_; }

 private:
  AccessLogForwarder(net::EventLoop& loop, std::string path, int fd, Options options);

  struct Destination {
    std::unique_ptr<net::TcpSender> sender;
    std::list<std::string>::iterator place;  // in recent_
    uint64_t dropped = 0;                    // since the last report
  };

  void OnReady(uint32_t events) override;
  bool ReadSome();  // false: nothing is there
  void TakeLine(std::string_view line);
  Destination* DestinationOf(const AccessLogLine& line);
  void Report();
  void ReportLater();

  net::EventLoop& loop_;
  const std::string path_;
  const Options options_;
  base::Logger log_{"access-log"};
  int fd_;
  std::string partial_;
  bool skipping_ = false;                            // the rest of a line that is too long
  std::map<std::string, Destination> destinations_;  // by host:port
  std::list<std::string> recent_;                    // the one that was used last is first
  Counts counts_;
  Counts reported_;
  bool report_due_ = false;
  runtime::Timer report_;
};

}  // namespace kuma::dp

#pragma once

// Every bound of a connection, in one place. A peer that exceeds one is answered where the protocol
// has an answer (413, 431, 408, RESOURCE_EXHAUSTED, ENHANCE_YOUR_CALM) and closed where it has
// none.

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "runtime/clock.h"

namespace kuma::net {

// A token bucket: `burst` at once, then `per_second`.
struct Rate {
  uint32_t burst = 0;
  uint32_t per_second = 0;
};

// Immutable once a server or client has it.
struct Limits {
  // Messages.
  size_t header_bytes = 32 << 10;    // of one request or response: names, values, 32 for each (431)
  size_t header_count = 100;         // (431)
  size_t body_bytes = 32 << 20;      // HTTP request or response body (413)
  size_t message_bytes = 32 << 20;   // one received gRPC message (RESOURCE_EXHAUSTED)
  size_t buffered_bytes = 64 << 20;  // received and not yet handed on, all streams of a connection
  size_t queued_bytes = 64 << 20;    // of one gRPC stream, to be sent (RESOURCE_EXHAUSTED)
  // Of all connections of a server: bodies and messages that are incomplete, and answers that are
  // not read yet. A request beyond it is answered with 503, a call with RESOURCE_EXHAUSTED.
  size_t server_bytes = 256 << 20;
  size_t queue_low_bytes = 64 << 10;  // OnQueueLow is called when the queue falls to this

  // HTTP/2.
  uint32_t concurrent_streams = 100;        // per connection
  uint32_t stream_window_bytes = 64 << 10;  // what a peer may send ahead on one stream
  uint32_t connection_window_bytes = 1 << 20;
  uint32_t header_table_bytes = 4096;  // HPACK, both directions
  // Frames that a peer may send. WINDOW_UPDATE and PING also earn two tokens with every frame of
  // DATA sent, because honest peers send them in step with it. More than a rate: GOAWAY,
  // ENHANCE_YOUR_CALM.
  Rate resets{200, 50};  // RST_STREAM, and frames that make this side reset a stream
  Rate pings{100, 10};
  Rate settings{50, 5};
  Rate priorities{200, 20};
  Rate window_updates{2000, 200};
  Rate empty_data{100, 10};
  Rate continuations{50, 5};
  Rate other_frames{100, 10};  // GOAWAY and the like; nghttp2 skips what it does not know

  // TLS.
  uint32_t key_updates = 100;  // per connection; renegotiation is off

  // Connections of one server.
  size_t connections = 65536;
  size_t spare_descriptors = 32;             // of the process, for files: not for connections
  size_t connections_per_address = 16384;    // one NAT or one machine may hold thousands of proxies
  int socket_send_buffer_bytes = 256 << 10;  // bounds what the kernel holds for a slow reader

  // Times.
  runtime::Duration handshake_time =
      std::chrono::seconds(10);  // TLS, and the first byte in plain text
  runtime::Duration header_time =
      std::chrono::seconds(10);  // HTTP/1.1: first byte to end of headers (408)
  runtime::Duration request_time =
      std::chrono::seconds(120);  // first byte to end of an HTTP body (408)
  runtime::Duration idle_time = std::chrono::seconds(120);  // no request in progress
  runtime::Duration stall_time = std::chrono::seconds(30);  // something to send, and no progress
  runtime::Duration keepalive_time = std::chrono::seconds(60);  // nothing received: PING (HTTP/2)
  runtime::Duration keepalive_timeout = std::chrono::seconds(20);  // PING not answered: closed
  runtime::Duration linger_time =
      std::chrono::seconds(2);  // after the last answer, input is dropped

  // What a client of a control plane uses: larger windows, because it receives the large messages.
  static Limits ForClient() {
    Limits limits;
    limits.stream_window_bytes = 1 << 20;
    limits.connection_window_bytes = 4 << 20;
    return limits;
  }
};

}  // namespace kuma::net

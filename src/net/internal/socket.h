#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/event_loop.h"
#include "net/http.h"

namespace kuma::net::internal {

// "connection refused": the system's text, as it reads within a sentence.
std::string ErrnoText(int error);

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  Address ToAddress() const;
};

// IPv4 or IPv6 without brackets, or "unix:/path". kInvalid for anything else.
base::Result<SocketAddress> ParseAddress(const std::string& host, uint16_t port);

struct Listening {
  int fd = -1;
  Address address;  // with the real port
};
// A listening, non-blocking socket. "" is any address of both families.
base::Result<Listening> ListenOn(const std::string& host, uint16_t port);

// Starts to connect; the descriptor is non-blocking and closed by the caller.
base::Result<int> StartConnect(const SocketAddress& address);
// The outcome, once the descriptor is writable: 0 or an errno.
int ConnectOutcome(int fd);

Address RemoteAddress(int fd);
Address LocalAddress(int fd);
void SetSocketOptions(int fd, int send_buffer_bytes);

// Looks a name up with the system's resolver, in a thread of its own because that blocks; the
// answer is posted. A literal address is answered by a posted task too, without a thread.
void Resolve(const std::string& host, uint16_t port, Poster poster,
             std::function<void(base::Result<std::vector<SocketAddress>>)> done);

}  // namespace kuma::net::internal

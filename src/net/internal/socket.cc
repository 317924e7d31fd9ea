#include "net/internal/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::net::internal {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

void SetOption(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof value);
}

// A socket file that nobody listens on is left over from a process that died.
void RemoveStaleSocket(const SocketAddress& address, const char* path) {
  struct stat facts {};
  if (lstat(path, &facts) != 0 || !S_ISSOCK(facts.st_mode)) return;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  if (connect(fd, address.get(), address.size) != 0 && errno == ECONNREFUSED) unlink(path);
  close(fd);
}

base::Error ListenError(const std::string& host, uint16_t port, int error) {
  const std::string where = Address{host, port}.ToString();
  return base::Unavailable(base::Format("listen on {}: {}", where, ErrnoText(error)));
}

base::Result<Listening> ListenOnAddress(const std::string& host, SocketAddress address,
                                        uint16_t port) {
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return ListenError(host, port, errno);
  if (address.family() == AF_UNIX) {
    RemoveStaleSocket(address, host.c_str() + kUnixPrefix.size());
  } else {
    SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address.family() == AF_INET6)
      SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, host.empty() || host == "::" ? 0 : 1);
  }
  if (bind(fd, address.get(), address.size) != 0 || listen(fd, 4096) != 0) {
    const int error = errno;
    close(fd);
    return ListenError(host, port, error);
  }
  return Listening{fd, LocalAddress(fd)};
}

base::Result<std::vector<SocketAddress>> LookUp(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error == EAI_NONAME || error == EAI_ADDRFAMILY) {
    hints.ai_flags = 0;  // a machine with nothing but a loopback device has no configured family
    error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  }
  if (error != 0) {
    std::string text = error == EAI_SYSTEM ? ErrnoText(errno) : gai_strerror(error);
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return base::Unavailable(base::Format("resolve {}: {}", host, text));
  }
  std::vector<SocketAddress> addresses;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    SocketAddress& address = addresses.emplace_back();
    address.size = one->ai_addrlen;
    std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
  }
  freeaddrinfo(list);
  if (addresses.empty()) return base::Unavailable(base::Format("resolve {}: no address", host));
  return addresses;
}

}  // namespace

std::string ErrnoText(int error) {
  std::string text = std::strerror(error);
  text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

Address SocketAddress::ToAddress() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    return {text.data(), ntohs(v4->sin_port)};
  }
  if (family() == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    // An IPv4 peer of a socket for both families is shown as what it is.
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
      inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, text.data(), text.size());
    } else {
      inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    }
    return {text.data(), ntohs(v6->sin6_port)};
  }
  if (family() == AF_UNIX) {
    const auto* local = reinterpret_cast<const sockaddr_un*>(&storage);
    const size_t offset = offsetof(sockaddr_un, sun_path);
    if (size <= offset) return {std::string(kUnixPrefix), 0};
    const size_t length = strnlen(local->sun_path, size - offset);
    return {std::string(kUnixPrefix) + std::string(local->sun_path, length), 0};
  }
  return {};
}

base::Result<SocketAddress> ParseAddress(const std::string& host, uint16_t port) {
  SocketAddress address;
  if (host.starts_with(kUnixPrefix)) {
    const std::string path = host.substr(kUnixPrefix.size());
    auto* local = reinterpret_cast<sockaddr_un*>(&address.storage);
    if (path.empty() || path.size() >= sizeof local->sun_path) {
      return base::Invalid(
          base::Format("the path of the Unix socket \"{}\" must have 1 to {} bytes", path,
                       sizeof local->sun_path - 1));
    }
    local->sun_family = AF_UNIX;
    std::memcpy(local->sun_path, path.c_str(), path.size() + 1);
    address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return address;
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof *v4;
    return address;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.size = sizeof *v6;
    return address;
  }
  return base::Invalid(base::Format("\"{}\" is not an IP address", host));
}

base::Result<Listening> ListenOn(const std::string& host, uint16_t port) {
  TRY_ASSIGN(const SocketAddress address, ParseAddress(host.empty() ? "::" : host, port));
  auto listening = ListenOnAddress(host.empty() ? "::" : host, address, port);
  if (listening.has_value() || !host.empty()) return listening;
  // A machine without IPv6.
  TRY_ASSIGN(const SocketAddress v4, ParseAddress("0.0.0.0", port));
  return ListenOnAddress("0.0.0.0", v4, port);
}

base::Result<int> StartConnect(const SocketAddress& address) {
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return base::Unavailable(ErrnoText(errno));
  if (connect(fd, address.get(), address.size) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    close(fd);
    return base::Unavailable(ErrnoText(error));
  }
  return fd;
}

int ConnectOutcome(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

Address RemoteAddress(int fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) return {};
  return address.ToAddress();
}

Address LocalAddress(int fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) return {};
  return address.ToAddress();
}

void SetSocketOptions(int fd, int send_buffer_bytes) {
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  // TCP_NOTSENT_LOWAT alone does not bound what one send() takes.
  if (send_buffer_bytes > 0) SetOption(fd, SOL_SOCKET, SO_SNDBUF, send_buffer_bytes);
}

void Resolve(const std::string& host, uint16_t port, Poster poster,
             std::function<void(base::Result<std::vector<SocketAddress>>)> done) {
  if (auto literal = ParseAddress(host, port); literal.has_value()) {
    poster([done = std::move(done), address = *literal] { done(std::vector{address}); });
    return;
  }
  // Detached: a lookup may hang for minutes, and nobody should wait for it at the end.
  std::thread([host, port, poster = std::move(poster), done = std::move(done)]() mutable {
    auto result = LookUp(host, port);
    poster([done = std::move(done), result = std::move(result)] { done(result); });
  }).detach();
}

}  // namespace kuma::net::internal

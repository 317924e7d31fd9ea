#include "dp/dynamic_config.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "base/format.h"

namespace kuma::dp {
namespace {

constexpr auto kRequestTime = std::chrono::seconds(5);

net::ClientOptions OptionsFor(const std::string& socket) {
  net::ClientOptions options;
  options.unix_socket = socket;
  options.http2 = false;
  options.connect_timeout = kRequestTime;
  options.request_timeout = kRequestTime;
  return options;
}

// Whether nobody listens: the socket of a listener that Envoy has no more stays in its folder.
bool IsAbandoned(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) return false;
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const bool refused =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno == ECONNREFUSED;
  close(fd);
  return refused;
}

}  // namespace

DynamicConfig::DynamicConfig(net::EventLoop& loop, std::string socket, runtime::Duration interval)
    : loop_(loop),
      socket_(std::move(socket)),
      interval_(interval),
      client_(loop, OptionsFor(socket_)) {}

void DynamicConfig::Add(std::string path, Handler handler) {
  documents_.push_back({std::move(path), std::move(handler), {}, {}, false, false});
}

void DynamicConfig::Start() { Step(); }

void DynamicConfig::Step() {
  timer_ = loop_.PostAfter(interval_, [this] { Step(); });
  if (access(socket_.c_str(), F_OK) != 0) return;  // Envoy has nothing for us (yet)
  for (Document& document : documents_) {
    if (!document.asked) Ask(document);
  }
}

void DynamicConfig::Ask(Document& document) {
  auto request = net::MakeRequest("GET", "http://localhost" + document.path);
  if (!request.has_value()) return;
  if (!document.etag.empty()) request->headers.Set("if-none-match", document.etag);
  document.asked = true;
  client_.Send(*std::move(request), [this, &document](base::Result<net::HttpResponse> answer) {
    document.asked = false;
    const base::Status taken = Take(document, answer);
    const std::string fault = taken.has_value() ? "" : taken.error().message();
    if (!fault.empty() && fault != document.last_fault)
      log_.Warn("a document of the control plane was not taken",
                {{"path", document.path}, {"reason", fault}});
    document.last_fault = fault;
  });
}

base::Status DynamicConfig::Take(Document& document,
                                 const base::Result<net::HttpResponse>& answer) {
  if (answer.has_value() && answer->status == 304) return base::Ok{};
  document.etag.clear();
  const bool gone = answer.has_value() ? answer->status == 404 : IsAbandoned(socket_);
  if (gone && document.taken) {
    TRY(document.handler(""));
    document.taken = false;
  }
  if (gone || !answer.has_value()) return base::Ok{};
  if (answer->status != 200)
    return base::Unavailable(base::Format("Envoy answers {}", answer->status));
  TRY(document.handler(answer->body));
  document.taken = true;
  document.etag = std::string(answer->headers.Get("etag"));
  return base::Ok{};
}

}  // namespace kuma::dp

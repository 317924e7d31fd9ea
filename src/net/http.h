#pragma once

// HTTP as plain values, the same for HTTP/1.1 and HTTP/2, server and client.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace kuma::net {

// Header fields (or gRPC metadata) in order; a name may occur several times. Names are compared
// without regard to case and stored in lower case.
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;

  Headers() = default;
  Headers(std::initializer_list<Field> fields);

  void Add(std::string_view name, std::string value);
  // Replaces every value of the name.
  void Set(std::string_view name, std::string value);
  void Remove(std::string_view name);
  // The first value, or nullptr. Valid until the headers change.
  const std::string* Find(std::string_view name) const;
  // The first value, or an empty text.
  std::string_view Get(std::string_view name) const;
  std::vector<std::string_view> GetAll(std::string_view name) const;
  bool Has(std::string_view name) const { return Find(name) != nullptr; }

  size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  bool operator==(const Headers&) const = default;

 private:
  std::vector<Field> fields_;
};

// An IP address without brackets and a port; for a Unix socket "unix:PATH" and 0.
struct Address {
  std::string host;
  uint16_t port = 0;
  // "10.0.0.1:5678", "[::1]:5678", "unix:/run/x.sock"
  std::string ToString() const;
  bool operator==(const Address&) const = default;
};

// A client certificate that was verified against the server's client CA. Immutable.
struct PeerCertificate {
  std::string subject;  // RFC 2253: "CN=admin,O=x"
  std::string common_name;
  std::vector<std::string> dns_names;  // subject alternative names
  std::vector<std::string> uris;
};

enum class HttpVersion : uint8_t { kHttp10, kHttp11, kHttp2 };

// What is known about the connection of a request or call.
struct Peer {
  Address remote;
  Address local;
  bool tls = false;
  std::shared_ptr<const PeerCertificate> certificate;  // null: none was shown
};

struct HttpRequest {
  std::string method = "GET";
  std::string scheme = "http";  // "http" or "https"
  std::string authority;        // "host:port"
  std::string target = "/";     // as sent: path and query, still encoded
  Headers headers;
  std::string body;
  // Set by the server from `target`. A client sends `target` and ignores these.
  std::string path;                                        // percent-decoded, without query
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  // Set by the server.
  HttpVersion version = HttpVersion::kHttp11;
  Peer peer;

  // The first value of a query parameter, or nullptr.
  const std::string* FindQuery(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  Headers headers;  // content-length, connection and transfer-encoding are set by the transport
  std::string body;
};

// Answers one request. Copyable; the copies stand for the same answer. Thread-safe: answer from
// anywhere, and after the server is gone. When the last copy is destroyed without an answer, the
// client gets a 500.
class HttpResponder {
 public:
  using Answer = std::function<void(HttpResponse)>;

  // `answer` is called at most once, on the thread that calls Send. `gone` (may be null) becomes
  // true when nobody waits any more. Tests pass a lambda.
  explicit HttpResponder(Answer answer, std::shared_ptr<const std::atomic<bool>> gone = nullptr);

  // The first call answers; later ones are ignored.
  void Send(HttpResponse response) const;
  // True: the client went away. Long computations and waits may stop.
  bool peer_gone() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Called on the event loop with the whole request; must not block: hand over to a pool. The
// responder may be used at once or later.
using HttpHandler = std::function<void(HttpRequest, HttpResponder)>;

// A request for a client: "http://host:port/path?query", "https://...". kInvalid if it is not such
// a URL.
base::Result<HttpRequest> MakeRequest(std::string method, std::string_view url);

struct Url {
  std::string scheme;  // lower case
  std::string host;    // without brackets
  uint16_t port = 0;   // 0: not given, and the scheme has no default
  std::string target;  // at least "/"
};
// Any scheme. User and password are refused.
base::Result<Url> ParseUrl(std::string_view url);

// Splits and decodes `target` into path and query; false if it is not valid.
bool ParseTarget(std::string_view target, HttpRequest& request);
// "%41" -> "A"; `plus` also turns '+' into a space. Nothing if an escape is broken or gives a NUL.
std::optional<std::string> PercentDecode(std::string_view text, bool plus = false);
// Escapes everything but unreserved characters (RFC 3986).
std::string PercentEncode(std::string_view text);
// "Not Found"; "Unknown" for others.
std::string_view ReasonPhrase(int status);

}  // namespace kuma::net

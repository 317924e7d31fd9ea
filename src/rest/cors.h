#pragma once

// Cross-origin requests of browsers (apiServer.corsAllowedDomains).

#include <optional>
#include <string>
#include <vector>

#include "net/http.h"

namespace kuma::rest {

// Immutable. Domains are origins as browsers send them ("https://gui.example"); ".*" and "*" stand
// for all. None: nothing is allowed and no header is set.
class Cors {
 public:
  explicit Cors(std::vector<std::string> domains) : domains_(std::move(domains)) {}

  // The answer to a preflight, before authentication (browsers send no credentials with it);
  // nothing if the request is none, or its origin is not allowed.
  std::optional<net::HttpResponse> Preflight(const net::HttpRequest& request) const;
  // Lets the page that asked read the answer.
  void AddHeaders(const net::HttpRequest& request, net::HttpResponse& response) const;

 private:
  const std::string* AllowedOrigin(const net::HttpRequest& request) const;

  const std::vector<std::string> domains_;
};

}  // namespace kuma::rest

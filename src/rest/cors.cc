#include "rest/cors.h"

#include <algorithm>

#include "base/strings.h"

namespace kuma::rest {

const std::string* Cors::AllowedOrigin(const net::HttpRequest& request) const {
  const std::string* origin = request.headers.Find("origin");
  if (origin == nullptr || origin->empty()) return nullptr;
  const bool allowed =
      std::any_of(domains_.begin(), domains_.end(), [origin](const std::string& domain) {
        return domain == "*" || domain == ".*" || base::EqualsIgnoreCase(domain, *origin);
      });
  return allowed ? origin : nullptr;
}

std::optional<net::HttpResponse> Cors::Preflight(const net::HttpRequest& request) const {
  if (request.method != "OPTIONS" || !request.headers.Has("access-control-request-method") ||
      AllowedOrigin(request) == nullptr) {
    return std::nullopt;
  }
  net::HttpResponse response;
  response.headers.Set("access-control-allow-methods", "GET, PUT, POST, DELETE");
  if (const std::string* asked = request.headers.Find("access-control-request-headers")) {
    response.headers.Set("access-control-allow-headers", *asked);
  }
  return response;
}

void Cors::AddHeaders(const net::HttpRequest& request, net::HttpResponse& response) const {
  if (domains_.empty()) return;
  response.headers.Add("vary", "Origin");
  if (const std::string* origin = AllowedOrigin(request)) {
    response.headers.Set("access-control-allow-origin", *origin);
    response.headers.Set("access-control-expose-headers", "Access-Control-Allow-Origin");
  }
}

}  // namespace kuma::rest

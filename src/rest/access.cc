#include "rest/access.h"

#include <algorithm>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::rest {
namespace {

bool IsLoopback(std::string_view host) {
  return host.starts_with("127.") || host == "::1" || host.starts_with("::ffff:127.");
}

// "localhost:5681", "[::1]:5681", "127.0.0.1", "localhost."
std::string_view HostOf(std::string_view authority) {
  if (authority.starts_with("[")) {
    const size_t end = authority.find(']');
    return end == std::string_view::npos ? std::string_view() : authority.substr(1, end - 1);
  }
  std::string_view host = authority.substr(0, authority.find(':'));
  if (host.ends_with(".")) host.remove_suffix(1);
  return host;
}

}  // namespace

bool Allowed::Includes(const Principal& principal) const {
  if (std::find(users.begin(), users.end(), principal.name) != users.end()) return true;
  return std::any_of(principal.groups.begin(), principal.groups.end(),
                     [this](const std::string& group) {
                       return std::find(groups.begin(), groups.end(), group) != groups.end();
                     });
}

base::Status Check(const Allowed& allowed, const Principal& principal, std::string_view action) {
  if (allowed.Includes(principal)) return base::Ok{};
  return base::Denied(base::Format("user \"{}/{}\" cannot access the resource of action \"{}\"",
                                   principal.name, base::Join(principal.groups, ","), action));
}

bool IsFromLocalhost(const net::HttpRequest& request) {
  if (!IsLoopback(request.peer.remote.host)) return false;
  for (const char* header : {"forwarded", "x-forwarded-for", "x-real-ip"}) {
    if (request.headers.Has(header)) return false;
  }
  const std::string_view host = HostOf(request.authority);
  if (!base::EqualsIgnoreCase(host, "localhost") && !IsLoopback(host)) return false;
  const std::string_view site = request.headers.Get("sec-fetch-site");
  if (!site.empty() && site != "same-origin" && site != "none") return false;
  if (const std::string* origin = request.headers.Find("origin")) {
    if (*origin != request.scheme + "://" + request.authority) return false;
  }
  return true;
}

base::Result<Principal> Authenticate(const net::HttpRequest& request, bool localhost_is_admin,
                                     const VerifyUserToken& verify) {
  if (localhost_is_admin && IsFromLocalhost(request)) {
    return Principal{std::string(kAdmin), {std::string(kAdmin), std::string(kAuthenticated)}};
  }
  const std::string_view authorization = request.headers.Get("authorization");
  constexpr std::string_view kBearer = "bearer ";
  if (authorization.size() > kBearer.size() &&
      base::EqualsIgnoreCase(authorization.substr(0, kBearer.size()), kBearer)) {
    TRY_ASSIGN(Principal principal, verify(base::Trim(authorization.substr(kBearer.size()))));
    principal.groups.emplace_back(kAuthenticated);
    return principal;
  }
  return Principal{std::string(kAnonymous), {std::string(kUnauthenticated)}};
}

}  // namespace kuma::rest

#pragma once

// Who asks, and what they may do.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http.h"

namespace kuma::rest {

inline constexpr std::string_view kAdmin = "mesh-system:admin";
inline constexpr std::string_view kAuthenticated = "mesh-system:authenticated";
inline constexpr std::string_view kUnauthenticated = "mesh-system:unauthenticated";
inline constexpr std::string_view kAnonymous = "mesh-system:anonymous";

struct Principal {
  std::string name;
  std::vector<std::string> groups;
  bool operator==(const Principal&) const = default;
};

// A name or one of the groups is enough.
struct Allowed {
  std::vector<std::string> users;
  std::vector<std::string> groups;
  bool Includes(const Principal& principal) const;
};

// access.static of the configuration.
struct AccessRules {
  Allowed admin_resources;  // Secrets, GlobalSecrets: read and write
  Allowed write_resources;  // every other resource
  Allowed generate_dp_token;
  Allowed generate_user_token;
  Allowed generate_zone_token;
  Allowed control_plane_metadata;  // GET /config
};

// kDenied with the reason, naming the user and what is missing.
base::Status Check(const Allowed& allowed, const Principal& principal, std::string_view action);

// Verifies a user token; the principal of its claims (without the added group). kDenied if it is
// not valid.
using VerifyUserToken = std::function<base::Result<Principal>(std::string_view token)>;

// A genuinely local request: loopback peer, local Host, no proxy headers, no foreign page
// (Kuma 3.0).
bool IsFromLocalhost(const net::HttpRequest& request);

// Localhost (if it counts as admin), then the bearer token, then anonymous. kDenied: a bad token.
base::Result<Principal> Authenticate(const net::HttpRequest& request, bool localhost_is_admin,
                                     const VerifyUserToken& verify);

}  // namespace kuma::rest

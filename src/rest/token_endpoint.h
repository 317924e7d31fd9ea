#pragma once

// POST /tokens/{dataplane,user,zone}: issues tokens (tokens.md of Kuma 3.0; RFC 7519, RS256).

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "identity/tokens.h"
#include "net/http.h"
#include "rest/access.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "store/store.h"

namespace kuma::rest {

// Thread-safe; blocks on the store.
class TokenEndpoint {
 public:
  struct Settings {
    AccessRules access;
    bool issue_dataplane_tokens = true;  // enableIssuer of each kind
    bool issue_user_tokens = true;
    bool issue_zone_tokens = true;
    // A new mesh gets its signing key a moment after its creation: a token asked for in between
    // waits so long.
    runtime::Duration key_wait = std::chrono::seconds(5);
  };
  // The references outlive the endpoint.
  TokenEndpoint(store::Store& store, const runtime::Clock& clock, runtime::Random& random,
                Settings settings);

  net::HttpResponse Issue(std::string_view kind, const net::HttpRequest& request,
                          const Principal& principal);

 private:
  store::Store& store_;
  const runtime::Clock& clock_;
  runtime::Random& random_;
  const Settings settings_;
};

}  // namespace kuma::rest

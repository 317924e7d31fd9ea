#pragma once

// GET /meshes/{mesh}/dataplanes/{name}/xds, /stats and /clusters: what the Envoy of a proxy says of
// itself, asked over its admin listener (Kuma 3.0; mutual TLS under the authority envoy-admin-ca).

#include <functional>
#include <span>
#include <string>

#include "model/value.h"
#include "net/client.h"
#include "net/http.h"
#include "rest/access.h"
#include "store/store.h"

namespace kuma::rest {

// Envoy's configuration dump with tokens and private keys as "[redacted]".
model::Value WithoutSecrets(model::Value config_dump);

// Thread-safe. Blocks on the store only: the answer is given on a loop when Envoy gave its own.
class EnvoyAdmin {
 public:
  struct Settings {
    Allowed config_dump, stats, clusters;  // access.static.view*
    // Trusts the authority and shows the certificate of the control plane.
    net::ClientTlsOptions tls;
    runtime::Duration timeout = std::chrono::seconds(10);
  };
  using Answer = std::function<void(net::HttpResponse)>;

  // Store and loop outlive the endpoint; the questions that it asked end with it.
  EnvoyAdmin(store::Store& store, net::EventLoop& loop, Settings settings);

  // Is this path (its segments) one of ours?
  static bool Has(std::span<const std::string> at);
  // REQUIRES: Has(at).
  void Serve(const net::HttpRequest& request, std::span<const std::string> at,
             const Principal& principal, Answer answer);

 private:
  store::Store& store_;
  const Settings settings_;
  net::HttpClient client_;
};

}  // namespace kuma::rest

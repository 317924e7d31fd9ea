#pragma once

// What kuma-dp calls by HTTP on the data plane port (5678): POST /bootstrap and POST /drain.

#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/ids.h"
#include "base/redacted.h"
#include "base/result.h"
#include "generate/bootstrap.h"
#include "model/labels.h"
#include "model/resource_type.h"
#include "net/http.h"
#include "rest/request_queue.h"
#include "runtime/executor.h"
#include "store/store.h"

namespace kuma::rest {

// Is this the token of this proxy? kDenied with the reason. Blocks on the store.
using VerifyDataplaneToken = std::function<base::Status(const model::Metadata& dataplane,
                                                        const base::Redacted<std::string>& token)>;

// Dataplanes as their proxies bring them: JSON or YAML text. A proxy brings the same text at
// bootstrap, when its stream is admitted and when it is registered, within a moment: the newest few
// are remembered. Thread-safe.
class BroughtDataplanes {
 public:
  // `types` outlives it.
  BroughtDataplanes(const model::TypeTable& types, model::ControlPlane here)
      : types_(types), here_(std::move(here)) {}

  // With computed labels, owned by the proxy and by its mesh. kInvalid lists everything that is
  // wrong.
  base::Result<model::ResourcePtr> Decode(std::string_view text, const base::ProxyKey& proxy);

 private:
  static constexpr size_t kRemembered = 256;

  const model::TypeTable& types_;
  const model::ControlPlane here_;
  std::mutex mutex_;
  // By text; both GUARDED_BY(mutex_).
  std::unordered_map<std::string, model::ResourcePtr> remembered_;
  std::deque<std::string> order_;
};

// Thread-safe. Requests are answered on the pool.
class DpEndpoint {
 public:
  struct Settings {
    generate::BootstrapSettings bootstrap;
  };
  // All references outlive the endpoint and the tasks of the pool. A null `verify` accepts
  // everybody (dpServer.authn.dpProxy.type: none).
  DpEndpoint(store::Store& store, BroughtDataplanes& brought, VerifyDataplaneToken verify,
             runtime::Pool& pool, Settings settings);

  void Handle(net::HttpRequest request, net::HttpResponder responder);
  const RequestQueue& queue() const { return queue_; }
  net::HttpResponse Answer(const net::HttpRequest& request);

 private:
  net::HttpResponse Bootstrap(const net::HttpRequest& request);
  net::HttpResponse Drain(const net::HttpRequest& request);

  store::Store& store_;
  BroughtDataplanes& brought_;
  VerifyDataplaneToken verify_;
  RequestQueue queue_;
  const Settings settings_;
};

}  // namespace kuma::rest

#pragma once

// What kuma-dp calls by HTTP on the data plane port (5678): POST /bootstrap and POST /drain.

#include <functional>
#include <string>
#include <string_view>

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

// Thread-safe. Requests are answered on the pool.
class DpEndpoint {
 public:
  struct Settings {
    generate::BootstrapSettings bootstrap;
    model::ControlPlane here;
  };
  // All references outlive the endpoint and the tasks of the pool. A null `verify` accepts
  // everybody (dpServer.authn.dpProxy.type: none).
  DpEndpoint(store::Store& store, const model::TypeTable& types, VerifyDataplaneToken verify,
             runtime::Pool& pool, Settings settings);

  void Handle(net::HttpRequest request, net::HttpResponder responder);
  const RequestQueue& queue() const { return queue_; }
  net::HttpResponse Answer(const net::HttpRequest& request);

 private:
  net::HttpResponse Bootstrap(const net::HttpRequest& request);
  net::HttpResponse Drain(const net::HttpRequest& request);

  store::Store& store_;
  const model::TypeTable& types_;
  VerifyDataplaneToken verify_;
  RequestQueue queue_;
  const Settings settings_;
};

// A Dataplane as its proxy brings it: JSON or YAML text, with computed labels, owned by the proxy
// and by its mesh. kInvalid lists everything that is wrong.
base::Result<model::ResourcePtr> DecodeBroughtDataplane(std::string_view text,
                                                        const base::ProxyKey& proxy,
                                                        const model::TypeTable& types,
                                                        const model::ControlPlane& here);

}  // namespace kuma::rest

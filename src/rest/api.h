#pragma once

// The REST API of ports 5681 and 5682: resources, tokens, and what the control plane says of
// itself.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "insight/mesh_insights.h"
#include "model/resource_type.h"
#include "net/http.h"
#include "rest/access.h"
#include "rest/cors.h"
#include "rest/envoy_admin.h"
#include "rest/history_endpoint.h"
#include "rest/insight_endpoint.h"
#include "rest/inspect_endpoint.h"
#include "rest/progress_endpoint.h"
#include "rest/request_queue.h"
#include "rest/resource_endpoint.h"
#include "rest/token_endpoint.h"
#include "runtime/executor.h"
#include "store/store.h"

namespace kuma::rest {

struct ApiSettings {
  ResourceEndpoint::Settings resources;  // without mesh_insights
  InsightEndpoint::Settings insights;    // likewise
  // MeshInsights are worked out when they are asked for; false: those of the store are served.
  bool compute_mesh_insights = true;
  bool localhost_is_admin = true;
  std::string base_path;  // "" or "/kuma", without the last slash
  std::string hostname;
  std::string instance_id;
  std::function<std::string()> cluster_id;  // empty until the store has it
  model::Value config;                      // effective configuration, secrets masked
  std::vector<std::string> cors_domains;    // none: no CORS headers
  // POST /mass-removals/{mesh}/release: removes the Dataplanes whose removal the guard holds.
  std::function<void(const std::string& mesh)> release_removals;
  const ProgressEndpoint* progress = nullptr;  // rollouts, timelines; null: not served
  EnvoyAdmin* envoy_admin = nullptr;           // what Envoys say; null: not served
  InspectEndpoint::Sources inspection;
};

// Thread-safe. Requests are answered on the pool.
class Api {
 public:
  // All references outlive the Api and the tasks of the pool.
  Api(store::Store& store, const model::TypeTable& types, TokenEndpoint& tokens,
      VerifyUserToken verify, runtime::Pool& pool, ApiSettings settings);

  // For net::Server.
  void Handle(net::HttpRequest request, net::HttpResponder responder);
  const RequestQueue& queue() const { return queue_; }

  // The answer, on this thread; what Handle does on the pool, but for what may have to be waited
  // for.
  net::HttpResponse Answer(const net::HttpRequest& request);

 private:
  void Serve(const net::HttpRequest& request, const net::HttpResponder& responder);
  base::Result<Principal> WhoAsks(const net::HttpRequest& request) const;
  net::HttpResponse Finish(const net::HttpRequest& request, net::HttpResponse response) const;
  net::HttpResponse Route(const net::HttpRequest& request, const Principal& principal);
  net::HttpResponse Index() const;
  net::HttpResponse Resources(const net::HttpRequest& request, const Principal& principal,
                              std::vector<std::string> segments);
  net::HttpResponse ResourceTypes() const;
  net::HttpResponse Policies() const;

  const model::TypeTable& types_;
  TokenEndpoint& tokens_;
  VerifyUserToken verify_;
  RequestQueue queue_;
  ApiSettings settings_;
  Cors cors_;
  insight::MeshInsights mesh_insights_;
  ResourceEndpoint resources_;
  InsightEndpoint insights_;
  HistoryEndpoint history_;
  InspectEndpoint inspect_;
};

}  // namespace kuma::rest

#pragma once

// What is read as sums or in another form than it is stored: services of meshes, and everything in
// numbers.

#include <functional>
#include <string>

#include "insight/mesh_insights.h"
#include "model/resource_type.h"
#include "net/http.h"
#include "runtime/clock.h"
#include "store/store.h"

namespace kuma::rest {

// Thread-safe; calls block on the store, so they run on the rest pool.
class InsightEndpoint {
 public:
  struct Settings {
    std::string dns_domain = "mesh";  // dnsServer.domain
    int64_t service_port = 80;        // dnsServer.serviceVipPort
    std::function<runtime::WallTime()> now;
    // Null: the MeshInsights of the store count.
    const insight::MeshInsights* mesh_insights = nullptr;
  };
  // Both outlive the endpoint.
  InsightEndpoint(store::Store& store, const model::TypeTable& types, Settings settings)
      : store_(store), types_(types), settings_(std::move(settings)) {}

  // GET /global-insight, GET /global-insights
  net::HttpResponse Global() const;
  net::HttpResponse GlobalKinds() const;
  // GET [/meshes/{mesh}]/service-insights[/{service}]: one item for each service of the stored
  // ServiceInsights. An empty mesh is all of them, an empty service the list.
  net::HttpResponse Services(const net::HttpRequest& request, const std::string& mesh,
                             const std::string& service) const;

 private:
  base::Result<std::vector<model::ResourcePtr>> All(std::string_view kind) const;
  base::Result<model::Value> GlobalBody() const;
  model::Value ServiceItem(const model::Resource& insight, const std::string& name) const;

  store::Store& store_;
  const model::TypeTable& types_;
  const Settings settings_;
};

}  // namespace kuma::rest

#pragma once

// GET, PUT, DELETE and lists of every resource kind: one endpoint class for all rows of the
// TypeTable.

#include <string>

#include "model/labels.h"
#include "model/resource_type.h"
#include "net/http.h"
#include "policy/policy_type.h"
#include "rest/access.h"
#include "rest/problem.h"
#include "store/store.h"

namespace kuma::insight {
class MeshInsights;
}

namespace kuma::rest {

// What a path named. Empty `mesh` of a mesh-scoped kind: over all meshes (lists only).
struct ResourcePath {
  const model::ResourceType* type = nullptr;
  std::string mesh = {};
  std::string name = {};   // empty: the list
  bool overview = false;   // with what is observed; Dataplane and Zone only
  std::string route = {};  // "/meshes/{mesh}/dataplanes": how messages name the endpoint
};

// Thread-safe; calls block on the store, so they run on the rest pool.
class ResourceEndpoint {
 public:
  struct Settings {
    model::ControlPlane here;
    AccessRules access;
    bool strict = false;     // unknown fields are refused instead of warned about
    bool read_only = false;  // apiServer.readOnly: no kind can be written
    // Rows whose `check` a write must pass; outlives the endpoint. Null: schemas only.
    const policy::PolicyTable* policies = nullptr;
    // Makes the MeshInsights; outlives the endpoint. Null: those of the store are served.
    const insight::MeshInsights* mesh_insights = nullptr;
  };
  // Both outlive the endpoint.
  ResourceEndpoint(store::Store& store, const model::TypeTable& types, Settings settings);

  net::HttpResponse Get(const net::HttpRequest& request, const Principal& principal,
                        const ResourcePath& path) const;
  net::HttpResponse List(const net::HttpRequest& request, const Principal& principal,
                         const ResourcePath& path) const;
  net::HttpResponse Put(const net::HttpRequest& request, const Principal& principal,
                        const ResourcePath& path);
  net::HttpResponse Delete(const net::HttpRequest& request, const Principal& principal,
                           const ResourcePath& path);
  // GET /_kri/{kri}
  net::HttpResponse ByKri(const net::HttpRequest& request, const Principal& principal,
                          std::string_view text) const;

 private:
  bool MeshExists(const std::string& mesh) const;
  base::Result<model::ResourcePtr> Find(const model::ResourceKey& key) const;
  base::Result<store::Page> FindAll(const store::ListQuery& query) const;
  base::Status MayRead(const model::ResourceType& type, const Principal& principal) const;
  Problem ReadOnly(const model::ResourceType& type) const;

  store::Store& store_;
  const model::TypeTable& types_;
  const Settings settings_;
};

}  // namespace kuma::rest

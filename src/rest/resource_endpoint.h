#pragma once

// GET, PUT, DELETE and lists of every resource kind: one endpoint class for all rows of the
// TypeTable.

#include <functional>
#include <string>

#include "model/labels.h"
#include "model/resource_type.h"
#include "net/http.h"
#include "rest/access.h"
#include "store/store.h"

namespace kuma::rest {

// What a path named. Empty `mesh` of a mesh-scoped kind: over all meshes (lists only).
struct ResourcePath {
  const model::ResourceType* type = nullptr;
  std::string mesh;
  std::string name;  // empty: the list
};

// Thread-safe; calls block on the store, so they run on the rest pool.
class ResourceEndpoint {
 public:
  struct Settings {
    model::ControlPlane here;
    AccessRules access;
    bool strict = false;     // unknown fields are refused instead of warned about
    std::string url_prefix;  // apiServer.basePath without the last slash
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
  // Dataplane or Zone with its insight; a list when path.name is empty.
  net::HttpResponse Overview(const net::HttpRequest& request, const Principal& principal,
                             const ResourcePath& path) const;
  // GET /_kri/{kri}
  net::HttpResponse ByKri(const net::HttpRequest& request, const Principal& principal,
                          std::string_view text) const;

 private:
  bool MeshExists(const std::string& mesh) const;
  base::Status MayRead(const model::ResourceType& type, const Principal& principal) const;
  net::HttpResponse ListBody(
      const net::HttpRequest& request, const ResourcePath& path,
      const std::function<model::Value(const model::Resource&)>& encode) const;
  model::Value EncodeOverview(const model::Resource& resource) const;

  store::Store& store_;
  const model::TypeTable& types_;
  const Settings settings_;
};

}  // namespace kuma::rest

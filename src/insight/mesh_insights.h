#pragma once

// MeshInsights: a mesh in numbers, worked out when somebody asks. Nothing is stored, nothing is
// kept up to date meanwhile, so a mesh that nobody looks at costs nothing.

#include <span>
#include <string_view>

#include "base/result.h"
#include "model/resource.h"
#include "model/resource_type.h"
#include "resources/mesh_insight/mesh_insight.h"
#include "store/store.h"

namespace kuma::insight {

enum class ProxyState { kOnline, kPartiallyDegraded, kOffline };

// Of a Dataplane with its DataplaneInsight (may be null): offline when it is not connected or none
// of its inbounds and listeners takes traffic. Pure.
ProxyState StateOf(const model::Resource& dataplane, const model::Resource* insight);

// All of a mesh but the counts of resources. Pure.
resources::mesh_insight::Spec CountProxies(std::span<const model::ResourcePtr> dataplanes,
                                           std::span<const model::ResourcePtr> insights);

// Thread-safe; calls block on the store. An answer costs in proportion to the proxies of its
// meshes.
class MeshInsights {
 public:
  // Both outlive this.
  MeshInsights(store::Store& store, const model::TypeTable& types) : store_(store), types_(types) {}

  // kNotFound: no such mesh. The insight is as old as its mesh and was modified with the youngest
  // thing that it counts.
  base::Result<model::ResourcePtr> Get(std::string_view mesh) const;
  // The insights of the meshes that a list of Meshes would give. (Insights have no labels.)
  base::Result<store::Page> List(const store::ListQuery& query) const;

 private:
  base::Result<model::ResourcePtr> Of(const model::Resource& mesh) const;

  store::Store& store_;
  const model::TypeTable& types_;
};

}  // namespace kuma::insight

#pragma once

// Effective configurations: what the policies of a view say about one destination, route, inbound
// or proxy. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "mesh/mesh_state.h"
#include "policy/contexts.h"
#include "policy/policy_type.h"
#include "policy/view.h"

namespace kuma::policy {

// Merges entries of `to` lists for the mesh, for the service, and for the port, in order of
// precedence: first of the policies' top-level targetRef, then of the entries (Mesh < service <
// port). Empty when none fits.
Effective EffectiveFor(const PolicyType& type, const mesh::MeshSnapshot& mesh, const View& view,
                       const Destination& destination, const model::Resource& service);

// For destinations outside of the mesh: entries for the mesh.
Effective EffectiveForOutside(const PolicyType& type, const mesh::MeshSnapshot& mesh,
                              const View& view);

// For a MeshHTTPRoute: entries for the mesh and for the route. Empty when no entry names the route,
// whatever is said for the mesh: then what holds for the destination counts.
Effective EffectiveForRoute(const PolicyType& type, const mesh::MeshSnapshot& mesh,
                            const View& view, const model::Resource& route);

// What is said about one thing that an entry of a `to` list names.
struct ResourceRule {
  model::ResourcePtr resource;  // the Mesh, a service, or a MeshHTTPRoute
  std::string section;          // name of a port; empty: the whole of it
  Effective conf;               // never empty
};
// One for each thing that entries of the view's policies name, sorted by KRI. Their confs are those
// of the functions above; what no entry names is not there, whatever is said for the mesh.
std::vector<ResourceRule> ResourceRules(const PolicyType& type, const mesh::MeshSnapshot& mesh,
                                        const View& view);

struct InboundConf {
  Effective catch_all;             // rules without match, merged
  std::vector<InboundRule> rules;  // all, unmerged, most specific match first
};
// Rules for an inbound. `section`: its name, or its port when it has none; empty: of all inbounds.
InboundConf EffectiveForInbound(const PolicyType& type, const mesh::MeshSnapshot& mesh,
                                const View& view, std::string_view section);

// For the whole proxy.
Effective EffectiveForProxy(const PolicyType& type, const mesh::MeshSnapshot& mesh,
                            const View& view);

// `conf` with what `part` takes of it; null: all of it.
Effective PartOf(const PolicyType& type, ConfPart part, Effective conf);

// Most specific first: SPIFFE ids before none, exact before prefix; then SNI before none. 0: equal
// rank.
int CompareMatches(const std::optional<TrafficMatch>& a, const std::optional<TrafficMatch>& b);

}  // namespace kuma::policy

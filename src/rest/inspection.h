#pragma once

// What is said of a proxy and its policies, as JSON in Kuma's shape: a dry run of matching, merging
// and generation on a snapshot, by the same functions that make the real configuration. Pure.

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "generate/generate.h"
#include "generate/reach.h"
#include "mesh/mesh_state.h"
#include "model/value.h"
#include "policy/policy_type.h"

namespace kuma::rest {

// A proxy of a mesh in a snapshot. REQUIRES: all of it outlives the subject.
struct Subject {
  const mesh::MeshSnapshot& mesh;
  const model::Resource& dataplane;
  const policy::PolicyTable& policies;
};

// {"type", "mesh", "name", "labels"}
model::Value MetaOf(const model::Resource& resource);

// _rules: everything that the policies say, by policy.
model::Value RulesOf(const Subject& subject);
// _policies: configurations of the proxy as a whole.
model::Value ProxyPoliciesOf(const Subject& subject);
// _inbounds/{kri}/_policies. Nothing when the proxy has no such inbound or listener.
std::optional<model::Value> InboundPoliciesOf(const Subject& subject, std::string_view section);
// _outbounds/{kri}/_policies
model::Value OutboundPoliciesOf(const Subject& subject, const generate::NamedDestination& outbound);
// _outbounds/{kri}/_routes
model::Value RoutesOf(const Subject& subject, const generate::NamedDestination& outbound);
// _outbounds/{kri}/_routes/{kri}/_policies; `route`: null when there is none with that KRI.
model::Value RoutePoliciesOf(const Subject& subject, const generate::NamedDestination& outbound,
                             const model::ResourcePtr& route);
// policies and dataplanes, the old list forms of 2.x that Kuma's GUI still reads: which policies
// select the proxy, by kind; the entry of a proxy in the list of a policy.
model::Value OldPoliciesOf(const Subject& subject);
model::Value OldEntryOf(const model::Resource& dataplane);
// _layout
model::Value LayoutOf(const Subject& subject);

// The "xds" of _config: type URL -> name -> resource. Private keys are left blank. Errors: those of
// Generator::BuildAll.
base::Result<model::Value> EnvoyConfigOf(const generate::Generator& generator,
                                         const mesh::Snapshot& snapshot,
                                         const base::ProxyKey& proxy,
                                         const generate::ProxyNode& node, policy::Shadow shadow);

// How Kuma names the rule of a route: base64 of the SHA-256 of its matches as Go writes them.
std::string HashOfMatches(const model::Value& matches);

}  // namespace kuma::rest

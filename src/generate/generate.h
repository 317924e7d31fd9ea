#pragma once

// From snapshot to sealed Envoy resources, by cells. Everything here is a pure function and
// thread-safe.

#include <compare>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/redacted.h"
#include "base/result.h"
#include "bundle/bundle.h"
#include "mesh/mesh_state.h"
#include "policy/policy_type.h"
#include "policy/view.h"

namespace kuma::resources::dataplane_insight {
struct OpenTelemetry;
}  // namespace kuma::resources::dataplane_insight

namespace kuma::generate {

// What kuma-dp says of the redirection of traffic to Envoy; the defaults are those of Kuma.
struct NodeTransparentProxy {
  struct Flow {
    bool enabled = true;
    uint32_t port = 0;
    bool operator==(const Flow&) const = default;
  };
  bool ipv4_only = false;
  Flow inbound = {true, 15006};
  Flow outbound = {true, 15001};
  bool operator==(const NodeTransparentProxy&) const = default;
};

// What a connected proxy told about itself (node metadata of Envoy's bootstrap). A value.
struct ProxyNode {
  uint32_t admin_port = 0;  // 0: no admin resources
  std::string admin_address = "127.0.0.1";
  std::string admin_socket_path;  // empty: admin over TCP
  uint32_t readiness_port = 9902;
  uint32_t dns_port = 0;
  std::string workdir;
  std::string system_ca_path;
  std::vector<std::string> features;  // sorted
  bool ipv6_enabled = true;
  std::string envoy_version;  // "1.40.0"
  std::optional<NodeTransparentProxy> transparent_proxy;
  // What the environment of kuma-dp says about collectors: JSON; empty: nothing.
  std::string collector_env;
  bool operator==(const ProxyNode&) const = default;
};
// From the JSON text of node.metadata. kInvalid names the field.
base::Result<ProxyNode> ParseProxyNode(std::string_view metadata_json);

// What may differ between classes of proxies and shapes shared cells.
using policy::Traits;

enum class CellKind : uint8_t { kListener, kCluster, kEndpoints, kOwn };

// Who a cell is. It does not change with the cell's content. Fields that do not matter for the kind
// are empty.
struct CellId {
  CellKind kind = CellKind::kOwn;
  std::string mesh;
  std::string proxy;        // Own: name of the Dataplane
  std::string destination;  // others: "MeshService/<name>/<port>"
  std::string bind;         // Listener: "<address>:<port>"
  // Listener, Cluster, Own, and Endpoints that policies place in localities; compared by identity of
  // its policies.
  policy::ViewPtr view;
  Traits traits;         // Listener, Cluster
  policy::SlotPtr slot;  // Listener, Cluster, Endpoints: values in use; compared by content

  bool operator==(const CellId&) const;
  std::strong_ordering operator<=>(const CellId&) const;  // views by their hash
  size_t Hash() const;
  std::string ToString() const;  // for logs and explanations
};

// What one cell is built from: plain values, nothing else is readable by Build.
class CellContext;  // defined in generate/internal
using CellContextPtr = std::shared_ptr<const CellContext>;

// How a proxy's signals reach collectors of OpenTelemetry, as DataplaneInsight tells it.
using CollectorStatusPtr = std::shared_ptr<const resources::dataplane_insight::OpenTelemetry>;

struct SealedCell {
  std::vector<bundle::SealedPtr> resources;  // one, of Own several
  CollectorStatusPtr collectors;             // of Own; null: none
  std::vector<CellId>
      needs;  // cells that must be in every bundle that has this one, sorted, unique
};

// Where a proxy offers a destination.
struct OutboundAt {
  std::string destination;  // "MeshService/<name>/<port>"
  std::string bind;         // "<address>:<port>"
  bool operator==(const OutboundAt&) const = default;
};
// Sorted by destination, one for each. Immutable: proxies that offer the same share one list where
// that is cheap to know, and equal lists of others are found by their hash.
class OutboundList {
 public:
  // REQUIRES: sorted, unique.
  explicit OutboundList(std::vector<OutboundAt> items);
  const std::vector<OutboundAt>& items() const { return items_; }
  uint64_t hash() const { return hash_; }
  const OutboundAt* Find(std::string_view destination) const;  // null if absent
  bool operator==(const OutboundList& other) const {
    return this == &other || (hash_ == other.hash_ && items_ == other.items_);
  }

 private:
  std::vector<OutboundAt> items_;
  uint64_t hash_ = 0;
};
using OutboundListPtr = std::shared_ptr<const OutboundList>;

// Which cells a proxy has besides those that its cells need: its own part, and a listener for each
// outbound.
struct ProxyPlan {
  policy::ViewPtr view;
  CellId own;
  CellId listener;            // what the ids of all its listeners have in common
  OutboundListPtr outbounds;  // never null
  bundle::ValuesPtr values;   // for the holes of templates in its cells; null: there are none

  CellId Listener(const OutboundAt& outbound) const;
  bool operator==(const ProxyPlan&) const;
};
// The id of one listener. `like`: ProxyPlan::listener.
CellId ListenerId(const CellId& like, const OutboundAt& outbound);

// What the admin listener of a proxy shows.
struct AdminPair {
  std::string certificate_pem;
  base::Redacted<std::string> key_pem;
};
// Makes them. Both functions are thread-safe.
struct AdminAuthority {
  // Cheap. A certificate is valid for an epoch and some time more, so that nobody is in a hurry
  // when it changes.
  std::function<int64_t(std::string_view address)> epoch;
  // Pure; dear: the generator keeps the last results.
  std::function<base::Result<AdminPair>(std::string_view address, int64_t epoch)> certificate;
  std::string ca_pem;  // signed the control plane's client certificate
  explicit operator bool() const { return epoch != nullptr && certificate != nullptr; }
};

// Immutable while a generator lives.
struct Settings {
  std::string zone = "default";
  AdminAuthority admin;  // empty: only readiness is served to other hosts
  std::vector<std::string> internal_ranges = {"10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12",
                                              "fc00::/7",   "fd00::/8",       "127.0.0.1/32",
                                              "::1/128"};
};

class Generator {
 public:
  Generator(policy::PolicyTable policies, Settings settings);
  ~Generator();

  // kNotFound when the Dataplane is absent. `index`: of the proxy's mesh in this snapshot, for
  // plans of many proxies; null: the view is selected without one. The result is the same.
  base::Result<ProxyPlan> PlanOf(const mesh::Snapshot& snapshot, const base::ProxyKey& proxy,
                                 const ProxyNode& node,
                                 const policy::ViewIndex* index = nullptr) const;

  // Null when what the id names is gone (deleted service): the cell has no resources then. `node`
  // is read for Own only. Cost: in proportion to the cell.
  CellContextPtr ContextOf(const mesh::Snapshot& snapshot, const CellId& id,
                           const ProxyNode* node) const;
  static base::ContentHash HashOf(const CellContext& context);

  // kInvalid: a policy cannot be applied; the message names it. The caller keeps the last good
  // bytes.
  base::Result<SealedCell> Build(const CellContext& context) const;

  // Everything at once, from scratch and without any cache: the oracle, inspection. `shadow`: what
  // it would be if policies with kuma.io/effect=shadow had an effect.
  base::Result<bundle::XdsBundle> BuildAll(const mesh::Snapshot& snapshot,
                                           const base::ProxyKey& proxy, const ProxyNode& node,
                                           policy::Shadow shadow = policy::Shadow::kIgnore) const;

  const policy::PolicyTable& policies() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Joins own resources and cells into a bundle: a list for each type.
bundle::XdsBundle Assemble(model::Revision revision, std::vector<bundle::SealedPtr> resources);

// A resource as protobuf's JSON, with `@type`, for inspection.
std::string ResourceJson(const bundle::SealedResource& resource);

}  // namespace kuma::generate

#pragma once

// What a policy sees when it shapes a cell: plain values, resolved and merged. One context for each
// kind of cell; two equal contexts give equal cells. All immutable once made.

#include <algorithm>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/ids.h"
#include "envoy/protocol.h"
#include "model/kri.h"
#include "model/resource.h"
#include "policy/slot.h"

namespace kuma::policy {

using envoy::Protocol;

struct BackendRef;                                        // policy/target_ref.h
class Collectors;                                         // policy/collector.h
using CollectorsPtr = std::shared_ptr<const Collectors>;  // null: none

// What may differ between classes of proxies and shapes shared cells.
struct Traits {
  bool transparent_proxy = false;
  bool ipv6 = true;
  bool unified_naming = true;
  std::vector<std::string> features;  // only those that shape shared cells; sorted
  std::string
      identity;  // KRI of the MeshIdentity that selects the proxy and its provider, or empty
  auto operator<=>(const Traits&) const = default;

  bool HasFeature(std::string_view feature) const {
    return std::find(features.begin(), features.end(), feature) != features.end();
  }
};

// One port of a service, as somebody refers to it.
struct Destination {
  model::ResourceKey service;  // MeshService, MeshExternalService, MeshMultiZoneService
  model::Kri kri;              // of the service, without section
  std::string section;         // how the reference spells the port: its name or its number
  uint32_t port = 0;
  std::string port_name;  // its name, or its number when it has none
  Protocol protocol = Protocol::kTcp;

  // Name of cluster, endpoint set and listener.
  std::string Name() const { return kri.WithSection(section).ToString(); }
  bool operator==(const Destination&) const = default;
  void AddTo(base::Hasher& hasher) const;
};

// Which entry of which policy a piece of configuration came from.
struct Origin {
  model::ResourceKey policy;
  model::Kri kri;    // of the policy, without section
  size_t index = 0;  // of the entry in its `to` or `rules` list
  auto operator<=>(const Origin&) const = default;
};

// The merged configuration of one policy kind for one thing.
class Effective {
 public:
  Effective() = default;  // nothing configured
  Effective(std::shared_ptr<const void> conf, const void* tag, base::ContentHash hash,
            std::vector<Origin> origins)
      : conf_(std::move(conf)), tag_(tag), hash_(hash), origins_(std::move(origins)) {}

  bool empty() const { return conf_ == nullptr; }
  // Null when nothing is configured. REQUIRES: C is the (merged) conf type of the policy.
  template <class C>
  const C* As() const {
    return static_cast<const C*>(conf_.get());
  }
  const void* tag() const { return tag_; }
  const void* raw() const { return conf_.get(); }
  // Least specific first, without repetitions.
  const std::vector<Origin>& origins() const { return origins_; }
  void AddTo(base::Hasher& hasher) const;

 private:
  std::shared_ptr<const void> conf_;
  const void* tag_ = nullptr;
  base::ContentHash hash_;
  std::vector<Origin> origins_;
};

template <class C>
const void* ConfTag() {
  return model::Resource::SpecTag<C>();
}

// Confs of several policy kinds, in the order of the policy table. A kind without any is absent.
class Confs {
 public:
  void Add(Effective conf) {
    if (!conf.empty()) list_.push_back(std::move(conf));
  }
  // Null when the policy says nothing here.
  template <class C>
  const C* Get() const {
    const Effective* found = Find(ConfTag<C>());
    return found == nullptr ? nullptr : found->As<C>();
  }
  const Effective* Find(const void* tag) const {
    for (const Effective& conf : list_) {
      if (conf.tag() == tag) return &conf;
    }
    return nullptr;
  }
  const std::vector<Effective>& list() const { return list_; }
  void AddTo(base::Hasher& hasher) const;

 private:
  std::vector<Effective> list_;
};

// An outbound listener: routes of one destination port at one local address.
struct ListenerContext {
  Destination destination;
  std::string bind_address;
  uint32_t bind_port = 0;
  Traits traits;
  Confs confs;  // for the destination
  std::map<std::string, Confs, std::less<>>
      routes;  // for a MeshHTTPRoute that policies name, by its KRI without section
  // References of confs to backends that exist, by BackendKey(). What is not here did not resolve.
  std::map<std::string, Destination> backends;
  CollectorsPtr collectors;  // that confs refer to
  SlotPtr slot;              // what policies of the view use of the proxy; null: nothing

  // Null when the policy says nothing for the destination.
  template <class C>
  const C* Conf() const {
    return confs.Get<C>();
  }
  // What the policy says for a route that came from this MeshHTTPRoute: its own conf if it has any,
  // else that of the destination.
  template <class C>
  const C* RouteConf(std::string_view route_kri) const {
    const auto found = routes.find(route_kri);
    if (found != routes.end()) {
      if (const C* conf = found->second.template Get<C>()) return conf;
    }
    return Conf<C>();
  }
  // Null when it did not resolve.
  const Destination* Backend(const BackendRef& ref) const;
  void AddTo(base::Hasher& hasher) const;
};

// A cluster towards one destination port.
struct ClusterContext {
  Destination destination;
  Traits traits;
  Confs confs;
  SlotPtr slot;  // what policies of the view use of the proxy; null: nothing

  template <class C>
  const C* Conf() const {
    return confs.Get<C>();
  }
  void AddTo(base::Hasher& hasher) const;
};

struct Endpoint {
  std::string address;
  uint32_t port = 0;
  std::string zone;  // empty: no locality
  uint32_t weight = 1;
  uint32_t priority = 0;
  model::Labels labels;  // load balancing identity, published as metadata
  auto operator<=>(const Endpoint&) const = default;
};

// The endpoint set of one destination port.
struct EndpointsContext {
  Destination destination;
  std::string zone;  // of the callers
  std::vector<Endpoint> endpoints;
  Confs confs;
  SlotPtr slot;  // `affinity` of the callers, where confs use it; else null

  template <class C>
  const C* Conf() const {
    return confs.Get<C>();
  }
  void AddTo(base::Hasher& hasher) const;
};

enum class MatchType : uint8_t { kExact, kPrefix };
struct TextMatch {
  MatchType type = MatchType::kExact;
  std::string value;
  auto operator<=>(const TextMatch&) const = default;
};
// Which incoming traffic an inbound rule is for.
struct TrafficMatch {
  std::optional<TextMatch> spiffe_id;
  std::optional<TextMatch> sni;
  auto operator<=>(const TrafficMatch&) const = default;
};

// One rule for an inbound, unmerged; without match it is for all traffic.
struct InboundRule {
  std::optional<TrafficMatch> match;
  Effective conf;
};

// An inbound of the proxy.
struct InboundContext {
  std::string mesh;
  std::string section;  // its name, or its port when it has none
  std::string kri;      // of the Dataplane with the inbound's name; empty: it has none
  std::string address;
  uint32_t port = 0;
  std::string service_address;
  uint32_t service_port = 0;
  Protocol protocol = Protocol::kTcp;
  Traits traits;
  SlotPtr slot;  // of the proxy, all values; never null
  Confs confs;   // of the rules without match, merged
  // All rules of each policy kind, most specific match first; kinds by ConfTag in the order of the
  // policy table.
  std::vector<std::pair<const void*, std::vector<InboundRule>>> rules;
  CollectorsPtr collectors;  // that confs refer to

  template <class C>
  const C* Conf() const {
    return confs.Get<C>();
  }
  // Empty when no policy of the kind has rules for this inbound.
  template <class C>
  const std::vector<InboundRule>& Rules() const {
    static const std::vector<InboundRule> kNone;
    for (const auto& [tag, of_kind] : rules) {
      if (tag == ConfTag<C>()) return of_kind;
    }
    return kNone;
  }
  std::string Name() const { return "self_inbound_dp_" + section; }
  void AddTo(base::Hasher& hasher) const;
};

// The proxy as a whole.
struct ProxyContext {
  base::ProxyKey key;
  model::Kri kri;
  model::Labels labels;
  std::string address;
  std::string workdir;
  std::string system_ca_path;
  std::string zone;
  std::vector<std::string> features;         // all of them, sorted
  std::vector<std::string> internal_ranges;  // networks that requests of our own come from
  Traits traits;
  Confs confs;  // of policies that are for the whole proxy
  // What the workload calls that no outbound stands for; empty if it cannot.
  struct Outside {
    Confs confs;               // of `to` lists
    SlotPtr slot;              // of the proxy, all values; null: there are no confs
    CollectorsPtr collectors;  // that confs refer to
  } outside = {};

  template <class C>
  const C* Conf() const {
    return confs.Get<C>();
  }
  bool HasFeature(std::string_view feature) const;
  void AddTo(base::Hasher& hasher) const;
};

// Identity of a reference for ListenerContext::backends: kind, labels, port and section name; not
// the weight.
std::string BackendKey(const BackendRef& ref);

}  // namespace kuma::policy

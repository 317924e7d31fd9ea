#include "policy/contexts.h"

#include <algorithm>

#include "policy/collector.h"
#include "policy/policy_type.h"

namespace kuma::policy {
namespace {

void AddKri(const model::Kri& kri, base::Hasher& hasher) { hasher.Add(kri.ToString()); }

void AddLabels(const model::Labels& labels, base::Hasher& hasher) {
  hasher.Add(labels.size());
  for (const auto& [key, value] : labels) hasher.Add(key).Add(value);
}

void AddText(const std::optional<TextMatch>& match, base::Hasher& hasher) {
  hasher.Add(uint64_t{match.has_value()});
  if (match) hasher.Add(static_cast<uint64_t>(match->type)).Add(match->value);
}

void AddTraits(const Traits& traits, base::Hasher& hasher) {
  hasher.Add(uint64_t{traits.transparent_proxy})
      .Add(uint64_t{traits.ipv6})
      .Add(uint64_t{traits.unified_naming});
  hasher.Add(traits.features.size());
  for (const std::string& feature : traits.features) hasher.Add(feature);
  hasher.Add(traits.identity);
}

void AddSlot(const SlotPtr& slot, base::Hasher& hasher) {
  hasher.Add(slot == nullptr ? base::ContentHash() : slot->hash);
}

void AddCollectors(const CollectorsPtr& collectors, base::Hasher& hasher) {
  hasher.Add(uint64_t{collectors != nullptr});
  if (collectors != nullptr) collectors->AddTo(hasher);
}

}  // namespace

void Destination::AddTo(base::Hasher& hasher) const {
  hasher.Add(service.kind).Add(service.mesh).Add(service.name);
  AddKri(kri, hasher);
  hasher.Add(section).Add(uint64_t{port}).Add(port_name).Add(static_cast<uint64_t>(protocol));
}

void Effective::AddTo(base::Hasher& hasher) const {
  hasher.Add(uint64_t{!empty()}).Add(hash_).Add(origins_.size());
  for (const Origin& origin : origins_) {
    hasher.Add(origin.policy.kind).Add(origin.policy.name).Add(uint64_t{origin.index});
    AddKri(origin.kri, hasher);
  }
}

void Confs::AddTo(base::Hasher& hasher) const {
  hasher.Add(list_.size());
  for (const Effective& conf : list_) conf.AddTo(hasher);
}

const Destination* ListenerContext::Backend(const BackendRef& ref) const {
  const auto found = backends.find(BackendKey(ref));
  return found == backends.end() ? nullptr : &found->second;
}

void ListenerContext::AddTo(base::Hasher& hasher) const {
  destination.AddTo(hasher);
  hasher.Add(bind_address).Add(uint64_t{bind_port});
  AddTraits(traits, hasher);
  confs.AddTo(hasher);
  hasher.Add(routes.size());
  for (const auto& [route, of_route] : routes) {
    hasher.Add(route);
    of_route.AddTo(hasher);
  }
  hasher.Add(backends.size());
  for (const auto& [key, backend] : backends) {
    hasher.Add(key);
    backend.AddTo(hasher);
  }
  AddCollectors(collectors, hasher);
  AddSlot(slot, hasher);
}

void ClusterContext::AddTo(base::Hasher& hasher) const {
  destination.AddTo(hasher);
  AddTraits(traits, hasher);
  confs.AddTo(hasher);
  AddSlot(slot, hasher);
}

void EndpointsContext::AddTo(base::Hasher& hasher) const {
  destination.AddTo(hasher);
  hasher.Add(zone).Add(endpoints.size());
  for (const Endpoint& endpoint : endpoints) {
    hasher.Add(endpoint.address).Add(uint64_t{endpoint.port}).Add(endpoint.zone);
    hasher.Add(uint64_t{endpoint.weight}).Add(uint64_t{endpoint.priority});
    AddLabels(endpoint.labels, hasher);
  }
  confs.AddTo(hasher);
  AddSlot(slot, hasher);
}

void InboundContext::AddTo(base::Hasher& hasher) const {
  hasher.Add(mesh)
      .Add(section)
      .Add(kri)
      .Add(address)
      .Add(uint64_t{port})
      .Add(service_address)
      .Add(uint64_t{service_port});
  hasher.Add(static_cast<uint64_t>(protocol));
  AddTraits(traits, hasher);
  AddSlot(slot, hasher);
  confs.AddTo(hasher);
  hasher.Add(rules.size());
  for (const auto& [tag, of_kind] : rules) {
    hasher.Add(of_kind.size());
    for (const InboundRule& rule : of_kind) {
      hasher.Add(uint64_t{rule.match.has_value()});
      if (rule.match) {
        AddText(rule.match->spiffe_id, hasher);
        AddText(rule.match->sni, hasher);
      }
      rule.conf.AddTo(hasher);
    }
  }
  AddCollectors(collectors, hasher);
}

bool ProxyContext::HasFeature(std::string_view feature) const {
  return std::find(features.begin(), features.end(), feature) != features.end();
}

void ProxyContext::AddTo(base::Hasher& hasher) const {
  hasher.Add(key.mesh).Add(key.name);
  AddKri(kri, hasher);
  AddLabels(labels, hasher);
  hasher.Add(address).Add(workdir).Add(system_ca_path).Add(zone).Add(features.size());
  for (const std::string& feature : features) hasher.Add(feature);
  hasher.Add(internal_ranges.size());
  for (const std::string& range : internal_ranges) hasher.Add(range);
  AddTraits(traits, hasher);
  confs.AddTo(hasher);
  outside.confs.AddTo(hasher);
  AddSlot(outside.slot, hasher);
  AddCollectors(outside.collectors, hasher);
}

const PolicyType* FindPolicy(const PolicyTable& table, std::string_view kind) {
  for (const PolicyType& type : table) {
    if (type.kind() == kind) return &type;
  }
  return nullptr;
}

}  // namespace kuma::policy

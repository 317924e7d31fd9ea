#include "policy/effective.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "model/names.h"
#include "policy/internal/precedence.h"
#include "policy/service_ports.h"
#include "policy/target_ref.h"

namespace kuma::policy {
namespace {

// One entry of a policy that applies, with what decides its place among the others.
struct Entry {
  PolicyRank policy_rank;
  int kind = 0;     // of what the entry targets
  int section = 0;  // 1: it targets one port
  std::string_view display_name;
  MergeInput input;
};

void SortByPrecedence(std::vector<Entry>& entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    if (const auto rank = a.policy_rank <=> b.policy_rank; rank != 0) return rank < 0;
    if (a.kind != b.kind) return a.kind < b.kind;
    if (a.section != b.section) return a.section < b.section;
    return a.display_name > b.display_name;
  });
}

Effective Merge(const PolicyType& type, const std::vector<Entry>& entries) {
  if (entries.empty()) return {};
  std::vector<MergeInput> inputs;
  std::vector<Origin> origins;
  inputs.reserve(entries.size());
  for (const Entry& entry : entries) {
    inputs.push_back(entry.input);
    if (std::find(origins.begin(), origins.end(), entry.input.origin) == origins.end())
      origins.push_back(entry.input.origin);
  }
  std::shared_ptr<const void> merged = type.conf.merge(inputs);
  base::Hasher hasher;
  type.conf.hash(merged.get(), hasher);
  return Effective(std::move(merged), type.conf.tag, hasher.Finish(), std::move(origins));
}

// Calls f(policy) for each policy of the kind in the view that still exists.
template <class F>
void ForEachPolicy(const PolicyType& type, const mesh::MeshSnapshot& mesh, const View& view, F f) {
  for (const model::ResourceKey& key : view.policies) {
    if (key.kind != type.kind()) continue;
    if (const model::ResourcePtr policy = mesh.Find(key.kind, key.name)) f(*policy);
  }
}

const TargetRef* TargetOf(const PolicyType& type, const model::Resource& policy) {
  return type.spec.target == nullptr ? nullptr : type.spec.target(policy);
}

Entry MakeEntry(const PolicyType& type, const model::Resource& policy, const void* conf,
                size_t index) {
  Entry entry;
  entry.policy_rank = RankOf(TargetOf(type, policy), policy.meta());
  entry.display_name = model::DisplayName(policy.meta());
  entry.input.conf = conf;
  entry.input.origin = {policy.key(), model::KriOf(policy), index};
  return entry;
}

// Collects entries of `to` lists for which fits(target) says so.
template <class F>
std::vector<Entry> CollectTo(const PolicyType& type, const mesh::MeshSnapshot& mesh,
                             const View& view, F fits) {
  std::vector<Entry> entries;
  if (!type.has_to()) return entries;
  ForEachPolicy(type, mesh, view, [&](const model::Resource& policy) {
    const std::vector<ToItem> items = type.spec.to(policy);
    for (size_t i = 0; i < items.size(); ++i) {
      const TargetRef& target = *items[i].target;
      if (!fits(target)) continue;
      Entry entry = MakeEntry(type, policy, items[i].conf, i);
      entry.kind = KindRank(target.kind);
      entry.section = target.kind == TargetKind::kMeshService && target.section_name &&
                      !target.section_name->empty();
      entries.push_back(std::move(entry));
    }
  });
  SortByPrecedence(entries);
  return entries;
}

bool FitsLabels(const TargetRef& target, const model::Resource& resource) {
  return !target.labels.empty() && HasLabels(resource.meta(), target.labels);
}

bool HasSection(const TargetRef& target) {
  return target.section_name && !target.section_name->empty();
}

// A port is meant by its name; one without a name by its number.
bool FitsSection(const TargetRef& target, std::string_view port_name) {
  return !HasSection(target) || *target.section_name == port_name;
}

// For one port of a service, or (null) for what is said of it as a whole.
Effective ForService(const PolicyType& type, const mesh::MeshSnapshot& mesh, const View& view,
                     const model::Resource& service, const Destination* port) {
  return Merge(
      type, CollectTo(type, mesh, view, [&](const TargetRef& target) {
        if (target.kind == TargetKind::kMesh) return true;
        if (model::NameOf(target.kind) != service.type().kind || !FitsLabels(target, service))
          return false;
        // An external service has one port only.
        if (target.kind == TargetKind::kMeshExternalService) return true;
        return port == nullptr ? !HasSection(target) : FitsSection(target, port->port_name);
      }));
}

int CompareText(const std::optional<TextMatch>& a, const std::optional<TextMatch>& b) {
  if (a.has_value() != b.has_value()) return a ? -1 : 1;
  if (!a || a->type == b->type) return 0;
  return a->type == MatchType::kExact ? -1 : 1;
}

}  // namespace

Effective EffectiveFor(const PolicyType& type, const mesh::MeshSnapshot& mesh, const View& view,
                       const Destination& destination, const model::Resource& service) {
  return ForService(type, mesh, view, service, &destination);
}

Effective EffectiveForOutside(const PolicyType& type, const mesh::MeshSnapshot& mesh,
                              const View& view) {
  return Merge(type, CollectTo(type, mesh, view, [](const TargetRef& target) {
                 return target.kind == TargetKind::kMesh;
               }));
}

Effective EffectiveForRoute(const PolicyType& type, const mesh::MeshSnapshot& mesh,
                            const View& view, const model::Resource& route) {
  bool named = false;
  const std::vector<Entry> entries = CollectTo(type, mesh, view, [&](const TargetRef& target) {
    if (target.kind == TargetKind::kMesh) return true;
    if (target.kind != TargetKind::kMeshHttpRoute || !FitsLabels(target, route)) return false;
    named = true;
    return true;
  });
  return named ? Merge(type, entries) : Effective();
}

std::vector<ResourceRule> ResourceRules(const PolicyType& type, const mesh::MeshSnapshot& mesh,
                                        const View& view) {
  // What the entries name: by KRI with the port's name; null: no port.
  struct Named {
    model::ResourcePtr resource;
    std::optional<Destination> port;
  };
  std::map<std::string, Named> named;
  const auto add_ports = [&](const model::ResourcePtr& service, const TargetRef& target) {
    for (const ServicePort& port : PortsOf(*service)) {
      if (!FitsSection(target, port.name)) continue;
      Destination destination;
      destination.port = port.port;
      destination.port_name = port.name;
      named.emplace(model::KriOf(*service, port.name).ToString(), Named{service, destination});
    }
  };
  const auto add = [&](const TargetRef& target) {
    if (target.kind == TargetKind::kMesh) {
      if (mesh.mesh() != nullptr)
        named.emplace(model::KriOf(*mesh.mesh()).ToString(), Named{mesh.mesh(), std::nullopt});
      return;
    }
    mesh.Of(model::NameOf(target.kind))
        .ForEach([&](const std::string&, const model::ResourcePtr& resource) {
          if (!FitsLabels(target, *resource)) return;
          if (HasSection(target) && target.kind != TargetKind::kMeshHttpRoute) {
            add_ports(resource, target);
          } else {
            named.emplace(model::KriOf(*resource).ToString(), Named{resource, std::nullopt});
          }
        });
  };
  if (type.has_to()) {
    ForEachPolicy(type, mesh, view, [&](const model::Resource& policy) {
      for (const ToItem& item : type.spec.to(policy)) add(*item.target);
    });
  }

  std::vector<ResourceRule> rules;
  for (auto& [kri, what] : named) {
    ResourceRule& rule = rules.emplace_back();
    rule.resource = what.resource;
    const std::string_view kind = what.resource->type().kind;
    if (kind == "Mesh") {
      rule.conf = Merge(type, CollectTo(type, mesh, view, [](const TargetRef& target) {
                          return target.kind == TargetKind::kMesh;
                        }));
    } else if (kind == "MeshHTTPRoute") {
      rule.conf = EffectiveForRoute(type, mesh, view, *what.resource);
    } else {
      if (what.port) rule.section = what.port->port_name;
      rule.conf = ForService(type, mesh, view, *what.resource, what.port ? &*what.port : nullptr);
    }
  }
  return rules;
}

InboundConf EffectiveForInbound(const PolicyType& type, const mesh::MeshSnapshot& mesh,
                                const View& view, std::string_view section) {
  InboundConf result;
  if (!type.has_rules()) return result;
  struct Rule {
    Entry entry;
    std::vector<TrafficMatch> matches;
  };
  std::vector<Rule> rules;
  ForEachPolicy(type, mesh, view, [&](const model::Resource& policy) {
    const TargetRef* target = TargetOf(type, policy);
    if (!section.empty() && target != nullptr && target->kind == TargetKind::kDataplane &&
        HasSection(*target) && *target->section_name != section)
      return;
    std::vector<RuleItem> items = type.spec.rules(policy);
    for (size_t i = 0; i < items.size(); ++i) {
      rules.push_back({MakeEntry(type, policy, items[i].conf, i), std::move(items[i].matches)});
    }
  });
  std::stable_sort(rules.begin(), rules.end(), [](const Rule& a, const Rule& b) {
    if (const auto rank = a.entry.policy_rank <=> b.entry.policy_rank; rank != 0) return rank < 0;
    return a.entry.display_name > b.entry.display_name;
  });
  std::vector<Entry> for_all;
  for (const Rule& rule : rules) {
    const Effective conf = Merge(type, {rule.entry});
    if (rule.matches.empty()) {
      for_all.push_back(rule.entry);
      result.rules.push_back({std::nullopt, conf});
    }
    for (const TrafficMatch& match : rule.matches) result.rules.push_back({match, conf});
  }
  std::stable_sort(result.rules.begin(), result.rules.end(),
                   [](const InboundRule& a, const InboundRule& b) {
                     return CompareMatches(a.match, b.match) < 0;
                   });
  result.catch_all = Merge(type, for_all);
  return result;
}

Effective EffectiveForProxy(const PolicyType& type, const mesh::MeshSnapshot& mesh,
                            const View& view) {
  std::vector<Entry> entries;
  if (!type.is_proxy_wide()) return {};
  ForEachPolicy(type, mesh, view, [&](const model::Resource& policy) {
    entries.push_back(MakeEntry(type, policy, type.spec.proxy(policy), 0));
  });
  SortByPrecedence(entries);
  return Merge(type, entries);
}

Effective PartOf(const PolicyType& type, ConfPart part, Effective conf) {
  if (part == nullptr || conf.empty()) return conf;
  std::shared_ptr<const void> taken = part(conf.raw());
  base::Hasher hasher;
  type.conf.hash(taken.get(), hasher);
  return Effective(std::move(taken), conf.tag(), hasher.Finish(), conf.origins());
}

int CompareMatches(const std::optional<TrafficMatch>& a, const std::optional<TrafficMatch>& b) {
  static const TrafficMatch kAll;
  const TrafficMatch& x = a ? *a : kAll;
  const TrafficMatch& y = b ? *b : kAll;
  if (const int by_id = CompareText(x.spiffe_id, y.spiffe_id); by_id != 0) return by_id;
  if (x.sni.has_value() != y.sni.has_value()) return x.sni ? -1 : 1;
  return 0;
}

}  // namespace kuma::policy

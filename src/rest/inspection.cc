#include "rest/inspection.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/strings.h"
#include "identity/digest.h"
#include "policy/effective.h"
#include "policy/view.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::rest {
namespace {

namespace dataplane = resources::dataplane;
using model::Array;
using model::Object;
using model::ResourcePtr;
using model::Value;
using policy::Effective;
using policy::Origin;
using policy::PolicyType;

policy::ViewPtr ViewOf(const Subject& subject) {
  return policy::SelectView(subject.mesh, subject.dataplane, subject.policies);
}

Value ConfOf(const PolicyType& type, const Effective& conf) { return type.conf.encode(conf.raw()); }

// Metadata of the policies in their order, each once.
Array MetasOf(const Subject& subject, const std::vector<Origin>& origins) {
  Array metas;
  std::set<model::ResourceKey> seen;
  for (const Origin& origin : origins) {
    if (!seen.insert(origin.policy).second) continue;
    if (const ResourcePtr policy = subject.mesh.Find(origin.policy.kind, origin.policy.name))
      metas.push_back(MetaOf(*policy));
  }
  return metas;
}

Array EntriesOf(const Subject& subject, const std::vector<Origin>& origins) {
  Array entries;
  for (const Origin& origin : origins) {
    if (const ResourcePtr policy = subject.mesh.Find(origin.policy.kind, origin.policy.name)) {
      entries.emplace_back(Object{{"resourceMeta", MetaOf(*policy)},
                                  {"ruleIndex", static_cast<uint64_t>(origin.index)}});
    }
  }
  return entries;
}

Value OriginOf(const Origin& origin) { return Object{{"kri", origin.kri.ToString()}}; }

Array OriginsOf(const std::vector<Origin>& origins) {
  Array list;
  for (const Origin& origin : origins) list.push_back(OriginOf(origin));
  return list;
}

// An inbound, or a listener of a zone proxy.
struct Door {
  std::string section;
  std::string name;  // as written; empty for listeners
  uint32_t port = 0;
};

std::vector<Door> DoorsOf(const model::Resource& resource) {
  std::vector<Door> doors;
  const auto& networking = resource.Spec<dataplane::Spec>().networking;
  if (!networking) return doors;
  for (const dataplane::Inbound& inbound : networking->inbound)
    doors.push_back({inbound.SectionName(), inbound.name, inbound.port});
  for (const dataplane::Listener& listener : networking->listeners)
    doors.push_back({listener.SectionName(), "", listener.port});
  return doors;
}

Value TextMatchOf(const policy::TextMatch& match) {
  return Object{{"type", match.type == policy::MatchType::kPrefix ? "Prefix" : "Exact"},
                {"value", match.value}};
}

Value MatchOf(const policy::TrafficMatch& match) {
  Object object;
  if (match.spiffe_id) object.Set("spiffeID", TextMatchOf(*match.spiffe_id));
  if (match.sni) object.Set("sni", TextMatchOf(*match.sni));
  return object;
}

Array InboundRules(const Subject& subject, const PolicyType& type, const policy::View& view) {
  Array entries;
  if (!type.has_rules()) return entries;
  std::vector<Door> doors = DoorsOf(subject.dataplane);
  std::stable_sort(doors.begin(), doors.end(),
                   [](const Door& a, const Door& b) { return a.port < b.port; });
  const auto& networking = subject.dataplane.Spec<dataplane::Spec>().networking;
  Value tags;
  if (networking && networking->gateway) {
    Object of_gateway;
    for (const auto& [key, value] : networking->gateway->tags) of_gateway.Set(key, value);
    tags = std::move(of_gateway);
  }
  for (const Door& door : doors) {
    const policy::InboundConf conf =
        policy::EffectiveForInbound(type, subject.mesh, view, door.section);
    if (conf.rules.empty()) continue;
    Array rules;
    for (const policy::InboundRule& rule : conf.rules) {
      Object entry{{"conf", Array{ConfOf(type, rule.conf)}}};
      if (rule.match) entry.Set("match", MatchOf(*rule.match));
      entry.Set("origin", EntriesOf(subject, rule.conf.origins()));
      rules.emplace_back(std::move(entry));
    }
    Object inbound;
    if (!door.name.empty()) inbound.Set("name", door.name);
    inbound.Set("port", uint64_t{door.port});
    inbound.Set("tags", tags);
    entries.emplace_back(Object{{"inbound", std::move(inbound)}, {"rules", std::move(rules)}});
  }
  return entries;
}

Value PolicyEntry(const PolicyType& type, Value conf, const std::vector<Origin>& origins) {
  return Object{{"kind", type.kind()}, {"conf", std::move(conf)}, {"origins", OriginsOf(origins)}};
}

Value PolicyList(Array policies) { return Object{{"policies", std::move(policies)}}; }

bool Routes(const PolicyType& type) { return type.conf.routes != nullptr; }

// No private key leaves by inspection, whatever a policy or an identity put into the configuration.
void BlankPrivateKeys(Value& value) {
  if (Array* list = value.if_array()) {
    for (Value& item : *list) BlankPrivateKeys(item);
    return;
  }
  Object* object = value.if_object();
  if (object == nullptr) return;
  for (auto& [key, member] : *object) {
    const bool is_secret = key == "privateKey" || key == "genericSecret" || key == "password" ||
                           key == "sessionTicketKeys";
    if (!is_secret) {
      BlankPrivateKeys(member);
    } else if (member.if_object() != nullptr && member.Find("filename") == nullptr) {
      member = Object{{"inlineBytes", ""}};
    }
  }
}

}  // namespace

Value MetaOf(const model::Resource& resource) {
  Object labels;
  for (const auto& [key, value] : resource.meta().labels) labels.Set(key, value);
  return Object{{"type", resource.type().kind},
                {"mesh", resource.mesh()},
                {"name", resource.name()},
                {"labels", std::move(labels)}};
}

std::string HashOfMatches(const Value& matches) {
  std::string text;
  for (const char c : model::ToJson(matches)) {
    // Go's encoder writes these three as escapes.
    if (c == '<') {
      text += "\\u003c";
    } else if (c == '>') {
      text += "\\u003e";
    } else if (c == '&') {
      text += "\\u0026";
    } else {
      text.push_back(c);
    }
  }
  return base::EncodeBase64(identity::Sha256(text));
}

Value RulesOf(const Subject& subject) {
  const policy::ViewPtr view = ViewOf(subject);
  std::map<std::string, Value> matches;
  Array rules;
  for (const PolicyType& type : subject.policies) {
    std::vector<policy::ResourceRule> to = policy::ResourceRules(type, subject.mesh, *view);
    if (Routes(type)) {
      for (const policy::ResourceRule& rule : to) {
        for (policy::RouteRule& route : type.conf.routes(rule.conf.raw())) {
          if (!route.matches.is_null())
            matches.emplace(HashOfMatches(route.matches), std::move(route.matches));
        }
      }
    }
    std::stable_sort(to.begin(), to.end(), [](const auto& a, const auto& b) {
      return a.resource->name() < b.resource->name();
    });
    Array to_rules;
    for (const policy::ResourceRule& rule : to) {
      to_rules.emplace_back(Object{{"conf", Array{ConfOf(type, rule.conf)}},
                                   {"origin", EntriesOf(subject, rule.conf.origins())},
                                   {"resourceMeta", MetaOf(*rule.resource)},
                                   {"resourceSectionName", rule.section}});
    }
    Array inbound_rules = InboundRules(subject, type, *view);
    const Effective proxy = policy::EffectiveForProxy(type, subject.mesh, *view);
    if (to_rules.empty() && inbound_rules.empty() && proxy.empty()) continue;
    Object entry{{"type", type.kind()}};
    if (!proxy.empty()) {
      entry.Set("proxyRule", Object{{"conf", ConfOf(type, proxy)},
                                    {"origin", MetasOf(subject, proxy.origins())}});
    }
    entry.Set("toResourceRules", std::move(to_rules));
    entry.Set("inboundRules", std::move(inbound_rules));
    entry.Set("warnings", Array());
    rules.emplace_back(std::move(entry));
  }
  Array http_matches;
  for (auto& [hash, match] : matches)
    http_matches.emplace_back(Object{{"match", std::move(match)}, {"hash", hash}});
  return Object{{"httpMatches", std::move(http_matches)},
                {"resource", MetaOf(subject.dataplane)},
                {"rules", std::move(rules)}};
}

Value ProxyPoliciesOf(const Subject& subject) {
  const policy::ViewPtr view = ViewOf(subject);
  Array policies;
  for (const PolicyType& type : subject.policies) {
    const Effective conf = policy::EffectiveForProxy(type, subject.mesh, *view);
    if (!conf.empty()) policies.push_back(PolicyEntry(type, ConfOf(type, conf), conf.origins()));
  }
  return PolicyList(std::move(policies));
}

std::optional<Value> InboundPoliciesOf(const Subject& subject, std::string_view section) {
  const std::vector<Door> doors = DoorsOf(subject.dataplane);
  const auto door = std::find_if(doors.begin(), doors.end(),
                                 [&](const Door& one) { return one.section == section; });
  if (door == doors.end()) return std::nullopt;
  const policy::ViewPtr view = ViewOf(subject);
  Array policies;
  for (const PolicyType& type : subject.policies) {
    const policy::InboundConf conf =
        policy::EffectiveForInbound(type, subject.mesh, *view, section);
    if (conf.rules.empty()) continue;
    Array rules;
    std::vector<Origin> origins;
    for (const policy::InboundRule& rule : conf.rules) {
      const Origin& origin = rule.conf.origins().front();  // a rule comes from one entry
      rules.emplace_back(Object{{"kri", origin.kri.ToString()}, {"conf", ConfOf(type, rule.conf)}});
      const bool seen = std::any_of(origins.begin(), origins.end(), [&](const Origin& other) {
        return other.policy == origin.policy;
      });
      if (!seen) origins.push_back(origin);
    }
    policies.emplace_back(Object{
        {"kind", type.kind()}, {"rules", std::move(rules)}, {"origins", OriginsOf(origins)}});
  }
  return PolicyList(std::move(policies));
}

Value OutboundPoliciesOf(const Subject& subject, const generate::NamedDestination& outbound) {
  const policy::ViewPtr view = ViewOf(subject);
  Array policies;
  for (const PolicyType& type : subject.policies) {
    const Effective conf =
        policy::EffectiveFor(type, subject.mesh, *view, outbound.destination, *outbound.service);
    if (!conf.empty())
      policies.push_back(PolicyEntry(type, Array{ConfOf(type, conf)}, conf.origins()));
  }
  return PolicyList(std::move(policies));
}

Value RoutesOf(const Subject& subject, const generate::NamedDestination& outbound) {
  const policy::ViewPtr view = ViewOf(subject);
  Array routes;
  for (const PolicyType& type : subject.policies) {
    if (!Routes(type)) continue;
    const Effective conf =
        policy::EffectiveFor(type, subject.mesh, *view, outbound.destination, *outbound.service);
    if (conf.empty()) continue;
    Array rules;
    for (policy::RouteRule& rule : type.conf.routes(conf.raw())) {
      rules.emplace_back(Object{{"kri", rule.origin ? rule.origin->kri.ToString() : std::string()},
                                {"matches", std::move(rule.matches)},
                                {"conf", std::move(rule.conf)}});
    }
    routes.emplace_back(Object{{"kind", type.kind()},
                               {"rules", std::move(rules)},
                               {"origins", OriginsOf(conf.origins())}});
  }
  return Object{{"routes", std::move(routes)}};
}

Value RoutePoliciesOf(const Subject& subject, const generate::NamedDestination& outbound,
                      const ResourcePtr& route) {
  const policy::ViewPtr view = ViewOf(subject);
  Array policies;
  for (const PolicyType& type : subject.policies) {
    if (Routes(type)) continue;
    Effective conf;
    if (route != nullptr) conf = policy::EffectiveForRoute(type, subject.mesh, *view, *route);
    if (conf.empty()) {
      conf =
          policy::EffectiveFor(type, subject.mesh, *view, outbound.destination, *outbound.service);
    }
    if (!conf.empty())
      policies.push_back(PolicyEntry(type, Array{ConfOf(type, conf)}, conf.origins()));
  }
  return PolicyList(std::move(policies));
}

Value OldPoliciesOf(const Subject& subject) {
  Object by_kind;
  const policy::ViewPtr view = ViewOf(subject);
  for (const model::ResourceKey& key : view->policies) {
    const ResourcePtr policy = subject.mesh.Find(key.kind, key.name);
    const Value encoded = model::EncodeResource(*policy);
    Object meta;
    for (const auto& [name, member] : *encoded.if_object()) {
      if (name != "spec" && name != "status") meta.Set(name, member);
    }
    Value& list = by_kind[key.kind];
    if (list.is_null()) list = Array();
    list.if_array()->emplace_back(std::move(meta));
  }
  Array items;
  if (!by_kind.empty()) {
    items.emplace_back(Object{{"type", "dataplane"}, {"matchedPolicies", std::move(by_kind)}});
  }
  const auto total = static_cast<uint64_t>(items.size());
  return Object{{"kind", "SidecarDataplane"}, {"total", total}, {"items", std::move(items)}};
}

Value OldEntryOf(const model::Resource& dataplane) {
  return Object{{"kind", "SidecarDataplane"},
                {"dataplane", Object{{"mesh", dataplane.mesh()}, {"name", dataplane.name()}}},
                {"attachments", Array{Object{{"type", "dataplane"}}}}};
}

Value LayoutOf(const Subject& subject) {
  const model::Resource& proxy = subject.dataplane;
  Array inbounds;
  Array listeners;
  if (const auto& networking = proxy.Spec<dataplane::Spec>().networking) {
    for (const dataplane::Inbound& inbound : networking->inbound) {
      policy::InboundContext named;
      named.section = inbound.SectionName();
      inbounds.emplace_back(Object{{"kri", model::KriOf(proxy, named.section).ToString()},
                                   {"port", uint64_t{inbound.port}},
                                   {"protocol", inbound.protocol},
                                   {"proxyResourceName", named.Name()}});
    }
    for (const dataplane::Listener& listener : networking->listeners) {
      if (listener.type == dataplane::ListenerType::kUnspecified) continue;
      const bool ingress = listener.type == dataplane::ListenerType::kZoneIngress;
      const std::string section = listener.SectionName();
      listeners.emplace_back(
          Object{{"kri", model::KriOf(proxy, section).ToString()},
                 {"type", model::NameOf(listener.type)},
                 {"port", uint64_t{listener.port}},
                 {"proxyResourceName",
                  (ingress ? "self_zoneingress_dp_" : "self_zoneegress_dp_") + section}});
    }
  }
  Array outbounds;
  for (const policy::Destination& outbound : generate::ReachableDestinations(subject.mesh, proxy)) {
    outbounds.emplace_back(Object{{"kri", outbound.Name()},
                                  {"port", uint64_t{outbound.port}},
                                  {"protocol", envoy::ToString(outbound.protocol)},
                                  {"proxyResourceName", outbound.Name()}});
  }
  Value labels;
  if (!proxy.meta().labels.empty()) labels = *MetaOf(proxy).Find("labels");
  return Object{{"kri", model::KriOf(proxy).ToString()},
                {"labels", std::move(labels)},
                {"inbounds", std::move(inbounds)},
                {"outbounds", std::move(outbounds)},
                {"listeners", std::move(listeners)}};
}

base::Result<Value> EnvoyConfigOf(const generate::Generator& generator,
                                  const mesh::Snapshot& snapshot, const base::ProxyKey& proxy,
                                  const generate::ProxyNode& node, policy::Shadow shadow) {
  TRY_ASSIGN(const bundle::XdsBundle bundle, generator.BuildAll(snapshot, proxy, node, shadow));
  Object by_type;
  for (const bundle::XdsType type : bundle::kAllXdsTypes) {
    Object by_name;
    for (const bundle::SealedPtr& resource : bundle.Of(type)) {
      TRY_ASSIGN(Value value, model::ParseJson(generate::ResourceJson(*resource)));
      if (Object* object = value.if_object()) object->Erase("@type");
      BlankPrivateKeys(value);
      by_name.Set(resource->name, std::move(value));
    }
    if (!by_name.empty()) by_type.Set(bundle::TypeUrl(type), std::move(by_name));
  }
  return Value(std::move(by_type));
}

}  // namespace kuma::rest

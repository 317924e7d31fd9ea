#pragma once

// What the suites of the policy engine share: reading a world out of vectors, where it was made and
// where it is looked at (views), and writing rules in the form of the goldens.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/format.h"
#include "base/strings.h"
#include "mesh/mesh_state.h"
#include "model/kri.h"
#include "model/names.h"
#include "policies/all.h"
#include "policy/effective.h"
#include "policy/view.h"
#include "rest/inspection.h"
#include "tests/conformance/suite.h"
#include "tests/conformance/validate_input.h"

namespace kuma::conformance::policies_of_vectors {

using model::Array;
using model::Object;
using model::ResourcePtr;
using model::Value;

constexpr std::string_view kZeroTime = "0001-01-01T00:00:00Z";

// Where a resource was made, and where it was synced to: "zone-uni", "global-k8s-2-zone-uni".
struct Place {
  bool zone = false;
  bool k8s = false;
  std::optional<bool> to_k8s;  // synced to a store on Kubernetes (or not); nothing: not synced
};

inline Place ParsePlace(std::string_view view) {
  constexpr std::string_view kSynced = "-2-";
  Place place;
  const size_t at = view.find(kSynced);
  const std::string_view made = view.substr(0, at);
  place.zone = made.starts_with("zone");
  place.k8s = made.ends_with("k8s");
  if (at != std::string_view::npos) place.to_k8s = view.ends_with("k8s");
  return place;
}

// A resource of the vectors with what the goldens print of it.
struct Vector {
  ResourcePtr resource;
  ResourcePtr printed;     // the same under the name that it has in the vectors
  bool rewritten = false;  // its metadata was replaced according to a place
  Value extensions;        // of its name; null on Universal
};

struct World {
  std::map<model::ResourceKey, Vector> vectors;
  std::vector<std::string> faults;

  // `place`: metadata is rewritten as if the resource had been made there. `more`: labels
  // that it gets afterwards.
  void Put(const Value& document, const Place* place = nullptr, const model::Labels& more = {}) {
    const std::string kind = TextOf(document, "type");
    if (AllTypes().Find(kind) == nullptr) {
      faults.push_back(base::Format("kind {} is not there", kind));
      return;
    }
    const model::Decoded decoded = model::DecodeResource(document, AllTypes());
    if (decoded.resource == nullptr) {
      faults.push_back(TextOf(document, "name") + ": " + decoded.unreadable +
                       decoded.violations.ToString());
      return;
    }
    Vector vector;
    model::Metadata meta = decoded.resource->meta();
    if (place != nullptr && kind != "Mesh") {
      vector.rewritten = true;
      Rewrite(*place, more, meta, vector.extensions);
    }
    const auto make = [&](model::Metadata with) {
      return std::make_shared<model::Resource>(decoded.resource->type(), std::move(with),
                                               decoded.resource->spec());
    };
    vector.printed = make(meta);
    // No store holds two resources of one name; some vectors do.
    if (vectors.contains(vector.printed->key())) meta.name += base::Format("-{}", order.size());
    vector.resource = make(std::move(meta));
    order.push_back(vector.resource->key());
    vectors[vector.resource->key()] = std::move(vector);
  }

  mesh::SnapshotPtr Snapshot() const {
    mesh::MeshState state;
    std::vector<mesh::Change> changes;
    for (const auto& [key, vector] : vectors)
      changes.push_back({key, nullptr, vector.resource, {1}});
    state.Apply(changes);
    return state.Freeze();
  }
  // Null when there is nothing of it. REQUIRES: `snapshot` outlives the result.
  static const mesh::MeshSnapshot* OnlyMesh(const mesh::SnapshotPtr& snapshot) {
    for (const auto& [name, mesh] : snapshot->meshes) return mesh.get();
    return nullptr;
  }

  std::vector<model::ResourceKey> order;  // of the documents

 private:
  static void Rewrite(const Place& place, const model::Labels& more, model::Metadata& meta,
                      Value& extensions) {
    const std::string given = meta.name;
    model::Labels labels{{std::string(model::kOriginLabel), place.zone ? "zone" : "global"},
                         {std::string(model::kDisplayNameLabel), given}};
    if (place.zone) labels[std::string(model::kZoneLabel)] = place.k8s ? "zone-k8s" : "zone-uni";
    if (place.k8s) {
      labels[std::string(model::kNamespaceLabel)] = "ns-k8s";
      labels[std::string(model::kMeshLabel)] = meta.mesh;
    }
    for (const auto& [key, value] : meta.labels) labels[key] = value;
    meta.labels = std::move(labels);
    Sync(place, meta, extensions);
    for (const auto& [key, value] : more) meta.labels[key] = value;
  }

  // Names on Kubernetes and those of synced resources.
  static void Sync(const Place& place, model::Metadata& meta, Value& extensions) {
    const std::string given = meta.name;
    const auto on_kubernetes = [&](const std::string& name, const std::string& ns) {
      meta.name = name + "." + ns;
      extensions = Object{{"k8s.kuma.io/name", name}, {"k8s.kuma.io/namespace", ns}};
    };
    if (place.k8s) on_kubernetes(given, "ns-k8s");
    if (!place.to_k8s) return;
    const std::string hashed = model::HashedName(meta);
    if (*place.to_k8s) {
      on_kubernetes(hashed, "kuma-system");
    } else {
      meta.name = hashed;
      extensions = Value();
    }
  }
};

// The metadata of a resource as the goldens print it: Go's fields where it was rewritten, the REST
// form where it is as read.
inline Value MetaOf(const Vector& vector) {
  const model::Resource& resource = *vector.printed;
  Object labels;
  for (const auto& [key, value] : resource.meta().labels) labels.Set(key, value);
  if (vector.rewritten) {
    return Object{{"CreationTime", kZeroTime},
                  {"Labels", std::move(labels)},
                  {"Mesh", resource.mesh()},
                  {"ModificationTime", kZeroTime},
                  {"Name", resource.name()},
                  {"NameExtensions", vector.extensions},
                  {"Version", ""}};
  }
  Object meta{{"creationTime", kZeroTime},
              {"kri", model::KriOf(resource).ToString()},
              {"modificationTime", kZeroTime},
              {"name", resource.name()},
              {"type", resource.type().kind}};
  if (!resource.mesh().empty()) meta.Set("mesh", resource.mesh());
  if (!labels.empty()) meta.Set("labels", std::move(labels));
  return meta;
}

inline Value OriginOf(const World& world, const policy::Origin& origin) {
  return Object{{"Resource", MetaOf(world.vectors.at(origin.policy))},
                {"RuleIndex", static_cast<uint64_t>(origin.index)}};
}

// KRI -> rule.
inline Value ResourceRules(const World& world, const policy::PolicyType& type,
                           const mesh::MeshSnapshot& mesh, const policy::View& view) {
  Object rules;
  for (const policy::ResourceRule& rule : policy::ResourceRules(type, mesh, view)) {
    Array origins;
    for (const policy::Origin& origin : rule.conf.origins())
      origins.push_back(OriginOf(world, origin));
    Object by_matches;
    if (type.conf.routes != nullptr) {
      for (const policy::RouteRule& route : type.conf.routes(rule.conf.raw()))
        by_matches.Set(rest::HashOfMatches(route.matches), OriginOf(world, *route.origin));
    }
    rules.Set(model::KriOf(*rule.resource, rule.section).ToString(),
              Object{{"Conf", Array{type.conf.encode(rule.conf.raw())}},
                     {"Origin", std::move(origins)},
                     {"OriginByMatches", std::move(by_matches)},
                     {"Resource", MetaOf(world.vectors.at(rule.resource->key()))},
                     {"ResourceSectionName", rule.section}});
  }
  return rules;
}

inline Value MatchOf(const std::optional<policy::TrafficMatch>& match) {
  if (!match) return Value();
  const auto text = [](const policy::TextMatch& one) {
    return Object{{"type", one.type == policy::MatchType::kPrefix ? "Prefix" : "Exact"},
                  {"value", one.value}};
  };
  Object object;
  if (match->spiffe_id) object.Set("spiffeID", text(*match->spiffe_id));
  if (match->sni) object.Set("sni", text(*match->sni));
  return object;
}

inline Array InboundRules(const World& world, const policy::PolicyType& type,
                          const mesh::MeshSnapshot& mesh, const policy::View& view,
                          std::string_view section) {
  Array rules;
  for (const policy::InboundRule& rule :
       policy::EffectiveForInbound(type, mesh, view, section).rules) {
    rules.emplace_back(Object{{"conf", type.conf.encode(rule.conf.raw())},
                              {"match", MatchOf(rule.match)},
                              {"origin", OriginOf(world, rule.conf.origins().front())}});
  }
  return rules;
}

// The kind whose rules are asked for: MeshHTTPRoutes beside another kind are context.
inline std::string PolicyKindOf(const std::vector<Value>& documents,
                                bool (*wanted)(const Value&) = nullptr) {
  std::string kind;
  for (const Value& document : documents) {
    if (wanted != nullptr && !wanted(document)) continue;
    const std::string type = TextOf(document, "type");
    if (kind.empty() || kind == "MeshHTTPRoute") kind = type;
  }
  return kind;
}

inline bool IsMatched(const Value& document) {
  return TextOf(document, "name").starts_with("matched-for-rules-");
}

// Those that IsMatched takes, in file order, as if they had selected a proxy.
inline policy::View MatchedView(const World& world, std::string_view kind) {
  policy::View view;
  for (const model::ResourceKey& key : world.order) {
    const auto& vector = world.vectors.at(key);
    const bool matched =
        model::DisplayName(vector.resource->meta()).starts_with("matched-for-rules-");
    if (key.kind == kind && matched) view.policies.push_back(key);
  }
  return view;
}

// The row of the kind, for the time of the program; null when there is none.
inline const policy::PolicyType* RowOf(std::string_view kind) {
  static const policy::PolicyTable table = policies::AllPolicies();
  return policy::FindPolicy(table, kind);
}

}  // namespace kuma::conformance::policies_of_vectors

#pragma once

// The row of a policy: everything that generic code knows about it. Made by
// policy::Describe<Spec>() (describe_policy.h) in policies/<name>/apply.cc; the list is
// policies/all.def.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "envoy/drafts_fwd.h"
#include "model/resource_type.h"
#include "model/value.h"
#include "model/violations.h"
#include "policy/contexts.h"

namespace kuma::policy {

struct TargetRef;     // policy/target_ref.h
struct BackendRef;    // policy/target_ref.h
struct CollectorRef;  // policy/collector.h

// One entry of a policy's `to` list. Points into the policy's spec.
struct ToItem {
  const TargetRef* target = nullptr;
  const void* conf = nullptr;
};

// One entry of a policy's `rules` list. Without matches it is for all traffic.
struct RuleItem {
  std::vector<TrafficMatch> matches;
  const void* conf = nullptr;
};

// What is merged: least specific first.
struct MergeInput {
  const void* conf = nullptr;
  Origin origin;
};

// A reference to a backend in a merged conf. `ns`: namespace of the policy that it came from.
struct BackendUse {
  const BackendRef* ref = nullptr;
  std::string ns;
};

// One rule of a merged conf that routes, for inspection.
struct RouteRule {
  model::Value matches;  // JSON with members in Kuma's order: a hash over its text names the rule
  model::Value conf;
  std::optional<Origin> origin;  // of the rule; nothing when the kind does not keep it
};

// How the confs of a kind are handled. All functions are pure and thread-safe.
struct ConfOps {
  const void* tag = nullptr;  // ConfTag<C>() of what `merge` returns
  // REQUIRES: inputs are not empty.
  std::shared_ptr<const void> (*merge)(std::span<const MergeInput> inputs) = nullptr;
  // JSON of a merged conf, for inspection.
  model::Value (*encode)(const void* merged) = nullptr;
  void (*hash)(const void* merged, base::Hasher& hasher) = nullptr;
  // References to backends in a merged conf. Null: the kind has none.
  void (*backend_refs)(const void* merged, std::vector<BackendUse>& out) = nullptr;
  // Rules of a merged conf in their order. Null: the kind does not route.
  std::vector<RouteRule> (*routes)(const void* merged) = nullptr;
};

// Reads a resource of the kind. Pointers live as long as its spec. Functions are null when the kind
// lacks the part.
struct SpecOps {
  const TargetRef* (*target)(const model::Resource& resource) =
      nullptr;  // null result: the whole mesh
  std::vector<ToItem> (*to)(const model::Resource& resource) = nullptr;
  std::vector<RuleItem> (*rules)(const model::Resource& resource) = nullptr;
  const void* (*proxy)(const model::Resource& resource) = nullptr;  // conf for the whole proxy
};

// Functions that shape cells; each sees its own context and its draft only. They run for each cell
// of the kind, with or without confs, in the order of the table. kInvalid: the policy cannot be
// applied.
struct Hooks {
  base::Status (*listener)(const ListenerContext& context, envoy::ListenerDraft& draft) = nullptr;
  base::Status (*cluster)(const ClusterContext& context, envoy::ClusterDraft& draft) = nullptr;
  base::Status (*endpoints)(const EndpointsContext& context,
                            envoy::EndpointsDraft& draft) = nullptr;
  base::Status (*inbound)(const InboundContext& context, envoy::InboundDraft& draft) = nullptr;
  base::Status (*proxy)(const ProxyContext& context, envoy::ProxyDraft& draft) = nullptr;
  // A listener for what no outbound stands for, after `proxy` of all policies that come before: what
  // passes through to the outside of the mesh, peers by their own addresses. `destination`: what to
  // call that. Reads ProxyContext::outside.
  base::Status (*outside)(const ProxyContext& context, std::string_view destination,
                          envoy::ListenerDraft& draft) = nullptr;
};

// What is sent to a collector of OpenTelemetry.
enum class Signal : uint8_t { kTraces, kLogs, kMetrics };
struct CollectorOps {
  // References in a conf, merged or not. Null: the kind sends nothing.
  void (*refs)(const void* conf, std::vector<const CollectorRef*>& out) = nullptr;
  Signal signal = Signal::kLogs;
  std::string_view cluster_prefix = {};  // of CollectorCluster()
};

// Takes what is read of a conf, merged or not; the rest comes out absent. The result has the conf's
// type. Pure, thread-safe. Of kinds whose confs merge field by field only.
using ConfPart = std::shared_ptr<const void> (*)(const void* merged);

struct PolicyType {
  const model::ResourceType* schema = nullptr;
  SpecOps spec;
  ConfOps conf;
  Hooks hooks;
  // What the hooks for listeners and for clusters read. They see no more than that, and a change of
  // the rest does not build their cells again. Null: all of it.
  ConfPart listener_part = nullptr;
  ConfPart cluster_part = nullptr;
  // Its hooks say in the notes of a draft which policies touched it. Otherwise all count that have a
  // conf for the cell.
  bool notes_what_it_touches = false;
  // What a write must fulfil beyond the schema, where that takes Envoy's API; `unknown`: paths of
  // what will be ignored. Null: nothing.
  void (*check)(const model::Resource& resource, model::Violations& out,
                std::vector<std::string>& unknown) = nullptr;
  // Which values of the proxy the policy's entries put into shared cells. Null: none. What is not
  // declared here, the hooks do not see.
  SlotUse (*slots)(const model::Resource& policy) = nullptr;
  // Does the merged conf make endpoint sets differ from those of callers without one? Null: always.
  bool (*places_endpoints)(const void* conf) = nullptr;
  CollectorOps collectors = {};

  std::string_view kind() const { return schema->kind; }
  bool has_to() const { return spec.to != nullptr; }
  bool has_rules() const { return spec.rules != nullptr; }
  bool is_proxy_wide() const { return spec.proxy != nullptr; }
};

// In the order of application.
using PolicyTable = std::vector<PolicyType>;
// Null if absent.
const PolicyType* FindPolicy(const PolicyTable& table, std::string_view kind);

}  // namespace kuma::policy

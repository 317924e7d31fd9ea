// Conditions of MeshOpenTelemetryBackends and of the policies that refer to them.

#include <algorithm>
#include <array>
#include <string_view>

#include "base/format.h"
#include "derive/internal/derivation_state.h"
#include "model/condition.h"
#include "resources/mesh_open_telemetry_backend/mesh_open_telemetry_backend.h"

namespace kuma::derive {
namespace {

using model::Array;
using model::Condition;
using model::Labels;
using model::Object;
using model::Value;

constexpr std::string_view kBackend = resources::mesh_open_telemetry_backend::kKind;
constexpr std::array<std::string_view, 3> kReferring = {"MeshAccessLog", "MeshMetric", "MeshTrace"};

// The labels of every reference to a backend, wherever it stands in a spec.
void CollectRefs(const Value& value, std::vector<Labels>& refs) {
  if (const Array* list = value.if_array()) {
    for (const Value& element : *list) CollectRefs(element, refs);
  }
  const Object* object = value.if_object();
  if (object == nullptr) return;
  for (const auto& [name, member] : *object) {
    const Value* kind = name == "backendRef" ? member.Find("kind") : nullptr;
    if (kind == nullptr || *kind != Value(kBackend)) {
      CollectRefs(member, refs);
      continue;
    }
    Labels& labels = refs.emplace_back();
    const Value* given = member.Find("labels");
    if (given == nullptr || given->if_object() == nullptr) continue;
    for (const auto& [key, text] : *given->if_object()) {
      if (text.if_string() != nullptr) labels.emplace(key, *text.if_string());
    }
  }
}

bool HasLabels(const model::Resource& resource, const Labels& labels) {
  return std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
    return resource.meta().Label(label.first) == label.second;
  });
}

// Of several the oldest counts. Null: none.
ResourcePtr Resolve(const std::vector<ResourcePtr>& backends, const Labels& labels) {
  ResourcePtr oldest;
  if (labels.empty()) return oldest;
  for (const ResourcePtr& backend : backends) {
    if (HasLabels(*backend, labels) &&
        (oldest == nullptr || backend->meta().creation_time < oldest->meta().creation_time))
      oldest = backend;
  }
  return oldest;
}

Condition ResolvedCondition(const std::vector<Labels>& refs,
                            const std::vector<ResourcePtr>& backends) {
  Condition condition{.type = "BackendRefsResolved",
                      .status = "True",
                      .reason = "AllBackendRefsResolved",
                      .message = "All MeshOpenTelemetryBackend references are resolved"};
  if (refs.empty()) condition.message = "No MeshOpenTelemetryBackend references configured";
  std::set<std::string> unresolved;
  for (const Labels& labels : refs) {
    if (Resolve(backends, labels) != nullptr) continue;
    std::string text;
    for (const auto& [key, value] : labels)
      text += base::Format("{}{}={}", text.empty() ? "" : ",", key, value);
    unresolved.insert("labels:" + text);
  }
  if (unresolved.empty()) return condition;
  std::string list;
  for (const std::string& text : unresolved) list += (list.empty() ? "" : ", ") + text;
  condition.status = "False";
  condition.reason = "UnresolvedBackendRefs";
  condition.message = "Unresolved MeshOpenTelemetryBackend references: " + list;
  return condition;
}

Condition ReferencedCondition(size_t count) {
  if (count == 0)
    return {.type = "ReferencedByPolicies",
            .status = "False",
            .reason = "NotReferenced",
            .message = "Not referenced by any observability policy"};
  return {.type = "ReferencedByPolicies",
          .status = "True",
          .reason = "Referenced",
          .message = base::Format("Referenced by {} policy backend(s)", count)};
}

// The resource with this condition in its status, which has nothing but conditions.
ResourcePtr WithCondition(const model::Resource& resource, const Condition& condition) {
  model::Violations violations;
  std::vector<std::string> unknown;
  const Value status = Object{{"conditions", Array{model::Encode(condition)}}};
  return std::make_shared<const model::Resource>(
      resource.type(), resource.meta(), resource.spec(),
      resource.type().status.decode(status, "status", violations, unknown));
}

std::vector<ResourcePtr> HeldOf(const MeshState& state, const std::string& mesh,
                                std::string_view kind) {
  std::vector<ResourcePtr> held;
  const mesh::MeshSnapshot* snapshot = state.current().Mesh(mesh);
  if (snapshot == nullptr) return held;
  snapshot->Of(kind).ForEach(
      [&](const std::string&, const ResourcePtr& resource) { held.push_back(resource); });
  return held;
}

}  // namespace

bool ConcernsCollectors(std::string_view kind) {
  return kind == kBackend ||
         std::find(kReferring.begin(), kReferring.end(), kind) != kReferring.end();
}

void Derivation::State::DeriveCollectors(Step& step, const std::string& mesh) {
  const std::vector<ResourcePtr> backends = HeldOf(step.state, mesh, kBackend);
  std::map<ResourceKey, size_t> references;
  for (const std::string_view kind : kReferring) {
    for (const ResourcePtr& policy : HeldOf(step.state, mesh, kind)) {
      std::vector<Labels> refs;
      CollectRefs(policy->type().spec.encode(policy->spec().get()), refs);
      for (const Labels& labels : refs) {
        if (const ResourcePtr backend = Resolve(backends, labels)) ++references[backend->key()];
      }
      step.Want(WithCondition(*policy, ResolvedCondition(refs, backends)));
    }
  }
  for (const ResourcePtr& backend : backends)
    step.Want(WithCondition(*backend, ReferencedCondition(references[backend->key()])));
}

}  // namespace kuma::derive

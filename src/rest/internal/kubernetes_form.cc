#include "rest/internal/kubernetes_form.h"

#include <chrono>

#include "model/duration.h"
#include "model/names.h"
#include "model/resource_type.h"

namespace kuma::rest {
namespace {

using model::Object;
using model::ResourceType;
using model::Value;

constexpr std::string_view kSystemNamespace = "kuma-system";

bool IsSecret(const ResourceType& type) {
  return type.kind == "Secret" || type.kind == "GlobalSecret";
}

// Kinds that Kuma's CustomResourceDefinitions put outside of namespaces.
bool IsClusterScoped(const ResourceType& type) {
  return type.inline_spec && !IsSecret(type) &&
         (type.scope == model::Scope::kGlobal || type.kind == "ServiceInsight");
}

// Kubernetes' times have whole seconds; the zero time is null.
Value Timestamp(model::WallTime time) {
  if (time == model::WallTime{}) return nullptr;
  return model::ToRfc3339(std::chrono::floor<std::chrono::seconds>(time));
}

}  // namespace

Value KubernetesForm(const model::Resource& resource, std::string_view ns) {
  const ResourceType& type = resource.type();
  const bool secret = IsSecret(type);
  Object metadata{{"name", resource.name()}};
  if (!IsClusterScoped(type)) metadata.Set("namespace", ns.empty() ? kSystemNamespace : ns);
  metadata.Set("creationTimestamp", Timestamp(resource.meta().creation_time));
  const bool mesh_scoped = type.scope == model::Scope::kMesh;
  const bool mesh_is_label = mesh_scoped && (!type.inline_spec || secret);
  if (mesh_is_label) {
    metadata.Set("labels", Object{{std::string(model::kMeshLabel), resource.mesh()}});
  }

  Object object{{"kind", secret ? std::string_view("Secret") : type.kind},
                {"apiVersion", secret ? "v1" : "kuma.io/v1alpha1"},
                {"metadata", std::move(metadata)}};
  Value spec = type.spec.encode(resource.spec().get());
  if (secret) {
    const Value* data = spec.Find("data");
    object.Set("type", mesh_scoped ? "system.kuma.io/secret" : "system.kuma.io/global-secret");
    object.Set("data", Object{{"value", data != nullptr ? *data : Value("")}});
    return object;
  }
  if (mesh_scoped && !mesh_is_label) object.Set("mesh", resource.mesh());
  // What proxies are observed to do is a status there.
  object.Set(type.kind == "DataplaneInsight" ? "status" : "spec", std::move(spec));
  if (type.status.encode != nullptr) {
    const auto status = resource.status() ? resource.status() : type.status.empty();
    object.Set("status", type.status.encode(status.get()));
  }
  return object;
}

}  // namespace kuma::rest

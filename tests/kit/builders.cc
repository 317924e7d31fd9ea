#include "tests/kit/builders.h"

#include "base/check.h"
#include "base/format.h"
#include "base/strings.h"
#include "model/labels.h"
#include "model/value.h"
#include "policies/schemas.h"
#include "resources/all.h"

namespace kuma::kit {
namespace {

model::ResourcePtr WithMeta(const model::Resource& resource, model::Metadata meta) {
  return std::make_shared<const model::Resource>(resource.type(), std::move(meta), resource.spec(),
                                                 resource.status());
}

std::string Labels(const std::map<std::string, std::string>& labels, std::string_view indent) {
  std::string text;
  for (const auto& [key, value] : labels)
    text += base::Format("{}{}: \"{}\"\n", indent, key, value);
  return text;
}

}  // namespace

const model::TypeTable& Types() {
  static const model::TypeTable types([] {
    std::vector<const model::ResourceType*> all = resources::AllResourceTypes();
    const auto& schemas = policies::AllPolicySchemas();
    all.insert(all.end(), schemas.begin(), schemas.end());
    return all;
  }());
  return types;
}

model::ResourcePtr FromYaml(std::string_view yaml) {
  const base::Result<std::vector<model::Value>> documents = model::ParseYaml(yaml);
  CHECK(documents.has_value(), documents.error().message());
  CHECK(documents->size() == 1, "one resource at a time");
  const model::Decoded decoded = model::DecodeResource(documents->front(), Types());
  CHECK(decoded.resource != nullptr, decoded.violations.ToString() + decoded.unreadable);
  CHECK(decoded.violations.empty(), decoded.violations.ToString());
  CHECK(decoded.unknown.empty(), "unknown field " + decoded.unknown.front());
  const model::Resource& resource = *decoded.resource;
  return WithLabels(resource, model::ComputeLabels(resource.type(), resource.meta(), {}));
}

model::ResourcePtr Mesh(std::string_view name) {
  return FromYaml(base::Format("type: Mesh\nname: {}\n", name));
}

model::ResourcePtr Dataplane(std::string_view name, const DataplaneOptions& options) {
  std::string text =
      base::Format("type: Dataplane\nmesh: {}\nname: {}\nlabels:\n{}networking:\n  address: {}\n",
                   options.mesh, name, Labels(options.labels, "  "), options.address);
  if (!options.inbounds.empty()) text += "  inbound:\n";
  for (const uint32_t port : options.inbounds) {
    text += base::Format("  - port: {}\n    protocol: {}\n    state: {}\n", port, options.protocol,
                         options.ready ? "Ready" : "NotReady");
  }
  if (!options.outbounds.empty()) text += "  outbound:\n";
  for (const Outbound& outbound : options.outbounds) {
    text += base::Format(
        "  - port: {}\n    backendRef:\n      kind: MeshService\n      name: {}\n      port: {}\n",
        outbound.port, outbound.service, outbound.service_port);
  }
  if (options.transparent) {
    text += base::Format(
        "  transparentProxying: {{redirectPortInbound: 15006, redirectPortOutbound: 15001, "
        "directAccessServices: {}}}\n",
        options.direct_access.empty()
            ? "[]"
            : base::Format("[\"{}\"]", base::Join(options.direct_access, "\", \"")));
  }
  const model::ResourcePtr made = FromYaml(text);
  model::Metadata meta = made->meta();
  meta.owned_by_proxy = options.owned_by_proxy;
  return WithMeta(*made, std::move(meta));
}

model::ResourcePtr MeshService(std::string_view name, std::string_view mesh,
                               std::string_view protocol) {
  return FromYaml(base::Format(R"(type: MeshService
mesh: {}
name: {}
spec:
  selector:
    dataplaneLabels:
      matchLabels:
        app: {}
  ports:
  - port: 80
    targetPort: 8080
    appProtocol: {}
)",
                               mesh, name, name, protocol));
}

model::ResourcePtr MeshTimeout(std::string_view name, std::string_view app, std::string_view to,
                               std::string_view connection_timeout, std::string_view mesh) {
  const std::string top =
      app.empty() ? "kind: Mesh" : base::Format("kind: Dataplane\n    labels:\n      app: {}", app);
  const std::string target =
      to.empty()
          ? "kind: Mesh"
          : base::Format("kind: MeshService\n      labels:\n        kuma.io/display-name: {}", to);
  return FromYaml(base::Format(R"(type: MeshTimeout
mesh: {}
name: {}
spec:
  targetRef:
    {}
  to:
  - targetRef:
      {}
    default:
      connectionTimeout: {}
)",
                               mesh, name, top, target, connection_timeout));
}

model::ResourcePtr NearBy(std::string_view name, std::string_view app, std::string_view label) {
  return FromYaml(base::Format(R"(type: MeshLoadBalancingStrategy
mesh: default
name: {}
spec:
  targetRef:
    kind: Dataplane
    labels:
      app: {}
  to:
  - targetRef:
      kind: Mesh
    default:
      localityAwareness:
        localZone:
          affinityTags:
          - key: {}
)",
                               name, app, label));
}

model::ResourcePtr WithLabels(const model::Resource& resource, model::Labels labels) {
  model::Metadata meta = resource.meta();
  meta.labels = std::move(labels);
  return WithMeta(resource, std::move(meta));
}

model::ResourcePtr OwnedBy(const model::Resource& resource, const model::ResourceKey& owner) {
  model::Metadata meta = resource.meta();
  meta.owner = owner;
  return WithMeta(resource, std::move(meta));
}

store::Write Put(model::ResourcePtr resource) {
  if (!resource->mesh().empty() && !resource->meta().owner)
    resource = OwnedBy(*resource, {"Mesh", "", resource->mesh()});
  const model::ResourceKey key = resource->key();
  return {.kind = store::Write::Kind::kPut,
          .resource = std::move(resource),
          .key = key,
          .expected = {}};
}

store::Write Delete(const model::ResourceKey& key) {
  return {.kind = store::Write::Kind::kDelete, .resource = nullptr, .key = key, .expected = {}};
}

}  // namespace kuma::kit

#include "derive/internal/defaults.h"

#include <utility>

#include "model/describe.h"
#include "model/labels.h"
#include "resources/hostname_generator/hostname_generator.h"
#include "resources/mesh/mesh.h"
#include "resources/zone/zone.h"

namespace kuma::derive {
namespace {

namespace hostname_generator = resources::hostname_generator;
using model::Metadata;
using model::ResourcePtr;

Metadata MetaOf(std::string name, model::WallTime now) {
  Metadata meta;
  meta.name = std::move(name);
  meta.creation_time = now;
  meta.modification_time = now;
  return meta;
}

ResourcePtr WithMetadata(const model::Resource& resource, Metadata meta) {
  return std::make_shared<model::Resource>(resource.type(), std::move(meta), resource.spec(),
                                           resource.status());
}

}  // namespace

ResourcePtr DefaultMesh(model::WallTime now) {
  return model::MakeResource(resources::mesh::Type(), MetaOf("default", now),
                             resources::mesh::Spec{});
}

ResourcePtr OwnZone(const Settings& settings, model::WallTime now) {
  return model::MakeResource(resources::zone::Type(), MetaOf(settings.zone, now),
                             resources::zone::Spec{});
}

std::vector<ResourcePtr> DefaultHostnameGenerators(const Settings& settings, model::WallTime now) {
  const std::string origin(model::kOriginLabel);
  const hostname_generator::LabelSelector of_zone{.match_labels = {{origin, "zone"}}};
  const auto make = [&](std::string name, hostname_generator::Spec spec) {
    Metadata meta = MetaOf(std::move(name), now);
    meta.labels[origin] = "zone";
    return model::MakeResource(hostname_generator::Type(), std::move(meta), std::move(spec));
  };
  std::vector<ResourcePtr> made;
  hostname_generator::Spec external;
  external.selector.mesh_external_service = of_zone;
  external.template_text = "{{ .DisplayName }}.extsvc.mesh.local";
  made.push_back(make("local-mesh-external-service", std::move(external)));
  if (settings.environment == "universal") {
    hostname_generator::Spec service;
    service.selector.mesh_service = of_zone;
    service.template_text = "{{ .DisplayName }}.svc.mesh.local";
    made.push_back(make("local-universal-mesh-service", std::move(service)));
  }
  return made;
}

std::vector<ResourcePtr> DefaultsOfMesh(const Settings& settings, const model::Resource& mesh,
                                        model::WallTime now) {
  const auto complete = [&](const ResourcePtr& resource, bool with_labels) {
    Metadata meta = resource->meta();
    meta.creation_time = now;
    meta.modification_time = now;
    meta.owner = mesh.key();
    if (with_labels) {
      model::ControlPlane here;
      here.zone = settings.zone;
      if (settings.environment == "kubernetes")
        here.environment = model::ControlPlane::Environment::kKubernetes;
      meta.labels = model::ComputeLabels(resource->type(), meta, here);
    }
    return WithMetadata(*resource, std::move(meta));
  };
  std::vector<ResourcePtr> made;
  if (settings.default_policies != nullptr) {
    const auto& spec = mesh.Spec<resources::mesh::Spec>();
    for (const ResourcePtr& policy : settings.default_policies(mesh.name())) {
      if (resources::mesh::SkipsInitialPolicy(spec, policy->type().kind)) continue;
      made.push_back(complete(policy, true));
    }
  }
  if (settings.first_signing_key != nullptr)
    made.push_back(complete(settings.first_signing_key(mesh.name()), false));
  return made;
}

bool IsSigningKey(const model::ResourceKey& secret) {
  return secret.kind == "Secret" &&
         secret.name.starts_with("dataplane-token-signing-key-" + secret.mesh + "-");
}

bool HasSigningKey(const mesh::MeshSnapshot& mesh) {
  bool found = false;
  mesh.Of("Secret").ForEach([&](const std::string&, const ResourcePtr& secret) {
    found = found || IsSigningKey(secret->key());
  });
  return found;
}

}  // namespace kuma::derive

// The rules: from what is held to what is wanted.

#include "base/format.h"
#include "derive/internal/defaults.h"
#include "derive/internal/derivation_state.h"
#include "derive/internal/service_rules.h"
#include "model/describe.h"
#include "model/duration.h"
#include "model/kri.h"
#include "model/names.h"
#include "resources/mesh_service/mesh_service.h"
#include "resources/workload/workload.h"

namespace kuma::derive {
namespace {

namespace mesh_service = resources::mesh_service;
namespace workload = resources::workload;
using model::Labels;
using model::Metadata;

Metadata NewMetadata(const std::string& mesh, const std::string& name, WallTime now) {
  Metadata meta;
  meta.mesh = mesh;
  meta.name = name;
  meta.creation_time = now;
  meta.modification_time = now;
  meta.owner = KeyOf(kMesh, "", mesh);
  return meta;
}

}  // namespace

void Derivation::State::DeriveWorld(Step& step) {
  const auto& zones = step.state.current().GlobalsOf(kZone);
  const bool first = !std::exchange(started, true);
  if (!first && !step.zone_gone) return;
  const bool is_new = zones.empty() && !step.zone_was_stored;
  step.WantNew(OwnZone(settings, step.now));
  if (first) {
    // This control plane is one zone: others are what it was called before.
    zones.ForEach([&](const std::string& name, const ResourcePtr& zone) {
      if (name != settings.zone) step.wanted[zone->key()] = nullptr;
    });
  }
  if (!is_new) return;
  if (settings.create_default_mesh) {
    const ResourcePtr mesh = DefaultMesh(step.now);
    step.WantNew(mesh);
    step.new_meshes.insert(mesh->name());
  }
  if (settings.create_hostname_generators) {
    for (const ResourcePtr& generator : DefaultHostnameGenerators(settings, step.now))
      step.WantNew(generator);
    step.new_generators = true;
  }
}

void Derivation::State::DeriveDefaultsOf(Step& step, const std::string& name) {
  const ResourcePtr mesh = step.Held(KeyOf(kMesh, "", name));
  if (mesh == nullptr) return;
  const mesh::MeshSnapshot* held = step.state.current().Mesh(name);
  if (held != nullptr && HasSigningKey(*held)) return;
  for (const ResourcePtr& resource : DefaultsOfMesh(settings, *mesh, step.now))
    step.WantNew(resource);
}

std::vector<ResourcePtr> Derivation::State::DataplanesOf(const NameOfMesh& workload_name) const {
  std::vector<ResourcePtr> dataplanes;
  const auto found = dataplanes_by_workload.find(workload_name);
  if (found == dataplanes_by_workload.end()) return dataplanes;
  dataplanes.reserve(found->second.size());
  for (const auto& [name, dataplane] : found->second) dataplanes.push_back(dataplane);
  return dataplanes;
}

mesh::MembersPtr Derivation::State::MembersOf(const Step& step,
                                              const model::Resource& service) const {
  if (!step.generated.contains({service.mesh(), service.name()})) {
    return step.state.current().Mesh(service.mesh())->MembersOf(service.name());
  }
  // The index of the MeshState will know its selector after the step.
  auto members = std::make_shared<mesh::Members>();
  for (ResourcePtr& dataplane : DataplanesOf({service.mesh(), service.name()})) {
    if (mesh::SelectorMatches(service, *dataplane)) members->push_back(std::move(dataplane));
  }
  return members;
}

bool Derivation::State::IsConnected(const model::Resource& dataplane) const {
  const auto found = connected.find(dataplane.mesh());
  return found != connected.end() && found->second.contains(dataplane.name());
}

void Derivation::State::DeriveWorkload(Step& step, const NameOfMesh& name) {
  if (!step.HasMesh(name.first)) return;
  const std::vector<ResourcePtr> dataplanes = DataplanesOf(name);
  if (settings.generate_mesh_services) DeriveGeneratedService(step, name, dataplanes);
  DeriveWorkloadItself(step, name, dataplanes);
}

void Derivation::State::DeriveWorkloadItself(Step& step, const NameOfMesh& name,
                                             const std::vector<ResourcePtr>& dataplanes) {
  const ResourceKey key = KeyOf(kWorkload, name.first, name.second);
  const ResourcePtr held = step.Held(key);
  if (held == nullptr && (dataplanes.empty() || !settings.generate_mesh_services)) return;
  if (held != nullptr && dataplanes.empty() && settings.generate_mesh_services &&
      held->meta().Label(model::kManagedByLabel) == kWorkloadGenerator) {
    step.wanted[key] = nullptr;
    return;
  }
  Metadata meta;
  workload::Spec spec;
  workload::Status status;
  if (held == nullptr) {
    meta = NewMetadata(name.first, name.second, step.now);
    meta.labels = {{std::string(model::kMeshLabel), name.first},
                   {std::string(model::kManagedByLabel), std::string(kWorkloadGenerator)},
                   {std::string(model::kEnvLabel), settings.environment},
                   {std::string(model::kZoneLabel), settings.zone}};
  } else {
    if (!IsLocal(held->meta())) return;
    meta = held->meta();
    spec = held->Spec<workload::Spec>();
    if (const auto* known = held->Status<workload::Status>()) status = *known;
  }
  status.dataplane_proxies =
      CountProxies(dataplanes, [this](const auto& dataplane) { return IsConnected(dataplane); });
  step.Want(model::MakeResource(workload::Type(), std::move(meta), spec, status));
}

void Derivation::State::DeriveGeneratedService(Step& step, const NameOfMesh& name,
                                               const std::vector<ResourcePtr>& dataplanes) {
  const ResourceKey key = KeyOf(kMeshService, name.first, name.second);
  const ResourcePtr held = step.Held(key);
  const bool ours = held != nullptr && IsLocal(held->meta()) &&
                    held->meta().Label(model::kManagedByLabel) == kMeshServiceGenerator;
  static const Ports no_ports;
  Ports ports = ChoosePorts(dataplanes, ours ? held->Spec<mesh_service::Spec>().ports : no_ports);
  if (held != nullptr && !ours) {
    if (ports.empty()) {
      EndNotice(Topic::kNameTaken, key);
    } else {
      Notify(Topic::kNameTaken, key,
             base::Format(
                 "no MeshService is generated for workload {}: {} exists and was made by a user",
                 name.second, key.ToString()));
    }
    return;
  }
  EndNotice(Topic::kNameTaken, key);
  if (ports.empty()) {
    if (!ours) return;
    if (model::ParseRfc3339(held->meta().Label(kGracePeriodLabel)).has_value()) return;
    Metadata meta = held->meta();
    meta.labels[std::string(kGracePeriodLabel)] = model::ToRfc3339(step.now);
    step.Want(std::make_shared<model::Resource>(held->type(), std::move(meta), held->spec(),
                                                held->status()));
    return;
  }
  Metadata meta = ours ? held->meta() : NewMetadata(name.first, name.second, step.now);
  meta.labels.erase(std::string(kGracePeriodLabel));
  for (const auto& [label, value] :
       Labels{{std::string(model::kMeshLabel), name.first},
              {std::string(model::kDisplayNameLabel), name.second},
              {std::string(model::kManagedByLabel), std::string(kMeshServiceGenerator)},
              {std::string(model::kEnvLabel), settings.environment},
              {std::string(model::kZoneLabel), settings.zone},
              {std::string(model::kOriginLabel), "zone"}}) {
    meta.labels[label] = value;
  }
  mesh_service::Spec spec;
  if (ours) spec = held->Spec<mesh_service::Spec>();
  spec.selector = {};
  spec.selector.dataplane_labels.emplace().match_labels[std::string(model::kWorkloadLabel)] =
      name.second;
  spec.ports = std::move(ports);
  auto service =
      std::make_shared<model::Resource>(mesh_service::Type(), std::move(meta),
                                        std::make_shared<const mesh_service::Spec>(std::move(spec)),
                                        held == nullptr ? nullptr : held->status());
  if (ours && mesh::SameContent(*held, *service)) return;
  Hostnames::Affected affected;
  hostnames.Put(*service, affected);
  step.services.merge(affected);
  step.services.insert(name);
  step.generated.insert(name);
  step.Want(service);
}

void Derivation::State::DeriveService(Step& step, const NameOfMesh& name) {
  const ResourceKey key = KeyOf(kMeshService, name.first, name.second);
  const ResourcePtr held = step.Held(key);
  if (held == nullptr || !step.HasMesh(name.first)) return;
  mesh_service::Spec spec = held->Spec<mesh_service::Spec>();
  mesh_service::Status status;
  if (const auto* known = held->Status<mesh_service::Status>()) status = *known;

  HeldVips& own = vips[key];
  if (own.kri.empty()) own.kri = model::KriOf(*held).ToString();
  if (own.ips.empty()) {
    if (const std::optional<std::string> ip = pool.Take(own.kri, step.now)) {
      own.ips.push_back(*ip);
    } else {
      Notify(Topic::kNoVip, key, base::Format("no VIP: {} is used up", settings.mesh_service_cidr));
    }
  }
  if (status.vips.empty()) {
    for (const std::string& ip : own.ips) status.vips.push_back({ip});
  }

  status.addresses.clear();
  status.hostname_generators.clear();
  for (const HostnameOutcome& outcome : hostnames.OutcomesOf(name.first, name.second)) {
    const mesh_service::HostnameGeneratorRef ref{outcome.generator};
    const bool generated = !outcome.hostname.empty();
    if (generated) status.addresses.push_back({outcome.hostname, "HostnameGenerator", ref});
    status.hostname_generators.push_back(
        {ref, {{"Generated", generated ? "True" : "False", outcome.reason, outcome.message}}});
  }

  if (IsLocal(held->meta())) {
    status.dataplane_proxies =
        CountProxies(*MembersOf(step, *held), spec.ports,
                     [this](const auto& dataplane) { return IsConnected(dataplane); });
    spec.state = status.dataplane_proxies.healthy > 0 ? mesh_service::State::kAvailable
                                                      : mesh_service::State::kUnavailable;
    status.tls.status = mesh_service::TlsStatus::kNotReady;
    spec.identities.clear();
  }
  step.Want(
      model::MakeResource(mesh_service::Type(), held->meta(), std::move(spec), std::move(status)));
}

}  // namespace kuma::derive

#include "derive/derive.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "base/format.h"
#include "derive/internal/defaults.h"
#include "derive/internal/hostnames.h"
#include "derive/internal/service_rules.h"
#include "derive/internal/vip_pool.h"
#include "model/describe.h"
#include "model/duration.h"
#include "model/kri.h"
#include "model/names.h"
#include "resources/hostname_generator/hostname_generator.h"

namespace kuma::derive {
namespace {

namespace hostname_generator = resources::hostname_generator;
namespace mesh_service = resources::mesh_service;
namespace workload = resources::workload;
using mesh::Change;
using mesh::ChangeSet;
using mesh::MeshState;
using model::Labels;
using model::Metadata;
using model::ResourceKey;
using model::ResourcePtr;
using model::WallTime;

constexpr std::string_view kMesh = "Mesh";
constexpr std::string_view kDataplane = "Dataplane";
constexpr std::string_view kMeshService = "MeshService";
constexpr std::string_view kWorkload = "Workload";
constexpr std::string_view kZone = "Zone";
constexpr std::string_view kHostnameGenerator = "HostnameGenerator";

using NameOfMesh = std::pair<std::string, std::string>;  // (mesh, name)

ResourceKey KeyOf(std::string_view kind, const std::string& mesh, const std::string& name) {
  return {std::string(kind), mesh, name};
}

Metadata NewMetadata(const std::string& mesh, const std::string& name, WallTime now) {
  Metadata meta;
  meta.mesh = mesh;
  meta.name = name;
  meta.creation_time = now;
  meta.modification_time = now;
  meta.owner = KeyOf(kMesh, "", mesh);
  return meta;
}

std::vector<std::string> VipsOf(const model::Resource& service) {
  std::vector<std::string> ips;
  if (const auto* status = service.Status<mesh_service::Status>()) {
    for (const mesh_service::Vip& vip : status->vips) ips.push_back(vip.ip);
  }
  return ips;
}

// A status of ours coming along; not a write that dropped it.
bool IsCountersOnly(const Change& change) {
  return !change.inputs_changed && change.after != nullptr && change.after->status() != nullptr;
}

// A signing key that is gone: did it go for another reason than that somebody deleted it? Then its mesh still waits for
// its defaults.
bool IsOfAnotherMesh(const MeshState& state, const model::Resource& signing_key) {
  if (signing_key.meta().revision.value == 0) return true;  // our own, refused by the store
  const ResourcePtr mesh = state.Find(KeyOf(kMesh, "", signing_key.mesh()));
  // The mesh was deleted and made again within one step.
  return mesh != nullptr && mesh->meta().creation_time > signing_key.meta().creation_time;
}

// Same in all that a Put writes, save the status.
bool SameButStatus(const model::Resource& a, const model::Resource& b) {
  return mesh::SameContent(model::Resource(a.type(), a.meta(), a.spec()),
                           model::Resource(b.type(), b.meta(), b.spec()));
}

}  // namespace

struct Derivation::State {
  // One call of Run, RunTimers or OnConnection.
  struct Step {
    Step(const MeshState& mesh_state, WallTime time) : state(mesh_state), now(time) {}

    const MeshState& state;
    const WallTime now;
    std::map<ResourceKey, ResourcePtr> wanted;  // null: deleted
    std::set<NameOfMesh> workloads;             // to look at: the Workload and the MeshService of that name
    std::set<NameOfMesh> services;              // MeshServices to look at
    std::set<NameOfMesh> generated;             // MeshServices that this step makes or makes again
    std::set<std::string> new_meshes;
    bool new_generators = false;
    bool zone_gone = false;
    bool zone_was_stored = false;

    // What the MeshState will hold once the writes are applied.
    ResourcePtr Held(const ResourceKey& key) const {
      const auto found = wanted.find(key);
      return found != wanted.end() ? found->second : state.Find(key);
    }
    bool HasMesh(const std::string& name) const { return Held(KeyOf(kMesh, "", name)) != nullptr; }
    void Want(const ResourcePtr& resource) { wanted[resource->key()] = resource; }
    void WantNew(const ResourcePtr& resource) {
      if (Held(resource->key()) == nullptr) Want(resource);
    }
  };

  enum class Topic { kNameTaken, kNoVip };

  // Addresses of one resource; they stay its own whatever a write of it says.
  struct HeldVips {
    std::string kri;  // under which they were taken
    std::vector<std::string> ips;
  };

  explicit State(Settings given)
      : settings(std::move(given)), hostnames(std::string(kMeshService), settings.zone), pool(MakePool(settings)) {}

  static VipPool MakePool(const Settings& settings) {
    base::Result<VipPool> pool = VipPool::Make(settings.mesh_service_cidr);
    CHECK(pool.has_value(), "the CIDR of VIPs was checked with the configuration");
    return *std::move(pool);
  }

  // Takes note of changes and of what must be looked at again.
  void Take(Step& step, const ChangeSet& changes);
  void TakeDataplane(Step& step, const Change& change);
  void TakeMeshService(Step& step, const Change& change);
  void TakeVips(const Change& change, WallTime now);
  void TakeGracePeriod(const ResourceKey& key, const ResourcePtr& service);
  void TakeGenerators(Step& step);

  // The rules; each writes to step.wanted.
  void DeriveWorld(Step& step);
  void DeriveDefaultsOf(Step& step, const std::string& mesh);
  void DeriveWorkload(Step& step, const NameOfMesh& name);
  void DeriveWorkloadItself(Step& step, const NameOfMesh& name, const std::vector<ResourcePtr>& dataplanes);
  void DeriveGeneratedService(Step& step, const NameOfMesh& name, const std::vector<ResourcePtr>& dataplanes);
  void DeriveService(Step& step, const NameOfMesh& name);
  std::vector<Derived> Finish(Step& step);

  std::vector<ResourcePtr> DataplanesOf(const NameOfMesh& workload_name) const;
  mesh::MembersPtr MembersOf(const Step& step, const model::Resource& service) const;
  bool IsConnected(const model::Resource& dataplane) const;
  void Notify(Topic topic, const ResourceKey& key, std::string text);
  void EndNotice(Topic topic, const ResourceKey& key) { active_notices.erase({topic, key}); }

  Settings settings;
  bool started = false;
  std::map<std::string, std::unordered_set<std::string>> connected;                // by mesh
  std::map<NameOfMesh, std::map<std::string, ResourcePtr>> dataplanes_by_workload;  // then by name
  Hostnames hostnames;
  VipPool pool;
  std::map<ResourceKey, HeldVips> vips;
  std::map<ResourceKey, WallTime> deletion_due;
  std::set<std::pair<WallTime, ResourceKey>> due_by_time;
  std::map<std::pair<Topic, ResourceKey>, std::string> active_notices;
  std::vector<Notice> new_notices;
};

// ---------------------------------------------------------------------------------------------------------
// Taking note

void Derivation::State::Take(Step& step, const ChangeSet& changes) {
  for (const Change& change : changes.changes) {
    const ResourceKey& key = change.key;
    if (key.kind == kDataplane) {
      TakeDataplane(step, change);
    } else if (key.kind == kMeshService) {
      TakeMeshService(step, change);
    } else if (key.kind == kWorkload) {
      if (!IsCountersOnly(change)) step.workloads.emplace(key.mesh, key.name);
    } else if (key.kind == kHostnameGenerator) {
      step.new_generators = step.new_generators || change.inputs_changed;
    } else if (key.kind == kMesh) {
      if (change.before != nullptr || change.after == nullptr) continue;
      step.new_meshes.insert(key.name);
    } else if (IsSigningKey(key)) {
      if (change.after == nullptr && IsOfAnotherMesh(step.state, *change.before)) step.new_meshes.insert(key.mesh);
    } else if (key.kind == kZone && key.name == settings.zone && change.after == nullptr) {
      step.zone_gone = true;
      step.zone_was_stored = change.before->meta().revision.value != 0;
    }
  }
  for (const NameOfMesh& service : changes.services_with_changed_members) step.services.insert(service);
  // Contents that were there before their mesh.
  for (const std::string& name : step.new_meshes) {
    const mesh::MeshSnapshot* mesh = step.state.current().Mesh(name);
    if (mesh == nullptr) continue;
    mesh->Of(kMeshService).ForEach([&](const std::string& service, const ResourcePtr&) {
      step.services.emplace(name, service);
      step.workloads.emplace(name, service);
    });
    mesh->Of(kWorkload).ForEach([&](const std::string& workload_name, const ResourcePtr&) {
      step.workloads.emplace(name, workload_name);
    });
    for (auto at = dataplanes_by_workload.lower_bound({name, ""});
         at != dataplanes_by_workload.end() && at->first.first == name; ++at) {
      step.workloads.insert(at->first);
    }
  }
}

void Derivation::State::TakeDataplane(Step& step, const Change& change) {
  const std::string before = change.before == nullptr ? std::string() : WorkloadOf(*change.before);
  const std::string after = change.after == nullptr ? std::string() : WorkloadOf(*change.after);
  if (!before.empty() && before != after) {
    const auto found = dataplanes_by_workload.find({change.key.mesh, before});
    if (found != dataplanes_by_workload.end()) {
      found->second.erase(change.key.name);
      if (found->second.empty()) dataplanes_by_workload.erase(found);
    }
    step.workloads.emplace(change.key.mesh, before);
  }
  if (!after.empty()) {
    dataplanes_by_workload[{change.key.mesh, after}][change.key.name] = change.after;
    if (change.inputs_changed) step.workloads.emplace(change.key.mesh, after);
  }
}

void Derivation::State::TakeMeshService(Step& step, const Change& change) {
  if (IsCountersOnly(change)) return;
  const ResourceKey& key = change.key;
  Hostnames::Affected affected;
  if (change.after == nullptr) {
    hostnames.Erase(key.mesh, key.name, affected);
  } else {
    hostnames.Put(*change.after, affected);
    step.services.emplace(key.mesh, key.name);
  }
  step.services.merge(affected);
  step.workloads.emplace(key.mesh, key.name);
  TakeVips(change, step.now);
  TakeGracePeriod(key, change.after);
}

void Derivation::State::TakeVips(const Change& change, WallTime now) {
  const auto held = vips.find(change.key);
  if (change.after == nullptr) {
    if (held == vips.end()) return;
    for (const std::string& ip : held->second.ips) pool.Release(ip, held->second.kri, now);
    vips.erase(held);
    return;
  }
  std::vector<std::string> ips = VipsOf(*change.after);
  if (ips.empty()) return;  // a write that did not bring the status along
  HeldVips& entry = held != vips.end() ? held->second : vips[change.key];
  if (entry.kri.empty()) entry.kri = model::KriOf(*change.after).ToString();
  for (const std::string& ip : ips) pool.Hold(ip, entry.kri);
  for (const std::string& ip : entry.ips) {
    if (std::find(ips.begin(), ips.end(), ip) == ips.end()) pool.Release(ip, entry.kri, now);
  }
  entry.ips = std::move(ips);
}

void Derivation::State::TakeGracePeriod(const ResourceKey& key, const ResourcePtr& service) {
  if (const auto found = deletion_due.find(key); found != deletion_due.end()) {
    due_by_time.erase({found->second, key});
    deletion_due.erase(found);
  }
  if (service == nullptr) return;
  const std::string_view started_at = service->meta().Label(kGracePeriodLabel);
  if (started_at.empty()) return;
  const std::optional<WallTime> started_time = model::ParseRfc3339(started_at);
  if (!started_time.has_value()) return;
  const WallTime due = *started_time + std::chrono::duration_cast<WallTime::duration>(settings.deletion_grace_period);
  deletion_due[key] = due;
  due_by_time.emplace(due, key);
}

void Derivation::State::TakeGenerators(Step& step) {
  std::vector<HostnameRule> rules;
  const auto add = [&](const model::Resource& resource) {
    const auto& spec = resource.Spec<hostname_generator::Spec>();
    HostnameRule rule{.generator = resource.name(),
                      .local = resource.meta().Label(model::kOriginLabel) == "zone",
                      .creation_time = resource.meta().creation_time,
                      .text = spec.template_text,
                      .match_labels = std::nullopt};
    if (spec.selector.mesh_service.has_value()) rule.match_labels = spec.selector.mesh_service->match_labels;
    rules.push_back(std::move(rule));
  };
  step.state.current().GlobalsOf(kHostnameGenerator).ForEach([&](const std::string&, const ResourcePtr& resource) {
    add(*resource);
  });
  for (const auto& [key, resource] : step.wanted) {
    if (key.kind == kHostnameGenerator) add(*resource);
  }
  Hostnames::Affected affected;
  hostnames.SetRules(std::move(rules), affected);
  step.services.merge(affected);
}

// ---------------------------------------------------------------------------------------------------------
// Rules

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
    for (const ResourcePtr& generator : DefaultHostnameGenerators(settings, step.now)) step.WantNew(generator);
    step.new_generators = true;
  }
}

void Derivation::State::DeriveDefaultsOf(Step& step, const std::string& name) {
  const ResourcePtr mesh = step.Held(KeyOf(kMesh, "", name));
  if (mesh == nullptr) return;
  const mesh::MeshSnapshot* held = step.state.current().Mesh(name);
  if (held != nullptr && HasSigningKey(*held)) return;
  for (const ResourcePtr& resource : DefaultsOfMesh(settings, *mesh, step.now)) step.WantNew(resource);
}

std::vector<ResourcePtr> Derivation::State::DataplanesOf(const NameOfMesh& workload_name) const {
  std::vector<ResourcePtr> dataplanes;
  const auto found = dataplanes_by_workload.find(workload_name);
  if (found == dataplanes_by_workload.end()) return dataplanes;
  dataplanes.reserve(found->second.size());
  for (const auto& [name, dataplane] : found->second) dataplanes.push_back(dataplane);
  return dataplanes;
}

mesh::MembersPtr Derivation::State::MembersOf(const Step& step, const model::Resource& service) const {
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
  status.dataplane_proxies = CountProxies(dataplanes, [this](const auto& dataplane) { return IsConnected(dataplane); });
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
      Notify(Topic::kNameTaken, key, base::Format("no MeshService is generated for workload {}: {} exists and was made by a user",
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
    step.Want(std::make_shared<model::Resource>(held->type(), std::move(meta), held->spec(), held->status()));
    return;
  }
  Metadata meta = ours ? held->meta() : NewMetadata(name.first, name.second, step.now);
  meta.labels.erase(std::string(kGracePeriodLabel));
  for (const auto& [label, value] : Labels{{std::string(model::kMeshLabel), name.first},
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
  spec.selector.dataplane_labels.emplace().match_labels[std::string(model::kWorkloadLabel)] = name.second;
  spec.ports = std::move(ports);
  auto service = std::make_shared<model::Resource>(mesh_service::Type(), std::move(meta),
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
    status.dataplane_proxies = CountProxies(*MembersOf(step, *held), spec.ports,
                                            [this](const auto& dataplane) { return IsConnected(dataplane); });
    spec.state = status.dataplane_proxies.healthy > 0 ? mesh_service::State::kAvailable
                                                      : mesh_service::State::kUnavailable;
    status.tls.status = mesh_service::TlsStatus::kNotReady;
    spec.identities.clear();
  }
  step.Want(model::MakeResource(mesh_service::Type(), held->meta(), std::move(spec), std::move(status)));
}

std::vector<Derived> Derivation::State::Finish(Step& step) {
  std::vector<Derived> writes;
  for (auto& [key, resource] : step.wanted) {
    const ResourcePtr held = step.state.Find(key);
    if (resource == nullptr) {
      if (held != nullptr) writes.push_back({.key = key, .resource = nullptr});
      continue;
    }
    if (held == nullptr) {
      writes.push_back({.key = key, .resource = resource, .must_not_exist = true});
    } else if (!mesh::SameContent(*held, *resource)) {
      writes.push_back({.key = key, .resource = resource, .status_only = SameButStatus(*held, *resource)});
    }
  }
  return writes;
}

void Derivation::State::Notify(Topic topic, const ResourceKey& key, std::string text) {
  std::string& active = active_notices[{topic, key}];
  if (active == text) return;
  active = text;
  new_notices.push_back({key, std::move(text)});
}

// ---------------------------------------------------------------------------------------------------------

Derivation::Derivation(Settings settings) : state_(std::make_unique<State>(std::move(settings))) {}
Derivation::~Derivation() = default;

std::vector<Derived> Derivation::Run(const MeshState& state, const ChangeSet& changes, WallTime now) {
  State::Step step(state, now);
  state_->Take(step, changes);
  state_->DeriveWorld(step);
  for (const std::string& mesh : step.new_meshes) state_->DeriveDefaultsOf(step, mesh);
  if (step.new_generators) state_->TakeGenerators(step);
  for (const NameOfMesh& workload_name : step.workloads) state_->DeriveWorkload(step, workload_name);
  // A rule may add services that come earlier: a hostname that changed hands.
  std::set<NameOfMesh> done;
  while (!step.services.empty()) {
    const NameOfMesh name = *step.services.begin();
    step.services.erase(step.services.begin());
    if (done.insert(name).second) state_->DeriveService(step, name);
  }
  return state_->Finish(step);
}

Derivation::Timed Derivation::RunTimers(const MeshState& state, WallTime now) {
  Timed timed;
  State::Step step(state, now);
  auto& due = state_->due_by_time;
  while (!due.empty() && due.begin()->first <= now) {
    const ResourceKey key = due.begin()->second;
    due.erase(due.begin());
    state_->deletion_due.erase(key);
    const ResourcePtr held = state.Find(key);
    if (held == nullptr || held->meta().Label(model::kManagedByLabel) != kMeshServiceGenerator) continue;
    if (ChoosePorts(state_->DataplanesOf({key.mesh, key.name}), {}).empty()) step.wanted[key] = nullptr;
  }
  timed.writes = state_->Finish(step);
  if (!due.empty()) timed.next = due.begin()->first;
  return timed;
}

std::vector<Derived> Derivation::OnConnection(const MeshState& state, const base::ProxyKey& proxy, bool connected) {
  auto& names = state_->connected[proxy.mesh];
  if (connected) {
    names.insert(proxy.name);
  } else {
    names.erase(proxy.name);
  }
  if (!state_->started) return {};
  const ResourcePtr dataplane = state.Find(KeyOf(kDataplane, proxy.mesh, proxy.name));
  if (dataplane == nullptr) return {};
  State::Step step(state, WallTime());
  for (std::string& service : state.ServicesOf(*dataplane)) {
    state_->DeriveService(step, {proxy.mesh, std::move(service)});
  }
  if (const std::string name = WorkloadOf(*dataplane);
      !name.empty() && state.Find(KeyOf(kWorkload, proxy.mesh, name)) != nullptr) {
    state_->DeriveWorkloadItself(step, {proxy.mesh, name}, state_->DataplanesOf({proxy.mesh, name}));
  }
  return state_->Finish(step);
}

std::vector<Notice> Derivation::TakeNotices() { return std::exchange(state_->new_notices, {}); }

}  // namespace kuma::derive

// Taking note of changes: what is remembered, and what must be looked at again.

#include <algorithm>

#include "derive/internal/defaults.h"
#include "derive/internal/derivation_state.h"
#include "derive/internal/service_rules.h"
#include "model/duration.h"
#include "model/kri.h"
#include "model/names.h"
#include "resources/hostname_generator/hostname_generator.h"
#include "resources/mesh_service/mesh_service.h"

namespace kuma::derive {
namespace {

namespace hostname_generator = resources::hostname_generator;
namespace mesh_service = resources::mesh_service;

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

// A signing key that is gone: did it go for another reason than that somebody deleted it? Then its
// mesh still waits for its defaults.
bool IsOfAnotherMesh(const MeshState& state, const model::Resource& signing_key) {
  if (signing_key.meta().revision.value == 0) return true;  // our own, refused by the store
  const ResourcePtr mesh = state.Find(KeyOf(kMesh, "", signing_key.mesh()));
  // The mesh was deleted and made again within one step.
  return mesh != nullptr && mesh->meta().creation_time > signing_key.meta().creation_time;
}

}  // namespace

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
      if (change.after == nullptr && IsOfAnotherMesh(step.state, *change.before))
        step.new_meshes.insert(key.mesh);
    } else if (key.kind == kZone && key.name == settings.zone && change.after == nullptr) {
      step.zone_gone = true;
      step.zone_was_stored = change.before->meta().revision.value != 0;
    } else if (ConcernsCollectors(key.kind)) {
      step.collectors.insert(key.mesh);
    }
  }
  for (const NameOfMesh& service : changes.services_with_changed_members)
    step.services.insert(service);
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
  const WallTime due = *started_time + std::chrono::duration_cast<WallTime::duration>(
                                           settings.deletion_grace_period);
  deletion_due[key] = due;
  due_by_time.emplace(due, key);
}

void Derivation::State::TakeGenerators(Step& step) {
  std::vector<HostnameRule> rules;
  const auto add = [&](const model::Resource& resource) {
    rules.push_back(RuleOf(resource, kMeshService));
  };
  step.state.current()
      .GlobalsOf(kHostnameGenerator)
      .ForEach([&](const std::string&, const ResourcePtr& resource) { add(*resource); });
  for (const auto& [key, resource] : step.wanted) {
    if (key.kind == kHostnameGenerator) add(*resource);
  }
  Hostnames::Affected affected;
  hostnames.SetRules(std::move(rules), affected);
  step.services.merge(affected);
}

}  // namespace kuma::derive

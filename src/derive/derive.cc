#include "derive/derive.h"

#include <utility>

#include "base/check.h"
#include "derive/internal/derivation_state.h"
#include "derive/internal/service_rules.h"
#include "model/names.h"

namespace kuma::derive {
namespace {

VipPool MakePool(const std::string& cidr) {
  base::Result<VipPool> pool = VipPool::Make(cidr);
  CHECK(pool.has_value(), "the CIDR of VIPs was checked with the configuration");
  return *std::move(pool);
}

// Same in all that a Put writes, save the status.
bool SameButStatus(const model::Resource& a, const model::Resource& b) {
  return mesh::SameContent(model::Resource(a.type(), a.meta(), a.spec()),
                           model::Resource(b.type(), b.meta(), b.spec()));
}

}  // namespace

Derivation::State::State(Settings given)
    : settings(std::move(given)),
      hostnames(std::string(kMeshService), settings.zone),
      pool(MakePool(settings.mesh_service_cidr)) {}

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
      writes.push_back(
          {.key = key, .resource = resource, .status_only = SameButStatus(*held, *resource)});
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

Derivation::Derivation(Settings settings) : state_(std::make_unique<State>(std::move(settings))) {}
Derivation::~Derivation() = default;

std::vector<Derived> Derivation::Run(const MeshState& state, const ChangeSet& changes,
                                     WallTime now) {
  State::Step step(state, now);
  state_->Take(step, changes);
  state_->DeriveWorld(step);
  for (const std::string& mesh : step.new_meshes) state_->DeriveDefaultsOf(step, mesh);
  if (step.new_generators) state_->TakeGenerators(step);
  for (const NameOfMesh& workload_name : step.workloads)
    state_->DeriveWorkload(step, workload_name);
  // A rule may add services that come earlier: a hostname that changed hands.
  std::set<NameOfMesh> done;
  while (!step.services.empty()) {
    const NameOfMesh name = *step.services.begin();
    step.services.erase(step.services.begin());
    if (done.insert(name).second) state_->DeriveService(step, name);
  }
  for (const std::string& mesh : step.collectors) state_->DeriveCollectors(step, mesh);
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
    if (held == nullptr || held->meta().Label(model::kManagedByLabel) != kMeshServiceGenerator)
      continue;
    if (ChoosePorts(state_->DataplanesOf({key.mesh, key.name}), {}).empty())
      step.wanted[key] = nullptr;
  }
  timed.writes = state_->Finish(step);
  if (!due.empty()) timed.next = due.begin()->first;
  return timed;
}

std::vector<Derived> Derivation::OnConnection(const MeshState& state, const base::ProxyKey& proxy,
                                              bool connected) {
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
    state_->DeriveWorkloadItself(step, {proxy.mesh, name},
                                 state_->DataplanesOf({proxy.mesh, name}));
  }
  return state_->Finish(step);
}

std::vector<Notice> Derivation::TakeNotices() { return std::exchange(state_->new_notices, {}); }

}  // namespace kuma::derive

#pragma once

// A MeshState with its Derivation and a store that takes every write: for tests of this room.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "derive/derive.h"
#include "mesh/mesh_state.h"
#include "model/describe.h"
#include "model/duration.h"
#include "model/value.h"
#include "resources/dataplane/dataplane.h"
#include "resources/hostname_generator/hostname_generator.h"
#include "resources/mesh/mesh.h"
#include "resources/mesh_service/mesh_service.h"
#include "resources/secret/secret.h"
#include "resources/workload/workload.h"
#include "resources/zone/zone.h"

namespace kuma::derive {

namespace dataplane = resources::dataplane;
namespace mesh_service = resources::mesh_service;
namespace workload = resources::workload;
using model::Labels;
using model::ResourceKey;
using model::ResourcePtr;

struct FakePolicy {
  std::string text;
  static constexpr auto Fields() {
    return std::tuple{model::Field("text", &FakePolicy::text, "Something.")};
  }
};
inline const model::ResourceType& FakePolicyType(std::string_view kind) {
  static const model::ResourceType retry = model::Describe<FakePolicy>(
      {.kind = "MeshRetry", .global_to_zones = true, .zone_to_global = true});
  static const model::ResourceType timeout = model::Describe<FakePolicy>(
      {.kind = "MeshTimeout", .global_to_zones = true, .zone_to_global = true});
  return kind == "MeshRetry" ? retry : timeout;
}

inline model::Metadata MetaOf(const std::string& mesh, const std::string& name,
                              Labels labels = {}) {
  model::Metadata meta;
  meta.mesh = mesh;
  meta.name = name;
  meta.labels = std::move(labels);
  return meta;
}
inline ResourcePtr MakeMesh(const std::string& name, std::vector<std::string> skip = {}) {
  return model::MakeResource(resources::mesh::Type(), MetaOf("", name),
                             resources::mesh::Spec{std::move(skip)});
}
inline ResourcePtr MakeZone(const std::string& name) {
  return model::MakeResource(resources::zone::Type(), MetaOf("", name), resources::zone::Spec{});
}
inline ResourcePtr MakeSecret(const std::string& mesh, const std::string& name) {
  return model::MakeResource(resources::secret::Type(), MetaOf(mesh, name),
                             resources::secret::WithData("key"));
}
inline ResourcePtr MakeGenerator(const std::string& name, const std::string& text,
                                 Labels match = {}) {
  resources::hostname_generator::Spec spec;
  spec.selector.mesh_service.emplace().match_labels = std::move(match);
  spec.template_text = text;
  return model::MakeResource(resources::hostname_generator::Type(), MetaOf("", name),
                             std::move(spec));
}
inline ResourcePtr MakeService(const std::string& mesh, const std::string& name, Labels labels,
                               Labels match) {
  mesh_service::Spec spec;
  spec.selector.dataplane_labels.emplace().match_labels = std::move(match);
  return model::MakeResource(mesh_service::Type(), MetaOf(mesh, name, std::move(labels)),
                             std::move(spec));
}
inline ResourcePtr WithStatus(const ResourcePtr& service, mesh_service::Status status) {
  return std::make_shared<model::Resource>(
      service->type(), service->meta(), service->spec(),
      std::make_shared<const mesh_service::Status>(std::move(status)));
}
struct TestInbound {
  std::string name;
  uint32_t port = 0;
  std::string protocol;
  dataplane::InboundState state = dataplane::InboundState::kReady;
};
inline ResourcePtr MakeDataplane(const std::string& mesh, const std::string& name, Labels labels,
                                 const std::vector<TestInbound>& inbounds) {
  dataplane::Spec spec;
  spec.networking.emplace().address = "10.0.0.1";
  for (const TestInbound& inbound : inbounds) {
    dataplane::Inbound& added = spec.networking->inbound.emplace_back();
    added.name = inbound.name;
    added.port = inbound.port;
    added.protocol = inbound.protocol;
    added.state = inbound.state;
  }
  return model::MakeResource(dataplane::Type(), MetaOf(mesh, name, std::move(labels)),
                             std::move(spec));
}

inline mesh::Change CreationOf(const ResourcePtr& resource) {
  return {.key = resource->key(),
          .before = nullptr,
          .after = resource,
          .revision = {},
          .inputs_changed = false};
}
inline mesh::Change DeletionOf(const ResourceKey& key) {
  return {.key = key, .before = nullptr, .after = nullptr, .revision = {}, .inputs_changed = false};
}

inline Settings TestSettings() {
  Settings settings;
  settings.default_policies = [](const std::string& mesh) {
    return std::vector<ResourcePtr>{
        model::MakeResource(FakePolicyType("MeshRetry"), MetaOf(mesh, "mesh-retry-all-" + mesh),
                            FakePolicy{}),
        model::MakeResource(FakePolicyType("MeshTimeout"), MetaOf(mesh, "mesh-timeout-all-" + mesh),
                            FakePolicy{})};
  };
  settings.first_signing_key = [](const std::string& mesh) {
    return MakeSecret(mesh, "dataplane-token-signing-key-" + mesh + "-1");
  };
  return settings;
}

class World {
 public:
  using Texts = std::vector<std::string>;

  explicit World(Settings settings = TestSettings())
      : settings_(settings), derivation_(std::make_unique<Derivation>(settings)) {}

  model::WallTime now() const { return now_; }

  // Each returns the derived writes as text: "+" created, "-" deleted, "*" put, "~" status only.
  Texts Start(const std::vector<ResourcePtr>& stored = {}) {
    std::vector<mesh::Change> changes;
    for (const ResourcePtr& resource : stored) changes.push_back(CreationOf(Stored(resource)));
    return Settle(state_.Apply(changes));
  }
  Texts Put(const ResourcePtr& resource) { return Apply({CreationOf(resource)}); }
  // With all that it owns.
  Texts Delete(const std::string& kind, const std::string& mesh, const std::string& name) {
    return Apply({DeletionOf({kind, mesh, name})});
  }
  Texts Apply(std::vector<mesh::Change> changes) {
    std::vector<mesh::Change> all;
    now_ += std::chrono::microseconds(1);
    std::set<ResourceKey> deleted;
    for (mesh::Change& change : changes) {
      if (change.after != nullptr)
        change.after = Stored(change.after, deleted.contains(change.key));
      if (change.after == nullptr) {
        deleted.insert(change.key);
        ForEach([&](const ResourcePtr& held) {
          if (held->meta().owner == change.key) all.push_back(DeletionOf(held->key()));
        });
      }
      all.push_back(change);
    }
    return Settle(state_.Apply(all));
  }
  Texts Connect(const std::string& mesh, const std::string& name, bool connected) {
    const base::ProxyKey proxy{mesh, name};
    if (connected) {
      connected_.insert(proxy);
    } else {
      connected_.erase(proxy);
    }
    const std::vector<Derived> writes = derivation_->OnConnection(state_, proxy, connected);
    for (const Derived& write : writes) EXPECT_TRUE(write.status_only) << write.key.ToString();
    const Texts texts = TextsOf(writes);
    EXPECT_EQ(TextsOf(derivation_->Run(state_, Store(writes), now_)), Texts{});
    return texts;
  }
  Texts Advance(std::chrono::nanoseconds time) {
    now_ += std::chrono::duration_cast<model::WallTime::duration>(time);
    const Derivation::Timed timed = derivation_->RunTimers(state_, now_);
    Texts texts = TextsOf(timed.writes);
    for (std::string& text : Settle(Store(timed.writes))) texts.push_back(std::move(text));
    return texts;
  }
  std::optional<model::WallTime> NextTimer() { return derivation_->RunTimers(state_, now_).next; }

  // A new process with the same store and the same proxies.
  Texts Restart() {
    derivation_ = std::make_unique<Derivation>(settings_);
    for (const base::ProxyKey& proxy : connected_) derivation_->OnConnection(state_, proxy, true);
    mesh::ChangeSet all;
    ForEach([&](const ResourcePtr& held) { all.changes.push_back(AsCreated(held)); });
    return Settle(Sorted(std::move(all)));
  }
  // What a new process would write, without doing it. Addresses that rest are forgotten by it,
  // which changes nothing.
  Texts RunFromScratch() {
    Derivation fresh(settings_);
    for (const base::ProxyKey& proxy : connected_) fresh.OnConnection(state_, proxy, true);
    mesh::ChangeSet all;
    ForEach([&](const ResourcePtr& held) { all.changes.push_back(AsCreated(held)); });
    return TextsOf(fresh.Run(state_, Sorted(std::move(all)), now_));
  }
  void PutWithoutFollowUp(const ResourcePtr& resource) {
    const std::vector<mesh::Change> changes{CreationOf(Stored(resource))};
    state_.Apply(changes);
  }
  // The first writes, applied to the state but not stored yet.
  std::vector<Derived> StartUnstored() {
    const std::vector<Derived> writes = derivation_->Run(state_, {}, now_);
    std::vector<mesh::Change> changes;
    for (const Derived& write : writes) changes.push_back(CreationOf(write.resource));
    EXPECT_EQ(TextsOf(derivation_->Run(state_, state_.Apply(changes), now_)), Texts{});
    return writes;
  }

  Texts TakeNotices() {
    Texts texts;
    for (const Notice& notice : derivation_->TakeNotices())
      texts.push_back(notice.key.ToString() + ": " + notice.text);
    return texts;
  }
  ResourcePtr Find(const std::string& kind, const std::string& mesh,
                   const std::string& name) const {
    return state_.Find({kind, mesh, name});
  }
  const mesh::MeshState& state() const { return state_; }
  // Without times and KRI.
  std::string Json(const std::string& kind, const std::string& mesh,
                   const std::string& name) const {
    model::Value value = model::EncodeResource(*Find(kind, mesh, name));
    for (const char* key : {"creationTime", "modificationTime", "kri"})
      value.if_object()->Erase(key);
    return model::ToJson(value);
  }

  // What must hold in any world at rest.
  void CheckInvariants() const {
    std::map<std::string, std::string> vips;
    std::set<std::pair<std::string, std::string>> hostnames;
    for (const auto& [mesh_name, mesh] : state_.current().meshes) {
      if (mesh->mesh() == nullptr) continue;
      std::map<std::string, int> workloads;
      mesh->Of("Dataplane").ForEach([&](const std::string&, const ResourcePtr& resource) {
        ++workloads[std::string(resource->meta().Label("kuma.io/workload"))];
      });
      workloads.erase("");
      for (const auto& [name, count] : workloads) {
        const ResourcePtr held = mesh->Find("Workload", name);
        ASSERT_NE(held, nullptr) << name;
        EXPECT_EQ(held->Status<workload::Status>()->dataplane_proxies.total, count) << name;
      }
      mesh->Of("MeshService").ForEach([&](const std::string& name, const ResourcePtr& service) {
        const auto* status = service->Status<mesh_service::Status>();
        ASSERT_NE(status, nullptr) << name;
        for (const auto& vip : status->vips)
          EXPECT_TRUE(vips.emplace(vip.ip, name).second) << vip.ip << " twice";
        std::set<std::string> own;
        for (const auto& address : status->addresses) own.insert(address.hostname);
        for (const std::string& hostname : own)
          EXPECT_TRUE(hostnames.emplace(mesh_name, hostname).second) << hostname << " twice";
        if (status->tls.status == mesh_service::TlsStatus::kNone) return;
        EXPECT_EQ(static_cast<size_t>(status->dataplane_proxies.total),
                  mesh->MembersOf(name)->size())
            << name;
      });
    }
  }

 private:
  static mesh::Change AsCreated(const ResourcePtr& held) {
    return {.key = held->key(),
            .before = nullptr,
            .after = held,
            .revision = {},
            .inputs_changed = true};
  }
  mesh::ChangeSet Sorted(mesh::ChangeSet set) const {
    std::sort(set.changes.begin(), set.changes.end(),
              [](const auto& a, const auto& b) { return a.key < b.key; });
    for (const auto& [name, mesh] : state_.current().meshes) {
      mesh->Of("MeshService").ForEach([&](const std::string& service, const ResourcePtr&) {
        if (!mesh->MembersOf(service)->empty())
          set.services_with_changed_members.emplace_back(name, service);
      });
    }
    return set;
  }
  template <class F>
  void ForEach(F f) const {
    for (const auto& [kind, table] : state_.current().globals)
      table.ForEach([&](const std::string&, const ResourcePtr& resource) { f(resource); });
    for (const auto& [name, mesh] : state_.current().meshes) {
      for (const char* kind :
           {"Dataplane", "MeshRetry", "MeshService", "MeshTimeout", "Secret", "Workload"})
        mesh->Of(kind).ForEach(
            [&](const std::string&, const ResourcePtr& resource) { f(resource); });
    }
  }
  // As the store gives it back.
  ResourcePtr Stored(const ResourcePtr& resource, bool was_deleted = false) {
    model::Metadata meta = resource->meta();
    const ResourcePtr held = was_deleted ? nullptr : state_.Find(resource->key());
    meta.revision = {++revision_};
    meta.creation_time = held == nullptr ? now_ : held->meta().creation_time;
    meta.modification_time = now_;
    if (!meta.mesh.empty() && !meta.owner.has_value())
      meta.owner = ResourceKey{"Mesh", "", meta.mesh};
    return std::make_shared<model::Resource>(resource->type(), std::move(meta), resource->spec(),
                                             resource->status());
  }
  // Applies writes, then their echoes from the store, which must change nothing.
  mesh::ChangeSet Store(const std::vector<Derived>& writes) {
    std::vector<mesh::Change> changes;
    for (const Derived& write : writes) {
      EXPECT_EQ(write.must_not_exist,
                write.resource != nullptr && state_.Find(write.key) == nullptr);
      changes.push_back(write.resource == nullptr ? DeletionOf(write.key)
                                                  : CreationOf(write.resource));
    }
    mesh::ChangeSet applied = state_.Apply(changes);
    EXPECT_EQ(applied.changes.size(), writes.size()) << "a write that changes nothing";
    std::vector<mesh::Change> echoes;
    for (const Derived& write : writes)
      echoes.push_back(write.resource == nullptr ? DeletionOf(write.key)
                                                 : CreationOf(Stored(write.resource)));
    EXPECT_TRUE(state_.Apply(echoes).empty());
    return applied;
  }
  Texts Settle(const mesh::ChangeSet& changes) {
    const std::vector<Derived> writes = derivation_->Run(state_, changes, now_);
    const Texts texts = TextsOf(writes);
    const mesh::ChangeSet applied = Store(writes);
    EXPECT_EQ(TextsOf(derivation_->Run(state_, applied, now_)), Texts{}) << "no fixed point";
    return texts;
  }
  Texts TextsOf(const std::vector<Derived>& writes) const {
    Texts texts;
    for (const Derived& write : writes) {
      const char* sign = write.resource == nullptr ? "-"
                         : write.must_not_exist    ? "+"
                         : write.status_only       ? "~"
                                                   : "*";
      texts.push_back(sign + write.key.ToString());
    }
    return texts;
  }

  Settings settings_;
  mesh::MeshState state_;
  std::unique_ptr<Derivation> derivation_;
  std::set<base::ProxyKey> connected_;
  model::WallTime now_{std::chrono::hours(400000)};
  uint64_t revision_ = 0;
};

}  // namespace kuma::derive

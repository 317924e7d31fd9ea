#include "mesh/mesh_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>
#include <set>

#include "base/format.h"
#include "model/describe.h"
#include "resources/dataplane/dataplane.h"
#include "resources/dataplane_insight/dataplane_insight.h"
#include "resources/mesh/mesh.h"
#include "resources/mesh_service/mesh_service.h"

namespace kuma::mesh {
namespace {

namespace dataplane = resources::dataplane;
namespace mesh_service = resources::mesh_service;
using Labels = model::Labels;

model::Metadata Meta(const std::string& mesh, const std::string& name, Labels labels = {}) {
  model::Metadata meta;
  meta.mesh = mesh;
  meta.name = name;
  meta.labels = std::move(labels);
  return meta;
}

ResourcePtr Dataplane(const std::string& name, Labels labels, uint32_t port = 80,
                      const std::string& mesh = "default") {
  dataplane::Spec spec;
  spec.networking.emplace().address = "10.0.0.1";
  if (port != 0) spec.networking->inbound.emplace_back().port = port;
  return model::MakeResource(dataplane::Type(), Meta(mesh, name, std::move(labels)),
                             std::move(spec));
}

ResourcePtr Service(const std::string& name, Labels match, const std::string& mesh = "default") {
  mesh_service::Spec spec;
  spec.selector.dataplane_labels.emplace().match_labels = std::move(match);
  return model::MakeResource(mesh_service::Type(), Meta(mesh, name), std::move(spec));
}

ResourcePtr ServiceOfOne(const std::string& name, const std::string& dataplane,
                         const std::string& mesh = "default") {
  mesh_service::Spec spec;
  spec.selector.dataplane_ref.emplace().name = dataplane;
  return model::MakeResource(mesh_service::Type(), Meta(mesh, name), std::move(spec));
}

ResourcePtr Mesh(const std::string& name) {
  return model::MakeResource(resources::mesh::Type(), Meta("", name), resources::mesh::Spec{});
}

Change Put(const ResourcePtr& resource, uint64_t revision = 0) {
  return {.key = resource->key(), .before = nullptr, .after = resource, .revision = {revision}};
}
Change Delete(const ResourcePtr& resource, uint64_t revision = 0) {
  return {.key = resource->key(), .before = resource, .after = nullptr, .revision = {revision}};
}

std::vector<std::string> Names(const Members& members) {
  std::vector<std::string> names;
  for (const ResourcePtr& member : members) names.push_back(member->name());
  return names;
}

using Texts = std::vector<std::string>;
using Services = std::vector<std::pair<std::string, std::string>>;

class MeshStateTest : public testing::Test {
 protected:
  ChangeSet Apply(std::vector<Change> changes) { return state_.Apply(changes); }
  Texts MembersOf(const std::string& service) const {
    return Names(*state_.current().Mesh("default")->MembersOf(service));
  }
  MeshState state_;
};

TEST_F(MeshStateTest, ReportsWhatChangedOnceAKeyInOrder) {
  const ResourcePtr a1 = Dataplane("a", {}, 1);
  const ResourcePtr a2 = Dataplane("a", {}, 2);
  const ResourcePtr b = Dataplane("b", {});
  const ChangeSet set = Apply({Put(b, 1), Put(a1, 2), Put(a2, 3)});
  ASSERT_EQ(set.changes.size(), 2u);
  EXPECT_EQ(set.changes[0].key.name, "a");
  EXPECT_EQ(set.changes[0].before, nullptr);
  EXPECT_EQ(set.changes[0].after, a2);
  EXPECT_EQ(set.changes[0].revision.value, 3u);
  EXPECT_TRUE(set.changes[0].inputs_changed);
  EXPECT_EQ(set.changes[1].after, b);
  EXPECT_EQ(set.Find(b->key()), &set.changes[1]);
  EXPECT_EQ(set.Find(Mesh("x")->key()), nullptr);

  // Made and deleted in one step: nothing.
  const ResourcePtr c = Dataplane("c", {});
  EXPECT_TRUE(Apply({Put(c), Delete(c)}).empty());
  EXPECT_TRUE(Apply({Delete(c)}).empty());

  const ChangeSet gone = Apply({Delete(b, 9)});
  ASSERT_EQ(gone.changes.size(), 1u);
  EXPECT_EQ(gone.changes[0].before, b);
  EXPECT_EQ(gone.changes[0].after, nullptr);
  EXPECT_EQ(state_.Freeze()->revision.value, 9u);
}

TEST_F(MeshStateTest, EqualContentIsNoChangeButTheNewerIsHeld) {
  const ResourcePtr first = Dataplane("a", {{"x", "1"}});
  Apply({Put(Service("s", {{"x", "1"}})), Put(first, 1)});
  model::Metadata meta = first->meta();
  meta.revision = {7};
  meta.creation_time = model::WallTime(std::chrono::hours(1));
  dataplane::Spec spec = first->Spec<dataplane::Spec>();
  const ResourcePtr stored = model::MakeResource(dataplane::Type(), meta, std::move(spec));
  const ChangeSet set = Apply({Put(stored, 7)});
  EXPECT_TRUE(set.empty());
  EXPECT_TRUE(set.services_with_changed_members.empty());
  EXPECT_EQ(state_.Find(stored->key()), stored);
  EXPECT_EQ(state_.current().Mesh("default")->MembersOf("s")->front(), stored);
}

TEST_F(MeshStateTest, InputsAreToldFromCounters) {
  ResourcePtr service = Service("s", {});
  Apply({Put(service)});
  const auto with = [&](std::function<void(mesh_service::Status&)> edit, Labels labels = {}) {
    mesh_service::Status status;
    if (const auto* held = service->Status<mesh_service::Status>()) status = *held;
    edit(status);
    model::Metadata meta = service->meta();
    meta.labels = std::move(labels);
    mesh_service::Spec spec = service->Spec<mesh_service::Spec>();
    service = model::MakeResource(mesh_service::Type(), meta, std::move(spec), std::move(status));
    const ChangeSet set = Apply({Put(service)});
    EXPECT_EQ(set.changes.size(), 1u);
    return !set.changes.empty() && set.changes[0].inputs_changed;
  };
  EXPECT_FALSE(with([](auto& status) { status.dataplane_proxies.total = 3; }));
  EXPECT_TRUE(with([](auto& status) { status.vips.push_back({"241.0.0.1"}); }));
  EXPECT_FALSE(with([](auto& status) { status.dataplane_proxies.connected = 1; }));
  EXPECT_TRUE(with([](auto&) {}, {{"a", "b"}}));

  // Of insights nothing is an input, not even that they exist.
  const ResourcePtr insight =
      model::MakeResource(resources::dataplane_insight::Type(), Meta("default", "a"),
                          resources::dataplane_insight::Spec{});
  const ChangeSet set = Apply({Put(insight)});
  ASSERT_EQ(set.changes.size(), 1u);
  EXPECT_FALSE(set.changes[0].inputs_changed);
}

TEST_F(MeshStateTest, MembersFollowLabelsNamesAndSelectors) {
  const ResourcePtr web1 = Dataplane("web-1", {{"app", "web"}, {"version", "1"}});
  Apply({Put(web1), Put(Dataplane("web-2", {{"app", "web"}, {"version", "2"}})),
         Put(Dataplane("gateway", {{"app", "web"}}, 0)), Put(Dataplane("other", {{"app", "x"}}))});
  EXPECT_EQ(Apply({Put(Service("web", {{"app", "web"}}))}).services_with_changed_members,
            (Services{{"default", "web"}}));
  Apply({Put(Service("v2", {{"app", "web"}, {"version", "2"}})), Put(Service("all", {})),
         Put(ServiceOfOne("one", "web-1")), Put(ServiceOfOne("none", "nobody"))});
  EXPECT_EQ(MembersOf("web"), (Texts{"web-1", "web-2"}));
  EXPECT_EQ(MembersOf("v2"), (Texts{"web-2"}));
  EXPECT_EQ(MembersOf("all"), (Texts{"other", "web-1", "web-2"}));
  EXPECT_EQ(MembersOf("one"), (Texts{"web-1"}));
  EXPECT_EQ(MembersOf("none"), Texts{});
  EXPECT_EQ(MembersOf("unknown"), Texts{});
  EXPECT_EQ(state_.ServicesOf(*web1), (Texts{"all", "one", "web"}));
  EXPECT_EQ(state_.ServicesOf(*Dataplane("gateway", {{"app", "web"}}, 0)), Texts{});

  // A label edit moves it; only the services concerned are named.
  const ChangeSet moved = Apply({Put(Dataplane("web-1", {{"app", "web"}, {"version", "2"}}))});
  EXPECT_EQ(
      moved.services_with_changed_members,
      (Services{{"default", "all"}, {"default", "one"}, {"default", "v2"}, {"default", "web"}}));
  EXPECT_EQ(MembersOf("v2"), (Texts{"web-1", "web-2"}));
  EXPECT_EQ(Apply({Put(Dataplane("other", {{"app", "x"}}, 81))}).services_with_changed_members,
            (Services{{"default", "all"}}));
  // Losing the last inbound is leaving.
  Apply({Put(Dataplane("web-2", {{"app", "web"}, {"version", "2"}}, 0))});
  EXPECT_EQ(MembersOf("v2"), (Texts{"web-1"}));

  Apply({Put(Service("v2", {{"app", "x"}}))});
  EXPECT_EQ(MembersOf("v2"), (Texts{"other"}));
  EXPECT_TRUE(Apply({Delete(Service("v2", {}))}).services_with_changed_members.empty());
  EXPECT_EQ(MembersOf("v2"), Texts{});
}

TEST_F(MeshStateTest, ChangesThatAreNoInputsDoNotTouchMembers) {
  const ResourcePtr before = Dataplane("a", {{"x", "1"}});
  Apply({Put(Service("s", {{"x", "1"}})), Put(before)});
  model::Metadata meta = before->meta();
  meta.owned_by_proxy = true;
  dataplane::Spec spec = before->Spec<dataplane::Spec>();
  const ResourcePtr after = model::MakeResource(dataplane::Type(), meta, std::move(spec));
  const ChangeSet set = Apply({Put(after)});
  ASSERT_EQ(set.changes.size(), 1u);
  EXPECT_FALSE(set.changes[0].inputs_changed);
  EXPECT_TRUE(set.services_with_changed_members.empty());
  EXPECT_EQ(state_.current().Mesh("default")->MembersOf("s")->front(), after);
}

TEST_F(MeshStateTest, MeshLivesWhileItOrItsContentsExist) {
  EXPECT_EQ(state_.current().Mesh("default"), nullptr);
  Apply({Put(Dataplane("a", {}))});
  ASSERT_NE(state_.current().Mesh("default"), nullptr);
  EXPECT_EQ(state_.current().Mesh("default")->mesh(), nullptr);
  const ResourcePtr mesh = Mesh("default");
  Apply({Put(mesh)});
  EXPECT_EQ(state_.current().Mesh("default")->mesh(), mesh);
  EXPECT_EQ(state_.current().FindGlobal("Mesh", "default"), mesh);
  Apply({Delete(Dataplane("a", {}))});
  EXPECT_TRUE(state_.current().Mesh("default")->Of("Dataplane").empty());
  Apply({Delete(mesh)});
  EXPECT_EQ(state_.current().Mesh("default"), nullptr);
  EXPECT_TRUE(state_.current().GlobalsOf("Mesh").empty());
}

TEST_F(MeshStateTest, SnapshotsStayAsTheyWereAndShareStructure) {
  std::vector<Change> changes;
  for (int i = 0; i < 3000; ++i)
    changes.push_back(Put(Dataplane(base::Format("d{:04}", i), {{"app", "web"}})));
  changes.push_back(Put(Service("web", {{"app", "web"}})));
  changes.push_back(Put(Dataplane("elsewhere", {}, 80, "other")));
  Apply(changes);
  const SnapshotPtr first = state_.Freeze();
  EXPECT_EQ(state_.Freeze(), first);

  Apply({Put(Dataplane("d0001", {{"app", "web"}}, 81)), Delete(Dataplane("d0002", {}))});
  const SnapshotPtr second = state_.Freeze();
  const MeshSnapshot& before = *first->Mesh("default");
  const MeshSnapshot& after = *second->Mesh("default");
  EXPECT_EQ(before.MembersOf("web")->size(), 3000u);
  EXPECT_EQ(after.MembersOf("web")->size(), 2999u);
  EXPECT_NE(before.Find("Dataplane", "d0002"), nullptr);
  EXPECT_EQ(after.Find("Dataplane", "d0002"), nullptr);
  EXPECT_EQ(before.Of("Dataplane").SharedChunksForTest(after.Of("Dataplane")),
            before.Of("Dataplane").ChunksForTest() - 1);
  EXPECT_EQ(first->meshes.at("other"), second->meshes.at("other"));
}

// Random changes: what is held, the members and the report equal what brute force says.
TEST_F(MeshStateTest, IncrementalEqualsFromScratch) {
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE(base::Format("seed {}", seed));
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t bound) { return random() % bound; };
    const auto labels = [&](uint64_t most) {
      Labels result;
      for (uint64_t i = below(most + 1); i > 0; --i)
        result[below(5) == 0 ? "kuma.io/zone" : base::Format("k{}", below(4))] =
            base::Format("v{}", below(3));
      return result;
    };
    MeshState state;
    std::map<ResourceKey, ResourcePtr> model;
    SnapshotPtr last = state.Freeze();
    std::vector<std::pair<SnapshotPtr, std::map<ResourceKey, ResourcePtr>>> kept;

    for (int step = 0; step < 150; ++step) {
      const std::map<ResourceKey, ResourcePtr> before = model;
      std::vector<Change> changes;
      std::set<std::string> selectors_changed;
      for (uint64_t i = 1 + below(4); i > 0; --i) {
        const std::string mesh = below(4) == 0 ? "m2" : "m1";
        ResourcePtr resource;
        switch (below(5)) {
          case 0: resource = Service(base::Format("s{}", below(8)), labels(2), mesh); break;
          case 1:
            resource =
                ServiceOfOne(base::Format("s{}", below(8)), base::Format("d{}", below(12)), mesh);
            break;
          case 2: resource = Mesh(mesh); break;
          default:
            resource = Dataplane(base::Format("d{}", below(12)), labels(4),
                                 static_cast<uint32_t>(below(3)), mesh);
        }
        if (resource->key().kind == "MeshService")
          selectors_changed.insert(mesh + "/" + resource->name());
        if (below(4) == 0) {
          model.erase(resource->key());
          changes.push_back(Delete(resource));
        } else {
          model[resource->key()] = resource;
          changes.push_back(Put(resource));
        }
      }
      const ChangeSet set = state.Apply(changes);
      if (below(3) == 0) last = state.Freeze();
      const Snapshot& now = state.current();

      // The report.
      std::map<ResourceKey, std::pair<ResourcePtr, ResourcePtr>> expected;
      for (const auto& [key, resource] : before)
        if (!model.contains(key)) expected[key] = {resource, nullptr};
      for (const auto& [key, resource] : model) {
        const auto old = before.find(key);
        if (old == before.end()) {
          expected[key] = {nullptr, resource};
        } else if (!SameContent(*old->second, *resource)) {
          expected[key] = {old->second, resource};
        }
      }
      std::map<ResourceKey, std::pair<ResourcePtr, ResourcePtr>> reported;
      for (const Change& change : set.changes) {
        reported[change.key] = {change.before, change.after};
        ASSERT_EQ(change.inputs_changed, !SameInputs(change.before, change.after));
      }
      ASSERT_EQ(reported, expected) << "step " << step;

      // Members.
      std::set<std::pair<std::string, std::string>> changed;
      for (const auto& [key, service] : model) {
        if (key.kind != "MeshService") continue;
        Members members;
        bool differs = false;
        for (const auto& [other_key, other] : model) {
          if (other_key.kind != "Dataplane" || !SelectorMatches(*service, *other)) continue;
          members.push_back(other);
          const auto old = before.find(other_key);
          if (old == before.end() || !SameInputs(old->second, other)) differs = true;
          const auto old_service = before.find(key);
          if (old != before.end() && old_service != before.end() &&
              !SelectorMatches(*old_service->second, *old->second)) {
            differs = true;
          }
        }
        if (!before.contains(key)) differs = !members.empty();
        if (const auto old_service = before.find(key); old_service != before.end()) {
          for (const auto& [other_key, other] : before) {
            if (other_key.kind != "Dataplane" || !SelectorMatches(*old_service->second, *other))
              continue;
            const auto found = model.find(other_key);
            if (found == model.end() || !SelectorMatches(*service, *found->second)) differs = true;
          }
        }
        ASSERT_EQ(*now.Mesh(key.mesh)->MembersOf(key.name), members)
            << key.ToString() << " at step " << step;
        if (differs) changed.emplace(key.mesh, key.name);
        for (const ResourcePtr& member : members) {
          const auto of = state.ServicesOf(*member);
          ASSERT_TRUE(std::find(of.begin(), of.end(), key.name) != of.end());
        }
      }
      const std::set<std::pair<std::string, std::string>> named(
          set.services_with_changed_members.begin(), set.services_with_changed_members.end());
      for (const auto& service : changed)
        ASSERT_TRUE(named.contains(service)) << service.second << " at step " << step;
      for (const auto& service : named) {
        if (selectors_changed.contains(service.first + "/" + service.second)) continue;
        ASSERT_TRUE(changed.contains(service)) << service.second << " at step " << step;
      }
      if (below(20) == 0) kept.emplace_back(state.Freeze(), model);
    }
    // Snapshots given out on the way.
    for (const auto& [snapshot, contents] : kept) {
      size_t held = 0;
      for (const auto& [kind, table] : snapshot->globals) held += table.size();
      for (const auto& [name, mesh] : snapshot->meshes) {
        for (const char* kind : {"Dataplane", "MeshService"}) held += mesh->Of(kind).size();
      }
      ASSERT_EQ(held, contents.size());
      for (const auto& [key, resource] : contents) {
        ASSERT_EQ(snapshot->Find(key), resource);
        if (key.kind != "MeshService") continue;
        Members members;
        for (const auto& [other_key, other] : contents)
          if (other_key.kind == "Dataplane" && SelectorMatches(*resource, *other))
            members.push_back(other);
        ASSERT_EQ(*snapshot->Mesh(key.mesh)->MembersOf(key.name), members);
      }
    }
  }
}

#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// The budget of the writer: the fastest of many tries, so that a busy machine does not fail it.
TEST_F(MeshStateTest, OneChangeAmongFiftyThousandIsCheap) {
  std::vector<Change> changes;
  for (int i = 0; i < 50000; ++i) {
    changes.push_back(Put(Dataplane(base::Format("dataplane-{:05}", i),
                                    {{"app", base::Format("service-{:04}", i / 50)},
                                     {"kuma.io/workload", base::Format("workload-{:04}", i / 50)},
                                     {"kuma.io/zone", "default"},
                                     {"kuma.io/origin", "zone"},
                                     {"kuma.io/env", "universal"}})));
  }
  for (int i = 0; i < 1000; ++i)
    changes.push_back(Put(
        Service(base::Format("service-{:04}", i), {{"app", base::Format("service-{:04}", i)}})));
  const auto start = std::chrono::steady_clock::now();
  Apply(changes);
  const auto loaded = std::chrono::steady_clock::now() - start;
  SnapshotPtr held = state_.Freeze();
  auto best = std::chrono::steady_clock::duration::max();
  for (int i = 0; i < 300; ++i) {
    const std::vector<Change> one = {Put(
        Dataplane(base::Format("dataplane-{:05}", i * 7919 % 50000),
                  {{"app", base::Format("service-{:04}", i)}}, static_cast<uint32_t>(1000 + i)))};
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_EQ(state_.Apply(one).changes.size(), 1u);
    SnapshotPtr next = state_.Freeze();
    best = std::min(best, std::chrono::steady_clock::now() - begin);
    held = std::move(next);
  }
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  RecordProperty("load_ms",
                 static_cast<int>(duration_cast<std::chrono::milliseconds>(loaded).count()));
  RecordProperty("change_us", static_cast<int>(duration_cast<microseconds>(best).count()));
  EXPECT_LE(duration_cast<microseconds>(best).count(), 50);
}
#endif

}  // namespace
}  // namespace kuma::mesh

#include "store/internal/table.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "base/format.h"
#include "store/internal/history.h"

namespace kuma::store::internal {
namespace {

bool Matches(const ListQuery& query, const model::Resource& resource) {
  if (!query.name_contains.empty() &&
      resource.name().find(query.name_contains) == std::string::npos) {
    return false;
  }
  return std::all_of(query.labels.begin(), query.labels.end(), [&](const auto& label) {
    const auto found = resource.meta().labels.find(label.first);
    return found != resource.meta().labels.end() && found->second == label.second;
  });
}

bool EqualBodies(const model::BodyOps& ops, const std::shared_ptr<const void>& a,
                 const std::shared_ptr<const void>& b) {
  if (a == b) return true;
  if (a == nullptr || b == nullptr) return false;
  return ops.equal != nullptr && ops.equal(a.get(), b.get());
}

// Equal in everything that a writer decides.
bool EqualContent(const model::Resource& a, const model::Resource& b) {
  return a.meta().labels == b.meta().labels && a.meta().owner == b.meta().owner &&
         a.meta().owned_by_proxy == b.meta().owned_by_proxy &&
         EqualBodies(a.type().spec, a.spec(), b.spec()) &&
         EqualBodies(a.type().status, a.status(), b.status());
}

base::Status CheckExpected(const Write& write, const ResourceKey& key, const ResourcePtr& stored) {
  if (!write.expected.has_value()) return base::Ok{};
  const Revision expected = *write.expected;
  if (expected.value == 0) {
    if (stored == nullptr) return base::Ok{};
    return base::Conflict(key.ToString() + " exists already");
  }
  if (stored == nullptr) {
    return base::Conflict(base::Format("{} does not exist any more: expected it at revision {}",
                                       key.ToString(), expected.value));
  }
  if (stored->meta().revision == expected) return base::Ok{};
  return base::Conflict(
      base::Format("{} was changed by another writer: expected revision {}, found {}",
                   key.ToString(), expected.value, stored->meta().revision.value));
}

base::Status CheckWellFormed(const Write& write) {
  if (write.kind == Write::Kind::kDelete) return base::Ok{};
  if (write.resource == nullptr) return base::Invalid("a put without a resource");
  const model::Resource& resource = *write.resource;
  const ResourceKey key = resource.key();
  if (key.name.empty()) return base::Invalid(key.kind + " without a name");
  if (resource.spec() == nullptr && !write.status_only) {
    return base::Invalid(key.ToString() + " has no spec");
  }
  const bool global = resource.type().scope == model::Scope::kGlobal;
  if (global == key.mesh.empty()) return base::Ok{};
  return base::Invalid(key.ToString() +
                       (global ? ": a global kind has no mesh" : ": the mesh is missing"));
}

// The resource that a put leaves behind, with the times and the revision of a new write.
ResourcePtr Stored(const Write& write, const ResourcePtr& before, Revision revision,
                   model::WallTime now) {
  const model::Resource& given = *write.resource;
  model::Metadata meta = write.status_only ? before->meta() : given.meta();
  meta.creation_time = before != nullptr ? before->meta().creation_time : now;
  meta.modification_time = now;
  meta.revision = revision;
  std::shared_ptr<const void> spec = write.status_only ? before->spec() : given.spec();
  std::shared_ptr<const void> status = given.status();
  if (status == nullptr && before != nullptr) status = before->status();
  return std::make_shared<const model::Resource>(given.type(), std::move(meta), std::move(spec),
                                                 std::move(status));
}

}  // namespace

ResourcePtr Table::Find(const KeyView& key) const {
  const auto found = resources_.find(key);
  return found == resources_.end() ? nullptr : *found;
}

std::vector<ResourceKey> Table::Owned(const ResourceKey& owner) const {
  std::vector<ResourceKey> keys;
  const auto found = owned_.find(owner);
  if (found == owned_.end()) return keys;
  keys.reserve(found->second.size());
  for (const ResourcePtr& resource : found->second) keys.push_back(resource->key());
  return keys;
}

Page Table::List(const ListQuery& query) const {
  Page page;
  const std::string_view mesh = query.mesh.has_value() ? std::string_view(*query.mesh) : "";
  for (auto next = resources_.lower_bound(KeyView{query.kind, mesh, ""}); next != resources_.end();
       ++next) {
    const model::Resource& resource = **next;
    if (resource.type().kind != query.kind) break;
    if (query.mesh.has_value() && resource.mesh() != mesh) break;
    if (!Matches(query, resource)) continue;
    if (page.total >= query.offset && page.items.size() < query.limit) page.items.push_back(*next);
    ++page.total;
  }
  return page;
}

void Table::Put(ResourcePtr resource) {
  if (const auto found = resources_.find(resource); found != resources_.end()) {
    Unlink(*found);
    resources_.erase(found);
  }
  if (resource->meta().owner.has_value()) owned_[*resource->meta().owner].insert(resource);
  resources_.insert(std::move(resource));
}

void Table::Erase(const ResourceKey& key) {
  const auto found = resources_.find(ViewOf(key));
  if (found == resources_.end()) return;
  Unlink(*found);
  resources_.erase(found);
}

void Table::Unlink(const ResourcePtr& resource) {
  if (!resource->meta().owner.has_value()) return;
  const auto owned = owned_.find(*resource->meta().owner);
  CHECK(owned != owned_.end(), "every owned resource is in the index of owners");
  owned->second.erase(resource);
  if (owned->second.empty()) owned_.erase(owned);
}

ResourcePtr Stage::Find(const ResourceKey& key) const {
  const auto found = changed_.find(key);
  if (found != changed_.end()) return found->second;
  return below_ != nullptr ? below_->Find(key) : table_->Find(ViewOf(key));
}

std::vector<ResourceKey> Stage::Owned(const ResourceKey& owner) const {
  std::vector<ResourceKey> keys = below_ != nullptr ? below_->Owned(owner) : table_->Owned(owner);
  std::erase_if(keys, [this](const ResourceKey& key) { return changed_.contains(key); });
  if (const auto found = owned_.find(owner); found != owned_.end()) {
    keys.insert(keys.end(), found->second.begin(), found->second.end());
    std::sort(keys.begin(), keys.end());
  }
  return keys;
}

void Stage::Put(ResourcePtr resource) {
  const ResourceKey key = resource->key();
  Set(key, std::move(resource));
}

void Stage::Erase(const ResourceKey& key) { Set(key, nullptr); }

void Stage::Absorb(Stage&& above) {
  CHECK(above.below_ == this, "only the stage directly above can be absorbed");
  for (auto& [key, resource] : above.changed_) Set(key, std::move(resource));
  above.changed_.clear();
  above.owned_.clear();
}

void Stage::Set(const ResourceKey& key, ResourcePtr resource) {
  ResourcePtr& slot = changed_[key];
  if (slot != nullptr && slot->meta().owner.has_value()) owned_[*slot->meta().owner].erase(key);
  slot = std::move(resource);
  if (slot != nullptr && slot->meta().owner.has_value()) owned_[*slot->meta().owner].insert(key);
}

base::Result<Plan> PlanTransaction(const Transaction& transaction, Revision newest,
                                   model::WallTime now, Stage& stage) {
  Plan plan;
  const Revision next{newest.value + 1};
  for (const Write& write : transaction.writes) {
    TRY(CheckWellFormed(write));
    const bool is_put = write.kind == Write::Kind::kPut;
    const ResourceKey key = is_put ? write.resource->key() : write.key;
    ResourcePtr before = stage.Find(key);
    if (before == nullptr && (!is_put || write.status_only)) {
      return base::NotFound(key.ToString() + " does not exist");
    }
    TRY(CheckExpected(write, key, before));
    plan.answer.created.push_back(is_put && before == nullptr);

    if (is_put) {
      ResourcePtr after = Stored(write, before, next, now);
      if (before != nullptr && EqualContent(*before, *after)) continue;
      stage.Put(after);
      plan.events.push_back({next, transaction.cause, key, std::move(before), std::move(after)});
      continue;
    }
    std::deque<ResourceKey> doomed{key};
    while (!doomed.empty()) {
      const ResourceKey victim = std::move(doomed.front());
      doomed.pop_front();
      ResourcePtr last = stage.Find(victim);
      if (last == nullptr) continue;  // reached twice, by a cycle of owners
      for (ResourceKey& owned : stage.Owned(victim)) doomed.push_back(std::move(owned));
      stage.Erase(victim);
      plan.events.push_back({next, transaction.cause, victim, std::move(last), nullptr});
    }
  }
  for (const StoreEvent& event : plan.events) {
    if (event.after == nullptr || !event.after->meta().owner.has_value()) continue;
    const ResourceKey& owner = *event.after->meta().owner;
    // Unless a later write of the transaction deleted it again.
    if (stage.Find(event.key) == event.after && stage.Find(owner) == nullptr) {
      return base::NotFound(base::Format("{} belongs to {}, which does not exist",
                                         event.key.ToString(), owner.ToString()));
    }
  }
  if (transaction.origin.has_value()) {
    for (const StoreEvent& event : plan.events) {
      if (auto entry = ToHistory(event, *transaction.origin, now)) {
        plan.history.push_back(*std::move(entry));
      }
    }
  }
  plan.answer.changed = !plan.events.empty();
  plan.answer.revision = plan.answer.changed ? next : newest;
  return plan;
}

}  // namespace kuma::store::internal

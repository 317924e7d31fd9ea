#include "xds/internal/name_set.h"

#include <utility>

namespace kuma::xds::internal {

bool NameSet::Contains(std::string_view name) const {
  if (bundle::Find(*list_, name) != nullptr) return missing_.empty() || !missing_.contains(name);
  return extra_.contains(name);
}

bool NameSet::Add(std::string_view name) {
  if (bundle::Find(*list_, name) == nullptr) return extra_.emplace(name).second;
  const auto found = missing_.find(name);
  if (found == missing_.end()) return false;
  missing_.erase(found);
  return true;
}

bool NameSet::Remove(std::string_view name) {
  if (bundle::Find(*list_, name) != nullptr) return missing_.emplace(name).second;
  const auto found = extra_.find(name);
  if (found == extra_.end()) return false;
  extra_.erase(found);
  return true;
}

size_t NameSet::size() const { return list_->size() - missing_.size() + extra_.size(); }

void NameSet::ForEach(const std::function<void(std::string_view)>& visit) const {
  for (const bundle::SealedPtr& resource : *list_) {
    if (!missing_.contains(resource->name)) visit(resource->name);
  }
  for (const std::string& name : extra_) visit(name);
}

void NameSet::ShareWith(const bundle::SealedListPtr& list) {
  if (list_ == list && missing_.size() <= size()) return;
  Names missing;
  for (const bundle::SealedPtr& resource : *list) {
    if (!Contains(resource->name)) missing.insert(resource->name);
  }
  // With little in common, copies of the names are fewer.
  const bundle::SealedListPtr chosen = missing.size() <= size() ? list : bundle::EmptyList();
  if (missing.size() > size()) missing.clear();
  Names extra;
  ForEach([&](std::string_view name) {
    if (bundle::Find(*chosen, name) == nullptr) extra.emplace(name);
  });
  extra_ = std::move(extra);
  missing_ = std::move(missing);
  list_ = chosen;
}

}  // namespace kuma::xds::internal

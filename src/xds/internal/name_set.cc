#include "xds/internal/name_set.h"

#include <utility>

namespace kuma::xds::internal {

using bundle::Name;
using bundle::NameRef;
using bundle::SealedListPtr;
using bundle::SealedPtr;

bool NameSet::Erase(Rare<Names>& from, const NameRef& name) {
  if (from.empty()) return false;
  Names& names = from.Use();
  const auto found = names.find(name);
  if (found == names.end()) return false;
  names.erase(found);
  return true;
}

NameSet::NameSet(const std::vector<NameRef>& names, const SealedListPtr& list) {
  Names missing;
  AscendingSearch wanted(names);
  for (const SealedPtr& resource : *list) {
    const NameRef name = resource->key();
    if (wanted.Find(name) == nullptr) missing.emplace_hint(missing.end(), name);
  }
  if (missing.size() <= names.size()) {
    list_ = list;
    missing_.Set(std::move(missing));
  }
  Names extra;
  AscendingSearch listed(*list_);
  for (const NameRef& name : names) {
    if (listed.Find(name) == nullptr) extra.emplace_hint(extra.end(), name);
  }
  extra_.Set(std::move(extra));
}

bool NameSet::Contains(const NameRef& name) const {
  if (bundle::Find(*list_, name) != nullptr) return missing_.empty() || !missing_->contains(name);
  return !extra_.empty() && extra_->contains(name);
}

bool NameSet::Add(const NameRef& name) {
  if (bundle::Find(*list_, name) == nullptr) return extra_.Use().emplace(name).second;
  return Erase(missing_, name);
}

bool NameSet::Remove(const NameRef& name) {
  if (bundle::Find(*list_, name) != nullptr) return missing_.Use().emplace(name).second;
  return Erase(extra_, name);
}

size_t NameSet::size() const { return list_->size() - missing_->size() + extra_->size(); }

void NameSet::ForEach(const std::function<void(const NameRef&)>& visit) const {
  for (const SealedPtr& resource : *list_) {
    if (missing_.empty() || !missing_->contains(resource->key())) visit(resource->key());
  }
  for (const Name& name : *extra_) visit(name);
}

void NameSet::ShareWith(const SealedListPtr& list) {
  if (list_ == list && missing_->size() <= size()) return;
  // Both lists and both sets of differences are in order: one pass through all of them.
  Names extra;
  Names missing;
  auto at = list_->begin();
  const auto keep = [&](const NameRef& name) {
    if (missing_.empty() || !missing_->contains(name)) extra.emplace(name);
  };
  for (const SealedPtr& resource : *list) {
    const NameRef name = resource->key();
    for (; at != list_->end() && *at != resource && (*at)->key() < name; ++at) keep((*at)->key());
    bool has = false;
    if (at != list_->end() && (*at == resource || (*at)->key() == name)) {
      ++at;
      has = missing_.empty() || !missing_->contains(name);
    } else {
      has = !extra_.empty() && extra_->contains(name);
    }
    if (!has) missing.emplace_hint(missing.end(), name);
  }
  for (; at != list_->end(); ++at) keep((*at)->key());
  for (const Name& name : *extra_) {
    if (bundle::Find(*list, NameRef(name)) == nullptr) extra.insert(name);
  }
  if (missing.size() > size()) {  // little in common: copies of the names are fewer
    extra.clear();
    missing.clear();
    ForEach([&](const NameRef& name) { extra.emplace(name); });
    list_ = bundle::EmptyList();
  } else {
    list_ = list;
  }
  extra_.Set(std::move(extra));
  missing_.Set(std::move(missing));
}

}  // namespace kuma::xds::internal

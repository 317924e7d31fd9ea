#include "mesh/internal/member_index.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "model/names.h"

namespace kuma::mesh {
namespace {

std::string PairOf(std::string_view key, std::string_view value) {
  std::string pair;
  pair.reserve(key.size() + value.size() + 1);
  pair.append(key).push_back('\0');
  return pair.append(value);
}

// Labels that nearly every Dataplane of a mesh has with the same value are no keys of the index: a
// selector of nothing else is compared with every Dataplane.
bool IsKey(std::string_view label) {
  constexpr std::array kShared = {model::kMeshLabel, model::kZoneLabel, model::kOriginLabel,
                                  model::kEnvLabel};
  return std::find(kShared.begin(), kShared.end(), label) == kShared.end();
}

size_t CountOf(const std::unordered_map<std::string, MemberIndex::Names>& index,
               const std::string& pair) {
  const auto found = index.find(pair);
  return found == index.end() ? 0 : found->second.size();
}

void Remove(std::unordered_map<std::string, MemberIndex::Names>& index, const std::string& pair,
            const std::string& name) {
  const auto found = index.find(pair);
  if (found == index.end()) return;
  found->second.erase(name);
  if (found->second.empty()) index.erase(found);
}

Members::iterator LowerBound(Members& members, const std::string& name) {
  return std::lower_bound(
      members.begin(), members.end(), name,
      [](const ResourcePtr& member, const std::string& n) { return member->name() < n; });
}

}  // namespace

bool Matches(const Selector& selector, const model::Resource& dataplane) {
  switch (selector.kind) {
    case Selector::Kind::kNone: return false;
    case Selector::Kind::kName: return selector.name == dataplane.name();
    case Selector::Kind::kLabels: break;
  }
  const model::Labels& labels = dataplane.meta().labels;
  return std::all_of(selector.labels.begin(), selector.labels.end(), [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  });
}

template <class F>
void MemberIndex::ForEachMatch(const model::Resource& dataplane, F f) const {
  const auto check = [&](const Names& names) {
    for (const std::string& name : names) {
      const auto service = services_.find(name);
      if (Matches(service->second.selector, dataplane)) f(name);
    }
  };
  if (const auto found = services_by_dataplane_.find(dataplane.name());
      found != services_by_dataplane_.end()) {
    check(found->second);
  }
  check(services_of_all_);
  if (services_by_pair_.empty()) return;
  for (const auto& [key, value] : dataplane.meta().labels) {
    if (!IsKey(key)) continue;
    if (const auto found = services_by_pair_.find(PairOf(key, value));
        found != services_by_pair_.end()) {
      check(found->second);
    }
  }
}

std::vector<std::string> MemberIndex::ServicesOf(const model::Resource& dataplane) const {
  std::vector<std::string> names;
  if (!HasInbounds(dataplane)) return names;
  ForEachMatch(dataplane, [&](const std::string& name) { names.push_back(name); });
  std::sort(names.begin(), names.end());
  return names;
}

Members& MemberIndex::Own(const std::string& service, Table<MembersPtr>& members) {
  std::shared_ptr<Members>& fresh = fresh_[service];
  if (fresh == nullptr) {
    const MembersPtr* held = members.Find(service);
    fresh = held == nullptr || *held == nullptr ? std::make_shared<Members>()
                                                : std::make_shared<Members>(**held);
    members.Put(service, fresh);
  }
  return *fresh;
}

void MemberIndex::OnDataplane(const ResourcePtr& before, const ResourcePtr& after,
                              bool inputs_changed, Table<MembersPtr>& members, Names& changed) {
  const bool was = before != nullptr && HasInbounds(*before);
  const bool is = after != nullptr && HasInbounds(*after);
  const std::string& name = (before != nullptr ? before : after)->name();
  if (!was && !is) return;
  const bool same_labels = was && is && before->meta().labels == after->meta().labels;

  if (was && !same_labels) {
    for (const auto& [key, value] : before->meta().labels) {
      if (IsKey(key)) Remove(dataplanes_by_pair_, PairOf(key, value), name);
    }
    std::vector<std::string> left;
    ForEachMatch(*before, [&](const std::string& service) {
      if (!is || !Matches(services_.find(service)->second.selector, *after))
        left.push_back(service);
    });
    for (const std::string& service : left) {
      Members& list = Own(service, members);
      const auto at = LowerBound(list, name);
      if (at != list.end() && (*at)->name() == name) list.erase(at);
      changed.insert(service);
    }
  }
  if (!is) return;
  if (!same_labels) {
    for (const auto& [key, value] : after->meta().labels) {
      if (IsKey(key)) dataplanes_by_pair_[PairOf(key, value)].insert(name);
    }
  }
  ForEachMatch(*after, [&](const std::string& service) {
    Members& list = Own(service, members);
    const auto at = LowerBound(list, name);
    if (at != list.end() && (*at)->name() == name) {
      *at = after;
      if (inputs_changed) changed.insert(service);
    } else {
      list.insert(at, after);
      changed.insert(service);
    }
  });
}

std::string MemberIndex::RarestPair(const Selector& selector) const {
  using Rank = std::tuple<size_t, size_t, std::string>;
  std::optional<Rank> best;
  for (const auto& [key, value] : selector.labels) {
    if (!IsKey(key)) continue;
    std::string pair = PairOf(key, value);
    const size_t dataplanes = CountOf(dataplanes_by_pair_, pair);
    const size_t services = CountOf(services_by_pair_, pair);
    Rank rank(dataplanes, services, std::move(pair));
    if (!best.has_value() || rank < *best) best = std::move(rank);
  }
  return best.has_value() ? std::get<2>(*best) : std::string();
}

Members MemberIndex::Select(const Selector& selector, const std::string& pair,
                            const Table<ResourcePtr>& dataplanes) const {
  Members members;
  const auto add = [&](const ResourcePtr& dataplane) {
    if (HasInbounds(*dataplane) && Matches(selector, *dataplane)) members.push_back(dataplane);
  };
  if (selector.kind == Selector::Kind::kName) {
    if (const ResourcePtr* dataplane = dataplanes.Find(selector.name)) add(*dataplane);
  } else if (selector.kind == Selector::Kind::kLabels && pair.empty()) {
    dataplanes.ForEach([&](const std::string&, const ResourcePtr& dataplane) { add(dataplane); });
  } else if (selector.kind == Selector::Kind::kLabels) {
    if (const auto found = dataplanes_by_pair_.find(pair); found != dataplanes_by_pair_.end()) {
      for (const std::string& name : found->second) {
        if (const ResourcePtr* dataplane = dataplanes.Find(name)) add(*dataplane);
      }
    }
  }
  return members;
}

void MemberIndex::File(const std::string& name, const Service& service, bool add) {
  const auto file = [&](auto& index, const std::string& under) {
    if (add) {
      index[under].insert(name);
    } else if (const auto found = index.find(under); found != index.end()) {
      found->second.erase(name);
      if (found->second.empty()) index.erase(found);
    }
  };
  switch (service.selector.kind) {
    case Selector::Kind::kNone: break;
    case Selector::Kind::kName: file(services_by_dataplane_, service.selector.name); break;
    case Selector::Kind::kLabels:
      if (!service.filed_under.empty()) {
        file(services_by_pair_, service.filed_under);
      } else if (add) {
        services_of_all_.insert(name);
      } else {
        services_of_all_.erase(name);
      }
      break;
  }
}

void MemberIndex::OnService(const std::string& name, const ResourcePtr& after,
                            const Table<ResourcePtr>& dataplanes, Table<MembersPtr>& members,
                            Names& changed) {
  const auto held = services_.find(name);
  if (after == nullptr) {
    if (held == services_.end()) return;
    File(name, held->second, false);
    services_.erase(held);
    members.Erase(name);
    fresh_.erase(name);
    changed.erase(name);
    return;
  }
  Service service{SelectorOf(*after), {}};
  if (held != services_.end()) {
    if (held->second.selector == service.selector) return;
    File(name, held->second, false);
  }
  service.filed_under = RarestPair(service.selector);
  File(name, service, true);
  Members selected = Select(service.selector, service.filed_under, dataplanes);
  services_[name] = std::move(service);

  const MembersPtr* before = members.Find(name);
  const bool same = before == nullptr ? selected.empty() : **before == selected;
  if (!same) changed.insert(name);
  if (before == nullptr || !same) {
    auto list = std::make_shared<Members>(std::move(selected));
    fresh_[name] = list;
    members.Put(name, std::move(list));
  }
}

}  // namespace kuma::mesh

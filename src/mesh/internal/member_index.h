#pragma once

// Which Dataplanes each MeshService of one mesh selects, kept up to date change by change.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mesh/mesh_state.h"
#include "mesh/table.h"

namespace kuma::mesh {

// The part of a MeshService that decides about its members.
struct Selector {
  enum class Kind : uint8_t { kNone, kName, kLabels };
  Kind kind = Kind::kNone;
  std::string name;                                         // kName: of the Dataplane
  std::vector<std::pair<std::string, std::string>> labels;  // kLabels: all must be there, sorted
  bool operator==(const Selector&) const = default;
};

Selector SelectorOf(const model::Resource& mesh_service);
bool HasInbounds(const model::Resource& dataplane);
// Of a Dataplane that has inbounds.
bool Matches(const Selector& selector, const model::Resource& dataplane);

// Confined to its MeshState. A service is filed under one label pair of its selector, the rarest
// when it came, so that a Dataplane looks at the services that could match it and no others.
class MemberIndex {
 public:
  using Names = std::set<std::string, std::less<>>;

  // Each writes the new member lists into `members` and adds the names of services whose list
  // changed (or has a member with changed inputs) to `changed`. `dataplanes` holds the new state
  // already.
  void OnDataplane(const ResourcePtr& before, const ResourcePtr& after, bool inputs_changed,
                   Table<MembersPtr>& members, Names& changed);
  void OnService(const std::string& name, const ResourcePtr& after,
                 const Table<ResourcePtr>& dataplanes, Table<MembersPtr>& members, Names& changed);

  std::vector<std::string> ServicesOf(const model::Resource& dataplane) const;

  // From here on no member list handed out so far is changed any more.
  void OnFreeze() { fresh_.clear(); }

 private:
  struct Service {
    Selector selector;
    std::string filed_under;  // kLabels: a pair, or empty for a selector without a label that tells
                              // Dataplanes apart
  };

  template <class F>
  void ForEachMatch(const model::Resource& dataplane, F f) const;
  void File(const std::string& name, const Service& service, bool add);
  std::string RarestPair(const Selector& selector) const;
  Members Select(const Selector& selector, const std::string& pair,
                 const Table<ResourcePtr>& dataplanes) const;
  Members& Own(const std::string& service, Table<MembersPtr>& members);

  std::map<std::string, Service, std::less<>> services_;
  std::unordered_map<std::string, Names> services_by_pair_;
  std::map<std::string, Names, std::less<>> services_by_dataplane_;
  Names services_of_all_;
  std::unordered_map<std::string, Names> dataplanes_by_pair_;  // those with inbounds
  // Lists made since the last Freeze: nobody else holds them, so that they are changed in place.
  std::unordered_map<std::string, std::shared_ptr<Members>> fresh_;
};

}  // namespace kuma::mesh

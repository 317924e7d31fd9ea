#pragma once

// Derived writes between their computation and the store: one transaction in flight, later writes
// merge by key.

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "derive/derive.h"
#include "mesh/mesh_state.h"
#include "store/store.h"

namespace kuma::control::internal {

// Pure. Confined to the mesh writer. The MeshState holds a wanted write already; this remembers
// what the store holds instead, until the store took the write or refused it.
class FollowUp {
 public:
  // `stored`: what the MeshState held before the write was applied to it. `cause`: the newest
  // revision that led to it.
  void Want(derive::Derived write, model::ResourcePtr stored, base::Revision cause);

  // Every event of the store, before it is applied to the MeshState. False: do not apply it, a
  // newer wanted write of the key stands already and the event is only the echo of an older one.
  bool OnEvent(const store::StoreEvent& event);

  // The next transaction, if something is wanted and nothing is in flight.
  std::optional<store::Transaction> Next();

  // Outcomes of the transaction in flight; every event of it, or of the write that it lost against,
  // was seen before. Stored: returns what the store holds of keys whose echo was not applied, for
  // the MeshState: nothing but times and revisions should differ.
  std::vector<mesh::Change> Stored();
  // The store cannot take it now: wanted again.
  void Unavailable();
  // It lost against a newer write, or the store refuses it. Returns changes that bring the
  // MeshState back to what the store holds, for all keys that are not stored; derive from them
  // again. `one_by_one`: the next transactions hold one write each, so that a refused write stands
  // alone; a refused single one is not returned and stays unstored.
  std::vector<mesh::Change> Refused(bool one_by_one);

  bool idle() const { return wanted_.empty() && in_flight_.empty(); }
  bool in_flight() const { return !in_flight_.empty(); }
  bool wants() const { return !wanted_.empty(); }
  // Both in one transaction: what is wanted now.
  size_t waiting() const { return wanted_.size() + in_flight_.size(); }

 private:
  struct Wanted {
    derive::Derived write;
    base::Revision cause;
  };

  std::map<model::ResourceKey, Wanted> wanted_;
  std::map<model::ResourceKey, Wanted> in_flight_;
  std::map<model::ResourceKey, model::ResourcePtr> stored_;  // of the keys of both
  std::set<model::ResourceKey> skipped_;                     // an echo was not applied
  size_t one_by_one_ = 0;  // so many transactions of a single write to come
};

}  // namespace kuma::control::internal

#pragma once

// Resources that follow from others: pure functions (state, change) -> wanted writes. They are
// computed in the same step as their cause, applied to the MeshState at once and stored by one
// follow-up transaction.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "mesh/mesh_state.h"
#include "model/resource.h"

namespace kuma::derive {

// What the process is. Values of Kuma's configuration.
struct Settings {
  std::string zone = "default";
  std::string environment = "universal";
  bool create_default_mesh = true;         // !defaults.skipMeshCreation
  bool create_hostname_generators = true;  // !defaults.skipHostnameGenerators
  bool generate_mesh_services = true;  // from kuma.io/workload labels, on Universal; Workloads, too
  std::chrono::nanoseconds deletion_grace_period =
      std::chrono::hours(1);  // of generated MeshServices without members
  std::string mesh_service_cidr = "241.0.0.0/8";
  // The four default policies of a new mesh, unless its skipCreatingInitialPolicies names them.
  // Labels and owner are set by derive.
  std::function<std::vector<model::ResourcePtr>(const std::string& mesh)> default_policies;
  // Makes the Secret with the first dataplane-token signing key of a mesh (an RSA key: slow, once a
  // mesh).
  std::function<model::ResourcePtr(const std::string& mesh)> first_signing_key;
};

// A derived write. Put: `resource`; Delete: resource is null.
struct Derived {
  model::ResourceKey key;
  // Its metadata carries the revision of the resource that it was derived from, 0 for a new one.
  model::ResourcePtr resource;
  bool status_only = false;     // nothing but the status differs from what the MeshState holds
  bool must_not_exist = false;  // a creation: whoever made it meanwhile wins
};

// Something that a user should know and that no status can say; given once, not again while its
// cause lasts.
struct Notice {
  model::ResourceKey key;
  std::string text;
  bool operator==(const Notice&) const = default;
};

// Confined to the mesh writer.
//
// What is created once and is the user's from then on, and how that is remembered:
// - Mesh `default` and the HostnameGenerators come with the Zone resource, in one transaction, into
//   a world without any Zone. Deleted later, they stay away, as the Zone is there.
// - The default policies of a mesh come with its first signing key, in one transaction, into a mesh
//   without any signing key. They are made when the Mesh comes into view: when it is created, and
//   for each Mesh at start. So a crash between a Mesh and its follow-up loses nothing, and a
//   deleted policy stays away as long as a key is left.
class Derivation {
 public:
  // REQUIRES: the CIDRs are IPv4 ranges.
  explicit Derivation(Settings settings);
  ~Derivation();

  // What follows from `changes`; `state` holds them already. One call for every ChangeSet, in
  // order, save those of OnConnection's writes; the first one holds all that there is (it may be
  // empty) and makes the defaults. Writes must be applied to the MeshState before the next call;
  // the call with their ChangeSet then returns nothing (a fixed point). Sorted by key, one for each
  // key. Cost in proportion to the changes.
  std::vector<Derived> Run(const mesh::MeshState& state, const mesh::ChangeSet& changes,
                           model::WallTime now);

  // What is due by time alone (grace periods), and when to call next.
  struct Timed {
    std::vector<Derived> writes;
    std::optional<model::WallTime> next;
  };
  Timed RunTimers(const mesh::MeshState& state, model::WallTime now);

  // A proxy's stream came or went: statuses count connected proxies. Before the first Run it is
  // only remembered.
  std::vector<Derived> OnConnection(const mesh::MeshState& state, const base::ProxyKey& proxy,
                                    bool connected);

  // What there is to say since the last call.
  std::vector<Notice> TakeNotices();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kuma::derive

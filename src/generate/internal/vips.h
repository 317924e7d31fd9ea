#pragma once

// Services of a mesh at their virtual addresses: what proxies with transparent proxying listen to,
// and what kuma-dp's DNS answers for them.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "generate/generate.h"
#include "mesh/mesh_state.h"
#include "model/address.h"

namespace kuma::generate {

// Made once for all proxies of the mesh; the list of a proxy that reaches everything is the same
// list as everybody's. Immutable.
class Vips {
 public:
  // Takes over what is equal from an earlier one of the mesh (may be null), so that comparing
  // pointers tells that nothing changed.
  explicit Vips(const mesh::MeshSnapshot& mesh, const Vips* before = nullptr);

  // Everything that the Dataplane may reach, but for what its own inbounds listen on: an endpoint
  // can have the address of a service.
  OutboundListPtr ListFor(const mesh::MeshSnapshot& mesh, const model::Resource& dataplane) const;
  // JSON list of the host names of the services in the list, with their addresses. Never null.
  std::shared_ptr<const std::string> RecordsOf(const OutboundListPtr& list, bool ipv6) const;

 private:
  struct Place {  // of the outbound at the same index in all_
    model::IpBytes address;
    uint32_t port = 0;
    size_t service = 0;  // in services_
  };
  struct Service {
    std::string ip;
    std::vector<std::string> hostnames;
    bool operator==(const Service&) const = default;
  };
  std::vector<bool> Taken(const model::Resource& dataplane) const;
  std::string Records(const std::vector<bool>& with, bool ipv6) const;  // `with`: of services_

  OutboundListPtr all_;
  std::vector<Place> places_;
  std::vector<Service> services_;
  std::shared_ptr<const std::string> records_[2];  // of all_; [1]: with IPv6
};
using VipsPtr = std::shared_ptr<const Vips>;

// Remembers them for the last state of each mesh. A memo of a pure function, bounded; nobody can see
// whether it was used. Thread-safe.
class VipMemo {
 public:
  VipsPtr Of(const mesh::MeshSnapshot& mesh);

 private:
  static constexpr size_t kMaxEntries = 256;
  struct Entry {
    std::vector<mesh::Table<model::ResourcePtr>> made_from;
    VipsPtr vips;
  };
  std::mutex mutex_;
  std::map<std::string, Entry> meshes_;  // GUARDED_BY(mutex_)
};

}  // namespace kuma::generate

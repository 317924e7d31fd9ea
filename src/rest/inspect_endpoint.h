#pragma once

// GET of what the control plane makes of resources: configuration, layout, policies and rules of a
// proxy; proxies and hostnames of a service; proxies of a policy. Everything is computed from one
// snapshot when it is asked for.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "generate/generate.h"
#include "mesh/mesh_state.h"
#include "model/resource_type.h"
#include "net/http.h"
#include "store/store.h"

namespace kuma::rest {

// Thread-safe; calls block on the store, so they run on the rest pool.
class InspectEndpoint {
 public:
  struct Sources {
    // The newest snapshot; never null.
    std::function<mesh::SnapshotPtr()> snapshot;
    // With the policy table of the control loop, and an AdminAuthority that gives nothing away.
    // Borrowed: outlives the endpoint. Null: nothing is inspected, as if there were no such paths.
    const generate::Generator* generator = nullptr;
    // Hostnames of a service, sorted.
    std::function<std::vector<std::string>(const mesh::Snapshot&, const model::Resource&)>
        hostnames;
  };
  // References outlive the endpoint.
  InspectEndpoint(store::Store& store, const model::TypeTable& types, Sources sources);

  // `at`: the segments of the path. Nothing when the path is not one of inspection.
  std::optional<net::HttpResponse> Answer(const net::HttpRequest& request,
                                          std::span<const std::string> at) const;

 private:
  struct Question;
  net::HttpResponse AnswerProxy(const Question& question, const mesh::MeshSnapshot& mesh) const;
  net::HttpResponse Config(const Question& question, const mesh::Snapshot& snapshot) const;
  net::HttpResponse Layout(const Question& question, const mesh::MeshSnapshot* mesh) const;
  net::HttpResponse ProxiesOfPolicy(const Question& question, const policy::PolicyType& type,
                                    const mesh::MeshSnapshot& mesh) const;
  net::HttpResponse ProxiesOfService(const Question& question,
                                     const mesh::MeshSnapshot* mesh) const;
  net::HttpResponse Hostnames(const Question& question, const mesh::Snapshot& snapshot) const;

  store::Store& store_;
  const model::TypeTable& types_;
  const Sources sources_;
};

}  // namespace kuma::rest

#pragma once

// Values that the mesh writer hands out.

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "bundle/bundle.h"
#include "generate/generate.h"
#include "model/resource.h"

namespace kuma::control {

// One ADS stream; unique in this process, newer streams have greater numbers.
struct StreamId {
  uint64_t value = 0;
  auto operator<=>(const StreamId&) const = default;
};

// A proxy opened its stream.
struct Arrival {
  base::ProxyKey proxy;
  StreamId stream;
  generate::ProxyNode node;
  // The Dataplane that the proxy brought along (node metadata), or null. Stored as owned by its
  // proxy if there is none.
  model::ResourcePtr dataplane;
};

// A proxy was given a new bundle.
struct Published {
  // What the bundle holds of users' writes that the proxy had not been given before; each stands
  // for the derived writes that it caused, too.
  struct Effect {
    std::shared_ptr<const std::vector<base::Revision>> revisions;  // sorted, not empty
    std::shared_ptr<const std::string> what;    // "MeshTimeout default/slow changed"
    std::shared_ptr<const std::string> reason;  // the same and what it did to the proxy
  };
  base::ProxyKey proxy;
  bundle::BundlePtr bundle;
  std::vector<Effect> effects;              // none for the first bundle of a stream
  generate::CollectorStatusPtr collectors;  // null: none
};

// What one round of generation did.
struct RoundReport {
  bool began = false;  // the first report: nothing is known of `settled` and what came before
  std::vector<base::ProxyKey>
      left;  // their streams ended since the last report, before what follows
  std::vector<Published> published;  // sorted by proxy
  // The effects of every revision up to this one were given to all proxies that were connected.
  base::Revision settled;
};

// A cell that could not be built from what is stored. Proxies keep its last good resources.
struct DegradedCell {
  generate::CellId id;
  std::string reason;  // names the policy
  base::Revision since;
  bool has_last_good = false;           // false: its resources are missing from the bundles
  uint64_t proxy_count = 0;             // connected proxies that have it
  std::vector<base::ProxyKey> proxies;  // sorted, at most 32 of them
};

}  // namespace kuma::control

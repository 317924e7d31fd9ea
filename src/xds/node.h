#pragma once

#include <string>

#include "base/ids.h"
#include "net/http.h"

namespace kuma::xds {

// What an Envoy says about itself in its first message. A plain value.
struct NodeDescription {
  base::ProxyKey proxy;  // parsed from the id, "<mesh>.<name>"; the mesh may be empty
  std::string id;
  std::string cluster;
  std::string metadata_json;  // node.metadata, "{}" if there is none
  std::string envoy_version;  // "1.40.0", or empty
  std::string zone;           // node.locality.zone
  net::Peer peer;             // of the connection
};

}  // namespace kuma::xds

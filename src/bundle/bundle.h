#pragma once

// Sealed Envoy configuration as bytes with names and versions; no protobuf types. Everything here is immutable
// and shared between threads as shared_ptr<const>.

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/ids.h"

namespace kuma::bundle {

using base::ContentHash;
using base::Revision;

// Envoy resource types that travel over ADS. The order is the order of additions on the wire.
enum class XdsType : uint8_t { kCluster, kEndpoints, kSecret, kListener, kRoute };
inline constexpr size_t kXdsTypeCount = 5;
inline constexpr std::array<XdsType, kXdsTypeCount> kAllXdsTypes = {
    XdsType::kCluster, XdsType::kEndpoints, XdsType::kSecret, XdsType::kListener, XdsType::kRoute};
std::string_view TypeUrl(XdsType type);  // "type.googleapis.com/envoy.config.cluster.v3.Cluster"
// Null if the type URL is none of ours.
const XdsType* FindXdsType(std::string_view type_url);

// One Envoy resource, sealed.
struct SealedResource {
  XdsType type = XdsType::kCluster;
  std::string name;
  ContentHash version;  // of the content, deterministic
  // One serialised `resources` field (number 2) of envoy.service.discovery.v3.DeltaDiscoveryResponse with tag and length,
  // holding name, version and the packed resource: a response is a small header plus these bytes.
  std::shared_ptr<const std::string> bytes;
  // Names that this resource needs at the proxy before it can be used: clusters of a listener's or route's
  // actions. Sorted. A cluster's endpoint set has the cluster's name and is not listed.
  std::vector<std::string> clusters;
  // Which stored resources shaped it ("MeshTimeout default/web"), for NACKs and explanations.
  std::vector<std::string> origins;
};
using SealedPtr = std::shared_ptr<const SealedResource>;

// Resources of one type, sorted by name, names unique. Equal lists are interned by their maker, so that comparing
// pointers often suffices.
using SealedList = std::vector<SealedPtr>;
using SealedListPtr = std::shared_ptr<const SealedList>;

// Everything one proxy should have.
struct XdsBundle {
  Revision revision;  // of the snapshot that it was assembled from
  std::array<SealedListPtr, kXdsTypeCount> resources;  // never null; indexed by XdsType

  const SealedList& Of(XdsType type) const { return *resources[static_cast<size_t>(type)]; }
};
using BundlePtr = std::shared_ptr<const XdsBundle>;

// Null if absent.
const SealedResource* Find(const SealedList& list, std::string_view name);

}  // namespace kuma::bundle

#pragma once

// Sealed Envoy configuration as bytes with names and versions; no protobuf types. Everything here
// is immutable and shared between threads as shared_ptr<const>.

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/ids.h"
#include "bundle/name.h"
#include "bundle/template.h"

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

// One Envoy resource, sealed. Seal() makes it.
struct SealedResource {
  XdsType type = XdsType::kCluster;
  std::string name;
  uint64_t name_hash = 0;  // that of its NameRef
  // What tells two contents apart: equal name and version mean equal configuration. Deterministic.
  // On the wire the version is its 32 hexadecimal digits, unless `wire_version` is set.
  ContentHash version;
  // One serialised `resources` field (number 2) of
  // envoy.service.discovery.v3.DeltaDiscoveryResponse with tag and length, holding name, version
  // and the packed resource: a response is a small header plus these bytes. Null where there is a
  // template.
  std::shared_ptr<const std::string> bytes;
  // Not null: the same with holes. Without values it cannot be sent; Fill() makes, for each proxy,
  // one with values, whose bytes are joined whenever they are asked for.
  std::shared_ptr<const Template> mould;
  ValuesPtr values;
  // Names that this resource needs at the proxy before it can be used: clusters of a listener's or
  // route's actions. Sorted. A cluster's endpoint set has the cluster's name and is not listed.
  std::vector<std::string> clusters;
  // Which stored resources shaped it ("MeshTimeout default/web"), for NACKs and explanations.
  std::vector<std::string> origins;
  // Empty, or the version text that Envoy keeps and names again after a reconnect: secrets use
  // authenticated text.
  std::string wire_version;
  // Its users do without it: it is taken away at once, although they still name it.
  bool dispensable = false;

  NameRef key() const { return {name_hash, name}; }
  bool IsTemplate() const { return mould != nullptr && values == nullptr; }
  // REQUIRES: !IsTemplate().
  std::shared_ptr<const std::string> Bytes() const;
  size_t ByteSize() const;
  std::string VersionText() const { return wire_version.empty() ? version.ToHex() : wire_version; }
};
using SealedPtr = std::shared_ptr<const SealedResource>;

// Resources of one type, sorted by key(), names unique. Equal lists are interned by their maker, so
// that comparing pointers often suffices.
using SealedList = std::vector<SealedPtr>;
using SealedListPtr = std::shared_ptr<const SealedList>;

// Everything one proxy should have.
struct XdsBundle {
  Revision revision;                                   // of the snapshot that it was assembled from
  std::array<SealedListPtr, kXdsTypeCount> resources;  // never null; indexed by XdsType

  const SealedList& Of(XdsType type) const { return *resources[static_cast<size_t>(type)]; }
};
using BundlePtr = std::shared_ptr<const XdsBundle>;

// Null if absent.
const SealedResource* Find(const SealedList& list, const NameRef& name);
const SealedPtr* FindPtr(const SealedList& list, const NameRef& name);
inline const SealedResource* Find(const SealedList& list, std::string_view name) {
  return Find(list, NameRef(name));
}

// True if both stand for the same content under the same name.
inline bool SameContent(const SealedResource& a, const SealedResource& b) {
  return &a == &b ||
         (a.version == b.version && a.wire_version == b.wire_version && a.name == b.name);
}

// The only maker of SealedResource: hashes `message` (the serialised Envoy resource, deterministic)
// and frames it. `clusters` need not be sorted. `version` replaces the hash of the content, and
// `wire_version` its text, where the message holds what must not count (a fresh certificate of the
// same identity).
struct SealInput {
  XdsType type = XdsType::kCluster;
  std::string name = {};
  std::string_view message = {};
  std::vector<std::string> clusters = {};
  std::vector<std::string> origins = {};
  const ContentHash* version = nullptr;
  std::string wire_version = {};
  bool dispensable = false;
};
SealedPtr Seal(SealInput input);

// The template with these values; its version follows from the template's and from the values that
// it has holes for. What is no template is given back.
SealedPtr Fill(const SealedPtr& resource, const ValuesPtr& values);

// Sorts; of several with one name it keeps that of the lowest version. REQUIRES: all of one type.
SealedListPtr MakeList(std::vector<SealedPtr> resources);
SealedListPtr EmptyList();

}  // namespace kuma::bundle

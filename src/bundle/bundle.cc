#include "bundle/bundle.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.h"

namespace kuma::bundle {
namespace {

constexpr std::array<std::string_view, kXdsTypeCount> kTypeUrls = {
    "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
    "type.googleapis.com/envoy.config.listener.v3.Listener",
    "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
};

// Protobuf wire format, as much of it as a frame needs.
void AppendVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}
size_t VarintSize(uint64_t value) {
  size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}
// Field numbers below 16 have a tag of one byte; wire type 2 is "length-delimited".
void AppendField(std::string& out, uint32_t number, std::string_view bytes) {
  out.push_back(static_cast<char>(number << 3 | 2));
  AppendVarint(out, bytes.size());
  out.append(bytes);
}
size_t FieldSize(size_t bytes) { return 1 + VarintSize(bytes) + bytes; }

// envoy.service.discovery.v3: DeltaDiscoveryResponse.resources, Resource{version, resource, name},
// google.protobuf.Any{type_url, value}.
constexpr uint32_t kResources = 2;
constexpr uint32_t kVersion = 1;
constexpr uint32_t kResource = 2;
constexpr uint32_t kName = 3;
constexpr uint32_t kTypeUrl = 1;
constexpr uint32_t kValue = 2;

std::string Frame(XdsType type, std::string_view name, std::string_view version,
                  std::string_view message) {
  const std::string_view url = TypeUrl(type);
  const size_t any = FieldSize(url.size()) + FieldSize(message.size());
  const size_t resource = FieldSize(version.size()) + FieldSize(any) + FieldSize(name.size());
  std::string out;
  out.reserve(FieldSize(resource));
  const auto open = [&out](uint32_t number, size_t size) {
    out.push_back(static_cast<char>(number << 3 | 2));
    AppendVarint(out, size);
  };
  open(kResources, resource);
  AppendField(out, kVersion, version);
  open(kResource, any);
  AppendField(out, kTypeUrl, url);
  AppendField(out, kValue, message);
  AppendField(out, kName, name);
  return out;
}

}  // namespace

std::string_view TypeUrl(XdsType type) { return kTypeUrls[static_cast<size_t>(type)]; }

const XdsType* FindXdsType(std::string_view type_url) {
  const auto found = std::find(kTypeUrls.begin(), kTypeUrls.end(), type_url);
  return found == kTypeUrls.end() ? nullptr
                                  : &kAllXdsTypes[static_cast<size_t>(found - kTypeUrls.begin())];
}

const SealedPtr* FindPtr(const SealedList& list, const NameRef& name) {
  const auto found =
      std::lower_bound(list.begin(), list.end(), name,
                       [](const SealedPtr& a, const NameRef& b) { return a->key() < b; });
  return found != list.end() && (*found)->key() == name ? &*found : nullptr;
}

const SealedResource* Find(const SealedList& list, const NameRef& name) {
  const SealedPtr* found = FindPtr(list, name);
  return found == nullptr ? nullptr : found->get();
}

SealedPtr Seal(SealInput input) {
  auto sealed = std::make_shared<SealedResource>();
  sealed->type = input.type;
  sealed->name = std::move(input.name);
  sealed->name_hash = NameRef(sealed->name).hash;
  sealed->version = input.version != nullptr ? *input.version : base::HashBytes(input.message);
  sealed->wire_version = std::move(input.wire_version);
  sealed->dispensable = input.dispensable;
  sealed->clusters = std::move(input.clusters);
  std::sort(sealed->clusters.begin(), sealed->clusters.end());
  sealed->clusters.erase(std::unique(sealed->clusters.begin(), sealed->clusters.end()),
                         sealed->clusters.end());
  sealed->origins = std::move(input.origins);
  sealed->bytes = std::make_shared<const std::string>(
      Frame(sealed->type, sealed->name, sealed->VersionText(), input.message));
  return sealed;
}

std::shared_ptr<const std::string> SealedResource::Bytes() const {
  if (mould == nullptr) return bytes;
  CHECK(values != nullptr, "a template is filled before it is sent");
  return std::make_shared<const std::string>(mould->Fill(*values, VersionText()));
}

size_t SealedResource::ByteSize() const {
  if (mould == nullptr) return bytes == nullptr ? 0 : bytes->size();
  return values == nullptr ? 0 : mould->SizeOf(*values, VersionText());
}

SealedPtr Fill(const SealedPtr& resource, const ValuesPtr& values) {
  if (!resource->IsTemplate()) return resource;
  auto filled = std::make_shared<SealedResource>(*resource);
  base::Hasher hasher;
  hasher.Add(resource->version);
  for (const size_t hole : resource->mould->Holes()) hasher.Add((*values)[hole]);
  filled->version = hasher.Finish();
  filled->values = values;
  return filled;
}

SealedListPtr MakeList(std::vector<SealedPtr> resources) {
  if (resources.empty()) return EmptyList();
  std::ranges::sort(resources, {}, [](const SealedPtr& resource) {
    return std::tuple(resource->key(), resource->version);
  });
  const auto more = std::ranges::unique(resources, {}, [](const auto& one) { return one->key(); });
  resources.erase(more.begin(), more.end());
  return std::make_shared<const SealedList>(std::move(resources));
}

SealedListPtr EmptyList() {
  static const SealedListPtr empty = std::make_shared<const SealedList>();
  return empty;
}

}  // namespace kuma::bundle

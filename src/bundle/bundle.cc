#include "bundle/bundle.h"

#include <algorithm>

namespace kuma::bundle {
namespace {

constexpr std::array<std::string_view, kXdsTypeCount> kTypeUrls = {
    "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
    "type.googleapis.com/envoy.config.listener.v3.Listener",
    "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
};

}  // namespace

std::string_view TypeUrl(XdsType type) { return kTypeUrls[static_cast<size_t>(type)]; }

const XdsType* FindXdsType(std::string_view type_url) {
  const auto found = std::find(kTypeUrls.begin(), kTypeUrls.end(), type_url);
  return found == kTypeUrls.end() ? nullptr : &kAllXdsTypes[static_cast<size_t>(found - kTypeUrls.begin())];
}

const SealedResource* Find(const SealedList& list, std::string_view name) {
  const auto found = std::lower_bound(list.begin(), list.end(), name,
                                      [](const SealedPtr& a, std::string_view b) { return a->name < b; });
  return found != list.end() && (*found)->name == name ? found->get() : nullptr;
}

}  // namespace kuma::bundle

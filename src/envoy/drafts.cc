#include "envoy/drafts.h"

#include <algorithm>

namespace kuma::envoy {
namespace {

void CollectFrom(const api::RouteAction& action, std::vector<std::string>& names) {
  if (action.has_cluster()) names.push_back(action.cluster());
  for (const auto& weighted : action.weighted_clusters().clusters())
    names.push_back(weighted.name());
  for (const auto& mirror : action.request_mirror_policies()) names.push_back(mirror.cluster());
}

}  // namespace

std::vector<std::string> ListenerDraft::Clusters() const {
  std::vector<std::string> names = more_clusters;
  for (const FilterChainDraft& chain : chains) {
    if (chain.http) {
      for (const api::VirtualHost& host : chain.http->hosts) {
        for (const api::Route& route : host.routes()) CollectFrom(route.route(), names);
      }
      for (const RouteDraft& route : chain.http->routes) CollectFrom(route.route.route(), names);
    }
    if (chain.tcp) {
      if (chain.tcp->has_cluster()) names.push_back(chain.tcp->cluster());
      for (const auto& weighted : chain.tcp->weighted_clusters().clusters())
        names.push_back(weighted.name());
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::erase_if(names, [this](const std::string& name) {
    return name.empty() || std::find(may_lack.begin(), may_lack.end(), name) != may_lack.end();
  });
  return names;
}

}  // namespace kuma::envoy

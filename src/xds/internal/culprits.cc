#include "xds/internal/culprits.h"

#include <string>

namespace kuma::xds::internal {
namespace {

bool EndsAnEntry(std::string_view before) {
  return before.empty() || before.ends_with(", ") || before.ends_with('\n') ||
         before.ends_with("(s) ");
}

// "name: reason" where a list of such pairs may have a new entry.
bool IsListed(std::string_view list, std::string_view name) {
  for (size_t at = list.find(name); at != std::string_view::npos; at = list.find(name, at + 1)) {
    if (list.substr(at + name.size()).starts_with(": ") && EndsAnEntry(list.substr(0, at)))
      return true;
  }
  return false;
}

// `name: "web"` as a field of its own, not the end of `cluster_name: "web"`.
bool IsPrinted(std::string_view detail, const std::string& name) {
  const std::string field = "name: \"" + name + "\"";
  for (size_t at = detail.find(field); at != std::string_view::npos;
       at = detail.find(field, at + 1)) {
    if (at == 0 || detail[at - 1] != '_') return true;
  }
  return false;
}

}  // namespace

std::vector<bundle::SealedPtr> FindCulprits(const std::vector<bundle::SealedPtr>& sent,
                                            std::string_view detail) {
  std::vector<bundle::SealedPtr> culprits;
  const bool list = detail.starts_with("Error adding/updating ");
  for (const bundle::SealedPtr& resource : sent) {
    if (resource->name.empty()) continue;
    if (list ? IsListed(detail, resource->name) : IsPrinted(detail, resource->name))
      culprits.push_back(resource);
  }
  // A printed message has one name of its own; more matches are names inside of it.
  if (!list && culprits.size() > 1) culprits.clear();
  return culprits;
}

}  // namespace kuma::xds::internal

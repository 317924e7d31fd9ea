#pragma once

// The query parameters of lists (Kuma 3.0): size, offset, name, filter[labels.x], and of Dataplanes
// tag and gateway. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/resource.h"
#include "model/value.h"
#include "net/http.h"
#include "rest/problem.h"
#include "store/store.h"

namespace kuma::rest {

struct PageRequest {
  size_t size = 100;
  size_t offset = 0;
};

// What is wrong with size or offset, if something is.
std::optional<Problem> ReadPage(const net::HttpRequest& request, std::string_view title,
                                PageRequest& page);

// `route` names the endpoint in violations: "/meshes/{mesh}/dataplanes".
std::optional<Problem> ReadLabelFilters(const net::HttpRequest& request, std::string_view route,
                                        store::ListQuery& query);

// Filters that only Dataplanes have and that the store does not know.
struct DataplaneFilter {
  enum class Gateway { kAny, kYes, kNo };
  Gateway gateway = Gateway::kAny;
  std::vector<std::pair<std::string, std::string>> tags;  // all match in part
  bool any() const { return gateway != Gateway::kAny || !tags.empty(); }
  // REQUIRES: `resource` is a Dataplane.
  bool Matches(const model::Resource& resource) const;
};
std::optional<Problem> ReadDataplaneFilter(const net::HttpRequest& request, std::string_view route,
                                           DataplaneFilter& filter);

// The items of the page out of all of them.
template <class T>
void KeepPage(const PageRequest& page, std::vector<T>& all) {
  const size_t begin = std::min(page.offset, all.size());
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(begin));
  if (all.size() > page.size) all.resize(page.size);
}

// {"total", "items", "next"}; `items` is the page, `total` counts all.
model::Value ListBody(const net::HttpRequest& request, const PageRequest& page, size_t total,
                      model::Array items);

}  // namespace kuma::rest

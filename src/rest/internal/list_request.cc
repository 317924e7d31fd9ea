#include "rest/internal/list_request.h"

#include <algorithm>
#include <limits>

#include "base/format.h"
#include "base/strings.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::rest {
namespace {

using model::Object;
using model::Value;

constexpr size_t kMaxPageSize = 1000;
constexpr std::string_view kRetrieveAll = "Could not retrieve resources";

// Labels or tags of a resource against the wanted ones; values match in part.
template <class Map>
bool MatchesInPart(const std::vector<std::pair<std::string, std::string>>& wanted,
                   const Map& held) {
  return std::all_of(wanted.begin(), wanted.end(), [&held](const auto& entry) {
    const auto found = held.find(entry.first);
    return found != held.end() && found->second.find(entry.second) != std::string::npos;
  });
}

std::string NextUrl(const net::HttpRequest& request, size_t offset) {
  // As Go writes a query: names in order, values of one name in the order given.
  std::vector<std::pair<std::string, std::string>> query = request.query;
  std::erase_if(query, [](const auto& parameter) { return parameter.first == "offset"; });
  query.emplace_back("offset", std::to_string(offset));
  std::stable_sort(query.begin(), query.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> parts;
  parts.reserve(query.size());
  for (const auto& [name, value] : query) {
    parts.push_back(net::PercentEncode(name) + "=" + net::PercentEncode(value));
  }
  // As it was written, unless it came in absolute form.
  const std::string_view path =
      request.target.starts_with('/')
          ? std::string_view(request.target).substr(0, request.target.find('?'))
          : std::string_view(request.path);
  return base::Format("{}://{}{}?{}", request.scheme, request.authority, path,
                      base::Join(parts, "&"));
}

}  // namespace

std::optional<Problem> ReadPage(const net::HttpRequest& request, std::string_view title,
                                PageRequest& page) {
  const auto bad_size = [title](std::string reason) {
    model::Violations violations;
    violations.Add("size", std::move(reason));
    return Problem{400, std::string(title), "Invalid page size", std::move(violations), {}};
  };
  const auto bad_offset = [title](std::string_view reason) {
    return Problem{400,
                   std::string(title),
                   base::Format("invalid: invalid offset: {}", reason),
                   {},
                   "take the offset from \"next\" of the page before"};
  };
  if (const std::string* size = request.FindQuery("size"); size != nullptr && !size->empty()) {
    const auto number = base::ParseInt(*size);
    if (!number) return bad_size("invalid format");
    if (*number <= 0) return bad_size("must be greater than 0");
    if (static_cast<uint64_t>(*number) > kMaxPageSize) {
      return bad_size(
          base::Format("invalid page size of {}. Maximum page size is {}", *number, kMaxPageSize));
    }
    page.size = static_cast<size_t>(*number);
  }
  if (const std::string* offset = request.FindQuery("offset");
      offset != nullptr && !offset->empty()) {
    const auto number = base::ParseInt(*offset);
    if (!number) {
      return bad_offset(base::Format("strconv.Atoi: parsing \"{}\": invalid syntax", *offset));
    }
    if (*number < 0) return bad_offset("must be non-negative");
    if (*number > std::numeric_limits<int64_t>::max() - static_cast<int64_t>(page.size)) {
      return bad_offset("exceeds maximum value");
    }
    page.offset = static_cast<size_t>(*number);
  }
  return std::nullopt;
}

std::optional<Problem> ReadLabelFilters(const net::HttpRequest& request, std::string_view route,
                                        store::ListQuery& query) {
  model::Violations violations;
  constexpr std::string_view kPrefix = "filter[";
  constexpr std::string_view kLabels = "labels.";
  for (const auto& [name, value] : request.query) {
    if (!name.starts_with(kPrefix)) continue;
    const std::string_view inside = std::string_view(name).substr(kPrefix.size());
    const std::string at = base::Format("{}.{}", route, name);
    if (!inside.starts_with(kLabels)) {
      violations.Add(at, "filters are only supported on labels",
                     "write filter[labels.<key>]=<value>");
      continue;
    }
    const size_t end = inside.find(']');
    if (end == std::string_view::npos || end + 1 != inside.size()) {
      violations.Add(at, "advanced filters are not supported",
                     "write filter[labels.<key>]=<value>");
      continue;
    }
    const std::string label(inside.substr(kLabels.size(), end - kLabels.size()));
    std::erase_if(query.labels, [&label](const auto& entry) { return entry.first == label; });
    query.labels.emplace_back(label, value);
  }
  if (violations.empty()) return std::nullopt;
  return NotValid(kRetrieveAll, std::move(violations));
}

std::optional<Problem> ReadDataplaneFilter(const net::HttpRequest& request, std::string_view route,
                                           DataplaneFilter& filter) {
  if (const std::string* text = request.FindQuery("gateway"); text != nullptr && !text->empty()) {
    const std::string mode = base::ToLower(*text);
    // Delegated gateways are the only ones that there are.
    if (mode == "true" || mode == "delegated") {
      filter.gateway = DataplaneFilter::Gateway::kYes;
    } else if (mode == "false") {
      filter.gateway = DataplaneFilter::Gateway::kNo;
    } else {
      model::Violations violations;
      violations.Add(base::Format("{}.gateway", route),
                     base::Format("should use `true`, `false` or `delegated` instead of {}", mode));
      return NotValid(kRetrieveAll, std::move(violations));
    }
  }
  for (const auto& [name, value] : request.query) {
    if (name != "tag") continue;
    const size_t colon = value.find(':');
    if (colon == std::string::npos) continue;
    const std::string key = value.substr(0, colon);
    std::erase_if(filter.tags, [&key](const auto& entry) { return entry.first == key; });
    filter.tags.emplace_back(key, value.substr(colon + 1));
  }
  return std::nullopt;
}

bool DataplaneFilter::Matches(const model::Resource& resource) const {
  const auto& spec = resource.Spec<resources::dataplane::Spec>();
  const bool is_gateway = spec.networking && spec.networking->gateway;
  if (gateway == Gateway::kYes && !is_gateway) return false;
  if (gateway == Gateway::kNo && is_gateway) return false;
  if (tags.empty() || MatchesInPart(tags, resource.meta().labels)) return true;
  return is_gateway && MatchesInPart(tags, spec.networking->gateway->tags);
}

Value ListBody(const net::HttpRequest& request, const PageRequest& page, size_t total,
               model::Array items) {
  const size_t end = page.offset + page.size;
  return Object{{"total", static_cast<uint64_t>(total)},
                {"items", std::move(items)},
                {"next", end < total ? Value(NextUrl(request, end)) : Value(nullptr)}};
}

}  // namespace kuma::rest

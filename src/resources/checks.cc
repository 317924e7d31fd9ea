#include "resources/checks.h"

#include <algorithm>

#include "base/format.h"
#include "model/address.h"

namespace kuma::resources {

using model::Violations;

void CheckPort(uint32_t port, std::string_view path, Violations& out) {
  if (port < 1 || port > 65535) out.Add(std::string(path), "port must be in the range [1, 65535]");
}

void CheckAddress(std::string_view address, std::string_view path, Violations& out) {
  if (address.empty()) {
    out.Add(std::string(path), "address can't be empty");
    return;
  }
  if (address == "0.0.0.0" || address == "::")
    out.Add(std::string(path), "must not be 0.0.0.0 or ::",
            "other proxies connect to this address; give one at which this machine can be reached");
  if (!model::IsIpAddress(address) && !model::IsDnsName(address))
    out.Add(std::string(path), "address has to be valid IP address or domain name");
}

void CheckKind(std::string_view kind, std::initializer_list<std::string_view> kinds,
               std::string_view path, Violations& out) {
  if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) return;
  std::string list;
  for (const auto entry : kinds) list += (list.empty() ? "" : ",") + std::string(entry);
  out.Add(std::string(path), base::Format("invalid value. Available values are: {}", list));
}

void CheckTags(const std::map<std::string, std::string>& tags, std::string_view path,
               Violations& out) {
  const auto legal = [](std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '.' || c == '-' || c == '_' || c == ':' || c == '/';
    });
  };
  for (const auto& [key, value] : tags) {
    const std::string at = model::KeyPath(path, key);
    if (!legal(key))
      out.Add(at,
              "tag name must consist of alphanumeric characters, dots, dashes, slashes and "
              "underscores");
    if (value.empty())
      out.Add(at, "tag value must be non-empty");
    else if (!legal(value))
      out.Add(at,
              "tag value must consist of alphanumeric characters, dots, dashes, slashes and "
              "underscores");
  }
}

}  // namespace kuma::resources

#include "model/address.h"

#include <arpa/inet.h>

#include <cstring>

#include "base/strings.h"

namespace kuma::model {
namespace {

constexpr IpBytes kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

std::optional<IpBytes> ParseIpAddress(std::string_view text) {
  const std::string copy(text);
  if (copy.size() != std::strlen(copy.c_str())) return std::nullopt;
  IpBytes address = kMappedPrefix;
  if (inet_pton(AF_INET, copy.c_str(), address.data() + 12) == 1) return address;
  if (inet_pton(AF_INET6, copy.c_str(), address.data()) == 1) return address;
  return std::nullopt;
}

std::optional<Network> ParseNetwork(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  auto bytes = ParseIpAddress(text.substr(0, slash));
  const auto bits = base::ParseUint(text.substr(slash + 1));
  if (!bytes || !bits) return std::nullopt;
  Network network;
  network.ipv6 = IsIpv6Address(text.substr(0, slash));
  if (*bits > (network.ipv6 ? 128 : 32)) return std::nullopt;
  network.bits = static_cast<unsigned>(*bits);
  const unsigned kept = network.bits + (network.ipv6 ? 0 : 96);
  for (unsigned bit = kept; bit < 128; ++bit)
    (*bytes)[bit / 8] &= static_cast<unsigned char>(~(0x80u >> bit % 8));
  char buffer[INET6_ADDRSTRLEN];
  network.address = network.ipv6 ? inet_ntop(AF_INET6, bytes->data(), buffer, sizeof buffer)
                                 : inet_ntop(AF_INET, bytes->data() + 12, buffer, sizeof buffer);
  return network;
}

bool IsIpAddress(std::string_view text) { return ParseIpAddress(text).has_value(); }
bool IsIpv6Address(std::string_view text) {
  return text.find(':') != std::string_view::npos && IsIpAddress(text);
}

bool IsUnspecifiedAddress(std::string_view text) {
  const auto address = ParseIpAddress(text);
  return address && (*address == kMappedPrefix || *address == IpBytes{});
}

bool SameIpAddress(std::string_view a, std::string_view b) {
  const auto left = ParseIpAddress(a);
  return left && left == ParseIpAddress(b);
}

bool IsDnsName(std::string_view text) {
  if (text.empty() || text.size() > 255 || IsIpAddress(text)) return false;
  if (text.back() == '.') text.remove_suffix(1);
  for (const std::string& label : base::Split(text, '.')) {
    if (label.empty() || label.size() > 63 || !IsNameChar(label[0])) return false;
    for (const char c : label)
      if (!IsNameChar(c) && c != '-') return false;
  }
  return true;
}

std::optional<std::string> SpiffeIdFault(std::string_view text) {
  constexpr std::string_view scheme = "spiffe://";
  if (text.empty()) return "cannot be empty";
  if (!text.starts_with(scheme)) return "scheme is missing or invalid";
  text.remove_prefix(scheme.size());
  const size_t slash = text.find('/');
  const std::string_view domain = text.substr(0, slash);
  if (domain.empty()) return "trust domain is missing";
  for (const char c : domain)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'))
      return "trust domain characters are limited to lowercase letters, numbers, dots, dashes, and "
             "underscores";
  if (slash == std::string_view::npos) return std::nullopt;
  const auto segments = base::Split(text.substr(slash + 1), '/');
  for (size_t i = 0; i < segments.size(); ++i) {
    const std::string& segment = segments[i];
    if (segment.empty())
      return i + 1 == segments.size() ? "path cannot have a trailing slash"
                                      : "path cannot contain empty segments";
    if (segment == "." || segment == "..") return "path cannot contain dot segments";
    for (const char c : segment)
      if (!IsNameChar(c) && c != '-' && c != '.')
        return "path characters are limited to letters, numbers, dots, dashes, and underscores";
  }
  return std::nullopt;
}

}  // namespace kuma::model

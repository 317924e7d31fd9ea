#pragma once

// Syntax of network addresses in resources. Nothing is resolved.

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace kuma::model {

// An address as 16 bytes, IPv4 mapped into IPv6; nothing if it is none.
using IpBytes = std::array<unsigned char, 16>;
std::optional<IpBytes> ParseIpAddress(std::string_view text);

// "198.51.100.7/24": its network, 198.51.100.0, and 24 bits; nothing if it is none.
struct Network {
  std::string address;
  unsigned bits = 0;
  bool ipv6 = false;
};
std::optional<Network> ParseNetwork(std::string_view text);

bool IsIpAddress(std::string_view text);  // IPv4 in four decimal parts, or IPv6 without a zone
bool IsIpv6Address(std::string_view text);
bool IsUnspecifiedAddress(std::string_view text);  // 0.0.0.0, :: in any spelling
// The same address, in whatever spelling; an IPv4-mapped IPv6 address equals its IPv4 form.
bool SameIpAddress(std::string_view a, std::string_view b);
// A host name as Kuma accepts it: labels of letters, digits, '-' and '_', and no IP address.
bool IsDnsName(std::string_view text);

// Why `text` is no SPIFFE ID ("scheme is missing or invalid"); nothing if it is one.
std::optional<std::string> SpiffeIdFault(std::string_view text);

}  // namespace kuma::model

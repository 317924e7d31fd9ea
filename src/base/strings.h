#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kuma::base {

std::vector<std::string> Split(std::string_view text, char separator);
std::string Join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view Trim(std::string_view text);                   // ASCII white space at both ends
std::string ToLower(std::string_view text);                     // ASCII
bool EqualsIgnoreCase(std::string_view a, std::string_view b);  // ASCII
std::string ReplaceAll(std::string text, std::string_view from, std::string_view to);

// The whole text as a number in range, or nothing.
std::optional<int64_t> ParseInt(std::string_view text);
std::optional<uint64_t> ParseUint(std::string_view text);
std::optional<double> ParseDouble(std::string_view text);

// RFC 4648 section 4, with padding. Decoding refuses anything else but white space between
// characters.
std::string EncodeBase64(std::string_view bytes);
std::optional<std::string> DecodeBase64(std::string_view text);
// RFC 4648 section 5, without padding (JWT, RFC 7515).
std::string EncodeBase64Url(std::string_view bytes);
std::optional<std::string> DecodeBase64Url(std::string_view text);

std::string ToHex(std::string_view bytes);

}  // namespace kuma::base

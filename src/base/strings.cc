#include "base/strings.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace kuma::base {
namespace {

constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool IsSpace(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string Encode(std::string_view bytes, std::string_view alphabet, bool padding) {
  std::string out((bytes.size() + 2) / 3 * 4, '=');
  char* to = out.data();
  const auto byte = [&](size_t i) { return i < bytes.size() ? uint8_t(bytes[i]) : uint8_t(0); };
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const uint32_t group = static_cast<uint32_t>(byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2));
    for (int shift = 18; shift >= 0; shift -= 6) *to++ = alphabet[group >> shift & 63];
  }
  const size_t unused = (3 - bytes.size() % 3) % 3;
  out.resize(out.size() - unused);
  if (padding) out.append(unused, '=');
  return out;
}

std::optional<std::string> Decode(std::string_view text, std::string_view alphabet, bool padding) {
  std::array<int8_t, 256> values;
  values.fill(-1);
  for (size_t i = 0; i < alphabet.size(); ++i) {
    values[static_cast<uint8_t>(alphabet[i])] = static_cast<int8_t>(i);
  }
  std::string out;
  out.reserve(text.size() / 4 * 3 + 3);
  uint32_t group = 0;
  size_t digits = 0;
  size_t pads = 0;
  for (const char c : text) {
    if (padding && IsSpace(c)) continue;
    if (padding && c == '=') {
      ++pads;
      continue;
    }
    const int value = values[static_cast<uint8_t>(c)];
    if (value < 0 || pads > 0) return std::nullopt;
    group = group << 6 | static_cast<uint32_t>(value);
    if (++digits % 4 == 0) {
      out += static_cast<char>(group >> 16);
      out += static_cast<char>(group >> 8);
      out += static_cast<char>(group);
      group = 0;
    }
  }
  const size_t rest = digits % 4;
  if (rest == 1 || (padding && (rest + pads) % 4 != 0) || pads > 2) return std::nullopt;
  if (rest == 2) {
    out += static_cast<char>(group >> 4);
    if (group & 0xF) return std::nullopt;
  } else if (rest == 3) {
    out += static_cast<char>(group >> 10);
    out += static_cast<char>(group >> 2);
    if (group & 0x3) return std::nullopt;
  }
  return out;
}

template <class T>
std::optional<T> Parse(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(separator, begin);
    if (end == std::string_view::npos) break;
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  parts.emplace_back(text.substr(begin));
  return parts;
}

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += separator;
    out += parts[i];
  }
  return out;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

std::string ToLower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), Lower);
  return out;
}

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return Lower(x) == Lower(y); });
}

std::string ReplaceAll(std::string text, std::string_view from, std::string_view to) {
  if (from.empty()) return text;
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::optional<int64_t> ParseInt(std::string_view text) { return Parse<int64_t>(text); }
std::optional<uint64_t> ParseUint(std::string_view text) { return Parse<uint64_t>(text); }
std::optional<double> ParseDouble(std::string_view text) { return Parse<double>(text); }

std::string EncodeBase64(std::string_view bytes) { return Encode(bytes, kStandard, true); }
std::optional<std::string> DecodeBase64(std::string_view text) {
  return Decode(text, kStandard, true);
}
std::string EncodeBase64Url(std::string_view bytes) { return Encode(bytes, kUrl, false); }
std::optional<std::string> DecodeBase64Url(std::string_view text) {
  return Decode(text, kUrl, false);
}

std::string ToHex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    out += kDigits[static_cast<uint8_t>(c) >> 4];
    out += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

}  // namespace kuma::base

#include "model/names.h"

#include <cstdint>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::model {
namespace {

constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxSubdomain = 253;

constexpr std::string_view kBadName =
    "invalid characters. A lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
    "characters, '-' or "
    "'.', and must start and end with an alphanumeric character";
constexpr std::string_view kBadMesh =
    "invalid characters. Valid characters are numbers, lowercase latin letters and '-', '_', '.' "
    "symbols.";
constexpr std::string_view kBadSubdomain =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr std::string_view kBad1035Label =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
    "validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')";
constexpr std::string_view kBadNamePart =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
constexpr std::string_view kBadLabelValue =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
    "for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLowerOrDigit(char c) { return IsLower(c) || IsDigit(c); }
bool IsAlnum(char c) { return IsLowerOrDigit(c) || (c >= 'A' && c <= 'Z'); }

// [a-z0-9]([-a-z0-9]*[a-z0-9])?
bool IsLabelText(std::string_view text) {
  if (text.empty() || !IsLowerOrDigit(text.front()) || !IsLowerOrDigit(text.back())) return false;
  for (const char c : text)
    if (!IsLowerOrDigit(c) && c != '-') return false;
  return true;
}

bool IsSubdomainText(std::string_view text) {
  size_t start = 0;
  while (true) {
    const size_t dot = text.find('.', start);
    if (!IsLabelText(text.substr(start, dot == std::string_view::npos ? dot : dot - start)))
      return false;
    if (dot == std::string_view::npos) return true;
    start = dot + 1;
  }
}

// ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]
bool IsNamePart(std::string_view text) {
  if (text.empty() || !IsAlnum(text.front()) || !IsAlnum(text.back())) return false;
  for (const char c : text)
    if (!IsAlnum(c) && c != '-' && c != '_' && c != '.') return false;
  return true;
}

std::string TooLong(size_t limit) {
  return base::Format("must be no more than {} characters", limit);
}

// Kuma's check of names and meshes.
void CheckIdentifier(std::string_view field, std::string_view text, bool right,
                     std::string_view wrong, Violations& out) {
  if (text.empty())
    out.Add(std::string(field), "cannot be empty");
  else if (text.size() > kMaxSubdomain)
    out.Add(std::string(field), "value length must less or equal 253");
  else if (!right)
    out.Add(std::string(field), std::string(wrong));
}

bool IsMeshText(std::string_view text) {
  for (const char c : text)
    if (!IsLowerOrDigit(c) && c != '-' && c != '_' && c != '.') return false;
  return true;
}

}  // namespace

void ValidateMetadata(const ResourceType& type, const Metadata& meta, Violations& out) {
  CheckIdentifier("name", meta.name, IsSubdomainText(meta.name), kBadName, out);
  if (type.scope == Scope::kMesh)
    CheckIdentifier("mesh", meta.mesh, IsMeshText(meta.mesh), kBadMesh, out);
}

void ValidateKindName(const ResourceType& type, const Metadata& meta, bool is_new,
                      Violations& out) {
  if (type.name_rule == NameRule::kSubdomain) return;
  if (type.name_rule == NameRule::kMeshName && !is_new) return;
  // A resource of another control plane has a longer name of ours; what counts is the one it was
  // given.
  for (std::string& wrong : CheckRfc1035Label(DisplayName(meta))) out.Add("name", std::move(wrong));
}

bool IsRfc1123Subdomain(std::string_view text) {
  return text.size() <= kMaxSubdomain && IsSubdomainText(text);
}
bool IsRfc1123Label(std::string_view text) { return text.size() <= kMaxLabel && IsLabelText(text); }
bool IsRfc1035Label(std::string_view text) { return IsRfc1123Label(text) && IsLower(text.front()); }
bool IsQualifiedName(std::string_view text) { return CheckQualifiedName(text).empty(); }
bool IsLabelValue(std::string_view text) {
  return text.empty() || (text.size() <= kMaxLabel && IsNamePart(text));
}

std::vector<std::string> CheckRfc1123Subdomain(std::string_view text) {
  std::vector<std::string> wrong;
  if (text.size() > kMaxSubdomain) wrong.push_back(TooLong(kMaxSubdomain));
  if (!IsSubdomainText(text)) wrong.emplace_back(kBadSubdomain);
  return wrong;
}

std::vector<std::string> CheckRfc1035Label(std::string_view text) {
  std::vector<std::string> wrong;
  if (text.size() > kMaxLabel) wrong.push_back(TooLong(kMaxLabel));
  if (!IsLabelText(text) || !IsLower(text.front())) wrong.emplace_back(kBad1035Label);
  return wrong;
}

std::vector<std::string> CheckQualifiedName(std::string_view text) {
  std::vector<std::string> wrong;
  std::string_view name = text;
  const size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    if (text.find('/', slash + 1) != std::string_view::npos) {
      wrong.push_back(
          base::Format("a qualified name {} with an optional DNS subdomain prefix and '/' (e.g. "
                       "'example.com/MyName')",
                       kBadNamePart));
      return wrong;
    }
    const std::string_view prefix = text.substr(0, slash);
    name = text.substr(slash + 1);
    if (prefix.empty())
      wrong.emplace_back("prefix part must be non-empty");
    else
      for (const std::string& reason : CheckRfc1123Subdomain(prefix))
        wrong.push_back("prefix part " + reason);
  }
  if (name.empty())
    wrong.emplace_back("name part must be non-empty");
  else if (name.size() > kMaxLabel)
    wrong.push_back("name part " + TooLong(kMaxLabel));
  if (!IsNamePart(name)) wrong.push_back(base::Format("name part {}", kBadNamePart));
  return wrong;
}

std::vector<std::string> CheckLabelValue(std::string_view text) {
  std::vector<std::string> wrong;
  if (text.size() > kMaxLabel) wrong.push_back(TooLong(kMaxLabel));
  if (!text.empty() && !IsNamePart(text)) wrong.emplace_back(kBadLabelValue);
  return wrong;
}

std::string_view DisplayName(const Metadata& meta) {
  const std::string_view label = meta.Label(kDisplayNameLabel);
  return label.empty() ? std::string_view(meta.name) : label;
}

std::string HashedName(std::string_view mesh, std::string_view display_name, std::string_view zone,
                       std::string_view ns) {
  constexpr std::string_view alphabet = "bcdfghjklmnpqrstvwxz2456789";
  constexpr size_t max_prefix = 236;
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const std::string_view part : {mesh, display_name, zone, ns}) {
    for (const char c : part) {
      hash ^= static_cast<unsigned char>(c);
      hash *= 1099511628211u;
    }
  }
  std::string name(display_name.substr(0, max_prefix));
  name += '-';
  for (const char c : base::Format("{:016x}", hash))
    name += alphabet[static_cast<size_t>(c) % alphabet.size()];
  return name;
}

std::string HashedName(const Metadata& meta) {
  return HashedName(meta.mesh, DisplayName(meta), meta.Label(kZoneLabel),
                    meta.Label(kNamespaceLabel));
}

}  // namespace kuma::model

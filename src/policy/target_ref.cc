#include "policy/target_ref.h"

#include <algorithm>

#include "base/format.h"
#include "model/address.h"
#include "model/names.h"

namespace kuma::policy {

using model::IndexPath;
using model::JoinPath;
using model::NameOf;
using model::Violations;

namespace {

bool IsOneOf(TargetKind kind, std::initializer_list<TargetKind> kinds) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

std::string WithKind(std::string_view what, TargetKind kind) {
  return base::Format("{} with kind {}", what, NameOf(kind));
}

std::string UnknownType(const std::string& type, std::string_view supported) {
  if (type.empty()) return "must be set";
  return base::Format("unrecognized type \"{}\", supported values are: {}", type, supported);
}

// Why a SPIFFE ID, or the beginning of one, is none.
std::optional<std::string> SpiffeFault(const SpiffeIdMatch& match) {
  std::string_view text = match.value;
  // A beginning may end between two parts of the path.
  if (match.type == SpiffeIdMatchType::kPrefix && text.size() > 1 && text.back() == '/')
    text.remove_suffix(1);
  return model::SpiffeIdFault(text);
}

}  // namespace

Violations ValidateTargetRef(const TargetRef& ref, std::initializer_list<TargetKind> supported,
                             bool inbound) {
  Violations out;
  const TargetKind kind = ref.kind;
  if (!IsOneOf(kind, supported)) {
    const std::string text = NameOf(ref.kind);
    if (text.empty())
      out.Add("kind", std::string(kMustBeDefined));
    else
      out.Add("kind", base::Format("value '{}' is not supported", text));
    return out;
  }
  const bool has_section = !ref.section_name.value_or("").empty();
  switch (kind) {
    case TargetKind::kMesh:
      if (!ref.labels.empty()) out.Add("labels", WithKind("must not be set", kind));
      if (has_section) out.Add("sectionName", WithKind("must not be set", kind));
      break;
    case TargetKind::kDataplane:
      if (has_section && !inbound)
        out.Add("sectionName", "can only be used with inbound policies",
                "the section of a Dataplane is one of its inbounds; a policy with a 'to' list is "
                "about its outbounds");
      break;
    case TargetKind::kMeshHttpRoute:
      if (ref.labels.empty())
        out.Add("labels", base::Format("must be set when kind is {}", NameOf(kind)));
      if (has_section) out.Add("sectionName", WithKind("must not be set", kind));
      break;
    case TargetKind::kMeshService:
    case TargetKind::kMeshExternalService:
    case TargetKind::kMeshMultiZoneService:
      if (kind == TargetKind::kMeshExternalService && has_section)
        out.Add("sectionName", WithKind("must not be set", kind), "it has one port only");
      if (ref.labels.empty())
        out.Add("labels", base::Format("must be set when kind is {}", NameOf(kind)),
                base::Format("to name one, use the label {}", model::kDisplayNameLabel));
      break;
    case TargetKind::kUnknown: break;
  }
  return out;
}

Violations ValidateToTargetRef(const std::optional<TargetRef>& top, const TargetRef& ref) {
  if (top && top->kind == TargetKind::kMeshHttpRoute)
    return ValidateTargetRef(ref, {TargetKind::kMesh, TargetKind::kMeshExternalService});
  return ValidateTargetRef(
      ref, {TargetKind::kMesh, TargetKind::kMeshService, TargetKind::kMeshExternalService,
            TargetKind::kMeshMultiZoneService, TargetKind::kMeshHttpRoute});
}

Violations ValidateBackendRef(const BackendRef& ref) {
  TargetRef target;
  target.kind = ref.kind;
  target.labels = ref.labels;
  target.section_name = ref.section_name;
  Violations out =
      ValidateTargetRef(target, {TargetKind::kMeshService, TargetKind::kMeshExternalService,
                                 TargetKind::kMeshMultiZoneService});
  if (ref.kind == TargetKind::kMeshMultiZoneService && !ref.port)
    out.Add("port", WithKind(kMustBeDefined, ref.kind));
  if (ref.weight.value_or(0) > UINT32_MAX)
    out.Add("weight", base::Format("must be in inclusive range [0, {}]", UINT32_MAX));
  return out;
}

Violations ValidateMatches(const std::vector<Match>& matches) {
  Violations out;
  for (size_t i = 0; i < matches.size(); ++i) {
    const std::string path = IndexPath("", i);
    if (!matches[i].spiffe_id && !matches[i].sni)
      out.Add(path, "must specify at least one of 'spiffeID' or 'sni'",
              "a rule without matches is for all traffic");
    if (const auto& spiffe_id = matches[i].spiffe_id) {
      const std::string at = JoinPath(path, "spiffeID");
      if (spiffe_id->type == SpiffeIdMatchType::kUnknown)
        out.Add(JoinPath(at, "type"), UnknownType(NameOf(spiffe_id->type), "Exact, Prefix"));
      if (const auto fault = SpiffeFault(*spiffe_id))
        out.Add(at, base::Format("must be a valid Spiffe ID: {}", *fault));
    }
    if (const auto& sni = matches[i].sni) {
      const std::string at = JoinPath(path, "sni");
      if (sni->type == SniMatchType::kUnknown)
        out.Add(JoinPath(at, "type"), UnknownType(NameOf(sni->type), "Exact"));
      if (sni->value.empty())
        out.Add(JoinPath(at, "value"), "must be set");
      else
        for (std::string& wrong : model::CheckRfc1123Subdomain(sni->value))
          out.Add(JoinPath(at, "value"), std::move(wrong));
    }
  }
  return out;
}

Violations ValidateHeaderMatches(const std::vector<HeaderMatch>& headers) {
  Violations out;
  for (size_t i = 0; i < headers.size(); ++i) {
    const bool wants_none =
        headers[i].type == HeaderMatchType::kPresent || headers[i].type == HeaderMatchType::kAbsent;
    if (wants_none && !headers[i].value.empty())
      out.Add(JoinPath(IndexPath("", i), "value"), std::string(kMustNotBeDefined));
  }
  return out;
}

void ValidateTopTargetRef(const std::optional<TargetRef>& ref, bool inbound, Violations& out) {
  if (!ref) return;
  out.AppendAt("spec.targetRef",
               ValidateTargetRef(*ref, {TargetKind::kMesh, TargetKind::kDataplane}, inbound));
}

bool IsHeaderName(std::string_view text) {
  static constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           others.find(c) != std::string_view::npos;
  });
}

std::string MustHaveAtLeastOne(std::initializer_list<std::string_view> names) {
  std::string list;
  for (const auto name : names) list += (list.empty() ? "" : ", ") + std::string(name);
  return "must have at least one defined: " + list;
}

void ValidatePercentage(const std::optional<model::IntOrString>& value, std::string_view path,
                        Violations& out) {
  if (!value) return;
  const auto number = value->Number();
  if (!number)
    out.Add(std::string(path), "string must be a valid number");
  else if (*number < 0 || *number > 100)
    out.Add(std::string(path), "must be in inclusive range [0.0, 100.0]");
}

}  // namespace kuma::policy

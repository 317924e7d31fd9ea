#include "policies/mesh_http_route/mesh_http_route.h"

#include <algorithm>
#include <set>

#include "base/format.h"
#include "base/strings.h"
#include "model/address.h"
#include "model/describe.h"

namespace kuma::policies::mesh_http_route {
namespace {

using model::IndexPath;
using model::JoinPath;
using model::Violations;
using policy::TargetKind;

void ValidatePath(const PathMatch& match, const std::string& path, Violations& out) {
  if (match.type == PathMatchType::kRegularExpression) return;
  const std::string at = JoinPath(path, "value");
  if (!match.value.starts_with('/')) out.Add(at, "must be an absolute path");
  if (match.type == PathMatchType::kPathPrefix && match.value.size() > 1 &&
      match.value.ends_with('/'))
    out.Add(at,
            "does not need a trailing slash because only a `/`-separated prefix or an entire path "
            "is matched");
}

void ValidateMatches(const std::vector<Match>& matches, const std::string& path, Violations& out) {
  for (size_t i = 0; i < matches.size(); ++i) {
    const Match& match = matches[i];
    const std::string at = IndexPath(path, i);
    if (match.path) ValidatePath(*match.path, JoinPath(at, "path"), out);
    std::set<std::string> names;
    for (size_t j = 0; j < match.query_params.size(); ++j)
      if (!names.insert(match.query_params[j].name).second)
        out.Add(JoinPath(IndexPath(JoinPath(at, "queryParams"), j), "name"),
                base::Format("multiple entries for name {}", match.query_params[j].name));
    out.AppendAt(JoinPath(at, "headers"), policy::ValidateHeaderMatches(match.headers));
  }
}

void ValidateHeaderModifier(const HeaderModifier& modifier, const std::string& path,
                            Violations& out) {
  if (modifier.set.empty() && modifier.add.empty() && modifier.remove.empty())
    out.Add(path, policy::MustHaveAtLeastOne({"set", "add", "remove"}));
  std::set<std::string> names;
  const auto check = [&](const std::string& name, std::string_view list, size_t index) {
    if (!names.insert(base::ToLower(name)).second)
      out.Add(JoinPath(IndexPath(JoinPath(path, list), index), "name"), "duplicate header name");
  };
  for (size_t i = 0; i < modifier.set.size(); ++i) check(modifier.set[i].name, "set", i);
  for (size_t i = 0; i < modifier.add.size(); ++i) check(modifier.add[i].name, "add", i);
  for (size_t i = 0; i < modifier.remove.size(); ++i) check(modifier.remove[i], "remove", i);
}

void ValidateHostname(const std::optional<std::string>& hostname, const std::string& path,
                      Violations& out) {
  if (!hostname) return;
  if (model::IsIpAddress(*hostname)) {
    out.Add(path, "cannot be an IP address");
    return;
  }
  for (std::string& wrong : model::CheckRfc1123Subdomain(*hostname))
    out.Add(path, std::move(wrong));
}

void ValidateRewrite(const std::optional<PathRewrite>& rewrite, const std::vector<Match>& matches,
                     const std::string& path, Violations& out) {
  if (!rewrite) return;
  const auto check = [&](const std::optional<std::string>& value, bool wanted,
                         std::string_view name) {
    if (wanted && !value) out.Add(JoinPath(path, name), std::string(policy::kMustBeDefined));
    if (!wanted && value) out.Add(JoinPath(path, name), std::string(policy::kMustNotBeDefined));
  };
  const bool full = rewrite->type == PathRewriteType::kReplaceFullPath;
  check(rewrite->replace_full_path, full, "replaceFullPath");
  check(rewrite->replace_prefix_match, !full, "replacePrefixMatch");
  const bool prefixes = std::all_of(matches.begin(), matches.end(), [](const Match& match) {
    return match.path && match.path->type == PathMatchType::kPathPrefix;
  });
  if (!full && rewrite->replace_prefix_match && !prefixes)
    out.Add(JoinPath(path, "replacePrefixMatch"),
            "can only appear if all matches match a path prefix");
}

template <class T>
bool Present(const std::optional<T>& member, const std::string& path, Violations& out) {
  if (!member) out.Add(path, std::string(policy::kMustBeDefined));
  return member.has_value();
}

void ValidateFilter(const Filter& filter, const std::vector<Match>& matches,
                    const std::string& path, Violations& out) {
  switch (filter.type) {
    case FilterType::kRequestHeaderModifier: {
      const std::string at = JoinPath(path, "requestHeaderModifier");
      if (Present(filter.request_header_modifier, at, out))
        ValidateHeaderModifier(*filter.request_header_modifier, at, out);
      return;
    }
    case FilterType::kResponseHeaderModifier: {
      const std::string at = JoinPath(path, "responseHeaderModifier");
      if (Present(filter.response_header_modifier, at, out))
        ValidateHeaderModifier(*filter.response_header_modifier, at, out);
      return;
    }
    case FilterType::kRequestRedirect: {
      const std::string at = JoinPath(path, "requestRedirect");
      if (!Present(filter.request_redirect, at, out)) return;
      ValidateHostname(filter.request_redirect->hostname, JoinPath(at, "hostname"), out);
      ValidateRewrite(filter.request_redirect->path, matches, JoinPath(at, "path"), out);
      return;
    }
    case FilterType::kUrlRewrite: {
      const std::string at = JoinPath(path, "urlRewrite");
      if (!Present(filter.url_rewrite, at, out)) return;
      ValidateHostname(filter.url_rewrite->hostname, JoinPath(at, "hostname"), out);
      ValidateRewrite(filter.url_rewrite->path, matches, JoinPath(at, "path"), out);
      if (filter.url_rewrite->host_to_backend_hostname.value_or(false))
        out.Add(JoinPath(at, "hostToBackendHostname"), "must not be set",
                "backends inside of a mesh have no host name of their own");
      return;
    }
    case FilterType::kRequestMirror: {
      const std::string at = JoinPath(path, "requestMirror");
      if (!Present(filter.request_mirror, at, out)) return;
      out.AppendAt(JoinPath(at, "backendRef"),
                   policy::ValidateBackendRef(filter.request_mirror->backend_ref));
      policy::ValidatePercentage(filter.request_mirror->percentage, JoinPath(at, "percentage"),
                                 out);
      return;
    }
  }
}

void ValidateRule(const Rule& rule, const std::string& path, Violations& out) {
  ValidateMatches(rule.matches, JoinPath(path, "matches"), out);
  const RuleConf& conf = rule.default_conf;
  for (size_t i = 0; i < conf.filters.size(); ++i)
    ValidateFilter(conf.filters[i], rule.matches, IndexPath(JoinPath(path, "default.filters"), i),
                   out);
  for (size_t i = 0; i < conf.backend_refs.size(); ++i)
    out.AppendAt(IndexPath(JoinPath(path, "default.backendRefs"), i),
                 policy::ValidateBackendRef(conf.backend_refs[i]));
}

void Validate(const model::Resource& resource, Violations& out) {
  const Spec& spec = resource.Spec<Spec>();
  policy::ValidateTopTargetRef(spec.target_ref, false, out);
  for (size_t i = 0; i < spec.to.size(); ++i) {
    const To& to = spec.to[i];
    const std::string path = IndexPath("spec.to", i);
    out.AppendAt(JoinPath(path, "targetRef"),
                 policy::ValidateTargetRef(
                     to.target_ref, {TargetKind::kMeshService, TargetKind::kMeshExternalService,
                                     TargetKind::kMeshMultiZoneService}));
    if (!to.hostnames.empty())
      out.Add(JoinPath(path, "hostnames"), std::string(policy::kMustNotBeDefined),
              "the host name of the request plays no part inside of a mesh");
    for (size_t j = 0; j < to.rules.size(); ++j)
      ValidateRule(to.rules[j], IndexPath(JoinPath(path, "rules"), j), out);
  }
}

}  // namespace

const model::ResourceType& Schema() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "MeshHTTPRoute",
      .singular = "meshhttproute",
      .plural = "meshhttproutes",
      .short_name = "mhttpr",
      .singular_display_name = "Mesh HTTP Route",
      .plural_display_name = "Mesh HTTP Routes",
      .is_policy = true,
      .in_federation_export = true,
      .global_to_zones = true,
      .zone_to_global = true,
      .across_zones = true,
      .hashed_name = true,
      .validate = Validate,
  });
  return type;
}

}  // namespace kuma::policies::mesh_http_route

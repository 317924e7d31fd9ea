#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/format.h"
#include "envoy/builders.h"
#include "policies/mesh_http_route/mesh_http_route.h"
#include "policy/describe_policy.h"

namespace kuma::policies::mesh_http_route {
namespace {

namespace api = envoy::api;
using policy::Destination;

// ---- merging

// A rule of one or, where several policies have the same matches, of several of them.
struct MergedRule {
  std::vector<Match> matches;
  RuleConf conf;
  policy::Origin origin;  // the most specific entry that has these matches: it names the routes
};

struct MergedRoutes {
  std::vector<MergedRule> rules;  // most specific policy first; in a policy the order of its rules
};

base::ContentHash KeyOf(const std::vector<Match>& matches) {
  base::Hasher hasher;
  for (const Match& match : matches) hasher.Add(model::Hash(match));
  return hasher.Finish();
}

// The first rule with its matches counts in a policy, and the most specific policy among several.
// What a rule leaves out is filled in from the ones it wins over.
std::shared_ptr<const void> MergeRoutes(std::span<const policy::MergeInput> inputs) {
  auto merged = std::make_shared<MergedRoutes>();
  std::vector<base::ContentHash> keys;
  std::vector<std::vector<const RuleConf*>> confs;  // most specific first
  for (size_t i = inputs.size(); i-- > 0;) {
    for (const Rule& rule : static_cast<const To*>(inputs[i].conf)->rules) {
      const base::ContentHash key = KeyOf(rule.matches);
      const auto found = std::find(keys.begin(), keys.end(), key);
      const size_t at = static_cast<size_t>(found - keys.begin());
      if (found == keys.end()) {
        keys.push_back(key);
        confs.emplace_back();
        merged->rules.push_back({rule.matches, {}, inputs[i].origin});
      }
      confs[at].push_back(&rule.default_conf);
    }
  }
  for (size_t i = 0; i < confs.size(); ++i) {
    RuleConf& conf = merged->rules[i].conf;
    conf = *confs[i].back();
    for (size_t j = confs[i].size() - 1; j-- > 0;)
      conf = model::Merge(std::move(conf), *confs[i][j]);
  }
  return merged;
}

model::Value EncodeRoutes(const void* routes) {
  model::Array rules;
  for (const MergedRule& rule : static_cast<const MergedRoutes*>(routes)->rules)
    rules.push_back(model::Encode(Rule{rule.matches, rule.conf}));
  return model::Object{{"rules", std::move(rules)}};
}

std::vector<policy::RouteRule> RoutesOf(const void* routes) {
  std::vector<policy::RouteRule> result;
  for (const MergedRule& rule : static_cast<const MergedRoutes*>(routes)->rules) {
    model::Array matches;
    for (const Match& match : rule.matches) {
      model::Value encoded = model::Encode(match);
      // Kuma writes the value of a path before its type.
      if (match.path) {
        encoded.if_object()->Set("path", model::Object{{"value", match.path->value},
                                                       {"type", model::NameOf(match.path->type)}});
      }
      matches.push_back(std::move(encoded));
    }
    result.push_back({std::move(matches), model::Encode(rule.conf), rule.origin});
  }
  return result;
}

void HashRoutes(const void* routes, base::Hasher& hasher) {
  for (const MergedRule& rule : static_cast<const MergedRoutes*>(routes)->rules) {
    hasher.Add(model::Hash(Rule{rule.matches, rule.conf}));
    hasher.Add(rule.origin.kri.ToString()).Add(uint64_t{rule.origin.index});
  }
}

void BackendsOf(const void* routes, std::vector<policy::BackendUse>& out) {
  for (const MergedRule& rule : static_cast<const MergedRoutes*>(routes)->rules) {
    const std::string& ns = rule.origin.kri.ns;
    for (const policy::BackendRef& ref : rule.conf.backend_refs) out.push_back({&ref, ns});
    for (const Filter& filter : rule.conf.filters) {
      if (filter.request_mirror) out.push_back({&filter.request_mirror->backend_ref, ns});
    }
  }
}

// ---- order of routes: that of the Gateway API. Negative: `a` comes first.

template <class T>
int CompareSet(const std::optional<T>& a, const std::optional<T>& b) {
  return static_cast<int>(b.has_value()) - static_cast<int>(a.has_value());
}

int ComparePaths(const std::optional<PathMatch>& a, const std::optional<PathMatch>& b) {
  if (!a || !b) return CompareSet(a, b);
  if (a->type != b->type) return a->type < b->type ? -1 : 1;  // exact, prefix, regular expression
  if (a->type == PathMatchType::kExact || a->value.size() == b->value.size()) return 0;
  return a->value.size() > b->value.size() ? -1 : 1;
}

int CompareMatches(const Match& a, const Match& b) {
  if (const int by_path = ComparePaths(a.path, b.path); by_path != 0) return by_path;
  if (const int by_method = CompareSet(a.method, b.method); by_method != 0) return by_method;
  if (a.headers.size() != b.headers.size()) return a.headers.size() > b.headers.size() ? -1 : 1;
  if (a.query_params.size() != b.query_params.size())
    return a.query_params.size() > b.query_params.size() ? -1 : 1;
  return 0;
}

// ---- matches

struct EnvoyMatch {
  api::RouteMatch match;
  bool of_prefix = false;  // made of a PathPrefix; for rewrites
};

api::HeaderMatcher MatcherOf(const policy::HeaderMatch& header) {
  using envoy::HeaderMatchKind;
  HeaderMatchKind kind = HeaderMatchKind::kExact;
  switch (header.type) {
    case policy::HeaderMatchType::kPresent: kind = HeaderMatchKind::kPresent; break;
    case policy::HeaderMatchType::kRegularExpression:
      kind = HeaderMatchKind::kRegularExpression;
      break;
    case policy::HeaderMatchType::kAbsent: kind = HeaderMatchKind::kAbsent; break;
    case policy::HeaderMatchType::kPrefix:
      // Envoy takes no empty prefix.
      kind = header.value.empty() ? HeaderMatchKind::kPresent : HeaderMatchKind::kPrefix;
      break;
    default: break;
  }
  return envoy::HeaderMatcherOf(kind, header.name, header.value);
}

void AddConditions(const Match& match, api::RouteMatch& out) {
  if (match.method) {
    *out.add_headers() = envoy::HeaderMatcherOf(envoy::HeaderMatchKind::kExact, ":method",
                                                model::NameOf(*match.method));
  }
  // Of several conditions for one name the first counts.
  std::set<std::string_view> parameters;
  for (const QueryParamMatch& parameter : match.query_params) {
    if (!parameters.insert(parameter.name).second) continue;
    auto& matcher = *out.add_query_parameters();
    matcher.set_name(parameter.name);
    if (parameter.type == QueryParamMatchType::kExact) {
      matcher.mutable_string_match()->set_exact(parameter.value);
    } else {
      matcher.mutable_string_match()->mutable_safe_regex()->set_regex(parameter.value);
    }
  }
  std::set<std::string_view> headers;
  for (const policy::HeaderMatch& header : match.headers) {
    if (headers.insert(header.name).second) *out.add_headers() = MatcherOf(header);
  }
}

std::vector<EnvoyMatch> EnvoyMatches(const Match& match) {
  std::vector<EnvoyMatch> result(1);
  const PathMatch path = match.path.value_or(PathMatch{PathMatchType::kPathPrefix, "/"});
  switch (path.type) {
    case PathMatchType::kExact: result[0].match.set_path(path.value); break;
    case PathMatchType::kRegularExpression:
      result[0].match.mutable_safe_regex()->set_regex(path.value);
      break;
    case PathMatchType::kPathPrefix: {
      result[0].of_prefix = true;
      if (path.value == "/") {
        result[0].match.set_prefix("/");
        break;
      }
      // "/a" fits "/a" and "/a/b", not "/ab". Envoy's own match for that would rewrite "/a/b" to
      // "//b".
      std::string prefix = path.value;
      if (prefix.ends_with('/')) prefix.pop_back();
      result[0].match.set_path(prefix);
      result.push_back({{}, true});
      result[1].match.set_prefix(prefix + "/");
      break;
    }
  }
  for (EnvoyMatch& one : result) AddConditions(match, one.match);
  return result;
}

// ---- filters

template <class Headers, class Names>
void ModifyHeaders(const HeaderModifier& modifier, Headers* to_add, Names* to_remove) {
  const auto add = [to_add](const HeaderKeyValue& header,
                            api::HeaderValueOption::HeaderAppendAction action) {
    auto& option = *to_add->Add();
    option.set_append_action(action);
    option.mutable_header()->set_key(header.name);
    option.mutable_header()->set_value(header.value);
  };
  for (const HeaderKeyValue& header : modifier.set)
    add(header, api::HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD);
  for (const HeaderKeyValue& header : modifier.add)
    add(header, api::HeaderValueOption::APPEND_IF_EXISTS_OR_ADD);
  for (const std::string& name : modifier.remove) *to_remove->Add() = name;
}

template <class Action>
void ReplacePath(const PathRewrite& rewrite, const EnvoyMatch& match, Action& action) {
  const auto replace_all = [&action](const std::string& path) {
    action.mutable_regex_rewrite()->mutable_pattern()->set_regex(".*");
    action.mutable_regex_rewrite()->set_substitution(path);
  };
  if (rewrite.type == PathRewriteType::kReplaceFullPath) {
    replace_all(rewrite.replace_full_path.value_or(std::string()));
  } else if (match.of_prefix) {
    const std::string prefix = rewrite.replace_prefix_match.value_or(std::string());
    if (match.match.has_path()) {
      replace_all(prefix);
    } else {
      action.set_prefix_rewrite(prefix);
    }
  }
}

api::RedirectAction::RedirectResponseCode ResponseCode(int32_t status) {
  switch (status) {
    case 301: return api::RedirectAction::MOVED_PERMANENTLY;
    case 303: return api::RedirectAction::SEE_OTHER;
    case 307: return api::RedirectAction::TEMPORARY_REDIRECT;
    case 308: return api::RedirectAction::PERMANENT_REDIRECT;
    default: return api::RedirectAction::FOUND;
  }
}

void Redirect(const RequestRedirect& redirect, const EnvoyMatch& match, api::Route& route) {
  api::RedirectAction& action = *route.mutable_redirect();
  if (redirect.hostname) action.set_host_redirect(*redirect.hostname);
  if (redirect.port) action.set_port_redirect(static_cast<uint32_t>(*redirect.port));
  if (redirect.scheme) action.set_scheme_redirect(std::string(model::NameOf(*redirect.scheme)));
  if (redirect.path) ReplacePath(*redirect.path, match, action);
  action.set_response_code(ResponseCode(redirect.status_code.value_or(302)));
}

base::Status Rewrite(const UrlRewrite& rewrite, const EnvoyMatch& match, api::Route& route) {
  if (!route.has_route()) return base::Invalid("URLRewrite after RequestRedirect");
  api::RouteAction& action = *route.mutable_route();
  if (rewrite.hostname) action.set_host_rewrite_literal(*rewrite.hostname);
  if (rewrite.path) ReplacePath(*rewrite.path, match, action);
  return base::Ok{};
}

base::Status Mirror(const RequestMirror& mirror, const Destination* backend, api::Route& route) {
  if (!route.has_route()) return base::Invalid("RequestMirror after RequestRedirect");
  if (backend == nullptr) return base::Ok{};  // nothing to mirror to
  auto& policy = *route.mutable_route()->add_request_mirror_policies();
  policy.set_cluster(backend->Name());
  if (mirror.percentage) {
    const std::optional<double> percent = mirror.percentage->Number();
    if (!percent) return base::Invalid("percentage of a RequestMirror is not a number");
    *policy.mutable_runtime_fraction()->mutable_default_value() =
        envoy::FractionalPercent(*percent);
  }
  return base::Ok{};
}

// ---- routes

struct Share {
  const Destination* to;
  uint32_t weight;
};

// One match of a rule, with what the rule's references came to.
struct Plan {
  Match match;
  std::string name;
  std::string origin;
  const RuleConf* conf = nullptr;  // null: implicit
  std::vector<Share> split;
  uint64_t unresolved_weight = 0;
  bool all_unresolved = false;  // there are references, none of them can take a request
};

// Null unless it can take HTTP requests.
const Destination* HttpBackend(const policy::ListenerContext& context,
                               const policy::BackendRef& ref) {
  const Destination* backend = context.Backend(ref);
  return backend != nullptr && envoy::IsHttpBased(backend->protocol) ? backend : nullptr;
}

std::vector<Plan> PlanRoutes(const policy::ListenerContext& context, const MergedRoutes& routes) {
  std::vector<Plan> plans;
  for (const MergedRule& rule : routes.rules) {
    Plan plan;
    plan.name = rule.origin.kri.WithSection(base::Format("rule_{}", rule.origin.index)).ToString();
    plan.origin = rule.origin.kri.ToString();
    plan.conf = &rule.conf;
    for (const policy::BackendRef& ref : rule.conf.backend_refs) {
      const auto weight = static_cast<uint32_t>(ref.weight.value_or(1));
      const Destination* backend = weight == 0 ? nullptr : HttpBackend(context, ref);
      if (backend == nullptr) {
        plan.unresolved_weight += weight;
      } else {
        plan.split.push_back({backend, weight});
      }
    }
    plan.all_unresolved = !rule.conf.backend_refs.empty() && plan.split.empty();
    if (rule.conf.backend_refs.empty()) plan.split.push_back({&context.destination, 1});
    for (const Match& match : rule.matches) {
      plan.match = match;
      plans.push_back(plan);
    }
  }
  std::stable_sort(plans.begin(), plans.end(), [](const Plan& a, const Plan& b) {
    return CompareMatches(a.match, b.match) < 0;
  });
  Plan catch_all;
  catch_all.match.path = PathMatch{PathMatchType::kPathPrefix, "/"};
  catch_all.name = envoy::kImplicitRouteName;
  catch_all.split.push_back({&context.destination, 1});
  const bool has_one = std::any_of(plans.begin(), plans.end(), [&](const Plan& plan) {
    return model::Equal(plan.match, catch_all.match);
  });
  if (!has_one) plans.push_back(std::move(catch_all));
  return plans;
}

void Forward(const Plan& plan, api::Route& route) {
  api::RouteAction& action = *route.mutable_route();
  envoy::SetDuration(std::chrono::seconds(0), action.mutable_timeout());
  if (plan.split.size() == 1) {
    action.set_cluster(plan.split[0].to->Name());
  } else {
    for (const Share& share : plan.split) {
      auto& cluster = *action.mutable_weighted_clusters()->add_clusters();
      cluster.set_name(share.to->Name());
      cluster.mutable_weight()->set_value(share.weight);
    }
  }
  const auto is_external = [](const Share& share) {
    return share.to->service.kind == "MeshExternalService";
  };
  if (std::any_of(plan.split.begin(), plan.split.end(), is_external))
    action.mutable_auto_host_rewrite()->set_value(true);
}

// `unresolved` of `total` as Envoy's fraction, exact where it can be.
api::FractionalPercent Fraction(uint64_t unresolved, uint64_t total) {
  struct Scale {
    uint64_t value;
    api::FractionalPercent::DenominatorType denominator;
  };
  for (const Scale& scale : {Scale{100, api::FractionalPercent::HUNDRED},
                             Scale{10'000, api::FractionalPercent::TEN_THOUSAND},
                             Scale{1'000'000, api::FractionalPercent::MILLION}}) {
    if (unresolved * scale.value % total != 0) continue;
    api::FractionalPercent result;
    result.set_numerator(static_cast<uint32_t>(unresolved * scale.value / total));
    result.set_denominator(scale.denominator);
    return result;
  }
  const double percent = static_cast<double>(unresolved) * 100 / static_cast<double>(total);
  return envoy::FractionalPercent(std::round(percent * 10'000) / 10'000);
}

void Refuse(api::Route& route) {
  route.mutable_direct_response()->set_status(500);
  route.mutable_direct_response()->mutable_body()->set_inline_string("");
}

base::Status AddRoutes(const policy::ListenerContext& context, const Plan& plan,
                       envoy::ListenerDraft& listener, envoy::HttpManagerDraft& manager) {
  for (const EnvoyMatch& match : EnvoyMatches(plan.match)) {
    envoy::RouteDraft draft;
    draft.origin = plan.origin;
    api::Route& route = draft.route;
    route.set_name(plan.name);
    *route.mutable_match() = match.match;
    Forward(plan, route);
    bool redirects = false;
    if (plan.conf != nullptr) {
      for (const Filter& filter : plan.conf->filters) {
        if (filter.request_header_modifier)
          ModifyHeaders(*filter.request_header_modifier, route.mutable_request_headers_to_add(),
                        route.mutable_request_headers_to_remove());
        if (filter.response_header_modifier)
          ModifyHeaders(*filter.response_header_modifier, route.mutable_response_headers_to_add(),
                        route.mutable_response_headers_to_remove());
        if (filter.request_redirect) {
          redirects = true;
          Redirect(*filter.request_redirect, match, route);
        }
        if (filter.url_rewrite) TRY(Rewrite(*filter.url_rewrite, match, route));
        if (filter.request_mirror) {
          const Destination* backend = HttpBackend(context, filter.request_mirror->backend_ref);
          TRY(Mirror(*filter.request_mirror, backend, route));
          if (backend != nullptr) listener.more_clusters.push_back(backend->Name());
        }
      }
    }
    for (const Share& share : plan.split) listener.more_clusters.push_back(share.to->Name());
    // Requests whose backends are missing get a 500, in the share of those backends; a redirect
    // needs no backend.
    if (redirects || plan.unresolved_weight == 0) {
      if (plan.all_unresolved && !redirects) Refuse(route);
    } else if (plan.all_unresolved) {
      Refuse(route);
    } else {
      uint64_t total = plan.unresolved_weight;
      for (const Share& share : plan.split) total += share.weight;
      envoy::RouteDraft refused = draft;
      Refuse(refused.route);
      *refused.route.mutable_match()->mutable_runtime_fraction()->mutable_default_value() =
          Fraction(plan.unresolved_weight, total);
      manager.routes.push_back(std::move(refused));
    }
    manager.routes.push_back(std::move(draft));
  }
  return base::Ok{};
}

base::Status ApplyListener(const policy::ListenerContext& context, envoy::ListenerDraft& listener) {
  const MergedRoutes* routes = context.Conf<MergedRoutes>();
  if (routes == nullptr || routes->rules.empty()) return base::Ok{};
  for (envoy::FilterChainDraft& chain : listener.chains) {
    if (!chain.http) continue;
    chain.http->routes.clear();
    for (const Plan& plan : PlanRoutes(context, *routes))
      TRY(AddRoutes(context, plan, listener, *chain.http));
  }
  return base::Ok{};
}

}  // namespace

policy::PolicyType Policy() {
  policy::ConfOps conf;
  conf.tag = policy::ConfTag<MergedRoutes>();
  conf.merge = MergeRoutes;
  conf.encode = EncodeRoutes;
  conf.hash = HashRoutes;
  conf.backend_refs = BackendsOf;
  conf.routes = RoutesOf;
  return policy::DescribeMerged<Spec>(Schema(), conf,
                                      {.listener = ApplyListener,
                                       .cluster = nullptr,
                                       .endpoints = nullptr,
                                       .inbound = nullptr,
                                       .proxy = nullptr});
}

}  // namespace kuma::policies::mesh_http_route

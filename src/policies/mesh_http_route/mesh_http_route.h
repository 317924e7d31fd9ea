#pragma once

// MeshHTTPRoute: where HTTP requests to a service really go, and what happens to them on the way.

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/fields.h"
#include "model/names.h"
#include "model/resource_type.h"
#include "policy/target_ref.h"

namespace kuma::policies::mesh_http_route {

// ---- what a request must look like

enum class PathMatchType { kExact, kPathPrefix, kRegularExpression };
constexpr auto EnumNames(PathMatchType) {
  using enum PathMatchType;
  return std::to_array<model::EnumName<PathMatchType>>(
      {{kExact, "Exact"}, {kPathPrefix, "PathPrefix"}, {kRegularExpression, "RegularExpression"}});
}
struct PathMatch {
  PathMatchType type = PathMatchType::kExact;
  std::string value;
  static constexpr auto Fields() {
    using model::Field;
    using model::Required;
    return std::tuple{
        Field("type", &PathMatch::type, "How to compare.", Required{}),
        Field("value", &PathMatch::value,
              "Path, beginning of the path, or regular expression (RE2).", Required{},
              model::MinLength{1}),
    };
  }
};

enum class Method { kConnect, kDelete, kGet, kHead, kOptions, kPatch, kPost, kPut, kTrace };
constexpr auto EnumNames(Method) {
  using enum Method;
  return std::to_array<model::EnumName<Method>>({{kConnect, "CONNECT"},
                                                 {kDelete, "DELETE"},
                                                 {kGet, "GET"},
                                                 {kHead, "HEAD"},
                                                 {kOptions, "OPTIONS"},
                                                 {kPatch, "PATCH"},
                                                 {kPost, "POST"},
                                                 {kPut, "PUT"},
                                                 {kTrace, "TRACE"}});
}

enum class QueryParamMatchType { kExact, kRegularExpression };
constexpr auto EnumNames(QueryParamMatchType) {
  using enum QueryParamMatchType;
  return std::to_array<model::EnumName<QueryParamMatchType>>(
      {{kExact, "Exact"}, {kRegularExpression, "RegularExpression"}});
}
struct QueryParamMatch {
  QueryParamMatchType type = QueryParamMatchType::kExact;
  std::string name;
  std::string value;
  static constexpr auto Fields() {
    using model::Field;
    using model::Required;
    return std::tuple{
        Field("type", &QueryParamMatch::type, "How to compare.", Required{}),
        Field("name", &QueryParamMatch::name, "Name of the parameter.", Required{},
              model::MinLength{1}),
        Field("value", &QueryParamMatch::value, "What to compare with.", Required{}),
    };
  }
};

// All that is set must hold.
struct Match {
  std::optional<PathMatch> path;
  std::optional<Method> method;
  std::vector<QueryParamMatch> query_params;
  std::vector<policy::HeaderMatch> headers;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("path", &Match::path, "Path of the request."),
        Field("method", &Match::method, "Method of the request."),
        Field("queryParams", &Match::query_params, "Parameters of the query, all of them."),
        Field("headers", &Match::headers, "Headers, all of them."),
    };
  }
};

// ---- what happens to it

struct HeaderKeyValue {
  std::string name;
  std::string value;
  static constexpr auto Fields() {
    using model::Field;
    using model::Required;
    return std::tuple{
        Field("name", &HeaderKeyValue::name, "Name of the header, in lower case.", Required{},
              model::MinLength{1}, model::MaxLength{256}, policy::kHeaderNamePattern),
        Field("value", &HeaderKeyValue::value, "Value; several are separated by commas.",
              Required{}),
    };
  }
};
struct HeaderModifier {
  std::vector<HeaderKeyValue> set;
  std::vector<HeaderKeyValue> add;
  std::vector<std::string> remove;
  static constexpr auto Fields() {
    using model::Field;
    using model::MaxItems;
    return std::tuple{
        Field("set", &HeaderModifier::set, "Headers to set, instead of what is there.",
              MaxItems{16}),
        Field("add", &HeaderModifier::add, "Headers to add to what is there.", MaxItems{16}),
        Field("remove", &HeaderModifier::remove, "Headers to remove.", MaxItems{16}),
    };
  }
};

enum class PathRewriteType { kReplaceFullPath, kReplacePrefixMatch };
constexpr auto EnumNames(PathRewriteType) {
  using enum PathRewriteType;
  return std::to_array<model::EnumName<PathRewriteType>>(
      {{kReplaceFullPath, "ReplaceFullPath"}, {kReplacePrefixMatch, "ReplacePrefixMatch"}});
}
struct PathRewrite {
  PathRewriteType type = PathRewriteType::kReplaceFullPath;
  std::optional<std::string> replace_full_path;
  std::optional<std::string> replace_prefix_match;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("type", &PathRewrite::type, "What is replaced.", model::Required{}),
        Field("replaceFullPath", &PathRewrite::replace_full_path, "The new path."),
        Field("replacePrefixMatch", &PathRewrite::replace_prefix_match,
              "The new beginning of the path."),
    };
  }
};

// A host name, but no IP address.
inline constexpr model::Pattern kHostnamePattern{
    R"(^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$)",
    &model::IsRfc1123Subdomain};

enum class Scheme { kHttp, kHttps };
constexpr auto EnumNames(Scheme) {
  return std::to_array<model::EnumName<Scheme>>(
      {{Scheme::kHttp, "http"}, {Scheme::kHttps, "https"}});
}
struct RequestRedirect {
  std::optional<Scheme> scheme;
  std::optional<std::string> hostname;
  std::optional<int32_t> port;
  std::optional<PathRewrite> path;
  std::optional<int32_t> status_code = 302;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("scheme", &RequestRedirect::scheme, "New scheme."),
        Field("hostname", &RequestRedirect::hostname, "New host name.", model::MinLength{1},
              model::MaxLength{253}, kHostnamePattern),
        Field("port", &RequestRedirect::port, "New port.", model::Min{1}, model::Max{65535}),
        Field("path", &RequestRedirect::path, "New path. Absent: the path stays."),
        Field("statusCode", &RequestRedirect::status_code, "Status of the answer.",
              model::OneOf("301", "302", "303", "307", "308")),
    };
  }
};
struct UrlRewrite {
  std::optional<std::string> hostname;
  std::optional<PathRewrite> path;
  std::optional<bool> host_to_backend_hostname;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("hostname", &UrlRewrite::hostname, "New host name.", model::MinLength{1},
              model::MaxLength{253}, kHostnamePattern),
        Field("path", &UrlRewrite::path, "New path. Absent: the path stays."),
        Field("hostToBackendHostname", &UrlRewrite::host_to_backend_hostname,
              "The host name becomes that of the backend."),
    };
  }
};
struct RequestMirror {
  policy::BackendRef backend_ref;
  std::optional<model::IntOrString> percentage;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("backendRef", &RequestMirror::backend_ref, "Who gets the copy.", model::Required{}),
        Field("percentage", &RequestMirror::percentage,
              "Percentage of the requests that are copied. Default: all."),
    };
  }
};

enum class FilterType {
  kRequestHeaderModifier,
  kResponseHeaderModifier,
  kRequestRedirect,
  kUrlRewrite,
  kRequestMirror
};
constexpr auto EnumNames(FilterType) {
  using enum FilterType;
  return std::to_array<model::EnumName<FilterType>>(
      {{kRequestHeaderModifier, "RequestHeaderModifier"},
       {kResponseHeaderModifier, "ResponseHeaderModifier"},
       {kRequestRedirect, "RequestRedirect"},
       {kUrlRewrite, "URLRewrite"},
       {kRequestMirror, "RequestMirror"}});
}
// The member that belongs to `type` is set.
struct Filter {
  FilterType type = FilterType::kRequestHeaderModifier;
  std::optional<HeaderModifier> request_header_modifier;
  std::optional<HeaderModifier> response_header_modifier;
  std::optional<RequestRedirect> request_redirect;
  std::optional<UrlRewrite> url_rewrite;
  std::optional<RequestMirror> request_mirror;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("type", &Filter::type, "What the filter does.", model::Required{}),
        Field("requestHeaderModifier", &Filter::request_header_modifier,
              "Changes headers of the request."),
        Field("responseHeaderModifier", &Filter::response_header_modifier,
              "Changes headers of the answer."),
        Field("requestRedirect", &Filter::request_redirect, "Answers with a redirect."),
        Field("urlRewrite", &Filter::url_rewrite, "Changes host and path of the request."),
        Field("requestMirror", &Filter::request_mirror,
              "Sends a copy of the request to somebody else."),
    };
  }
};

struct RuleConf {
  std::vector<Filter> filters;
  std::vector<policy::BackendRef> backend_refs;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("filters", &RuleConf::filters, "What happens to the request, in this order."),
        Field("backendRefs", &RuleConf::backend_refs,
              "Where the request goes. Absent: the destination itself."),
    };
  }
};

struct Rule {
  std::vector<Match> matches;
  RuleConf default_conf;
  static constexpr auto Fields() {
    using model::Field;
    using model::Required;
    return std::tuple{
        Field("matches", &Rule::matches,
              "Requests that the rule is for: those that fit one of these.", Required{},
              model::MinItems{1}),
        Field("default", &Rule::default_conf, "What happens to them.", Required{}),
    };
  }
};

struct To {
  policy::TargetRef target_ref;
  std::vector<std::string> hostnames;
  std::vector<Rule> rules;  // of several policies, those with equal matches are merged
  static constexpr auto Fields() {
    using model::Field;
    using model::Required;
    return std::tuple{
        Field("targetRef", &To::target_ref, "The destinations.", Required{}, policy::kToKinds),
        Field("hostnames", &To::hostnames, "Not supported; must not be set."),
        Field("rules", &To::rules, "Rules for requests to them.", Required{},
              model::MergeByKey{&Rule::matches}),
    };
  }
};

struct Spec {
  std::optional<policy::TargetRef> target_ref;
  std::vector<To> to;
  static constexpr auto Fields() {
    using model::Field;
    using model::Input;
    return std::tuple{
        Field("targetRef", &Spec::target_ref,
              "The proxies that are configured. Absent: all of the mesh.", policy::kTopKinds,
              Input{}),
        Field("to", &Spec::to, "Routes by destination.", Input{}),
    };
  }
};

const model::ResourceType& Schema();

}  // namespace kuma::policies::mesh_http_route

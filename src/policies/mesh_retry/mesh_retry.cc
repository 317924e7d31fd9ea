#include "policies/mesh_retry/mesh_retry.h"

#include <algorithm>

#include "base/format.h"
#include "base/strings.h"
#include "model/describe.h"

namespace kuma::policies::mesh_retry {
namespace {

using model::IndexPath;
using model::JoinPath;
using model::NameOf;
using model::Violations;

constexpr std::string_view kHttpConditions[] = {"5xx",
                                                "GatewayError",
                                                "Reset",
                                                "Retriable4xx",
                                                "ConnectFailure",
                                                "EnvoyRatelimited",
                                                "RefusedStream",
                                                "Http3PostConnectFailure",
                                                "HttpMethodConnect",
                                                "HttpMethodDelete",
                                                "HttpMethodGet",
                                                "HttpMethodHead",
                                                "HttpMethodOptions",
                                                "HttpMethodPatch",
                                                "HttpMethodPost",
                                                "HttpMethodPut",
                                                "HttpMethodTrace"};

void CheckPositive(const std::optional<Duration>& value, std::string path, Violations& out) {
  if (value && value->value.count() <= 0)
    out.Add(std::move(path), "must be greater than zero when defined");
}
void CheckNonNegative(const std::optional<Duration>& value, std::string path, Violations& out) {
  if (value && value->value.count() < 0)
    out.Add(std::move(path), "must not be negative when defined");
}

void ValidateBackOff(const std::optional<BackOff>& back_off, const std::string& path,
                     Violations& out) {
  if (!back_off) return;
  if (!back_off->base_interval && !back_off->max_interval)
    out.Add(path, std::string(policy::kMustNotBeEmpty));
  CheckPositive(back_off->base_interval, JoinPath(path, "baseInterval"), out);
  CheckPositive(back_off->max_interval, JoinPath(path, "maxInterval"), out);
}

void ValidateRateLimited(const std::optional<RateLimitedBackOff>& back_off, const std::string& path,
                         Violations& out) {
  if (!back_off) return;
  const std::string headers = JoinPath(path, "resetHeaders");
  if (back_off->reset_headers.empty()) out.Add(headers, std::string(policy::kMustBeDefined));
  for (size_t i = 0; i < back_off->reset_headers.size(); ++i)
    if (back_off->reset_headers[i].name.empty())
      out.Add(JoinPath(IndexPath(headers, i), "name"), std::string(policy::kMustBeDefined));
  if (back_off->max_interval && back_off->max_interval->value.count() <= 0)
    out.Add(JoinPath(path, "maxInterval"), "must be defined and greater than zero");
}

void ValidateHostSelection(const std::vector<HostSelection>& selection, const std::string& path,
                           Violations& out) {
  bool priorities = false;
  for (size_t i = 0; i < selection.size(); ++i) {
    const HostSelection& entry = selection[i];
    const std::string at = IndexPath(path, i);
    switch (entry.predicate) {
      case Predicate::kUnknown:
        out.Add(JoinPath(at, "predicate"),
                base::Format("unknown predicate type '{}'", NameOf(entry.predicate)));
        break;
      case Predicate::kOmitHostsWithTags:
        if (entry.tags.empty()) out.Add(JoinPath(at, "tags"), std::string(policy::kMustBeDefined));
        break;
      case Predicate::kOmitPreviousPriorities:
        if (priorities)
          out.Add(JoinPath(at, "predicate"), "OmitPreviousPriorities must only be specified once");
        priorities = true;
        if (entry.update_frequency && *entry.update_frequency <= 0)
          out.Add(JoinPath(at, "updateFrequency"), "must be defined and greater than zero");
        break;
      case Predicate::kOmitPreviousHosts: break;
    }
  }
}

void ValidateHttp(const Http& http, const std::string& path, Violations& out) {
  if (!http.num_retries && !http.per_try_timeout && !http.back_off && http.retry_on.empty() &&
      http.retriable_request_headers.empty() && http.retriable_response_headers.empty() &&
      !http.rate_limited_back_off && http.host_selection.empty())
    out.Add(path, std::string(policy::kMustNotBeEmpty));
  CheckNonNegative(http.per_try_timeout, JoinPath(path, "perTryTimeout"), out);
  ValidateBackOff(http.back_off, JoinPath(path, "backOff"), out);
  ValidateRateLimited(http.rate_limited_back_off, JoinPath(path, "rateLimitedBackOff"), out);
  for (size_t i = 0; i < http.retry_on.size(); ++i) {
    const std::string& item = http.retry_on[i];
    const bool known = std::find(std::begin(kHttpConditions), std::end(kHttpConditions), item) !=
                       std::end(kHttpConditions);
    if (!known && !IsStatusCode(item))
      out.Add(IndexPath(JoinPath(path, "retryOn"), i), base::Format("unknown item '{}'", item));
  }
  ValidateHostSelection(http.host_selection, JoinPath(path, "hostSelection"), out);
  if (http.host_selection_max_attempts && *http.host_selection_max_attempts <= 0)
    out.Add(JoinPath(path, "hostSelectionMaxAttempts"), "must be greater than 0");
}

void ValidateGrpc(const Grpc& grpc, const std::string& path, Violations& out) {
  if (!grpc.num_retries && !grpc.per_try_timeout && !grpc.back_off && grpc.retry_on.empty() &&
      !grpc.rate_limited_back_off)
    out.Add(path, std::string(policy::kMustNotBeEmpty));
  CheckNonNegative(grpc.per_try_timeout, JoinPath(path, "perTryTimeout"), out);
  ValidateBackOff(grpc.back_off, JoinPath(path, "backOff"), out);
  ValidateRateLimited(grpc.rate_limited_back_off, JoinPath(path, "rateLimitedBackOff"), out);
  for (size_t i = 0; i < grpc.retry_on.size(); ++i)
    if (grpc.retry_on[i] == GrpcRetryOn::kUnknown)
      out.Add(IndexPath(JoinPath(path, "retryOn"), i),
              base::Format("unknown item '{}'", NameOf(grpc.retry_on[i])));
}

// The paths hold a "conf" that is not in the resource; tools compare them with Kuma's.
void ValidateConf(const Conf& conf, const std::string& path, Violations& out) {
  if (!conf.tcp && !conf.http && !conf.grpc)
    out.Add(path, "at least one of the 'tcp', 'http', 'grpc' must be specified");
  if (conf.tcp && !conf.tcp->max_connect_attempt)
    out.Add(JoinPath(path, "tcp"), std::string(policy::kMustNotBeEmpty));
  if (conf.tcp && conf.tcp->max_connect_attempt && *conf.tcp->max_connect_attempt == 0)
    out.Add(JoinPath(path, "tcp.maxConnectAttempt"), "must be greater than 0");
  if (conf.http) ValidateHttp(*conf.http, JoinPath(path, "http"), out);
  if (conf.grpc) ValidateGrpc(*conf.grpc, JoinPath(path, "grpc"), out);
}

void Validate(const model::Resource& resource, Violations& out) {
  const Spec& spec = resource.Spec<Spec>();
  policy::ValidateTopTargetRef(spec.target_ref, false, out);
  for (size_t i = 0; i < spec.to.size(); ++i) {
    const std::string path = IndexPath("spec.to", i);
    out.AppendAt(JoinPath(path, "targetRef"),
                 policy::ValidateToTargetRef(spec.target_ref, spec.to[i].target_ref));
    ValidateConf(spec.to[i].default_conf, JoinPath(path, "default.conf"), out);
  }
}

}  // namespace

bool IsStatusCode(std::string_view text) {
  const auto code = base::ParseUint(text);
  if (!code || text.size() != 3) return false;
  struct Range {
    uint64_t first, last;
  };
  static constexpr Range known[] = {{100, 103}, {200, 208}, {226, 226}, {300, 305},
                                    {307, 308}, {400, 418}, {421, 426}, {428, 429},
                                    {431, 431}, {451, 451}, {500, 508}, {510, 511}};
  return std::any_of(std::begin(known), std::end(known), [&](const Range& range) {
    return *code >= range.first && *code <= range.last;
  });
}

const model::ResourceType& Schema() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "MeshRetry",
      .singular = "meshretry",
      .plural = "meshretries",
      .short_name = "mr",
      .singular_display_name = "Mesh Retry",
      .plural_display_name = "Mesh Retries",
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

}  // namespace kuma::policies::mesh_retry

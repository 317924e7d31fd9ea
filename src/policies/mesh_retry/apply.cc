#include <array>
#include <string>
#include <string_view>

#include <envoy/extensions/retry/host/omit_host_metadata/v3/omit_host_metadata_config.pb.h>
#include <envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.pb.h>
#include <envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.pb.h>

#include "base/strings.h"
#include "envoy/builders.h"
#include "policies/mesh_retry/mesh_retry.h"
#include "policy/describe_policy.h"

namespace kuma::policies::mesh_retry {
namespace {

namespace api = envoy::api;

constexpr std::string_view kHttpRetryOn = "gateway-error,connect-failure,refused-stream";
constexpr std::string_view kGrpcRetryOn =
    "cancelled,connect-failure,gateway-error,refused-stream,reset,resource-exhausted,unavailable";
constexpr std::string_view kStatusCodes = "retriable-status-codes";
constexpr std::string_view kMethodPrefix = "HttpMethod";
constexpr std::chrono::milliseconds kGrpcBaseInterval(25);

struct Word {
  std::string_view ours;
  std::string_view envoy;
};
constexpr std::array<Word, 8> kHttpWords = {{
    {"5xx", "5xx"},
    {"GatewayError", "gateway-error"},
    {"Reset", "reset"},
    {"Retriable4xx", "retriable-4xx"},
    {"ConnectFailure", "connect-failure"},
    {"EnvoyRatelimited", "envoy-ratelimited"},
    {"RefusedStream", "refused-stream"},
    {"Http3PostConnectFailure", "http3-post-connect-failure"},
}};

std::string_view EnvoyWord(GrpcRetryOn code) {
  switch (code) {
    case GrpcRetryOn::kCanceled: return "canceled";
    case GrpcRetryOn::kDeadlineExceeded: return "deadline-exceeded";
    case GrpcRetryOn::kInternal: return "internal";
    case GrpcRetryOn::kResourceExhausted: return "resource-exhausted";
    case GrpcRetryOn::kUnavailable: return "unavailable";
    case GrpcRetryOn::kUnknown: break;
  }
  return {};
}

api::HeaderMatcher MatcherOf(const policy::HeaderMatch& header) {
  using envoy::HeaderMatchKind;
  HeaderMatchKind kind = HeaderMatchKind::kExact;
  switch (header.type) {
    case policy::HeaderMatchType::kPresent: kind = HeaderMatchKind::kPresent; break;
    case policy::HeaderMatchType::kRegularExpression:
      kind = HeaderMatchKind::kRegularExpression;
      break;
    case policy::HeaderMatchType::kAbsent: kind = HeaderMatchKind::kAbsent; break;
    case policy::HeaderMatchType::kPrefix: kind = HeaderMatchKind::kPrefix; break;
    default: break;
  }
  return envoy::HeaderMatcherOf(kind, header.name, header.value);
}

void ConfigureRateLimited(const RateLimitedBackOff& conf, api::RetryPolicy& retry) {
  auto& out = *retry.mutable_rate_limited_retry_back_off();
  for (const ResetHeader& header : conf.reset_headers) {
    auto& entry = *out.add_reset_headers();
    entry.set_name(header.name);
    if (header.format == ResetHeaderFormat::kUnixTimestamp)
      entry.set_format(api::RetryPolicy::UNIX_TIMESTAMP);
  }
  if (conf.max_interval) envoy::SetDuration(conf.max_interval->value, out.mutable_max_interval());
}

// What HTTP and gRPC have in common. False: no retries at all.
template <class C>
bool ConfigureShared(const C& conf, api::RetryPolicy& retry) {
  if (conf.num_retries == 0u) return false;
  if (conf.num_retries) retry.mutable_num_retries()->set_value(*conf.num_retries);
  if (conf.per_try_timeout)
    envoy::SetDuration(conf.per_try_timeout->value, retry.mutable_per_try_timeout());
  if (conf.back_off) {
    auto& back_off = *retry.mutable_retry_back_off();
    if (conf.back_off->base_interval)
      envoy::SetDuration(conf.back_off->base_interval->value, back_off.mutable_base_interval());
    if (conf.back_off->max_interval)
      envoy::SetDuration(conf.back_off->max_interval->value, back_off.mutable_max_interval());
  }
  if (conf.rate_limited_back_off) ConfigureRateLimited(*conf.rate_limited_back_off, retry);
  return true;
}

void ConfigureRetryOn(const std::vector<std::string>& retry_on, api::RetryPolicy& retry) {
  std::vector<std::string> words;
  for (const std::string& item : retry_on) {
    if (IsStatusCode(item)) {
      retry.add_retriable_status_codes(static_cast<uint32_t>(base::ParseUint(item).value_or(0)));
    } else if (item.starts_with(kMethodPrefix)) {
      std::string method = item.substr(kMethodPrefix.size());
      for (char& letter : method)
        letter = static_cast<char>(letter >= 'a' && letter <= 'z' ? letter - 'a' + 'A' : letter);
      *retry.add_retriable_request_headers() =
          envoy::HeaderMatcherOf(envoy::HeaderMatchKind::kExact, ":method", method);
    } else {
      for (const Word& word : kHttpWords) {
        if (word.ours == item) words.emplace_back(word.envoy);
      }
    }
  }
  if (words.empty()) words = base::Split(kHttpRetryOn, ',');
  if (retry.retriable_status_codes_size() > 0) words.emplace_back(kStatusCodes);
  retry.set_retry_on(base::Join(words, ","));
}

void ConfigureHostSelection(const std::vector<HostSelection>& selections, api::RetryPolicy& retry) {
  for (const HostSelection& selection : selections) {
    switch (selection.predicate) {
      case Predicate::kOmitPreviousHosts: {
        auto& predicate = *retry.add_retry_host_predicate();
        predicate.set_name("envoy.retry_host_predicates.previous_hosts");
        envoy::Pack(::envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate(),
                    predicate.mutable_typed_config());
        break;
      }
      case Predicate::kOmitHostsWithTags: {
        ::envoy::extensions::retry::host::omit_host_metadata::v3::OmitHostMetadataConfig config;
        if (!selection.tags.empty()) {
          auto& fields = *(*config.mutable_metadata_match()->mutable_filter_metadata())["envoy.lb"]
                              .mutable_fields();
          for (const auto& [key, value] : selection.tags) {
            if (key != "kuma.io/service")
              fields[key].set_string_value(value);  // the cluster says that
          }
        }
        auto& predicate = *retry.add_retry_host_predicate();
        predicate.set_name("envoy.retry_host_predicates.omit_host_metadata");
        envoy::Pack(config, predicate.mutable_typed_config());
        break;
      }
      case Predicate::kOmitPreviousPriorities: {
        ::envoy::extensions::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig
            config;
        config.set_update_frequency(selection.update_frequency.value_or(0));
        retry.mutable_retry_priority()->set_name("envoy.retry_priorities.previous_priorities");
        envoy::Pack(config, retry.mutable_retry_priority()->mutable_typed_config());
        break;
      }
      case Predicate::kUnknown: break;
    }
  }
}

std::optional<api::RetryPolicy> PolicyOf(const Http& conf) {
  api::RetryPolicy retry;
  if (!ConfigureShared(conf, retry)) return std::nullopt;
  ConfigureRetryOn(conf.retry_on, retry);
  for (const auto& header : conf.retriable_request_headers)
    *retry.add_retriable_request_headers() = MatcherOf(header);
  for (const auto& header : conf.retriable_response_headers)
    *retry.add_retriable_headers() = MatcherOf(header);
  ConfigureHostSelection(conf.host_selection, retry);
  if (conf.host_selection_max_attempts)
    retry.set_host_selection_retry_max_attempts(*conf.host_selection_max_attempts);
  return retry;
}

std::optional<api::RetryPolicy> PolicyOf(const Grpc& conf) {
  api::RetryPolicy retry;
  if (!ConfigureShared(conf, retry)) return std::nullopt;
  // Envoy wants a base interval where there is a back-off.
  if (retry.has_retry_back_off() && !retry.retry_back_off().has_base_interval())
    envoy::SetDuration(kGrpcBaseInterval, retry.mutable_retry_back_off()->mutable_base_interval());
  std::vector<std::string> words;
  for (const auto& code : conf.retry_on) words.emplace_back(EnvoyWord(code));
  retry.set_retry_on(words.empty() ? std::string(kGrpcRetryOn) : base::Join(words, ","));
  return retry;
}

std::optional<api::RetryPolicy> PolicyOf(const Conf& conf, envoy::Protocol protocol) {
  if (protocol == envoy::Protocol::kHttp && conf.http) return PolicyOf(*conf.http);
  if (protocol == envoy::Protocol::kGrpc && conf.grpc) return PolicyOf(*conf.grpc);
  return std::nullopt;
}

base::Status ApplyListener(const policy::ListenerContext& context, envoy::ListenerDraft& listener) {
  const Conf* conf = context.Conf<Conf>();
  if (conf != nullptr && conf->tcp && conf->tcp->max_connect_attempt &&
      listener.protocol == envoy::Protocol::kTcp) {
    listener.ForEachTcp([&](api::TcpProxy& proxy) {
      proxy.mutable_max_connect_attempts()->set_value(*conf->tcp->max_connect_attempt);
    });
  }
  listener.ForEachHttp([&](envoy::HttpManagerDraft& manager) {
    for (envoy::RouteDraft& route : manager.routes) {
      if (!route.route.has_route()) continue;
      const Conf* of_route = route.origin.empty() ? conf : context.RouteConf<Conf>(route.origin);
      std::optional<api::RetryPolicy> retry;
      if (of_route != nullptr) retry = PolicyOf(*of_route, listener.protocol);
      // A policy for the route that says nothing for the protocol leaves what holds for the
      // destination.
      if (!retry && conf != nullptr) retry = PolicyOf(*conf, listener.protocol);
      if (retry) *route.route.mutable_route()->mutable_retry_policy() = *std::move(retry);
    }
  });
  return base::Ok{};
}

}  // namespace

policy::PolicyType Policy() {
  return policy::Describe<Spec, Conf>(Schema(), {.listener = ApplyListener,
                                                 .cluster = nullptr,
                                                 .endpoints = nullptr,
                                                 .inbound = nullptr,
                                                 .proxy = nullptr});
}

}  // namespace kuma::policies::mesh_retry

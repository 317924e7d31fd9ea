#pragma once

// MeshRetry: repeats what failed.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/fields.h"
#include "model/resource_type.h"
#include "policy/target_ref.h"

namespace kuma::policies::mesh_retry {

using model::Duration;

struct Tcp {
  std::optional<uint32_t> max_connect_attempt;
  static constexpr auto Fields() {
    return std::tuple{model::Field("maxConnectAttempt", &Tcp::max_connect_attempt,
                                   "Attempts to open a connection before giving up.")};
  }
};

struct BackOff {
  std::optional<Duration> base_interval;
  std::optional<Duration> max_interval;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("baseInterval", &BackOff::base_interval,
              "First wait before a retry; it grows from one to the next. At least 1ms. Default: "
              "25ms."),
        Field("maxInterval", &BackOff::max_interval,
              "Longest wait. Default: ten times baseInterval."),
    };
  }
};

enum class ResetHeaderFormat { kUnknown, kSeconds, kUnixTimestamp };
constexpr auto EnumNames(ResetHeaderFormat) {
  return std::to_array<model::EnumName<ResetHeaderFormat>>(
      {{ResetHeaderFormat::kSeconds, "Seconds"},
       {ResetHeaderFormat::kUnixTimestamp, "UnixTimestamp"}});
}
struct ResetHeader {
  std::string name;
  model::OpenEnum<ResetHeaderFormat> format = ResetHeaderFormat::kSeconds;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("name", &ResetHeader::name, "Name of the header.", model::Required{},
              model::MinLength{1}, model::MaxLength{256}, policy::kHeaderNamePattern),
        Field("format", &ResetHeader::format, "Seconds from now, or a UnixTimestamp.",
              model::Required{}),
    };
  }
};
struct RateLimitedBackOff {
  std::vector<ResetHeader> reset_headers;
  std::optional<Duration> max_interval;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field(
            "resetHeaders", &RateLimitedBackOff::reset_headers,
            "Headers of the answer that say when to try again; the first that can be read counts."),
        Field("maxInterval", &RateLimitedBackOff::max_interval, "Longest wait. Default: 300s."),
    };
  }
};

enum class Predicate { kUnknown, kOmitPreviousHosts, kOmitHostsWithTags, kOmitPreviousPriorities };
constexpr auto EnumNames(Predicate) {
  using enum Predicate;
  return std::to_array<model::EnumName<Predicate>>(
      {{kOmitPreviousHosts, "OmitPreviousHosts"},
       {kOmitHostsWithTags, "OmitHostsWithTags"},
       {kOmitPreviousPriorities, "OmitPreviousPriorities"}});
}
struct HostSelection {
  model::OpenEnum<Predicate> predicate = Predicate::kOmitPreviousHosts;
  std::map<std::string, std::string> tags;
  std::optional<int32_t> update_frequency = 2;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("predicate", &HostSelection::predicate, "Which endpoints a retry leaves out.",
              model::Required{}),
        Field("tags", &HostSelection::tags, "For OmitHostsWithTags: the tags."),
        Field("updateFrequency", &HostSelection::update_frequency,
              "For OmitPreviousPriorities: after how many attempts the load per priority is "
              "computed again."),
    };
  }
};

struct Http {
  std::optional<uint32_t> num_retries;
  std::optional<Duration> per_try_timeout;
  std::optional<BackOff> back_off;
  std::optional<RateLimitedBackOff> rate_limited_back_off;
  std::vector<std::string> retry_on;
  std::vector<policy::HeaderMatch> retriable_response_headers;
  std::vector<policy::HeaderMatch> retriable_request_headers;
  std::vector<HostSelection> host_selection;
  std::optional<int64_t> host_selection_max_attempts;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("numRetries", &Http::num_retries, "Retries of a request. Default: 1."),
        Field("perTryTimeout", &Http::per_try_timeout,
              "Time for one attempt. 0: no limit. Default: the timeout of the request."),
        Field("backOff", &Http::back_off, "Waits between attempts."),
        Field("rateLimitedBackOff", &Http::rate_limited_back_off,
              "Waits that the answer asks for."),
        Field("retryOn", &Http::retry_on,
              "When to retry: 5xx, GatewayError, Reset, Retriable4xx, ConnectFailure, "
              "EnvoyRatelimited, RefusedStream, "
              "Http3PostConnectFailure, HttpMethod followed by Connect, Delete, Get, Head, "
              "Options, Patch, Post, Put or "
              "Trace, and any status code."),
        Field("retriableResponseHeaders", &Http::retriable_response_headers,
              "Headers of an answer that cause a retry."),
        Field("retriableRequestHeaders", &Http::retriable_request_headers,
              "Headers that a request must have to be retried."),
        Field("hostSelection", &Http::host_selection, "Which endpoints a retry leaves out."),
        Field("hostSelectionMaxAttempts", &Http::host_selection_max_attempts,
              "How often another endpoint is looked for. Default: 1."),
    };
  }
};

enum class GrpcRetryOn {
  kUnknown,
  kCanceled,
  kDeadlineExceeded,
  kInternal,
  kResourceExhausted,
  kUnavailable
};
constexpr auto EnumNames(GrpcRetryOn) {
  using enum GrpcRetryOn;
  return std::to_array<model::EnumName<GrpcRetryOn>>({{kCanceled, "Canceled"},
                                                      {kDeadlineExceeded, "DeadlineExceeded"},
                                                      {kInternal, "Internal"},
                                                      {kResourceExhausted, "ResourceExhausted"},
                                                      {kUnavailable, "Unavailable"}});
}
struct Grpc {
  std::optional<uint32_t> num_retries;
  std::optional<Duration> per_try_timeout;
  std::optional<BackOff> back_off;
  std::optional<RateLimitedBackOff> rate_limited_back_off;
  std::vector<model::OpenEnum<GrpcRetryOn>> retry_on;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("numRetries", &Grpc::num_retries, "Retries of a call. Default: 1."),
        Field("perTryTimeout", &Grpc::per_try_timeout,
              "Time for one attempt. 0: no limit. Default: the timeout of the request."),
        Field("backOff", &Grpc::back_off, "Waits between attempts."),
        Field("rateLimitedBackOff", &Grpc::rate_limited_back_off,
              "Waits that the answer asks for."),
        Field("retryOn", &Grpc::retry_on, "Codes that cause a retry."),
    };
  }
};

struct Conf {
  std::optional<Tcp> tcp;
  std::optional<Http> http;
  std::optional<Grpc> grpc;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("tcp", &Conf::tcp, "For destinations of protocol tcp."),
        Field("http", &Conf::http, "For destinations of protocol http and http2."),
        Field("grpc", &Conf::grpc, "For destinations of protocol grpc."),
    };
  }
};

struct To {
  policy::TargetRef target_ref;
  Conf default_conf;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("targetRef", &To::target_ref, "The destinations.", model::Required{},
              policy::kToKinds),
        Field("default", &To::default_conf, "Retries of requests to them."),
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
        Field("to", &Spec::to, "Retries by destination.", Input{}),
    };
  }
};

const model::ResourceType& Schema();

// A status code that HTTP knows ("503"), as retryOn takes them.
bool IsStatusCode(std::string_view text);

}  // namespace kuma::policies::mesh_retry

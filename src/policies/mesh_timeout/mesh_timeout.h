#pragma once

// MeshTimeout: limits in time of connections, requests and streams.

#include <optional>
#include <tuple>
#include <vector>

#include "model/fields.h"
#include "model/resource_type.h"
#include "policy/target_ref.h"

namespace kuma::policies::mesh_timeout {

using model::Duration;

struct Http {
  std::optional<Duration> request_timeout;
  std::optional<Duration> stream_idle_timeout;
  std::optional<Duration> max_stream_duration;
  std::optional<Duration> max_connection_duration;
  std::optional<Duration> request_headers_timeout;
  static constexpr auto Fields() {
    using model::Field;
    using model::NonNegative;
    return std::tuple{
        Field("requestTimeout", &Http::request_timeout,
              "Time for a whole request until its answer begins. 0: no limit. Default: 15s.",
              NonNegative{}),
        Field("streamIdleTimeout", &Http::stream_idle_timeout,
              "Time that a stream may be idle. 0: no limit. Default: 30m.", NonNegative{}),
        Field("maxStreamDuration", &Http::max_stream_duration,
              "Time that a stream may last. 0: no limit. Default: no limit.", NonNegative{}),
        Field(
            "maxConnectionDuration", &Http::max_connection_duration,
            "Time after which a connection is drained and closed. 0: no limit. Default: no limit.",
            NonNegative{}),
        Field("requestHeadersTimeout", &Http::request_headers_timeout,
              "Time for the headers of a request to arrive. 0: no limit. Default: no limit.",
              NonNegative{}),
    };
  }
};

struct Conf {
  std::optional<Duration> connection_timeout;
  std::optional<Duration> idle_timeout;
  std::optional<Http> http;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("connectionTimeout", &Conf::connection_timeout,
              "Time to open a TCP connection. Cannot be 0. Default: 5s.", model::Positive{}),
        Field("idleTimeout", &Conf::idle_timeout,
              "Time without a byte after which a connection is closed. 0: never. Default: 1h.",
              model::NonNegative{}),
        Field("http", &Conf::http, "Limits of HTTP requests and streams."),
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
        Field("default", &To::default_conf, "Limits for requests to them."),
    };
  }
};

struct Rule {
  std::vector<policy::Match> matches;
  Conf default_conf;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("matches", &Rule::matches, "Traffic that the rule is for. Absent: all."),
        Field("default", &Rule::default_conf, "Limits for requests that come in."),
    };
  }
};

struct Spec {
  std::optional<policy::TargetRef> target_ref;
  std::vector<To> to;
  std::vector<Rule> rules;
  static constexpr auto Fields() {
    using model::Field;
    using model::Input;
    return std::tuple{
        Field("targetRef", &Spec::target_ref,
              "The proxies that are configured. Absent: all of the mesh.", policy::kTopKinds,
              Input{}),
        Field("to", &Spec::to, "Limits of the proxies' outbounds.", Input{}),
        Field("rules", &Spec::rules, "Limits of the proxies' inbounds.", Input{}),
    };
  }
};

const model::ResourceType& Schema();

}  // namespace kuma::policies::mesh_timeout

#pragma once

// MeshHealthCheck: probes the endpoints of services and keeps traffic away from those that fail.

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/fields.h"
#include "model/resource_type.h"
#include "policy/target_ref.h"

namespace kuma::policies::mesh_health_check {

using model::Duration;

struct Tcp {
  std::optional<bool> disabled;
  std::optional<std::string> send;
  std::optional<std::vector<std::string>> receive;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("disabled", &Tcp::disabled, "true switches the check off."),
        Field("send", &Tcp::send,
              "What is sent to the endpoint; nothing: the check is that a connection can be "
              "opened."),
        Field("receive", &Tcp::receive,
              "Texts that must be in the answer, in this order, with anything between them."),
    };
  }
};

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
  std::optional<std::vector<HeaderKeyValue>> set;
  std::optional<std::vector<HeaderKeyValue>> add;
  static constexpr auto Fields() {
    using model::Field;
    using model::MaxItems;
    return std::tuple{
        Field("set", &HeaderModifier::set, "Headers to set, instead of what is there.",
              MaxItems{16}),
        Field("add", &HeaderModifier::add, "Headers to add to what is there.", MaxItems{16}),
    };
  }
};
struct Http {
  std::optional<bool> disabled;
  std::optional<std::string> path;
  std::optional<HeaderModifier> request_headers_to_add;
  std::optional<std::vector<int32_t>> expected_statuses;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("disabled", &Http::disabled, "true switches the check off; tcp takes its place."),
        Field("path", &Http::path, "Path of the request. Default: /."),
        Field("requestHeadersToAdd", &Http::request_headers_to_add, "Headers of the request."),
        Field("expectedStatuses", &Http::expected_statuses,
              "Status codes of a healthy endpoint. Default: 200."),
    };
  }
};

struct Grpc {
  std::optional<bool> disabled;
  std::optional<std::string> service_name;
  std::optional<std::string> authority;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("disabled", &Grpc::disabled, "true switches the check off; tcp takes its place."),
        Field("serviceName", &Grpc::service_name,
              "Service that the endpoint is asked for; empty: the endpoint as a whole."),
        Field("authority", &Grpc::authority,
              "Header :authority of the request. Default: name of the cluster."),
    };
  }
};

struct Conf {
  std::optional<Duration> interval;
  std::optional<Duration> timeout;
  std::optional<int32_t> unhealthy_threshold;
  std::optional<int32_t> healthy_threshold;
  std::optional<Duration> initial_jitter;
  std::optional<Duration> interval_jitter;
  std::optional<int32_t> interval_jitter_percent;
  std::optional<bool> fail_traffic_on_panic;
  std::optional<std::string> event_log_path;
  std::optional<bool> always_log_health_check_failures;
  std::optional<Duration> no_traffic_interval;
  std::optional<Tcp> tcp;
  std::optional<Http> http;
  std::optional<Grpc> grpc;
  std::optional<bool> reuse_connection;
  static constexpr auto Fields() {
    using model::Field;
    using model::Positive;
    return std::tuple{
        Field("interval", &Conf::interval, "Time between two checks. Default: 1m.", Positive{}),
        Field("timeout", &Conf::timeout, "Time for an answer. Default: 15s.", Positive{}),
        Field("unhealthyThreshold", &Conf::unhealthy_threshold,
              "Failures in a row that make an endpoint unhealthy. Default: 5."),
        Field("healthyThreshold", &Conf::healthy_threshold,
              "Successes in a row that make an endpoint healthy. Default: 1."),
        Field("initialJitter", &Conf::initial_jitter,
              "The first check comes after a random time up to this one.", Positive{}),
        Field("intervalJitter", &Conf::interval_jitter,
              "A random time up to this one is added to each interval.", Positive{}),
        Field("intervalJitterPercent", &Conf::interval_jitter_percent,
              "The same in percent of the interval; both are added when both are set."),
        Field("failTrafficOnPanic", &Conf::fail_traffic_on_panic,
              "true: when too few endpoints are healthy, requests fail instead of going to all. No "
              "effect together with affinity tags of MeshLoadBalancingStrategy."),
        Field("eventLogPath", &Conf::event_log_path,
              "File beside Envoy in which it notes changes of health. Absent: none."),
        Field("alwaysLogHealthCheckFailures", &Conf::always_log_health_check_failures,
              "true: every failure is noted, not only the first one."),
        Field("noTrafficInterval", &Conf::no_traffic_interval,
              "Time between two checks while the service was never called. Default: 60s.",
              Positive{}),
        Field("tcp", &Conf::tcp, "Check of destinations of protocol tcp."),
        Field("http", &Conf::http, "Check of destinations of protocol http and http2."),
        Field("grpc", &Conf::grpc, "Check of destinations of protocol grpc."),
        Field("reuseConnection", &Conf::reuse_connection,
              "false: each check opens a connection. Default: true."),
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
        Field("default", &To::default_conf, "How they are checked."),
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
        Field("to", &Spec::to, "Checks by destination.", Input{}),
    };
  }
};

const model::ResourceType& Schema();

}  // namespace kuma::policies::mesh_health_check

#include <chrono>

#include <envoy/config/core/v3/health_check.pb.h>
#include <envoy/extensions/health_check/event_sinks/file/v3/file.pb.h>

#include "base/strings.h"
#include "envoy/builders.h"
#include "policies/mesh_health_check/mesh_health_check.h"
#include "policy/describe_policy.h"

namespace kuma::policies::mesh_health_check {
namespace {

namespace api = envoy::api;
using EventFile =
    ::envoy::extensions::health_check::event_sinks::file::v3::HealthCheckEventFileSink;
using HealthCheck = ::envoy::config::core::v3::HealthCheck;

constexpr Duration kInterval{std::chrono::minutes(1)};
constexpr Duration kTimeout{std::chrono::seconds(15)};
constexpr int32_t kUnhealthyThreshold = 5;
constexpr int32_t kHealthyThreshold = 1;

enum class Check { kNone, kTcp, kHttp, kGrpc };

template <class C>
bool IsOn(const std::optional<C>& check) {
  return check && !check->disabled.value_or(false);
}

// The check of the protocol; tcp in its place only when it is there and switched off.
Check CheckFor(const Conf& conf, envoy::Protocol protocol) {
  const auto choose = [&](const auto& own, Check check) {
    if (!own) return Check::kNone;
    if (IsOn(own)) return check;
    return IsOn(conf.tcp) ? Check::kTcp : Check::kNone;
  };
  switch (protocol) {
    case envoy::Protocol::kTcp: return IsOn(conf.tcp) ? Check::kTcp : Check::kNone;
    case envoy::Protocol::kHttp:
    case envoy::Protocol::kHttp2: return choose(conf.http, Check::kHttp);
    case envoy::Protocol::kGrpc: return choose(conf.grpc, Check::kGrpc);
  }
  return Check::kNone;
}

// The texts go out as they were written, although Kuma's documentation calls them base64.
void ConfigureTcp(const Tcp& conf, HealthCheck& check) {
  auto& tcp = *check.mutable_tcp_health_check();
  if (conf.send) tcp.mutable_send()->set_text(base::ToHex(*conf.send));
  if (!conf.receive) return;
  for (const std::string& text : *conf.receive) tcp.add_receive()->set_text(base::ToHex(text));
}

void AddHeaders(const std::optional<std::vector<HeaderKeyValue>>& headers,
                api::HeaderValueOption::HeaderAppendAction action,
                HealthCheck::HttpHealthCheck& http) {
  if (!headers) return;
  for (const HeaderKeyValue& header : *headers) {
    for (std::string& value : base::Split(header.value, ',')) {
      api::HeaderValueOption& option = *http.add_request_headers_to_add();
      option.mutable_header()->set_key(header.name);
      option.mutable_header()->set_value(std::move(value));
      option.set_append_action(action);
    }
  }
}

// Who is asking: "&app=web&&version=v1&".
std::string TagsOf(const model::Labels& labels) {
  std::string tags;
  for (const auto& [key, value] : labels) tags += "&" + key + "=" + value + "&";
  return tags;
}

void ConfigureHttp(const Http& conf, envoy::Protocol protocol, const model::Labels& labels,
                   HealthCheck& check) {
  HealthCheck::HttpHealthCheck& http = *check.mutable_http_health_check();
  http.set_path(conf.path.value_or("/"));
  if (protocol == envoy::Protocol::kHttp2)
    http.set_codec_client_type(::envoy::type::v3::CodecClientType::HTTP2);
  if (!labels.empty()) {
    auto& header = *http.add_request_headers_to_add()->mutable_header();
    header.set_key("x-kuma-tags");
    header.set_value(TagsOf(labels));
  }
  if (const auto& headers = conf.request_headers_to_add) {
    AddHeaders(headers->add, api::HeaderValueOption::APPEND_IF_EXISTS_OR_ADD, http);
    AddHeaders(headers->set, api::HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD, http);
  }
  if (!conf.expected_statuses) return;
  for (const int32_t status : *conf.expected_statuses) {
    auto& range = *http.add_expected_statuses();
    range.set_start(status);
    range.set_end(status + 1);
  }
}

void ConfigureGrpc(const Grpc& conf, HealthCheck& check) {
  auto& grpc = *check.mutable_grpc_health_check();
  grpc.set_service_name(conf.service_name.value_or(""));
  grpc.set_authority(conf.authority.value_or(""));
}

void ConfigureAny(const Conf& conf, HealthCheck& check) {
  envoy::SetDuration(conf.interval.value_or(kInterval).value, check.mutable_interval());
  envoy::SetDuration(conf.timeout.value_or(kTimeout).value, check.mutable_timeout());
  const auto count = [](int32_t value) { return static_cast<uint32_t>(value); };
  check.mutable_unhealthy_threshold()->set_value(
      count(conf.unhealthy_threshold.value_or(kUnhealthyThreshold)));
  check.mutable_healthy_threshold()->set_value(
      count(conf.healthy_threshold.value_or(kHealthyThreshold)));
  if (conf.initial_jitter)
    envoy::SetDuration(conf.initial_jitter->value, check.mutable_initial_jitter());
  if (conf.interval_jitter)
    envoy::SetDuration(conf.interval_jitter->value, check.mutable_interval_jitter());
  if (conf.interval_jitter_percent)
    check.set_interval_jitter_percent(count(*conf.interval_jitter_percent));
  if (conf.event_log_path) {
    EventFile file;
    file.set_event_log_path(*conf.event_log_path);
    auto& logger = *check.add_event_logger();
    logger.set_name("envoy.health_check.event_sinks.file");
    envoy::Pack(file, logger.mutable_typed_config());
  }
  if (conf.always_log_health_check_failures)
    check.set_always_log_health_check_failures(*conf.always_log_health_check_failures);
  if (conf.no_traffic_interval)
    envoy::SetDuration(conf.no_traffic_interval->value, check.mutable_no_traffic_interval());
  if (conf.reuse_connection) check.mutable_reuse_connection()->set_value(*conf.reuse_connection);
}

// Envoy has the switch for balancing that knows nothing of weights of localities only.
void ConfigurePanic(bool fail_traffic, api::Cluster& cluster) {
  auto& common = *cluster.mutable_common_lb_config();
  if (!common.has_locality_weighted_lb_config())
    common.mutable_zone_aware_lb_config()->set_fail_traffic_on_panic(fail_traffic);
}

base::Status ApplyCluster(const policy::ClusterContext& context, envoy::ClusterDraft& draft) {
  const Conf* conf = context.Conf<Conf>();
  if (conf == nullptr) return base::Ok{};
  if (conf->fail_traffic_on_panic) ConfigurePanic(*conf->fail_traffic_on_panic, draft.cluster);
  const Check kind = CheckFor(*conf, context.destination.protocol);
  if (kind == Check::kNone) return base::Ok{};
  HealthCheck& check = *draft.cluster.add_health_checks();
  ConfigureAny(*conf, check);
  switch (kind) {
    case Check::kTcp: ConfigureTcp(*conf->tcp, check); break;
    case Check::kHttp:
      ConfigureHttp(*conf->http, context.destination.protocol,
                    policy::ValuesOf(context.slot).labels, check);
      break;
    case Check::kGrpc: ConfigureGrpc(*conf->grpc, check); break;
    case Check::kNone: break;
  }
  return base::Ok{};
}

policy::SlotUse Slots(const model::Resource& policy) {
  policy::SlotUse use;
  for (const To& to : policy.Spec<Spec>().to) {
    if (IsOn(to.default_conf.http)) use.cluster = policy::SlotFields::kLabels;
  }
  return use;
}

}  // namespace

policy::PolicyType Policy() {
  policy::PolicyType type = policy::Describe<Spec, Conf>(Schema(), {.listener = nullptr,
                                                                    .cluster = ApplyCluster,
                                                                    .endpoints = nullptr,
                                                                    .inbound = nullptr,
                                                                    .proxy = nullptr});
  type.slots = Slots;
  return type;
}

}  // namespace kuma::policies::mesh_health_check

#include "generate/health_checks.h"

#include <algorithm>
#include <set>

#include <envoy/service/health/v3/hds.pb.h>
#include <google/protobuf/util/json_util.h>

#include "base/check.h"
#include "envoy/builders.h"
#include "generate/transparent_proxy.h"
#include "resources/dataplane/probes.h"

namespace kuma::generate {
namespace {

namespace dataplane = resources::dataplane;
namespace health = ::envoy::service::health::v3;
namespace core = ::envoy::config::core::v3;

// Where a probe leaves from, so that the rules of transparent proxying let it pass.
constexpr const char* kPassthroughSource = "127.0.0.6";
constexpr const char* kPassthroughSource6 = "::6";

bool IsLoopback(std::string_view address) { return address == "127.0.0.1" || address == "::1"; }

// Adds a check of one address with the default times.
core::HealthCheck& AddCheck(std::string_view name, core::Address address,
                            const HealthSettings& settings,
                            health::HealthCheckSpecifier& specifier) {
  health::ClusterHealthCheck& cluster = *specifier.add_cluster_health_checks();
  cluster.set_cluster_name(std::string(name));
  *cluster.add_locality_endpoints()->add_endpoints()->mutable_address() = std::move(address);
  core::HealthCheck& check = *cluster.add_health_checks();
  envoy::SetDuration(settings.timeout, check.mutable_timeout());
  envoy::SetDuration(settings.interval, check.mutable_interval());
  envoy::SetDuration(settings.no_traffic_interval, check.mutable_no_traffic_interval());
  check.mutable_healthy_threshold()->set_value(settings.healthy_threshold);
  check.mutable_unhealthy_threshold()->set_value(settings.unhealthy_threshold);
  return check;
}

void Override(const dataplane::ServiceProbe& probe, core::HealthCheck& check) {
  if (probe.timeout) envoy::SetDuration(probe.timeout->value, check.mutable_timeout());
  if (probe.interval) envoy::SetDuration(probe.interval->value, check.mutable_interval());
  if (probe.healthy_threshold)
    check.mutable_healthy_threshold()->set_value(*probe.healthy_threshold);
  if (probe.unhealthy_threshold)
    check.mutable_unhealthy_threshold()->set_value(*probe.unhealthy_threshold);
}

}  // namespace

std::shared_ptr<const std::string> HealthChecks(const dataplane::Networking& networking,
                                                const ProxyNode& node,
                                                const HealthSettings& settings) {
  if (std::none_of(networking.inbound.begin(), networking.inbound.end(), dataplane::IsProbed))
    return nullptr;
  health::HealthCheckSpecifier specifier;
  envoy::SetDuration(settings.report_interval, specifier.mutable_interval());
  const uint32_t set_port = networking.admin ? networking.admin->port : 0;
  AddCheck(kAdminProbe,
           node.admin_socket_path.empty()
               ? envoy::SocketAddress("127.0.0.1", set_port == 0 ? settings.admin_port : set_port)
               : envoy::PipeAddress(node.admin_socket_path),
           settings, specifier)
      .mutable_http_health_check()
      ->set_path("/ready");

  const bool transparent = TransparentProxyOf(networking, node).enabled;
  const std::vector<std::string> names = dataplane::ProbeNames(networking);
  std::set<std::string_view> added;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty() || !added.insert(names[i]).second) continue;
    const dataplane::Inbound& inbound = networking.inbound[i];
    const std::string_view address = dataplane::ServiceAddressOf(networking, inbound);
    core::HealthCheck& check =
        AddCheck(names[i], envoy::SocketAddress(address, inbound.EffectiveServicePort()), settings,
                 specifier);
    Override(*inbound.service_probe, check);
    check.mutable_tcp_health_check();
    if (transparent && !IsLoopback(address)) {
      auto* source =
          specifier.mutable_cluster_health_checks(specifier.cluster_health_checks_size() - 1)
              ->mutable_upstream_bind_config()
              ->mutable_source_address();
      source->set_address(envoy::IsIpv6Address(address) ? kPassthroughSource6 : kPassthroughSource);
      source->set_port_value(0);
    }
  }
  return std::make_shared<const std::string>(envoy::SerializeDeterministic(specifier));
}

std::string HealthChecksJson(const std::string& checks) {
  health::HealthCheckSpecifier specifier;
  CHECK(specifier.ParseFromString(checks), "health checks are a HealthCheckSpecifier");
  std::string json;
  CHECK(google::protobuf::util::MessageToJsonString(specifier, &json).ok(),
        "a HealthCheckSpecifier has a JSON form");
  return json;
}

}  // namespace kuma::generate

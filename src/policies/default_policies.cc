#include "policies/default_policies.h"

#include "model/describe.h"
#include "policies/mesh_circuit_breaker/mesh_circuit_breaker.h"
#include "policies/mesh_retry/mesh_retry.h"
#include "policies/mesh_timeout/mesh_timeout.h"

namespace kuma::policies {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

model::Metadata Meta(std::string_view mesh, std::string_view prefix) {
  model::Metadata meta;
  meta.mesh = mesh;
  meta.name = std::string(prefix) + "-" + std::string(mesh);
  meta.owner = model::ResourceKey{"Mesh", "", std::string(mesh)};
  return meta;
}

model::Duration Time(std::chrono::nanoseconds value) { return {value}; }

model::ResourcePtr InboundTimeouts(std::string_view mesh) {
  mesh_timeout::Spec spec;
  spec.target_ref.emplace();
  mesh_timeout::Conf& conf = spec.rules.emplace_back().default_conf;
  conf.connection_timeout = Time(seconds(10));
  conf.idle_timeout = Time(hours(2));
  mesh_timeout::Http& http = conf.http.emplace();
  http.request_timeout = Time(seconds(0));
  http.stream_idle_timeout = Time(hours(1));
  http.max_stream_duration = Time(seconds(0));
  return model::MakeResource(mesh_timeout::Schema(), Meta(mesh, "mesh-timeout-all"),
                             std::move(spec));
}

model::ResourcePtr OutboundTimeouts(std::string_view mesh) {
  mesh_timeout::Spec spec;
  spec.target_ref.emplace();
  mesh_timeout::Conf& conf = spec.to.emplace_back().default_conf;
  conf.connection_timeout = Time(seconds(5));
  conf.idle_timeout = Time(hours(1));
  mesh_timeout::Http& http = conf.http.emplace();
  http.request_timeout = Time(seconds(15));
  http.stream_idle_timeout = Time(minutes(30));
  return model::MakeResource(mesh_timeout::Schema(), Meta(mesh, "mesh-timeout-to-all"),
                             std::move(spec));
}

model::ResourcePtr Retries(std::string_view mesh) {
  mesh_retry::Spec spec;
  spec.target_ref.emplace();
  mesh_retry::Conf& conf = spec.to.emplace_back().default_conf;
  conf.tcp.emplace().max_connect_attempt = 5;
  const mesh_retry::BackOff back_off{Time(milliseconds(25)), Time(milliseconds(250))};
  mesh_retry::Http& http = conf.http.emplace();
  http.num_retries = 5;
  http.per_try_timeout = Time(seconds(16));
  http.back_off = back_off;
  mesh_retry::Grpc& grpc = conf.grpc.emplace();
  grpc.num_retries = 5;
  grpc.per_try_timeout = Time(seconds(16));
  grpc.back_off = back_off;
  return model::MakeResource(mesh_retry::Schema(), Meta(mesh, "mesh-retry-all"), std::move(spec));
}

model::ResourcePtr Limits(std::string_view mesh) {
  mesh_circuit_breaker::Spec spec;
  spec.target_ref.emplace();
  mesh_circuit_breaker::ConnectionLimits& limits =
      spec.to.emplace_back().default_conf.connection_limits.emplace();
  limits.max_connections = 1024;
  limits.max_pending_requests = 1024;
  limits.max_retries = 3;
  limits.max_requests = 1024;
  return model::MakeResource(mesh_circuit_breaker::Schema(), Meta(mesh, "mesh-circuit-breaker-all"),
                             std::move(spec));
}

}  // namespace

std::vector<model::ResourcePtr> DefaultPolicies(std::string_view mesh) {
  return {InboundTimeouts(mesh), OutboundTimeouts(mesh), Retries(mesh), Limits(mesh)};
}

}  // namespace kuma::policies

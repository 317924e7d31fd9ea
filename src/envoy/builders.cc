#include "envoy/builders.h"

#include <arpa/inet.h>

#include <cmath>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <envoy/extensions/filters/http/grpc_stats/v3/config.pb.h>
#include <envoy/extensions/filters/listener/http_inspector/v3/http_inspector.pb.h>
#include <envoy/extensions/filters/listener/original_dst/v3/original_dst.pb.h>
#include <envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.pb.h>
#include "base/check.h"
#include "base/strings.h"

namespace kuma::envoy {
namespace {

namespace listener_filters = ::envoy::extensions::filters::listener;

// Where Envoy's load balancer looks for what an endpoint is.
constexpr const char* kBalancingMetadata = "envoy.lb";

void ExceptOn(std::span<const uint32_t> ports, api::ListenerFilter& filter) {
  const auto set_port = [](uint32_t port, auto* predicate) {
    auto* range = predicate->mutable_destination_port_range();
    range->set_start(static_cast<int32_t>(port));
    range->set_end(static_cast<int32_t>(port) + 1);
  };
  if (ports.empty()) return;
  if (ports.size() == 1) return set_port(ports[0], filter.mutable_filter_disabled());
  for (const uint32_t port : ports)
    set_port(port, filter.mutable_filter_disabled()->mutable_or_match()->add_rules());
}

// Unless there is one of this name.
void AddListenerFilter(std::string_view name, const google::protobuf::Message& config,
                       std::span<const uint32_t> not_on, ListenerDraft& listener) {
  for (const api::ListenerFilter& filter : listener.listener_filters) {
    if (filter.name() == name) return;
  }
  listener.listener_filters.push_back(ListenerFilterOf(name, config));
  ExceptOn(not_on, listener.listener_filters.back());
}

}  // namespace

std::string SerializeDeterministic(const google::protobuf::Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

void Pack(const google::protobuf::Message& message, google::protobuf::Any* into) {
  into->set_type_url("type.googleapis.com/" + message.GetDescriptor()->full_name());
  into->set_value(SerializeDeterministic(message));
}

void SetDuration(std::chrono::nanoseconds value, google::protobuf::Duration* into) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(value);
  into->set_seconds(seconds.count());
  into->set_nanos(static_cast<int32_t>((value - seconds).count()));
}

api::Address SocketAddress(std::string_view address, uint32_t port) {
  api::Address result;
  result.mutable_socket_address()->set_address(std::string(address));
  result.mutable_socket_address()->set_port_value(port);
  return result;
}

api::Address PipeAddress(std::string_view path) {
  api::Address result;
  result.mutable_pipe()->set_path(std::string(path));
  return result;
}

api::HttpFilter HttpFilterOf(std::string_view name, const google::protobuf::Message& config) {
  api::HttpFilter filter;
  filter.set_name(std::string(name));
  Pack(config, filter.mutable_typed_config());
  return filter;
}

api::Filter NetworkFilterOf(std::string_view name, const google::protobuf::Message& config) {
  api::Filter filter;
  filter.set_name(std::string(name));
  Pack(config, filter.mutable_typed_config());
  return filter;
}

api::ListenerFilter ListenerFilterOf(std::string_view name,
                                     const google::protobuf::Message& config) {
  api::ListenerFilter filter;
  filter.set_name(std::string(name));
  Pack(config, filter.mutable_typed_config());
  return filter;
}

void AddTlsInspector(ListenerDraft& listener, std::span<const uint32_t> not_on) {
  AddListenerFilter("envoy.filters.listener.tls_inspector",
                    listener_filters::tls_inspector::v3::TlsInspector(), not_on, listener);
}

void AddHttpInspector(ListenerDraft& listener, std::span<const uint32_t> not_on) {
  AddListenerFilter("envoy.filters.listener.http_inspector",
                    listener_filters::http_inspector::v3::HttpInspector(), not_on, listener);
}

void AddOriginalDst(ListenerDraft& listener) {
  AddListenerFilter("envoy.filters.listener.original_dst",
                    listener_filters::original_dst::v3::OriginalDst(), {}, listener);
}

void SetTags(const std::map<std::string, std::string>& tags, ListenerDraft& listener) {
  auto& fields = *(*listener.listener.mutable_metadata()->mutable_filter_metadata())["io.kuma.tags"]
                      .mutable_fields();
  for (const auto& [key, value] : tags) fields[key].set_string_value(value);
}

HttpManagerDraft HttpManager(std::string_view name,
                             std::span<const std::string_view> internal_ranges, bool ipv6) {
  HttpManagerDraft draft;
  draft.manager.set_stat_prefix(std::string(name));
  auto* internal = draft.manager.mutable_internal_address_config();
  for (const std::string_view range : internal_ranges) {
    const size_t slash = range.find('/');
    CHECK(slash != std::string_view::npos, "an internal range is <address>/<bits>");
    const std::string_view address = range.substr(0, slash);
    if (!ipv6 && IsIpv6Address(address)) continue;
    auto* entry = internal->add_cidr_ranges();
    entry->set_address_prefix(std::string(address));
    entry->mutable_prefix_len()->set_value(
        static_cast<uint32_t>(base::ParseUint(range.substr(slash + 1)).value_or(0)));
  }
  draft.route_config.mutable_validate_clusters()->set_value(false);
  draft.virtual_host.set_name(std::string(name));
  draft.virtual_host.add_domains("*");
  return draft;
}

api::HttpFilter GrpcStats() {
  ::envoy::extensions::filters::http::grpc_stats::v3::FilterConfig config;
  config.set_emit_filter_state(true);
  return HttpFilterOf("envoy.filters.http.grpc_stats", config);
}

api::TcpProxy TcpProxyTo(std::string_view name, std::string_view cluster) {
  api::TcpProxy proxy;
  proxy.set_stat_prefix(std::string(name));
  proxy.set_cluster(std::string(cluster));
  return proxy;
}

RouteDraft CatchAllRoute(std::string_view name, std::string_view cluster) {
  RouteDraft draft;
  draft.route.set_name(std::string(name));
  draft.route.mutable_match()->set_prefix("/");
  draft.route.mutable_route()->set_cluster(std::string(cluster));
  return draft;
}

ClusterDraft EdsCluster(std::string_view name, Protocol protocol) {
  ClusterDraft draft;
  draft.protocol = protocol;
  draft.cluster.set_name(std::string(name));
  draft.cluster.set_type(api::Cluster::EDS);
  auto* source = draft.cluster.mutable_eds_cluster_config()->mutable_eds_config();
  source->mutable_ads();
  source->set_resource_api_version(::envoy::config::core::v3::V3);
  return draft;
}

ClusterDraft StaticCluster(std::string_view name, const api::Address& address, bool ipv6) {
  ClusterDraft draft;
  draft.cluster.set_name(std::string(name));
  if (address.has_socket_address() && !IsIpAddress(address.socket_address().address())) {
    draft.cluster.set_type(api::Cluster::STRICT_DNS);
    if (!ipv6) draft.cluster.set_dns_lookup_family(api::Cluster::V4_ONLY);
  } else {
    draft.cluster.set_type(api::Cluster::STATIC);
  }
  auto* assignment = draft.cluster.mutable_load_assignment();
  assignment->set_cluster_name(std::string(name));
  *assignment->add_endpoints()->add_lb_endpoints()->mutable_endpoint()->mutable_address() = address;
  return draft;
}

ClusterDraft OriginalDstCluster(std::string_view name) {
  ClusterDraft draft;
  draft.cluster.set_name(std::string(name));
  draft.cluster.set_type(api::Cluster::ORIGINAL_DST);
  draft.cluster.set_lb_policy(api::Cluster::CLUSTER_PROVIDED);
  const std::string stat_name = StatName(name);
  if (stat_name != name) draft.cluster.set_alt_stat_name(stat_name);
  return draft;
}

std::string StatName(std::string_view name) {
  std::string clean(name);
  for (char& c : clean) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '-';
    if (!fits) c = '_';
  }
  return clean;
}

void SpeakHttp1(ClusterDraft& cluster) {
  cluster.Http().mutable_explicit_http_config()->mutable_http_protocol_options();
}

void SpeakHttp2(ClusterDraft& cluster) {
  cluster.Http().mutable_explicit_http_config()->mutable_http2_protocol_options();
}

EndpointDraft EndpointOf(std::string_view address, uint32_t port, uint32_t weight,
                         const std::map<std::string, std::string>& labels) {
  EndpointDraft draft;
  *draft.endpoint.mutable_endpoint()->mutable_address() = SocketAddress(address, port);
  if (weight > 0) draft.endpoint.mutable_load_balancing_weight()->set_value(weight);
  if (labels.empty()) return draft;
  auto& metadata = *draft.endpoint.mutable_metadata()->mutable_filter_metadata();
  for (const char* part : {kBalancingMetadata, "envoy.transport_socket_match"}) {
    auto& fields = *metadata[part].mutable_fields();
    for (const auto& [label, value] : labels) fields[label].set_string_value(value);
  }
  return draft;
}

std::optional<std::string_view> LabelOf(const EndpointDraft& endpoint, std::string_view label) {
  const auto& metadata = endpoint.endpoint.metadata().filter_metadata();
  const auto part = metadata.find(kBalancingMetadata);
  if (part == metadata.end()) return std::nullopt;
  const auto field = part->second.fields().find(std::string(label));
  if (field == part->second.fields().end()) return std::nullopt;
  return field->second.string_value();
}

api::HeaderMatcher HeaderMatcherOf(HeaderMatchKind kind, std::string_view name,
                                   std::string_view value) {
  api::HeaderMatcher matcher;
  matcher.set_name(std::string(name));
  switch (kind) {
    case HeaderMatchKind::kExact:
      matcher.mutable_string_match()->set_exact(std::string(value));
      break;
    case HeaderMatchKind::kPrefix:
      matcher.mutable_string_match()->set_prefix(std::string(value));
      break;
    case HeaderMatchKind::kRegularExpression:
      matcher.mutable_string_match()->mutable_safe_regex()->set_regex(std::string(value));
      break;
    case HeaderMatchKind::kPresent: matcher.set_present_match(true); break;
    case HeaderMatchKind::kAbsent: matcher.set_present_match(false); break;
  }
  return matcher;
}

api::FractionalPercent FractionalPercent(double percent) {
  api::FractionalPercent result;
  if (std::floor(percent) == percent) {
    result.set_numerator(static_cast<uint32_t>(percent));
  } else if (std::floor(percent * 100) == percent * 100) {
    result.set_numerator(static_cast<uint32_t>(percent * 100));
    result.set_denominator(api::FractionalPercent::TEN_THOUSAND);
  } else {
    result.set_numerator(static_cast<uint32_t>(std::round(percent * 10'000)));
    result.set_denominator(api::FractionalPercent::MILLION);
  }
  return result;
}

bool IsIpv6Address(std::string_view text) {
  in6_addr address;
  return inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

bool IsIpAddress(std::string_view text) {
  in_addr address;
  return inet_pton(AF_INET, std::string(text).c_str(), &address) == 1 || IsIpv6Address(text);
}

}  // namespace kuma::envoy

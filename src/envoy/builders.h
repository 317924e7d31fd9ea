#pragma once

// Small builders of Envoy messages, with the spellings that Kuma's proxies expect.

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>

#include "envoy/drafts.h"

namespace kuma::envoy {

// Into an Any, with deterministic bytes.
void Pack(const google::protobuf::Message& message, google::protobuf::Any* into);
std::string SerializeDeterministic(const google::protobuf::Message& message);

void SetDuration(std::chrono::nanoseconds value, google::protobuf::Duration* into);

// Socket address, or a Unix socket.
api::Address SocketAddress(std::string_view address, uint32_t port);
api::Address PipeAddress(std::string_view path);

inline constexpr std::string_view kHttpConnectionManager =
    "envoy.filters.network.http_connection_manager";

// A filter of a connection manager (listener) with its configuration packed.
api::HttpFilter HttpFilterOf(std::string_view name, const google::protobuf::Message& config);
api::Filter NetworkFilterOf(std::string_view name, const google::protobuf::Message& config);
api::ListenerFilter ListenerFilterOf(std::string_view name,
                                     const google::protobuf::Message& config);
// Adds Envoy's TLS inspector unless it is there. Inspectors wait for the client's first bytes, which
// does not work where the server speaks first: `not_on` are destination ports that are left alone.
void AddTlsInspector(ListenerDraft& listener, std::span<const uint32_t> not_on = {});
void AddHttpInspector(ListenerDraft& listener, std::span<const uint32_t> not_on = {});
// Adds the filter that finds out where a redirected connection was going.
void AddOriginalDst(ListenerDraft& listener);

// Metadata `io.kuma.tags` of a listener.
void SetTags(const std::map<std::string, std::string>& tags, ListenerDraft& listener);

// Networks that requests of our own come from ("10.0.0.0/8"). Loopback: what the proxy's host
// itself uses.
inline constexpr std::array<std::string_view, 2> kLoopbackRanges = {"127.0.0.1/32", "::1/128"};

// A connection manager with one virtual host and no routes. `name` is that of virtual host and
// statistics. Without `ipv6`, ranges of IPv6 are left out. REQUIRES: ranges are valid.
HttpManagerDraft HttpManager(std::string_view name,
                             std::span<const std::string_view> internal_ranges, bool ipv6);
// The gRPC statistics filter.
api::HttpFilter GrpcStats();
api::TcpProxy TcpProxyTo(std::string_view name, std::string_view cluster);

// The name of the implicit route of an outbound.
inline constexpr std::string_view kImplicitRouteName =
    "9Zuf5Tg79OuZcQITwBbQykxAk2u4fRKrwYn3//AL4Yo=";
// All requests to one cluster.
RouteDraft CatchAllRoute(std::string_view name, std::string_view cluster);

// A cluster whose endpoints come over ADS.
ClusterDraft EdsCluster(std::string_view name, Protocol protocol);
// A cluster with one fixed endpoint: an IP address or a name with port, or a Unix socket.
ClusterDraft StaticCluster(std::string_view name, const api::Address& address, bool ipv6);
// A cluster to wherever a redirected connection was going.
ClusterDraft OriginalDstCluster(std::string_view name);
// A name as statistics show it: what is not a letter, digit, '_' or '-' becomes '_'.
std::string StatName(std::string_view name);
void SpeakHttp1(ClusterDraft& cluster);
void SpeakHttp2(ClusterDraft& cluster);

// An endpoint with labels as metadata. `weight` 0: none.
EndpointDraft EndpointOf(std::string_view address, uint32_t port, uint32_t weight,
                         const std::map<std::string, std::string>& labels);
// Of an endpoint made so; nothing: it has no such label.
std::optional<std::string_view> LabelOf(const EndpointDraft& endpoint, std::string_view label);

enum class HeaderMatchKind : uint8_t { kExact, kPrefix, kRegularExpression, kPresent, kAbsent };
// `value` is not read for kPresent and kAbsent.
api::HeaderMatcher HeaderMatcherOf(HeaderMatchKind kind, std::string_view name,
                                   std::string_view value);

// A percentage with up to four decimals as Envoy's fraction.
api::FractionalPercent FractionalPercent(double percent);

bool IsIpAddress(std::string_view text);
bool IsIpv6Address(std::string_view text);

}  // namespace kuma::envoy

#pragma once

// Short names for the messages of Envoy's API that we use (namespace kuma::envoy::api), and their
// headers. Only for src/envoy, src/policies/*/apply.cc and src/generate/*.cc.

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/core/v3/address.pb.h>
#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/endpoint/v3/endpoint_components.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/listener/v3/listener_components.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/config/route/v3/route_components.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>
#include <envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/secret.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>
#include <envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h>
#include <envoy/type/matcher/v3/string.pb.h>

namespace kuma::envoy::api {

using ::envoy::config::cluster::v3::CircuitBreakers;
using ::envoy::config::cluster::v3::Cluster;
using ::envoy::config::cluster::v3::OutlierDetection;
using ::envoy::config::core::v3::Address;
using ::envoy::config::core::v3::DataSource;
using ::envoy::config::core::v3::HeaderValueOption;
using ::envoy::config::core::v3::Metadata;
using ::envoy::config::core::v3::RuntimeFractionalPercent;
using ::envoy::config::core::v3::TrafficDirection;
using ::envoy::config::core::v3::TransportSocket;
using ::envoy::config::endpoint::v3::ClusterLoadAssignment;
using ::envoy::config::endpoint::v3::LbEndpoint;
using ::envoy::config::endpoint::v3::LocalityLbEndpoints;
using ::envoy::config::listener::v3::Filter;
using ::envoy::config::listener::v3::FilterChain;
using ::envoy::config::listener::v3::Listener;
using ::envoy::config::listener::v3::ListenerFilter;
using ::envoy::config::route::v3::HeaderMatcher;
using ::envoy::config::route::v3::RedirectAction;
using ::envoy::config::route::v3::RetryPolicy;
using ::envoy::config::route::v3::Route;
using ::envoy::config::route::v3::RouteAction;
using ::envoy::config::route::v3::RouteConfiguration;
using ::envoy::config::route::v3::RouteMatch;
using ::envoy::config::route::v3::VirtualHost;
using ::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using ::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
using ::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
using ::envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
using ::envoy::extensions::transport_sockets::tls::v3::Secret;
using ::envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
using ::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
using ::envoy::type::matcher::v3::StringMatcher;
using ::envoy::type::v3::FractionalPercent;

}  // namespace kuma::envoy::api

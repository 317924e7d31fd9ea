#include <gtest/gtest.h>

#include <envoy/service/discovery/v3/discovery.pb.h>
#include "envoy/builders.h"
#include "envoy/seal.h"

namespace kuma::envoy {
namespace {

ListenerDraft Outbound() {
  ListenerDraft draft;
  draft.listener.set_name("out");
  FilterChainDraft& chain = draft.chains.emplace_back();
  chain.http = HttpManager("out", kLoopbackRanges, false);
  chain.http->routes.push_back(CatchAllRoute("r", "a"));
  chain.http->filters.push_back(GrpcStats());
  return draft;
}

TEST(SealTest, BytesAreOneResourceOfADeltaResponse) {
  const bundle::SealedPtr sealed =
      Seal(Outbound(), {"MeshTimeout m/b", "MeshTimeout m/a", "MeshTimeout m/b"});
  ::envoy::service::discovery::v3::DeltaDiscoveryResponse response;
  ASSERT_TRUE(response.ParseFromString(*sealed->bytes));
  ASSERT_EQ(response.resources_size(), 1);
  EXPECT_EQ(response.resources(0).name(), "out");
  EXPECT_EQ(response.resources(0).version(), sealed->version.ToHex());
  api::Listener listener;
  ASSERT_TRUE(response.resources(0).resource().UnpackTo(&listener));
  EXPECT_EQ(listener.name(), "out");
  EXPECT_EQ(sealed->clusters, std::vector<std::string>{"a"});
  EXPECT_EQ(sealed->origins, (std::vector<std::string>{"MeshTimeout m/a", "MeshTimeout m/b"}));
}

TEST(SealTest, TheRouterIsTheLastFilter) {
  const std::string json = ResourceJson(*Seal(Outbound(), {}));
  EXPECT_LT(json.find("grpc_stats"), json.find("filters.http.router")) << json;
}

TEST(SealTest, EqualDraftsHaveEqualBytes) {
  ListenerDraft a = Outbound();
  ListenerDraft b = Outbound();
  SetTags({{"x", "1"}, {"y", "2"}, {"z", "3"}}, a);
  SetTags({{"z", "3"}, {"y", "2"}, {"x", "1"}}, b);
  ListenerDraft other = b;
  SetTags({{"x", "other"}}, other);
  const bundle::SealedPtr sealed = Seal(std::move(a), {});
  EXPECT_EQ(*sealed->bytes, *Seal(std::move(b), {})->bytes);
  EXPECT_NE(sealed->version, Seal(std::move(other), {})->version);
}

TEST(ListenerDraftTest, ClustersAreThoseOfRoutesMirrorsAndProxies) {
  ListenerDraft draft = Outbound();
  auto* action = draft.chains[0].http->routes[0].route.mutable_route();
  action->add_request_mirror_policies()->set_cluster("mirror");
  RouteDraft weighted;
  weighted.route.mutable_route()->mutable_weighted_clusters()->add_clusters()->set_name("w1");
  weighted.route.mutable_route()->mutable_weighted_clusters()->add_clusters()->set_name("a");
  draft.chains[0].http->routes.push_back(weighted);
  draft.chains.emplace_back().tcp = TcpProxyTo("t", "tcp");
  draft.more_clusters = {"extra"};
  EXPECT_EQ(draft.Clusters(), (std::vector<std::string>{"a", "extra", "mirror", "tcp", "w1"}));
}

TEST(SealTest, EndpointsOfOneZoneAndPriorityAreALocality) {
  EndpointsDraft draft;
  draft.assignment.set_cluster_name("c");
  const auto add = [&](const char* address, uint32_t port, const char* zone, const char* sub_zone,
                       uint32_t priority, uint32_t weight) {
    EndpointDraft& endpoint = draft.endpoints.emplace_back(EndpointOf(address, port, 1, {}));
    endpoint.zone = zone;
    endpoint.sub_zone = sub_zone;
    endpoint.priority = priority;
    endpoint.locality_weight = weight;
  };
  add("10.0.0.2", 80, "east", "k=v", 0, 9);
  add("10.0.0.1", 81, "east", "", 0, 1);
  add("10.0.0.1", 80, "east", "", 0, 1);
  add("10.0.0.4", 80, "east", "", 1, 0);
  add("10.0.0.5", 80, "east-2", "", 0, 0);
  add("10.0.0.6", 80, "", "", 0, 0);
  ::envoy::service::discovery::v3::DeltaDiscoveryResponse response;
  api::ClusterLoadAssignment sealed;
  ASSERT_TRUE(response.ParseFromString(*Seal(std::move(draft), {})->bytes));
  ASSERT_TRUE(response.resources(0).resource().UnpackTo(&sealed));
  std::vector<std::string> places;
  for (const api::LocalityLbEndpoints& locality : sealed.endpoints()) {
    std::string place = locality.has_locality()
                            ? locality.locality().zone() + "/" + locality.locality().sub_zone()
                            : std::string("none");
    place += " " + std::to_string(locality.priority()) + " " +
             std::to_string(locality.load_balancing_weight().value());
    for (const api::LbEndpoint& endpoint : locality.lb_endpoints()) {
      const auto& address = endpoint.endpoint().address().socket_address();
      place += " " + address.address() + ":" + std::to_string(address.port_value());
    }
    places.push_back(std::move(place));
  }
  EXPECT_EQ(places, (std::vector<std::string>{
                        "none 0 0 10.0.0.6:80",
                        "east/ 0 1 10.0.0.1:80 10.0.0.1:81",
                        "east/ 1 0 10.0.0.4:80",
                        "east-2/ 0 0 10.0.0.5:80",
                        "east/k=v 0 9 10.0.0.2:80",
                    }));
}

TEST(SealTest, LabelsOfAnEndpointAreMetadata) {
  const EndpointDraft endpoint = EndpointOf("10.0.0.1", 80, 0, {{"app", "web"}});
  EXPECT_EQ(LabelOf(endpoint, "app"), "web");
  EXPECT_EQ(LabelOf(endpoint, "other"), std::nullopt);
  EXPECT_EQ(LabelOf(EndpointOf("10.0.0.1", 80, 0, {}), "app"), std::nullopt);
  EXPECT_FALSE(endpoint.endpoint.has_load_balancing_weight());
}

TEST(FractionalPercentTest, UsesTheSmallestDenominator) {
  EXPECT_EQ(FractionalPercent(50).numerator(), 50u);
  EXPECT_EQ(FractionalPercent(50).denominator(), api::FractionalPercent::HUNDRED);
  EXPECT_EQ(FractionalPercent(12.5).numerator(), 1250u);
  EXPECT_EQ(FractionalPercent(12.5).denominator(), api::FractionalPercent::TEN_THOUSAND);
  EXPECT_EQ(FractionalPercent(0.0001).numerator(), 1u);
  EXPECT_EQ(FractionalPercent(0.0001).denominator(), api::FractionalPercent::MILLION);
}

TEST(StaticClusterTest, NamesAreResolved) {
  EXPECT_EQ(StaticCluster("c", SocketAddress("10.0.0.1", 1), true).cluster.type(),
            api::Cluster::STATIC);
  EXPECT_EQ(StaticCluster("c", SocketAddress("a.b", 1), true).cluster.type(),
            api::Cluster::STRICT_DNS);
  EXPECT_EQ(StaticCluster("c", PipeAddress("/x"), true).cluster.type(), api::Cluster::STATIC);
}

TEST(ProtocolTest, UnknownIsTcp) {
  EXPECT_EQ(ParseProtocol("HTTP2"), Protocol::kHttp2);
  EXPECT_EQ(ParseProtocol("grpc"), Protocol::kGrpc);
  EXPECT_EQ(ParseProtocol(""), Protocol::kTcp);
  EXPECT_EQ(ParseProtocol("kafka"), Protocol::kTcp);
}

}  // namespace
}  // namespace kuma::envoy

#include <algorithm>
#include <chrono>
#include <compare>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/format.h"
#include "base/strings.h"
#include "envoy/builders.h"
#include "model/address.h"
#include "policies/mesh_passthrough/mesh_passthrough.h"
#include "policy/describe_policy.h"

namespace kuma::policies::mesh_passthrough {
namespace {

namespace api = envoy::api;

constexpr std::chrono::seconds kConnectTimeout(5);
constexpr uint32_t kUnavailable = 503;
// Tools and tests of Kuma's users look for this text.
constexpr std::string_view kNoHost =
    "This response comes from Kuma Sidecar. No routes matched this domain - check configuration of "
    "your MeshPassthrough policy.\n";

// How narrow a destination is, widest first.
enum class Width { kNames, kName, kNetwork, kNetwork6, kAddress, kAddress6 };

struct Host {
  bool wildcard = false;
  std::string name;
};

// One filter chain. Hosts of an HTTP-based protocol are virtual hosts of one chain.
struct Chain {
  ProtocolType protocol = ProtocolType::kTcp;
  uint32_t port = 0;  // 0: all
  Width width = Width::kName;
  std::string value;  // empty: `hosts`
  std::vector<Host> hosts;

  bool IsFor(bool ipv6) const {
    switch (width) {
      case Width::kNames:
      case Width::kName: return true;
      case Width::kNetwork:
      case Width::kAddress: return !ipv6;
      case Width::kNetwork6:
      case Width::kAddress6: return ipv6;
    }
    return false;
  }
};

Width WidthOf(const Match& match) {
  switch (match.type) {
    case MatchType::kIp:
      return model::IsIpv6Address(match.value) ? Width::kAddress6 : Width::kAddress;
    case MatchType::kCidr: {
      const auto network = model::ParseNetwork(match.value);
      return network && network->ipv6 ? Width::kNetwork6 : Width::kNetwork;
    }
    default:
      // Names of HTTP-based protocols are looked at behind the chain.
      return match.value.starts_with('*') && !IsHttpBased(match.protocol) ? Width::kNames
                                                                          : Width::kName;
  }
}

// Names with more labels first, for they are narrower.
bool NameBefore(const std::string& a, const std::string& b) {
  const auto labels_a = std::count(a.begin(), a.end(), '.');
  const auto labels_b = std::count(b.begin(), b.end(), '.');
  return labels_a != labels_b ? labels_a > labels_b : a < b;
}

bool HostBefore(const Host& a, const Host& b) {
  return a.wildcard != b.wildcard ? b.wildcard : NameBefore(a.name, b.name);
}

int RankOf(ProtocolType protocol) {
  switch (protocol) {
    case ProtocolType::kTcp: return 1;
    case ProtocolType::kHttp: return 2;
    case ProtocolType::kHttp2: return 3;
    case ProtocolType::kGrpc: return 4;
    default: return 0;
  }
}

bool ChainBefore(const Chain& a, const Chain& b) {
  if (RankOf(a.protocol) != RankOf(b.protocol)) return RankOf(a.protocol) < RankOf(b.protocol);
  if (a.width != b.width) return a.width > b.width;
  if (a.port != b.port) return a.port > b.port;
  if (a.width == Width::kNames || a.width == Width::kName) return NameBefore(a.value, b.value);
  if (a.width == Width::kNetwork || a.width == Width::kNetwork6) {
    const auto x = model::ParseNetwork(a.value).value_or(model::Network());
    const auto y = model::ParseNetwork(b.value).value_or(model::Network());
    return x.bits != y.bits ? x.bits > y.bits : x.address > y.address;
  }
  return a.value > b.value;
}

// What tells chains apart.
struct ChainKey {
  ProtocolType protocol;
  uint32_t port;
  Width width;
  std::string value;
  auto operator<=>(const ChainKey&) const = default;
};
using Chains = std::map<ChainKey, std::map<std::string, Host>>;  // hosts by name

// Envoy looks for the port first, and what is for a port hides what is for all: that is repeated
// for each port.
Chains ChainsOf(const std::vector<Match>& matches) {
  std::set<uint32_t> ports;
  for (const Match& match : matches) ports.insert(match.port.value_or(0));
  Chains chains;
  for (const Match& match : matches) {
    ChainKey key{match.protocol, match.port.value_or(0), WidthOf(match), match.value};
    Host host;
    const bool by_host = IsHttpBased(match.protocol) && match.type == MatchType::kDomain;
    if (by_host) {
      host = {match.value.starts_with('*'), std::exchange(key.value, {})};
    }
    const auto add = [&](uint32_t port) {
      key.port = port;
      auto& hosts = chains[key];
      if (by_host) hosts.emplace(host.name, host);
    };
    add(key.port);
    if (key.port != 0) continue;
    for (const uint32_t port : ports) add(port);
  }
  return chains;
}

base::Result<std::vector<Chain>> SortedChains(const std::vector<Match>& matches) {
  std::map<uint32_t, std::set<ProtocolType>> http_based;  // by port
  for (const Match& match : matches) {
    if (IsHttpBased(match.protocol)) http_based[match.port.value_or(0)].insert(match.protocol);
  }
  for (const auto& [port, protocols] : http_based) {
    if (protocols.size() > 1)
      return base::Invalid(
          base::Format("you cannot configure http, http2, grpc on the same port {}", port));
  }

  Chains all = ChainsOf(matches);
  // The same destination twice: Envoy could not choose.
  std::map<std::tuple<uint32_t, Width, std::string>, ProtocolType> seen;
  std::vector<Chain> chains;
  for (auto& [key, hosts] : all) {
    if (key.protocol == ProtocolType::kTcp &&
        all.contains({ProtocolType::kMysql, key.port, key.width, key.value}))
      continue;  // the same bytes; what knows more about them stays
    if (IsHttpBased(key.protocol)) {
      const auto [held, is_new] = seen.try_emplace({key.port, key.width, key.value}, key.protocol);
      if (!is_new)
        return base::Invalid(base::Format("{} and {} cannot be told apart on port {}",
                                          model::NameOf(held->second), model::NameOf(key.protocol),
                                          key.port));
    }
    Chain& chain = chains.emplace_back();
    chain.protocol = key.protocol;
    chain.port = key.port;
    chain.width = key.width;
    chain.value = key.value;
    for (auto& [name, host] : hosts) chain.hosts.push_back(std::move(host));
    std::sort(chain.hosts.begin(), chain.hosts.end(), HostBefore);
  }
  std::stable_sort(chains.begin(), chains.end(), ChainBefore);
  return chains;
}

// ---- names

std::string_view WireName(ProtocolType protocol) {
  return model::NameOf(protocol == ProtocolType::kMysql ? ProtocolType::kTcp : protocol);
}

std::string PortText(uint32_t port) { return port == 0 ? "*" : std::to_string(port); }

std::string NameFor(ProtocolType protocol, std::string_view value, uint32_t port) {
  return base::Format("meshpassthrough_{}_{}_{}", WireName(protocol), value, PortText(port));
}

std::string ChainName(const Chain& chain) {
  if (!chain.value.empty()) return NameFor(chain.protocol, chain.value, chain.port);
  return base::Format("meshpassthrough_{}_{}", WireName(chain.protocol), PortText(chain.port));
}

// ---- Envoy

class Builder {
 public:
  explicit Builder(const policy::ProxyContext& context)
      : ipv6_(context.traits.ipv6),
        ranges_(context.internal_ranges.begin(), context.internal_ranges.end()) {}

  void Replace(const std::vector<Chain>& chains, envoy::PassthroughDraft& family) {
    const auto fits = [&](const Chain& chain) { return chain.IsFor(family.ipv6); };
    if (std::none_of(chains.begin(), chains.end(), fits)) return;
    family.outbound.chains.clear();
    std::vector<uint32_t> server_first;  // ports where the client waits
    for (const Chain& chain : chains) {
      if (chain.protocol == ProtocolType::kMysql &&
          std::find(server_first.begin(), server_first.end(), chain.port) == server_first.end())
        server_first.push_back(chain.port);
      if (fits(chain)) family.outbound.chains.push_back(Build(chain));
    }
    envoy::AddOriginalDst(family.outbound);
    envoy::AddTlsInspector(family.outbound, server_first);
    envoy::AddHttpInspector(family.outbound, server_first);
  }

  std::vector<envoy::ClusterDraft> TakeClusters() {
    std::vector<envoy::ClusterDraft> clusters;
    for (auto& [name, cluster] : clusters_) clusters.push_back(std::move(cluster));
    return clusters;
  }

 private:
  const std::string& Cluster(ProtocolType protocol, std::string_view value, uint32_t port) {
    const std::string name = NameFor(protocol, value, port);
    const auto [at, is_new] = clusters_.try_emplace(name);
    if (is_new) {
      at->second = envoy::OriginalDstCluster(name);
      at->second.notes.made_by = envoy::made_by::kMeshPassthrough;
      envoy::SetDuration(kConnectTimeout, at->second.cluster.mutable_connect_timeout());
      if (protocol == ProtocolType::kHttp2 || protocol == ProtocolType::kGrpc)
        envoy::SpeakHttp2(at->second);
    }
    return at->first;
  }

  envoy::FilterChainDraft Build(const Chain& chain) {
    const std::string name = ChainName(chain);
    envoy::FilterChainDraft draft;
    draft.chain.set_name(name);
    auto* match = draft.chain.mutable_filter_chain_match();
    match->set_transport_protocol(chain.protocol == ProtocolType::kTls ? "tls" : "raw_buffer");
    if (chain.port != 0) match->mutable_destination_port()->set_value(chain.port);
    SetDestination(chain, *match);
    if (!IsHttpBased(chain.protocol)) {
      draft.tcp = envoy::TcpProxyTo(envoy::StatName(name),
                                    Cluster(chain.protocol, chain.value, chain.port));
      return draft;
    }
    match->add_application_protocols("http/1.1");
    match->add_application_protocols("h2c");
    envoy::HttpManagerDraft& http =
        draft.http.emplace(envoy::HttpManager(envoy::StatName(name), ranges_, ipv6_));
    http.route_config.clear_validate_clusters();
    http.route_config.set_name(name);
    if (!chain.value.empty()) {
      http.virtual_host.set_name(chain.value);
      http.routes.push_back(
          envoy::CatchAllRoute("", Cluster(chain.protocol, chain.value, chain.port)));
      return draft;
    }
    for (const Host& host : chain.hosts) http.hosts.push_back(BuildHost(chain, host));
    http.virtual_host.set_name("no_match");
    envoy::RouteDraft& refused = http.routes.emplace_back();
    refused.route.mutable_match()->set_prefix("/");
    refused.route.mutable_direct_response()->set_status(kUnavailable);
    refused.route.mutable_direct_response()->mutable_body()->set_inline_string(
        std::string(kNoHost));
    return draft;
  }

  void SetDestination(const Chain& chain,
                      ::envoy::config::listener::v3::FilterChainMatch& match) const {
    const auto set_range = [&](const std::string& address, unsigned bits) {
      auto* range = match.add_prefix_ranges();
      range->set_address_prefix(address);
      range->mutable_prefix_len()->set_value(bits);
    };
    switch (chain.width) {
      case Width::kNames:
      case Width::kName:
        if (chain.protocol == ProtocolType::kTls && chain.value != "*")
          match.add_server_names(chain.value);
        break;
      case Width::kNetwork:
      case Width::kNetwork6:
        if (const auto network = model::ParseNetwork(chain.value))
          set_range(network->address, network->bits);
        break;
      case Width::kAddress: set_range(chain.value, 32); break;
      case Width::kAddress6: set_range(chain.value, 128); break;
    }
  }

  api::VirtualHost BuildHost(const Chain& chain, const Host& host) {
    api::VirtualHost built;
    built.set_name(host.name);
    built.add_domains(host.name);
    // Requests may name the port, too.
    if (chain.port != 0) {
      built.add_domains(base::Format("{}:{}", host.name, chain.port));
    } else if (!host.wildcard) {
      built.add_domains(host.name + ":*");
    }
    *built.add_routes() =
        envoy::CatchAllRoute("", Cluster(chain.protocol, host.name, chain.port)).route;
    return built;
  }

  const bool ipv6_;
  const std::vector<std::string_view> ranges_;
  std::map<std::string, envoy::ClusterDraft> clusters_;
};

base::Status ApplyProxy(const policy::ProxyContext& context, envoy::ProxyDraft& proxy) {
  const Conf* conf = context.Conf<Conf>();
  if (conf == nullptr) return base::Ok{};
  const Mode mode = conf->passthrough_mode.value_or(Mode::kMatched);
  if (mode == Mode::kAll) return base::Ok{};
  for (envoy::PassthroughDraft& family : proxy.passthrough) family.outbound_cluster.reset();
  if (mode == Mode::kNone || !conf->append_match) return base::Ok{};

  TRY_ASSIGN(const std::vector<Chain> chains, SortedChains(*conf->append_match));
  Builder builder(context);
  for (envoy::PassthroughDraft& family : proxy.passthrough) builder.Replace(chains, family);
  for (envoy::ClusterDraft& cluster : builder.TakeClusters())
    proxy.clusters.push_back(std::move(cluster));
  return base::Ok{};
}

}  // namespace

policy::PolicyType Policy() {
  return policy::Describe<Spec, Conf>(Schema(), {.listener = nullptr,
                                                 .cluster = nullptr,
                                                 .endpoints = nullptr,
                                                 .inbound = nullptr,
                                                 .proxy = ApplyProxy});
}

}  // namespace kuma::policies::mesh_passthrough

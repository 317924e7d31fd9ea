#include <array>

#include "base/strings.h"
#include "tests/sim/world_parts.h"

namespace kuma::sim {
namespace {

using base::Format;

// What users write; see EditPolicy for the marks.
struct PolicyText {
  std::string_view kind;
  std::string_view spec;
};
constexpr std::array kPolicies = {
    PolicyText{
        "MeshTimeout",
        "{targetRef: $from, to: [{targetRef: $all, default: {connectionTimeout: $timeout}}]}"},
    PolicyText{
        "MeshTimeout",
        "{targetRef: $from, to: [{targetRef: $all, default: {connectionTimeout: $timeout}}]}"},
    PolicyText{"MeshTimeout", "{targetRef: $from, rules: [{default: {idleTimeout: $ns}}]}"},
    PolicyText{"MeshHTTPRoute",
               "{targetRef: $from, to: [{targetRef: $service, rules: [{matches: [{path: {type: "
               "PathPrefix, value: $path}}], default: {backendRefs: [$other, $another]}}]}]}"},
    PolicyText{"MeshRetry",
               "{targetRef: $from, to: [{targetRef: $all, default: {http: {numRetries: $n}}}]}"},
    PolicyText{"MeshCircuitBreaker",
               "{targetRef: $from, to: [{targetRef: $all, default: {connectionLimits: "
               "{maxConnections: $n}}}]}"},
    // With and without values of the proxy itself, through kuma-dp, by collectors, of inbounds.
    PolicyText{"MeshAccessLog",
               "{targetRef: $from, to: [{targetRef: $all, default: {backends: [{type: File, file: "
               "{path: /tmp/$k, format: {type: Plain, plain: '%KUMA_SOURCE_SERVICE% $n'}}}]}}]}"},
    PolicyText{"MeshAccessLog",
               "{targetRef: $from, to: [{targetRef: $all, default: {backends: [{type: File, file: "
               "{path: /tmp/$k, format: {type: Plain, plain: '%RESPONSE_CODE% $n'}}}]}}]}"},
    PolicyText{"MeshAccessLog",
               "{targetRef: $from, to: [{targetRef: $all, default: {backends: [{type: Tcp, tcp: "
               "{address: '127.0.0.1:$n'}}]}}]}"},
    PolicyText{"MeshAccessLog",
               "{targetRef: $from, to: [{targetRef: $all, default: {backends: [{type: "
               "OpenTelemetry, openTelemetry: {backendRef: {kind: MeshOpenTelemetryBackend, "
               "labels: {kuma.io/display-name: p$k}}}}]}}]}"},
    PolicyText{"MeshAccessLog",
               "{targetRef: $from, rules: [{default: {backends: [{type: File, file: {path: "
               "/tmp/$n}}]}}]}"},
    PolicyText{"MeshOpenTelemetryBackend", "{endpoint: {address: 10.9.0.$n, port: 4317}}"},
    PolicyText{"MeshHealthCheck",
               "{targetRef: $from, to: [{targetRef: $all, default: {interval: $ns, tcp: {}, http: "
               "{disabled: true}}}]}"},
    PolicyText{"MeshLoadBalancingStrategy",
               "{targetRef: $from, to: [{targetRef: $all, default: {localityAwareness: {localZone: "
               "{affinityTags: [{key: rack}]}}}}]}"},
    PolicyText{"MeshLoadBalancingStrategy",
               "{targetRef: $from, to: [{targetRef: $all, default: {loadBalancer: {type: "
               "RingHash}, hashPolicies: [{type: Header, header: {name: x-$n}}]}}]}"},
    PolicyText{"MeshProxyPatch",
               "{targetRef: $from, default: {appendModifications: [{cluster: {operation: Patch, "
               "match: {origin: outbound}, value: 'connectTimeout: $ns'}}]}}"},
    PolicyText{"MeshProxyPatch",
               "{targetRef: $from, default: {appendModifications: [{cluster: {operation: Add, "
               "value: '{name: added-$k, connectTimeout: $ns, type: STATIC}'}}]}}"},
    PolicyText{"MeshPassthrough",
               "{targetRef: $from, default: {passthroughMode: Matched, appendMatch: [{type: IP, "
               "value: 192.0.2.$n, protocol: tcp, port: 443}]}}"},
};

std::string ServiceRef(std::string_view name) {
  return Format("{{kind: MeshService, labels: {{kuma.io/display-name: {}}}}}", name);
}
std::string Backend(std::string_view name, uint64_t weight) {
  return Format("{{kind: MeshService, labels: {{kuma.io/display-name: {}}}, port: 80, weight: {}}}",
                name, weight);
}

}  // namespace

std::string World::SomeService() { return Format("s{}", choice_.Below(kServices)); }
std::string World::SomeApp() { return choice_.OneIn(3) ? std::string() : SomeService(); }

void World::Commit(std::string what, std::vector<store::Write> writes) {
  const base::Result<store::Committed> done =
      memory_->Commit({.writes = std::move(writes), .cause = {}});
  ++edits_;
  ++counts_["edits"];
  what = done.has_value() ? Format("{} at {}", what, done->revision.value)
                          : what + ": " + done.error().message();
  Happens(what);
}

model::ResourcePtr World::DataplaneOf(const Peer& peer) {
  return kit::Dataplane(peer.key.name, peer.dataplane);
}

void World::EditProxy() {
  Peer* peer = SomePeer(!choice_.OneIn(8));
  if (peer == nullptr) return;
  switch (choice_.Below(5)) {
    case 0:
    case 1: peer->dataplane.ready = !peer->dataplane.ready; break;
    case 2:
      peer->dataplane.address =
          Format("10.0.{}.{}", 1 + choice_.Below(250), 1 + choice_.Below(250));
      break;
    case 3:
      peer->dataplane.labels["app"] = SomeService();
      peer->dataplane.labels["kuma.io/service"] = peer->dataplane.labels["app"];
      peer->dataplane.labels["rack"] = Format("r{}", choice_.Below(3));
      break;
    default:
      if (peer->dataplane.outbounds.empty() || choice_.OneIn(2)) {
        const uint64_t service = choice_.Below(kServices);
        std::erase_if(peer->dataplane.outbounds, [&](const kit::Outbound& outbound) {
          return outbound.service == Format("s{}", service);
        });
        peer->dataplane.outbounds.push_back(
            {Format("s{}", service), 80, static_cast<uint32_t>(10000 + service)});
      } else {
        peer->dataplane.outbounds.pop_back();
      }
      break;
  }
  if (choice_.OneIn(25) && !peer->owned) {
    Commit("delete " + peer->key.ToString(),
           {kit::Delete({"Dataplane", peer->key.mesh, peer->key.name})});
  } else {
    Commit("edit " + peer->key.ToString(), {kit::Put(DataplaneOf(*peer))});
  }
}

void World::EditPolicy() {
  const PolicyText& text = kPolicies[choice_.Below(kPolicies.size())];
  const std::string name = Format("p{}", choice_.Below(4));
  if (choice_.OneIn(4)) {
    Commit(Format("delete {} {}", text.kind, name),
           {kit::Delete({std::string(text.kind), std::string(kMesh), name})});
    return;
  }
  const std::string app = SomeApp();
  const uint64_t weight = choice_.Below(100);
  const bool broken = broken_policy_ && choice_.OneIn(3);
  std::string spec(text.spec);
  const auto put = [&](std::string_view mark, std::string_view value) {
    spec = base::ReplaceAll(std::move(spec), mark, value);
  };
  put("$from",
      app.empty() ? "{kind: Mesh}" : Format("{{kind: Dataplane, labels: {{app: {}}}}}", app));
  put("$service", ServiceRef(SomeService()));
  put("$all", choice_.OneIn(2) ? "{kind: Mesh}" : ServiceRef(SomeService()));
  put("$other", Backend(SomeService(), weight));
  put("$another", Backend(SomeService(), 100 - weight));
  put("$path", choice_.OneIn(2) ? "/" : "/x");
  put("$timeout", broken ? "13s" : Format("{}s", 1 + choice_.Below(9)));
  put("$n", Format("{}", 1 + choice_.Below(9)));
  put("$k", Format("{}", choice_.Below(2)));
  Commit(Format("put {} {}", text.kind, name),
         {kit::Put(kit::FromYaml(
             Format("{{type: {}, mesh: {}, name: {}, spec: {}}}", text.kind, kMesh, name, spec)))});
}

void World::EditService() {
  const std::string name = SomeService();
  if (choice_.OneIn(12)) {
    Commit("edit the mesh",
           {kit::Put(kit::WithLabels(*kit::Mesh(kMesh), {{"edit", Format("{}", edits_)}}))});
  } else if (choice_.OneIn(3)) {
    Commit("delete MeshService " + name, {kit::Delete({"MeshService", std::string(kMesh), name})});
  } else {
    Commit("put MeshService " + name,
           {kit::Put(kit::MeshService(name, kMesh, choice_.OneIn(3) ? "tcp" : "http"))});
  }
}

}  // namespace kuma::sim

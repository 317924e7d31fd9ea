#include "cli/kinds.h"

#include "net/http.h"

namespace kuma::cli {
namespace {

constexpr Kind kKinds[] = {
    {"Dataplane", "dataplane", "dataplanes", true, "", ""},
    {"GlobalSecret", "globalsecret", "globalsecrets", false, "global-secret", "global-secrets"},
    {"HostnameGenerator", "hostnamegenerator", "hostnamegenerators", false, "", ""},
    {"Mesh", "mesh", "meshes", false, "", ""},
    {"MeshAccessLog", "meshaccesslog", "meshaccesslogs", true, "", "", true},
    {"MeshCircuitBreaker", "meshcircuitbreaker", "meshcircuitbreakers", true, "", "", true},
    {"MeshExternalService", "meshexternalservice", "meshexternalservices", true, "", ""},
    {"MeshFaultInjection", "meshfaultinjection", "meshfaultinjections", true, "", "", true},
    {"MeshHealthCheck", "meshhealthcheck", "meshhealthchecks", true, "", "", true},
    {"MeshHTTPRoute", "meshhttproute", "meshhttproutes", true, "", "", true},
    {"MeshIdentity", "meshidentity", "meshidentities", true, "", ""},
    {"MeshLoadBalancingStrategy", "meshloadbalancingstrategy", "meshloadbalancingstrategies", true,
     "", "", true},
    {"MeshMetric", "meshmetric", "meshmetrics", true, "", "", true},
    {"MeshMultiZoneService", "meshmultizoneservice", "meshmultizoneservices", true, "", ""},
    {"MeshOpenTelemetryBackend", "meshopentelemetrybackend", "meshopentelemetrybackends", true, "",
     ""},
    {"MeshPassthrough", "meshpassthrough", "meshpassthroughs", true, "", "", true},
    {"MeshProxyPatch", "meshproxypatch", "meshproxypatches", true, "", "", true},
    {"MeshRateLimit", "meshratelimit", "meshratelimits", true, "", "", true},
    {"MeshRetry", "meshretry", "meshretries", true, "", "", true},
    {"MeshService", "meshservice", "meshservices", true, "", ""},
    {"MeshTCPRoute", "meshtcproute", "meshtcproutes", true, "", "", true},
    {"MeshTimeout", "meshtimeout", "meshtimeouts", true, "", "", true},
    {"MeshTLS", "meshtls", "meshtlses", true, "", "", true},
    {"MeshTrace", "meshtrace", "meshtraces", true, "", "", true},
    {"MeshTrafficPermission", "meshtrafficpermission", "meshtrafficpermissions", true, "", "",
     true},
    {"MeshTrust", "meshtrust", "meshtrusts", true, "", ""},
    {"MeshZoneAddress", "meshzoneaddress", "meshzoneaddresses", true, "", ""},
    {"Secret", "secret", "secrets", true, "", ""},
    {"Workload", "workload", "workloads", true, "", ""},
    {"Zone", "zone", "zones", false, "", ""},
};

}  // namespace

std::span<const Kind> AllKinds() { return kKinds; }

const Kind* FindKind(std::string_view kind) {
  for (const Kind& row : kKinds) {
    if (row.kind == kind) return &row;
  }
  return nullptr;
}

const Kind* FindKindBySingular(std::string_view singular) {
  if (singular.empty()) return nullptr;
  for (const Kind& row : kKinds) {
    if (row.singular == singular || row.singular_alias == singular) return &row;
  }
  return nullptr;
}

std::string PathOf(const Kind& kind, std::string_view mesh, std::string_view name) {
  std::string path;
  if (kind.in_mesh) path = "/meshes/" + net::PercentEncode(mesh);
  path += "/" + std::string(kind.plural);
  if (!name.empty()) path += "/" + net::PercentEncode(name);
  return path;
}

}  // namespace kuma::cli

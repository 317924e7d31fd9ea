#include "policies/mesh_passthrough/mesh_passthrough.h"

#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "base/format.h"
#include "model/address.h"
#include "model/describe.h"

namespace kuma::policies::mesh_passthrough {
namespace {

using model::IndexPath;
using model::JoinPath;

constexpr uint32_t kMaxPort = 65535;

void CheckDomain(const Match& match, const std::string& path, model::Violations& out) {
  const bool has_name =
      match.protocol != ProtocolType::kTcp && match.protocol != ProtocolType::kMysql;
  if (!has_name)
    out.Add(JoinPath(path, "protocol"),
            base::Format("protocol {} is not supported for a domain", NameOf(match.protocol)),
            "such a connection does not say the name that it is for: match its address, by type IP "
            "or CIDR");
  std::string_view name = match.value;
  const bool wildcard = name.starts_with('*');
  if (wildcard && name.size() > 1 && name[1] != '.')
    out.Add(JoinPath(path, "value"),
            "provided DNS has incorrect value, partial wildcard is currently not supported",
            "* stands for whole labels: *.example.com");
  if (wildcard && !match.port && IsHttpBased(match.protocol))
    out.Add(JoinPath(path, "port"),
            "wildcard domains doesn't work for all ports and layer 7 protocol",
            "set the port that is called");
  if (name.starts_with("*.")) name.remove_prefix(2);
  if (!name.starts_with('*') && !model::IsDnsName(name))
    out.Add(JoinPath(path, "value"), "provided DNS has incorrect value");
}

// What one match says by itself.
void CheckMatch(const Match& match, const std::string& path, model::Violations& out) {
  if (match.protocol == ProtocolType::kUnknown)
    out.Add(JoinPath(path, "protocol"),
            R"("protocol" must be one of ["tcp", "tls", "grpc", "http", "http2", "mysql"])");
  switch (match.type) {
    case MatchType::kCidr:
      if (!model::ParseNetwork(match.value))
        out.Add(JoinPath(path, "value"), "provided CIDR has incorrect value");
      break;
    case MatchType::kIp:
      if (!model::IsIpAddress(match.value))
        out.Add(JoinPath(path, "value"), "provided IP has incorrect value");
      break;
    case MatchType::kDomain: CheckDomain(match, path, out); break;
    case MatchType::kUnknown:
      out.Add(
          JoinPath(path, "type"),
          base::Format("provided type {} is not supported, one of Domain, IP, or CIDR is supported",
                       NameOf(match.type)));
      break;
  }
}

void Validate(const model::Resource& resource, model::Violations& out) {
  const Spec& spec = resource.Spec<Spec>();
  policy::ValidateTopTargetRef(spec.target_ref, false, out);
  if (!spec.default_conf.append_match) return;
  const std::vector<Match>& matches = *spec.default_conf.append_match;
  std::map<uint32_t, ProtocolType> protocols;  // by port
  std::set<std::tuple<uint32_t, ProtocolType, std::string>> values;
  for (size_t i = 0; i < matches.size(); ++i) {
    const Match& match = matches[i];
    const std::string path = IndexPath("spec.default.appendMatch", i);
    if (match.protocol == ProtocolType::kMysql && !match.port)
      out.Add(JoinPath(path, "port"), "port must be defined for Mysql protocol",
              "the server speaks first: Envoy must know the port where it may not wait for the "
              "client");
    if (match.port) {
      const uint32_t port = *match.port;
      if (port == 0 || port > kMaxPort)
        out.Add(JoinPath(path, "port"), "port must be a valid (1-65535)");
      const auto [held, is_new] = protocols.try_emplace(port, match.protocol);
      if (!is_new && held->second != match.protocol && IsHttpBased(match.protocol)) {
        out.Add(JoinPath(path, "port"),
                "using the same port in multiple matches requires the same protocol for the "
                "following protocols: [grpc http http2]");
      } else {
        held->second = match.protocol;
      }
      if (!values.emplace(port, match.protocol, match.value).second)
        out.Add(
            JoinPath(path, "value"),
            base::Format("value {} is already defiend for this port and protocol", match.value));
    }
    CheckMatch(match, path, out);
  }
}

}  // namespace

const model::ResourceType& Schema() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "MeshPassthrough",
      .singular = "meshpassthrough",
      .plural = "meshpassthroughs",
      .short_name = "mp",
      .singular_display_name = "Mesh Passthrough",
      .plural_display_name = "Mesh Passthroughs",
      .is_policy = true,
      .in_federation_export = true,
      .global_to_zones = true,
      .zone_to_global = true,
      .across_zones = true,
      .hashed_name = true,
      .validate = Validate,
  });
  return type;
}

}  // namespace kuma::policies::mesh_passthrough

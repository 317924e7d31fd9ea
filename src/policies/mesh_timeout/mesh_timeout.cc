#include "policies/mesh_timeout/mesh_timeout.h"

#include <algorithm>

#include "model/describe.h"

namespace kuma::policies::mesh_timeout {
namespace {

using model::IndexPath;
using model::JoinPath;

void ValidateConf(const Conf& conf, const std::string& path, model::Violations& out) {
  if (!conf.connection_timeout && !conf.idle_timeout && !conf.http)
    out.Add(path, "at least one timeout should be configured");
  if (!conf.http) return;
  const Http& http = *conf.http;
  if (!http.request_timeout && !http.stream_idle_timeout && !http.max_stream_duration &&
      !http.max_connection_duration && !http.request_headers_timeout)
    out.Add(JoinPath(path, "http"), "at least one timeout in this section should be configured");
}

template <class T>
void Refuse(const std::optional<T>& value, std::string path, std::string_view message,
            model::Violations& out) {
  if (value) out.Add(std::move(path), std::string(message));
}

// What belongs to connections, not to the requests of a route.
void RefuseWholeConnections(const Conf& conf, const std::string& path, model::Violations& out) {
  constexpr std::string_view kMessage =
      "can't be specified when top-level TargetRef is referencing MeshHTTPRoute";
  Refuse(conf.connection_timeout, JoinPath(path, "connectionTimeout"), kMessage, out);
  Refuse(conf.idle_timeout, JoinPath(path, "idleTimeout"), kMessage, out);
  if (!conf.http) return;
  Refuse(conf.http->max_stream_duration, JoinPath(path, "http.maxStreamDuration"), kMessage, out);
  Refuse(conf.http->max_connection_duration, JoinPath(path, "http.maxConnectionDuration"), kMessage,
         out);
}

// What counts before it is known who the client is, or for the connection to the application.
void RefuseForIdentities(const Conf& conf, const std::string& path, model::Violations& out) {
  constexpr std::string_view kMessage =
      "can't be specified when matches contain spiffeID because this field cannot be conditioned "
      "on source identity";
  Refuse(conf.connection_timeout, JoinPath(path, "connectionTimeout"), kMessage, out);
  Refuse(conf.idle_timeout, JoinPath(path, "idleTimeout"), kMessage, out);
  if (!conf.http) return;
  Refuse(conf.http->request_headers_timeout, JoinPath(path, "http.requestHeadersTimeout"), kMessage,
         out);
  Refuse(conf.http->max_stream_duration, JoinPath(path, "http.maxStreamDuration"), kMessage, out);
  Refuse(conf.http->max_connection_duration, JoinPath(path, "http.maxConnectionDuration"), kMessage,
         out);
}

void Validate(const model::Resource& resource, model::Violations& out) {
  const Spec& spec = resource.Spec<Spec>();
  policy::ValidateTopTargetRef(spec.target_ref, !spec.rules.empty(), out);
  if (spec.to.empty() && spec.rules.empty())
    out.Add("spec", "at least one of 'to' or 'rules' has to be defined");
  if (!spec.to.empty() && !spec.rules.empty())
    out.Add("spec", "fields 'to' must be empty when 'rules' is defined",
            "make two policies: one for outbounds with 'to', one for inbounds with 'rules'");
  for (size_t i = 0; i < spec.to.size(); ++i) {
    const std::string path = IndexPath("spec.to", i);
    out.AppendAt(JoinPath(path, "targetRef"),
                 policy::ValidateToTargetRef(spec.target_ref, spec.to[i].target_ref));
    ValidateConf(spec.to[i].default_conf, JoinPath(path, "default"), out);
    if (spec.target_ref && spec.target_ref->kind == policy::TargetKind::kMeshHttpRoute)
      RefuseWholeConnections(spec.to[i].default_conf, JoinPath(path, "default"), out);
  }
  for (size_t i = 0; i < spec.rules.size(); ++i) {
    const std::string path = IndexPath("spec.rules", i);
    out.AppendAt(JoinPath(path, "matches"), policy::ValidateMatches(spec.rules[i].matches));
    ValidateConf(spec.rules[i].default_conf, JoinPath(path, "default"), out);
    const auto& matches = spec.rules[i].matches;
    if (std::any_of(matches.begin(), matches.end(),
                    [](const policy::Match& match) { return match.spiffe_id.has_value(); }))
      RefuseForIdentities(spec.rules[i].default_conf, JoinPath(path, "default"), out);
  }
}

}  // namespace

const model::ResourceType& Schema() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "MeshTimeout",
      .singular = "meshtimeout",
      .plural = "meshtimeouts",
      .short_name = "mt",
      .singular_display_name = "Mesh Timeout",
      .plural_display_name = "Mesh Timeouts",
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

}  // namespace kuma::policies::mesh_timeout

#include "policies/mesh_access_log/mesh_access_log.h"

#include <algorithm>
#include <string_view>

#include "base/format.h"
#include "base/strings.h"
#include "model/address.h"
#include "model/describe.h"

namespace kuma::policies::mesh_access_log {
namespace {

using model::IndexPath;
using model::JoinPath;
using model::Violations;
using policy::TargetKind;

// An absolute path, or one of Windows: Kuma takes both.
bool IsFilePath(std::string_view path) {
  if (path.starts_with('/')) return path.find('\0') == std::string_view::npos;
  const bool drive = path.size() >= 3 && path[1] == ':' && path[2] == '\\' &&
                     ((path[0] | 0x20) >= 'a' && (path[0] | 0x20) <= 'z');
  return drive && path.substr(3).find_first_of("/:*?\"<>|\r\n") == std::string_view::npos &&
         path.find("\\\\") == std::string_view::npos;
}

bool IsPort(std::string_view text) {
  return !text.empty() && text.size() <= 5 && base::ParseUint(text).has_value();
}

// "host:port", "example.com", "tcp://host:port": a name alone must have a dot to be one.
bool IsAddress(std::string_view text) {
  for (const std::string_view scheme :
       {"ftp://", "tcp://", "udp://", "ws://", "wss://", "http://", "https://"}) {
    if (!text.starts_with(scheme)) continue;
    text.remove_prefix(scheme.size());
    text = text.substr(0, text.find_first_of("/?#"));
    const size_t colon = text.rfind(':');
    const bool has_port = colon != std::string_view::npos && !text.ends_with(']');
    const std::string_view host = has_port ? text.substr(0, colon) : text;
    return (!has_port || IsPort(text.substr(colon + 1))) &&
           (model::IsIpAddress(host) || model::IsDnsName(host) ||
            (host.size() > 2 && host.front() == '[' && host.back() == ']' &&
             model::IsIpv6Address(host.substr(1, host.size() - 2))));
  }
  if (text.size() <= 3 || text.find_first_of(" \t\r\n") != std::string_view::npos) return false;
  const std::string_view authority = text.substr(0, text.find_first_of("/?#"));
  if (authority.find_first_of(":.") == std::string_view::npos) return false;
  return IsAddress("tcp://" + std::string(text));
}

void ValidateFormat(const std::optional<Format>& format, const std::string& path, Violations& out) {
  if (!format) return;
  if (format->type == FormatType::kPlain) {
    if (!format->plain)
      out.Add(JoinPath(path, "plain"), std::string(policy::kMustBeDefined));
    else if (format->plain->empty())
      out.Add(JoinPath(path, "plain"), std::string(policy::kMustNotBeEmpty));
    return;
  }
  if (format->type != FormatType::kJson) return;  // the schema says so
  const std::string json = JoinPath(path, "json");
  if (!format->json) {
    out.Add(json, std::string(policy::kMustBeDefined));
    return;
  }
  if (format->json->empty()) out.Add(json, std::string(policy::kMustNotBeEmpty));
  for (size_t i = 0; i < format->json->size(); ++i) {
    const JsonValue& member = (*format->json)[i];
    const std::string at = IndexPath(json, i);
    if (member.key.empty()) out.Add(JoinPath(at, "key"), "key cannot be empty");
    if (member.value.empty()) out.Add(JoinPath(at, "value"), "value cannot be empty");
    if (!model::ParseJson(base::Format("{{\"{}\": \"{}\"}}", member.key, member.value)).has_value())
      out.Add(at, "is not a valid JSON object",
              "quotes, backslashes and control characters must be escaped as in JSON");
  }
}

void ValidateOpenTelemetry(const OpenTelemetryBackend& backend, const std::string& path,
                           Violations& out) {
  const std::string ref = JoinPath(path, "backendRef");
  if (!backend.backend_ref)
    out.Add(ref, std::string(policy::kMustBeDefined),
            "make a MeshOpenTelemetryBackend and refer to it by its labels");
  else
    out.AppendAt(ref, policy::ValidateCollectorRef(*backend.backend_ref));
  for (size_t i = 0; i < backend.attributes.size(); ++i) {
    policy::ValidateAttributeName(backend.attributes[i].key,
                                  JoinPath(IndexPath(JoinPath(path, "attributes"), i), "key"), out);
  }
}

void ValidateBackend(const Backend& backend, const std::string& path, Violations& out) {
  const auto defined = [&](const auto& section, std::string_view name) {
    if (!section) out.Add(JoinPath(path, name), std::string(policy::kMustBeDefined));
    return section.has_value();
  };
  switch (backend.type) {
    case BackendType::kFile: {
      if (!defined(backend.file, "file")) break;
      const std::string file = JoinPath(path, "file");
      ValidateFormat(backend.file->format, JoinPath(file, "format"), out);
      if (!IsFilePath(backend.file->path))
        out.Add(JoinPath(file, "path"), "file backend requires a valid path",
                "it must be absolute: /var/log/access.log");
      break;
    }
    case BackendType::kTcp: {
      if (!defined(backend.tcp, "tcp")) break;
      const std::string tcp = JoinPath(path, "tcp");
      ValidateFormat(backend.tcp->format, JoinPath(tcp, "format"), out);
      if (!IsAddress(backend.tcp->address))
        out.Add(JoinPath(tcp, "address"), "tcp backend requires valid address",
                "host and port: logs.example.com:5000");
      break;
    }
    case BackendType::kOpenTelemetry:
      if (defined(backend.open_telemetry, "openTelemetry"))
        ValidateOpenTelemetry(*backend.open_telemetry, JoinPath(path, "openTelemetry"), out);
      break;
    case BackendType::kUnknown: break;  // the schema says so
  }
}

void ValidateConf(const Conf& conf, const std::string& path, Violations& out) {
  const std::string backends = JoinPath(path, "backends");
  if (!conf.backends) {
    out.Add(backends, std::string(policy::kMustBeDefined), "an empty list turns logs off");
    return;
  }
  for (size_t i = 0; i < conf.backends->size(); ++i)
    ValidateBackend((*conf.backends)[i], IndexPath(backends, i), out);
}

void Validate(const model::Resource& resource, Violations& out) {
  const Spec& spec = resource.Spec<Spec>();
  policy::ValidateTopTargetRef(spec.target_ref, !spec.rules.empty(), out);
  if (!spec.to.empty() && !spec.rules.empty())
    out.Add("spec", "'to' must be empty when 'rules' is defined",
            "make two policies: one for outbounds with 'to', one for inbounds with 'rules'");
  if (spec.to.empty() && spec.rules.empty())
    out.Add("spec", "at least one of 'to' or 'rules' has to be defined");
  for (size_t i = 0; i < spec.to.size(); ++i) {
    const std::string path = IndexPath("spec.to", i);
    out.AppendAt(JoinPath(path, "targetRef"),
                 policy::ValidateTargetRef(
                     spec.to[i].target_ref,
                     {TargetKind::kMesh, TargetKind::kMeshService, TargetKind::kMeshExternalService,
                      TargetKind::kMeshMultiZoneService, TargetKind::kMeshHttpRoute}));
    ValidateConf(spec.to[i].default_conf, JoinPath(path, "default"), out);
  }
  for (size_t i = 0; i < spec.rules.size(); ++i) {
    const std::string path = IndexPath("spec.rules", i);
    out.AppendAt(JoinPath(path, "matches"), policy::ValidateMatches(spec.rules[i].matches));
    ValidateConf(spec.rules[i].default_conf, JoinPath(path, "default"), out);
  }
}

}  // namespace

const model::ResourceType& Schema() {
  static const model::ResourceType type = model::Describe<Spec, Status>({
      .kind = "MeshAccessLog",
      .singular = "meshaccesslog",
      .plural = "meshaccesslogs",
      .short_name = "mal",
      .singular_display_name = "Mesh Access Log",
      .plural_display_name = "Mesh Access Logs",
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

}  // namespace kuma::policies::mesh_access_log

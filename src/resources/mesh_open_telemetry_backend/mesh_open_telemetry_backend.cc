#include "resources/mesh_open_telemetry_backend/mesh_open_telemetry_backend.h"

#include <string_view>

#include "base/format.h"
#include "model/address.h"
#include "model/describe.h"

namespace kuma::resources::mesh_open_telemetry_backend {
namespace {

template <class E>
void CheckWord(const model::OpenEnum<E>& value, std::string_view field, std::string path,
               model::Violations& out) {
  if (value != E::kUnknown || model::NameOf(value).empty()) return;
  std::string names;
  for (const auto& entry : EnumNames(E{}))
    names += base::Format("{}\"{}\"", names.empty() ? "" : ", ", entry.name);
  out.Add(std::move(path), base::Format("\"{}\" must be one of [{}]", field, names));
}

void CheckEndpoint(const Endpoint& endpoint, bool http, model::Violations& out) {
  if (endpoint.address) {
    if (endpoint.address->empty()) {
      out.Add("spec.endpoint.address", "must not be empty",
              "leave it out for a collector on the host of the proxy");
    } else if (!model::IsIpAddress(*endpoint.address) && !model::IsDnsName(*endpoint.address)) {
      out.Add("spec.endpoint.address", "address has to be a valid IP or hostname");
    }
  }
  if (endpoint.port && (*endpoint.port < 1 || *endpoint.port > 65535))
    out.Add("spec.endpoint.port", "port must be a valid (1-65535)");
  if (!endpoint.path || endpoint.path->empty()) return;
  const std::string path = "spec.endpoint.path";
  if (!http) {
    out.Add(path, "must not be set when protocol is grpc");
    return;
  }
  if (!endpoint.path->starts_with('/')) out.Add(path, "must start with /");
  if (endpoint.path->find_first_of("?#") != std::string::npos)
    out.Add(path, "must not contain query or fragment");
}

void Validate(const model::Resource& resource, model::Violations& out) {
  const Spec& spec = resource.Spec<Spec>();
  const model::OpenEnum<Protocol> protocol = spec.protocol.value_or(Protocol::kGrpc);
  if (spec.endpoint) CheckEndpoint(*spec.endpoint, protocol != Protocol::kGrpc, out);
  CheckWord(protocol, "protocol", "spec.protocol", out);
  if (!spec.env) return;
  CheckWord(spec.env->mode, "mode", "spec.env.mode", out);
  CheckWord(spec.env->precedence, "precedence", "spec.env.precedence", out);
}

}  // namespace

const model::ResourceType& Type() {
  static const model::ResourceType type = model::Describe<Spec, Status>({
      .kind = kKind,
      .singular = "meshopentelemetrybackend",
      .plural = "meshopentelemetrybackends",
      .short_name = "motb",
      .singular_display_name = "Mesh OpenTelemetry Backend",
      .plural_display_name = "Mesh OpenTelemetry Backends",
      .in_federation_export = true,
      .global_to_zones = true,
      .zone_to_global = true,
      .hashed_name = true,
      .validate = Validate,
  });
  return type;
}

}  // namespace kuma::resources::mesh_open_telemetry_backend

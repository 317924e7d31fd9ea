#pragma once

// Collectors of OpenTelemetry: how policies refer to a MeshOpenTelemetryBackend, and what it means.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "mesh/mesh_state.h"
#include "model/fields.h"
#include "model/violations.h"
#include "policy/contexts.h"
#include "resources/mesh_open_telemetry_backend/mesh_open_telemetry_backend.h"

namespace kuma::policy {

enum class CollectorKind { kUnknown, kMeshOpenTelemetryBackend };
constexpr auto EnumNames(CollectorKind) {
  return std::to_array<model::EnumName<CollectorKind>>(
      {{CollectorKind::kMeshOpenTelemetryBackend, resources::mesh_open_telemetry_backend::kKind}});
}

struct CollectorRef {
  model::OpenEnum<CollectorKind> kind = CollectorKind::kUnknown;
  std::map<std::string, std::string> labels;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("kind", &CollectorRef::kind, "MeshOpenTelemetryBackend.", model::Required{}),
        Field("labels", &CollectorRef::labels,
              "Selects the backend by its labels; of several the oldest counts."),
    };
  }
};
// Paths are relative to the reference.
model::Violations ValidateCollectorRef(const CollectorRef& ref);

// [a-z]([a-z0-9]|[._][a-z0-9])*
bool IsAttributeName(std::string_view text);
inline constexpr model::Pattern kAttributeNamePattern{R"(^[a-z]([a-z0-9]|[._][a-z0-9])*$)",
                                                      &IsAttributeName};
// The name of an attribute of OpenTelemetry.
void ValidateAttributeName(std::string_view name, std::string path, model::Violations& out);

// What a reference means.
struct Collector {
  std::string name;     // display name of the MeshOpenTelemetryBackend
  std::string address;  // empty: the host of the proxy
  uint32_t port = 0;
  bool http = false;  // OTLP over HTTP instead of gRPC
  std::string path;   // of OTLP over HTTP
  std::optional<resources::mesh_open_telemetry_backend::EnvPolicy> env;

  void AddTo(base::Hasher& hasher) const;
};

// Those that the confs of a cell refer to. What is not in it does not exist.
class Collectors {
 public:
  void Resolve(const mesh::MeshSnapshot& mesh, const CollectorRef& ref);
  bool empty() const { return by_labels_.empty(); }
  const Collector* Find(const CollectorRef& ref) const;
  void AddTo(base::Hasher& hasher) const;

 private:
  std::map<std::map<std::string, std::string>, Collector> by_labels_;
};

// Null when it did not resolve.
const Collector* FindCollector(const CollectorsPtr& collectors, const CollectorRef& ref);

// A proxy with this feature talks to collectors through its kuma-dp.
inline constexpr std::string_view kCollectorsViaKumaDp = "feature-otel-via-kuma-dp";
// Name of the cluster through which a policy reaches the collector. `prefix`: "meshaccesslog".
std::string CollectorCluster(std::string_view prefix, const Collector& collector, bool via_kuma_dp);

}  // namespace kuma::policy

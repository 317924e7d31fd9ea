#include "model/labels.h"

#include "base/format.h"

namespace kuma::model {
namespace {

// Kinds that Kuma defines by its own schemas (policies and all newer kinds), not by protobuf
// messages.
bool IsPluginOriginated(const ResourceType& type) { return !type.inline_spec; }

bool CreatedInZones(const ResourceType& type) {
  return type.zone_to_global || type.writable_in_zones;
}

std::string Key(std::string_view label) { return std::string(label); }

}  // namespace

Labels ComputeLabels(const ResourceType& type, const Metadata& meta, const ControlPlane& here) {
  Labels labels = meta.labels;
  const bool zone = here.mode == ControlPlane::Mode::kZone;
  labels[Key(kDisplayNameLabel)] = meta.name;
  if (type.scope == Scope::kMesh)
    labels.try_emplace(Key(kMeshLabel), meta.mesh.empty() ? "default" : meta.mesh);
  labels[Key(kOriginLabel)] = zone ? "zone" : "global";
  if (zone && CreatedInZones(type)) {
    labels.try_emplace(Key(kZoneLabel), here.zone);
    labels.try_emplace(Key(kEnvLabel), here.environment == ControlPlane::Environment::kUniversal
                                           ? "universal"
                                           : "kubernetes");
  }
  return labels;
}

void CheckOriginForWrite(const ResourceType& type, const Metadata& meta, const ControlPlane& here,
                         std::string_view path, Violations& out) {
  if (!here.check_origin) return;
  const std::string at = KeyPath(path, kOriginLabel);
  const std::string_view origin = meta.Label(kOriginLabel);
  if (here.mode == ControlPlane::Mode::kGlobal && !origin.empty() && origin != "global")
    out.Add(at, "the origin label must be set to 'global'");
  if (here.mode == ControlPlane::Mode::kZone && here.federated && IsPluginOriginated(type) &&
      origin != "zone")
    out.Add(at, "the origin label must be set to 'zone'",
            "this zone has a global control plane; resources that belong to the zone alone say so "
            "by the label");
}

void CheckLabels(const ResourceType& type, const Metadata& meta, const ControlPlane& here,
                 Violations& out) {
  const auto at = [](std::string_view label) { return KeyPath("labels", label); };
  const std::string_view origin = meta.Label(kOriginLabel);
  if (!origin.empty() && origin != "global" && origin != "zone")
    out.Add(at(kOriginLabel), base::Format("unknown resource origin \"{}\"", origin));
  CheckOriginForWrite(type, meta, here, "labels", out);
  if (here.mode == ControlPlane::Mode::kZone) {
    const std::string_view zone_label = meta.Label(kZoneLabel);
    if (!zone_label.empty() && zone_label != here.zone)
      out.Add(at(kZoneLabel), base::Format("kuma.io/zone label should have {} value", here.zone));
    const std::string_view mesh_label = meta.Label(kMeshLabel);
    if (!mesh_label.empty() && type.scope == Scope::kMesh && mesh_label != meta.mesh)
      out.Add(at(kMeshLabel), "kuma.io/mesh label must not differ from mesh set on resource");
  }
  if (type.is_policy) {
    const std::string_view role = meta.Label(kPolicyRoleLabel);
    if (!role.empty() && role != "system")
      out.Add(at(kPolicyRoleLabel),
              base::Format("kuma.io/policy-role label should have system value, got {}", role),
              "other roles exist on Kubernetes only, where they follow from the namespace");
  }
  for (const auto& [key, value] : meta.labels) {
    for (std::string& wrong : CheckQualifiedName(key)) out.Add(at(key), std::move(wrong));
    for (std::string& wrong : CheckLabelValue(value)) out.Add(at(key), std::move(wrong));
  }
}

void CheckImmutableLabels(const Labels& before, const Labels& after, Violations& out) {
  const auto held = before.find(Key(kZoneLabel));
  if (held == before.end()) return;
  const auto now = after.find(Key(kZoneLabel));
  const std::string at = KeyPath("labels", kZoneLabel);
  if (now == after.end())
    out.Add(at, base::Format("is immutable, cannot be removed (was \"{}\")", held->second));
  else if (now->second != held->second)
    out.Add(at, base::Format("is immutable, cannot be changed from \"{}\" to \"{}\"", held->second,
                             now->second));
}

}  // namespace kuma::model

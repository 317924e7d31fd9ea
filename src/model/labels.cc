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

void CheckLabels(const ResourceType& type, const Metadata& meta, const Metadata* before,
                 const ControlPlane& here, Violations& out) {
  const bool zone = here.mode == ControlPlane::Mode::kZone;
  const auto at = [](std::string_view label) { return KeyPath("labels", label); };
  const std::string_view origin = meta.Label(kOriginLabel);
  if (!origin.empty() && origin != "global" && origin != "zone")
    out.Add(at(kOriginLabel), base::Format("unknown resource origin \"{}\"", origin));
  if (!zone && !origin.empty() && origin != "global")
    out.Add(at(kOriginLabel), "the origin label must be set to 'global'");
  if (zone && here.federated && here.check_origin && IsPluginOriginated(type) && origin != "zone")
    out.Add(at(kOriginLabel), "the origin label must be set to 'zone'",
            "this zone has a global control plane; resources that belong to the zone alone say so "
            "by the label");
  if (zone) {
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
      out.Add(at(kPolicyRoleLabel), "the policy role label must be set to 'system'",
              "other roles exist on Kubernetes only, where they follow from the namespace");
  }
  if (before && meta.labels.contains(Key(kZoneLabel)) && !before->Label(kZoneLabel).empty() &&
      meta.Label(kZoneLabel) != before->Label(kZoneLabel))
    out.Add(at(kZoneLabel), "kuma.io/zone label cannot be changed");
}

}  // namespace kuma::model

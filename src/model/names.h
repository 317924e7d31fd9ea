#pragma once

// Syntax of names and labels ("Name rules" of Kuma 3.0; qualified names of the Kubernetes API).

#include <string_view>

#include "model/resource_type.h"

namespace kuma::model {

// Checks name, mesh and labels of a resource being written. `is_new`: rules that hold on creation only.
void ValidateMetadata(const ResourceType& type, const Metadata& meta, bool is_new, Violations& out);

bool IsRfc1123Subdomain(std::string_view text);
bool IsRfc1123Label(std::string_view text);
bool IsRfc1035Label(std::string_view text);
bool IsQualifiedName(std::string_view text);  // label key
bool IsLabelValue(std::string_view text);

// Well-known labels.
inline constexpr std::string_view kDisplayNameLabel = "kuma.io/display-name";
inline constexpr std::string_view kMeshLabel = "kuma.io/mesh";
inline constexpr std::string_view kOriginLabel = "kuma.io/origin";
inline constexpr std::string_view kZoneLabel = "kuma.io/zone";
inline constexpr std::string_view kEnvLabel = "kuma.io/env";
inline constexpr std::string_view kWorkloadLabel = "kuma.io/workload";
inline constexpr std::string_view kManagedByLabel = "kuma.io/managed-by";
inline constexpr std::string_view kNamespaceLabel = "k8s.kuma.io/namespace";
inline constexpr std::string_view kPolicyRoleLabel = "kuma.io/policy-role";
inline constexpr std::string_view kEffectLabel = "kuma.io/effect";

}  // namespace kuma::model

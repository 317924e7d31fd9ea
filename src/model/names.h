#pragma once

// Syntax of names and labels ("Name rules" of Kuma 3.0; qualified names of the Kubernetes API), and
// names made from other names.

#include <string>
#include <string_view>

#include "model/resource_type.h"

namespace kuma::model {

// Name and mesh as text; the first checks of a write, with CheckLabels (title of the answer: "Could
// not process a resource").
void ValidateMetadata(const ResourceType& type, const Metadata& meta, Violations& out);

// The rule of the kind for its name (NameRule), checked together with the spec (title "Failed to
// create a resource"). DecodeResource does not include it.
void ValidateKindName(const ResourceType& type, const Metadata& meta, bool is_new, Violations& out);

bool IsRfc1123Subdomain(std::string_view text);
bool IsRfc1123Label(std::string_view text);
bool IsRfc1035Label(std::string_view text);
bool IsQualifiedName(std::string_view text);  // label key
bool IsLabelValue(std::string_view text);

// The same with what is wrong, in the words of the Kubernetes API; empty when it is right.
std::vector<std::string> CheckRfc1123Subdomain(std::string_view text);
std::vector<std::string> CheckRfc1035Label(std::string_view text);
std::vector<std::string> CheckQualifiedName(std::string_view text);
std::vector<std::string> CheckLabelValue(std::string_view text);

// Label kuma.io/display-name, else the name.
std::string_view DisplayName(const Metadata& meta);

// The name of a resource that came from another control plane: "<display name>-<16 characters>"
// (kds.md).
std::string HashedName(std::string_view mesh, std::string_view display_name, std::string_view zone,
                       std::string_view ns);
std::string HashedName(const Metadata& meta);

// Well-known labels.
inline constexpr std::string_view kDisplayNameLabel = "kuma.io/display-name";
inline constexpr std::string_view kMeshLabel = "kuma.io/mesh";
inline constexpr std::string_view kOriginLabel = "kuma.io/origin";
inline constexpr std::string_view kZoneLabel = "kuma.io/zone";
inline constexpr std::string_view kEnvLabel = "kuma.io/env";
inline constexpr std::string_view kServiceLabel = "kuma.io/service";
inline constexpr std::string_view kWorkloadLabel = "kuma.io/workload";
inline constexpr std::string_view kManagedByLabel = "kuma.io/managed-by";
inline constexpr std::string_view kNamespaceLabel = "k8s.kuma.io/namespace";
inline constexpr std::string_view kServiceAccountLabel = "k8s.kuma.io/service-account";
inline constexpr std::string_view kPolicyRoleLabel = "kuma.io/policy-role";
inline constexpr std::string_view kEffectLabel = "kuma.io/effect";
inline constexpr std::string_view kProxyTypeLabel = "kuma.io/proxy-type";
inline constexpr std::string_view kZoneIngressLabel = "kuma.io/listener-zoneingress";
inline constexpr std::string_view kZoneEgressLabel = "kuma.io/listener-zoneegress";

}  // namespace kuma::model

#pragma once

// How policies name what they apply to: targetRef, backendRef, and the matches of inbound rules;
// with the checks that all policies share, in Kuma's words.

#include <array>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "model/fields.h"
#include "model/violations.h"

namespace kuma::policy {

enum class TargetKind {
  kUnknown,  // a word that is no kind; OpenEnum keeps it
  kMesh,
  kDataplane,
  kMeshService,
  kMeshExternalService,
  kMeshMultiZoneService,
  kMeshHttpRoute,
};
constexpr auto EnumNames(TargetKind) {
  using enum TargetKind;
  return std::to_array<model::EnumName<TargetKind>>(
      {{kMesh, "Mesh"},
       {kMeshService, "MeshService"},
       {kMeshExternalService, "MeshExternalService"},
       {kMeshMultiZoneService, "MeshMultiZoneService"},
       {kMeshHttpRoute, "MeshHTTPRoute"},
       {kDataplane, "Dataplane"}});
}

// Kuma 3.0 selects by labels only; the display name is the label kuma.io/display-name.
struct TargetRef {
  model::OpenEnum<TargetKind> kind = TargetKind::kMesh;
  std::map<std::string, std::string> labels;
  std::optional<std::string> section_name;

  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("kind", &TargetRef::kind, "Kind of the referenced resource.", model::Required{}),
        Field(
            "labels", &TargetRef::labels,
            "Selects resources by their labels. Empty: all of the kind (Mesh and Dataplane only)."),
        Field("sectionName", &TargetRef::section_name,
              "A part of the resource: the name (or number) of a port of a service or of an "
              "inbound."),
    };
  }
};

struct BackendRef {
  model::OpenEnum<TargetKind> kind = TargetKind::kMeshService;
  std::map<std::string, std::string> labels;
  std::optional<std::string> section_name;
  std::optional<int32_t> port;
  std::optional<uint64_t> weight = 1;

  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("kind", &BackendRef::kind, "Kind of the referenced resource.", model::Required{}),
        Field("labels", &BackendRef::labels, "Selects the resource by its labels."),
        Field("sectionName", &BackendRef::section_name, "A port of the resource by its name."),
        Field("port", &BackendRef::port, "A port of the resource by its number."),
        Field("weight", &BackendRef::weight,
              "Share of the traffic, relative to the other backends.", model::Min{0},
              model::Max{4294967295}),
    };
  }
};

// The kinds that the schema allows at the top of a policy and in its `to` list. Which of them a
// policy really takes is checked by ValidateTargetRef. For use in field tables:
//   Field("targetRef", &Spec::target_ref, "...", kTopKinds, Input{})
inline constexpr auto kTopKinds = model::Narrow("kind", "Mesh", "Dataplane");
inline constexpr auto kToKinds = model::Narrow("kind", "Mesh", "MeshService", "MeshExternalService",
                                               "MeshMultiZoneService", "MeshHTTPRoute");

// ---- matches of inbound rules

enum class SpiffeIdMatchType { kUnknown, kExact, kPrefix };
constexpr auto EnumNames(SpiffeIdMatchType) {
  return std::to_array<model::EnumName<SpiffeIdMatchType>>(
      {{SpiffeIdMatchType::kExact, "Exact"}, {SpiffeIdMatchType::kPrefix, "Prefix"}});
}
struct SpiffeIdMatch {
  model::OpenEnum<SpiffeIdMatchType> type = SpiffeIdMatchType::kUnknown;
  std::string value;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("type", &SpiffeIdMatch::type, "How to compare: Exact or Prefix.", model::Required{}),
        Field("value", &SpiffeIdMatch::value, "SPIFFE ID of the client, or its beginning.",
              model::Required{})};
  }
};

enum class SniMatchType { kUnknown, kExact };
constexpr auto EnumNames(SniMatchType) {
  return std::to_array<model::EnumName<SniMatchType>>({{SniMatchType::kExact, "Exact"}});
}
struct SniMatch {
  model::OpenEnum<SniMatchType> type = SniMatchType::kUnknown;
  std::string value;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("type", &SniMatch::type, "How to compare: Exact.", model::Required{}),
        Field("value", &SniMatch::value, "Server name of the TLS connection.", model::Required{})};
  }
};

// All that is set must hold.
struct Match {
  std::optional<SpiffeIdMatch> spiffe_id;
  std::optional<SniMatch> sni;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{Field("spiffeID", &Match::spiffe_id, "Identity of the client."),
                      Field("sni", &Match::sni, "Server name that the client asked for.")};
  }
};

// ---- matches of HTTP headers

enum class HeaderMatchType { kUnknown, kExact, kPresent, kRegularExpression, kAbsent, kPrefix };
constexpr auto EnumNames(HeaderMatchType) {
  using enum HeaderMatchType;
  return std::to_array<model::EnumName<HeaderMatchType>>({{kExact, "Exact"},
                                                          {kPresent, "Present"},
                                                          {kRegularExpression, "RegularExpression"},
                                                          {kAbsent, "Absent"},
                                                          {kPrefix, "Prefix"}});
}

// [a-z0-9!#$%&'*+\-.^_`|~]+
bool IsHeaderName(std::string_view text);
inline constexpr model::Pattern kHeaderNamePattern{R"(^[a-z0-9!#$%&'*+\-.^_\x60|~]+$)",
                                                   &IsHeaderName};

struct HeaderMatch {
  model::OpenEnum<HeaderMatchType> type = HeaderMatchType::kExact;
  std::string name;
  std::string value;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("type", &HeaderMatch::type, "How to compare the value. Default: Exact."),
        Field("name", &HeaderMatch::name, "Name of the header, in lower case.", model::Required{},
              model::MinLength{1}, model::MaxLength{256}, kHeaderNamePattern),
        Field("value", &HeaderMatch::value, "What to compare with; not with Present and Absent."),
    };
  }
};

// ---- shared checks. Paths are relative to the thing checked; put them in place with
// Violations::AppendAt.

// `supported`: kinds that this policy takes here. `inbound`: the policy configures inbounds, so
// that a sectionName of a Dataplane (the inbound) makes sense.
model::Violations ValidateTargetRef(const TargetRef& ref,
                                    std::initializer_list<TargetKind> supported,
                                    bool inbound = false);
// A `to` entry of a policy that takes all kinds there. A route as the policy's top-level targetRef
// (which is an error of its own) leaves the mesh and external services.
model::Violations ValidateToTargetRef(const std::optional<TargetRef>& top, const TargetRef& ref);
model::Violations ValidateBackendRef(const BackendRef& ref);
model::Violations ValidateMatches(const std::vector<Match>& matches);
model::Violations ValidateHeaderMatches(const std::vector<HeaderMatch>& headers);

// "spec.targetRef" of a policy; absent means the whole mesh.
void ValidateTopTargetRef(const std::optional<TargetRef>& ref, bool inbound,
                          model::Violations& out);

// The messages of Kuma's validators.
inline constexpr std::string_view kMustBeDefined = "must be defined";
inline constexpr std::string_view kMustNotBeDefined = "must not be defined";
inline constexpr std::string_view kMustNotBeEmpty = "must not be empty";
std::string MustHaveAtLeastOne(std::initializer_list<std::string_view> names);
// A percentage in [0, 100], as a number or as text.
void ValidatePercentage(const std::optional<model::IntOrString>& value, std::string_view path,
                        model::Violations& out);

}  // namespace kuma::policy

#pragma once

// MeshProxyPatch: changes of the Envoy configuration that the control plane makes, in Envoy's own
// words.

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/fields.h"
#include "model/resource_type.h"
#include "policy/target_ref.h"

namespace kuma::policies::mesh_proxy_patch {

enum class Operation {
  kUnknown,
  kAdd,
  kRemove,
  kPatch,
  kAddFirst,
  kAddBefore,
  kAddAfter,
  kAddLast
};
constexpr auto EnumNames(Operation) {
  using enum Operation;
  return std::to_array<model::EnumName<Operation>>({{kAdd, "Add"},
                                                    {kRemove, "Remove"},
                                                    {kPatch, "Patch"},
                                                    {kAddFirst, "AddFirst"},
                                                    {kAddBefore, "AddBefore"},
                                                    {kAddAfter, "AddAfter"},
                                                    {kAddLast, "AddLast"}});
}
// Of clusters, listeners and virtual hosts, and of filters.
inline constexpr auto kResourceOperations = model::OneOf("Add", "Remove", "Patch");
inline constexpr auto kFilterOperations =
    model::OneOf("Remove", "Patch", "AddFirst", "AddBefore", "AddAfter", "AddLast");

enum class PatchOp { kUnknown, kAdd, kRemove, kReplace, kMove, kCopy };
constexpr auto EnumNames(PatchOp) {
  using enum PatchOp;
  return std::to_array<model::EnumName<PatchOp>>({{kAdd, "add"},
                                                  {kRemove, "remove"},
                                                  {kReplace, "replace"},
                                                  {kMove, "move"},
                                                  {kCopy, "copy"}});
}

// One operation of RFC 6902.
struct JsonPatch {
  model::OpenEnum<PatchOp> op = PatchOp::kAdd;
  std::string path;
  std::optional<std::string> from;
  std::optional<model::Value> value;
  static constexpr auto Fields() {
    using model::Field;
    using model::Required;
    return std::tuple{
        Field("op", &JsonPatch::op, "What to do.", Required{}),
        Field("path", &JsonPatch::path, "Where, as a JSON pointer (RFC 6901).", Required{}),
        Field("from", &JsonPatch::from, "Where the value comes from; of move and copy."),
        Field("value", &JsonPatch::value, "The value; of add and replace."),
    };
  }
};

inline constexpr std::string_view kOriginText =
    "What made it: inbound, outbound, transparent, prometheus, admin and others; see the page of "
    "the policy.";
inline constexpr std::string_view kTagsText =
    "Tags in the listener's metadata io.kuma.tags; '*' is any value.";

struct ClusterMatch {
  std::optional<std::string> origin;
  std::optional<std::string> name;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{Field("origin", &ClusterMatch::origin, kOriginText),
                      Field("name", &ClusterMatch::name, "Name of the cluster.")};
  }
};
struct ListenerMatch {
  std::optional<std::string> origin;
  std::optional<std::string> name;
  std::map<std::string, std::string> tags;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{Field("origin", &ListenerMatch::origin, kOriginText),
                      Field("name", &ListenerMatch::name, "Name of the listener."),
                      Field("tags", &ListenerMatch::tags, kTagsText)};
  }
};
struct FilterMatch {
  std::optional<std::string> origin;
  std::optional<std::string> name;
  std::optional<std::string> listener_name;
  std::map<std::string, std::string> listener_tags;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{Field("origin", &FilterMatch::origin, kOriginText),
                      Field("name", &FilterMatch::name, "Name of the filter."),
                      Field("listenerName", &FilterMatch::listener_name,
                            "Name of the listener that the filter is in."),
                      Field("listenerTags", &FilterMatch::listener_tags, kTagsText)};
  }
};
struct VirtualHostMatch {
  std::optional<std::string> origin;
  std::optional<std::string> name;
  std::optional<std::string> route_configuration_name;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{Field("origin", &VirtualHostMatch::origin, kOriginText),
                      Field("name", &VirtualHostMatch::name, "Name of the virtual host."),
                      Field("routeConfigurationName", &VirtualHostMatch::route_configuration_name,
                            "Name of the route configuration that it is in.")};
  }
};

// One modification. `Match` is optional where everything is meant without it.
template <class Match, const auto& kOperations>
struct Mod {
  Match match;
  model::OpenEnum<Operation> operation = Operation::kPatch;
  std::optional<std::string> value;
  std::vector<JsonPatch> json_patches;
  static constexpr auto Fields() {
    using model::Field;
    using model::Required;
    return std::tuple_cat(
        MatchField(),
        std::tuple{
            Field("operation", &Mod::operation, "What to do.", Required{}, kOperations),
            Field("value", &Mod::value, "Configuration of Envoy as YAML, to add or to merge."),
            Field("jsonPatches", &Mod::json_patches,
                  "Changes of its JSON form, one after the other.")});
  }

 private:
  static constexpr auto MatchField() {
    constexpr std::string_view kText = "What is modified: all that fits everything given.";
    if constexpr (model::HasFields<Match>) {
      return std::tuple{model::Field("match", &Mod::match, kText, model::Required{})};
    } else {
      return std::tuple{model::Field("match", &Mod::match, kText)};
    }
  }
};
using ClusterMod = Mod<std::optional<ClusterMatch>, kResourceOperations>;
using ListenerMod = Mod<std::optional<ListenerMatch>, kResourceOperations>;
using FilterMod = Mod<std::optional<FilterMatch>, kFilterOperations>;  // network and HTTP filters
using VirtualHostMod = Mod<VirtualHostMatch, kResourceOperations>;

// Exactly one of them.
struct Modification {
  std::optional<ClusterMod> cluster;
  std::optional<ListenerMod> listener;
  std::optional<FilterMod> network_filter;
  std::optional<FilterMod> http_filter;
  std::optional<VirtualHostMod> virtual_host;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("cluster", &Modification::cluster, "A cluster."),
        Field("listener", &Modification::listener, "A listener."),
        Field("networkFilter", &Modification::network_filter,
              "A network filter, in every filter chain of a listener."),
        Field("httpFilter", &Modification::http_filter,
              "An HTTP filter, in every HTTP connection manager of a listener."),
        Field("virtualHost", &Modification::virtual_host,
              "A virtual host of the routes in an HTTP connection manager."),
    };
  }
};

struct Conf {
  std::vector<Modification> append_modifications;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field(
            "appendModifications", &Conf::append_modifications,
            "What is changed, in this order. Modifications of several policies follow each other, "
            "those of the most specific policy last.",
            model::Append{}),
    };
  }
};

struct Spec {
  std::optional<policy::TargetRef> target_ref;
  Conf default_conf;
  static constexpr auto Fields() {
    using model::Field;
    using model::Input;
    return std::tuple{
        Field("targetRef", &Spec::target_ref,
              "The proxies that are configured. Absent: all of the mesh.", policy::kTopKinds,
              Input{}),
        Field("default", &Spec::default_conf, "The changes.", model::Required{}, Input{}),
    };
  }
};

// The YAML of a `value` as JSON: one object. The message of the error is what Kuma's tools show,
// without "native Envoy resource is not valid: ".
base::Result<model::Value> ParseEnvoyYaml(std::string_view text);

const model::ResourceType& Schema();

}  // namespace kuma::policies::mesh_proxy_patch

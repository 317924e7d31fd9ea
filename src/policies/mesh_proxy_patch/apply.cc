#include <algorithm>
#include <array>

#include "base/format.h"
#include "envoy/builders.h"
#include "envoy/message_types.h"
#include "envoy/seal.h"
#include "model/json_patch.h"
#include "policies/mesh_proxy_patch/mesh_proxy_patch.h"
#include "policy/describe_policy.h"

namespace kuma::policies::mesh_proxy_patch {
namespace {

namespace api = envoy::api;
namespace pb = google::protobuf;
using model::IndexPath;
using model::JoinPath;

// ---- the modifications of all policies for the proxy, in order

struct Step {
  Modification mod;
  model::ResourceKey policy;
  size_t index = 0;  // in the policy's list
};
struct Steps {
  std::vector<Step> list;
};

std::shared_ptr<const void> MergeSteps(std::span<const policy::MergeInput> inputs) {
  auto merged = std::make_shared<Steps>();
  for (const policy::MergeInput& input : inputs) {
    if (input.conf == nullptr) continue;
    const auto& list = static_cast<const Conf*>(input.conf)->append_modifications;
    for (size_t i = 0; i < list.size(); ++i)
      merged->list.push_back({list[i], input.origin.policy, i});
  }
  return merged;
}

Conf ConfOf(const void* merged) {
  Conf conf;
  for (const Step& step : static_cast<const Steps*>(merged)->list)
    conf.append_modifications.push_back(step.mod);
  return conf;
}
model::Value EncodeSteps(const void* merged) { return model::Encode(ConfOf(merged)); }
void HashSteps(const void* merged, base::Hasher& hasher) {
  hasher.Add(model::Hash(ConfOf(merged)));
}

// A step is done on a resource as long as that is not removed. An error says whose it is.
base::Status Named(const Step& step, base::Status done) {
  if (done.has_value()) return done;
  return std::move(done).error().Context(base::Format(
      "{}: {}", step.policy.ToString(), IndexPath("spec.default.appendModifications", step.index)));
}

void Touch(const Step& step, envoy::DraftNotes& notes) {
  const std::string policy = step.policy.ToString();
  if (std::find(notes.touched_by.begin(), notes.touched_by.end(), policy) == notes.touched_by.end())
    notes.touched_by.push_back(policy);
}

// ---- what a modification means

bool Fits(const std::optional<std::string>& wanted, std::string_view found) {
  return !wanted || *wanted == found;
}

// Listeners for redirected traffic have older names, too.
std::string_view NewNameOf(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kNames = {
      {{"outbound:passthrough:ipv4", "self_transparentproxy_passthrough_outbound_ipv4"},
       {"outbound:passthrough:ipv6", "self_transparentproxy_passthrough_outbound_ipv6"},
       {"inbound:passthrough:ipv4", "self_transparentproxy_passthrough_inbound_ipv4"},
       {"inbound:passthrough:ipv6", "self_transparentproxy_passthrough_inbound_ipv6"}}};
  for (const auto& [older, newer] : kNames) {
    if (name == older) return newer;
  }
  return name;
}

bool FitsTags(const std::map<std::string, std::string>& wanted, const api::Listener& listener) {
  if (wanted.empty()) return true;
  const auto& metadata = listener.metadata().filter_metadata();
  const auto tags = metadata.find("io.kuma.tags");
  if (tags == metadata.end()) return false;
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& tag) {
    const auto found = tags->second.fields().find(tag.first);
    return found != tags->second.fields().end() &&
           (tag.second == "*" || tag.second == found->second.string_value());
  });
}

bool FitsListener(const std::optional<std::string>& origin, const std::optional<std::string>& name,
                  const std::map<std::string, std::string>& tags,
                  const envoy::ListenerDraft& draft) {
  return Fits(origin, draft.notes.made_by) &&
         (!name || NewNameOf(*name) == NewNameOf(draft.listener.name())) &&
         FitsTags(tags, draft.listener);
}

template <class Message>
base::Result<Message> ParseValue(const std::optional<std::string>& text) {
  Message message;
  if (!text) return message;
  auto json = ParseEnvoyYaml(*text);
  if (!json.has_value()) return std::move(json).error().Context("value");
  if (base::Status done = envoy::FromJson(model::ToJson(*json), message); !done.has_value())
    return std::move(done).error().Context("value");
  return message;
}

std::vector<model::JsonPatchOperation> OperationsOf(const std::vector<JsonPatch>& patches) {
  using Op = model::JsonPatchOperation::Op;
  std::vector<model::JsonPatchOperation> operations;
  for (const JsonPatch& patch : patches) {
    const Op op = patch.op == PatchOp::kRemove    ? Op::kRemove
                  : patch.op == PatchOp::kReplace ? Op::kReplace
                  : patch.op == PatchOp::kMove    ? Op::kMove
                  : patch.op == PatchOp::kCopy    ? Op::kCopy
                                                  : Op::kAdd;
    operations.push_back(
        {op, patch.path, patch.from.value_or(""), patch.value.value_or(model::Value())});
  }
  return operations;
}

base::Status PatchJson(const std::vector<JsonPatch>& patches, pb::Message& message) {
  TRY_ASSIGN(const std::string before, envoy::ToJson(message));
  TRY_ASSIGN(model::Value json, model::ParseJson(before));
  auto patched = model::ApplyJsonPatch(std::move(json), OperationsOf(patches));
  if (!patched.has_value()) return std::move(patched).error().Context("jsonPatches");
  const std::string after = model::ToJson(*patched);
  const envoy::JsonReview review = envoy::ReviewJson(after, message.GetDescriptor()->full_name());
  if (!review.faults.empty())
    return base::Invalid(base::Format("jsonPatches: the result is not valid: {}: {}",
                                      review.faults[0].path, review.faults[0].message));
  message.Clear();
  return envoy::FromJson(after, message);
}

// Patches a whole message.
template <class AnyMod, class Message>
base::Status PatchMessage(const AnyMod& mod, Message& message) {
  if (!mod.json_patches.empty()) return PatchJson(mod.json_patches, message);
  TRY_ASSIGN(const Message value, ParseValue<Message>(mod.value));
  envoy::Merge(value, message);
  return base::Ok{};
}

// Patches the configuration of a filter; the rest of the filter stays as it is.
template <class Filter>
base::Status PatchFilter(const FilterMod& mod, Filter& filter) {
  TRY_ASSIGN(const Filter value, ParseValue<Filter>(mod.value));
  if (mod.json_patches.empty() && !value.has_typed_config()) return base::Ok{};
  pb::Any& config = *filter.mutable_typed_config();
  if (mod.json_patches.empty() && config.type_url().empty()) {
    config = value.typed_config();
    return base::Ok{};
  }
  if (config.type_url().empty())
    return base::Invalid(base::Format("filter '{}' has no typedConfig to patch", filter.name()));
  TRY_ASSIGN(const auto message, envoy::Unpack(config));
  if (!mod.json_patches.empty()) {
    TRY(PatchJson(mod.json_patches, *message));
  } else if (value.typed_config().type_url() != config.type_url()) {
    return base::Invalid(
        base::Format("value.typedConfig.@type: '{}' cannot be merged into the '{}' of filter '{}'",
                     value.typed_config().type_url(), config.type_url(), filter.name()));
  } else {
    TRY_ASSIGN(const auto more, envoy::Unpack(value.typed_config()));
    envoy::Merge(*more, *message);
  }
  envoy::Pack(*message, &config);
  return base::Ok{};
}

// Modifies one list of filters. `touched` is set if anything fitted.
template <class Filter>
base::Status ModifyFilters(const FilterMod& mod, pb::RepeatedPtrField<Filter>& filters,
                           bool& touched) {
  const std::optional<std::string> name = mod.match ? mod.match->name : std::nullopt;
  const auto fits = [&](const Filter& filter) { return Fits(name, filter.name()); };
  const auto insert = [&](int at) -> base::Status {
    TRY_ASSIGN(*filters.Add(), ParseValue<Filter>(mod.value));
    std::rotate(filters.pointer_begin() + at, filters.pointer_end() - 1, filters.pointer_end());
    touched = true;
    return base::Ok{};
  };
  const auto found =
      static_cast<int>(std::find_if(filters.begin(), filters.end(), fits) - filters.begin());
  switch (mod.operation) {
    case Operation::kAddFirst: return insert(0);
    case Operation::kAddLast: return insert(filters.size());
    case Operation::kAddBefore:
      return found == filters.size() ? base::Status(base::Ok{}) : insert(found);
    case Operation::kAddAfter:
      return found == filters.size() ? base::Status(base::Ok{}) : insert(found + 1);
    case Operation::kRemove: {
      const auto end = std::remove_if(filters.begin(), filters.end(), fits);
      touched = touched || end != filters.end();
      filters.erase(end, filters.end());
      return base::Ok{};
    }
    default:
      for (Filter& filter : filters) {
        if (!fits(filter)) continue;
        TRY(PatchFilter(mod, filter));
        touched = true;
      }
      return base::Ok{};
  }
}

base::Status ModifyHosts(const VirtualHostMod& mod, api::RouteConfiguration& routes,
                         bool& touched) {
  if (!Fits(mod.match.route_configuration_name, routes.name())) return base::Ok{};
  auto& hosts = *routes.mutable_virtual_hosts();
  const auto fits = [&](const api::VirtualHost& host) { return Fits(mod.match.name, host.name()); };
  if (mod.operation == Operation::kAdd) {
    TRY_ASSIGN(*hosts.Add(), ParseValue<api::VirtualHost>(mod.value));
    touched = true;
  } else if (mod.operation == Operation::kRemove) {
    const auto end = std::remove_if(hosts.begin(), hosts.end(), fits);
    touched = touched || end != hosts.end();
    hosts.erase(end, hosts.end());
  } else {
    for (api::VirtualHost& host : hosts) {
      if (!fits(host)) continue;
      TRY(PatchMessage(mod, host));
      touched = true;
    }
  }
  return base::Ok{};
}

// Calls f(manager, touched) for each HTTP connection manager of the listener, and packs those that
// it touched.
template <class F>
base::Status ForEachManager(api::Listener& listener, bool& touched, F f) {
  for (api::FilterChain& chain : *listener.mutable_filter_chains()) {
    for (api::Filter& filter : *chain.mutable_filters()) {
      if (filter.name() != envoy::kHttpConnectionManager) continue;
      api::HttpConnectionManager manager;
      if (!filter.typed_config().UnpackTo(&manager))
        return base::Invalid(base::Format("filter '{}' of listener '{}' is no {}", filter.name(),
                                          listener.name(), manager.GetDescriptor()->full_name()));
      bool changed = false;
      TRY(f(manager, changed));
      if (changed) envoy::Pack(manager, filter.mutable_typed_config());
      touched = touched || changed;
    }
  }
  return base::Ok{};
}

bool Adds(const auto& mod) { return mod && mod->operation == Operation::kAdd; }

// Clusters that a patched listener may use by now. Those that the policy adds count, too: filters
// that we cannot look into may use them.
std::vector<std::string> ClustersOf(const api::Listener& listener, const Steps& steps) {
  envoy::ListenerDraft draft;  // as far as names of clusters are concerned
  for (const api::FilterChain& chain : listener.filter_chains()) {
    for (const api::Filter& filter : chain.filters()) {
      envoy::FilterChainDraft parts;
      api::TcpProxy proxy;
      api::HttpConnectionManager manager;
      if (filter.typed_config().UnpackTo(&proxy)) {
        parts.tcp = std::move(proxy);
      } else if (filter.typed_config().UnpackTo(&manager)) {
        parts.http.emplace();
        for (const api::VirtualHost& host : manager.route_config().virtual_hosts()) {
          for (const api::Route& route : host.routes()) parts.http->routes.push_back({route, {}});
        }
      }
      draft.chains.push_back(std::move(parts));
    }
  }
  for (const Step& step : steps.list) {
    if (!Adds(step.mod.cluster)) continue;
    const auto cluster = ParseValue<api::Cluster>(step.mod.cluster->value);
    if (cluster.has_value()) draft.more_clusters.push_back(cluster->name());
  }
  return draft.Clusters();
}

// ---- resources, one by one. What a modification adds belongs to the proxy; a resource of the same
// name makes room for it.

// `here` is set if the step fitted.
base::Status ModifyListenerBy(const Step& step, const std::string& name,
                              envoy::ListenerDraft& draft, bool& here) {
  if (const auto& mod = step.mod.listener) {
    if (Adds(mod)) {
      TRY_ASSIGN(const auto added, ParseValue<api::Listener>(mod->value));
      draft.notes.removed = added.name() == name;
      return base::Ok{};
    }
    const ListenerMatch match = mod->match.value_or(ListenerMatch());
    here = FitsListener(match.origin, match.name, match.tags, draft);
    if (!here) return base::Ok{};
    if (mod->operation == Operation::kRemove) {
      draft.notes.removed = true;
      return base::Ok{};
    }
    envoy::Finish(draft);
    return PatchMessage(*mod, draft.listener);
  }
  if (const auto& mod = step.mod.network_filter ? step.mod.network_filter : step.mod.http_filter) {
    const FilterMatch match = mod->match.value_or(FilterMatch());
    if (!FitsListener(match.origin, match.listener_name, match.listener_tags, draft))
      return base::Ok{};
    envoy::Finish(draft);
    if (step.mod.http_filter)
      return ForEachManager(draft.listener, here,
                            [&](api::HttpConnectionManager& manager, bool& changed) {
                              return ModifyFilters(*mod, *manager.mutable_http_filters(), changed);
                            });
    for (api::FilterChain& chain : *draft.listener.mutable_filter_chains())
      TRY(ModifyFilters(*mod, *chain.mutable_filters(), here));
    return base::Ok{};
  }
  if (const auto& mod = step.mod.virtual_host;
      mod && Fits(mod->match.origin, draft.notes.made_by)) {
    envoy::Finish(draft);
    return ForEachManager(draft.listener, here,
                          [&](api::HttpConnectionManager& manager, bool& changed) {
                            return manager.has_route_config()
                                       ? ModifyHosts(*mod, *manager.mutable_route_config(), changed)
                                       : base::Ok{};
                          });
  }
  return base::Ok{};
}

base::Status ModifyListener(const Steps& steps, size_t first, envoy::ListenerDraft& draft) {
  const std::string name = draft.listener.name();
  bool touched = false;
  for (size_t i = first; i < steps.list.size() && !draft.notes.removed; ++i) {
    bool here = false;
    TRY(Named(steps.list[i], ModifyListenerBy(steps.list[i], name, draft, here)));
    if (here) Touch(steps.list[i], draft.notes);
    touched = touched || here;
  }
  if (touched && !draft.notes.removed) {
    const std::vector<std::string> clusters = ClustersOf(draft.listener, steps);
    draft.more_clusters.insert(draft.more_clusters.end(), clusters.begin(), clusters.end());
  }
  return base::Ok{};
}

base::Status ModifyClusterBy(const Step& step, const std::string& name,
                             envoy::ClusterDraft& draft) {
  const auto& mod = step.mod.cluster;
  if (!mod) return base::Ok{};
  if (Adds(mod)) {
    TRY_ASSIGN(const auto added, ParseValue<api::Cluster>(mod->value));
    draft.notes.removed = added.name() == name;
    return base::Ok{};
  }
  const ClusterMatch match = mod->match.value_or(ClusterMatch());
  if (!Fits(match.origin, draft.notes.made_by) || !Fits(match.name, name)) return base::Ok{};
  Touch(step, draft.notes);
  if (mod->operation == Operation::kRemove) {
    draft.notes.removed = true;
    return base::Ok{};
  }
  envoy::Finish(draft);
  return PatchMessage(*mod, draft.cluster);
}

base::Status ModifyCluster(const Steps& steps, size_t first, envoy::ClusterDraft& draft) {
  const std::string name = draft.cluster.name();
  for (size_t i = first; i < steps.list.size() && !draft.notes.removed; ++i)
    TRY(Named(steps.list[i], ModifyClusterBy(steps.list[i], name, draft)));
  return base::Ok{};
}

// What modifications add, with what the later ones make of it.
base::Status AddResources(const Steps& steps, envoy::ProxyDraft& proxy) {
  for (size_t i = 0; i < steps.list.size(); ++i) {
    const Step& step = steps.list[i];
    if (const auto& mod = step.mod.cluster; Adds(mod)) {
      auto added = ParseValue<api::Cluster>(mod->value);
      if (!added.has_value()) return Named(step, std::move(added).error());
      envoy::ClusterDraft draft;
      draft.cluster = *std::move(added);
      draft.notes.made_by = envoy::made_by::kPatchedCluster;
      Touch(step, draft.notes);
      TRY(ModifyCluster(steps, i + 1, draft));
      proxy.clusters.push_back(std::move(draft));
    }
    if (const auto& mod = step.mod.listener; Adds(mod)) {
      auto added = ParseValue<api::Listener>(mod->value);
      if (!added.has_value()) return Named(step, std::move(added).error());
      envoy::ListenerDraft draft;
      draft.listener = *std::move(added);
      draft.notes.made_by = envoy::made_by::kPatchedListener;
      draft.more_clusters = ClustersOf(draft.listener, steps);
      Touch(step, draft.notes);
      TRY(ModifyListener(steps, i + 1, draft));
      proxy.listeners.push_back(std::move(draft));
    }
  }
  return base::Ok{};
}

// ---- hooks

base::Status ApplyListener(const policy::ListenerContext& context, envoy::ListenerDraft& listener) {
  const Steps* steps = context.Conf<Steps>();
  return steps == nullptr ? base::Ok{} : ModifyListener(*steps, 0, listener);
}

base::Status ApplyCluster(const policy::ClusterContext& context, envoy::ClusterDraft& cluster) {
  const Steps* steps = context.Conf<Steps>();
  return steps == nullptr ? base::Ok{} : ModifyCluster(*steps, 0, cluster);
}

base::Status ApplyInbound(const policy::InboundContext& context, envoy::InboundDraft& inbound) {
  const Steps* steps = context.Conf<Steps>();
  if (steps == nullptr) return base::Ok{};
  TRY(ModifyListener(*steps, 0, inbound.listener));
  return ModifyCluster(*steps, 0, inbound.cluster);
}

base::Status ApplyProxy(const policy::ProxyContext& context, envoy::ProxyDraft& proxy) {
  const Steps* steps = context.Conf<Steps>();
  if (steps == nullptr) return base::Ok{};
  base::Status done = base::Ok{};
  proxy.ForEachListener([&](envoy::ListenerDraft& listener) {
    if (done.has_value()) done = ModifyListener(*steps, 0, listener);
  });
  proxy.ForEachCluster([&](envoy::ClusterDraft& cluster) {
    if (done.has_value()) done = ModifyCluster(*steps, 0, cluster);
  });
  TRY(std::move(done));
  return AddResources(*steps, proxy);
}

// ---- what a write must fulfil

void CheckValue(const std::optional<std::string>& value, const pb::Message& type,
                const std::string& path, model::Violations& out,
                std::vector<std::string>& unknown) {
  if (!value) return;
  const auto json = ParseEnvoyYaml(*value);
  if (!json.has_value()) return;  // the schema says so
  const envoy::JsonReview review =
      envoy::ReviewJson(model::ToJson(*json), type.GetDescriptor()->full_name());
  for (const auto& fault : review.faults)
    out.Add(path, base::Format("native Envoy resource is not valid: {}{}{}", fault.path,
                               fault.path.empty() ? "" : ": ", fault.message));
  for (const std::string& member : review.unknown)
    unknown.push_back(base::Format("{}: {}", path, member));
}

void Check(const model::Resource& resource, model::Violations& out,
           std::vector<std::string>& unknown) {
  const auto& list = resource.Spec<Spec>().default_conf.append_modifications;
  for (size_t i = 0; i < list.size(); ++i) {
    const Modification& mod = list[i];
    const std::string path = IndexPath("spec.default.appendModifications", i);
    const auto check = [&](const auto& part, std::string_view name, const pb::Message& type) {
      if (part)
        CheckValue(part->value, type, JoinPath(JoinPath(path, name), "value"), out, unknown);
    };
    check(mod.cluster, "cluster", api::Cluster::default_instance());
    check(mod.listener, "listener", api::Listener::default_instance());
    check(mod.network_filter, "networkFilter", api::Filter::default_instance());
    check(mod.http_filter, "httpFilter", api::HttpFilter::default_instance());
    check(mod.virtual_host, "virtualHost", api::VirtualHost::default_instance());
  }
}

}  // namespace

policy::PolicyType Policy() {
  policy::ConfOps conf;
  conf.tag = policy::ConfTag<Steps>();
  conf.merge = MergeSteps;
  conf.encode = EncodeSteps;
  conf.hash = HashSteps;
  policy::PolicyType type = policy::DescribeMerged<Spec>(Schema(), conf,
                                                         {.listener = ApplyListener,
                                                          .cluster = ApplyCluster,
                                                          .endpoints = nullptr,
                                                          .inbound = ApplyInbound,
                                                          .proxy = ApplyProxy});
  type.notes_what_it_touches = true;
  type.check = Check;
  return type;
}

}  // namespace kuma::policies::mesh_proxy_patch

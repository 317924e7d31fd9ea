#include "generate/internal/collectors.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <set>

#include "base/format.h"
#include "base/strings.h"
#include "envoy/builders.h"
#include "generate/bootstrap.h"
#include "generate/internal/cell_context.h"
#include "model/value.h"
#include "resources/dataplane_insight/dataplane_insight.h"

namespace kuma::generate {
namespace {

namespace backend = resources::mesh_open_telemetry_backend;
namespace insights = resources::dataplane_insight;
using model::Array;
using model::Object;
using model::Value;
using policy::Signal;
using Refs = std::vector<const policy::CollectorRef*>;

void AddRefs(const policy::PolicyType& type, const policy::Effective* conf, Refs& refs) {
  if (conf != nullptr && !conf->empty()) type.collectors.refs(conf->raw(), refs);
}

void AddRefs(const policy::PolicyType& type, const policy::ListenerContext& context, Refs& refs) {
  AddRefs(type, context.confs.Find(type.conf.tag), refs);
  for (const auto& [route, confs] : context.routes) AddRefs(type, confs.Find(type.conf.tag), refs);
}

void AddRefs(const policy::PolicyType& type, const policy::InboundContext& context, Refs& refs) {
  AddRefs(type, context.confs.Find(type.conf.tag), refs);
  for (const auto& [tag, rules] : context.rules) {
    if (tag != type.conf.tag) continue;
    for (const policy::InboundRule& rule : rules) AddRefs(type, &rule.conf, refs);
  }
}

void AddRefs(const policy::PolicyType& type, const policy::ProxyContext& context, Refs& refs) {
  AddRefs(type, context.confs.Find(type.conf.tag), refs);
  AddRefs(type, context.outside.confs.Find(type.conf.tag), refs);
}

template <class Context>
policy::CollectorsPtr Collect(const mesh::MeshSnapshot& mesh, const policy::PolicyTable& table,
                              const Context& context) {
  Refs refs;
  for (const policy::PolicyType& type : table) {
    if (type.collectors.refs != nullptr) AddRefs(type, context, refs);
  }
  if (refs.empty()) return nullptr;
  auto collectors = std::make_shared<policy::Collectors>();
  for (const policy::CollectorRef* ref : refs) collectors->Resolve(mesh, *ref);
  return collectors;
}

// ---- what kuma-dp is told

constexpr std::array<std::pair<Signal, std::string_view>, 3> kSignals = {
    {{Signal::kTraces, "traces"}, {Signal::kLogs, "logs"}, {Signal::kMetrics, "metrics"}}};

constexpr std::string_view kRequiredEnvMissing = "RequiredEnvMissing";
constexpr std::string_view kMultipleBackends = "MultipleBackendsForSignal";

Array TextsOf(const Value* list) {
  Array texts;
  if (list == nullptr || list->if_array() == nullptr) return texts;
  for (const Value& text : *list->if_array()) {
    if (text.if_string() != nullptr) texts.push_back(text);
  }
  return texts;
}

// Does the environment say anything about the signal (or, "shared", about all)?
bool HasInput(const Value* signal) {
  if (signal == nullptr) return false;
  for (const auto& member :
       {"endpointPresent", "protocolPresent", "headersPresent", "timeoutPresent",
        "compressionPresent", "insecurePresent", "certificatePresent", "clientCertificatePresent",
        "clientKeyPresent"}) {
    const Value* flag = signal->Find(member);
    if (flag != nullptr && flag->if_bool() != nullptr && *flag->if_bool()) return true;
  }
  return !TextsOf(signal->Find("overrideKinds")).empty();
}

// "logs.client key" -> client_key, of what holds for the signal.
Array MissingFields(const Value& env, std::string_view signal) {
  Array missing;
  const auto add = [&missing](std::string name) {
    if (!name.empty() && std::find(missing.begin(), missing.end(), Value(name)) == missing.end())
      missing.emplace_back(std::move(name));
  };
  for (const Value& fault : TextsOf(env.Find("validationErrors"))) {
    const std::string& text = *fault.if_string();
    const size_t dot = text.find('.');
    if (dot == std::string::npos) continue;
    const std::string_view scope = std::string_view(text).substr(0, dot);
    if (scope != "shared" && scope != signal) continue;
    std::string field = text.substr(dot + 1);
    if (field == "mtls") {
      add("client_certificate");
      add("client_key");
      continue;
    }
    field = std::string(base::Trim(field));
    std::replace_if(
        field.begin(), field.end(), [](char c) { return c == '-' || c == ' '; }, '_');
    add(std::move(field));
  }
  return missing;
}

// How one signal goes to the collector. `several`: the proxy sends it to others, too.
Object PlanOf(const UsedCollector& used, std::string_view signal, const Value& env, bool several) {
  using backend::EnvMode;
  const EnvMode mode = used.collector.env ? used.collector.env->mode.value() : EnvMode::kOptional;
  const bool overrides_allowed =
      !used.collector.env || used.collector.env->allow_signal_overrides.value_or(true);
  const Value* of_signal = env.Find(signal);
  const bool has_input = HasInput(env.Find("shared")) || HasInput(of_signal);
  const Array overrides =
      of_signal == nullptr ? Array() : TextsOf(of_signal->Find("overrideKinds"));
  const Array missing = mode == EnvMode::kRequired ? MissingFields(env, signal) : Array();
  Array blocked;
  if (mode == EnvMode::kDisabled && has_input) blocked.emplace_back("EnvDisabledByPolicy");
  if (mode == EnvMode::kRequired && (!has_input || !missing.empty()))
    blocked.emplace_back(kRequiredEnvMissing);
  if (!overrides.empty() && !overrides_allowed) blocked.emplace_back("SignalOverridesDisallowed");
  if (several && has_input && mode != EnvMode::kDisabled) blocked.emplace_back(kMultipleBackends);

  Object plan{{"enabled", true}};
  if (has_input) plan.Set("envInputPresent", true);
  if (!overrides.empty()) plan.Set("overrideKinds", overrides);
  if (!missing.empty()) plan.Set("missingFields", missing);
  if (!blocked.empty()) plan.Set("blockedReasons", blocked);
  return plan;
}

std::vector<std::string> StringsOf(const Value* list) {
  std::vector<std::string> strings;
  for (const Value& text : TextsOf(list)) strings.push_back(*text.if_string());
  return strings;
}

// What the insight says of such a plan.
insights::Signal StatusOf(const Value& plan, const policy::Collector& collector) {
  insights::Signal status;
  status.enabled = true;
  status.env_allowed = !collector.env || collector.env->mode.value() != backend::EnvMode::kDisabled;
  status.env_input_present = plan.Find("envInputPresent") != nullptr;
  status.override_kinds = StringsOf(plan.Find("overrideKinds"));
  status.missing_fields = StringsOf(plan.Find("missingFields"));
  status.blocked_reasons = StringsOf(plan.Find("blockedReasons"));
  const auto is_blocked_by = [&](std::string_view reason) {
    return std::find(status.blocked_reasons.begin(), status.blocked_reasons.end(), reason) !=
           status.blocked_reasons.end();
  };
  // For the other reasons what was written explicitly still works.
  status.state = is_blocked_by(kMultipleBackends)     ? "ambiguous"
                 : is_blocked_by(kRequiredEnvMissing) ? "missing"
                                                      : "ready";
  return status;
}

insights::OpenTelemetryBackend StatusOf(const Value& document, const UsedCollector& used) {
  insights::OpenTelemetryBackend status{
      .name = used.collector.name, .traces = {}, .logs = {}, .metrics = {}};
  const auto add = [&](std::string_view name, std::optional<insights::Signal>& signal) {
    if (const Value* plan = document.Find(name)) signal = StatusOf(*plan, used.collector);
  };
  add("traces", status.traces);
  add("logs", status.logs);
  add("metrics", status.metrics);
  return status;
}

bool Sends(const UsedCollector& used, Signal signal) {
  return std::any_of(used.uses.begin(), used.uses.end(),
                     [signal](const auto& use) { return use.first == signal; });
}

std::string EndpointText(const policy::Collector& collector) {
  const bool ipv6 = envoy::IsIpv6Address(collector.address);
  return base::Format("{}{}{}:{}", ipv6 ? "[" : "", collector.address, ipv6 ? "]" : "",
                      collector.port);
}

Object DocumentOf(const UsedCollector& used, const OwnCell& own, const Value& env) {
  const policy::Collector& collector = used.collector;
  Object out{{"name", collector.name},
             {"socketPath", OpenTelemetrySocket(own.proxy.workdir, collector.name)},
             {"endpoint", EndpointText(collector)},
             {"useHTTP", collector.http}};
  if (collector.http && collector.port == 443) out.Set("useHTTPS", true);
  if (!collector.path.empty()) out.Set("path", collector.path);
  if (collector.env) {
    Object policy{{"mode", model::NameOf(collector.env->mode)},
                  {"precedence", model::NameOf(collector.env->precedence)}};
    if (collector.env->allow_signal_overrides.value_or(true))
      policy.Set("allowSignalOverrides", true);
    out.Set("envPolicy", std::move(policy));
  }
  for (const auto& [signal, name] : kSignals) {
    if (!Sends(used, signal)) continue;
    const auto senders = std::count_if(
        own.collectors.begin(), own.collectors.end(),
        [signal = signal](const UsedCollector& other) { return Sends(other, signal); });
    out.Set(name, PlanOf(used, name, env, senders > 1));
  }
  return out;
}

}  // namespace

policy::CollectorsPtr CollectorsOf(const mesh::MeshSnapshot& mesh, const policy::PolicyTable& table,
                                   const policy::ListenerContext& context) {
  return Collect(mesh, table, context);
}
policy::CollectorsPtr CollectorsOf(const mesh::MeshSnapshot& mesh, const policy::PolicyTable& table,
                                   const policy::InboundContext& context) {
  return Collect(mesh, table, context);
}

policy::CollectorsPtr CollectorsOf(const mesh::MeshSnapshot& mesh, const policy::PolicyTable& table,
                                   const policy::ProxyContext& context) {
  return Collect(mesh, table, context);
}

bool ToListsUseCollectors(const policy::PolicyType& type, const mesh::MeshSnapshot& mesh,
                          const policy::View& view) {
  if (type.collectors.refs == nullptr || type.spec.to == nullptr) return false;
  Refs refs;
  for (const model::ResourceKey& key : view.policies) {
    if (key.kind != type.kind()) continue;
    const model::ResourcePtr policy = mesh.Find(key.kind, key.name);
    if (policy == nullptr) continue;
    for (const policy::ToItem& item : type.spec.to(*policy)) type.collectors.refs(item.conf, refs);
  }
  return !refs.empty();
}

void UsedCollector::AddTo(base::Hasher& hasher) const {
  collector.AddTo(hasher);
  hasher.Add(uses.size());
  for (const auto& [signal, prefix] : uses) hasher.Add(static_cast<uint64_t>(signal)).Add(prefix);
}

void CollectorUses::Add(const policy::PolicyType& type, const Refs& refs) {
  policy::Collectors collectors;
  for (const policy::CollectorRef* ref : refs) {
    collectors.Resolve(mesh_, *ref);
    const policy::Collector* found = collectors.Find(*ref);
    if (found == nullptr) continue;
    UsedCollector& used = by_name_[found->name];
    used.collector = *found;
    const std::pair use(type.collectors.signal, type.collectors.cluster_prefix);
    if (std::find(used.uses.begin(), used.uses.end(), use) == used.uses.end())
      used.uses.push_back(use);
  }
}

void CollectorUses::Add(const policy::PolicyType& type, const policy::ProxyContext& context) {
  Refs refs;
  AddRefs(type, context, refs);
  Add(type, refs);
}
void CollectorUses::Add(const policy::PolicyType& type, const policy::ListenerContext& context) {
  Refs refs;
  AddRefs(type, context, refs);
  Add(type, refs);
}
void CollectorUses::Add(const policy::PolicyType& type, const policy::InboundContext& context) {
  Refs refs;
  AddRefs(type, context, refs);
  Add(type, refs);
}

std::vector<UsedCollector> CollectorUses::Take() && {
  std::vector<UsedCollector> all;
  for (auto& [name, used] : by_name_) all.push_back(std::move(used));
  return all;
}

CollectorStatusPtr AddCollectors(const OwnCell& own, envoy::ProxyDraft& draft) {
  if (own.collectors.empty()) return nullptr;
  const bool via_kuma_dp = own.proxy.HasFeature(policy::kCollectorsViaKumaDp);
  std::set<std::string> names;  // two backends may be one address
  for (const UsedCollector& used : own.collectors) {
    const policy::Collector& collector = used.collector;
    for (const auto& [signal, prefix] : used.uses) {
      const std::string name = policy::CollectorCluster(prefix, collector, via_kuma_dp);
      if (!names.insert(name).second) continue;
      const std::string address = collector.address.empty() ? "127.0.0.1" : collector.address;
      envoy::ClusterDraft& cluster = draft.clusters.emplace_back(envoy::StaticCluster(
          name,
          via_kuma_dp ? envoy::PipeAddress(OpenTelemetrySocket(own.proxy.workdir, collector.name))
                      : envoy::SocketAddress(address, collector.port),
          envoy::IsIpv6Address(own.proxy.address)));
      envoy::SetDuration(std::chrono::seconds(5), cluster.cluster.mutable_connect_timeout());
      cluster.notes.made_by = prefix;
      // kuma-dp always speaks gRPC.
      if (via_kuma_dp || !collector.http) envoy::SpeakHttp2(cluster);
    }
  }
  if (!via_kuma_dp) return nullptr;
  Value env;
  if (!own.collector_env.empty()) {
    if (auto parsed = model::ParseJson(own.collector_env); parsed.has_value())
      env = *std::move(parsed);
  }
  Array backends;
  auto status = std::make_shared<insights::OpenTelemetry>();
  for (const UsedCollector& used : own.collectors) {
    backends.emplace_back(DocumentOf(used, own, env));
    status->backends.push_back(StatusOf(backends.back(), used));
  }
  draft.dynamic_config.push_back(
      {"otel", "/otel", model::ToJson(Object{{"backends", std::move(backends)}})});
  return status;
}

}  // namespace kuma::generate

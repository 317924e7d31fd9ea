#include "generate/generate.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/format.h"
#include "base/strings.h"
#include "envoy/seal.h"
#include "generate/internal/base_config.h"
#include "generate/internal/cell_context.h"
#include "generate/internal/collectors.h"
#include "generate/internal/direct_access.h"
#include "generate/internal/passthrough.h"
#include "generate/internal/services.h"
#include "generate/internal/slots.h"
#include "generate/internal/vips.h"
#include "generate/transparent_proxy.h"
#include "model/names.h"
#include "policy/collector.h"
#include "policy/effective.h"
#include "policy/target_ref.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::generate {
namespace {

namespace dataplane = resources::dataplane;

constexpr std::string_view kHttpRouteKind = "MeshHTTPRoute";
constexpr std::string_view kStrictInboundPorts = "feature-strict-inbound-ports";
// What passes through is called this.
constexpr std::string_view kOutside = "external";
// Time that applications may keep an answer of kuma-dp's DNS.
constexpr std::chrono::seconds kDnsTtl(30);

bool SameView(const policy::ViewPtr& a, const policy::ViewPtr& b) {
  return a == b || (a != nullptr && b != nullptr && *a == *b);
}

// What the hooks of one kind of cell see.
struct Readers {
  bool (*reads)(const policy::Hooks& hooks);
  policy::ConfPart policy::PolicyType::*part;  // null: everything
};
constexpr Readers kListeners = {
    [](const policy::Hooks& hooks) { return hooks.listener != nullptr; },
    &policy::PolicyType::listener_part};
constexpr Readers kClusters = {[](const policy::Hooks& hooks) { return hooks.cluster != nullptr; },
                               &policy::PolicyType::cluster_part};
constexpr Readers kEndpoints = {
    [](const policy::Hooks& hooks) { return hooks.endpoints != nullptr; }, nullptr};

void AddConfsOf(const model::ResourcePtr& service, const policy::Destination& destination,
                const mesh::MeshSnapshot& mesh, const policy::View& view,
                const policy::PolicyTable& table, const Readers& readers, policy::Confs& out) {
  for (const policy::PolicyType& type : table) {
    if (!readers.reads(type.hooks)) continue;
    policy::Effective conf = type.is_proxy_wide()
                                 ? policy::EffectiveForProxy(type, mesh, view)
                                 : policy::EffectiveFor(type, mesh, view, destination, *service);
    const policy::ConfPart part = readers.part == nullptr ? nullptr : type.*readers.part;
    out.Add(policy::PartOf(type, part, std::move(conf)));
  }
}

// Configurations of the MeshHTTPRoutes that shape the listener, where policies name them.
void AddRoutes(const mesh::MeshSnapshot& mesh, const policy::View& view,
               const policy::PolicyTable& table, policy::ListenerContext& context) {
  std::set<policy::Origin> origins;
  for (const policy::Effective& conf : context.confs.list()) {
    for (const policy::Origin& origin : conf.origins()) {
      if (origin.policy.kind == kHttpRouteKind) origins.insert({origin.policy, origin.kri, 0});
    }
  }
  for (const policy::Origin& origin : origins) {
    const model::ResourcePtr route = mesh.Find(origin.policy.kind, origin.policy.name);
    if (route == nullptr) continue;
    policy::Confs confs;
    for (const policy::PolicyType& type : table) {
      if (type.hooks.listener == nullptr) continue;
      confs.Add(policy::PartOf(type, type.listener_part,
                               policy::EffectiveForRoute(type, mesh, view, *route)));
    }
    if (!confs.list().empty()) context.routes.emplace(origin.kri.ToString(), std::move(confs));
  }
}

void AddBackends(const mesh::MeshSnapshot& mesh, const policy::PolicyTable& table,
                 policy::ListenerContext& context) {
  for (const policy::PolicyType& type : table) {
    if (type.conf.backend_refs == nullptr) continue;
    const policy::Effective* conf = context.confs.Find(type.conf.tag);
    if (conf == nullptr) continue;
    std::vector<policy::BackendUse> uses;
    type.conf.backend_refs(conf->raw(), uses);
    for (const policy::BackendUse& use : uses) {
      if (auto destination = Resolve(mesh, *use.ref, use.ns))
        context.backends.emplace(policy::BackendKey(*use.ref), *std::move(destination));
    }
  }
}

// Of the policies that touch what they have a conf for; the others leave notes in drafts.
std::vector<std::string> OriginsOf(const policy::Confs& confs, const policy::PolicyTable& table) {
  std::vector<std::string> origins;
  for (const policy::PolicyType& type : table) {
    const policy::Effective* conf =
        type.notes_what_it_touches ? nullptr : confs.Find(type.conf.tag);
    if (conf == nullptr) continue;
    for (const policy::Origin& origin : conf->origins())
      origins.push_back(origin.policy.ToString());
  }
  return origins;
}

void Put(bundle::SealedPtr resource, SealedCell& cell) {
  if (resource != nullptr) cell.resources.push_back(std::move(resource));
}

// One for all callers, unless policies of the cluster's view place its endpoints.
CellId EndpointsId(const CellId& cluster, const policy::Destination& destination,
                   const policy::Confs& confs, const policy::PolicyTable& table) {
  CellId id;
  id.kind = CellKind::kEndpoints;
  id.mesh = cluster.mesh;
  id.destination = DestinationId(destination);
  for (const policy::PolicyType& type : table) {
    if (type.hooks.endpoints == nullptr) continue;
    const policy::Effective* conf = confs.Find(type.conf.tag);
    if (conf == nullptr || (type.places_endpoints && !type.places_endpoints(conf->raw()))) continue;
    id.view = cluster.view;
    id.slot = policy::Narrow(cluster.slot, policy::SlotFields::kAffinity);
  }
  return id;
}

// `slot`: what of the listener's slot clusters use.
CellId ClusterId(const CellId& listener, const policy::SlotPtr& slot,
                 const policy::Destination& destination) {
  CellId id;
  id.kind = CellKind::kCluster;
  id.mesh = listener.mesh;
  id.destination = DestinationId(destination);
  id.view = listener.view;
  id.traits = listener.traits;
  id.slot = slot;
  return id;
}

Traits TraitsOf(const ProxyNode& node, const TransparentProxy& tproxy) {
  Traits traits;
  traits.ipv6 = node.ipv6_enabled;
  traits.transparent_proxy = tproxy.enabled;
  if (tproxy.bind_outbounds) traits.features.emplace_back(kBindOutbounds);
  if (std::binary_search(node.features.begin(), node.features.end(), policy::kCollectorsViaKumaDp))
    traits.features.emplace_back(policy::kCollectorsViaKumaDp);
  return traits;
}

// Labels of the proxy under which kuma-dp counts what it does itself.
model::Object ExtraLabels(const model::Metadata& meta) {
  model::Object labels;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) labels.Set(std::string(name), value);
  };
  add("k8s_kuma_io_namespace", meta.Label(model::kNamespaceLabel));
  add("kuma_io_zone", meta.Label(model::kZoneLabel));
  add("kuma_workload", meta.Label(model::kWorkloadLabel));
  add("mesh", meta.mesh);
  return labels;
}

// "127.0.0.1:10001"; an IPv6 address keeps its colons: the port comes after the last one.
std::string BindOf(std::string_view address, uint32_t port) {
  return base::Format("{}:{}", address, port);
}

}  // namespace

// ---- names of cells

bool CellId::operator==(const CellId& other) const {
  return std::tie(kind, mesh, proxy, destination, bind, traits) ==
             std::tie(other.kind, other.mesh, other.proxy, other.destination, other.bind,
                      other.traits) &&
         SameView(view, other.view) && policy::SameSlot(slot, other.slot);
}

size_t CellId::Hash() const {
  base::Hasher hasher;
  hasher.Add(static_cast<uint64_t>(kind))
      .Add(mesh)
      .Add(proxy)
      .Add(destination)
      .Add(bind)
      .Add(slot == nullptr ? base::ContentHash() : slot->hash);
  hasher.Add(view == nullptr ? uint64_t{0} : view->hash).Add(traits.identity);
  hasher.Add(uint64_t{traits.transparent_proxy}).Add(uint64_t{traits.ipv6});
  return hasher.Finish().low;
}

std::string CellId::ToString() const {
  switch (kind) {
    case CellKind::kOwn: return base::Format("own part of {}/{}", mesh, proxy);
    case CellKind::kListener:
      return base::Format("listener {} at {} in {}", destination, bind, mesh);
    case CellKind::kCluster: return base::Format("cluster {} in {}", destination, mesh);
    case CellKind::kEndpoints: return base::Format("endpoints of {} in {}", destination, mesh);
  }
  return {};
}

std::strong_ordering CellId::operator<=>(const CellId& other) const {
  const auto view_key = [](const policy::ViewPtr& of) {
    return of == nullptr ? uint64_t{0} : of->hash;
  };
  const auto slot_key = [](const policy::SlotPtr& of) {
    return of == nullptr ? base::ContentHash() : of->hash;
  };
  const uint64_t own_view = view_key(view);
  const uint64_t other_view = view_key(other.view);
  const base::ContentHash own_slot = slot_key(slot);
  const base::ContentHash other_slot = slot_key(other.slot);
  return std::tie(kind, mesh, proxy, destination, bind, own_slot, traits, own_view) <=>
         std::tie(other.kind, other.mesh, other.proxy, other.destination, other.bind, other_slot,
                  other.traits, other_view);
}

OutboundList::OutboundList(std::vector<OutboundAt> items) : items_(std::move(items)) {
  base::Hasher hasher;
  for (const OutboundAt& item : items_) hasher.Add(item.destination).Add(item.bind);
  hash_ = hasher.Finish().low;
}

const OutboundAt* OutboundList::Find(std::string_view destination) const {
  const auto at = std::lower_bound(
      items_.begin(), items_.end(), destination,
      [](const OutboundAt& item, std::string_view wanted) { return item.destination < wanted; });
  return at != items_.end() && at->destination == destination ? &*at : nullptr;
}

CellId ListenerId(const CellId& like, const OutboundAt& outbound) {
  CellId id = like;
  id.destination = outbound.destination;
  id.bind = outbound.bind;
  return id;
}

CellId ProxyPlan::Listener(const OutboundAt& outbound) const {
  return ListenerId(listener, outbound);
}

bool ProxyPlan::operator==(const ProxyPlan& other) const {
  return SameView(view, other.view) && own == other.own && listener == other.listener &&
         *outbounds == *other.outbounds &&
         (values == other.values ||
          (values != nullptr && other.values != nullptr && *values == *other.values));
}

CellContext::CellContext(Content content) : content_(std::move(content)) {
  base::Hasher hasher;
  hasher.Add(uint64_t{content_.index()});
  if (const auto* listener = std::get_if<ListenerCell>(&content_)) listener->context.AddTo(hasher);
  if (const auto* cluster = std::get_if<ClusterCell>(&content_)) {
    cluster->context.AddTo(hasher);
    hasher.Add(uint64_t{cluster->endpoints.Hash()});
  }
  if (const auto* endpoints = std::get_if<EndpointsCell>(&content_))
    endpoints->context.AddTo(hasher);
  if (const auto* own = std::get_if<OwnCell>(&content_)) {
    own->proxy.AddTo(hasher);
    for (const policy::InboundContext& inbound : own->inbounds) inbound.AddTo(hasher);
    hasher.Add(uint64_t{own->admin_port}).Add(own->admin_address).Add(own->admin_socket_path);
    hasher.Add(uint64_t{own->readiness_port}).Add(static_cast<uint64_t>(own->admin_epoch));
    const TransparentProxy& tproxy = own->transparent_proxy;
    hasher.Add(uint64_t{tproxy.HasPassthrough()}).Add(uint64_t{tproxy.ipv6});
    hasher.Add(uint64_t{tproxy.inbound_port}).Add(uint64_t{tproxy.outbound_port});
    for (const uint32_t port : own->strict_ports) hasher.Add(uint64_t{port});
    hasher.Add(uint64_t{own->direct_access.has_value()});
    if (own->direct_access) {
      for (const auto& [address, port] : *own->direct_access)
        hasher.Add(address).Add(uint64_t{port});
    }
    hasher.Add(own->dns);
    for (const UsedCollector& used : own->collectors) used.AddTo(hasher);
    hasher.Add(own->collector_env);
  }
  hash_ = hasher.Finish();
}

// ---- from snapshots to contexts

struct Generator::State {
  policy::PolicyTable policies;
  Settings settings;
  std::vector<std::string_view> internal_ranges;  // of settings
  std::unique_ptr<AdminMemo> admin_memo;
  std::unique_ptr<VipMemo> vip_memo;

  OutboundListPtr OutboundsOf(const mesh::MeshSnapshot& mesh, const model::Resource& dataplane,
                              const TransparentProxy& tproxy) const;
  // What policies of the view use of the proxy in shared cells. Null: nothing.
  policy::SlotPtr SlotInUse(const mesh::MeshSnapshot& mesh, const model::Resource& dataplane,
                            const policy::View& view, const ProxyNode& node) const;
  CellContextPtr OwnContext(const mesh::MeshSnapshot& mesh, const CellId& id,
                            const ProxyNode& node) const;
  void AddUsedCollectors(const mesh::MeshSnapshot& mesh, const model::Resource& dataplane,
                         const ProxyNode& node, const CellId& id, OwnCell& cell) const;
  CellContextPtr ListenerContext(const mesh::MeshSnapshot& mesh, const CellId& id) const;
  CellContextPtr ClusterContext(const mesh::MeshSnapshot& mesh, const CellId& id) const;
  CellContextPtr EndpointsContext(const mesh::MeshSnapshot& mesh, const CellId& id) const;

  base::Result<SealedCell> Build(const ListenerCell& cell) const;
  base::Result<SealedCell> Build(const ClusterCell& cell) const;
  base::Result<SealedCell> Build(const EndpointsCell& cell) const;
  base::Result<SealedCell> Build(const OwnCell& cell) const;
};

Generator::Generator(policy::PolicyTable policies, Settings settings)
    : state_(std::make_unique<State>(State{std::move(policies),
                                           std::move(settings),
                                           {},
                                           std::make_unique<AdminMemo>(),
                                           std::make_unique<VipMemo>()})) {
  state_->internal_ranges.assign(state_->settings.internal_ranges.begin(),
                                 state_->settings.internal_ranges.end());
}

Generator::~Generator() = default;

const policy::PolicyTable& Generator::policies() const { return state_->policies; }

base::Result<ProxyPlan> Generator::PlanOf(const mesh::Snapshot& snapshot,
                                          const base::ProxyKey& proxy, const ProxyNode& node,
                                          const policy::ViewIndex* index) const {
  const mesh::MeshSnapshot* mesh = snapshot.Mesh(proxy.mesh);
  const model::ResourcePtr resource =
      mesh == nullptr ? nullptr : mesh->Find("Dataplane", proxy.name);
  if (resource == nullptr) return base::NotFound(base::Format("no Dataplane {}", proxy.ToString()));

  ProxyPlan plan;
  plan.view = index == nullptr ? policy::SelectView(*mesh, *resource, state_->policies)
                               : index->Select(*resource);
  plan.own.kind = CellKind::kOwn;
  plan.own.mesh = proxy.mesh;
  plan.own.proxy = proxy.name;
  plan.own.view = plan.view;
  const policy::SlotPtr slot = state_->SlotInUse(*mesh, *resource, *plan.view, node);
  plan.values = HoleValues(slot);

  plan.listener.kind = CellKind::kListener;
  plan.listener.mesh = proxy.mesh;
  plan.listener.view = plan.view;
  plan.listener.slot = Marked(slot);

  const auto& networking = resource->Spec<dataplane::Spec>().networking;
  TransparentProxy tproxy;
  if (networking) tproxy = TransparentProxyOf(*networking, node);
  plan.listener.traits = TraitsOf(node, tproxy);
  plan.outbounds = state_->OutboundsOf(*mesh, *resource, tproxy);
  return plan;
}

policy::SlotPtr Generator::State::SlotInUse(const mesh::MeshSnapshot& mesh,
                                            const model::Resource& dataplane,
                                            const policy::View& view, const ProxyNode& node) const {
  const policy::SlotUse use = policy::SlotUseOf(view, mesh, policies);
  if (use == policy::SlotUse()) return nullptr;
  return policy::Narrow(SlotOf(dataplane, node, use.affinity), use.All());
}

OutboundListPtr Generator::State::OutboundsOf(const mesh::MeshSnapshot& mesh,
                                              const model::Resource& dataplane,
                                              const TransparentProxy& tproxy) const {
  if (tproxy.UsesVirtualAddresses()) return vip_memo->Of(mesh)->ListFor(mesh, dataplane);
  const auto& networking = dataplane.Spec<dataplane::Spec>().networking;
  std::map<std::string, std::string> binds;  // of two for one destination the later counts
  for (size_t i = 0; networking && i < networking->outbound.size(); ++i) {
    const dataplane::Outbound& outbound = networking->outbound[i];
    if (!outbound.backend_ref) continue;
    const dataplane::OutboundBackendRef& ref = *outbound.backend_ref;
    const model::ResourcePtr service = FindService(mesh, ref.kind, LabelsOf(ref, dataplane.meta()));
    if (service == nullptr) continue;
    const auto destination =
        DestinationOf(*service, ref.port == 0 ? std::string() : std::to_string(ref.port));
    if (destination)
      binds[DestinationId(*destination)] = BindOf(outbound.EffectiveAddress(), outbound.port);
  }
  std::vector<OutboundAt> items;
  for (auto& [destination, bind] : binds) items.push_back({destination, std::move(bind)});
  return std::make_shared<const OutboundList>(std::move(items));
}

CellContextPtr Generator::ContextOf(const mesh::Snapshot& snapshot, const CellId& id,
                                    const ProxyNode* node) const {
  const mesh::MeshSnapshot* mesh = snapshot.Mesh(id.mesh);
  if (mesh == nullptr) return nullptr;
  switch (id.kind) {
    case CellKind::kOwn: {
      static const ProxyNode kNoNode;
      return state_->OwnContext(*mesh, id, node == nullptr ? kNoNode : *node);
    }
    case CellKind::kListener: return state_->ListenerContext(*mesh, id);
    case CellKind::kCluster: return state_->ClusterContext(*mesh, id);
    case CellKind::kEndpoints: return state_->EndpointsContext(*mesh, id);
  }
  return nullptr;
}

base::ContentHash Generator::HashOf(const CellContext& context) { return context.hash(); }

CellContextPtr Generator::State::ListenerContext(const mesh::MeshSnapshot& mesh,
                                                 const CellId& id) const {
  model::ResourcePtr service;
  auto destination = FindDestination(mesh, id.destination, &service);
  const size_t colon = id.bind.rfind(':');
  if (!destination || id.view == nullptr || colon == std::string::npos) return nullptr;
  ListenerCell cell;
  policy::ListenerContext& context = cell.context;
  context.destination = *std::move(destination);
  context.bind_address = id.bind.substr(0, colon);
  context.bind_port = static_cast<uint32_t>(base::ParseUint(id.bind.substr(colon + 1)).value_or(0));
  context.traits = id.traits;
  const policy::SlotUse use =
      id.slot == nullptr ? policy::SlotUse() : policy::SlotUseOf(*id.view, mesh, policies);
  context.slot = policy::Narrow(id.slot, use.listener);
  AddConfsOf(service, context.destination, mesh, *id.view, policies, kListeners, context.confs);
  AddRoutes(mesh, *id.view, policies, context);
  AddBackends(mesh, policies, context);
  context.collectors = CollectorsOf(mesh, policies, context);

  const policy::SlotPtr cluster_slot =
      policy::Narrow(id.slot, use.cluster | policy::SlotFields::kAffinity);
  const auto add_cluster = [&](const policy::Destination& to) {
    cell.clusters.emplace(to.Name(), ClusterId(id, cluster_slot, to));
  };
  add_cluster(context.destination);
  for (const auto& [key, backend] : context.backends) add_cluster(backend);
  return std::make_shared<CellContext>(std::move(cell));
}

CellContextPtr Generator::State::ClusterContext(const mesh::MeshSnapshot& mesh,
                                                const CellId& id) const {
  model::ResourcePtr service;
  auto destination = FindDestination(mesh, id.destination, &service);
  if (!destination || id.view == nullptr) return nullptr;
  ClusterCell cell;
  cell.context.destination = *std::move(destination);
  cell.context.traits = id.traits;
  cell.context.slot = policy::Narrow(id.slot, policy::SlotFields::kAll);
  AddConfsOf(service, cell.context.destination, mesh, *id.view, policies, kClusters,
             cell.context.confs);
  cell.endpoints = EndpointsId(id, cell.context.destination, cell.context.confs, policies);
  return std::make_shared<CellContext>(std::move(cell));
}

CellContextPtr Generator::State::EndpointsContext(const mesh::MeshSnapshot& mesh,
                                                  const CellId& id) const {
  model::ResourcePtr service;
  auto destination = FindDestination(mesh, id.destination, &service);
  if (!destination) return nullptr;
  EndpointsCell cell;
  cell.context.endpoints = EndpointsOf(mesh, *service, *destination);
  cell.context.destination = *std::move(destination);
  cell.context.zone = settings.zone;
  if (id.view != nullptr) {
    cell.context.slot = id.slot;
    AddConfsOf(service, cell.context.destination, mesh, *id.view, policies, kEndpoints,
               cell.context.confs);
  }
  return std::make_shared<CellContext>(std::move(cell));
}

CellContextPtr Generator::State::OwnContext(const mesh::MeshSnapshot& mesh, const CellId& id,
                                            const ProxyNode& node) const {
  const model::ResourcePtr resource = mesh.Find("Dataplane", id.proxy);
  if (resource == nullptr || id.view == nullptr) return nullptr;
  OwnCell cell;
  cell.admin_port = node.admin_port;
  cell.admin_address = node.admin_address;
  cell.admin_socket_path = node.admin_socket_path;
  cell.readiness_port = node.readiness_port;
  policy::ProxyContext& proxy = cell.proxy;
  proxy.key = {id.mesh, id.proxy};
  proxy.kri = model::KriOf(*resource);
  proxy.labels = resource->meta().labels;
  proxy.workdir = node.workdir;
  proxy.system_ca_path = node.system_ca_path;
  proxy.zone = settings.zone;
  proxy.features = node.features;
  proxy.internal_ranges = settings.internal_ranges;
  const auto& networking = resource->Spec<dataplane::Spec>().networking;
  TransparentProxy& tproxy = cell.transparent_proxy;
  if (networking) tproxy = TransparentProxyOf(*networking, node);
  proxy.traits = TraitsOf(node, tproxy);
  const policy::SlotPtr slot = SlotOf(*resource, node, {});
  for (const policy::PolicyType& type : policies) {
    if (type.hooks.proxy != nullptr)
      proxy.confs.Add(policy::EffectiveForProxy(type, mesh, *id.view));
  }

  if (tproxy.enabled) cell.direct_access = DirectAccessOf(mesh, *resource);
  if (tproxy.HasPassthrough() || cell.direct_access) {
    for (const policy::PolicyType& type : policies) {
      if (type.hooks.outside != nullptr)
        proxy.outside.confs.Add(policy::EffectiveForOutside(type, mesh, *id.view));
    }
    if (!proxy.outside.confs.list().empty()) proxy.outside.slot = slot;
    proxy.outside.collectors = CollectorsOf(mesh, policies, proxy);
  }

  if (!networking) return std::make_shared<CellContext>(std::move(cell));
  proxy.address = networking->address;
  if (tproxy.HasDns()) {
    const VipsPtr vips = vip_memo->Of(mesh);
    cell.dns = base::Format(R"({{"records":{},"ttl":{},"extraLabels":{}}})",
                            *vips->RecordsOf(vips->ListFor(mesh, *resource), tproxy.ipv6),
                            kDnsTtl.count(), model::ToJson(ExtraLabels(resource->meta())));
  }
  if (tproxy.HasPassthrough() && !proxy.traits.identity.empty() &&
      proxy.HasFeature(kStrictInboundPorts)) {
    for (const dataplane::Inbound& inbound : networking->inbound) {
      const uint32_t port = inbound.port;
      if (std::find(cell.strict_ports.begin(), cell.strict_ports.end(), port) ==
          cell.strict_ports.end())
        cell.strict_ports.push_back(port);
    }
  }
  if (cell.admin_port != 0 && settings.admin)
    cell.admin_epoch = settings.admin.epoch(proxy.address);
  for (const dataplane::Inbound& inbound : networking->inbound) {
    if (inbound.port == kNoServicePort) continue;
    policy::InboundContext& context = cell.inbounds.emplace_back();
    context.mesh = id.mesh;
    context.section = inbound.SectionName();
    if (!inbound.name.empty()) context.kri = proxy.kri.WithSection(inbound.name).ToString();
    context.address = dataplane::AddressOf(*networking, inbound);
    context.port = inbound.port;
    context.service_address = dataplane::ServiceAddressOf(*networking, inbound);
    context.service_port = inbound.EffectiveServicePort();
    context.protocol = envoy::ParseProtocol(inbound.protocol);
    context.traits = proxy.traits;
    context.slot = slot;
    for (const policy::PolicyType& type : policies) {
      if (type.hooks.inbound == nullptr) continue;
      if (type.is_proxy_wide()) {
        context.confs.Add(policy::EffectiveForProxy(type, mesh, *id.view));
        continue;
      }
      policy::InboundConf conf = policy::EffectiveForInbound(type, mesh, *id.view, context.section);
      context.confs.Add(std::move(conf.catch_all));
      if (!conf.rules.empty()) context.rules.emplace_back(type.conf.tag, std::move(conf.rules));
    }
    context.collectors = CollectorsOf(mesh, policies, context);
  }
  AddUsedCollectors(mesh, *resource, node, id, cell);
  return std::make_shared<CellContext>(std::move(cell));
}

void Generator::State::AddUsedCollectors(const mesh::MeshSnapshot& mesh,
                                         const model::Resource& dataplane, const ProxyNode& node,
                                         const CellId& id, OwnCell& cell) const {
  CollectorUses uses(mesh);
  for (const policy::PolicyType& type : policies) {
    if (type.collectors.refs == nullptr) continue;
    uses.Add(type, cell.proxy);
    for (const policy::InboundContext& inbound : cell.inbounds) uses.Add(type, inbound);
    if (!ToListsUseCollectors(type, mesh, *id.view)) continue;
    const OutboundListPtr outbounds = OutboundsOf(mesh, dataplane, cell.transparent_proxy);
    for (const OutboundAt& outbound : outbounds->items()) {
      model::ResourcePtr service;
      const auto destination = FindDestination(mesh, outbound.destination, &service);
      if (!destination) continue;
      policy::ListenerContext context;
      AddConfsOf(service, *destination, mesh, *id.view, policies, kListeners, context.confs);
      AddRoutes(mesh, *id.view, policies, context);
      uses.Add(type, context);
    }
  }
  cell.collectors = std::move(uses).Take();
  if (!cell.collectors.empty() && cell.proxy.HasFeature(policy::kCollectorsViaKumaDp))
    cell.collector_env = node.collector_env;
}

// ---- from contexts to sealed cells

namespace {

base::Status Named(base::Status status, const policy::PolicyType& type) {
  if (status.has_value()) return status;
  return std::move(status).error().Context(type.kind());
}

}  // namespace

base::Result<SealedCell> Generator::Build(const CellContext& context) const {
  return std::visit([this](const auto& cell) { return state_->Build(cell); }, context.content());
}

base::Result<SealedCell> Generator::State::Build(const ListenerCell& cell) const {
  envoy::ListenerDraft draft = OutboundListener(cell.context, internal_ranges);
  for (const policy::PolicyType& type : policies) {
    if (type.hooks.listener != nullptr) TRY(Named(type.hooks.listener(cell.context, draft), type));
  }
  std::vector<std::string> origins = OriginsOf(cell.context.confs, policies);
  for (const auto& [route, confs] : cell.context.routes) {
    const std::vector<std::string> of_route = OriginsOf(confs, policies);
    origins.insert(origins.end(), of_route.begin(), of_route.end());
  }
  const std::vector<std::string> clusters = draft.Clusters();
  SealedCell sealed;
  TRY_ASSIGN(bundle::SealedPtr resource,
             WithHoles(cell.context.slot, envoy::Seal(std::move(draft), std::move(origins))));
  Put(std::move(resource), sealed);
  for (const std::string& name : clusters) {
    const auto found = cell.clusters.find(name);
    if (found != cell.clusters.end()) sealed.needs.push_back(found->second);
  }
  std::sort(sealed.needs.begin(), sealed.needs.end());
  return sealed;
}

base::Result<SealedCell> Generator::State::Build(const ClusterCell& cell) const {
  envoy::ClusterDraft draft = OutboundCluster(cell.context);
  for (const policy::PolicyType& type : policies) {
    if (type.hooks.cluster != nullptr) TRY(Named(type.hooks.cluster(cell.context, draft), type));
  }
  SealedCell sealed;
  TRY_ASSIGN(bundle::SealedPtr resource,
             WithHoles(cell.context.slot,
                       envoy::Seal(std::move(draft), OriginsOf(cell.context.confs, policies))));
  Put(std::move(resource), sealed);
  sealed.needs.push_back(cell.endpoints);
  return sealed;
}

base::Result<SealedCell> Generator::State::Build(const EndpointsCell& cell) const {
  envoy::EndpointsDraft draft = OutboundEndpoints(cell.context);
  for (const policy::PolicyType& type : policies) {
    if (type.hooks.endpoints != nullptr)
      TRY(Named(type.hooks.endpoints(cell.context, draft), type));
  }
  SealedCell sealed;
  Put(envoy::Seal(std::move(draft), OriginsOf(cell.context.confs, policies)), sealed);
  return sealed;
}

base::Result<SealedCell> Generator::State::Build(const OwnCell& cell) const {
  SealedCell sealed;
  for (const policy::InboundContext& inbound : cell.inbounds) {
    envoy::InboundDraft draft = Inbound(inbound, cell.proxy, internal_ranges);
    for (const policy::PolicyType& type : policies) {
      if (type.hooks.inbound != nullptr) TRY(Named(type.hooks.inbound(inbound, draft), type));
    }
    std::vector<std::string> origins = OriginsOf(inbound.confs, policies);
    for (const auto& [tag, rules] : inbound.rules) {
      for (const policy::InboundRule& rule : rules) {
        for (const policy::Origin& origin : rule.conf.origins())
          origins.push_back(origin.policy.ToString());
      }
    }
    Put(envoy::Seal(std::move(draft.listener), origins), sealed);
    Put(envoy::Seal(std::move(draft.cluster), std::move(origins)), sealed);
  }

  envoy::ProxyDraft draft;
  TRY(AddAdmin(cell, settings.admin, *admin_memo, draft));
  sealed.collectors = AddCollectors(cell, draft);
  AddPassthrough(cell, draft);
  AddDirectAccess(cell, draft);
  if (!cell.dns.empty()) draft.dynamic_config.push_back({"dns", "/dns", cell.dns});
  for (const policy::PolicyType& type : policies) {
    if (type.hooks.proxy != nullptr) TRY(Named(type.hooks.proxy(cell.proxy, draft), type));
    if (type.hooks.outside == nullptr) continue;
    for (envoy::PassthroughDraft& family : draft.passthrough)
      TRY(Named(type.hooks.outside(cell.proxy, kOutside, family.outbound), type));
    for (envoy::ListenerDraft& peer : draft.direct_access)
      TRY(Named(type.hooks.outside(cell.proxy, peer.listener.name(), peer), type));
  }
  AddDynamicConfig(cell.proxy, draft);
  std::vector<std::string> origins = OriginsOf(cell.proxy.confs, policies);
  const std::vector<std::string> of_outside = OriginsOf(cell.proxy.outside.confs, policies);
  origins.insert(origins.end(), of_outside.begin(), of_outside.end());
  const auto seal = [&](auto& of) { Put(envoy::Seal(std::move(of), origins), sealed); };
  draft.ForEachListener(seal);
  draft.ForEachCluster(seal);
  for (const envoy::api::Secret& secret : draft.secrets) Put(envoy::Seal(secret, origins), sealed);
  return sealed;
}

// ---- everything at once

base::Result<bundle::XdsBundle> Generator::BuildAll(const mesh::Snapshot& snapshot,
                                                    const base::ProxyKey& proxy,
                                                    const ProxyNode& node,
                                                    policy::Shadow shadow) const {
  std::optional<policy::ViewIndex> with_shadow;
  if (const mesh::MeshSnapshot* mesh = snapshot.Mesh(proxy.mesh);
      mesh != nullptr && shadow == policy::Shadow::kInclude)
    with_shadow.emplace(*mesh, state_->policies, shadow);
  TRY_ASSIGN(const ProxyPlan plan,
             PlanOf(snapshot, proxy, node, with_shadow ? &*with_shadow : nullptr));
  std::vector<bundle::SealedPtr> resources;
  std::vector<CellId> open = {plan.own};
  for (const OutboundAt& outbound : plan.outbounds->items())
    open.push_back(plan.Listener(outbound));
  std::set<CellId> done;
  while (!open.empty()) {
    const CellId id = std::move(open.back());
    open.pop_back();
    if (!done.insert(id).second) continue;
    const CellContextPtr context = ContextOf(snapshot, id, &node);
    if (context == nullptr) continue;
    auto cell = Build(*context);
    if (!cell.has_value()) return std::move(cell).error().Context(id.ToString());
    resources.insert(resources.end(), cell->resources.begin(), cell->resources.end());
    open.insert(open.end(), cell->needs.begin(), cell->needs.end());
  }
  for (bundle::SealedPtr& resource : resources) resource = bundle::Fill(resource, plan.values);
  return Assemble(snapshot.revision, std::move(resources));
}

std::string ResourceJson(const bundle::SealedResource& resource) {
  return envoy::ResourceJson(resource);
}

bundle::XdsBundle Assemble(model::Revision revision, std::vector<bundle::SealedPtr> resources) {
  std::array<bundle::SealedList, bundle::kXdsTypeCount> lists;
  for (bundle::SealedPtr& resource : resources)
    lists[static_cast<size_t>(resource->type)].push_back(std::move(resource));
  bundle::XdsBundle result;
  result.revision = revision;
  for (size_t i = 0; i < lists.size(); ++i)
    result.resources[i] = bundle::MakeList(std::move(lists[i]));
  return result;
}

}  // namespace kuma::generate

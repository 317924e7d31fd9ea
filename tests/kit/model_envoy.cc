#include "tests/kit/model_envoy.h"

#include <algorithm>
#include <utility>

#include "base/format.h"
#include "base/strings.h"
#include "tests/kit/wire.h"

namespace kuma::kit {
namespace {

using bundle::SealedPtr;
using bundle::SealedResource;
using bundle::XdsType;
using runtime::Time;
using xds::DeltaRequest;
using xds::DeltaResponse;

}  // namespace

// -------------------------------------------------------------------------------------------------
// ModelSubscription

void ModelSubscription::UpdateInterest(const std::set<std::string>& names) {
  for (const std::string& name : names) {
    if (interest_.contains(name)) continue;
    const auto known = by_wildcard_.extract(name);
    interest_[name] = known.empty() ? std::nullopt : std::optional(known.mapped());
    removed_.erase(name);
    added_.insert(name);
  }
  for (auto it = interest_.begin(); it != interest_.end();) {
    if (it->first == "*" || names.contains(it->first)) {
      ++it;
      continue;
    }
    if (wildcard() && it->second)
      by_wildcard_[it->first] = *it->second;  // it may be part of the wildcard
    added_.erase(it->first);
    removed_.insert(it->first);
    it = interest_.erase(it);
  }
}

bool ModelSubscription::HasNews() const {
  return !added_.empty() || !removed_.empty() || (!sent_any_ && !interest_.empty());
}

void ModelSubscription::TakeNews(DeltaRequest& request) {
  if (!sent_any_) {
    sent_any_ = true;
    for (const auto& [name, version] : interest_) {
      if (version) request.initial_resource_versions[name] = *version;
      added_.insert(name);
    }
    for (const auto& [name, version] : by_wildcard_)
      request.initial_resource_versions[name] = version;
    if (interest_.size() == 1 && wildcard()) added_.clear();  // the older spelling
    removed_.clear();
  }
  request.subscribe.assign(added_.begin(), added_.end());
  request.unsubscribe.assign(removed_.begin(), removed_.end());
  added_.clear();
  removed_.clear();
}

std::map<std::string, std::string> ModelSubscription::Versions() const {
  std::map<std::string, std::string> versions = by_wildcard_;
  for (const auto& [name, version] : interest_) {
    if (version) versions[name] = *version;
  }
  return versions;
}

void ModelSubscription::Accept(const DeltaResponse& response) {
  for (const SealedPtr& resource : response.resources) {
    const auto found = interest_.find(resource->name);
    if (found != interest_.end()) {
      found->second = resource->VersionText();
    } else if (wildcard()) {
      by_wildcard_[resource->name] = resource->VersionText();
    }
  }
  for (const std::string& name : response.removed) {
    const auto found = interest_.find(name);
    if (found != interest_.end())
      found->second.reset();
    else
      by_wildcard_.erase(name);
  }
}

// -------------------------------------------------------------------------------------------------
// ModelEnvoy

ModelEnvoy::ModelEnvoy(ModelEnvoyOptions options, runtime::Random& random)
    : options_(std::move(options)), random_(random) {
  Restart();
}

void ModelEnvoy::Restart() {
  connected_ = clusters_answered_ = listeners_started_ = false;
  held_answer_.reset();
  subscriptions_.assign(bundle::kXdsTypeCount, ModelSubscription());
  clusters_.clear();
  endpoints_.clear();
  secrets_.clear();
  listeners_.clear();
  routes_.clear();
  draining_.clear();
  Of(XdsType::kCluster).SetWildcard();
}

std::vector<DeltaRequest> ModelEnvoy::Connect(Time) {
  connected_ = true;
  for (ModelSubscription& subscription : subscriptions_) subscription.MarkStreamFresh();
  return News();
}

std::vector<DeltaRequest> ModelEnvoy::News(std::optional<XdsType> except) {
  std::vector<DeltaRequest> requests;
  if (!connected_) return requests;
  for (const XdsType type : bundle::kAllXdsTypes) {
    if (type == except) continue;
    if (type == XdsType::kCluster && ClustersPaused()) continue;
    const bool held = type == XdsType::kCluster && held_answer_;
    if (!held && !Of(type).HasNews()) continue;
    DeltaRequest request;
    if (held) request = *std::exchange(held_answer_, std::nullopt);
    request.type_url = TypeUrl(type);
    Of(type).TakeNews(request);
    requests.push_back(std::move(request));
  }
  return requests;
}

std::vector<DeltaRequest> ModelEnvoy::OnResponse(Time now, const DeltaResponse& response) {
  std::set<std::string_view> names;
  for (const SealedPtr& resource : response.resources) {
    if (!names.insert(resource->name).second)
      faults_.push_back("twice in a response: " + resource->name);
  }
  for (const std::string& name : response.removed) {
    if (!names.insert(name).second) faults_.push_back("twice in a response: " + name);
  }
  // What is asked for follows from clusters, listeners and routes.
  const bool changes_interests =
      !(response.type == XdsType::kEndpoints || response.type == XdsType::kSecret) ||
      !listeners_started_ || warming() > 0;
  const std::optional<std::string> error = Apply(now, response);
  if (!error)
    Of(response.type).Accept(response);
  else
    ++nacks_;
  if (response.type == XdsType::kCluster) clusters_answered_ = true;
  const bool paused = ClustersPaused();
  if (changes_interests) {
    UpdateInterests();
    CheckRoutes("after a response");
  } else {
    Resources& resources = response.type == XdsType::kEndpoints ? endpoints_ : secrets_;
    for (const SealedPtr& resource : response.resources) {
      if (!Of(response.type).IsInterestedIn(resource->name)) resources.erase(resource->name);
    }
  }

  std::vector<DeltaRequest> requests;
  const auto add_news = [&] {
    for (DeltaRequest& request : News(response.type)) requests.push_back(std::move(request));
  };
  if (options_.subscribes_before_ack) add_news();
  DeltaRequest answer;
  answer.type_url = TypeUrl(response.type);
  answer.response_nonce = response.nonce;
  answer.error_detail = error;
  if (response.type == XdsType::kCluster && paused) {
    held_answer_ = std::move(answer);
  } else {
    Of(response.type).TakeNews(answer);
    requests.push_back(std::move(answer));
  }
  if (!options_.subscribes_before_ack) add_news();
  return requests;
}

std::vector<DeltaRequest> ModelEnvoy::OnTimer(Time now) {
  bool changed =
      std::erase_if(draining_, [&](const Draining& draining) { return draining.until <= now; }) > 0;
  for (auto& [name, cluster] : clusters_) {
    if (cluster.warming == nullptr || cluster.warming_since + options_.fetch_timeout > now)
      continue;
    ++fetch_timeouts_;
    changed = true;
    Warm(name);
  }
  if (changed) UpdateInterests();
  return News();
}

std::optional<Time> ModelEnvoy::NextTimer() const {
  std::optional<Time> next;
  const auto consider = [&](Time at) { next = next ? std::min(*next, at) : at; };
  for (const Draining& draining : draining_) consider(draining.until);
  for (const auto& [name, cluster] : clusters_) {
    if (cluster.warming != nullptr) consider(cluster.warming_since + options_.fetch_timeout);
  }
  return next;
}

SealedPtr ModelEnvoy::Running(XdsType type, std::string_view name) const {
  if (type == XdsType::kCluster) {
    const auto found = clusters_.find(name);
    if (found == clusters_.end()) return nullptr;
    return found->second.warming != nullptr ? found->second.warming : found->second.active;
  }
  const Resources& resources = type == XdsType::kEndpoints  ? endpoints_
                               : type == XdsType::kSecret   ? secrets_
                               : type == XdsType::kListener ? listeners_
                                                            : routes_;
  const auto found = resources.find(name);
  return found == resources.end() ? nullptr : found->second;
}

std::vector<std::string> ModelEnvoy::Names(XdsType type) const {
  std::vector<std::string> names;
  if (type == XdsType::kCluster) {
    for (const auto& [name, cluster] : clusters_) names.push_back(name);
  }
  const Resources* resources = type == XdsType::kEndpoints  ? &endpoints_
                               : type == XdsType::kSecret   ? &secrets_
                               : type == XdsType::kListener ? &listeners_
                               : type == XdsType::kRoute    ? &routes_
                                                            : nullptr;
  if (resources != nullptr) {
    for (const auto& [name, resource] : *resources) names.push_back(name);
  }
  return names;
}

bool ModelEnvoy::NamesWhatItRuns() const {
  return std::all_of(
      bundle::kAllXdsTypes.begin(), bundle::kAllXdsTypes.end(), [this](XdsType type) {
        const bool by_wildcard = type == XdsType::kCluster || type == XdsType::kListener;
        const std::map<std::string, std::string> versions =
            subscriptions_[static_cast<size_t>(type)].Versions();
        const std::vector<std::string> names = Names(type);
        // What it fetches by name and does not name, it is sent.
        return (!by_wildcard || versions.size() == names.size()) &&
               std::all_of(names.begin(), names.end(), [&](const std::string& name) {
                 const auto named = versions.find(name);
                 return named == versions.end()
                            ? !by_wildcard
                            : named->second == Running(type, name)->VersionText();
               });
      });
}

size_t ModelEnvoy::warming() const {
  return static_cast<size_t>(
      std::count_if(clusters_.begin(), clusters_.end(),
                    [](const auto& cluster) { return cluster.second.warming != nullptr; }));
}

std::optional<Refusal> ModelEnvoy::Refuses(const SealedResource& resource) const {
  return options_.refuses ? options_.refuses(resource) : std::nullopt;
}

bool ModelEnvoy::HasEndpoints(const SealedPtr& cluster) const {
  return cluster != nullptr && (!options_.has_endpoints || options_.has_endpoints(*cluster));
}

std::optional<std::string> ModelEnvoy::Apply(Time now, const DeltaResponse& response) {
  for (const SealedPtr& resource : response.resources) {
    const std::optional<Refusal> refusal = Refuses(*resource);
    if (refusal && refusal->at_decoding) return refusal->reason;
  }
  switch (response.type) {
    case XdsType::kCluster: return ApplyClusters(now, response);
    case XdsType::kListener: return ApplyListeners(now, response);
    default: return ApplyNamed(response);
  }
}

std::optional<std::string> ModelEnvoy::ApplyClusters(Time now, const DeltaResponse& response) {
  std::vector<std::string> errors;
  for (const SealedPtr& resource : response.resources) {
    if (const auto refusal = Refuses(*resource)) {
      errors.push_back(resource->name + ": " + refusal->reason);
      continue;
    }
    Cluster& cluster = clusters_[resource->name];
    const SealedPtr& newest = cluster.warming != nullptr ? cluster.warming : cluster.active;
    if (newest != nullptr && SameContent(*newest, *resource)) continue;
    cluster.warming = resource;
    cluster.warming_since = now;
    if (!HasEndpoints(resource)) Warm(resource->name);
  }
  for (const std::string& name : response.removed) clusters_.erase(name);
  if (errors.empty()) return std::nullopt;
  return "Error adding/updating cluster(s) " + base::Join(errors, ", ");
}

void ModelEnvoy::Warm(const std::string& name) {
  Cluster& cluster = clusters_[name];
  if (cluster.warming != nullptr) cluster.active = std::exchange(cluster.warming, nullptr);
}

std::optional<std::string> ModelEnvoy::ApplyListeners(Time now, const DeltaResponse& response) {
  for (const std::string& name : response.removed) {
    const auto found = listeners_.find(name);
    if (found == listeners_.end()) continue;
    Drain(now, found->second);
    listeners_.erase(found);
  }
  std::string errors;
  for (const SealedPtr& resource : response.resources) {
    if (const auto refusal = Refuses(*resource)) {
      errors += resource->name + ": " + refusal->reason + "\n";
      continue;
    }
    SealedPtr& listener = listeners_[resource->name];
    if (listener != nullptr && SameContent(*listener, *resource)) continue;
    if (listener != nullptr) Drain(now, listener);
    listener = resource;
    if (!options_.expects_warm_clusters) continue;
    for (const std::string& name : resource->clusters) {
      const auto cluster = clusters_.find(name);
      if (cluster != clusters_.end() && cluster->second.active == nullptr) {
        faults_.push_back(base::Format("listener {} uses cluster {}, which is still warming",
                                       resource->name, name));
      }
    }
  }
  if (errors.empty()) return std::nullopt;
  return "Error adding/updating listener(s) " + errors;
}

void ModelEnvoy::Drain(Time now, const SealedPtr& listener) {
  draining_.push_back({listener, now + options_.drain_time});
}

std::optional<std::string> ModelEnvoy::ApplyNamed(const DeltaResponse& response) {
  std::vector<SealedPtr> order = response.resources;
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random_.Below(i)]);
  for (const SealedPtr& resource : order) {
    if (const auto refusal = Refuses(*resource)) return refusal->reason;
    switch (response.type) {
      case XdsType::kEndpoints: {
        const auto cluster = clusters_.find(resource->name);
        if (cluster == clusters_.end()) continue;
        endpoints_[resource->name] = resource;
        Warm(resource->name);
        break;
      }
      case XdsType::kSecret: secrets_[resource->name] = resource; break;
      default: routes_[resource->name] = resource; break;
    }
  }
  // Endpoints, secrets and routes cannot be taken away, but a cluster stops waiting for endpoints.
  for (const std::string& name : response.removed) {
    if (response.type == XdsType::kEndpoints && clusters_.contains(name)) Warm(name);
  }
  return std::nullopt;
}

void ModelEnvoy::UpdateInterests() {
  std::set<std::string> endpoints, secrets, routes;
  const auto add = [](const auto& names_of, const SealedPtr& user, std::set<std::string>& names) {
    if (!names_of || user == nullptr) return;
    for (std::string& name : names_of(*user)) names.insert(std::move(name));
  };
  for (const auto& [name, cluster] : clusters_) {
    if (HasEndpoints(cluster.active) || HasEndpoints(cluster.warming)) endpoints.insert(name);
    add(options_.secrets, cluster.active, secrets);
    add(options_.secrets, cluster.warming, secrets);
  }
  const auto add_listener = [&](const SealedPtr& listener) {
    add(options_.secrets, listener, secrets);
    add(options_.routes, listener, routes);
  };
  for (const auto& [name, listener] : listeners_) add_listener(listener);
  for (const Draining& draining : draining_) add_listener(draining.listener);

  const auto update = [this](XdsType type, const std::set<std::string>& names,
                             Resources& resources) {
    Of(type).UpdateInterest(names);
    std::erase_if(resources, [&](const auto& resource) { return !names.contains(resource.first); });
  };
  update(XdsType::kEndpoints, endpoints, endpoints_);
  update(XdsType::kSecret, secrets, secrets_);
  update(XdsType::kRoute, routes, routes_);
  if (!listeners_started_ && clusters_answered_ && warming() == 0) {
    listeners_started_ = true;
    Of(XdsType::kListener).SetWildcard();
  }
}

void ModelEnvoy::CheckRoutes(std::string_view when) {
  const auto check = [&](const SealedPtr& user, std::string_view what) {
    for (const std::string& name : user->clusters) {
      if (!clusters_.contains(name)) {
        faults_.push_back(base::Format("{}: {} {} routes to cluster {}, which is not there", when,
                                       what, user->name, name));
      }
    }
  };
  for (const auto& [name, listener] : listeners_) check(listener, "listener");
  for (const auto& [name, route] : routes_) check(route, "route");
  for (const Draining& draining : draining_) check(draining.listener, "draining listener");
}

// -------------------------------------------------------------------------------------------------
// Wire format

std::optional<DeltaResponse> DecodeResponse(std::string_view bytes, const ResourceFinder& find) {
  DeltaResponse response;
  struct Sent {
    std::string_view name, version, packed;
  };
  std::vector<Sent> resources;
  std::string type_url;
  Fields fields(bytes);
  while (fields.Next()) {
    switch (fields.number()) {
      case 1: response.revision.value = base::ParseUint(fields.bytes()).value_or(0); break;
      case 2: {
        Sent& sent = resources.emplace_back();
        Fields resource(fields.bytes());
        while (resource.Next()) {
          if (resource.number() == 3) sent.name = resource.bytes();
          if (resource.number() == 1) sent.version = resource.bytes();
          if (resource.number() == 2) sent.packed = resource.bytes();
        }
        if (!resource.ok()) return std::nullopt;
        break;
      }
      case 4: type_url = fields.text(); break;
      case 5: response.nonce = fields.text(); break;
      case 6: response.removed.push_back(fields.text()); break;
      default: break;
    }
  }
  if (!fields.ok()) return std::nullopt;
  if (const XdsType* type = bundle::FindXdsType(type_url))
    response.type = *type;
  else
    response.other_type_url = type_url;
  for (const auto& [name, version, packed] : resources) {
    SealedPtr found = find ? find(response.type, name, version, packed) : nullptr;
    if (found == nullptr) {
      auto unknown = std::make_shared<SealedResource>();
      unknown->type = response.type;
      unknown->name = name;
      unknown->wire_version = version;
      found = unknown;
    }
    response.resources.push_back(std::move(found));
  }
  return response;
}

std::string EncodeRequest(const DeltaRequest& request, std::string_view node_id) {
  std::string out;
  if (!node_id.empty()) {
    std::string node;
    AppendBytes(node, 1, node_id);
    AppendBytes(out, 1, node);
  }
  AppendBytes(out, 2, request.type_url);
  for (const std::string& name : request.subscribe) AppendBytes(out, 3, name);
  for (const std::string& name : request.unsubscribe) AppendBytes(out, 4, name);
  for (const auto& [name, version] : request.initial_resource_versions) {
    std::string entry;
    AppendBytes(entry, 1, name);
    AppendBytes(entry, 2, version);
    AppendBytes(out, 5, entry);
  }
  if (!request.response_nonce.empty()) AppendBytes(out, 6, request.response_nonce);
  if (request.error_detail) {
    std::string status = "\x08\x0d";  // code = INTERNAL
    AppendBytes(status, 2, *request.error_detail);
    AppendBytes(out, 7, status);
  }
  return out;
}

}  // namespace kuma::kit

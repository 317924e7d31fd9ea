#pragma once

// A world of one delta session and one model Envoy under runtime::Simulation: bundles that change,
// messages that are late, refusals, cut streams, restarts of both ends. Everything follows from the
// seed.

#include <algorithm>
#include <array>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/strings.h"
#include "runtime/simulation.h"
#include "tests/kit/model_envoy.h"
#include "xds/delta_session.h"

namespace kuma::sim {

struct XdsWorldOptions {
  uint64_t seed = 1;
  size_t rounds = 40;
  bool verbose = false;  // prints what happens
};

// Confined to one thread. Run() once, then look at failures().
class XdsWorld {
 public:
  explicit XdsWorld(XdsWorldOptions options)
      : options_(options),
        simulation_(options.seed),
        random_(simulation_.random()),
        server_(simulation_.AddExecutor("server")),
        client_(simulation_.AddExecutor("client")),
        refusals_(random_.OneIn(2)),
        heals_(refusals_ && random_.OneIn(3)),
        forgets_(random_.OneIn(4)),
        late_(random_.OneIn(3) ? std::chrono::milliseconds(2000) : std::chrono::milliseconds(20)),
        envoy_(EnvoyOptions(), random_) {
    session_options_.retry_after = heals_ ? std::chrono::seconds(20) : runtime::Duration::zero();
    session_options_.response_bytes = random_.OneIn(3) ? 200 : 4 << 20;
    NewSession();
  }

  void Run() {
    Publish();
    Connect();
    for (size_t round = 0; round < options_.rounds && failures_.empty(); ++round) {
      Disturb();
      simulation_.Advance(SomeTime());
      CheckAlways();
      if (random_.OneIn(12)) CheckQuiet();
    }
    healed_ = heals_;
    CheckQuiet();
    if (failures_.empty()) CheckNothingForNothing();
  }

  const std::vector<std::string>& failures() const { return failures_; }
  uint64_t trace_hash() const { return simulation_.trace_hash(); }
  uint64_t responses() const { return responses_; }
  uint64_t nacks() const { return envoy_.nacks(); }

 private:
  using XdsType = bundle::XdsType;
  using SealedPtr = bundle::SealedPtr;
  using BundlePtr = bundle::BundlePtr;

  struct Cluster {
    uint64_t content = 0;
    uint64_t endpoints = 0;
    bool has_endpoints = true;
  };
  struct User {  // a listener or route
    uint64_t content = 0;
    std::set<std::string> clusters;
    std::string route;
  };

  // --- the configuration
  // -----------------------------------------------------------------------------------------

  SealedPtr Make(XdsType type, const std::string& name, const std::string& content,
                 const std::set<std::string>& clusters = {}) {
    SealedPtr& made = made_[{type, name, content}];
    if (made == nullptr || random_.OneIn(20)) {  // equal content need not be the same object
      made = bundle::Seal({.type = type,
                           .name = name,
                           .message = content,
                           .clusters = {clusters.begin(), clusters.end()}});
    }
    return made;
  }

  bundle::BundlePtr MakeBundle() {
    std::array<std::vector<SealedPtr>, bundle::kXdsTypeCount> lists;
    const auto add = [&](SealedPtr resource) {
      lists[static_cast<size_t>(resource->type)].push_back(std::move(resource));
    };
    for (const auto& [name, cluster] : clusters_) {
      const std::string kind = cluster.has_endpoints ? "eds" : "static";
      add(Make(XdsType::kCluster, name, base::Format("{} {} {}", kind, name, cluster.content)));
      if (cluster.has_endpoints) {
        add(Make(XdsType::kEndpoints, name, base::Format("{} {}", name, cluster.endpoints)));
      }
    }
    std::set<std::string> routes;
    for (const auto& [name, user] : listeners_) {
      std::string content = base::Format("{} {} {}", name, user.content, user.route);
      for (const std::string& cluster : user.clusters) content += " " + cluster;
      add(Make(XdsType::kListener, name, content, user.clusters));
      if (!user.route.empty()) routes.insert(user.route);
    }
    for (const std::string& name : routes) {
      const User& route = routes_[name];
      std::string content = base::Format("{} {}", name, route.content);
      for (const std::string& cluster : route.clusters) content += " " + cluster;
      add(Make(XdsType::kRoute, name, content, route.clusters));
    }
    add(Make(XdsType::kSecret, "identity", base::Format("identity {}", identity_)));
    auto made = std::make_shared<bundle::XdsBundle>();
    made->revision = {++revision_};
    for (size_t i = 0; i < lists.size(); ++i)
      made->resources[i] = bundle::MakeList(std::move(lists[i]));
    return made;
  }

  std::string SomeCluster() { return base::Format("c{}", random_.Below(8)); }
  std::string SomeListener() { return base::Format("l{}", random_.Below(5)); }

  std::set<std::string> SomeClusters() {
    std::set<std::string> names;
    for (const auto& [name, cluster] : clusters_) {
      if (random_.OneIn(3)) names.insert(name);
    }
    return names;
  }

  void Change() {
    const size_t changes = random_.OneIn(5) ? 6 : 1 + random_.Below(2);
    for (size_t i = 0; i < changes; ++i) {
      switch (random_.Below(9)) {
        case 0:
        case 1: {
          Cluster& cluster = clusters_[SomeCluster()];
          cluster.content = random_.Below(4);
          cluster.has_endpoints = !random_.OneIn(4);
          break;
        }
        case 2: {
          const std::string name = SomeCluster();
          clusters_.erase(name);
          for (auto& [listener, user] : listeners_) user.clusters.erase(name);
          for (auto& [route, user] : routes_) user.clusters.erase(name);
          break;
        }
        case 3:
          if (const auto found = clusters_.find(SomeCluster()); found != clusters_.end()) {
            found->second.endpoints = random_.Below(4);
          }
          break;
        case 4:
        case 5: {
          User& user = listeners_[SomeListener()];
          user.content = random_.Below(4);
          user.clusters = SomeClusters();
          user.route = random_.OneIn(4) ? base::Format("r{}", random_.Below(2)) : "";
          break;
        }
        case 6: listeners_.erase(SomeListener()); break;
        case 7: {
          User& route = routes_[base::Format("r{}", random_.Below(2))];
          route.content = random_.Below(4);
          route.clusters = SomeClusters();
          break;
        }
        default: identity_ = random_.Below(3); break;
      }
    }
  }

  void Publish() {
    bundle_ = MakeBundle();
    history_.push_back(bundle_);
    Note(*bundle_);
    server_.Post(
        [this, bundle = bundle_] { Take(session_->OnBundle(simulation_.clock().Now(), bundle)); });
  }

  // --- the client
  // -----------------------------------------------------------------------------------------------

  kit::ModelEnvoyOptions EnvoyOptions() {
    kit::ModelEnvoyOptions chosen;
    chosen.subscribes_before_ack = !random_.OneIn(3);
    chosen.has_endpoints = [](const bundle::SealedResource& cluster) {
      return cluster.bytes->find("eds ") != std::string::npos;
    };
    chosen.secrets = [](const bundle::SealedResource& user) {
      return user.name == "l0" || user.name == "c0" ? std::vector<std::string>{"identity"}
                                                    : std::vector<std::string>();
    };
    chosen.routes = [](const bundle::SealedResource& listener) {
      std::vector<std::string> names;
      for (const char* name : {"r0", "r1"}) {
        if (listener.bytes->find(std::string(" ") + name) != std::string::npos)
          names.push_back(name);
      }
      return names;
    };
    chosen.refuses = [this](const bundle::SealedResource& resource) { return Refuses(resource); };
    // Refused endpoints and lost memories leave clusters warming until the fetch time-out.
    chosen.expects_warm_clusters = !refusals_ && !forgets_;
    return chosen;
  }

  std::optional<kit::Refusal> Refuses(const bundle::SealedResource& resource) const {
    if (!refusals_ || healed_ || resource.version.low % 9 != 0) return std::nullopt;
    switch (resource.version.high % 3) {
      case 0: return kit::Refusal{"no reason", false};
      case 1:
        return kit::Refusal{
            "Proto constraint validation failed (Why): name: \"" + resource.name + "\"", true};
      default: return kit::Refusal{"Proto constraint validation failed", true};
    }
  }

  void Connect() {
    const uint64_t epoch = epoch_;
    client_.Post([this, epoch] {
      if (epoch != epoch_) return;
      connected_ = true;
      SendRequests(envoy_.Connect(simulation_.clock().Now()));
      ArmClient();
    });
  }

  void SendRequests(std::vector<xds::DeltaRequest> requests) {
    for (xds::DeltaRequest& request : requests) {
      Deliver(server_, to_server_, [this, request = std::move(request)] {
        if (!request.response_nonce.empty()) --outstanding_[request.type_url];
        Note(request);
        Take(session_->OnRequest(simulation_.clock().Now(), request));
      });
    }
  }

  void ArmClient() {
    const std::optional<runtime::Time> next = envoy_.NextTimer();
    if (!next) return;
    client_timer_ = client_.PostAfter(*next - simulation_.clock().Now(), [this] {
      SendRequests(envoy_.OnTimer(simulation_.clock().Now()));
      ArmClient();
    });
  }

  // --- the server
  // -----------------------------------------------------------------------------------------------

  void NewSession() { session_ = std::make_unique<xds::DeltaSession>(session_options_); }

  void Take(xds::SessionOutput out) {
    if (out.failure) Fail("failure: " + out.failure->message());
    for (const xds::AckEvent& ack : out.acks) {
      Revision& last = acknowledged_[ack.type];
      if (ack.revision < last) Fail("an acknowledged revision went back");
      last = ack.revision;
    }
    if (out.in_step) {
      if (*out.in_step < in_step_ && epoch_ == in_step_epoch_) Fail("in step went back");
      in_step_ = *out.in_step;
      in_step_epoch_ = epoch_;
      CheckInStep();
    }
    for (xds::DeltaResponse& response : out.send) {
      ++responses_;
      sent_ += response.resources.size() + response.removed.size();
      const std::string type_url(response.type_url());
      if (++outstanding_[type_url] > 1) Fail("two responses in flight: " + type_url);
      Note(response);
      Deliver(client_, to_client_, [this, response = std::move(response)] {
        SendRequests(envoy_.OnResponse(simulation_.clock().Now(), response));
        ArmClient();
      });
    }
    if (out.wake_at) {
      server_timer_ = server_.PostAfter(*out.wake_at - simulation_.clock().Now(), [this] {
        Take(session_->OnTimer(simulation_.clock().Now()));
      });
    } else {
      server_timer_.Cancel();
    }
  }

  // --- the wire
  // -----------------------------------------------------------------------------------------------

  struct Channel {
    runtime::Time last;
    std::deque<runtime::Timer> timers;
  };

  void Deliver(runtime::SerialExecutor& to, Channel& channel, runtime::Task task) {
    const runtime::Time now = simulation_.clock().Now();
    const runtime::Duration delay = runtime::Duration(
        static_cast<int64_t>(random_.Below(static_cast<uint64_t>(late_.count()) + 1)));
    channel.last = std::max(channel.last, now + delay);
    while (channel.timers.size() > 64) channel.timers.pop_front();
    channel.timers.push_back(
        to.PostAfter(channel.last - now, [this, epoch = epoch_, task = std::move(task)] {
          if (epoch == epoch_ && connected_) task();
        }));
  }

  void Cut(bool server_forgets) {
    Note(server_forgets ? "cut, and the server forgets" : "cut");
    ++epoch_;
    connected_ = false;
    envoy_.Disconnect();
    outstanding_.clear();
    server_timer_.Cancel();
    const xds::SessionMemory memory = session_->Remember();
    NewSession();
    if (!server_forgets) session_->Recall(memory);
    // A control plane that has just started may have no bundle yet.
    if (!server_forgets || random_.OneIn(2)) {
      Take(session_->OnBundle(simulation_.clock().Now(), bundle_));
    } else {
      server_.Post([this] { Publish(); });
    }
    reconnect_ =
        client_.PostAfter(std::chrono::milliseconds(random_.Below(3000)), [this] { Connect(); });
  }

  // --- the run
  // -----------------------------------------------------------------------------------------------

  runtime::Duration SomeTime() {
    if (random_.OneIn(8)) return std::chrono::seconds(random_.Below(60));
    return std::chrono::milliseconds(random_.Below(random_.OneIn(2) ? 30 : 3000));
  }

  void Disturb() {
    switch (random_.Below(16)) {
      case 0:
      case 1: Cut(false); break;
      case 2:
        if (forgets_) {
          forgot_ = true;
          Cut(true);
        }
        break;
      case 3:
        if (random_.OneIn(3)) {
          Cut(false);
          envoy_.Restart();
        }
        break;
      default:
        Change();
        Publish();
        break;
    }
  }

  void CheckAlways() {
    for (const std::string& fault : envoy_.faults()) Fail(fault);
    // While it is disconnected, it waits in vain.
    if (!refusals_ && late_ < std::chrono::seconds(1) && epoch_ == 0 &&
        envoy_.fetch_timeouts() > 0) {
      Fail("a cluster had to wait for endpoints until the time-out");
    }
    if (session_->deviations() > 120)
      Fail(base::Format("the session remembers {} names", session_->deviations()));
  }

  // Of the bundle that the client is said to be in step with, it runs everything, in this content or
  // that of a later bundle.
  void CheckInStep() {
    if (refusals_ || forgot_) return;
    auto first = history_.end();
    while (first != history_.begin() && (first == history_.end() || (*first)->revision > in_step_))
      --first;
    if (first == history_.end() || (*first)->revision > in_step_) return;
    // Of routes and secrets it may keep what it does not ask for any more.
    for (const XdsType type : {XdsType::kCluster, XdsType::kEndpoints, XdsType::kListener}) {
      for (const SealedPtr& resource : (*first)->Of(type)) {
        const SealedPtr running = envoy_.Running(type, resource->name);
        // It asks for endpoints when it needs them.
        if (running == nullptr && type == XdsType::kEndpoints) continue;
        const bool is_there = std::any_of(first, history_.end(), [&](const BundlePtr& later) {
          const SealedPtr* wanted = bundle::FindPtr(later->Of(type), resource->key());
          // Removals take their time.
          return wanted == nullptr || (running != nullptr && SameContent(**wanted, *running));
        });
        if (!is_there)
          Fail(base::Format("said to be in step with {}, and {} is not", in_step_.value,
                            resource->name));
      }
    }
  }

  // Waits until nothing can happen any more, then compares the client with the newest bundle.
  void CheckQuiet() {
    simulation_.Advance(heals_ ? std::chrono::minutes(90) : std::chrono::minutes(4));
    CheckAlways();
    const bool strict = !refusals_ || healed_;
    if (in_step_ != bundle_->revision)
      Fail(base::Format("in step with {} of {}", in_step_.value, bundle_->revision.value));
    if (envoy_.warming() != 0 && strict) Fail("a cluster is still warming");
    if (envoy_.draining() != 0) Fail("a listener is still draining");
    std::set<std::string> stale;  // listeners and routes that do not run the newest content
    for (const XdsType type : {XdsType::kListener, XdsType::kRoute}) {
      for (const std::string& name : envoy_.Names(type)) {
        const SealedPtr running = envoy_.Running(type, name);
        const bundle::SealedResource* wanted = bundle::Find(bundle_->Of(type), name);
        if (wanted == nullptr || !SameContent(*running, *wanted)) stale.insert(name);
      }
    }
    std::set<std::string> absent;  // clusters that were refused and never there
    for (const XdsType type : bundle::kAllXdsTypes) {
      for (const SealedPtr& wanted : bundle_->Of(type)) CheckWanted(*wanted, absent);
      for (const std::string& name : envoy_.Names(type)) {
        if (bundle::Find(bundle_->Of(type), name) != nullptr || !stale.empty()) continue;
        if (type == XdsType::kEndpoints && !NotAskedFor(name))
          continue;  // of the last good cluster
        // Envoy names no version of what it took from a refused response, so that nobody can be
        // sure after a reconnect.
        if (refusals_ && (forgot_ || (!healed_ && epoch_ > 0))) continue;
        Fail(base::Format("{} {} is still there", TypeUrl(type), name));
      }
    }
    if (strict && session_->deviations() != 0) {
      Fail(base::Format("the session of a client in step remembers {} names",
                        session_->deviations()));
    }
    if (strict && !session_->Remember().empty())
      Fail("the session of a client in step has something to pass on");
  }

  void CheckWanted(const bundle::SealedResource& wanted, std::set<std::string>& absent) {
    const XdsType type = wanted.type;
    const SealedPtr running = envoy_.Running(type, wanted.name);
    if (running != nullptr && SameContent(*running, wanted)) return;
    // Envoy fetches these only if something that it runs asks for them.
    if (running == nullptr && (type == XdsType::kSecret || type == XdsType::kRoute)) return;
    if (running == nullptr && type == XdsType::kEndpoints && NotAskedFor(wanted.name)) return;
    // A version that Envoy names after refusals is not always the one that it runs, and nobody is
    // left who knows.
    if (refusals_ && forgot_) return;
    if (Refuses(wanted)) {
      // After a reconnect the server cannot know of what Envoy took from a refused response.
      const bool known = running != nullptr && epoch_ == 0;
      if (!known && (type == XdsType::kCluster || type == XdsType::kEndpoints))
        absent.insert(wanted.name);
      return;
    }
    for (const std::string& name : wanted.clusters) {
      if (absent.contains(name)) return;  // it needs a refused cluster
      // The cluster may have come in a refused response, of which Envoy took a part: only Envoy
      // knows that it has it.
      const bundle::SealedResource* cluster = bundle::Find(bundle_->Of(XdsType::kCluster), name);
      if (cluster != nullptr && Refuses(*cluster) && IsHeldBack(wanted)) return;
    }
    Fail(base::Format("{} {} is {}", TypeUrl(type), wanted.name,
                      running == nullptr ? "missing" : "old"));
  }

  bool IsHeldBack(const bundle::SealedResource& wanted) const {
    const std::vector<xds::QuarantineEntry> entries = session_->Quarantined();
    return std::any_of(entries.begin(), entries.end(), [&](const xds::QuarantineEntry& entry) {
      return entry.type == wanted.type && entry.name == wanted.name && entry.needs_another;
    });
  }

  bool NotAskedFor(const std::string& cluster) const {
    const SealedPtr running = envoy_.Running(XdsType::kCluster, cluster);
    return running == nullptr || running->bytes->find("eds ") == std::string::npos;
  }

  // Equal bundles and reconnects of a client in step cost nothing.
  void CheckNothingForNothing() {
    const uint64_t sent = sent_;
    const uint64_t responses = responses_;
    made_.clear();
    Publish();
    simulation_.Advance(std::chrono::minutes(2));
    if (in_step_ != bundle_->revision) Fail("not in step with an equal bundle");
    if (!refusals_ || healed_) {
      if (responses_ != responses) Fail("an equal bundle was sent");
      Cut(false);
      simulation_.Advance(std::chrono::minutes(2));
      if (sent_ != sent) Fail("a reconnect of a client in step cost something");
    }
    CheckQuiet();
  }

  void Note(const std::string& what) {
    simulation_.Trace(what);
    if (!options_.verbose) return;
    const auto elapsed = simulation_.clock().Now().time_since_epoch() - std::chrono::hours(1);
    std::fprintf(stderr, "%8.3f %s\n", std::chrono::duration<double>(elapsed).count(),
                 what.c_str());
  }
  static std::string Short(std::string_view type_url) {
    return std::string(type_url.substr(type_url.rfind('.') + 1));
  }
  void Note(const xds::DeltaRequest& request) {
    std::string text =
        base::Format("  <- {} [{}]", Short(request.type_url), request.response_nonce);
    for (const std::string& name : request.subscribe) text += " +" + name;
    for (const std::string& name : request.unsubscribe) text += " -" + name;
    for (const auto& [name, version] : request.initial_resource_versions)
      text += " " + name + "=" + version.substr(0, 4);
    if (request.error_detail) text += " NACK " + *request.error_detail;
    Note(text);
  }
  void Note(const xds::DeltaResponse& response) {
    std::string text = base::Format("  -> {} [{}] revision {}", Short(response.type_url()),
                                    response.nonce, response.revision.value);
    for (const SealedPtr& resource : response.resources) {
      text += " " + resource->name + "=" + resource->VersionText().substr(0, 4);
      if (!resource->clusters.empty()) text += "(" + base::Join(resource->clusters, " ") + ")";
    }
    for (const std::string& name : response.removed) text += " -" + name;
    Note(text);
  }
  void Note(const bundle::XdsBundle& bundle) {
    std::string text = base::Format("bundle {}", bundle.revision.value);
    for (const XdsType type : bundle::kAllXdsTypes) {
      text += " | " + Short(TypeUrl(type));
      for (const SealedPtr& resource : bundle.Of(type))
        text += " " + resource->name + "=" + resource->VersionText().substr(0, 4);
    }
    Note(text);
  }

  void Fail(std::string what) {
    Note("FAULT " + what);
    if (options_.verbose) std::fprintf(stderr, "%s", session_->Describe().c_str());
    if (failures_.size() < 5)
      failures_.push_back(base::Format("{} (revision {})", what, revision_));
  }

  using Revision = bundle::Revision;

  XdsWorldOptions options_;
  runtime::Simulation simulation_;
  runtime::Random& random_;
  runtime::SerialExecutor& server_;
  runtime::SerialExecutor& client_;
  const bool refusals_;
  const bool heals_;    // what was refused is accepted at the end, and tried again
  const bool forgets_;  // the control plane restarts without a memory
  bool healed_ = false;
  bool forgot_ = false;
  const runtime::Duration late_;
  kit::ModelEnvoy envoy_;
  xds::SessionOptions session_options_;
  std::unique_ptr<xds::DeltaSession> session_;

  std::map<std::string, Cluster> clusters_;
  std::map<std::string, User> listeners_, routes_;
  uint64_t identity_ = 0;
  uint64_t revision_ = 0;
  bundle::BundlePtr bundle_;
  std::map<std::tuple<XdsType, std::string, std::string>, SealedPtr> made_;

  uint64_t epoch_ = 0;
  bool connected_ = false;
  Channel to_server_, to_client_;
  runtime::Timer server_timer_, client_timer_, reconnect_;
  std::map<std::string, int> outstanding_;
  std::map<XdsType, Revision> acknowledged_;
  Revision in_step_;
  uint64_t in_step_epoch_ = 0;
  std::vector<BundlePtr> history_;  // oldest first
  uint64_t responses_ = 0;
  uint64_t sent_ = 0;
  std::vector<std::string> failures_;
};

}  // namespace kuma::sim

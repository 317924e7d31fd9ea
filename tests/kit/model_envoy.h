#pragma once

// A model of Envoy as a delta xDS client: what it subscribes to, which versions it names, what it
// runs. It follows Envoy's DeltaSubscriptionState, CdsApiHelper, LdsApiImpl and EdsClusterImpl:
//
//  - a changed cluster warms until its endpoints come, although it does not ask for them again;
//  - once it has started, it says nothing about clusters while one warms: no answer, no first
//  request;
//  - of a rejected response the good clusters and listeners are applied, and no version of it is
//  kept;
//  - of a rejected response of another type only what came before the culprit is applied;
//  - a replaced or removed listener drains for a while and still routes to its clusters;
//  - listeners are asked for when the first clusters are warm.
//
// Pure: it returns the requests that it would send, in order. Confined to one thread.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/bundle.h"
#include "runtime/random.h"
#include "xds/delta_session.h"

namespace kuma::kit {

struct Refusal {
  std::string reason;
  bool at_decoding = false;  // the whole response is refused before anything of it is applied
};

struct ModelEnvoyOptions {
  runtime::Duration drain_time = std::chrono::seconds(30);
  runtime::Duration fetch_timeout =
      std::chrono::seconds(15);  // warming ends without endpoints after this
  // Envoy asks for the endpoints of a new cluster before it acknowledges the cluster; false: after.
  bool subscribes_before_ack = true;
  // Does a cluster get its endpoints by EDS? Default: yes.
  std::function<bool(const bundle::SealedResource&)> has_endpoints;
  // Names that a cluster or listener fetches by itself. Default: none.
  std::function<std::vector<std::string>(const bundle::SealedResource&)> secrets;
  std::function<std::vector<std::string>(const bundle::SealedResource&)> routes;
  // Set: the resource is refused.
  std::function<std::optional<Refusal>(const bundle::SealedResource&)> refuses;
  // Expect every cluster of a new listener to have been warm; see faults().
  bool expects_warm_clusters = true;
};

// Envoy's DeltaSubscriptionState: the client's half of the protocol for one type.
class ModelSubscription {
 public:
  void SetWildcard() { interest_["*"]; }
  void UpdateInterest(const std::set<std::string>& names);  // of explicit names
  void MarkStreamFresh() { sent_any_ = false; }
  bool IsInterestedIn(const std::string& name) const { return interest_.contains(name); }
  bool HasNews() const;
  void TakeNews(xds::DeltaRequest& request);
  void Accept(const xds::DeltaResponse& response);
  std::map<std::string, std::string> Versions() const;  // that it would name to a new stream

 private:
  bool wildcard() const { return interest_.contains("*"); }
  std::map<std::string, std::optional<std::string>> interest_;  // version, or waiting for one
  std::map<std::string, std::string> by_wildcard_;
  std::set<std::string> added_, removed_;
  bool sent_any_ = false;
};

class ModelEnvoy {
 public:
  ModelEnvoy(ModelEnvoyOptions options, runtime::Random& random);

  // A new stream begins: its first requests.
  std::vector<xds::DeltaRequest> Connect(runtime::Time now);
  // The answer and whatever else it causes. REQUIRES: a stream.
  std::vector<xds::DeltaRequest> OnResponse(runtime::Time now, const xds::DeltaResponse& response);
  // Drains and fetch time-outs that are due.
  std::vector<xds::DeltaRequest> OnTimer(runtime::Time now);
  std::optional<runtime::Time> NextTimer() const;
  void Disconnect() {
    connected_ = false;
    held_answer_.reset();
  }
  // Starts again with nothing.
  void Restart();

  // What it runs; of a cluster that warms, the new content. Null: nothing.
  bundle::SealedPtr Running(bundle::XdsType type, std::string_view name) const;
  std::vector<std::string> Names(bundle::XdsType type) const;
  // False after a refused response, as long as only the server can know what came of it.
  bool NamesWhatItRuns() const;
  size_t warming() const;
  size_t draining() const { return draining_.size(); }
  // Broken promises of the server, in words: a route to a cluster that it does not have, a new
  // listener whose clusters were never warm, the same name twice in a response.
  const std::vector<std::string>& faults() const { return faults_; }
  uint64_t nacks() const { return nacks_; }
  // Clusters that nobody sent endpoints for in time.
  uint64_t fetch_timeouts() const { return fetch_timeouts_; }

 private:
  struct Cluster {
    bundle::SealedPtr active;
    bundle::SealedPtr warming;
    runtime::Time warming_since;
  };
  struct Draining {
    bundle::SealedPtr listener;
    runtime::Time until;
  };
  using Resources = std::map<std::string, bundle::SealedPtr, std::less<>>;

  ModelSubscription& Of(bundle::XdsType type) { return subscriptions_[static_cast<size_t>(type)]; }
  std::optional<std::string> Apply(runtime::Time now, const xds::DeltaResponse& response);
  std::optional<std::string> ApplyClusters(runtime::Time now, const xds::DeltaResponse& response);
  std::optional<std::string> ApplyListeners(runtime::Time now, const xds::DeltaResponse& response);
  std::optional<std::string> ApplyNamed(const xds::DeltaResponse& response);
  std::optional<Refusal> Refuses(const bundle::SealedResource& resource) const;
  bool HasEndpoints(const bundle::SealedPtr& cluster) const;
  void Warm(const std::string& name);
  void Drain(runtime::Time now, const bundle::SealedPtr& listener);
  void UpdateInterests();
  void CheckRoutes(std::string_view when);
  std::vector<xds::DeltaRequest> News(std::optional<bundle::XdsType> except = {});
  bool ClustersPaused() const { return listeners_started_ && warming() > 0; }

  ModelEnvoyOptions options_;
  runtime::Random& random_;
  bool connected_ = false;
  bool clusters_answered_ = false;
  bool listeners_started_ = false;
  std::optional<xds::DeltaRequest> held_answer_;  // to clusters, until all of them are warm
  std::vector<ModelSubscription> subscriptions_;
  std::map<std::string, Cluster, std::less<>> clusters_;
  Resources endpoints_, secrets_, listeners_, routes_;
  std::vector<Draining> draining_;
  std::vector<std::string> faults_;
  uint64_t nacks_ = 0;
  uint64_t fetch_timeouts_ = 0;
};

// The wire format, for tests that run the whole control plane.

// Finds the resource that was sent, by type, name and version text; `packed` is the
// google.protobuf.Any as sent. Null result: an unknown one is made up.
using ResourceFinder = std::function<bundle::SealedPtr(
    bundle::XdsType, std::string_view name, std::string_view version, std::string_view packed)>;
// Nothing if the bytes are no DeltaDiscoveryResponse.
std::optional<xds::DeltaResponse> DecodeResponse(std::string_view bytes,
                                                 const ResourceFinder& find);
// A DeltaDiscoveryRequest; node.id is set if it is not empty.
std::string EncodeRequest(const xds::DeltaRequest& request, std::string_view node_id = {});

}  // namespace kuma::kit

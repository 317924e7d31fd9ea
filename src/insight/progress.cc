#include "insight/progress.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "base/format.h"
#include "base/log.h"
#include "base/strings.h"

namespace kuma::insight {
namespace {

using base::ProxyKey;
using base::Revision;
using What = TimelineEvent::What;

constexpr base::Logger kLog("proxies");
constexpr size_t kMaxLeft = 1000;
constexpr size_t kMaxWaiters = 4096;  // more are answered at once

std::shared_ptr<const std::string> Shared(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

Revision Below(Revision revision) {
  return {revision.value - std::min<uint64_t>(revision.value, 1)};
}

// "Listener outbound:x (MeshHTTPRoute default/canary)"
std::string Describe(const Rejection& rejection) {
  std::string text = base::Join(rejection.resources, ", ");
  if (!rejection.origins.empty())
    text += base::Format(" (shaped by {})", base::Join(rejection.origins, ", "));
  return text;
}

}  // namespace

Progress::Progress(runtime::SerialExecutor& executor, const runtime::Clock& clock,
                   std::function<Revision()> newest)
    : executor_(executor), clock_(clock), newest_(std::move(newest)) {}
Progress::~Progress() = default;

template <class F>
void Progress::Post(F task) {
  executor_.Post([alive = std::weak_ptr<char>(alive_), task = std::move(task)]() mutable {
    if (!alive.expired()) task();
  });
}

void Progress::Note(Proxy& proxy, TimelineEvent event) const {
  event.time = clock_.WallNow();
  proxy.timeline.Add(std::move(event));
}

Progress::Proxy* Progress::Find(const ProxyKey& key) {
  const auto found = proxies_.find(key);
  return found == proxies_.end() ? nullptr : &found->second;
}

Progress::Proxy& Progress::Connect(const ProxyKey& key) {
  const auto [at, is_new] = proxies_.try_emplace(key);
  Proxy& proxy = at->second;
  if (!is_new && !proxy.connected) left_.erase(proxy.left);
  proxy.connected = true;
  proxy.bundle = nullptr;
  proxy.in_step = proxy.floor = {};
  proxy.behind_since = clock_.Now();
  proxy.stalled_since.reset();
  proxy.withheld.clear();
  return proxy;
}

void Progress::Disconnect(const ProxyKey& key) {
  Proxy* found = Find(key);
  if (found == nullptr || !found->connected) return;
  Proxy& proxy = *found;
  proxy.connected = false;
  proxy.bundle = nullptr;
  proxy.withheld.clear();
  proxy.stalled_since.reset();
  proxy.left = left_.insert(left_.end(), key);
  if (left_.size() <= kMaxLeft) return;
  proxies_.erase(left_.front());
  left_.pop_front();
}

void Progress::OnEvent(const xds::ProxyEvent& event) {
  CHECK_CONFINED(executor_);
  const ProxyKey& key = event.proxy;
  if (const auto* connected = std::get_if<xds::ConnectedEvent>(&event.what)) {
    rollouts_.OnGone(key);
    const xds::NodeDescription& node = *connected->node;
    Note(Connect(key),
         {.what = What::kConnected,
          .revision = {},
          .time = {},
          .text = Shared(base::Format(
              "from {}, Envoy {}", node.peer.remote.ToString(),
              node.envoy_version.empty() ? "of unknown version" : node.envoy_version))});
    WakeWaiters();
    return;
  }
  Proxy* found = Find(key);
  if (found == nullptr) return;
  Proxy& proxy = *found;
  if (const auto* gone = std::get_if<xds::DisconnectedEvent>(&event.what)) {
    rollouts_.OnGone(key);
    Note(proxy,
         {.what = What::kDisconnected, .revision = {}, .time = {}, .text = Shared(gone->reason)});
    Disconnect(key);
  } else if (const auto* sent = std::get_if<xds::SentEvent>(&event.what)) {
    Note(proxy, {.what = What::kSent,
                 .type = sent->type,
                 .resources = sent->resources,
                 .removed = sent->removed,
                 .bytes = sent->bytes,
                 .revision = sent->revision,
                 .time = {},
                 .text = nullptr});
  } else if (const auto* ack = std::get_if<xds::AckEvent>(&event.what)) {
    Note(proxy, {.what = What::kAcknowledged,
                 .type = ack->type,
                 .revision = ack->revision,
                 .time = {},
                 .text = nullptr});
  } else if (const auto* nack = std::get_if<xds::NackEvent>(&event.what)) {
    OnNack(key, proxy, *nack);
  } else if (const auto* in_step = std::get_if<xds::InStepEvent>(&event.what)) {
    OnInStep(key, proxy, *in_step);
  } else if (const auto* stalled = std::get_if<xds::StalledEvent>(&event.what)) {
    kLog.Warn(stalled->stalled ? "does not answer" : "answers again", {{"proxy", key.ToString()}});
    proxy.stalled_since.reset();
    if (stalled->stalled) proxy.stalled_since = clock_.WallNow();
    Note(proxy, {.what = stalled->stalled ? What::kStalled : What::kAnswersAgain,
                 .revision = {},
                 .time = {},
                 .text = nullptr});
  }
  WakeWaiters();
}

void Progress::OnNack(const ProxyKey& key, Proxy& proxy, const xds::NackEvent& nack) {
  Rejection all{.proxy = key, .resources = {}, .parts = {}, .origins = {}, .detail = nack.detail};
  for (const xds::SealedPtr& resource : nack.rejected) {
    const Part part = PartOf(resource->type, resource->key());
    all.resources.push_back(resource->name);
    all.parts.push_back(part);
    for (const std::string& origin : resource->origins) {
      if (std::find(all.origins.begin(), all.origins.end(), origin) == all.origins.end())
        all.origins.push_back(origin);
    }
    if (nack.culprits_known) {
      proxy.withheld[part] = {.proxy = key,
                              .resources = {resource->name},
                              .parts = {part},
                              .origins = resource->origins,
                              .detail = nack.detail};
    }
  }
  kLog.Warn(nack.culprits_known ? "rejected" : "rejected, looking for the culprit",
            {{"proxy", key.ToString()},
             {"resources", base::Join(all.resources, ",")},
             {"shaped_by", base::Join(all.origins, ",")},
             {"reason", nack.detail}});
  Note(proxy,
       {.what = What::kRejected,
        .type = nack.type,
        .resources = static_cast<uint32_t>(nack.rejected.size()),
        .revision = nack.revision,
        .time = {},
        .text = Shared(base::Format(
            "{}{}: {}", nack.culprits_known ? "" : "one of these, which one is being tried: ",
            Describe(all), base::Trim(nack.detail)))});
  // Until the culprit is found nobody is blamed.
  if (nack.culprits_known) rollouts_.OnRejected(nack.revision, all);
}

void Progress::OnInStep(const ProxyKey& key, Proxy& proxy, const xds::InStepEvent& in_step) {
  std::map<Part, Rejection> withheld;
  std::vector<Rejection> list;
  std::string text;
  for (const xds::QuarantineEntry& entry : in_step.withheld) {
    const Part part = PartOf(entry.type, bundle::NameRef(entry.name));
    const auto known = proxy.withheld.find(part);
    Rejection rejection{
        .proxy = key, .resources = {entry.name}, .parts = {part}, .origins = {}, .detail = {}};
    if (!entry.needs_another && known != proxy.withheld.end()) {
      rejection = known->second;
    } else {
      rejection.detail = entry.needs_another
                             ? "held back: it uses a cluster that the proxy rejected"
                             : "held back: the proxy rejected the same content before";
      const bundle::SealedResource* resource =
          proxy.bundle == nullptr ? nullptr
                                  : bundle::Find(proxy.bundle->Of(entry.type), entry.name);
      if (resource != nullptr) rejection.origins = resource->origins;
    }
    text += (text.empty() ? "without " : ", ") + Describe(rejection);
    list.push_back(rejection);
    withheld.emplace(part, std::move(rejection));
  }
  proxy.withheld = std::move(withheld);
  proxy.in_step = std::max(proxy.in_step, in_step.revision);
  if (!proxy.IsInStep()) {
    proxy.floor = std::max(proxy.floor, proxy.in_step);
    proxy.behind_since = clock_.Now();
  }
  Note(proxy, {.what = What::kInStep,
               .revision = in_step.revision,
               .time = {},
               .text = text.empty() ? nullptr : Shared(std::move(text))});
  rollouts_.OnInStep(key, in_step.revision, list);
}

void Progress::OnRound(const std::vector<ProxyKey>& left, const std::vector<GivenBundle>& given,
                       Revision settled) {
  CHECK_CONFINED(executor_);
  for (const ProxyKey& proxy : left) rollouts_.OnGone(proxy);
  // Proxies of one class share their lists, and so the difference. All of them are held by `given`
  // or were when this began: an address is one list.
  using Lists = std::array<const bundle::SealedList*, bundle::kXdsTypeCount>;
  const auto lists_of = [](const bundle::XdsBundle& bundle) {
    Lists lists;
    std::transform(bundle.resources.begin(), bundle.resources.end(), lists.begin(),
                   [](const bundle::SealedListPtr& list) { return list.get(); });
    return lists;
  };
  std::map<std::pair<Lists, Lists>, Parts> differences;
  std::vector<Effect> effects;
  for (const GivenBundle& one : given) {
    Proxy* proxy = Find(one.proxy);
    if (proxy != nullptr && !proxy->connected) proxy = nullptr;
    if (!one.changes.empty()) {
      effects.clear();
      for (const GivenBundle::Change& change : one.changes) {
        for (const Revision revision : *change.revisions)
          effects.push_back({revision, change.what});
      }
      Parts changed;
      if (proxy != nullptr && proxy->bundle != nullptr) {
        Parts& known = differences[{lists_of(*proxy->bundle), lists_of(*one.bundle)}];
        if (known == nullptr) known = ChangedParts(proxy->bundle.get(), *one.bundle);
        changed = known;
      }
      rollouts_.OnPublished(one.proxy, one.bundle->revision, effects, std::move(changed));
    }
    if (proxy == nullptr) continue;
    if (proxy->bundle == nullptr && one.changes.empty()) {
      Note(*proxy,
           {.what = What::kGiven, .revision = one.bundle->revision, .time = {}, .text = nullptr});
    }
    for (const GivenBundle::Change& change : one.changes) {
      Note(*proxy, {.what = What::kChanged,
                    .revision = change.revisions->back(),
                    .time = {},
                    .text = change.reason});
    }
    if (proxy->IsInStep()) {
      proxy->floor = Below(one.bundle->revision);
      proxy->behind_since = clock_.Now();
    }
    proxy->bundle = one.bundle;
  }
  rollouts_.OnSettled(settled);
  WakeWaiters();
}

void Progress::WakeWaiters() {
  if (waiters_.empty() || finals_seen_ == rollouts_.finals()) return;
  finals_seen_ = rollouts_.finals();
  for (auto at = waiters_.begin(); at != waiters_.end();) {
    const auto waiter = at++;
    if (!rollouts_.IsFinal(waiter->revision)) continue;
    waiter->answer(rollouts_.Find(waiter->revision, newest_()));
    waiters_.erase(waiter);
  }
}

void Progress::Stop() {
  CHECK_CONFINED(executor_);
  stopped_ = true;
  for (const Waiter& waiter : waiters_) waiter.answer(rollouts_.Find(waiter.revision, newest_()));
  waiters_.clear();
}

void Progress::AskRollout(Revision revision, runtime::Duration wait,
                          std::function<void(Rollouts::Answer)> answer) {
  Post([this, revision, wait, answer = std::move(answer)]() mutable {
    const Revision newest = newest_();
    if (wait <= runtime::Duration::zero() || revision > newest || rollouts_.IsFinal(revision) ||
        stopped_ || waiters_.size() >= kMaxWaiters) {
      answer(rollouts_.Find(revision, newest));
      return;
    }
    waiters_.push_back({.revision = revision, .answer = std::move(answer), .timer = {}});
    const auto waiter = std::prev(waiters_.end());
    waiter->timer = executor_.PostAfter(wait, [this, waiter] {
      waiter->answer(rollouts_.Find(waiter->revision, newest_()));
      waiters_.erase(waiter);
    });
  });
}

void Progress::AskRollouts(size_t count, std::function<void(std::vector<Rollout>)> answer) {
  Post([this, count, answer = std::move(answer)] { answer(rollouts_.Newest(count)); });
}

void Progress::AskTimeline(ProxyKey proxy,
                           std::function<void(std::optional<std::vector<TimelineEvent>>)> answer) {
  Post([this, proxy = std::move(proxy), answer = std::move(answer)] {
    const auto found = proxies_.find(proxy);
    if (found == proxies_.end()) return answer(std::nullopt);
    answer(found->second.timeline.events());
  });
}

Freshness Progress::FreshnessOf(const ProxyKey& key, const Proxy& proxy) const {
  Freshness freshness{.proxy = key,
                      .acknowledged = proxy.floor,
                      .behind_for = std::nullopt,
                      .stalled = proxy.stalled_since.has_value()};
  if (proxy.IsInStep()) {
    freshness.acknowledged = std::max(proxy.in_step, rollouts_.settled());
  } else {
    freshness.behind_for = clock_.Now() - proxy.behind_since;
  }
  const Revision newest = newest_();
  freshness.lag = newest.value - std::min(newest.value, freshness.acknowledged.value);
  return freshness;
}

void Progress::AskFreshness(std::function<void(std::vector<Freshness>)> answer) {
  Post([this, answer = std::move(answer)] {
    std::vector<Freshness> all;
    for (const auto& [key, proxy] : proxies_) {
      if (proxy.connected) all.push_back(FreshnessOf(key, proxy));
    }
    std::sort(all.begin(), all.end(),
              [](const Freshness& a, const Freshness& b) { return a.proxy < b.proxy; });
    answer(std::move(all));
  });
}

void Progress::AskTroubles(std::function<void(std::vector<TroubledProxy>)> answer) {
  Post([this, answer = std::move(answer)] {
    std::vector<TroubledProxy> troubled;
    for (const auto& [key, proxy] : proxies_) {
      if (!proxy.stalled_since && proxy.withheld.empty()) continue;
      TroubledProxy& one = troubled.emplace_back();
      one.proxy = key;
      one.stalled_since = proxy.stalled_since;
      for (const auto& [part, rejection] : proxy.withheld) one.withheld.push_back(rejection);
    }
    std::sort(troubled.begin(), troubled.end(),
              [](const TroubledProxy& a, const TroubledProxy& b) { return a.proxy < b.proxy; });
    answer(std::move(troubled));
  });
}

}  // namespace kuma::insight

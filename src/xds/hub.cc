#include "xds/hub.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "xds/internal/hub_state.h"

namespace kuma::xds {
namespace internal {
namespace {

// Streams are given their bundles so many at a time; between, the loop sends and reads.
constexpr size_t kGivenAtOnce = 32;
// A change that concerns no more proxies than this is small.
constexpr size_t kFew = 256;

}  // namespace

HubState::HubState(HubOptions options) : options_(std::move(options)) {
  CHECK(!options_.loops.empty() && options_.clock != nullptr, "a hub needs loops and a clock");
  for (runtime::SerialExecutor* loop : options_.loops)
    shards_.push_back(std::make_unique<Shard>(
        *loop, AdmissionGate({options_.admitted_at_once, options_.waiting_streams},
                             counters_.streams_waiting, counters_.streams_entering)));
  for (const ProxyEventSubscriber& subscriber : options_.subscribers) {
    subscribers_.push_back(
        {subscriber, std::make_shared<std::unordered_map<base::ProxyKey, uint64_t>>()});
  }
}

void HubState::ForEachShard(const std::function<void(Shard&)>& task) {
  for (const std::unique_ptr<Shard>& shard : shards_) {
    shard->loop.Post([self = shared_from_this(), &shard = *shard, task] { task(shard); });
  }
}

Shard& HubState::ShardOf(runtime::SerialExecutor& loop) {
  const auto found = std::find_if(shards_.begin(), shards_.end(),
                                  [&](const auto& shard) { return &shard->loop == &loop; });
  CHECK(found != shards_.end(), "streams live on the loops that the hub was given");
  return **found;
}

HubState::Registration HubState::Register(runtime::SerialExecutor& loop, ProxyStream& stream,
                                          const NodeDescription& node) {
  Shard& home = ShardOf(loop);
  const uint64_t number = next_stream_.fetch_add(1);
  Supersede(home, node.proxy, number, home);
  for (const std::unique_ptr<Shard>& shard : shards_) {
    if (shard.get() == &home) continue;
    shard->loop.Post([self = shared_from_this(), &shard = *shard, &home, proxy = node.proxy,
                      number] { self->Supersede(shard, proxy, number, home); });
  }
  Shard::Entry& entry = home.entries[node.proxy];
  entry.stream = &stream;
  entry.number = number;
  entry.owed = false;
  Report(home, {node.proxy, number, ConnectedEvent{std::make_shared<const NodeDescription>(node)}});
  return {number, entry.bundle, std::exchange(entry.memory, {})};
}

// Ends an older stream of a shard, and hands what it knows to the newer one.
void HubState::Supersede(Shard& shard, const base::ProxyKey& proxy, uint64_t number, Shard& newer) {
  const auto found = shard.entries.find(proxy);
  if (found == shard.entries.end()) return;
  Shard::Entry& entry = found->second;
  if (entry.stream != nullptr && entry.number < number) {
    ProxyStream& older = *std::exchange(entry.stream, nullptr);
    entry.memory = older.Remember();
    entry.memory_number = entry.number;
    if (&shard != &newer) {
      newer.loop.Post([self = shared_from_this(), &newer, proxy, from = entry.number,
                       memory = entry.memory] { Keep(newer, proxy, from, memory); });
    }
    older.End(base::Error(base::Code::kCancelled, "a newer stream of this proxy took over"));
  }
  if (&shard == &newer || entry.memory_number >= number) return;
  entry.memory = {};  // the newer stream has it, and will know better
  if (entry.Idle()) shard.entries.erase(found);
}

void HubState::Unregister(runtime::SerialExecutor& loop, const base::ProxyKey& proxy,
                          uint64_t number, SessionMemory memory, DisconnectedEvent event) {
  Shard& shard = ShardOf(loop);
  const auto found = shard.entries.find(proxy);
  if (found == shard.entries.end() || found->second.number != number ||
      found->second.stream == nullptr)
    return;
  found->second.stream = nullptr;
  Report(shard, {proxy, number, std::move(event)});
  // The next stream may come to any loop.
  for (const std::unique_ptr<Shard>& other : shards_) {
    if (other.get() == &shard || memory.empty()) continue;
    other->loop.Post([self = shared_from_this(), &other = *other, proxy, number, memory] {
      Keep(other, proxy, number, memory);
    });
  }
  Keep(shard, proxy, number, memory);
}

void HubState::Keep(Shard& shard, const base::ProxyKey& proxy, uint64_t number,
                    const SessionMemory& memory) {
  Shard::Entry& entry = shard.entries[proxy];
  if (entry.stream != nullptr) {
    if (entry.number > number) entry.stream->Recall(memory);  // it was faster
  } else if (entry.memory_number <= number) {
    entry.memory = memory;
    entry.memory_number = number;
  }
  if (entry.Idle()) shard.entries.erase(proxy);
}

void HubState::Report(runtime::SerialExecutor& loop, std::vector<ProxyEvent> events) {
  if (events.empty()) return;
  Shard& shard = ShardOf(loop);
  for (ProxyEvent& event : events) Report(shard, std::move(event));
}

// What many streams report in one turn of their loop costs one hop together.
void HubState::Report(Shard& shard, ProxyEvent event) {
  if (shard.reports.empty())
    shard.loop.Post([self = shared_from_this(), &shard] { self->SendReports(shard); });
  shard.reports.push_back(std::move(event));
}

void HubState::SendReports(Shard& shard) {
  const auto shared =
      std::make_shared<const std::vector<ProxyEvent>>(std::exchange(shard.reports, {}));
  for (const Subscriber& subscriber : subscribers_) {
    subscriber.to.executor->Post([sink = subscriber.to.sink, newest = subscriber.newest, shared] {
      for (const ProxyEvent& event : *shared) {
        const bool connected = std::holds_alternative<ConnectedEvent>(event.what);
        const auto found = newest->find(event.proxy);
        const uint64_t known = found == newest->end() ? 0 : found->second;
        if (connected ? event.stream < known : event.stream != known)
          continue;  // of a stream that was replaced
        if (connected) (*newest)[event.proxy] = event.stream;
        if (std::holds_alternative<DisconnectedEvent>(event.what)) newest->erase(found);
        sink(event);
      }
    });
  }
}

void HubState::Publish(std::vector<std::pair<base::ProxyKey, BundlePtr>> bundles,
                       std::shared_ptr<void> taken) {
  using Bundles = std::vector<std::pair<base::ProxyKey, BundlePtr>>;
  ForEachShard([this, taken = std::move(taken),
                bundles = std::make_shared<const Bundles>(std::move(bundles))](Shard& shard) {
    auto& queue = bundles->size() <= kFew ? shard.few : shard.many;
    for (const auto& [proxy, bundle] : *bundles) {
      Shard::Entry& entry = shard.entries[proxy];
      entry.bundle = bundle;
      if (entry.stream == nullptr) continue;
      entry.owed = true;
      queue.emplace_back(proxy, taken);
    }
    if (!shard.giving) Give(shard);
  });
}

void HubState::Drop(base::ProxyKey proxy, bool memory) {
  ForEachShard([proxy = std::move(proxy), memory](Shard& shard) {
    const auto found = shard.entries.find(proxy);
    if (found == shard.entries.end()) return;
    found->second.bundle = nullptr;
    if (memory) found->second.memory = {};
    if (found->second.Idle()) shard.entries.erase(found);
  });
}

// Whoever got a newer bundle meanwhile is not owed the older one.
void HubState::Give(Shard& shard) {
  for (size_t given = 0; given < kGivenAtOnce && !(shard.few.empty() && shard.many.empty());) {
    auto& queue = shard.few.empty() ? shard.many : shard.few;
    const auto [proxy, taken] = std::move(queue.front());
    queue.pop_front();
    const auto found = shard.entries.find(proxy);
    if (found == shard.entries.end() || !std::exchange(found->second.owed, false) ||
        found->second.stream == nullptr || found->second.bundle == nullptr)
      continue;
    found->second.stream->OnBundle(found->second.bundle);
    ++given;
  }
  shard.giving = !(shard.few.empty() && shard.many.empty());
  if (shard.giving) shard.loop.Post([self = shared_from_this(), &shard] { self->Give(shard); });
}

}  // namespace internal

Hub::Hub(HubOptions options) : state_(std::make_shared<internal::HubState>(std::move(options))) {}
Hub::~Hub() = default;

const HubCounters& Hub::counters() const { return state_->counters(); }

void Hub::Publish(base::ProxyKey proxy, BundlePtr bundle) {
  PublishAll({{std::move(proxy), std::move(bundle)}});
}

void Hub::PublishAll(std::vector<std::pair<base::ProxyKey, BundlePtr>> bundles,
                     std::shared_ptr<void> taken) {
  state_->Publish(std::move(bundles), std::move(taken));
}

void Hub::Withdraw(base::ProxyKey proxy) { state_->Drop(std::move(proxy), false); }
void Hub::Forget(base::ProxyKey proxy) { state_->Drop(std::move(proxy), true); }

void Hub::End(base::ProxyKey proxy, base::Error reason) {
  state_->ForEachShard([state = state_, proxy = std::move(proxy),
                        reason = std::move(reason)](internal::Shard& shard) {
    const auto found = shard.entries.find(proxy);
    if (found == shard.entries.end() || found->second.stream == nullptr) return;
    internal::ProxyStream& stream = *found->second.stream;
    state->Unregister(shard.loop, proxy, found->second.number, stream.Remember(),
                      {reason.message()});
    stream.End(reason);
  });
}

void Hub::Describe(base::ProxyKey proxy, std::function<void(std::string)> done) {
  // The last loop to answer has the whole answer; each writes its part before it counts down.
  struct Answer {
    explicit Answer(size_t loops) : parts(loops), open(loops) {}
    std::vector<std::string> parts;
    std::atomic<size_t> open;
    std::atomic<size_t> next{0};
  };
  const auto answer = std::make_shared<Answer>(state_->options().loops.size());
  state_->ForEachShard(
      [answer, proxy = std::move(proxy), done = std::move(done)](internal::Shard& shard) {
        const auto found = shard.entries.find(proxy);
        std::string& part = answer->parts[answer->next.fetch_add(1)];
        if (found != shard.entries.end() && found->second.stream != nullptr)
          part = found->second.stream->Describe();
        if (answer->open.fetch_sub(1) != 1) return;
        std::string text;
        for (const std::string& other : answer->parts) text += other;
        done(std::move(text));
      });
}

}  // namespace kuma::xds

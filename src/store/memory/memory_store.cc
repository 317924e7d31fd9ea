#include "store/memory/memory_store.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "store/internal/live_table.h"

namespace kuma::store {
namespace {

using Done = std::function<void(base::Result<Committed>)>;

// Thread-safe. The commit mutex makes each committing thread the writer in turn.
class MemoryStore : public Store {
 public:
  explicit MemoryStore(const runtime::Clock& clock) : clock_(clock) {}

  base::Result<ResourcePtr> Get(const ResourceKey& key) override { return live_.Get(key); }
  base::Result<Page> List(const ListQuery& query) override { return live_.List(query); }
  base::Result<WatchHandle> Watch(WatchSink& sink) override { return live_.Watch(sink); }
  base::Status Ping() override { return base::Ok{}; }
  Revision revision() const override { return live_.revision(); }

  void CommitAsync(Transaction transaction, Done done) override { done(Apply(transaction)); }

 protected:
  base::Result<Committed> Apply(const Transaction& transaction) {
    std::lock_guard lock(commit_mutex_);
    internal::Stage stage(live_.table());
    TRY_ASSIGN(auto plan,
               internal::PlanTransaction(transaction, live_.revision(), clock_.WallNow(), stage));
    live_.Install(plan.events, plan.answer.revision);
    return std::move(plan.answer);
  }

 private:
  const runtime::Clock& clock_;  // outlives this
  std::mutex commit_mutex_;
  internal::LiveTable live_;
};

// Commits on a thread of its own, in the order of the calls.
class ThreadedMemoryStore final : public MemoryStore {
 public:
  explicit ThreadedMemoryStore(const runtime::Clock& clock)
      : MemoryStore(clock), writer_([this] { Run(); }) {}

  // Commits what is queued first.
  ~ThreadedMemoryStore() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    writer_.join();
  }

  void CommitAsync(Transaction transaction, Done done) override {
    {
      std::lock_guard lock(mutex_);
      queue_.emplace_back(std::move(transaction), std::move(done));
    }
    wake_.notify_one();
  }

 private:
  void Run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      auto [transaction, done] = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      done(Apply(transaction));
    }
  }

  std::mutex mutex_;  // guards the two below
  std::deque<std::pair<Transaction, Done>> queue_;
  bool stopping_ = false;
  std::condition_variable wake_;
  std::thread writer_;
};

}  // namespace

std::unique_ptr<Store> NewMemoryStore(const runtime::Clock& clock, bool inline_commits) {
  if (inline_commits) return std::make_unique<MemoryStore>(clock);
  return std::make_unique<ThreadedMemoryStore>(clock);
}

}  // namespace kuma::store

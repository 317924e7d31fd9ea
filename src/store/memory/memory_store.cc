#include "store/memory/memory_store.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "store/internal/history.h"
#include "store/internal/live_table.h"

namespace kuma::store {
namespace {

using Done = std::function<void(base::Result<Committed>)>;

// Thread-safe. The commit mutex makes each committing thread the writer in turn.
class MemoryStore : public Store {
 public:
  MemoryStore(const runtime::Clock& clock, HistoryLimits history)
      : clock_(clock), kept_(history, Revision{}) {}

  base::Result<ResourcePtr> Get(const ResourceKey& key) override { return live_.Get(key); }
  base::Result<Page> List(const ListQuery& query) override { return live_.List(query); }
  base::Result<WatchHandle> Watch(Revision from, WatchSink& sink) override {
    return live_.Watch(from, sink);
  }
  base::Result<HistoryPage> History(const HistoryQuery& query) override {
    std::lock_guard lock(history_mutex_);
    Trim();
    HistoryPage page;
    page.complete_after = kept_.complete_after();
    for (auto end = history_.end(); end != history_.begin();) {
      auto begin = std::prev(end);
      while (begin != history_.begin() && std::prev(begin)->revision == begin->revision) --begin;
      for (auto entry = begin; entry != end; ++entry) {
        if (internal::Matches(query, *entry) && !internal::AddToPage(query, *entry, page)) {
          return page;
        }
      }
      end = begin;
    }
    return page;
  }
  base::Status Ping() override { return base::Ok{}; }
  Revision revision() const override { return live_.revision(); }

  void CommitAsync(Transaction transaction, Done done) override { done(Apply(transaction)); }

 protected:
  base::Result<Committed> Apply(const Transaction& transaction) {
    std::lock_guard lock(commit_mutex_);
    internal::Stage stage(live_.table());
    TRY_ASSIGN(auto plan,
               internal::PlanTransaction(transaction, live_.revision(), clock_.WallNow(), stage));
    Record(std::move(plan.history));
    live_.Install(plan.events, plan.answer.revision);
    return std::move(plan.answer);
  }

 private:
  void Record(std::vector<HistoryEntry> entries) {
    if (entries.empty()) return;
    std::lock_guard lock(history_mutex_);
    kept_.Add(entries.front().revision, entries.front().time);
    for (HistoryEntry& entry : entries) history_.push_back(std::move(entry));
    Trim();
  }

  void Trim() {
    kept_.DropTo(kept_.Cut(clock_.WallNow()));
    while (!history_.empty() && history_.front().revision <= kept_.complete_after()) {
      history_.pop_front();
    }
  }

  const runtime::Clock& clock_;  // outlives this
  std::mutex commit_mutex_;
  internal::LiveTable live_;
  std::mutex history_mutex_;  // guards the two below
  internal::KeptRevisions kept_;
  std::deque<HistoryEntry> history_;  // oldest first
};

// Commits on a thread of its own, in the order of the calls.
class ThreadedMemoryStore final : public MemoryStore {
 public:
  ThreadedMemoryStore(const runtime::Clock& clock, HistoryLimits history)
      : MemoryStore(clock, history), writer_([this] { Run(); }) {}

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

std::unique_ptr<Store> NewMemoryStore(const runtime::Clock& clock, bool inline_commits,
                                      HistoryLimits history) {
  if (inline_commits) return std::make_unique<MemoryStore>(clock, history);
  return std::make_unique<ThreadedMemoryStore>(clock, history);
}

}  // namespace kuma::store

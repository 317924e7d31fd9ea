#pragma once

// A store in front of another that fails and is slow on request.

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "store/store.h"

namespace kuma::kit {

// Thread-safe. Without faults it behaves as the store behind it, which must outlive it.
class FaultyStore final : public store::Store {
 public:
  enum class Fault {
    kNone,
    kRefused,     // nothing is stored; the answer is kUnavailable
    kAnswerLost,  // it is stored, and the answer is kUnavailable all the same
  };
  // What happens to a commit; called once for each when it would take effect, never twice at once.
  using Choose = std::function<Fault(const store::Transaction&)>;
  // Runs commits later, in the order of the calls.
  using Delay = std::function<void(std::function<void()> commit)>;
  // Sees what became of each commit.
  using Observe =
      std::function<void(const store::Transaction&, const base::Result<store::Committed>&)>;

  explicit FaultyStore(store::Store& inner) : inner_(inner) {}

  void Inject(Choose choose) {
    std::lock_guard lock(mutex_);
    choose_ = std::move(choose);
  }
  void DelayBy(Delay delay) {
    std::lock_guard lock(mutex_);
    delay_ = std::move(delay);
  }
  void ObserveBy(Observe observe) {
    std::lock_guard lock(mutex_);
    observe_ = std::move(observe);
  }
  // Reads, watches and Ping answer kUnavailable.
  void FailReads(bool fail) {
    std::lock_guard lock(mutex_);
    fail_reads_ = fail;
  }
  // Commits wait, in order, until Release; they take effect then.
  void Hold() {
    std::lock_guard lock(mutex_);
    holding_ = true;
  }
  void Release() {
    std::vector<std::function<void()>> held;
    {
      std::lock_guard lock(mutex_);
      holding_ = false;
      held.swap(held_);
    }
    for (const auto& commit : held) commit();
  }

  base::Result<store::ResourcePtr> Get(const store::ResourceKey& key) override {
    TRY(Reading());
    return inner_.Get(key);
  }
  base::Result<store::Page> List(const store::ListQuery& query) override {
    TRY(Reading());
    return inner_.List(query);
  }
  using store::Store::Watch;
  base::Result<store::WatchHandle> Watch(store::Revision from, store::WatchSink& sink) override {
    TRY(Reading());
    return inner_.Watch(from, sink);
  }
  base::Result<store::HistoryPage> History(const store::HistoryQuery& query) override {
    TRY(Reading());
    return inner_.History(query);
  }
  base::Status Ping() override {
    TRY(Reading());
    return inner_.Ping();
  }
  store::Revision revision() const override { return inner_.revision(); }

  void CommitAsync(store::Transaction transaction,
                   std::function<void(base::Result<store::Committed>)> done) override {
    std::function<void()> commit = [this, transaction = std::move(transaction),
                                    done = std::move(done)]() mutable {
      Forward(std::move(transaction), std::move(done));
    };
    Delay delay;
    {
      std::lock_guard lock(mutex_);
      if (holding_) return held_.push_back(std::move(commit));
      delay = delay_;
    }
    if (delay) return delay(std::move(commit));
    commit();
  }

 private:
  using Done = std::function<void(base::Result<store::Committed>)>;

  void Forward(store::Transaction transaction, Done done) {
    Fault fault = Fault::kNone;
    Observe observe;
    {
      std::lock_guard lock(mutex_);
      if (choose_) fault = choose_(transaction);
      observe = observe_;
    }
    if (fault == Fault::kRefused) return done(base::Unavailable("injected: refused"));
    if (fault == Fault::kAnswerLost) {
      done = [done = std::move(done)](const base::Result<store::Committed>&) {
        done(base::Unavailable("injected: the answer was lost"));
      };
    }
    if (observe) {
      done = [observe, transaction, done = std::move(done)](base::Result<store::Committed> result) {
        observe(transaction, result);
        done(std::move(result));
      };
    }
    inner_.CommitAsync(std::move(transaction), std::move(done));
  }

  base::Status Reading() {
    std::lock_guard lock(mutex_);
    if (fail_reads_) return base::Unavailable("injected: reads fail");
    return base::Ok{};
  }

  store::Store& inner_;
  std::mutex mutex_;  // guards all below
  Choose choose_;
  Delay delay_;
  Observe observe_;
  bool fail_reads_ = false;
  bool holding_ = false;
  std::vector<std::function<void()>> held_;
};

}  // namespace kuma::kit

#pragma once

// A store in front of another that fails on request.

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "store/store.h"

namespace kuma::test {

// Thread-safe. Without faults it behaves as the store behind it, which must outlive it.
class FaultyStore final : public store::Store {
 public:
  enum class Fault {
    kNone,
    kRefused,     // nothing is stored; the answer is kUnavailable
    kAnswerLost,  // it is stored, and the answer is kUnavailable all the same
  };
  // What happens to a commit; called once for each, on the committing thread, never twice at once.
  using Choose = std::function<Fault(const store::Transaction&)>;

  explicit FaultyStore(store::Store& inner) : inner_(inner) {}

  void Inject(Choose choose) {
    std::lock_guard lock(mutex_);
    choose_ = std::move(choose);
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
    Fault fault = Fault::kNone;
    {
      std::lock_guard lock(mutex_);
      if (choose_) fault = choose_(transaction);
      if (holding_) {
        held_.push_back(
            [this, fault, transaction = std::move(transaction), done = std::move(done)]() mutable {
              Forward(fault, std::move(transaction), std::move(done));
            });
        return;
      }
    }
    Forward(fault, std::move(transaction), std::move(done));
  }

 private:
  void Forward(Fault fault, store::Transaction transaction,
               std::function<void(base::Result<store::Committed>)> done) {
    if (fault == Fault::kRefused) return done(base::Unavailable("injected: refused"));
    if (fault == Fault::kAnswerLost) {
      done = [done = std::move(done)](const base::Result<store::Committed>&) {
        done(base::Unavailable("injected: the answer was lost"));
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
  bool fail_reads_ = false;
  bool holding_ = false;
  std::vector<std::function<void()>> held_;
};

}  // namespace kuma::test

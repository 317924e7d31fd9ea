#pragma once

// What every backend of store::Store keeps. Include it in one file of a test program and
// instantiate StoreSuite with the backends:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, StoreSuite, ::testing::Values(Backend{...}));

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <ctime>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "tests/conformance/store_kinds.h"
#include "tests/kit/faulty_store.h"

namespace kuma::store_test {

using base::Code;
using store::Committed;
using store::HistoryEntry;
using store::HistoryQuery;
using store::ListQuery;
using store::Store;
using store::StoreEvent;
using store::Transaction;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Backend {
  std::string name;
  bool persistent = false;  // a second Open of the same folder finds what the first one stored
  std::function<std::unique_ptr<Store>(const std::string& folder, const runtime::Clock& clock,
                                       store::HistoryLimits history)>
      open;
};

// Checks the promises of a watch while it runs and keeps what it saw.
class Recorder final : public store::WatchSink {
 public:
  Recorder() = default;
  // One that knows `state` as of `revision` already.
  Recorder(store::Revision revision, std::map<model::ResourceKey, model::ResourcePtr> state)
      : snapshots_(1), revision_(revision), state_(std::move(state)), resumed_(true) {}

  void OnSnapshot(store::Revision revision, std::vector<model::ResourcePtr> resources) override {
    std::lock_guard lock(mutex_);
    if (snapshots_++ > 0) faults_.push_back("second snapshot");
    revision_ = revision;
    for (auto& resource : resources) state_[resource->key()] = resource;
  }

  void OnEvents(std::span<const StoreEvent> events) override {
    std::lock_guard lock(mutex_);
    if (snapshots_ == 0) faults_.push_back("event before the snapshot");
    if (events.empty()) faults_.push_back("empty call");
    const store::Revision before_call = revision_;
    for (const StoreEvent& event : events) {
      if (event.revision <= before_call) faults_.push_back("revision came twice");
      if (event.revision < revision_) faults_.push_back("revision went back");
      revision_ = event.revision;
      const auto found = state_.find(event.key);
      const model::ResourcePtr known = found == state_.end() ? nullptr : found->second;
      const bool skips =
          resumed_ && (event.after != nullptr ? event.after : event.before)->type().is_insight;
      if (event.before != known && !skips)
        faults_.push_back("before is not what was known: " + event.key.ToString());
      if (event.after != nullptr) {
        if (event.after->meta().revision != event.revision) faults_.push_back("revision of after");
        state_[event.key] = event.after;
      } else {
        if (known == nullptr && !skips) faults_.push_back("deletion of an absent resource");
        state_.erase(event.key);
      }
      events_.push_back(event);
    }
    changed_.notify_all();
  }

  store::Revision revision() {
    std::lock_guard lock(mutex_);
    return revision_;
  }
  std::vector<std::string> Faults() {
    std::lock_guard lock(mutex_);
    return faults_;
  }
  std::vector<StoreEvent> Events() {
    std::lock_guard lock(mutex_);
    return events_;
  }
  std::map<model::ResourceKey, model::ResourcePtr> State() {
    std::lock_guard lock(mutex_);
    return state_;
  }
  bool WaitFor(store::Revision revision) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return revision_ >= revision; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int snapshots_ = 0;
  store::Revision revision_;
  std::map<model::ResourceKey, model::ResourcePtr> state_;
  bool resumed_ = false;
  std::vector<StoreEvent> events_;
  std::vector<std::string> faults_;
};

inline std::string MakeFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "store-test-XXXXXX").string();
  EXPECT_NE(mkdtemp(pattern.data()), nullptr);
  return pattern;
}

class StoreSuite : public ::testing::TestWithParam<Backend> {
 protected:
  StoreSuite() : folder_(MakeFolder()) { Open(); }
  ~StoreSuite() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Open(store::HistoryLimits history = {}) {
    store_.reset();
    store_ = GetParam().open(folder_, clock_, history);
    ASSERT_NE(store_, nullptr);
  }
  // A user's transaction.
  Committed CommitFor(const std::string& user, std::vector<store::Write> writes) {
    Transaction transaction = Writes(std::move(writes));
    transaction.origin = store::Origin{user, "10.0.0.1"};
    auto committed = store_->Commit(std::move(transaction));
    EXPECT_TRUE(committed.has_value()) << committed.error().message();
    return committed.has_value() ? *committed : Committed{};
  }
  store::HistoryPage History(const HistoryQuery& query = {}) {
    auto page = store_->History(query);
    EXPECT_TRUE(page.has_value()) << page.error().message();
    return page.has_value() ? *std::move(page) : store::HistoryPage{};
  }
  // "4 ann +Widget m/a", with "+", "~" or "-" for created, updated, deleted.
  std::vector<std::string> Changes(const HistoryQuery& query = {}) {
    std::vector<std::string> changes;
    for (const HistoryEntry& entry : History(query).entries) {
      const char* verb = !entry.before.has_value() ? "+" : entry.after.has_value() ? "~" : "-";
      changes.push_back(std::to_string(entry.revision.value) + " " + entry.origin.user + " " +
                        verb + entry.key.ToString());
    }
    return changes;
  }

  // Expects success.
  Committed Commit(std::vector<store::Write> writes) {
    auto committed = store_->Commit(Writes(std::move(writes)));
    EXPECT_TRUE(committed.has_value()) << committed.error().message();
    return committed.has_value() ? *committed : Committed{};
  }
  base::Error CommitFails(std::vector<store::Write> writes) {
    auto committed = store_->Commit(Writes(std::move(writes)));
    EXPECT_FALSE(committed.has_value());
    return committed.has_value() ? base::Internal("no error") : committed.error();
  }
  model::ResourcePtr Get(const model::ResourceKey& key) {
    auto found = store_->Get(key);
    EXPECT_TRUE(found.has_value()) << found.error().message();
    return found.has_value() ? *found : nullptr;
  }
  std::vector<std::string> Names(const ListQuery& query) {
    auto page = store_->List(query);
    EXPECT_TRUE(page.has_value());
    std::vector<std::string> names;
    if (page.has_value()) {
      for (const auto& item : page->items) names.push_back(item->mesh() + "/" + item->name());
    }
    return names;
  }

  const std::string folder_;
  TestClock clock_;
  std::unique_ptr<Store> store_;
};

TEST_P(StoreSuite, StoresReadsUpdatesAndDeletes) {
  EXPECT_EQ(store_->revision().value, 0u);
  EXPECT_EQ(store_->Get(WidgetKey("a")).error().code(), Code::kNotFound);

  const Committed first = Commit({Put(Widget("a", {"one", 1}))});
  EXPECT_TRUE(first.changed);
  EXPECT_EQ(first.revision.value, 1u);
  EXPECT_THAT(first.created, ElementsAre(true));
  const auto created_at = clock_.WallNow();
  EXPECT_EQ(Get(WidgetKey("a"))->Spec<Body>(), (Body{"one", 1}));

  clock_.Advance(std::chrono::seconds(5));
  const Committed second = Commit({Put(Widget("a", {"two", 2}))});
  EXPECT_EQ(second.revision.value, 2u);
  EXPECT_THAT(second.created, ElementsAre(false));
  const auto updated = Get(WidgetKey("a"));
  EXPECT_EQ(updated->Spec<Body>(), (Body{"two", 2}));
  EXPECT_EQ(updated->meta().revision.value, 2u);
  EXPECT_EQ(updated->meta().creation_time, created_at);
  EXPECT_EQ(updated->meta().modification_time, clock_.WallNow());

  EXPECT_EQ(Commit({Delete(WidgetKey("a"))}).revision.value, 3u);
  EXPECT_EQ(store_->Get(WidgetKey("a")).error().code(), Code::kNotFound);
  EXPECT_EQ(CommitFails({Delete(WidgetKey("a"))}).code(), Code::kNotFound);
  EXPECT_EQ(store_->revision().value, 3u);
  EXPECT_TRUE(store_->Ping().has_value());
}

TEST_P(StoreSuite, KeepsKindsMeshesAndNamesApart) {
  Commit(
      {Put(Widget("x", {"w", 1}, "m1")), Put(Widget("x", {"w", 2}, "m2")), Put(Realm("x", "r"))});
  EXPECT_EQ(NumberOf(*store_, {"Widget", "m1", "x"}), 1);
  EXPECT_EQ(NumberOf(*store_, {"Widget", "m2", "x"}), 2);
  Commit({Delete({"Widget", "m1", "x"})});
  EXPECT_EQ(NumberOf(*store_, {"Widget", "m1", "x"}), -1);
  EXPECT_EQ(NumberOf(*store_, {"Widget", "m2", "x"}), 2);
  EXPECT_EQ(NumberOf(*store_, RealmKey("x")), 0);
}

TEST_P(StoreSuite, EqualPutIsNoWrite) {
  Recorder recorder;
  Commit({Put(Realm("r"))});
  Given given{.mesh = "m",
              .name = "a",
              .spec = {"s", 1},
              .status = Body{"t", 2},
              .labels = {{"k", "v"}},
              .owner = RealmKey("r"),
              .owned_by_proxy = true};
  const Committed first = Commit({Put(Make(WidgetType(), given))});
  auto watch = store_->Watch(recorder);
  clock_.Advance(std::chrono::seconds(5));
  const Committed same = Commit({Put(Make(WidgetType(), given))});
  EXPECT_FALSE(same.changed);
  EXPECT_EQ(same.revision, first.revision);
  EXPECT_THAT(same.created, ElementsAre(false));
  EXPECT_EQ(Get(WidgetKey("a"))->meta().modification_time + std::chrono::seconds(5),
            clock_.WallNow());

  // Each of these alone is a change.
  auto expect_change = [&](const std::function<void(Given&)>& change) {
    change(given);
    EXPECT_TRUE(Commit({Put(Make(WidgetType(), given))}).changed);
  };
  expect_change([](Given& g) { g.spec.number = 7; });
  expect_change([](Given& g) { g.status->number = 7; });
  expect_change([](Given& g) { g.labels["k"] = "w"; });
  expect_change([](Given& g) { g.owned_by_proxy = false; });
  expect_change([](Given& g) { g.owner.reset(); });
  EXPECT_EQ(recorder.Events().size(), 5u);
  EXPECT_THAT(recorder.Faults(), IsEmpty());
}

TEST_P(StoreSuite, CompareAndSet) {
  Commit({Put(Widget("a", {"", 1}), 0)});
  const base::Error exists = CommitFails({Put(Widget("a", {"", 2}), 0)});
  EXPECT_EQ(exists.code(), Code::kConflict);
  EXPECT_THAT(exists.message(), HasSubstr("Widget m/a"));
  EXPECT_EQ(CommitFails({Put(Widget("b"), 1)}).code(), Code::kConflict);
  EXPECT_EQ(CommitFails({Put(Widget("a", {"", 2}), 9)}).code(), Code::kConflict);
  EXPECT_EQ(CommitFails({Delete(WidgetKey("a"), 9)}).code(), Code::kConflict);
  EXPECT_EQ(Commit({Put(Widget("a", {"", 2}), 1)}).revision.value, 2u);
  EXPECT_EQ(CommitFails({Put(Widget("a", {"", 3}), 1)}).code(), Code::kConflict);
  // Even a put that would change nothing.
  EXPECT_EQ(CommitFails({Put(Widget("a", {"", 2}), 1)}).code(), Code::kConflict);
  EXPECT_EQ(Commit({Delete(WidgetKey("a"), 2)}).revision.value, 3u);
}

TEST_P(StoreSuite, CompareAndSetLosesNoUpdate) {
  constexpr int kThreads = 8;
  constexpr int kEach = 40;
  Commit({Put(Widget("counter"))});
  std::vector<std::thread> threads;
  std::atomic<int> conflicts = 0;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int done = 0; done < kEach;) {
        const auto read = store_->Get(WidgetKey("counter"));
        Body next = (*read)->Spec<Body>();
        ++next.number;
        auto result =
            store_->Commit(Writes({Put(Widget("counter", next), (*read)->meta().revision.value)}));
        if (result.has_value()) {
          ++done;
        } else if (result.error().code() == Code::kConflict) {
          ++conflicts;
        } else {
          ADD_FAILURE() << result.error().message();
          return;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(NumberOf(*store_, WidgetKey("counter")), kThreads * kEach);
  EXPECT_EQ(store_->revision().value, 1u + kThreads * kEach);
}

TEST_P(StoreSuite, TwoHundredWritersLoseNoUpdate) {
  constexpr int kWriters = 200;
  constexpr int kEach = 3;
  const std::string names[] = {"a", "b", "c"};
  for (const std::string& name : names) Commit({Put(Widget(name))});
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      for (int done = 0; done < kEach;) {
        const std::string& name = names[(w + done) % 3];
        const auto read = store_->Get(WidgetKey(name));
        const Body next{"", (*read)->Spec<Body>().number + 1};
        auto result =
            store_->Commit(Writes({Put(Widget(name, next), (*read)->meta().revision.value),
                                   Put(Widget("of-" + std::to_string(w), {"", done + 1}))}));
        if (result.has_value()) {
          ++done;
        } else if (result.error().code() != Code::kConflict) {
          ADD_FAILURE() << result.error().message();
          return;
        }
      }
    });
  }
  for (auto& writer : writers) writer.join();
  for (const std::string& name : names)
    EXPECT_EQ(NumberOf(*store_, WidgetKey(name)), kWriters * kEach / 3);
  for (int w = 0; w < kWriters; ++w)
    EXPECT_EQ(NumberOf(*store_, WidgetKey("of-" + std::to_string(w))), kEach);
  EXPECT_EQ(store_->revision().value, 3u + kWriters * kEach);
}

// Commits are refused or their answers are lost; a writer finds out by reading what happened.
TEST_P(StoreSuite, NoUpdateIsLostOrDoubledThroughFaults) {
  constexpr int kWriters = 8;
  constexpr int kEach = 25;
  kit::FaultyStore faulty(*store_);
  std::mt19937 random(20261125);
  std::map<kit::FaultyStore::Fault, int> faults;
  faulty.Inject([&](const Transaction&) {
    using Fault = kit::FaultyStore::Fault;
    const Fault fault = random() % 5 == 0   ? Fault::kRefused
                        : random() % 4 == 0 ? Fault::kAnswerLost
                                            : Fault::kNone;
    ++faults[fault];
    return fault;
  });
  Commit({Put(Widget("counter"))});
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      const std::string own = "of-" + std::to_string(w);
      for (int done = 0; done < kEach;) {
        const auto read = faulty.Get(WidgetKey("counter"));
        const Body next{"", (*read)->Spec<Body>().number + 1};
        (void)faulty.Commit(Writes({Put(Widget("counter", next), (*read)->meta().revision.value),
                                    Put(Widget(own, {"", done + 1}))}));
        done = static_cast<int>(std::max<int64_t>(NumberOf(faulty, WidgetKey(own)), 0));
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(NumberOf(*store_, WidgetKey("counter")), kWriters * kEach);
  EXPECT_EQ(store_->revision().value, 1u + kWriters * kEach);
  EXPECT_THAT(faults, SizeIs(3));
}

TEST_P(StoreSuite, HeldCommitsTakeEffectInOrder) {
  kit::FaultyStore faulty(*store_);
  faulty.Hold();
  std::vector<std::string> answers;
  for (const char* text : {"one", "two", "three"}) {
    faulty.CommitAsync(Writes({Put(Widget("a", {text, 1}))}), [&answers, text](auto committed) {
      answers.push_back(text + std::string(committed.has_value() ? "" : " failed"));
    });
  }
  EXPECT_EQ(NumberOf(*store_, WidgetKey("a")), -1);
  faulty.Release();
  ASSERT_TRUE(store_->Commit(Writes({Put(Widget("behind"))})).has_value());
  EXPECT_THAT(answers, ElementsAre("one", "two", "three"));
  EXPECT_EQ(Get(WidgetKey("a"))->Spec<Body>().text, "three");

  faulty.FailReads(true);
  Recorder recorder;
  EXPECT_EQ(faulty.Get(WidgetKey("a")).error().code(), Code::kUnavailable);
  EXPECT_EQ(faulty.Watch(recorder).error().code(), Code::kUnavailable);
}

TEST_P(StoreSuite, ListsInOrderWithFiltersAndPages) {
  for (const char* name : {"b-1", "a-2", "a-1"}) {
    for (const char* mesh : {"m2", "m1"}) {
      Given given{.mesh = mesh,
                  .name = name,
                  .spec = {},
                  .status = {},
                  .labels = {{"app", name}, {"mesh", mesh}},
                  .owner = {}};
      Commit({Put(Make(WidgetType(), given))});
    }
  }
  Commit({Put(Realm("a-9"))});
  ListQuery query{.kind = "Widget"};
  EXPECT_THAT(Names(query),
              ElementsAre("m1/a-1", "m1/a-2", "m1/b-1", "m2/a-1", "m2/a-2", "m2/b-1"));
  query.mesh = "m2";
  EXPECT_THAT(Names(query), ElementsAre("m2/a-1", "m2/a-2", "m2/b-1"));
  query.name_contains = "-1";
  EXPECT_THAT(Names(query), ElementsAre("m2/a-1", "m2/b-1"));
  query.labels = {{"app", "b-1"}, {"mesh", "m2"}};
  EXPECT_THAT(Names(query), ElementsAre("m2/b-1"));
  query.labels = {{"app", "b-1"}, {"mesh", "m1"}};
  EXPECT_THAT(Names(query), IsEmpty());

  ListQuery paged{.kind = "Widget", .name_contains = "a", .offset = 1, .limit = 2};
  const auto page = store_->List(paged);
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->total, 4u);
  EXPECT_EQ(page->revision.value, 7u);
  EXPECT_THAT(Names(paged), ElementsAre("m1/a-2", "m2/a-1"));
  paged.offset = 4;
  EXPECT_THAT(Names(paged), IsEmpty());
  EXPECT_EQ(store_->List(paged)->total, 4u);

  EXPECT_THAT(Names({.kind = "Widget", .mesh = "none"}), IsEmpty());
  EXPECT_THAT(Names({.kind = "Unheard"}), IsEmpty());
  EXPECT_EQ(store_->List({}).error().code(), Code::kInvalid);
}

TEST_P(StoreSuite, TransactionIsAllOrNothing) {
  Commit({Put(Widget("a", {"", 1}))});
  Recorder recorder;
  auto watch = store_->Watch(recorder);
  EXPECT_EQ(
      CommitFails({Put(Widget("a", {"", 2})), Put(Widget("b")), Delete(WidgetKey("none"))}).code(),
      Code::kNotFound);
  EXPECT_EQ(CommitFails({Delete(WidgetKey("a")), Put(Widget("b"), 5)}).code(), Code::kConflict);
  EXPECT_EQ(NumberOf(*store_, WidgetKey("a")), 1);
  EXPECT_EQ(NumberOf(*store_, WidgetKey("b")), -1);
  EXPECT_EQ(store_->revision().value, 1u);
  EXPECT_THAT(recorder.Events(), IsEmpty());

  const Committed all =
      Commit({Put(Widget("a", {"", 2})), Put(Widget("b")), Put(Widget("a", {"", 2}))});
  EXPECT_THAT(all.created, ElementsAre(false, true, false));
  EXPECT_EQ(Get(WidgetKey("a"))->meta().revision, all.revision);
  EXPECT_EQ(Get(WidgetKey("b"))->meta().revision, all.revision);
  EXPECT_EQ(recorder.Events().size(), 2u);
}

TEST_P(StoreSuite, WritesOfOneTransactionSeeOneAnother) {
  Recorder recorder;
  auto watch = store_->Watch(recorder);
  const Committed done = Commit({Put(Widget("a", {"", 1})), Put(Widget("a", {"", 2})),
                                 Delete(WidgetKey("a")), Put(Widget("a", {"", 3}), 0)});
  EXPECT_THAT(done.created, ElementsAre(true, false, false, true));
  EXPECT_EQ(NumberOf(*store_, WidgetKey("a")), 3);
  EXPECT_TRUE(recorder.WaitFor(done.revision));
  EXPECT_THAT(recorder.Faults(), IsEmpty());
  Commit({Put(Realm("brief")), Delete(RealmKey("brief"))});
  EXPECT_EQ(NumberOf(*store_, RealmKey("brief")), -1);
}

TEST_P(StoreSuite, ReadersNeverSeeHalfATransaction) {
  Commit({Put(Widget("left")), Put(Widget("right"))});
  std::atomic<bool> stop = false;
  std::thread reader([&] {
    while (!stop) {
      const auto page = store_->List({.kind = "Widget", .mesh = "m"});
      const int64_t left = page->items[0]->Spec<Body>().number;
      const int64_t right = page->items[1]->Spec<Body>().number;
      if (left != right) ADD_FAILURE() << left << " and " << right;
      for (const auto& item : page->items) {
        if (item->meta().revision > page->revision) ADD_FAILURE() << "newer than its page";
      }
    }
  });
  for (int i = 1; i <= 100; ++i)
    Commit({Put(Widget("left", {"", i})), Put(Widget("right", {"", i}))});
  stop = true;
  reader.join();
}

TEST_P(StoreSuite, DeletingAnOwnerDeletesAllItOwns) {
  const auto owned = [](const char* name, model::ResourceKey owner) {
    return Make(WidgetType(), {.mesh = "m", .name = name, .owner = std::move(owner)});
  };
  const auto insight =
      Make(WidgetInsightType(), {.mesh = "m", .name = "i", .owner = WidgetKey("child")});
  Commit({Put(Realm("r")), Put(owned("child", RealmKey("r"))),
          Put(owned("grandchild", WidgetKey("child"))), Put(Widget("free"))});
  Commit({Put(insight)});
  Commit({Put(owned("late", RealmKey("r")))});
  Commit({Put(owned("freed", RealmKey("r")))});
  Commit({Put(Widget("freed"))});

  Recorder recorder;
  auto watch = store_->Watch(recorder);
  const Committed done = Commit({Delete(RealmKey("r"))});
  std::vector<std::string> gone;
  for (const StoreEvent& event : recorder.Events()) {
    EXPECT_EQ(event.revision, done.revision);
    EXPECT_EQ(event.after, nullptr);
    gone.push_back(event.key.name);
  }
  EXPECT_THAT(gone, ElementsAre("r", "child", "late", "grandchild", "i"));
  EXPECT_THAT(recorder.Faults(), IsEmpty());
  EXPECT_THAT(Names({.kind = "Widget"}), ElementsAre("m/free", "m/freed"));
  EXPECT_EQ(NumberOf(*store_, InsightKey("i")), -1);
}

TEST_P(StoreSuite, OwnerMustExist) {
  const auto orphan = Make(WidgetType(), {.mesh = "m", .name = "a", .owner = RealmKey("r")});
  const base::Error error = CommitFails({Put(orphan)});
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_THAT(error.message(), HasSubstr("Realm r"));
  Commit({Put(orphan), Put(Realm("r"))});  // in either order
  EXPECT_EQ(CommitFails({Delete(RealmKey("r")), Put(orphan)}).code(), Code::kNotFound);
  EXPECT_EQ(NumberOf(*store_, WidgetKey("a")), 0);
  // What the transaction itself puts is deleted with its owner.
  Commit({Put(Make(WidgetType(), {.mesh = "m", .name = "b", .owner = RealmKey("r")})),
          Delete(RealmKey("r"))});
  EXPECT_EQ(NumberOf(*store_, WidgetKey("a")), -1);
  EXPECT_EQ(NumberOf(*store_, WidgetKey("b")), -1);
}

TEST_P(StoreSuite, CycleOfOwnersGoesTogether) {
  const auto owned = [](const char* name, const char* owner) {
    return Make(WidgetType(), {.mesh = "m", .name = name, .owner = WidgetKey(owner)});
  };
  Commit({Put(owned("a", "b")), Put(owned("b", "a")), Put(owned("self", "self"))});
  Commit({Delete(WidgetKey("a"))});
  Commit({Delete(WidgetKey("self"))});
  EXPECT_THAT(ShowAll(*store_), IsEmpty());
}

TEST_P(StoreSuite, StatusAndSpecAreWrittenApart) {
  Given given{.mesh = "m",
              .name = "a",
              .spec = {"spec", 1},
              .status = {},
              .labels = {{"k", "v"}},
              .owner = {},
              .owned_by_proxy = true};
  const auto status_write = [](Body status) {
    store::Write write = Put(std::make_shared<const model::Resource>(
        WidgetType(), Make(WidgetType(), {.mesh = "m", .name = "a"})->meta(), nullptr,
        std::make_shared<const Body>(std::move(status))));
    write.status_only = true;
    return write;
  };
  EXPECT_EQ(CommitFails({status_write({"early", 0})}).code(), Code::kNotFound);
  Commit({Put(Make(WidgetType(), given))});
  EXPECT_EQ(Get(WidgetKey("a"))->Status<Body>(), nullptr);
  EXPECT_TRUE(Commit({status_write({"status", 2})}).changed);
  EXPECT_FALSE(Commit({status_write({"status", 2})}).changed);
  auto stored = Get(WidgetKey("a"));
  EXPECT_EQ(stored->Spec<Body>(), (Body{"spec", 1}));
  EXPECT_EQ(*stored->Status<Body>(), (Body{"status", 2}));
  EXPECT_EQ(stored->meta().labels, given.labels);
  EXPECT_TRUE(stored->meta().owned_by_proxy);

  given.spec.number = 3;  // a writer of specs knows of no status
  Commit({Put(Make(WidgetType(), given))});
  stored = Get(WidgetKey("a"));
  EXPECT_EQ(stored->Spec<Body>(), (Body{"spec", 3}));
  EXPECT_EQ(*stored->Status<Body>(), (Body{"status", 2}));
  EXPECT_FALSE(Commit({Put(Make(WidgetType(), given))}).changed);
}

TEST_P(StoreSuite, RefusesWhatIsNotWellFormed) {
  EXPECT_EQ(CommitFails({store::Write{}}).code(), Code::kInvalid);
  EXPECT_EQ(CommitFails({Put(Widget(""))}).code(), Code::kInvalid);
  EXPECT_EQ(CommitFails({Put(Widget("a", {}, ""))}).code(), Code::kInvalid);
  EXPECT_EQ(CommitFails({Put(Make(RealmType(), {.mesh = "m", .name = "a"}))}).code(),
            Code::kInvalid);
  EXPECT_FALSE(Commit({}).changed);
  EXPECT_EQ(store_->revision().value, 0u);
}

TEST_P(StoreSuite, KeepsLargeAndOddValues) {
  std::string large(1 << 20, 'x');
  for (size_t i = 0; i < large.size(); i += 997) large[i] = '"';
  const std::string odd =
      "quote ' \" \\ newline \n tab \t nul? no; umlaut \xc3\xa4 snow \xe2\x98\x83";
  Commit({Put(Widget("large", {large, INT64_MAX})), Put(Widget("odd", {odd, INT64_MIN}))});
  if (GetParam().persistent) Open();
  EXPECT_EQ(Get(WidgetKey("large"))->Spec<Body>(), (Body{large, INT64_MAX}));
  EXPECT_EQ(Get(WidgetKey("odd"))->Spec<Body>(), (Body{odd, INT64_MIN}));
}

TEST_P(StoreSuite, CostsInProportionToTheLabels) {
  const model::ResourcePtr widget = Widget("many");
  model::Metadata meta = widget->meta();
  for (int i = 0; i < 100000; ++i) meta.labels["k" + std::to_string(i)] = "v";
  const std::clock_t begin = std::clock();
  Commit({Put(std::make_shared<const model::Resource>(widget->type(), meta, widget->spec()))});
  if (GetParam().persistent) Open();
  EXPECT_EQ(Get(WidgetKey("many"))->meta().labels.size(), 100000u);
  EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 6) << "seconds of CPU";
}

TEST_P(StoreSuite, WatchGivesSnapshotThenEventsInOrder) {
  Commit({Put(Widget("a", {"", 1})), Put(Realm("r"))});
  Recorder recorder;
  auto watch = store_->Watch(recorder);
  ASSERT_TRUE(watch.has_value());
  EXPECT_EQ(recorder.State().size(), 2u);

  Commit({Put(Widget("b", {"", 1}))});
  auto caused =
      store_->Commit({.writes = {Put(Widget("a", {"", 2}))}, .cause = store::Revision{2}});
  Commit({Delete(WidgetKey("b"))});
  const auto events = recorder.Events();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].key, WidgetKey("b"));
  EXPECT_EQ(events[0].before, nullptr);
  EXPECT_EQ(events[0].cause.value, 0u);
  EXPECT_EQ(events[1].cause.value, 2u);
  EXPECT_EQ(events[1].before->Spec<Body>().number, 1);
  EXPECT_EQ(events[1].after->Spec<Body>().number, 2);
  EXPECT_EQ(events[1].revision, caused->revision);
  EXPECT_EQ(events[2].after, nullptr);
  EXPECT_THAT(recorder.Faults(), IsEmpty());
}

TEST_P(StoreSuite, WatchResumesFromARevision) {
  Commit({Put(Widget("a", {"", 1})), Put(Realm("r"))});
  auto knowing = std::make_unique<Recorder>();
  auto watch = store_->Watch(*knowing);
  const store::Revision from = Commit({Put(Widget("b", {"", 1}))}).revision;
  watch = store::WatchHandle();
  const auto state = knowing->State();

  // Nothing came since.
  Recorder quiet(from, state);
  {
    auto resumed = store_->Watch(from, quiet);
    EXPECT_THAT(quiet.Events(), IsEmpty());
  }
  Commit({Put(Widget("a", {"", 2})), Put(Widget("c"))});
  Commit({Put(Insight("i", {"", 1}))});
  auto caused = store_->Commit({.writes = {Delete(WidgetKey("b"))}, .cause = from});
  Commit({Put(Insight("i", {"", 2})), Put(Insight("gone"))});
  Commit({Delete(InsightKey("gone"))});

  Recorder resumed(from, state);
  auto again = store_->Watch(from, resumed);
  ASSERT_TRUE(again.has_value());
  std::vector<std::string> seen;
  for (const StoreEvent& event : resumed.Events()) {
    seen.push_back(std::to_string(event.revision.value) + " " + event.key.name);
  }
  EXPECT_THAT(seen, ElementsAre("3 a", "3 c", "5 b", "6 i", "7 gone"));
  EXPECT_EQ(resumed.Events()[2].cause, from);
  EXPECT_EQ(resumed.Events()[2].revision, caused->revision);
  EXPECT_THAT(resumed.Faults(), IsEmpty());
  Commit({Put(Widget("a", {"", 3}))});
  EXPECT_EQ(resumed.Events().back().after->Spec<Body>().number, 3);
  EXPECT_THAT(resumed.Faults(), IsEmpty());
  Recorder fresh;
  auto all = store_->Watch(fresh);
  EXPECT_EQ(resumed.State(), fresh.State());

  // From nothing, or from a revision of another life of the store: everything anew.
  for (const uint64_t unknown : {uint64_t{0}, store_->revision().value + 1, UINT64_MAX}) {
    Recorder anew;
    auto handle = store_->Watch(store::Revision{unknown}, anew);
    EXPECT_EQ(anew.State(), fresh.State());
    EXPECT_THAT(anew.Events(), IsEmpty());
  }
}

// Watches that end and resume while others write see each event once, in order.
TEST_P(StoreSuite, InterruptedWatchesMissNothing) {
  constexpr int kWrites = 300;
  std::atomic<int> lives = 0;  // of the watch; it never gets far behind
  std::thread writer([&] {
    std::mt19937 random(5);
    for (int i = 0; i < kWrites; ++i) {
      lives.wait(i / 30);
      const std::string name = "n" + std::to_string(random() % 10);
      (void)store_->Commit(random() % 4 == 0 ? Writes({Delete(WidgetKey(name))})
                                             : Writes({Put(Widget(name, {"", i})),
                                                       Put(Widget("pair-" + name, {"", i}))}));
    }
    Commit({Put(Widget("last"))});
  });
  store::Revision at;
  std::map<model::ResourceKey, model::ResourcePtr> state;
  for (bool ended = false; !ended;) {
    std::unique_ptr<Recorder> recorder =
        at.value == 0 ? std::make_unique<Recorder>() : std::make_unique<Recorder>(at, state);
    {
      auto watch = store_->Watch(at, *recorder);
      ASSERT_TRUE(watch.has_value());
      ++lives;
      lives.notify_one();
      ASSERT_TRUE(recorder->WaitFor(store::Revision{at.value + 1}));
    }
    EXPECT_THAT(recorder->Faults(), IsEmpty()) << "life " << lives;
    at = recorder->revision();
    state = recorder->State();
    ended = state.contains(WidgetKey("last"));
  }
  writer.join();
  EXPECT_GE(lives, kWrites / 30);
  Recorder fresh;
  auto watch = store_->Watch(fresh);
  EXPECT_EQ(state, fresh.State());
}

TEST_P(StoreSuite, WatchResumesAfterACleanRestart) {
  if (!GetParam().persistent) GTEST_SKIP() << "not persistent";
  Commit({Put(Widget("a"))});
  const store::Revision at = Commit({Put(Widget("b"))}).revision;
  Open();
  Recorder resumed(at, {});
  auto watch = store_->Watch(at, resumed);
  Commit({Put(Widget("c"))});
  EXPECT_THAT(resumed.Events(), SizeIs(1));
  EXPECT_THAT(resumed.Faults(), IsEmpty());
  Recorder earlier;
  auto other = store_->Watch(store::Revision{1}, earlier);
  EXPECT_THAT(earlier.State(), SizeIs(3));
}

TEST_P(StoreSuite, EndedWatchIsNotCalled) {
  Recorder kept;
  Recorder ended;
  auto first = store_->Watch(kept);
  {
    auto second = store_->Watch(ended);
    Commit({Put(Widget("a"))});
  }
  Commit({Put(Widget("b"))});
  EXPECT_EQ(kept.Events().size(), 2u);
  EXPECT_EQ(ended.Events().size(), 1u);
}

TEST_P(StoreSuite, WatchesBegunAmidWritesMissNothing) {
  constexpr int kWriters = 4;
  constexpr int kWrites = 120;
  std::atomic<int> running = kWriters;
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      std::mt19937 random(static_cast<unsigned>(w));
      for (int i = 0; i < kWrites; ++i) {
        const std::string name = "n" + std::to_string(random() % 10);
        auto result = random() % 4 == 0
                          ? store_->Commit(Writes({Delete(WidgetKey(name))}))
                          : store_->Commit(Writes({Put(Widget(name, {"", w * 1000 + i})),
                                                   Put(Widget("pair-" + name, {"", i}))}));
        (void)result;
      }
      --running;
    });
  }
  std::vector<std::unique_ptr<Recorder>> recorders;
  std::vector<store::WatchHandle> watches;
  while (running > 0 && recorders.size() < 200) {
    recorders.push_back(std::make_unique<Recorder>());
    auto watch = store_->Watch(*recorders.back());
    ASSERT_TRUE(watch.has_value());
    watches.push_back(*std::move(watch));
    if (recorders.size() % 3 == 0) watches.pop_back();  // some end in between
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
  for (auto& writer : writers) writer.join();
  const auto page = store_->List({.kind = "Widget"});
  for (size_t i = 0; i < recorders.size(); ++i) {
    EXPECT_THAT(recorders[i]->Faults(), IsEmpty()) << i;
    if (i % 3 == 2) continue;
    const auto state = recorders[i]->State();
    ASSERT_EQ(state.size(), page->items.size());
    for (const auto& item : page->items) EXPECT_EQ(state.at(item->key()), item);
  }
}

TEST_P(StoreSuite, AnswersEachCommitOnceAndInOrderEvenWhenClosing) {
  constexpr int kCommits = 300;
  std::vector<int> answered;  // read after the store, and so its thread, is gone
  for (int i = 0; i < kCommits; ++i) {
    store_->CommitAsync(Writes({Put(Widget("a", {"", i}))}), [&answered, i](auto committed) {
      EXPECT_TRUE(committed.has_value());
      answered.push_back(i);
    });
  }
  store_.reset();
  ASSERT_EQ(answered.size(), static_cast<size_t>(kCommits));
  for (int i = 0; i < kCommits; ++i) EXPECT_EQ(answered[static_cast<size_t>(i)], i);
  if (!GetParam().persistent) return;
  Open();
  EXPECT_EQ(NumberOf(*store_, WidgetKey("a")), kCommits - 1);
  EXPECT_EQ(store_->revision().value, static_cast<uint64_t>(kCommits));
}

TEST_P(StoreSuite, OneConflictOfManyFailsAlone) {
  Commit({Put(Widget("a"))});
  std::mutex mutex;
  std::condition_variable all_answered;
  std::map<int, bool> answers;
  constexpr int kCommits = 100;
  for (int i = 0; i < kCommits; ++i) {
    const bool wrong = i % 7 == 0;
    store_->CommitAsync(
        Writes({Put(Widget("n" + std::to_string(i))),
                Put(Widget("a", {"", i}), wrong ? 99999 : std::optional<uint64_t>())}),
        [&, i](auto committed) {
          std::lock_guard lock(mutex);
          answers[i] = committed.has_value();
          all_answered.notify_one();
        });
  }
  std::unique_lock lock(mutex);
  ASSERT_TRUE(all_answered.wait_for(lock, std::chrono::seconds(20),
                                    [&] { return answers.size() == size_t{kCommits}; }));
  for (int i = 0; i < kCommits; ++i) {
    EXPECT_EQ(answers[i], i % 7 != 0);
    EXPECT_EQ(NumberOf(*store_, WidgetKey("n" + std::to_string(i))), i % 7 != 0 ? 0 : -1);
  }
}

TEST_P(StoreSuite, InsightsAreReadWatchedAndDeletedLikeAll) {
  Recorder recorder;
  auto watch = store_->Watch(recorder);
  Commit({Put(Insight("i", {"", 1}), 0)});
  EXPECT_EQ(NumberOf(*store_, InsightKey("i")), 1);
  EXPECT_EQ(CommitFails({Put(Insight("i", {"", 2}), 0)}).code(), Code::kConflict);
  Commit({Put(Insight("i", {"", 2})), Put(Insight("j"))});
  EXPECT_FALSE(Commit({Put(Insight("i", {"", 2}))}).changed);
  Commit({Put(Widget("w")), Put(Insight("i", {"", 3}))});  // mixed
  Commit({Delete(InsightKey("j"))});
  EXPECT_EQ(NumberOf(*store_, InsightKey("i")), 3);
  EXPECT_EQ(recorder.Events().size(), 6u);
  EXPECT_THAT(recorder.Faults(), IsEmpty());
  if (!GetParam().persistent) return;
  const auto before = ShowAll(*store_);
  const auto revision = store_->revision();
  Open();
  EXPECT_EQ(ShowAll(*store_), before);
  EXPECT_EQ(store_->revision(), revision);
}

TEST_P(StoreSuite, KeepsWhatUsersChange) {
  const auto start = clock_.WallNow();
  CommitFor("ann", {Put(Realm("r", "one"))});
  clock_.Advance(std::chrono::seconds(5));
  Given given{.mesh = "m", .name = "a", .spec = {"s", 1}, .labels = {{"k", "v"}}};
  CommitFor("bob", {Put(Make(WidgetType(), given))});
  given.labels["k"] = "w";
  given.spec.number = 2;
  CommitFor("ann", {Put(Make(WidgetType(), given)), Put(Widget("b"))});
  Commit({Put(Widget("b", {"by nobody", 7}))});
  CommitFor("ann", {Put(Make(WidgetType(), given))});  // equal: no write
  Transaction noted = Writes({Delete(WidgetKey("b"))});
  noted.origin = store::Origin{"cat", "::1", "rollback to 1"};
  ASSERT_TRUE(store_->Commit(std::move(noted)).has_value());

  const std::vector<std::string> expected = {"5 cat -Widget m/b", "3 ann ~Widget m/a",
                                             "3 ann +Widget m/b", "2 bob +Widget m/a",
                                             "1 ann +Realm r"};
  EXPECT_EQ(Changes(), expected);
  if (GetParam().persistent) Open();
  EXPECT_EQ(Changes(), expected);

  const store::HistoryPage page = History();
  EXPECT_FALSE(page.more);
  EXPECT_EQ(page.complete_after.value, 0u);
  const HistoryEntry& deleted = page.entries[0];
  EXPECT_EQ(deleted.origin, (store::Origin{"cat", "::1", "rollback to 1"}));
  EXPECT_EQ(deleted.time, start + std::chrono::seconds(5));
  EXPECT_EQ(deleted.before->spec, EncodeBody(std::make_shared<Body>("by nobody", 7).get()));
  const HistoryEntry& changed = page.entries[1];
  EXPECT_EQ(changed.origin.address, "10.0.0.1");
  EXPECT_EQ(changed.before->labels, (model::Labels{{"k", "v"}}));
  EXPECT_EQ(changed.after->labels, given.labels);
  EXPECT_EQ(*changed.before->spec.Find("number")->if_int(), 1);
  EXPECT_EQ(*changed.after->spec.Find("number")->if_int(), 2);

  // Filters.
  EXPECT_EQ(Changes({.kind = "Realm"}), (std::vector{expected[4]}));
  EXPECT_EQ(Changes({.mesh = "m", .name = "a"}), (std::vector{expected[1], expected[3]}));
  EXPECT_EQ(Changes({.name = "none"}), std::vector<std::string>());
  EXPECT_EQ(Changes({.after = {2}}), (std::vector{expected[0], expected[1], expected[2]}));
  EXPECT_EQ(Changes({.before = {3}}), (std::vector{expected[3], expected[4]}));
  EXPECT_EQ(Changes({.since = start + std::chrono::seconds(1)}).size(), 4u);
  // Pages end between revisions.
  EXPECT_EQ(Changes({.limit = 2}), (std::vector{expected[0], expected[1], expected[2]}));
  EXPECT_TRUE(History({.limit = 2}).more);
  EXPECT_EQ(Changes({.before = {3}, .limit = 1}), (std::vector{expected[3]}));
  EXPECT_FALSE(History({.before = {3}, .limit = 2}).more);
}

TEST_P(StoreSuite, KeepsNothingElseInTheHistory) {
  Commit({Put(Realm("r"))});
  // Statuses, insights, what is derived, what a proxy registered.
  store::Write status = Put(std::make_shared<const model::Resource>(
      WidgetType(), Make(WidgetType(), {.mesh = "m", .name = "a"})->meta(), nullptr,
      std::make_shared<const Body>("status", 1)));
  status.status_only = true;
  const auto derived = [](int64_t number) {
    return Make(WidgetType(), {.mesh = "m",
                               .name = "derived",
                               .spec = {"", number},
                               .labels = {{"kuma.io/managed-by", "somebody"}},
                               .owner = RealmKey("r")});
  };
  const Given of_proxy{
      .mesh = "m", .name = "proxy", .owner = RealmKey("r"), .owned_by_proxy = true};
  CommitFor("ann", {Put(Widget("a"))});
  CommitFor("ann", {status, Put(Insight("i", {"", 1})), Put(derived(1)),
                    Put(Make(WidgetType(), of_proxy))});
  CommitFor("ann", {Put(derived(2)), Delete(InsightKey("i"))});
  EXPECT_THAT(Changes(), ElementsAre("2 ann +Widget m/a"));
  // With the owner only what is a user's.
  CommitFor("ann", {Put(Make(WidgetType(), {.mesh = "m", .name = "b", .owner = RealmKey("r")}))});
  const Committed gone = CommitFor("bob", {Delete(RealmKey("r"))});
  EXPECT_EQ(NumberOf(*store_, WidgetKey("derived")), -1);
  const std::string revision = std::to_string(gone.revision.value);
  EXPECT_THAT(Changes({.after = {5}}),
              ElementsAre(revision + " bob -Realm r", revision + " bob -Widget m/b"));
  // Failed transactions leave nothing.
  Transaction failing = Writes({Put(Widget("c")), Delete(WidgetKey("none"))});
  failing.origin = store::Origin{"ann", ""};
  EXPECT_FALSE(store_->Commit(std::move(failing)).has_value());
  EXPECT_THAT(Changes({.name = "c"}), IsEmpty());
}

TEST_P(StoreSuite, NeverKeepsTheValuesOfSecrets) {
  CommitFor("ann", {Put(Make(VaultType(), {.mesh = "m", .name = "key", .spec = {"hunter2", 1}}))});
  CommitFor("ann", {Put(Make(VaultType(), {.mesh = "m", .name = "key", .spec = {"hunter3", 1}}))});
  CommitFor("ann", {Delete({"Vault", "m", "key"})});
  const auto page = History();
  ASSERT_THAT(page.entries, SizeIs(3));
  for (const HistoryEntry& entry : page.entries) {
    for (const auto& state : {entry.before, entry.after})
      EXPECT_TRUE(!state.has_value() || state->spec.is_null());
  }
}

TEST_P(StoreSuite, HistoryIsBoundedByNumberAndAge) {
  Open({.revisions = 5, .age = std::chrono::hours(1)});
  const uint64_t base = store_->revision().value;
  for (int i = 1; i <= 8; ++i)
    CommitFor("ann", {Put(Widget("a", {"", i})), Put(Widget("b", {"", i}))});
  store::HistoryPage page = History();
  EXPECT_THAT(page.entries, SizeIs(10));
  EXPECT_EQ(page.entries.back().revision.value, base + 4);
  EXPECT_EQ(page.complete_after.value, base + 3);
  if (GetParam().persistent) Open({.revisions = 5, .age = std::chrono::hours(1)});
  EXPECT_THAT(History().entries, SizeIs(10));
  clock_.Advance(std::chrono::minutes(61));
  const Committed last = CommitFor("ann", {Put(Widget("a"))});
  page = History();
  EXPECT_THAT(page.entries, SizeIs(1));
  EXPECT_EQ(page.complete_after.value, last.revision.value - 1);
  if (!GetParam().persistent) return;
  // Off: what is there goes with the next write.
  Open({.revisions = 0});
  const Committed untold = CommitFor("ann", {Put(Widget("a", {"", 5}))});
  EXPECT_THAT(History().entries, IsEmpty());
  EXPECT_EQ(History().complete_after, untold.revision);
}

TEST_P(StoreSuite, HistoryGetsTooOldWithoutAWrite) {
  const auto becomes_empty = [this] {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!History().entries.empty()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  };
  // While it runs. It is looked for each thousandth of the age.
  Open({.age = std::chrono::seconds(10)});
  Committed last;
  for (int i = 1; i <= 600; ++i) last = CommitFor("ann", {Put(Widget("a", {"", i}))});
  EXPECT_THAT(History().entries, SizeIs(600));
  clock_.Advance(std::chrono::seconds(11));
  EXPECT_TRUE(becomes_empty());
  EXPECT_EQ(History().complete_after, last.revision);
  EXPECT_EQ(store_->revision(), last.revision);
  if (!GetParam().persistent) return;

  // At a start.
  Open({.age = std::chrono::hours(1)});
  last = CommitFor("ann", {Put(Widget("a", {"", 7}))});
  store_.reset();
  clock_.Advance(std::chrono::minutes(61));
  Open({.age = std::chrono::hours(1)});
  ASSERT_TRUE(store_->Ping().has_value());  // answered after it
  EXPECT_THAT(History().entries, IsEmpty());
  EXPECT_EQ(History().complete_after, last.revision);
  CommitFor("ann", {Put(Widget("a", {"", 8}))});
  EXPECT_THAT(History().entries, SizeIs(1));
}

TEST_P(StoreSuite, HistoryIsWholeUnderContention) {
  constexpr int kWriters = 16;
  constexpr int kEach = 10;
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      for (int i = 0; i < kEach; ++i) {
        Transaction transaction = Writes({Put(Widget("w" + std::to_string(w), {"", i}))});
        transaction.origin = store::Origin{"w" + std::to_string(w), ""};
        // Some fail in the same group.
        if (i % 3 == 2) transaction.writes.push_back(Delete(WidgetKey("none")));
        (void)store_->Commit(std::move(transaction));
      }
    });
  }
  for (auto& writer : writers) writer.join();
  std::map<uint64_t, std::string> seen;
  for (const HistoryEntry& entry : History().entries) {
    EXPECT_TRUE(seen.emplace(entry.revision.value, entry.key.name).second);
    EXPECT_EQ(entry.origin.user, entry.key.name);
  }
  EXPECT_EQ(seen.size(), store_->revision().value);
}

// Random transactions against a model; for persistent backends with restarts in between.
TEST_P(StoreSuite, AgreesWithAModel) {
  struct Entry {
    int64_t number;
    std::optional<model::ResourceKey> owner;
    uint64_t revision;
  };
  using Model = std::map<model::ResourceKey, Entry>;
  const std::function<void(Model&, const model::ResourceKey&)> erase =
      [&erase](Model& model, const model::ResourceKey& key) {
        model.erase(key);
        std::vector<model::ResourceKey> owned;
        for (const auto& [other, entry] : model) {
          if (entry.owner == key) owned.push_back(other);
        }
        for (const auto& other : owned) erase(model, other);
      };
  Model model;
  uint64_t revision = 0;
  std::mt19937 random(20260801);
  const auto key_of = [&] { return WidgetKey("n" + std::to_string(random() % 12)); };
  Recorder recorder;
  std::optional<store::WatchHandle> watch;
  if (!GetParam().persistent) watch = *store_->Watch(recorder);

  for (int round = 0; round < 400; ++round) {
    Model next = model;
    bool valid = true;
    bool changed = false;
    std::vector<store::Write> writes;
    for (size_t n = 1 + random() % 3; n > 0; --n) {
      const model::ResourceKey key = key_of();
      std::optional<uint64_t> expected;
      const auto found = next.find(key);
      if (random() % 3 == 0)
        expected = random() % 4 == 0 || found == next.end() ? 0 : found->second.revision;
      const bool holds =
          !expected.has_value() ||
          (*expected == 0 ? found == next.end()
                          : found != next.end() && found->second.revision == *expected);
      if (random() % 4 == 0) {
        writes.push_back(Delete(key, expected));
        if (found == next.end() || !holds) valid = false;
        if (found != next.end()) {
          changed = true;
          erase(next, key);
        }
        continue;
      }
      Given given{.mesh = "m", .name = key.name, .spec = {"", static_cast<int64_t>(random() % 3)}};
      if (random() % 3 == 0) given.owner = key_of();
      writes.push_back(Put(Make(WidgetType(), given), expected));
      if (!holds) valid = false;
      if (found != next.end() && found->second.number == given.spec.number &&
          found->second.owner == given.owner) {
        continue;
      }
      changed = true;
      next[key] = {given.spec.number, given.owner, revision + 1};
    }
    for (const auto& [key, entry] : next) {
      if (entry.owner.has_value() && !next.contains(*entry.owner)) valid = false;
    }
    auto committed = store_->Commit(Writes(std::move(writes)));
    ASSERT_EQ(committed.has_value(), valid) << "round " << round;
    if (valid) {
      ASSERT_EQ(committed->changed, changed) << "round " << round;
      if (changed) ++revision;
      ASSERT_EQ(committed->revision.value, revision);
      model = std::move(next);
    }
    if (GetParam().persistent && round % 100 == 99) Open();
    const auto page = store_->List({.kind = "Widget"});
    ASSERT_EQ(page->items.size(), model.size()) << "round " << round;
    for (const auto& item : page->items) {
      const Entry& entry = model.at(item->key());
      ASSERT_EQ(item->Spec<Body>().number, entry.number);
      ASSERT_EQ(item->meta().owner, entry.owner);
      ASSERT_EQ(item->meta().revision.value, entry.revision);
    }
  }
  EXPECT_THAT(recorder.Faults(), IsEmpty());
}

TEST_P(StoreSuite, ARestartChangesNothing) {
  if (!GetParam().persistent) GTEST_SKIP() << "not persistent";
  Commit({Put(Realm("r", "realm"))});
  for (int i = 0; i < 50; ++i) {
    clock_.Advance(std::chrono::nanoseconds(1'000'000'007));
    Commit({Put(
        Make(WidgetType(), {.mesh = i % 2 == 0 ? "m1" : "m2",
                            .name = "n" + std::to_string(i % 20),
                            .spec = {"text", i},
                            .status = i % 3 == 0 ? std::optional<Body>({"st", i}) : std::nullopt,
                            .labels = {{"i", std::to_string(i)}},
                            .owner = i % 5 == 0 ? std::optional(RealmKey("r")) : std::nullopt,
                            .owned_by_proxy = i % 7 == 0}))});
  }
  Commit({Delete({"Widget", "m1", "n2"})});
  const auto before = ShowAll(*store_);
  const auto revision = store_->revision();
  EXPECT_EQ(before.size(), 20u);
  for (int restart = 0; restart < 2; ++restart) {
    Open();
    EXPECT_EQ(ShowAll(*store_), before);
    EXPECT_EQ(store_->revision(), revision);
  }
  EXPECT_EQ(Commit({Delete(RealmKey("r"))}).revision.value,
            revision.value + 1);  // owners are still known
  EXPECT_LT(ShowAll(*store_).size(), before.size() - 1);
}

}  // namespace kuma::store_test

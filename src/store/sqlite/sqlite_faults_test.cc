// The sqlite store on a disk that fails: full, broken, or cut off from power.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "store/sqlite/sqlite_store.h"
#include "tests/conformance/store_kinds.h"
#include "tests/kit/faulty_disk.h"

namespace kuma::store_test {
namespace {

using base::Code;
using test::FaultyDisk;
using ::testing::AllOf;
using ::testing::HasSubstr;

class SqliteFaultsTest : public ::testing::Test {
 protected:
  SqliteFaultsTest() { NewFolder(); }
  ~SqliteFaultsTest() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  void NewFolder() {
    store_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
    std::string pattern =
        (std::filesystem::temp_directory_path() / "sqlite-faults-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/kuma.db";
  }
  void Open() {
    store_.reset();
    auto store = store::OpenSqliteStore(path_, Types(), clock_);
    ASSERT_TRUE(store.has_value()) << store.error().message();
    store_ = *std::move(store);
  }
  base::Result<store::Committed> PutWidget(const std::string& name, int64_t number,
                                           size_t size = 10) {
    return store_->Commit(Writes({Put(Widget(name, {std::string(size, 'x'), number}))}));
  }

  FaultyDisk disk_{/*skip_syncs=*/true};
  std::string folder_;
  std::string path_;
  TestClock clock_;
  std::unique_ptr<store::Store> store_;
};

TEST_F(SqliteFaultsTest, FullDiskRefusesWritesUntilThereIsRoom) {
  Open();
  ASSERT_TRUE(PutWidget("a", 1).has_value());
  disk_.FailAt(1, SQLITE_FULL, /*lasting=*/true);
  for (int i = 0; i < 3; ++i) {
    const auto refused = PutWidget("a", 2);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), Code::kUnavailable);
    EXPECT_THAT(refused.error().message(), AllOf(HasSubstr(path_), HasSubstr("disk is full")));
  }
  EXPECT_EQ(NumberOf(*store_, WidgetKey("a")), 1);
  EXPECT_EQ(store_->revision().value, 1u);
  EXPECT_TRUE(store_->Ping().has_value());
  // Insights live in memory first.
  EXPECT_TRUE(store_->Commit(Writes({Put(Insight("i", {"", 1}))})).has_value());
  disk_.Repair();
  EXPECT_TRUE(PutWidget("a", 3).has_value());
  const auto all = ShowAll(*store_);
  Open();
  EXPECT_EQ(ShowAll(*store_), all);
  EXPECT_EQ(NumberOf(*store_, InsightKey("i")), 1);
}

TEST_F(SqliteFaultsTest, LimitOfTheSystemIsSurvived) {
  Open();
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit = {};
  getrlimit(RLIMIT_FSIZE, &old_limit);
  rlimit limit = old_limit;
  limit.rlim_cur = 256 * 1024;
  setrlimit(RLIMIT_FSIZE, &limit);
  int stored = 0;
  base::Result<store::Committed> last = base::Internal("");
  while (stored < 1000 &&
         (last = PutWidget("n" + std::to_string(stored), stored, 10'000)).has_value())
    ++stored;
  setrlimit(RLIMIT_FSIZE, &old_limit);
  signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(last.has_value());
  EXPECT_EQ(last.error().code(), Code::kUnavailable);
  EXPECT_THAT(last.error().message(), HasSubstr(path_));
  EXPECT_GT(stored, 5);
  EXPECT_TRUE(PutWidget("after", 1).has_value());
  const auto all = ShowAll(*store_);
  EXPECT_EQ(all.size(), static_cast<size_t>(stored) + 1);
  Open();
  EXPECT_EQ(ShowAll(*store_), all);
}

// Makes each change of the disk fail in turn: what is refused is not there, what is accepted is,
// and after the next success memory and disk are the same.
TEST_F(SqliteFaultsTest, EveryWriteMayFailOnce) {
  int failures = 0;
  int64_t number = 0;
  std::map<std::string, int64_t> expected;
  for (const int code : {SQLITE_FULL, SQLITE_IOERR_FSYNC}) {
    for (int k = 1;; ++k) {
      SCOPED_TRACE("code " + std::to_string(code) + ", change " + std::to_string(k));
      Open();
      disk_.FailAt(k, code, /*lasting=*/false);
      for (const char* name : {"a", "b", "a"}) {
        if (PutWidget(name, ++number, 6'000).has_value()) expected[name] = number;
      }
      (void)store_->Commit(
          Writes({Put(Widget("w1", {"", ++number})), Put(Widget("w2", {"", number}))}));
      const bool failed = disk_.Failed();
      disk_.Repair();
      ASSERT_TRUE(PutWidget("end", ++number).has_value());
      for (const auto& [name, stored] : expected)
        EXPECT_EQ(NumberOf(*store_, WidgetKey(name)), stored) << name;
      EXPECT_EQ(NumberOf(*store_, WidgetKey("w1")), NumberOf(*store_, WidgetKey("w2")));
      const auto all = ShowAll(*store_);
      const auto revision = store_->revision();
      Open();
      EXPECT_EQ(ShowAll(*store_), all);
      EXPECT_EQ(store_->revision(), revision);
      if (!failed) break;
      ++failures;
    }
  }
  EXPECT_GT(failures, 30);
}

TEST_F(SqliteFaultsTest, EveryWriteMayFailWhileManyCommit) {
  for (int k = 1; k < 40; k += 4) {
    SCOPED_TRACE(k);
    NewFolder();
    Open();
    disk_.FailAt(k, SQLITE_IOERR_WRITE, /*lasting=*/false);
    std::mutex mutex;
    std::set<int> accepted;
    int answered = 0;
    for (int i = 0; i < 60; ++i) {
      store_->CommitAsync(
          Writes({Put(Widget("n" + std::to_string(i), {std::string(200, 'x'), i}))}),
          [&, i](auto committed) {
            std::lock_guard lock(mutex);
            ++answered;
            if (committed.has_value()) accepted.insert(i);
          });
    }
    ASSERT_TRUE(PutWidget("end", 1).has_value() || PutWidget("end", 1).has_value());
    disk_.Repair();
    {
      std::lock_guard lock(mutex);
      EXPECT_EQ(answered, 60);
      for (int i = 0; i < 60; ++i) {
        EXPECT_EQ(NumberOf(*store_, WidgetKey("n" + std::to_string(i))),
                  accepted.contains(i) ? i : -1);
      }
    }
    const auto all = ShowAll(*store_);
    Open();
    EXPECT_EQ(ShowAll(*store_), all);
  }
}

TEST_F(SqliteFaultsTest, OpeningMayFailAnywhere) {
  for (int k = 1;; ++k) {
    SCOPED_TRACE(k);
    NewFolder();
    disk_.FailAt(k, SQLITE_IOERR_WRITE, /*lasting=*/false);
    auto store = store::OpenSqliteStore(path_, Types(), clock_);
    const bool failed = disk_.Failed();
    if (!store.has_value()) {
      EXPECT_THAT(store.error().message(), HasSubstr(path_));
    }
    store = base::Internal("closed");
    disk_.Repair();
    Open();
    ASSERT_TRUE(PutWidget("a", 1).has_value());
    if (!failed) break;
    ASSERT_LT(k, 200);
  }
}

TEST_F(SqliteFaultsTest, NothingAcknowledgedIsLostByAPowerCut) {
  std::mt19937 random(20260803);
  size_t in_all = 0;
  int cuts = 0;
  for (int round = 0; round < 24; ++round) {
    SCOPED_TRACE(round);
    if (round % 8 == 0) NewFolder();
    Open();
    ASSERT_NE(store_, nullptr);
    const auto at_start = ShowAll(*store_);
    disk_.CutAt(1 + static_cast<int>(random() % (round % 6 == 0 ? 4000 : 300)), random());
    std::mutex mutex;
    std::map<std::string, int64_t> acknowledged;
    std::vector<std::thread> writers;
    for (int w = 0; w < 3; ++w) {
      writers.emplace_back([&, w] {
        for (int i = 0;; ++i) {
          const std::string name = std::to_string(w) + "-" + std::to_string(i % 50);
          const int64_t number = round * 100'000 + i;
          auto done =
              store_->Commit(Writes({Put(Widget("left-" + name, {std::string(2'000, 'x'), number})),
                                     Put(Widget("right-" + name, {"", number}))}));
          if (!done.has_value()) return;
          std::lock_guard lock(mutex);
          acknowledged["left-" + name] = number;
        }
      });
    }
    for (auto& writer : writers) writer.join();
    ASSERT_TRUE(disk_.IsCut());
    ++cuts;
    store_.reset();
    disk_.Restart();
    std::filesystem::remove(path_ + "-shm");
    Open();
    ASSERT_NE(store_, nullptr);
    for (const auto& [name, number] : acknowledged) {
      ASSERT_GE(NumberOf(*store_, WidgetKey(name)), number) << name;
    }
    const auto page = store_->List({.kind = "Widget", .name_contains = "left-"});
    for (const auto& item : page->items) {
      ASSERT_EQ(NumberOf(*store_, WidgetKey("right-" + item->name().substr(5))),
                item->Spec<Body>().number);
    }
    in_all += acknowledged.size();
  }
  EXPECT_EQ(cuts, 24);
  EXPECT_GT(in_all, 300u);
}

TEST_F(SqliteFaultsTest, InsightsCostOneSyncASecond) {
  Open();
  ASSERT_TRUE(PutWidget("a", 1).has_value());
  ASSERT_TRUE(store_->Commit(Writes({Put(Insight("i", {"", 0}))})).has_value());
  const int before = disk_.syncs();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 1; i <= 900; ++i) {
    ASSERT_TRUE(
        store_->Commit(Writes({Put(Insight("i" + std::to_string(i % 20), {"", i}))})).has_value());
  }
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start)
          .count();
  EXPECT_LE(disk_.syncs() - before, 2 + seconds);
  const auto all = ShowAll(*store_);
  Open();
  EXPECT_EQ(ShowAll(*store_), all);
}

}  // namespace
}  // namespace kuma::store_test

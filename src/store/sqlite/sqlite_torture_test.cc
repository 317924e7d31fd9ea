// Minutes of the sqlite store under kill -9 and power cuts. Slow: ctest runs it as store_torture.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <sstream>
#include <thread>

#include "store/sqlite/sqlite_store.h"
#include "tests/conformance/store_kinds.h"
#include "tests/kit/faulty_disk.h"

namespace kuma::store_test {
namespace {

constexpr int kNames = 40;  // of each writer

// One transaction of writer `w`: a pair that must never differ, kept in the history.
store::Transaction PairOf(int w, int64_t number, size_t size) {
  const std::string name = std::to_string(w) + "-" + std::to_string(number % kNames);
  store::Transaction transaction =
      Writes({Put(Widget("left-" + name, {std::string(size, 'x'), number})),
              Put(Widget("right-" + name, {"", number})),
              Put(Widget("last-" + std::to_string(w), {"", number}))});
  transaction.origin = store::Origin{"writer", ""};
  return transaction;
}

// What was acknowledged is there, no transaction is there by half, and the history tells exactly
// what is stored. `acknowledged`: the last number of each writer.
void CheckWhole(store::Store& store, const std::map<int, int64_t>& acknowledged) {
  for (const auto& [w, number] : acknowledged) {
    ASSERT_GE(NumberOf(store, WidgetKey("last-" + std::to_string(w))), number);
  }
  const auto lefts = store.List({.kind = "Widget", .name_contains = "left-"});
  ASSERT_EQ(store.List({.kind = "Widget", .name_contains = "right-"})->total, lefts->total);
  std::map<int64_t, int64_t> newest;  // by writer
  for (const auto& item : lefts->items) {
    const std::string name = item->name().substr(5);
    const int64_t number = item->Spec<Body>().number;
    ASSERT_EQ(NumberOf(store, WidgetKey("right-" + name)), number) << name;
    int64_t& last = newest.try_emplace(std::stoll(name), -1).first->second;
    last = std::max(last, number);
  }
  for (const auto& [w, number] : newest) {
    ASSERT_EQ(NumberOf(store, WidgetKey("last-" + std::to_string(w))), number);
  }
  const auto history = store.History({.kind = "Widget", .limit = 60});
  ASSERT_TRUE(history.has_value()) << history.error().message();
  std::map<model::ResourceKey, int64_t> told;  // the newest of each
  for (const store::HistoryEntry& entry : history->entries) {
    told.emplace(entry.key, *entry.after->spec.Find("number")->if_int());
  }
  for (const auto& [key, number] : told) ASSERT_EQ(NumberOf(store, key), number) << key.name;
  ASSERT_EQ(history->entries.empty(), lefts->items.empty());
}

class SqliteTorture : public ::testing::Test {
 protected:
  SqliteTorture() { NewFolder(); }
  ~SqliteTorture() override { std::filesystem::remove_all(folder_); }

  void NewFolder() {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
    std::string pattern = (std::filesystem::temp_directory_path() / "torture-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/kuma.db";
  }
  std::unique_ptr<store::Store> Open() {
    auto store = store::OpenSqliteStore(path_, Types(), clock_);
    EXPECT_TRUE(store.has_value()) << store.error().message();
    return store.has_value() ? *std::move(store) : nullptr;
  }

  std::string folder_;
  std::string path_;
  TestClock clock_;
};

// A small process that writes with three threads is killed 200 times, each time at another moment:
// while it opens the file, while it writes, while it checkpoints.
TEST_F(SqliteTorture, KilledTwoHundredTimes) {
  constexpr int kKills = 200;
  std::mt19937 random(20261125);
  std::map<int, int64_t> acknowledged;
  size_t acknowledgements = 0;
  int during_open = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int round = 0; round < kKills; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      auto store = store::OpenSqliteStore(path_, Types(), clock_);
      if (!store.has_value()) _exit(2);
      std::vector<std::thread> writers;
      for (int w = 0; w < 3; ++w) {
        writers.emplace_back([&, w] {
          for (int64_t i = 0;; ++i) {
            const int64_t number = round * 1'000'000 + i;
            if (!(*store)->Commit(PairOf(w, number, 300)).has_value()) _exit(3);
            const std::string line = std::to_string(w) + " " + std::to_string(number) + "\n";
            if (write(ends[1], line.data(), line.size()) != static_cast<ssize_t>(line.size()))
              _exit(4);
          }
        });
      }
      for (auto& writer : writers) writer.join();
      _exit(0);
    }
    close(ends[1]);
    // The moment of the kill: in every other round by time, so that it may come before the first
    // answer; else after so many answers, however slow the machine is.
    const auto enough = static_cast<std::ptrdiff_t>(round % 2 == 0 ? 0 : 1 + random() % 40);
    if (enough == 0) {
      usleep(static_cast<useconds_t>(random() % 120'000));
      kill(child, SIGKILL);
    }
    std::string said;
    char buffer[256];
    for (ssize_t size = 0; (size = read(ends[0], buffer, sizeof buffer)) > 0;) {
      said.append(buffer, static_cast<size_t>(size));
      if (enough != 0 && std::count(said.begin(), said.end(), '\n') >= enough) kill(child, SIGKILL);
    }
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "ended by itself: " << WEXITSTATUS(status);
    std::istringstream lines(said);
    int64_t number = 0;
    for (int w = 0; lines >> w >> number; ++acknowledgements) acknowledged[w] = number;
    if (said.empty()) ++during_open;

    auto store = Open();
    ASSERT_NE(store, nullptr);
    CheckWhole(*store, acknowledged);
    if (HasFatalFailure()) return;
  }
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start);
  std::printf("%d kills in %d s, %zu acknowledged transactions, %d killed before the first\n",
              kKills, static_cast<int>(seconds.count()), acknowledgements, during_open);
  EXPECT_GT(acknowledgements, 1000u);
}

// The power fails at the 1st, 2nd, ... 1,000th change of the disk after the start; of what was not
// synced any 512 bytes may be lost. Now and then the folder is a new one, so that the cuts fall
// into the making of the file, into the log, into its checkpoints and into the recovery.
TEST_F(SqliteTorture, PowerCutAtEachOfAThousandPoints) {
  test::FaultyDisk disk(/*skip_syncs=*/true);
  size_t acknowledgements = 0;
  int refused_to_open = 0;
  std::map<int, int64_t> acknowledged;
  for (int point = 1; point <= 1000; ++point) {
    SCOPED_TRACE("point " + std::to_string(point));
    if (point <= 60 || point % 50 == 1) {
      NewFolder();
      acknowledged.clear();
    }
    disk.CutAt(point, static_cast<unsigned>(point));
    if (auto opened = store::OpenSqliteStore(path_, Types(), clock_); opened.has_value()) {
      std::mutex mutex;
      std::vector<std::thread> writers;
      for (int w = 0; w < 2; ++w) {
        writers.emplace_back([&, w] {
          for (int64_t i = 0;; ++i) {
            const int64_t number = point * 1'000'000 + i;
            if (!(*opened)->Commit(PairOf(w, number, 3'000)).has_value()) return;
            std::lock_guard lock(mutex);
            acknowledged[w] = number;
            ++acknowledgements;
          }
        });
      }
      for (auto& writer : writers) writer.join();
    } else {
      ++refused_to_open;
    }
    ASSERT_TRUE(disk.IsCut());
    disk.Restart();
    std::filesystem::remove(path_ + "-shm");
    auto store = Open();
    ASSERT_NE(store, nullptr);
    CheckWhole(*store, acknowledged);
    if (HasFatalFailure()) return;
  }
  std::printf("1000 cuts, %zu acknowledged transactions, %d cuts while opening\n", acknowledgements,
              refused_to_open);
  EXPECT_GT(acknowledgements, 5000u);
  EXPECT_GT(refused_to_open, 5);
}

}  // namespace
}  // namespace kuma::store_test

#include "store/sqlite/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "store/sqlite/sqlite_store.h"
#include "tests/conformance/store_kinds.h"

namespace kuma::store_test {
namespace {

namespace fs = std::filesystem;
using base::Code;
using ::testing::AllOf;
using ::testing::HasSubstr;

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() {
    std::string pattern = (fs::temp_directory_path() / "backup-test-XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/kuma.db";
    copy_ = folder_ + "/copy.db";
  }
  ~BackupTest() override { fs::remove_all(folder_); }

  std::unique_ptr<store::Store> Open(const std::string& path) {
    auto store = store::OpenSqliteStore(path, Types(), clock_);
    EXPECT_TRUE(store.has_value()) << store.error().message();
    return store.has_value() ? *std::move(store) : nullptr;
  }
  uint64_t PutWidget(store::Store& store, const std::string& name, int64_t number) {
    store::Transaction transaction = Writes({Put(Widget(name, {"", number}))});
    transaction.origin = store::Origin{"ann", ""};
    auto done = store.Commit(std::move(transaction));
    EXPECT_TRUE(done.has_value()) << done.error().message();
    return done.has_value() ? done->revision.value : 0;
  }
  base::Result<store::RestoreReport> Restore(const std::string& file) {
    return store::RestoreSqliteStore(file, path_, Types(), clock_.WallNow());
  }
  // All but lock files.
  std::vector<std::string> Files() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      if (entry.path().extension() != ".lock") names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  std::string folder_;
  std::string path_;
  std::string copy_;
  TestClock clock_;
};

TEST_F(BackupTest, SavesAStoreThatIsWritten) {
  auto store = Open(path_);
  ASSERT_TRUE(store->Commit(Writes({Put(Widget("left")), Put(Widget("right"))})).has_value());
  std::atomic<bool> stop = false;
  std::atomic<int64_t> written = 0;
  std::thread writer([&] {
    for (int64_t i = 1; !stop; ++i) {
      ASSERT_TRUE(store
                      ->Commit(Writes({Put(Widget("left", {std::string(3'000, 'x'), i})),
                                       Put(Widget("right", {"", i}))}))
                      .has_value());
      written = i;
    }
  });
  for (int round = 0; round < 5; ++round) {
    const std::string copy = copy_ + std::to_string(round);
    const int64_t before = written;
    const auto report = store::BackUpSqliteStore(path_, copy);
    ASSERT_TRUE(report.has_value()) << report.error().message();
    struct stat status = {};
    ASSERT_EQ(stat(copy.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    auto saved = Open(copy);
    ASSERT_NE(saved, nullptr);
    EXPECT_EQ(NumberOf(*saved, WidgetKey("left")), NumberOf(*saved, WidgetKey("right")));
    EXPECT_GE(NumberOf(*saved, WidgetKey("left")), before);
    EXPECT_EQ(saved->revision(), report->revision);
  }
  stop = true;
  writer.join();
}

TEST_F(BackupTest, SavesWhatAKilledProcessLeft) {
  auto store = Open(path_);
  PutWidget(*store, "a", 7);
  // A copy of the files as they are now, with the log: what kill -9 leaves.
  const std::string left = folder_ + "/left.db";
  fs::copy(path_, left);
  fs::copy(path_ + "-wal", left + "-wal");
  ASSERT_TRUE(store::BackUpSqliteStore(left, copy_).has_value());
  EXPECT_EQ(NumberOf(*Open(copy_), WidgetKey("a")), 7);
}

TEST_F(BackupTest, NeverReplacesAFile) {
  auto store = Open(path_);
  std::ofstream(copy_) << "precious";
  const base::Error error = store::BackUpSqliteStore(path_, copy_).error();
  EXPECT_EQ(error.code(), Code::kConflict);
  EXPECT_THAT(error.message(), HasSubstr("exists already"));
  std::string content;
  std::ifstream(copy_) >> content;
  EXPECT_EQ(content, "precious");
}

TEST_F(BackupTest, FailuresLeaveNothing) {
  base::Error error = store::BackUpSqliteStore(path_, copy_).error();
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_THAT(error.message(), AllOf(HasSubstr(path_), HasSubstr("same configuration")));
  std::ofstream(path_) << std::string(5'000, '#');
  error = store::BackUpSqliteStore(path_, copy_).error();
  EXPECT_THAT(error.message(), HasSubstr("not a SQLite database"));
  std::ofstream(path_, std::ios::trunc).close();
  EXPECT_THAT(store::BackUpSqliteStore(path_, copy_).error().message(), HasSubstr("empty"));
  EXPECT_EQ(store::BackUpSqliteStore(path_, folder_ + "/no/such/copy.db").error().code(),
            Code::kUnavailable);
  EXPECT_EQ(Files(), std::vector<std::string>{"kuma.db"});
}

TEST_F(BackupTest, RestoresAndKeepsWhatWasThere) {
  auto store = Open(path_);
  PutWidget(*store, "a", 1);
  const auto saved = ShowAll(*store);
  ASSERT_TRUE(store::BackUpSqliteStore(path_, copy_).has_value());
  PutWidget(*store, "a", 2);
  const uint64_t newest = PutWidget(*store, "b", 3);
  const auto replaced = ShowAll(*store);

  const base::Error busy = Restore(copy_).error();
  EXPECT_EQ(busy.code(), Code::kUnavailable);
  EXPECT_THAT(busy.message(), AllOf(HasSubstr("in use by another control plane"),
                                    HasSubstr(std::to_string(getpid()))));
  EXPECT_EQ(ShowAll(*store), replaced);
  store.reset();

  const auto report = Restore(copy_);
  ASSERT_TRUE(report.has_value()) << report.error().message();
  EXPECT_EQ(report->revision.value, 1u);
  EXPECT_EQ(report->resources, 1u);
  EXPECT_THAT(report->kept, HasSubstr("kuma.db.before-restore-20231114T221320Z"));
  store = Open(path_);
  EXPECT_EQ(ShowAll(*store), saved);
  EXPECT_EQ(store->History({})->entries.size(), 1u);
  // No revision means two things.
  EXPECT_GT(PutWidget(*store, "c", 1), newest);
  store.reset();
  EXPECT_EQ(ShowAll(*Open(report->kept)), replaced);
  // Twice within a second.
  const auto again = Restore(copy_);
  ASSERT_TRUE(again.has_value()) << again.error().message();
  EXPECT_EQ(again->kept, report->kept + "-2");
}

TEST_F(BackupTest, RestoresToAnEmptyPlace) {
  {
    auto store = Open(path_);
    PutWidget(*store, "a", 1);
    ASSERT_TRUE(store::BackUpSqliteStore(path_, copy_).has_value());
  }
  path_ = folder_ + "/elsewhere/kuma.db";
  const auto report = Restore(copy_);
  ASSERT_TRUE(report.has_value()) << report.error().message();
  EXPECT_EQ(report->kept, "");
  EXPECT_EQ(NumberOf(*Open(path_), WidgetKey("a")), 1);
}

TEST_F(BackupTest, RestoresOverADamagedStoreWithItsLog) {
  {
    auto store = Open(path_);
    PutWidget(*store, "a", 1);
    ASSERT_TRUE(store::BackUpSqliteStore(path_, copy_).has_value());
    PutWidget(*store, "b", 1);
    fs::copy(path_ + "-wal", folder_ + "/wal");
  }
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << std::string(9'000, 'z');
  fs::copy(folder_ + "/wal", path_ + "-wal");
  const auto report = Restore(copy_);
  ASSERT_TRUE(report.has_value()) << report.error().message();
  auto store = Open(path_);
  EXPECT_EQ(NumberOf(*store, WidgetKey("a")), 1);
  EXPECT_EQ(NumberOf(*store, WidgetKey("b")), -1);
  EXPECT_TRUE(fs::exists(report->kept));
}

TEST_F(BackupTest, RefusesWhatIsNoWholeBackup) {
  auto store = Open(path_);
  for (int i = 0; i < 40; ++i) PutWidget(*store, "n" + std::to_string(i), i);
  ASSERT_TRUE(store::BackUpSqliteStore(path_, copy_).has_value());
  store.reset();
  const auto refused = [&](const std::string& file, std::string_view reason) {
    const auto report = Restore(file);
    ASSERT_FALSE(report.has_value()) << reason;
    EXPECT_THAT(report.error().message(), HasSubstr(std::string(reason)));
  };
  const std::string bad = folder_ + "/bad.db";
  refused(bad, "there is no file");
  refused(path_, "the store itself");
  std::ofstream(bad) << "text";
  refused(bad, "not a SQLite database");
  std::ofstream(bad, std::ios::trunc).close();
  refused(bad, "empty");
  // Damage in the middle of it.
  fs::copy_file(copy_, bad, fs::copy_options::overwrite_existing);
  {
    std::fstream file(bad, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(3 * 4096);
    file << std::string(4096, '\x55');
  }
  refused(bad, "damaged");
  const auto change = [&](const char* sql) {
    fs::copy_file(copy_, bad, fs::copy_options::overwrite_existing);
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(bad.c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
  };
  change("UPDATE schema_version SET version = 1000");
  refused(bad, "newer control plane");
  change("UPDATE resource SET spec = '[' WHERE name = 'n3'");
  refused(bad, "Widget m/n3");
  change("PRAGMA application_id = 7");
  refused(bad, "another program");
  fs::copy_file(copy_, bad, fs::copy_options::overwrite_existing);
  std::ofstream(bad + "-wal") << "log";
  refused(bad, "write-ahead log");

  EXPECT_EQ(Open(path_)->List({.kind = "Widget"})->total, 40u);
  for (const std::string& name : Files()) EXPECT_THAT(name, ::testing::Not(HasSubstr("restoring")));
}

TEST_F(BackupTest, RestoresEveryReleasedSchema) {
  const char* source = getenv("KUMA_SOURCE_DIR");
  ASSERT_NE(source, nullptr) << "set by ctest";
  for (const auto& entry :
       fs::directory_iterator(std::string(source) + "/src/store/sqlite/testdata")) {
    SCOPED_TRACE(entry.path().filename());
    const std::string old = folder_ + "/" + entry.path().stem().string() + ".db";
    std::ifstream file(entry.path());
    const std::string sql((std::istreambuf_iterator<char>(file)), {});
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(old.c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
    const auto report = Restore(old);
    ASSERT_TRUE(report.has_value()) << report.error().message();
    EXPECT_EQ(report->resources, 2u);
    EXPECT_EQ(Open(path_)->revision().value, 3u);
    clock_.Advance(std::chrono::seconds(1));
  }
}

}  // namespace
}  // namespace kuma::store_test

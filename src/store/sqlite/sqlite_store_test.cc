#include "store/sqlite/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "tests/conformance/store_kinds.h"

namespace kuma::store_test {
namespace {

using base::Code;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SqliteStoreTest : public ::testing::Test {
 protected:
  SqliteStoreTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sqlite-test-XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/kuma.db";
  }
  ~SqliteStoreTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<store::Store> Open(const model::TypeTable& types = Types()) {
    auto store = store::OpenSqliteStore(path_, types, clock_);
    EXPECT_TRUE(store.has_value()) << store.error().message();
    return store.has_value() ? *std::move(store) : nullptr;
  }
  base::Error OpenFails() {
    auto store = store::OpenSqliteStore(path_, Types(), clock_);
    EXPECT_FALSE(store.has_value());
    return store.has_value() ? base::Internal("no error") : store.error();
  }
  // By another connection, as a user with the sqlite3 program.
  void Sql(const std::string& sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
    char* error = nullptr;
    sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error);
    EXPECT_EQ(error, nullptr) << error;
    sqlite3_free(error);
    sqlite3_close(database);
  }
  mode_t Mode(const std::string& path) {
    struct stat status = {};
    EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 0777;
  }

  std::string folder_;
  std::string path_;
  TestClock clock_;
};

TEST_F(SqliteStoreTest, FilesAreForTheirOwnerOnly) {
  path_ = folder_ + "/deep/er/kuma.db";
  auto store = Open();
  ASSERT_TRUE(store->Commit(Writes({Put(Widget("a"))})).has_value());
  EXPECT_EQ(Mode(folder_ + "/deep"), 0700u);
  for (const char* suffix : {"", "-wal", "-shm", ".lock"})
    EXPECT_EQ(Mode(path_ + suffix), 0600u) << suffix;
  store.reset();
  chmod(path_.c_str(), 0644);
  store = Open();
  EXPECT_EQ(Mode(path_), 0600u);
}

TEST_F(SqliteStoreTest, SecondControlPlaneIsRefused) {
  auto store = Open();
  const base::Error error = OpenFails();
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_THAT(error.message(), AllOf(HasSubstr(path_), HasSubstr("in use by another control plane"),
                                     HasSubstr(std::to_string(getpid()))));
  EXPECT_TRUE(store->Commit(Writes({Put(Widget("a"))})).has_value());
  store.reset();
  Open();
}

TEST_F(SqliteStoreTest, OthersMayReadMeanwhile) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Writes({Put(Widget("a"))})).has_value());
  Sql("SELECT * FROM resource");
  Sql("VACUUM INTO '" + folder_ + "/backup.db'");
  ASSERT_TRUE(store->Commit(Writes({Put(Widget("b"))})).has_value());
  store.reset();
  path_ = folder_ + "/backup.db";
  store = Open();
  EXPECT_EQ(NumberOf(*store, WidgetKey("a")), 0);
  EXPECT_EQ(NumberOf(*store, WidgetKey("b")), -1);
}

TEST_F(SqliteStoreTest, WaitsForAnotherProgramsTransaction) {
  auto store = Open();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  std::atomic<bool> answered = false;
  store->CommitAsync(Writes({Put(Widget("a"))}), [&](auto committed) {
    EXPECT_TRUE(committed.has_value());
    answered = true;
  });
  EXPECT_FALSE(answered);
  ASSERT_EQ(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  store.reset();
  EXPECT_TRUE(answered);
}

TEST_F(SqliteStoreTest, RefusesWhatIsNotADatabase) {
  std::ofstream(path_) << "apiVersion: v1\nkind: List\n" << std::string(5000, '#');
  const base::Error error = OpenFails();
  EXPECT_EQ(error.code(), Code::kInternal);
  EXPECT_THAT(error.message(), AllOf(HasSubstr(path_), HasSubstr("not a SQLite database")));
}

TEST_F(SqliteStoreTest, RefusesAndKeepsADatabaseOfAnotherProgram) {
  Sql("CREATE TABLE photo (name TEXT); INSERT INTO photo VALUES ('cat')");
  std::ifstream before_file(path_);
  std::stringstream before;
  before << before_file.rdbuf();
  const base::Error error = OpenFails();
  EXPECT_EQ(error.code(), Code::kInvalid);
  EXPECT_THAT(error.message(), AllOf(HasSubstr(path_), HasSubstr("another program")));
  std::ifstream after_file(path_);
  std::stringstream after;
  after << after_file.rdbuf();
  EXPECT_EQ(before.str(), after.str());
}

TEST_F(SqliteStoreTest, RefusesADatabaseOfANewerVersion) {
  Open();
  Sql("UPDATE schema_version SET version = 1000");
  const base::Error error = OpenFails();
  EXPECT_EQ(error.code(), Code::kInvalid);
  EXPECT_THAT(error.message(), AllOf(HasSubstr(path_), HasSubstr("newer"), HasSubstr("1000")));
}

TEST_F(SqliteStoreTest, OpensEveryReleasedSchema) {
  const char* source = getenv("KUMA_SOURCE_DIR");
  ASSERT_NE(source, nullptr) << "set by ctest";
  const std::string folder = std::string(source) + "/src/store/sqlite/testdata";
  size_t opened = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().filename().string());
    path_ = folder_ + "/" + entry.path().stem().string() + ".db";
    std::ifstream file(entry.path());
    std::stringstream sql;
    sql << file.rdbuf();
    Sql(sql.str());
    auto store = Open();
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(store->revision().value, 3u);
    EXPECT_THAT(ShowAll(*store),
                ::testing::ElementsAre(
                    "Realm||r|r1|1700000000000000000|1700000000000000000||user|0:realm",
                    "Widget|m|w|r2|1700000001000000000|1700000002000000000|k=v,|Realm//r|"
                    "proxy|7:text|8:status",
                    "WidgetInsight|m|i|r3|1700000003000000000|1700000003000000000||user|9:seen"));
    const bool has_history = entry.path().stem() != "schema_1";
    const auto history = store->History({});
    ASSERT_TRUE(history.has_value()) << history.error().message();
    EXPECT_EQ(history->complete_after.value, has_history ? 1u : 3u);
    ASSERT_EQ(history->entries.size(), has_history ? 2u : 0u);
    if (has_history) {
      EXPECT_EQ(history->entries[0].origin, (store::Origin{"ann", "10.0.0.1", "a note"}));
      EXPECT_EQ(*history->entries[0].after->spec.Find("number")->if_int(), 7);
      EXPECT_FALSE(history->entries[1].after.has_value());
    }
    store::Transaction removal = Writes({Delete(RealmKey("r"))});
    removal.origin = store::Origin{"bob", "::1"};
    EXPECT_EQ(store->Commit(std::move(removal))->revision.value, 4u);
    EXPECT_EQ(store->History({})->entries.front().key, RealmKey("r"));
    ++opened;
  }
  EXPECT_EQ(opened, 2u);
}

TEST_F(SqliteStoreTest, KeepsRowsOfUnknownKinds) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Writes({Put(Widget("a", {"", 5})), Put(Realm("r"))})).has_value());
  store.reset();
  const model::TypeTable fewer({&RealmType()});
  store = Open(fewer);
  EXPECT_EQ(NumberOf(*store, WidgetKey("a")), -1);
  EXPECT_EQ(store->Commit(Writes({Put(Widget("b"))})).error().code(), Code::kInvalid);
  EXPECT_TRUE(store->Commit(Writes({Put(Realm("s"))})).has_value());
  store.reset();
  store = Open();
  EXPECT_EQ(NumberOf(*store, WidgetKey("a")), 5);
  EXPECT_EQ(NumberOf(*store, RealmKey("s")), 0);
}

TEST_F(SqliteStoreTest, UnreadableRowIsNamed) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Writes({Put(Widget("a")), Put(Widget("b"))})).has_value());
  store.reset();
  for (const char* change :
       {"spec = '{\"text\": 1}'", "spec = '[1]'", "spec = '{\"text'", "spec = ''",
        "spec = '{\"text\": \"\", \"number\": 1}', labels = '7'"}) {
    Sql("UPDATE resource SET " + std::string(change) + " WHERE name = 'b'");
    const base::Error error = OpenFails();
    EXPECT_EQ(error.code(), Code::kInternal);
    EXPECT_THAT(error.message(), AllOf(HasSubstr(path_), HasSubstr("Widget m/b"))) << change;
  }
}

TEST_F(SqliteStoreTest, DamageAnywhereEndsInAnErrorOrTheSameContent) {
  auto store = Open();
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(
        store->Commit(Writes({Put(Widget("n" + std::to_string(i), {std::string(700, 'x'), i}))}))
            .has_value());
  }
  const auto whole = ShowAll(*store);
  store.reset();
  std::ifstream file(path_, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  file.close();
  std::mt19937 random(7);
  int refused = 0;
  for (int round = 0; round < 60; ++round) {
    std::string damaged = content.str();
    const size_t page = 4096 * (random() % (damaged.size() / 4096));
    const int kind = static_cast<int>(random() % 3);
    if (kind == 0) damaged.replace(page, 4096, 4096, '\0');
    if (kind == 1) damaged.resize(page + 100);
    if (kind == 2) {
      for (size_t i = 0; i < 64; ++i) damaged[page + i] = static_cast<char>(random());
    }
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << damaged;
    auto opened = store::OpenSqliteStore(path_, Types(), clock_);
    if (!opened.has_value()) {
      ++refused;
      EXPECT_THAT(opened.error().message(), HasSubstr(path_));
    } else if (ShowAll(**opened) != whole) {
      // Only an empty file is a new database; what had rows must not come up with fewer.
      ADD_FAILURE() << "opened with other content; damage " << kind << " at " << page;
    }
    opened = base::Internal("closed");
    std::filesystem::remove(path_ + "-wal");
    std::filesystem::remove(path_ + "-shm");
  }
  EXPECT_GT(refused, 30);
}

TEST_F(SqliteStoreTest, RemovedFileStopsWritesNotReads) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Writes({Put(Widget("a"))})).has_value());
  std::filesystem::rename(path_, path_ + ".away");
  const auto refused = store->Commit(Writes({Put(Widget("b"))}));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), Code::kUnavailable);
  EXPECT_THAT(refused.error().message(), AllOf(HasSubstr(path_), HasSubstr("removed")));
  EXPECT_EQ(store->Ping().error().code(), Code::kUnavailable);
  EXPECT_EQ(NumberOf(*store, WidgetKey("a")), 0);
  std::filesystem::rename(path_ + ".away", path_);
  EXPECT_TRUE(store->Ping().has_value());
  EXPECT_TRUE(store->Commit(Writes({Put(Widget("b"))})).has_value());
}

TEST_F(SqliteStoreTest, UnusablePathsAreNamed) {
  path_ = "/proc/no/such/kuma.db";
  EXPECT_THAT(OpenFails().message(), HasSubstr("/proc/no"));
  path_ = folder_ + "/folder";
  std::filesystem::create_directory(path_);
  EXPECT_THAT(OpenFails().message(), HasSubstr(path_));
  path_ = "";
  EXPECT_EQ(OpenFails().code(), Code::kInvalid);
}

// Runs `work` in a child process, kills it once it wrote `lines` lines into its pipe, and returns
// all that it wrote.
std::string RunAndKill(size_t lines, const std::function<void(int pipe)>& work) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    work(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  std::string said;
  char buffer[64];
  bool killed = false;
  for (ssize_t size = 0; (size = read(ends[0], buffer, sizeof buffer)) > 0;) {
    said.append(buffer, static_cast<size_t>(size));
    if (killed || static_cast<size_t>(std::count(said.begin(), said.end(), '\n')) < lines) continue;
    kill(child, SIGKILL);
    killed = true;
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "ended by itself: " << status;
  return said;
}

void Say(int pipe, const std::string& text) {
  if (write(pipe, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(1);
}

TEST_F(SqliteStoreTest, NothingAcknowledgedIsLostByKilling) {
  std::mt19937 random(20260802);
  std::set<int> acknowledged;
  for (int round = 0; round < 20; ++round) {
    const std::string said = RunAndKill(1 + random() % 60, [&](int pipe) {
      auto store = store::OpenSqliteStore(path_, Types(), clock_);
      if (!store.has_value()) _exit(2);
      std::vector<std::thread> writers;
      for (int w = 0; w < 4; ++w) {
        writers.emplace_back([&, w] {
          for (int i = 0;; ++i) {
            const int number = round * 1'000'000 + w * 100'000 + i;
            const std::string name = std::to_string(number);
            auto done = (*store)->Commit(
                Writes({Put(Widget("left-" + name, {std::string(300, 'x'), number})),
                        Put(Widget("right-" + name, {"", number})),
                        Put(Widget("last-" + std::to_string(w), {"", number}))}));
            if (!done.has_value()) _exit(3);
            Say(pipe, name + "\n");
          }
        });
      }
      for (auto& writer : writers) writer.join();
    });
    std::istringstream lines(said);
    for (int number = 0; lines >> number;) acknowledged.insert(number);

    auto store = Open();
    ASSERT_NE(store, nullptr);
    for (const int number : acknowledged) {
      ASSERT_EQ(NumberOf(*store, WidgetKey("left-" + std::to_string(number))), number)
          << "round " << round;
    }
    const auto page = store->List({.kind = "Widget", .name_contains = "left-"});
    EXPECT_LE(page->items.size(), acknowledged.size() + 4u * static_cast<size_t>(round + 1));
    EXPECT_EQ(store->List({.kind = "Widget", .name_contains = "right-"})->total, page->total);
    uint64_t newest = 0;
    for (const auto& item : page->items) {
      newest = std::max(newest, item->meta().revision.value);
      const std::string number = item->name().substr(5);
      ASSERT_EQ(NumberOf(*store, WidgetKey("right-" + number)), item->Spec<Body>().number);
    }
    EXPECT_EQ(store->revision().value, newest);
  }
  EXPECT_GT(acknowledged.size(), 100u);
}

TEST_F(SqliteStoreTest, ACrashNeverGivesARevisionOutAgain) {
  uint64_t seen = 0;
  for (int round = 0; round < 3; ++round) {
    const std::string said = RunAndKill(round == 1 ? 1500 : 40, [&](int pipe) {
      auto store = store::OpenSqliteStore(path_, Types(), clock_);
      if (!store.has_value()) _exit(2);
      for (int i = 0;; ++i) {
        auto done = (*store)->Commit(Writes({Put(Insight("i", {"", round * 1'000'000 + i}))}));
        if (!done.has_value()) _exit(3);
        Say(pipe, std::to_string(done->revision.value) + "\n");
      }
    });
    std::istringstream lines(said);
    for (uint64_t revision = 0; lines >> revision;) {
      ASSERT_GT(revision, seen);
      seen = revision;
    }
    auto store = Open();
    ASSERT_GE(store->revision().value, seen);
    seen = store->Commit(Writes({Put(Widget("w", {"", round + 1}))}))->revision.value;
  }
  EXPECT_GT(seen, 1500u);
}

}  // namespace
}  // namespace kuma::store_test

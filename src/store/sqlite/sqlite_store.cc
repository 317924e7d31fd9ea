#include "store/sqlite/sqlite_store.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/log.h"
#include "store/internal/history.h"
#include "store/internal/live_table.h"
#include "store/sqlite/database.h"
#include "store/sqlite/file.h"
#include "store/sqlite/rows.h"
#include "store/sqlite/schema.h"

namespace kuma::store {
namespace {

using internal::Plan;
using internal::Stage;
using sqlite::Database;
using sqlite::LockedFile;
using sqlite::RowWriter;

constexpr base::Logger kLog("store");

constexpr size_t kMaxGroup = 512;  // transactions of one fsync
constexpr runtime::Duration kInsightInterval = std::chrono::seconds(1);
constexpr size_t kInsightRows = 256;  // of one transaction; users' writes come in between
// Insights may be put off for users' writes until they are so late.
constexpr runtime::Duration kInsightPatience = std::chrono::seconds(5);
// Revisions of the history that are dropped in one transaction because of their age. They are
// looked for after each thousandth of that age, an hour at most.
constexpr size_t kTrimmedAtOnce = 500;
constexpr runtime::Duration kLongestTrimInterval = std::chrono::hours(1);
// Revisions that insights may use up between two writes of the counters.
constexpr uint64_t kReserve = 1'000;

using Done = std::function<void(base::Result<Committed>)>;
struct Pending {
  Transaction transaction;
  Done done;
};

bool IsInsight(const StoreEvent& event) {
  return (event.after != nullptr ? event.after : event.before)->type().is_insight;
}

// Thread-safe. Readers are served from memory. One thread, the writer, owns the database and
// everything marked so.
//
//   users' transactions:  plan in memory -> write -> fsync -> memory, watches -> answer
//   insights:             plan in memory -> memory, watches -> answer; written within about a
//   second
class SqliteStore final : public Store {
 public:
  SqliteStore(const model::TypeTable& types, const runtime::Clock& clock, std::string path,
              std::unique_ptr<LockedFile> file, std::unique_ptr<Database> database,
              std::unique_ptr<RowWriter> rows, std::unique_ptr<internal::LiveTable> live,
              internal::KeptRevisions kept)
      : types_(types),
        clock_(clock),
        path_(std::move(path)),
        live_(std::move(live)),
        file_(std::move(file)),
        database_(std::move(database)),
        rows_(std::move(rows)),
        kept_(std::move(kept)),
        reserved_(live_->revision()),
        writer_([this] { Run(); }) {}

  // Commits what is queued first.
  ~SqliteStore() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    writer_.join();
  }

  base::Result<ResourcePtr> Get(const ResourceKey& key) override { return live_->Get(key); }
  base::Result<Page> List(const ListQuery& query) override { return live_->List(query); }
  base::Result<WatchHandle> Watch(Revision from, WatchSink& sink) override {
    return live_->Watch(from, sink);
  }
  base::Result<HistoryPage> History(const HistoryQuery& query) override {
    TRY(file_->CheckInPlace());
    TRY_ASSIGN(auto reader, Database::Open(path_));
    TRY(reader->Execute("PRAGMA query_only = ON; BEGIN"));  // one state for all that is read
    return sqlite::ReadHistory(*reader, query);
  }
  Revision revision() const override { return live_->revision(); }

  // An empty transaction asks the writer for a sign of life, see Probe.
  base::Status Ping() override {
    base::Result<Committed> answer = Commit(Transaction{});
    if (!answer.has_value()) return std::move(answer).error();
    return base::Ok{};
  }

  void CommitAsync(Transaction transaction, Done done) override {
    const bool insights_only =
        !transaction.writes.empty() &&
        std::all_of(transaction.writes.begin(), transaction.writes.end(),
                    [this](const Write& write) {
                      if (write.kind == Write::Kind::kPut) {
                        return write.resource != nullptr && write.resource->type().is_insight;
                      }
                      const model::ResourceType* type = types_.Find(write.key.kind);
                      return type != nullptr && type->is_insight;
                    });
    {
      std::lock_guard lock(mutex_);
      (insights_only ? insights_ : users_).push_back({std::move(transaction), std::move(done)});
    }
    wake_.notify_one();
  }

 private:
  // All below: on the writer.

  void Run();
  // The next turn's work; waits until there is some. False: stopped, and nothing is left.
  bool TakeWork(std::vector<Pending>& users, std::vector<Pending>& insights);
  void CommitUsers(std::vector<Pending> group);
  // One disk transaction. An error means that none of `group` is stored; else one answer for each.
  // `begun` says whether the error came after the transaction had begun.
  base::Result<std::vector<base::Result<Committed>>> TryGroup(std::span<const Pending> group,
                                                              bool& begun);
  base::Status WritePlan(const Plan& plan);
  // For transactions of a group: when it fails, takes back this one's rows only.
  base::Status WritePlanSeparately(const Plan& plan);
  base::Status Begin();
  base::Status CommitOrRollback(Revision newest);
  // The same with `recorded`, the revisions that went into the history.
  base::Status CommitOrRollback(Revision newest, std::span<const Revision> recorded);
  void Rollback();
  base::Result<Plan> PlanOne(const Transaction& transaction, Revision newest, Stage& stage);
  base::Result<Committed> Probe();

  void ApplyInsights(std::vector<Pending> batch);
  bool InsightsDue() const;
  void FlushInsights();
  base::Status WriteInsights(const std::vector<ResourceKey>& keys);
  void FlushAllAndClose();

  // Drops what is too old, some of it at a time.
  void TrimHistory();
  base::Status DropHistory(Revision cut);

  const model::TypeTable& types_;  // outlive this
  const runtime::Clock& clock_;
  const std::string path_;
  std::unique_ptr<internal::LiveTable> live_;

  std::mutex mutex_;  // guards the three below. Callers bound the queues: each waits for its answer
                      // or coalesces.
  std::deque<Pending> users_;
  std::deque<Pending> insights_;
  bool stopping_ = false;
  std::condition_variable wake_;

  // The writer's.
  std::unique_ptr<LockedFile> file_;  // released last
  std::unique_ptr<Database> database_;
  std::unique_ptr<RowWriter> rows_;
  internal::KeptRevisions kept_;    // of the history
  Revision reserved_;               // as stored
  bool uses_reserve_ = false;       // insights were given revisions that are not on disk
  std::set<ResourceKey> dirty_;     // insights that changed since they were last written
  std::vector<ResourceKey> batch_;  // of them, the rest of the batch being written
  runtime::Time next_batch_{};
  runtime::Time next_reservation_{};  // after one failed
  bool flush_failed_ = false;
  std::optional<runtime::Time> next_trim_ = runtime::Time{};  // none: there is no history

  std::thread writer_;  // last: starts when all else is there
};

void SqliteStore::Run() {
  std::vector<Pending> users;
  std::vector<Pending> insights;
  TrimHistory();
  while (TakeWork(users, insights)) {
    if (!users.empty()) CommitUsers(std::exchange(users, {}));
    if (!insights.empty()) ApplyInsights(std::exchange(insights, {}));
    if (InsightsDue()) FlushInsights();
    if (!next_trim_ || clock_.Now() >= *next_trim_) TrimHistory();
  }
  FlushAllAndClose();
}

bool SqliteStore::TakeWork(std::vector<Pending>& users, std::vector<Pending>& insights) {
  std::unique_lock lock(mutex_);
  const auto has_work = [this] { return stopping_ || !users_.empty() || !insights_.empty(); };
  if (batch_.empty()) {  // else it goes on at once
    std::optional<runtime::Time> until = next_trim_;
    if (!dirty_.empty()) until = std::min(until.value_or(next_batch_), next_batch_);
    if (until) {
      wake_.wait_for(lock, *until - clock_.Now(), has_work);
    } else {
      wake_.wait(lock, has_work);
    }
  }
  while (!users_.empty() && users.size() < kMaxGroup) {
    users.push_back(std::move(users_.front()));
    users_.pop_front();
  }
  insights.assign(std::make_move_iterator(insights_.begin()),
                  std::make_move_iterator(insights_.end()));
  insights_.clear();
  return !stopping_ || !users.empty() || !insights.empty();
}

void SqliteStore::CommitUsers(std::vector<Pending> group) {
  bool begun = false;
  auto answers = TryGroup(group, begun);
  if (answers.has_value()) {
    for (size_t i = 0; i < group.size(); ++i) group[i].done(std::move((*answers)[i]));
    return;
  }
  if (group.size() == 1 || !begun) {
    for (const Pending& pending : group) pending.done(answers.error());
    return;
  }
  // The fault may be one transaction's (too large for what is left of the disk): each for itself.
  for (const Pending& pending : group) {
    auto alone = TryGroup({&pending, 1}, begun);
    pending.done(alone.has_value() ? std::move(alone->front())
                                   : base::Result<Committed>(std::move(alone).error()));
  }
}

base::Result<std::vector<base::Result<Committed>>> SqliteStore::TryGroup(
    std::span<const Pending> group, bool& begun) {
  std::vector<base::Result<Committed>> answers;
  std::vector<StoreEvent> events;
  std::vector<Revision> recorded;
  Revision newest = live_->revision();
  Stage staged(live_->table());
  for (const Pending& pending : group) {
    if (pending.transaction.writes.empty()) {
      answers.push_back(Probe());
      continue;
    }
    Stage own(staged, nullptr);
    base::Result<Plan> plan = PlanOne(pending.transaction, newest, own);
    if (!plan.has_value()) {
      answers.push_back(std::move(plan).error());
      continue;
    }
    if (plan->answer.changed) {
      if (!database_->InTransaction()) TRY(Begin());
      begun = true;
      base::Status written = group.size() == 1 ? WritePlan(*plan) : WritePlanSeparately(*plan);
      if (!written.has_value()) {
        const bool group_lost = !database_->InTransaction();
        if (group_lost || group.size() == 1) {
          Rollback();
          return std::move(written).error();
        }
        answers.push_back(std::move(written).error());
        continue;
      }
      staged.Absorb(std::move(own));
      newest = plan->answer.revision;
      if (!plan->history.empty()) recorded.push_back(newest);
      std::move(plan->events.begin(), plan->events.end(), std::back_inserter(events));
    }
    answers.push_back(std::move(plan->answer));
  }
  if (events.empty()) {
    Rollback();
    return answers;
  }
  TRY(CommitOrRollback(newest, recorded));
  for (const StoreEvent& event : events) {
    if (IsInsight(event)) dirty_.erase(event.key);
  }
  live_->Install(events, newest);
  return answers;
}

base::Result<Plan> SqliteStore::PlanOne(const Transaction& transaction, Revision newest,
                                        Stage& stage) {
  for (const Write& write : transaction.writes) {
    if (write.kind != Write::Kind::kPut || write.resource == nullptr) continue;
    const std::string_view kind = write.resource->type().kind;
    // It would be lost at the next start.
    if (types_.Find(kind) == nullptr) return base::Invalid(base::Format("unknown kind {}", kind));
  }
  return internal::PlanTransaction(transaction, newest, clock_.WallNow(), stage);
}

base::Result<Committed> SqliteStore::Probe() {
  TRY(file_->CheckInPlace());
  TRY(database_->QueryNumber("SELECT version FROM schema_version"));
  return Committed{.revision = live_->revision(), .changed = false, .created = {}};
}

base::Status SqliteStore::Begin() {
  TRY(file_->CheckInPlace());
  return database_->Execute("BEGIN IMMEDIATE");
}

void SqliteStore::Rollback() {
  if (!database_->InTransaction()) return;
  if (base::Status done = database_->Execute("ROLLBACK"); !done.has_value()) {
    kLog.Error("rollback failed", {{"error", done.error().message()}});
  }
}

base::Status SqliteStore::CommitOrRollback(Revision newest) {
  Revision reserve = newest;
  if (uses_reserve_) reserve.value += kReserve;
  base::Status done = rows_->SetCounters({newest, reserve});
  if (done.has_value()) done = database_->Execute("COMMIT");
  if (!done.has_value()) {
    Rollback();
    return done;
  }
  reserved_ = reserve;
  return done;
}

base::Status SqliteStore::CommitOrRollback(Revision newest, std::span<const Revision> recorded) {
  if (recorded.empty()) return CommitOrRollback(newest);
  const model::WallTime now = clock_.WallNow();
  for (const Revision revision : recorded) kept_.Add(revision, now);
  const Revision cut = kept_.Cut(now);
  base::Status done = base::Ok{};
  if (cut > kept_.complete_after()) done = rows_->DropHistory(cut);
  if (done.has_value()) {
    done = CommitOrRollback(newest);
  } else {
    Rollback();
  }
  if (done.has_value()) {
    kept_.DropTo(cut);
  } else {
    kept_.TakeBack(recorded.size());
  }
  return done;
}

void SqliteStore::TrimHistory() {
  const model::WallTime now = clock_.WallNow();
  const runtime::Duration interval = std::clamp<runtime::Duration>(
      kept_.limits().age / 1000, std::chrono::milliseconds(1), kLongestTrimInterval);
  next_trim_ = clock_.Now() + interval;
  if (const Revision cut = kept_.Cut(now, kTrimmedAtOnce); cut > kept_.complete_after()) {
    if (const base::Status dropped = DropHistory(cut); !dropped.has_value()) {
      kLog.Warn("old history could not be dropped", {{"error", dropped.error().message()}});
      return;
    }
  }
  const std::optional<model::WallTime> expiry = kept_.next_expiry();
  if (!expiry) {
    next_trim_.reset();
  } else if (*expiry < now) {
    next_trim_ = clock_.Now();  // more of it
  }
}

base::Status SqliteStore::DropHistory(Revision cut) {
  TRY(Begin());
  if (base::Status done = rows_->DropHistory(cut); !done.has_value()) {
    Rollback();
    return done;
  }
  TRY(CommitOrRollback(live_->revision()));
  kept_.DropTo(cut);
  return base::Ok{};
}

base::Status SqliteStore::WritePlan(const Plan& plan) {
  for (const StoreEvent& event : plan.events) {
    if (event.after != nullptr) {
      TRY(rows_->Put(*event.after));
    } else {
      TRY(rows_->Erase(event.key, IsInsight(event)));
    }
  }
  for (size_t i = 0; i < plan.history.size(); ++i) TRY(rows_->Record(plan.history[i], i));
  return base::Ok{};
}

base::Status SqliteStore::WritePlanSeparately(const Plan& plan) {
  TRY(database_->Execute("SAVEPOINT one"));
  base::Status written = WritePlan(plan);
  if (written.has_value()) return database_->Execute("RELEASE one");
  if (database_->InTransaction() &&
      !database_->Execute("ROLLBACK TO one; RELEASE one").has_value()) {
    Rollback();  // of the whole group: the caller sees that it is gone
  }
  return written;
}

void SqliteStore::ApplyInsights(std::vector<Pending> batch) {
  for (Pending& pending : batch) {
    Stage stage(live_->table());
    base::Result<Plan> plan = PlanOne(pending.transaction, live_->revision(), stage);
    if (!plan.has_value()) {
      pending.done(std::move(plan).error());
      continue;
    }
    if (!std::all_of(plan->events.begin(), plan->events.end(), IsInsight)) {
      // It deletes something that is no insight.
      std::vector<Pending> durable;
      durable.push_back(std::move(pending));
      CommitUsers(std::move(durable));
      continue;
    }
    if (plan->answer.revision > reserved_ && clock_.Now() >= next_reservation_) {
      // After a crash the counter goes on above every revision that was seen. A full disk must not
      // stop insights, which live in memory first: then that promise rests until the next write.
      uses_reserve_ = true;
      if (!Begin().has_value() || !CommitOrRollback(live_->revision()).has_value()) {
        next_reservation_ = clock_.Now() + kInsightPatience;
      }
    }
    for (const StoreEvent& event : plan->events) dirty_.insert(event.key);
    live_->Install(plan->events, plan->answer.revision);
    pending.done(std::move(plan->answer));
  }
}

bool SqliteStore::InsightsDue() const {
  if (dirty_.empty() && batch_.empty()) return false;
  return !batch_.empty() || clock_.Now() >= next_batch_;
}

void SqliteStore::FlushInsights() {
  const runtime::Time now = clock_.Now();
  {
    std::lock_guard lock(mutex_);
    if (!users_.empty() && now < next_batch_ + kInsightPatience) return;
  }
  if (batch_.empty()) {
    batch_.assign(dirty_.begin(), dirty_.end());
    next_batch_ = now + kInsightInterval;
  }
  std::vector<ResourceKey> part;
  while (!batch_.empty() && part.size() < kInsightRows) {
    // Written meanwhile by a user's transaction: not dirty any more.
    if (dirty_.contains(batch_.back())) part.push_back(std::move(batch_.back()));
    batch_.pop_back();
  }
  base::Status written = WriteInsights(part);
  if (written.has_value()) {
    for (const ResourceKey& key : part) dirty_.erase(key);
    if (std::exchange(flush_failed_, false)) kLog.Info("insights are written again");
    return;
  }
  batch_.clear();
  if (!std::exchange(flush_failed_, true)) {
    kLog.Warn("insights are kept in memory only until writing succeeds",
              {{"error", written.error().message()}});
  }
}

base::Status SqliteStore::WriteInsights(const std::vector<ResourceKey>& keys) {
  if (keys.empty()) return base::Ok{};
  TRY(Begin());
  for (const ResourceKey& key : keys) {
    const ResourcePtr resource = live_->table().Find(internal::ViewOf(key));
    base::Status written =
        resource != nullptr ? rows_->Put(*resource) : rows_->Erase(key, /*is_insight=*/true);
    if (!written.has_value()) {
      Rollback();
      return written;
    }
  }
  return CommitOrRollback(live_->revision());
}

void SqliteStore::FlushAllAndClose() {
  uses_reserve_ = false;
  base::Status written = WriteInsights({dirty_.begin(), dirty_.end()});
  if (written.has_value() && reserved_ != live_->revision()) {
    written = Begin();
    if (written.has_value()) written = CommitOrRollback(live_->revision());
  }
  if (!written.has_value()) {
    kLog.Warn("the last insights are lost", {{"error", written.error().message()}});
  }
}

// Journal and durability, as the header promises.
base::Status Configure(Database& database, const std::string& path) {
  TRY_ASSIGN(const std::string mode, database.QueryText("PRAGMA journal_mode = WAL"));
  if (mode != "wal") {
    return base::Unavailable(
        path +
        " lies on a file system that cannot hold a write-ahead log (a network file "
        "system?): give the store a local path");
  }
  return database.Execute(
      "PRAGMA synchronous = FULL;"
      "PRAGMA journal_size_limit = 67108864;"  // a burst's log is cut again
      "PRAGMA secure_delete = FAST;"           // deleted keys do not linger where it costs nothing
      "PRAGMA trusted_schema = OFF");
}

base::Status CheckWhole(Database& database, const std::string& path) {
  TRY_ASSIGN(const std::string verdict, database.QueryText("PRAGMA quick_check(1)"));
  if (verdict == "ok") return base::Ok{};
  return base::Internal(base::Format(
      "{} is damaged ({}): restore a backup, or save what can be read by `sqlite3 {} .recover`",
      path, verdict, path));
}

}  // namespace

base::Result<std::unique_ptr<Store>> OpenSqliteStore(const std::string& given_path,
                                                     const model::TypeTable& types,
                                                     const runtime::Clock& clock,
                                                     HistoryLimits history) {
  std::error_code error;
  const std::string path = std::filesystem::absolute(given_path, error).lexically_normal();
  if (given_path.empty() || error) return base::Invalid("the store has no usable path");

  TRY_ASSIGN(auto file, LockedFile::Open(path));
  TRY_ASSIGN(auto database, Database::Open(path));
  TRY(sqlite::CheckOwner(*database, path));
  TRY(CheckWhole(*database, path));
  TRY(Configure(*database, path));
  TRY(sqlite::Migrate(*database, path));
  TRY_ASSIGN(const sqlite::Counters counters, sqlite::ReadCounters(*database));
  TRY_ASSIGN(auto rows, RowWriter::Make(*database));
  auto live = std::make_unique<internal::LiveTable>();
  TRY(sqlite::ReadResources(*database, path, types,
                            [&](ResourcePtr resource) { live->Load(std::move(resource)); }));
  // After a crash somebody may have seen insights that are lost: no watch resumes from there.
  const bool crashed = counters.reserved > counters.revision;
  const Revision newest = std::max(counters.revision, counters.reserved);
  live->SetRevision(newest, Revision{newest.value + (crashed ? 1 : 0)});
  TRY_ASSIGN(const Revision history_start, sqlite::ReadHistoryStart(*database));
  internal::KeptRevisions kept(history, history_start);
  TRY(sqlite::ReadHistoryRevisions(
      *database, [&](Revision revision, model::WallTime time) { kept.Add(revision, time); }));
  return std::unique_ptr<Store>(std::make_unique<SqliteStore>(types, clock, path, std::move(file),
                                                              std::move(database), std::move(rows),
                                                              std::move(live), std::move(kept)));
}

}  // namespace kuma::store

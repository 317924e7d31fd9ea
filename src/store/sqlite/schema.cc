#include "store/sqlite/schema.h"

#include <iterator>

#include "base/format.h"

namespace kuma::store::sqlite {
namespace {

constexpr int64_t kApplicationId = 0x4b756d61;  // "Kuma", in the header of the file

// Entry i leads from version i to version i + 1. Released entries never change: add one, and a
// fixture of the version before it to testdata/.
//
// `resource` and `insight` have equal columns; insights are apart because they are written often
// and carelessly. Times are nanoseconds since 1970; labels, spec and status are JSON.
constexpr const char* kMigrations[] = {
    R"sql(
    CREATE TABLE resource (
      kind TEXT NOT NULL, mesh TEXT NOT NULL, name TEXT NOT NULL,
      revision INTEGER NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL,
      labels TEXT NOT NULL,
      owner_kind TEXT, owner_mesh TEXT, owner_name TEXT,
      owned_by_proxy INTEGER NOT NULL,
      spec TEXT NOT NULL, status TEXT,
      PRIMARY KEY (kind, mesh, name));
    CREATE TABLE insight (
      kind TEXT NOT NULL, mesh TEXT NOT NULL, name TEXT NOT NULL,
      revision INTEGER NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL,
      labels TEXT NOT NULL,
      owner_kind TEXT, owner_mesh TEXT, owner_name TEXT,
      owned_by_proxy INTEGER NOT NULL,
      spec TEXT NOT NULL, status TEXT,
      PRIMARY KEY (kind, mesh, name));
    -- revision: of the newest write on disk. reserved: at least every revision ever given out.
    CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO counter VALUES ('revision', 0), ('reserved', 0);
    )sql",
    // What users changed. Labels and specs are JSON, the specs of secrets NULL. Counter
    // history_after: nothing of a later revision is missing.
    R"sql(
    CREATE TABLE history (
      revision INTEGER NOT NULL, position INTEGER NOT NULL, time INTEGER NOT NULL,
      user TEXT NOT NULL, address TEXT NOT NULL, note TEXT NOT NULL,
      kind TEXT NOT NULL, mesh TEXT NOT NULL, name TEXT NOT NULL,
      before_labels TEXT, before_spec TEXT, after_labels TEXT, after_spec TEXT,
      PRIMARY KEY (revision, position));
    INSERT INTO counter SELECT 'history_after', max(value) FROM counter;
    )sql",
};

}  // namespace

int NewestSchemaVersion() { return static_cast<int>(std::size(kMigrations)); }

base::Status CheckOwner(Database& database, const std::string& path) {
  TRY_ASSIGN(const int64_t application, database.QueryNumber("PRAGMA application_id"));
  if (application == kApplicationId) return base::Ok{};
  TRY_ASSIGN(const int64_t tables, database.QueryNumber("SELECT count(*) FROM sqlite_schema"));
  if (application == 0 && tables == 0) return base::Ok{};  // new
  return base::Invalid(path + " is a database of another program: give the store another path");
}

base::Status Migrate(Database& database, const std::string& path) {
  TRY_ASSIGN(const int64_t application, database.QueryNumber("PRAGMA application_id"));
  if (application != kApplicationId) {
    TRY(
        database.Execute(base::Format("BEGIN IMMEDIATE; PRAGMA application_id = {};"
                                      "CREATE TABLE schema_version (version INTEGER NOT NULL); "
                                      "INSERT INTO schema_version VALUES (0); COMMIT",
                                      kApplicationId)));
  }
  TRY_ASSIGN(int64_t version, database.QueryNumber("SELECT version FROM schema_version"));
  if (version > NewestSchemaVersion()) {
    return base::Invalid(
        base::Format("{} was written by a newer control plane (schema version {}, this one knows "
                     "up to {}): start that version, or "
                     "restore a backup of before the upgrade",
                     path, version, NewestSchemaVersion()));
  }
  for (; version < NewestSchemaVersion(); ++version) {
    TRY(database.Execute(
        base::Format("BEGIN IMMEDIATE; {} UPDATE schema_version SET version = {}; COMMIT",
                     kMigrations[version], version + 1)));
  }
  return base::Ok{};
}

}  // namespace kuma::store::sqlite

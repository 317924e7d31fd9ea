#include "store/sqlite/inspect.h"

#include <sys/stat.h>

#include "base/format.h"
#include "store/sqlite/database.h"
#include "store/sqlite/schema.h"

namespace kuma::store {
namespace {

uint64_t SizeOf(const std::string& path) {
  struct stat status = {};
  return stat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

}  // namespace

base::Result<SqliteReport> InspectSqlite(const std::string& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0 && errno == ENOENT)
    return base::NotFound(path + " does not exist");
  SqliteReport report;
  report.newest_schema_version = sqlite::NewestSchemaVersion();
  report.bytes = SizeOf(path) + SizeOf(path + "-wal");
  TRY_ASSIGN(const auto database, sqlite::Database::OpenReadOnly(path));
  TRY(sqlite::CheckOwner(*database, path));
  TRY_ASSIGN(const std::string verdict, database->QueryText("PRAGMA integrity_check(1)"));
  if (verdict != "ok") {
    return base::Internal(base::Format(
        "{} is damaged: stop the control plane and restore a backup, or save what can be read by "
        "`sqlite3 {} .recover` ({})",
        path, path, verdict));
  }
  TRY_ASSIGN(
      const int64_t tables,
      database->QueryNumber("SELECT count(*) FROM sqlite_schema WHERE name = 'schema_version'"));
  if (tables == 0) return report;  // made a moment ago
  TRY_ASSIGN(report.schema_version, database->QueryNumber("SELECT version FROM schema_version"));
  if (report.schema_version == 0) return report;
  TRY_ASSIGN(report.resources, database->QueryNumber("SELECT count(*) FROM resource"));
  TRY_ASSIGN(const int64_t revision,
             database->QueryNumber("SELECT value FROM counter WHERE name = 'revision'"));
  report.revision = {static_cast<uint64_t>(revision)};
  return report;
}

}  // namespace kuma::store

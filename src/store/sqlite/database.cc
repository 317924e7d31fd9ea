#include "store/sqlite/database.h"

#include <sqlite3.h>

#include <utility>

#include "base/format.h"

namespace kuma::store::sqlite {
namespace {

base::Error ToError(int code, const std::string& reason, const std::string& path) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return base::Unavailable(
          base::Format("the disk is full or at its limit, {} cannot grow: free some space; nothing "
                       "stored is lost, and writes "
                       "succeed again as soon as there is room ({})",
                       path, reason));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return base::Unavailable(
          base::Format("{} is locked by another program: end its transaction or wait for it ({})",
                       path, reason));
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return base::Unavailable(
          base::Format("{} cannot be read or written: check the disk, the permissions and the free "
                       "space; writes are tried "
                       "again with each request ({})",
                       path, reason));
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return base::Unavailable(
          base::Format("{} cannot be written: the control plane needs write permission on the file "
                       "and its folder ({})",
                       path, reason));
    case SQLITE_CORRUPT:
      return base::Internal(base::Format(
          "{} is damaged: stop the control plane and restore a backup, or save what can be read by "
          "`sqlite3 {} .recover` ({})",
          path, path, reason));
    case SQLITE_NOTADB:
      return base::Internal(base::Format(
          "{} is not a SQLite database: give the store another path, or restore a backup ({})",
          path, reason));
    default: return base::Internal(base::Format("{}: SQLite error {}: {}", path, code, reason));
  }
}

base::Error LastError(int code, sqlite3* database, const std::string& path) {
  const int extended = database != nullptr ? sqlite3_extended_errcode(database) : code;
  const std::string reason = database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(code);
  return ToError(extended != SQLITE_OK ? extended : code, reason, path);
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement& Statement::Note(int code) {
  if (bind_failure_ == SQLITE_OK) bind_failure_ = code;
  return *this;
}

Statement& Statement::Bind(int index, std::string_view text) {
  return Note(sqlite3_bind_text64(statement_.get(), index,
                                  text.data() != nullptr ? text.data() : "", text.size(),
                                  SQLITE_STATIC, SQLITE_UTF8));
}

Statement& Statement::Bind(int index, int64_t number) {
  return Note(sqlite3_bind_int64(statement_.get(), index, number));
}

Statement& Statement::BindNull(int index) {
  return Note(sqlite3_bind_null(statement_.get(), index));
}

base::Result<bool> Statement::Step() {
  if (const int failure = std::exchange(bind_failure_, SQLITE_OK); failure != SQLITE_OK) {
    return ToError(failure, sqlite3_errstr(failure), *path_);
  }
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(statement_.get());
    return false;
  }
  base::Error error = LastError(code, database_, *path_);
  sqlite3_reset(statement_.get());
  return error;
}

base::Status Statement::Run() {
  for (;;) {
    TRY_ASSIGN(const bool more, Step());
    if (!more) return base::Ok{};
  }
}

std::string_view Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (text == nullptr) return {};
  return {text, static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

int64_t Statement::Number(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

base::Result<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  return OpenWith(path, SQLITE_OPEN_READWRITE);
}
base::Result<std::unique_ptr<Database>> Database::OpenReadOnly(const std::string& path) {
  return OpenWith(path, SQLITE_OPEN_READONLY);
}

base::Result<std::unique_ptr<Database>> Database::OpenWith(const std::string& path, int mode) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, mode | SQLITE_OPEN_NOMUTEX, nullptr);
  auto database = std::unique_ptr<Database>(new Database(handle, path));
  if (code != SQLITE_OK) return LastError(code, handle, path);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, 5'000);
  return database;
}

Database::~Database() { sqlite3_close_v2(database_); }

base::Status Database::Execute(const std::string& sql) {
  const int code = sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return LastError(code, database_, path_);
  return base::Ok{};
}

base::Result<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(database_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return LastError(code, database_, path_);
  return Statement(statement, database_, path_);
}

base::Result<int64_t> Database::QueryNumber(std::string_view sql) {
  TRY_ASSIGN(Statement statement, Prepare(sql));
  TRY_ASSIGN(const bool found, statement.Step());
  if (!found) return base::NotFound(base::Format("{}: no row: {}", path_, sql));
  return statement.Number(0);
}

base::Result<std::string> Database::QueryText(std::string_view sql) {
  TRY_ASSIGN(Statement statement, Prepare(sql));
  TRY_ASSIGN(const bool found, statement.Step());
  if (!found) return base::NotFound(base::Format("{}: no row: {}", path_, sql));
  return std::string(statement.Text(0));
}

bool Database::InTransaction() const { return sqlite3_get_autocommit(database_) == 0; }

}  // namespace kuma::store::sqlite

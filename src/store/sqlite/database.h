#pragma once

// A thin cover of SQLite's C interface: results instead of codes, handles that close themselves.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace kuma::store::sqlite {

// A prepared statement. Confined to the thread of its database, which must outlive it.
class Statement {
 public:
  Statement() = default;
  Statement(sqlite3_stmt* statement, sqlite3* database, const std::string& path)
      : statement_(statement), database_(database), path_(&path) {}

  // Parameters count from 1. Text is borrowed until Run or the last Step. A failure shows in the
  // next Step.
  Statement& Bind(int index, std::string_view text);
  Statement& Bind(int index, int64_t number);
  Statement& BindNull(int index);

  // Next row: true; no more: false, and the statement is ready for the next use.
  base::Result<bool> Step();
  // Runs to the end.
  base::Status Run();

  // Columns of the row, from 0; valid until the next Step.
  std::string_view Text(int column) const;
  int64_t Number(int column) const;
  bool IsNull(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement& Note(int code);

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bind_failure_ = 0;  // the first of the current use
  sqlite3* database_ = nullptr;
  const std::string* path_ = nullptr;
};

// One connection. Used by one thread at a time. Errors name the path and the way out: kUnavailable
// when the same may succeed later (disk full, busy, I/O), kInternal otherwise.
class Database {
 public:
  // The file must exist (it may be empty).
  static base::Result<std::unique_ptr<Database>> Open(const std::string& path);
  static base::Result<std::unique_ptr<Database>> OpenReadOnly(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  base::Status Execute(const std::string& sql);  // one statement or several, rows ignored
  base::Result<Statement> Prepare(std::string_view sql);
  base::Result<int64_t> QueryNumber(std::string_view sql);  // first column of the only row
  base::Result<std::string> QueryText(std::string_view sql);

  // False: there is no transaction, or SQLite ended it by itself because of an error.
  bool InTransaction() const;

 private:
  static base::Result<std::unique_ptr<Database>> OpenWith(const std::string& path, int mode);
  Database(sqlite3* database, std::string path) : database_(database), path_(std::move(path)) {}

  sqlite3* database_;
  const std::string path_;
};

}  // namespace kuma::store::sqlite

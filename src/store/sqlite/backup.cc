#include "store/sqlite/backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/format.h"
#include "base/strings.h"
#include "model/duration.h"
#include "store/sqlite/database.h"
#include "store/sqlite/file.h"
#include "store/sqlite/rows.h"
#include "store/sqlite/schema.h"

namespace kuma::store {
namespace {

using sqlite::Database;
using sqlite::LockedFile;

base::Error SystemError(std::string_view doing, const std::string& path) {
  return base::Unavailable(base::Format("{} {}: {}", doing, path, std::strerror(errno)));
}

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags)
      : fd_(open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

bool Exists(const std::string& path) {
  struct stat status = {};
  return lstat(path.c_str(), &status) == 0;
}

base::Status Sync(const std::string& path) {
  const Descriptor file(path, O_RDONLY);
  if (file.get() < 0 || fsync(file.get()) != 0) return SystemError("write", path);
  return base::Ok{};
}

// A file of work that is gone at the end unless it got its name.
class Draft {
 public:
  // Replaces what an earlier try left.
  static base::Result<std::unique_ptr<Draft>> Make(const std::string& path) {
    auto draft = std::unique_ptr<Draft>(new Draft(path));
    draft->Remove();
    const Descriptor created(path, O_WRONLY | O_CREAT | O_EXCL);
    if (created.get() < 0) return SystemError("create", path);
    return draft;
  }
  ~Draft() { Remove(); }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  const std::string& path() const { return path_; }

 private:
  explicit Draft(std::string path) : path_(std::move(path)) {}
  void Remove() {
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) unlink((path_ + suffix).c_str());
  }

  const std::string path_;
};

// A name that is taken stays with its owner.
base::Status GiveNewName(const std::string& draft, const std::string& name) {
  if (renameat2(AT_FDCWD, draft.c_str(), AT_FDCWD, name.c_str(), RENAME_NOREPLACE) == 0) {
    return base::Ok{};
  }
  // Not every file system can do it in one step.
  if (errno != EEXIST && link(draft.c_str(), name.c_str()) == 0) return base::Ok{};
  if (errno == EEXIST) return base::Conflict(name + " exists already: choose another name");
  return SystemError("write", name);
}

struct Content {
  sqlite::Counters counters;
  size_t resources = 0;
};

// That it is a whole store of ours, of a version that we know.
base::Result<Content> Inspect(Database& database, const std::string& path) {
  TRY(sqlite::CheckOwner(database, path));
  TRY_ASSIGN(const int64_t tables, database.QueryNumber("SELECT count(*) FROM sqlite_schema"));
  if (tables == 0) return base::Invalid(path + " is empty: it holds no store");
  TRY_ASSIGN(const std::string verdict, database.QueryText("PRAGMA integrity_check(1)"));
  if (verdict != "ok") return base::Internal(base::Format("{} is damaged: {}", path, verdict));
  TRY_ASSIGN(const int64_t version, database.QueryNumber("SELECT version FROM schema_version"));
  if (version > sqlite::NewestSchemaVersion()) {
    return base::Invalid(
        base::Format("{} was written by a newer control plane (schema version {}, this one knows "
                     "up to {}): use that version",
                     path, version, sqlite::NewestSchemaVersion()));
  }
  Content content;
  TRY_ASSIGN(content.counters, sqlite::ReadCounters(database));
  TRY_ASSIGN(const int64_t count, database.QueryNumber("SELECT count(*) FROM resource"));
  content.resources = static_cast<size_t>(count);
  return content;
}

base::Status CopyBytes(const std::string& from, const std::string& to) {
  const Descriptor source(from, O_RDONLY);
  if (source.get() < 0) return SystemError("read", from);
  const Descriptor target(to, O_WRONLY);
  if (target.get() < 0) return SystemError("write", to);
  std::string buffer(1 << 20, '\0');
  for (;;) {
    const ssize_t size = read(source.get(), buffer.data(), buffer.size());
    if (size < 0) return SystemError("read", from);
    if (size == 0) return base::Ok{};
    for (ssize_t done = 0; done < size;) {
      const ssize_t wrote =
          write(target.get(), buffer.data() + done, static_cast<size_t>(size - done));
      if (wrote <= 0) return SystemError("write", to);
      done += wrote;
    }
  }
}

// The newest revision that the store at `path` ever gave out, as far as it can be read. Empties its
// log, so that the file is all of it.
Revision Settle(const std::string& path) {
  auto database = Database::Open(path);
  if (!database.has_value()) return {};
  (void)(*database)->Execute("PRAGMA wal_checkpoint(TRUNCATE)");
  const auto counters = sqlite::ReadCounters(**database);
  if (!counters.has_value()) return {};
  return std::max(counters->revision, counters->reserved);
}

// "20261125T224500Z"
std::string Stamp(model::WallTime now) {
  std::string text = model::ToRfc3339(std::chrono::floor<std::chrono::seconds>(now));
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

}  // namespace

base::Result<BackupReport> BackUpSqliteStore(const std::string& path, const std::string& file) {
  if (Exists(file)) return base::Conflict(file + " exists already: choose another name");
  if (!Exists(path)) {
    return base::NotFound(base::Format(
        "there is no store at {}: was the control plane started with the same configuration?",
        path));
  }
  TRY_ASSIGN(auto draft, Draft::Make(file + ".partial"));
  {
    TRY_ASSIGN(auto database, Database::Open(path));
    TRY_ASSIGN(sqlite::Statement copy, database->Prepare("VACUUM INTO ?"));
    TRY(copy.Bind(1, draft->path()).Run());
  }
  Content content;
  {
    TRY_ASSIGN(auto database, Database::Open(draft->path()));
    TRY_ASSIGN(content, Inspect(*database, path));
  }
  TRY(Sync(draft->path()));
  TRY(GiveNewName(draft->path(), file));
  TRY(sqlite::SyncFolder(std::filesystem::absolute(file).parent_path()));
  return BackupReport{content.counters.revision, content.resources};
}

base::Result<RestoreReport> RestoreSqliteStore(const std::string& file, const std::string& path,
                                               const model::TypeTable& types, model::WallTime now) {
  if (!Exists(file)) return base::NotFound(base::Format("there is no file {}", file));
  std::error_code error;
  if (std::filesystem::equivalent(file, path, error)) {
    return base::Invalid(file + " is the store itself");
  }
  if (const auto log = std::filesystem::file_size(file + "-wal", error); !error && log > 0) {
    return base::Invalid(base::Format(
        "{} has a write-ahead log beside it: it is a database in use, not a backup; make one with "
        "kuma-cp backup",
        file));
  }
  TRY_ASSIGN(const auto lock, LockedFile::Lock(path));
  TRY_ASSIGN(const auto draft, Draft::Make(path + ".restoring"));
  TRY(CopyBytes(file, draft->path()));
  Content content;
  {
    TRY_ASSIGN(auto database, Database::Open(draft->path()));
    auto inspected = Inspect(*database, file);
    if (!inspected) return std::move(inspected).error();
    content = *inspected;
    TRY(sqlite::ReadResources(*database, file, types, [](ResourcePtr) {}));
    // What was ever seen of the replaced store is not given out again.
    const Revision seen = Exists(path) ? Settle(path) : Revision{};
    if (seen > std::max(content.counters.revision, content.counters.reserved)) {
      TRY(database->Execute(
          base::Format("UPDATE counter SET value = {} WHERE name = 'reserved'", seen.value)));
    }
  }
  TRY(Sync(draft->path()));

  RestoreReport report{content.counters.revision, content.resources, {}};
  if (Exists(path)) {
    const std::string name = base::Format("{}.before-restore-{}", path, Stamp(now));
    std::string kept = name;
    for (int n = 2; Exists(kept); ++n) kept = base::Format("{}-{}", name, n);
    // Linked, not moved: there is a store at `path` at every moment.
    for (const char* suffix : {"-wal", ""}) {
      if (!Exists(path + suffix)) continue;
      if (link((path + suffix).c_str(), (kept + suffix).c_str()) != 0) {
        return SystemError("keep the replaced store as", kept + suffix);
      }
    }
    report.kept = kept;
    TRY(sqlite::SyncFolder(std::filesystem::path(path).parent_path()));
  }
  // The log of the replaced file must not meet the new one.
  for (const char* suffix : {"-wal", "-shm"}) {
    if (unlink((path + suffix).c_str()) != 0 && errno != ENOENT) {
      return SystemError("remove", path + suffix);
    }
  }
  if (rename(draft->path().c_str(), path.c_str()) != 0) return SystemError("write", path);
  TRY(sqlite::SyncFolder(std::filesystem::path(path).parent_path()));
  return report;
}

}  // namespace kuma::store

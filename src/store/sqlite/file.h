#pragma once

// The file of a database before and beside SQLite: permissions, the lock against a second control
// plane, identity.

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"

namespace kuma::store::sqlite {

// Holds the lock for its lifetime; the system releases it when the process ends, however it ends.
// Not a lock of SQLite: other programs may read the database meanwhile (backups).
class LockedFile {
 public:
  // Only takes the lock, and creates the folder for it (0700); CheckInPlace is not for such a one.
  static base::Result<std::unique_ptr<LockedFile>> Lock(const std::string& path);
  // Creates folder (0700) and file (0600) where they are missing and narrows the mode of an
  // existing file. kUnavailable: another control plane has it (names its process), or the system
  // refuses.
  static base::Result<std::unique_ptr<LockedFile>> Open(const std::string& path);
  ~LockedFile();
  LockedFile(const LockedFile&) = delete;
  LockedFile& operator=(const LockedFile&) = delete;

  // kUnavailable when the path no longer leads to the file that was opened: what we write would be
  // lost.
  base::Status CheckInPlace() const;

 private:
  LockedFile(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  const std::string path_;
  const int lock_;  // open, and locked, file <path>.lock
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
};

// A new name in a folder is durable only when the folder is.
base::Status SyncFolder(const std::filesystem::path& folder);

}  // namespace kuma::store::sqlite

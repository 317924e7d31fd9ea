#include "store/sqlite/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::store::sqlite {
namespace {

base::Error SystemError(std::string_view doing, const std::string& path) {
  return base::Unavailable(base::Format("{} {}: {}", doing, path, std::strerror(errno)));
}

base::Status MakeFolder(const std::filesystem::path& folder) {
  std::error_code error;
  if (folder.empty() || std::filesystem::exists(folder, error)) return base::Ok{};
  TRY(MakeFolder(folder.parent_path()));
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return SystemError("create folder", folder);
  }
  return SyncFolder(folder.parent_path());
}

// The process that wrote its number into the lock file.
std::string Holder(int lock) {
  char text[32] = {};
  const ssize_t size = pread(lock, text, sizeof(text) - 1, 0);
  const std::string_view number =
      base::Trim(std::string_view(text, size > 0 ? static_cast<size_t>(size) : 0));
  return number.empty() ? std::string() : base::Format(" (process {})", number);
}

}  // namespace

base::Status SyncFolder(const std::filesystem::path& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError("open folder", folder);
  const int failed = fsync(fd);
  const int why = errno;
  close(fd);
  errno = why;
  // Some file systems cannot sync folders; they order names by themselves.
  if (failed != 0 && errno != EINVAL) return SystemError("sync folder", folder);
  return base::Ok{};
}

base::Result<std::unique_ptr<LockedFile>> LockedFile::Lock(const std::string& path) {
  TRY(MakeFolder(std::filesystem::path(path).parent_path()));
  const std::string lock_path = path + ".lock";
  const int lock = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return SystemError("open", lock_path);
  auto file = std::unique_ptr<LockedFile>(new LockedFile(path, lock));
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return SystemError("lock", lock_path);
    return base::Unavailable(base::Format(
        "{} is in use by another control plane{}: stop that one, or give this one another path",
        path, Holder(lock)));
  }
  const std::string number = base::Format("{}\n", getpid());
  if (ftruncate(lock, 0) != 0 ||
      pwrite(lock, number.data(), number.size(), 0) != static_cast<ssize_t>(number.size())) {
    // Only the text of a later error suffers.
    errno = 0;
  }
  return file;
}

base::Result<std::unique_ptr<LockedFile>> LockedFile::Open(const std::string& path) {
  TRY_ASSIGN(auto file, Lock(path));
  // Closed again before SQLite opens the file: closing later would release SQLite's own locks.
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return SystemError("open", path);
  struct stat status = {};
  base::Status checked = base::Ok{};
  if (fstat(fd, &status) != 0) {
    checked = SystemError("read the attributes of", path);
  } else if (!S_ISREG(status.st_mode)) {
    checked = base::Invalid(path + " is not a file");
  } else if ((status.st_mode & 077) != 0 && fchmod(fd, 0600) != 0) {
    checked = SystemError("take the permissions of others (it holds keys) from", path);
  }
  close(fd);
  TRY(std::move(checked));
  TRY(SyncFolder(std::filesystem::path(path).parent_path()));
  file->device_ = status.st_dev;
  file->inode_ = status.st_ino;
  return file;
}

LockedFile::~LockedFile() { close(lock_); }

base::Status LockedFile::CheckInPlace() const {
  struct stat status = {};
  if (stat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_) {
    return base::Ok{};
  }
  return base::Unavailable(
      base::Format("{} was removed or replaced while the control plane runs: put it back, or "
                   "restart the control plane; reads are "
                   "served from memory, writes are refused",
                   path_));
}

}  // namespace kuma::store::sqlite

#pragma once

// A disk that fails: full, broken, or cut off from power.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace kuma::test {

inline std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

// A VFS of SQLite in front of the system's one, in force while it lives. Fails writes and syncs on
// request and knows which bytes would survive a power cut. Thread-safe.
class FaultyDisk {
 public:
  // With `skip_syncs` the real disk is never waited for: what is durable is known here anyway.
  explicit FaultyDisk(bool skip_syncs = false) : skip_syncs_(skip_syncs) {
    real_ = sqlite3_vfs_find(nullptr);
    vfs_ = *real_;
    vfs_.zName = "faulty";
    vfs_.pNext = nullptr;
    vfs_.pAppData = this;
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
    vfs_.xOpen = [](sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
      return static_cast<FaultyDisk*>(vfs->pAppData)->Open(name, file, flags, out);
    };
    vfs_.xDelete = [](sqlite3_vfs* vfs, const char* name, int sync) {
      return static_cast<FaultyDisk*>(vfs->pAppData)->Delete(name, sync);
    };
    EXPECT_EQ(sqlite3_vfs_register(&vfs_, 1), SQLITE_OK);
  }
  ~FaultyDisk() { sqlite3_vfs_unregister(&vfs_); }

  // The k-th change (write, sync, truncate) from now fails with `code`; all later ones too if
  // `lasting`.
  void FailAt(int k, int code, bool lasting) {
    std::lock_guard lock(mutex_);
    countdown_ = k;
    code_ = code;
    lasting_ = lasting;
  }
  void Repair() { FailAt(-1, SQLITE_OK, false); }
  // True if the fault that FailAt asked for came.
  bool Failed() {
    std::lock_guard lock(mutex_);
    return countdown_ == 0;
  }
  int syncs() {
    std::lock_guard lock(mutex_);
    return syncs_;
  }

  // Power fails at the k-th change from now; bytes that were not synced survive or not, 512 at a
  // time.
  void CutAt(int k, unsigned seed) {
    std::lock_guard lock(mutex_);
    cut_countdown_ = k;
    cut_random_.seed(seed);
  }
  bool IsCut() {
    std::lock_guard lock(mutex_);
    return cut_;
  }
  // After everything is closed: puts the files into the state that the cut left.
  void Restart() {
    for (const auto& [path, content] : left_)
      std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    std::lock_guard lock(mutex_);
    contents_.clear();
    left_.clear();
    cut_ = false;
    cut_countdown_ = -1;
  }

 private:
  struct File {
    sqlite3_file base;
    FaultyDisk* disk;
    const char* path;  // lives as long as the file, says SQLite
    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  };
  struct Change {
    sqlite3_int64 offset;
    std::string bytes;
    bool truncate;  // to `offset`
  };
  struct Content {
    std::string durable;
    std::vector<Change> pending;
  };

  static File* Of(sqlite3_file* file) { return reinterpret_cast<File*>(file); }

  static void Apply(const Change& change, std::string& content) {
    const auto offset = static_cast<size_t>(change.offset);
    if (change.truncate) {
      content.resize(offset);
      return;
    }
    if (content.size() < offset + change.bytes.size()) content.resize(offset + change.bytes.size());
    content.replace(offset, change.bytes.size(), change.bytes);
  }

  int Open(const char* name, sqlite3_file* base, int flags, int* out) {
    static const sqlite3_io_methods methods = Methods();
    File* file = Of(base);
    file->disk = this;
    file->path = name;
    file->base.pMethods = nullptr;
    {
      std::lock_guard lock(mutex_);
      if (cut_) return SQLITE_CANTOPEN;
      if (name != nullptr && !contents_.contains(name)) contents_[name].durable = ReadWhole(name);
    }
    const int code = real_->xOpen(real_, name, file->real(), flags, out);
    if (code == SQLITE_OK) file->base.pMethods = &methods;
    return code;
  }

  int Delete(const char* name, int sync) {
    {
      std::lock_guard lock(mutex_);
      if (cut_) return SQLITE_IOERR_DELETE;
      contents_.erase(name);
    }
    return real_->xDelete(real_, name, sync);
  }

  // Before each change.
  int Before(File* file, Change change, bool is_sync) {
    std::lock_guard lock(mutex_);
    if (cut_countdown_ > 0 && --cut_countdown_ == 0) Cut();
    if (cut_) return SQLITE_IOERR;
    if (countdown_ > 0 && --countdown_ == 0) return code_;
    if (countdown_ == 0 && lasting_) return code_;
    if (is_sync) ++syncs_;
    if (file->path == nullptr) return SQLITE_OK;
    Content& content = contents_[file->path];
    if (is_sync) {
      for (const Change& each : content.pending) Apply(each, content.durable);
      content.pending.clear();
    } else {
      content.pending.push_back(std::move(change));
    }
    return SQLITE_OK;
  }

  void Cut() {
    cut_ = true;
    for (auto& [path, content] : contents_) {
      std::string left = content.durable;
      for (const Change& change : content.pending) {
        if (change.truncate) {
          if (cut_random_() % 2 == 0) Apply(change, left);
          continue;
        }
        for (size_t at = 0; at < change.bytes.size(); at += 512) {
          if (cut_random_() % 2 == 0) continue;
          Apply(
              {change.offset + static_cast<sqlite3_int64>(at), change.bytes.substr(at, 512), false},
              left);
        }
      }
      left_[path] = std::move(left);
    }
  }

  static sqlite3_io_methods Methods() {
    sqlite3_io_methods methods = {};
    methods.iVersion = 2;
    methods.xClose = [](sqlite3_file* f) { return Of(f)->real()->pMethods->xClose(Of(f)->real()); };
    methods.xRead = [](sqlite3_file* f, void* to, int size, sqlite3_int64 offset) {
      return Of(f)->real()->pMethods->xRead(Of(f)->real(), to, size, offset);
    };
    methods.xWrite = [](sqlite3_file* f, const void* from, int size, sqlite3_int64 offset) {
      const int code = Of(f)->disk->Before(
          Of(f),
          {offset, std::string(static_cast<const char*>(from), static_cast<size_t>(size)), false},
          false);
      if (code != SQLITE_OK) return code;
      return Of(f)->real()->pMethods->xWrite(Of(f)->real(), from, size, offset);
    };
    methods.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) {
      const int code = Of(f)->disk->Before(Of(f), {size, "", true}, false);
      if (code != SQLITE_OK) return code;
      return Of(f)->real()->pMethods->xTruncate(Of(f)->real(), size);
    };
    methods.xSync = [](sqlite3_file* f, int flags) {
      const int code = Of(f)->disk->Before(Of(f), {}, true);
      if (code != SQLITE_OK || Of(f)->disk->skip_syncs_) return code;
      return Of(f)->real()->pMethods->xSync(Of(f)->real(), flags);
    };
    methods.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
      return Of(f)->real()->pMethods->xFileSize(Of(f)->real(), size);
    };
    methods.xLock = [](sqlite3_file* f, int lock) {
      return Of(f)->real()->pMethods->xLock(Of(f)->real(), lock);
    };
    methods.xUnlock = [](sqlite3_file* f, int lock) {
      return Of(f)->real()->pMethods->xUnlock(Of(f)->real(), lock);
    };
    methods.xCheckReservedLock = [](sqlite3_file* f, int* out) {
      return Of(f)->real()->pMethods->xCheckReservedLock(Of(f)->real(), out);
    };
    methods.xFileControl = [](sqlite3_file* f, int what, void* argument) {
      return Of(f)->real()->pMethods->xFileControl(Of(f)->real(), what, argument);
    };
    methods.xSectorSize = [](sqlite3_file* f) {
      return Of(f)->real()->pMethods->xSectorSize(Of(f)->real());
    };
    methods.xDeviceCharacteristics = [](sqlite3_file* f) {
      return Of(f)->real()->pMethods->xDeviceCharacteristics(Of(f)->real());
    };
    methods.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
      return Of(f)->real()->pMethods->xShmMap(Of(f)->real(), page, size, extend, out);
    };
    methods.xShmLock = [](sqlite3_file* f, int offset, int n, int flags) {
      return Of(f)->real()->pMethods->xShmLock(Of(f)->real(), offset, n, flags);
    };
    methods.xShmBarrier = [](sqlite3_file* f) {
      Of(f)->real()->pMethods->xShmBarrier(Of(f)->real());
    };
    methods.xShmUnmap = [](sqlite3_file* f, int remove) {
      return Of(f)->real()->pMethods->xShmUnmap(Of(f)->real(), remove);
    };
    return methods;
  }

  const bool skip_syncs_;
  sqlite3_vfs* real_;
  sqlite3_vfs vfs_;
  std::mutex mutex_;  // guards all below
  int countdown_ = -1;
  int code_ = SQLITE_OK;
  bool lasting_ = false;
  int syncs_ = 0;
  int cut_countdown_ = -1;
  bool cut_ = false;
  std::mt19937 cut_random_;
  std::map<std::string, Content> contents_;
  std::map<std::string, std::string> left_;
};

}  // namespace kuma::test

#pragma once

#include <memory>
#include <mutex>

#include "mesh/mesh_state.h"

namespace kuma::control {

// The newest snapshot. Thread-safe: written by the mesh writer, read by everybody.
//
// A mutex and no std::atomic<std::shared_ptr>: that of libstdc++ 12 reads its pointer without a
// happens-before to the next write (its lock is given back with memory_order_relaxed), which is a
// race on processors that reorder reads.
class SnapshotHolder {
 public:
  // Never null; empty at revision 0 before the store is loaded.
  mesh::SnapshotPtr Load() const {
    const std::lock_guard lock(mutex_);
    return snapshot_;
  }
  void Store(mesh::SnapshotPtr snapshot) {
    const std::lock_guard lock(mutex_);
    snapshot_.swap(snapshot);  // the older one ends after the lock
  }

 private:
  mutable std::mutex mutex_;
  mesh::SnapshotPtr snapshot_ = std::make_shared<const mesh::Snapshot>();  // GUARDED_BY(mutex_)
};

}  // namespace kuma::control

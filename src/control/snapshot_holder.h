#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "mesh/mesh_state.h"

namespace kuma::control {

// The newest snapshot. Thread-safe: written by the mesh writer, read by everybody.
class SnapshotHolder {
 public:
  // Never null; empty at revision 0 before the store is loaded.
  mesh::SnapshotPtr Load() const { return snapshot_.load(std::memory_order_acquire); }
  void Store(mesh::SnapshotPtr snapshot) {
    snapshot_.store(std::move(snapshot), std::memory_order_release);
  }

 private:
  std::atomic<mesh::SnapshotPtr> snapshot_{std::make_shared<const mesh::Snapshot>()};
};

}  // namespace kuma::control

#pragma once

// A persistent sorted map from a string to a shared value: copies share structure. Sorted chunks of
// at most 256 entries under one spine; a change copies one chunk and the spine if they are shared,
// nothing else.
//
// Two threads may read and drop copies of one table at the same time. A table that is being changed
// belongs to one thread; copies of it that other threads hold stay as they were.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kuma::mesh {

template <class V>
class Table {
 public:
  using Entry = std::pair<std::string, V>;
  static constexpr size_t kMaxChunk = 256;

  // Null if absent. The pointer is valid until the next change of this table.
  const V* Find(std::string_view key) const {
    const size_t chunk = ChunkOf(key);
    if (chunk == SpineSize()) return nullptr;
    const Chunk& entries = *(*spine_)[chunk];
    const auto at = LowerBound(entries, key);
    return at != entries.end() && at->first == key ? &at->second : nullptr;
  }

  // Inserts or replaces.
  void Put(std::string_view key, V value) {
    Spine& spine = OwnSpine();
    size_t index = ChunkOf(key);
    if (spine.empty()) {
      spine.push_back(std::make_shared<Chunk>());
    } else {
      index = std::min(index, spine.size() - 1);
    }
    Chunk& entries = OwnChunk(index);
    const auto at = entries.begin() + (LowerBound(entries, key) - entries.cbegin());
    if (at != entries.end() && at->first == key) {
      at->second = std::move(value);
      return;
    }
    const bool appended = at == entries.end();
    entries.insert(at, Entry(std::string(key), std::move(value)));
    ++size_;
    if (entries.size() > kMaxChunk) {
      // Entries that arrive in order fill their chunks; others leave room on both sides.
      const bool in_order = appended && index + 1 == spine.size();
      const auto middle =
          entries.begin() + static_cast<std::ptrdiff_t>(in_order ? kMaxChunk : kMaxChunk / 2);
      auto upper = std::make_shared<Chunk>(std::make_move_iterator(middle),
                                           std::make_move_iterator(entries.end()));
      entries.erase(middle, entries.end());
      spine.insert(spine.begin() + static_cast<std::ptrdiff_t>(index) + 1, std::move(upper));
    }
  }

  // False if absent.
  bool Erase(std::string_view key) {
    if (Find(key) == nullptr) return false;
    Spine& spine = OwnSpine();
    const size_t index = ChunkOf(key);
    Chunk& entries = OwnChunk(index);
    entries.erase(entries.begin() + (LowerBound(entries, key) - entries.cbegin()));
    --size_;
    if (entries.empty()) {
      spine.erase(spine.begin() + static_cast<std::ptrdiff_t>(index));
    } else if (entries.size() < kMaxChunk / 4) {
      if (!MergeWithNext(index) && index > 0) MergeWithNext(index - 1);
    }
    return true;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // In the order of keys: f(const std::string&, const V&).
  template <class F>
  void ForEach(F f) const {
    if (spine_ == nullptr) return;
    for (const auto& chunk : *spine_) {
      for (const Entry& entry : *chunk) f(entry.first, entry.second);
    }
  }

  // The same for keys that begin with `prefix`.
  template <class F>
  void ForEachWithPrefix(std::string_view prefix, F f) const {
    for (size_t chunk = ChunkOf(prefix); chunk < SpineSize(); ++chunk) {
      const Chunk& entries = *(*spine_)[chunk];
      for (auto at = LowerBound(entries, prefix); at != entries.end(); ++at) {
        if (!std::string_view(at->first).starts_with(prefix)) return;
        f(at->first, at->second);
      }
    }
  }

  // True: the very same entries, in the same memory. False says nothing.
  bool IsSameAs(const Table& other) const { return spine_ == other.spine_; }

  // How many chunks both tables hold in common (the very same memory).
  size_t SharedChunksForTest(const Table& other) const {
    size_t shared = 0;
    if (spine_ == nullptr || other.spine_ == nullptr) return 0;
    for (const auto& chunk : *spine_) {
      shared += static_cast<size_t>(std::count(other.spine_->begin(), other.spine_->end(), chunk));
    }
    return shared;
  }
  size_t ChunksForTest() const { return SpineSize(); }

 private:
  using Chunk = std::vector<Entry>;
  using Spine = std::vector<std::shared_ptr<Chunk>>;

  static typename Chunk::const_iterator LowerBound(const Chunk& entries, std::string_view key) {
    return std::lower_bound(entries.begin(), entries.end(), key,
                            [](const Entry& entry, std::string_view k) { return entry.first < k; });
  }
  size_t SpineSize() const { return spine_ == nullptr ? 0 : spine_->size(); }
  // The first chunk whose last key is not below `key`; spine size if there is none. No chunk is
  // empty.
  size_t ChunkOf(std::string_view key) const {
    if (spine_ == nullptr) return 0;
    const auto at = std::lower_bound(spine_->begin(), spine_->end(), key,
                                     [](const std::shared_ptr<Chunk>& chunk, std::string_view k) {
                                       return chunk->back().first < k;
                                     });
    return static_cast<size_t>(at - spine_->begin());
  }
  // Does somebody else hold this too? Taking a reference first (an acquiring read-modify-write of
  // the count) orders our later writes behind the reads of a thread that has just dropped its copy;
  // use_count() alone is relaxed.
  template <class T>
  static bool IsShared(const std::shared_ptr<T>& pointer) {
    const std::shared_ptr<T> held = pointer;
    return held.use_count() > 2;
  }
  Spine& OwnSpine() {
    if (spine_ == nullptr) {
      spine_ = std::make_shared<Spine>();
    } else if (IsShared(spine_)) {
      spine_ = std::make_shared<Spine>(*spine_);
    }
    return *spine_;
  }
  Chunk& OwnChunk(size_t index) {
    std::shared_ptr<Chunk>& chunk = (*spine_)[index];
    if (IsShared(chunk)) chunk = std::make_shared<Chunk>(*chunk);
    return *chunk;
  }
  // Joins two neighbours that are small together. REQUIRES: the spine is our own.
  bool MergeWithNext(size_t index) {
    Spine& spine = *spine_;
    if (index + 1 >= spine.size()) return false;
    if (spine[index]->size() + spine[index + 1]->size() > kMaxChunk / 2) return false;
    Chunk& entries = OwnChunk(index);
    const Chunk& next = *spine[index + 1];
    entries.insert(entries.end(), next.begin(), next.end());
    spine.erase(spine.begin() + static_cast<std::ptrdiff_t>(index) + 1);
    return true;
  }

  std::shared_ptr<Spine> spine_;  // null: empty
  size_t size_ = 0;
};

}  // namespace kuma::mesh

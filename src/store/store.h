#pragma once

// Where resources live. Every backend passes the same suite (tests/conformance/store).

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/resource.h"
#include "model/resource_type.h"
#include "model/value.h"

namespace kuma::store {

using model::ResourceKey;
using model::ResourcePtr;
using model::Revision;

// One write of a transaction.
struct Write {
  enum class Kind { kPut, kDelete };
  Kind kind = Kind::kPut;
  // Put: type, name, labels, owner, owned_by_proxy, spec and status are stored as given; a null
  // status keeps the stored one. The store sets revision, creation_time (kept on update) and
  // modification_time. A put that equals what is stored in all of them is no write: no event, no
  // new revision of the resource. The owner must exist when the transaction ends (kNotFound), so
  // that nothing survives an owner deleted at the same moment.
  ResourcePtr resource;
  ResourceKey key;  // Delete
  // Compare-and-set. Absent: unconditional. 0: must not exist. Else: must exist at this revision.
  std::optional<Revision> expected;
  // Put: everything but the status is kept as stored (the given spec may be null), so that writers
  // of status and of spec do not undo one another. Such a resource must exist (kNotFound).
  bool status_only = false;
};

// The user that a transaction is made for.
struct Origin {
  std::string user;       // name of the principal
  std::string address;    // of the peer, without its port
  std::string note = {};  // such as "rollback to 17"
  bool operator==(const Origin&) const = default;
};

// All or nothing, in order. Deleting a resource deletes what it owns, and what that owns, in the
// same transaction; each is an event of its own, behind that of its owner.
//
// Insights (ResourceType::is_insight) may be cheaper and weaker: a transaction of insights only can
// be answered, read and watched before it is durable, is overtaken by other transactions, and may
// be lost if the process ends within about a second.
struct Transaction {
  std::vector<Write> writes = {};
  // The revision whose effect this is (derived resources), else 0. Carried to the events.
  Revision cause = {};
  // Given: what the transaction changes is kept in the history, see HistoryEntry.
  std::optional<Origin> origin = {};
};

struct Committed {
  Revision revision;     // of the store after the transaction
  bool changed = false;  // false: nothing differed; `revision` is then the newest one before
  // Per write: true if the key did not exist before (of puts: created).
  std::vector<bool> created;
};

// A change of one resource. `before` is null for creation, `after` for deletion.
struct StoreEvent {
  Revision revision;
  Revision cause;
  ResourceKey key;
  ResourcePtr before;
  ResourcePtr after;
};

struct ListQuery {
  std::string kind;
  std::optional<std::string> mesh = {};  // absent: all meshes
  std::string name_contains = {};
  std::vector<std::pair<std::string, std::string>> labels = {};  // all must match
  size_t offset = 0;
  size_t limit = SIZE_MAX;
};
struct Page {
  std::vector<ResourcePtr> items;  // ordered by mesh, then name
  size_t total = 0;                // matches, whatever offset and limit
  Revision revision;               // all items are as of this revision
};

// What the history keeps of a resource at one moment. The spec of a kind that holds secrets
// (ResourceType::admin_only) is null: the store of the history never sees it.
struct HistoryState {
  model::Labels labels;
  model::Value spec;  // as BodyOps::encode gives it
  bool operator==(const HistoryState&) const = default;
};

// One change of labels or spec by a user, stored in the transaction that made it. Never of
// insights, statuses, derived resources (label kuma.io/managed-by) and Dataplanes that their
// proxies own.
struct HistoryEntry {
  Revision revision;
  model::WallTime time;
  Origin origin;
  ResourceKey key;
  std::optional<HistoryState> before;  // absent: did not exist
  std::optional<HistoryState> after;   // absent: deleted
};

// Empty text: any.
struct HistoryQuery {
  std::string kind = {};
  std::string mesh = {};
  std::string name = {};
  Revision after = {};            // entries of later revisions only
  Revision before = {INT64_MAX};  // and of earlier ones
  model::WallTime since = {};     // and not older
  size_t limit = SIZE_MAX;        // entries; a revision is never split, so there may be some more
};
struct HistoryPage {
  std::vector<HistoryEntry> entries;  // newest revision first; of one revision in order
  bool more = false;                  // earlier ones match too
  Revision complete_after;            // every entry of a later revision is still kept
};

// What is kept of the history: so many newest revisions, none older than `age`.
struct HistoryLimits {
  size_t revisions = 10'000;  // 0: no history
  std::chrono::nanoseconds age = std::chrono::hours(30 * 24);
};

// Events that a watch can be resumed from, in memory. Each keeps an old version of a resource alive
// (a Dataplane has 4 KB), so this is what churn costs in memory: 40 MB.
inline constexpr size_t kWatchLog = 10'000;

class WatchSink {
 public:
  virtual ~WatchSink() = default;
  // Called first, once, unless the watch was resumed: all resources as of `revision`. After it
  // every later event, in order, once.
  virtual void OnSnapshot(Revision revision, std::vector<ResourcePtr> resources) = 0;
  // Events of one transaction or several; a transaction is never split. Called on a store thread
  // after the transaction is durable and before Commit returns or soon after; must be quick (post
  // and return) and must not call the store.
  virtual void OnEvents(std::span<const StoreEvent> events) = 0;
};

// Ends the watch when destroyed; after the destructor returns the sink is not called any more.
class WatchHandle {
 public:
  WatchHandle() = default;
  explicit WatchHandle(std::function<void()> stop) : stop_(std::move(stop)) {}
  WatchHandle(WatchHandle&& other) noexcept : stop_(std::exchange(other.stop_, nullptr)) {}
  WatchHandle& operator=(WatchHandle&& other) noexcept {
    if (this != &other) {
      if (auto stop = std::exchange(stop_, nullptr)) stop();
      stop_ = std::exchange(other.stop_, nullptr);
    }
    return *this;
  }
  ~WatchHandle() {
    if (stop_) stop_();
  }

 private:
  std::function<void()> stop_;
};

// Thread-safe. Calls block for I/O: never call from an event loop or the mesh writer, use
// CommitAsync there.
class Store {
 public:
  virtual ~Store() = default;

  // kNotFound if absent.
  virtual base::Result<ResourcePtr> Get(const ResourceKey& key) = 0;
  virtual base::Result<Page> List(const ListQuery& query) = 0;

  // Durable when it returns (fsync done). Errors: kConflict (an `expected` did not hold; names the
  // key), kNotFound (delete or status_only of an absent key, absent owner), kInvalid (no name, spec
  // or mesh, unknown kind), kUnavailable (disk full, busy), kInternal. On error nothing of the
  // transaction is stored. Never call this from `done` or a sink: it waits for the thread that runs
  // them.
  base::Result<Committed> Commit(Transaction transaction);
  // The same; `done` is called on a store thread, exactly once, after the sinks were told. It must
  // be quick (post and return). Transactions of one caller take effect in the order of the calls.
  virtual void CommitAsync(Transaction transaction,
                           std::function<void(base::Result<Committed>)> done) = 0;

  // A sink that knows everything up to `from` is told what came after it, in one call of OnEvents
  // (none if nothing came). When the log does not go back so far (the last kWatchLog events since
  // the store was opened), or `from` is 0 or was never given out, it gets OnSnapshot instead and
  // must forget what it knew. Of insights a resumed sink is told the newest state only, once, with
  // a null `before`. Either call happens before this returns, on the caller's thread. The sink must
  // outlive the handle; the handle must not be destroyed inside the sink.
  virtual base::Result<WatchHandle> Watch(Revision from, WatchSink& sink) = 0;
  base::Result<WatchHandle> Watch(WatchSink& sink) { return Watch(Revision{}, sink); }

  // Blocks for I/O. kUnavailable, kInternal: it cannot be read.
  virtual base::Result<HistoryPage> History(const HistoryQuery& query) = 0;

  // Asks the backend for a sign of life: kUnavailable or kInternal when writes would fail for a
  // known reason.
  virtual base::Status Ping() = 0;
  virtual Revision revision() const = 0;
};

}  // namespace kuma::store

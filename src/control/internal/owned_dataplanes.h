#pragma once

// The life of Dataplanes that their own proxies registered: which of them are due for removal.

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "control/control_loop.h"
#include "runtime/clock.h"

namespace kuma::control::internal {

//                 Put(owned)                Connected
//   (absent) ------------------> waiting ------------> connected
//                                  ^  | deadline           | Disconnected
//                                  |  v                    v
//                                  | due <------------- waiting (leave_grace, if it is alone)
//                     Connected    |  | guard
//                                  |  v
//                                 held --Release--> due
//
// Pure; time is a parameter. Confined to the mesh writer.
class OwnedDataplanes {
 public:
  explicit OwnedDataplanes(const Settings& settings) : settings_(settings) {}

  // The Dataplane was stored (again).
  void Put(const base::ProxyKey& proxy, bool owned, runtime::Time now);
  void Erase(const base::ProxyKey& proxy);
  void Connected(const base::ProxyKey& proxy);
  // How a proxy's stream ended: it said goodbye; others offer the same services, so that nobody
  // misses it while it comes back, if it does; or neither.
  enum class Departure { kGoodbye, kReplaceable, kAlone };
  void Disconnected(const base::ProxyKey& proxy, Departure how, runtime::Time now);
  bool IsConnected(const base::ProxyKey& proxy) const { return connected_.contains(proxy); }

  // Owned Dataplanes to remove now, sorted; each is returned once, until Put, Retry or Disconnected
  // names it again.
  std::vector<base::ProxyKey> TakeDue(runtime::Time now);
  // The removal failed; try again at `when`.
  void Retry(const base::ProxyKey& proxy, runtime::Time when);
  // When TakeDue would return or hold something, if nothing else happens.
  std::optional<runtime::Time> next() const;

  std::vector<base::ProxyKey> held() const;
  size_t held_count() const { return held_count_; }
  // Held Dataplanes of the mesh are due.
  void Release(const std::string& mesh, runtime::Time now);

 private:
  struct Entry {
    bool owned = false;
    bool connected = false;
    bool was_connected = false;
    bool held = false;
    bool unguarded = false;  // goodbye said, or released
    std::optional<runtime::Time> deadline;
  };
  struct MeshCount {
    size_t dataplanes = 0;
    std::deque<runtime::Time> removed;  // guarded removals within the window
  };
  void SetDeadline(const base::ProxyKey& proxy, Entry& entry,
                   std::optional<runtime::Time> deadline);
  void SetHeld(Entry& entry, bool held);

  const Settings settings_;
  std::map<base::ProxyKey, Entry> entries_;
  std::set<base::ProxyKey> connected_;  // with or without a Dataplane
  std::map<std::string, MeshCount> meshes_;
  std::set<std::pair<runtime::Time, base::ProxyKey>> queue_;
  size_t held_count_ = 0;
};

}  // namespace kuma::control::internal

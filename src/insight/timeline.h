#pragma once

// What happened to one proxy, newest 64 events: "MeshTimeout default/slow changed", "sent 3
// clusters", "acknowledged".

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "runtime/clock.h"
#include "xds/delta_session.h"

namespace kuma::insight {

struct TimelineEvent {
  enum class What : uint8_t {
    kConnected,     // text: who it is
    kChanged,       // text: the cause and what it did to the proxy; revision: of the cause
    kGiven,         // the first bundle of a stream
    kSent,          // type, resources, removed, bytes
    kAcknowledged,  // type
    kRejected,      // type, text: which resources, shaped by what, Envoy's words
    kInStep,        // text: what is withheld, or empty
    kStalled,
    kAnswersAgain,
    kDisconnected,  // text: why
  };
  What what = What::kConnected;
  xds::XdsType type = xds::XdsType::kCluster;
  uint32_t resources = 0;
  uint32_t removed = 0;
  uint64_t bytes = 0;
  base::Revision revision;
  runtime::WallTime time;
  std::shared_ptr<const std::string> text;  // shared with other proxies, or null

  bool has_type() const {
    return what == What::kSent || what == What::kAcknowledged || what == What::kRejected;
  }
};

// "connected", "changed", "sent", ... as the API spells it.
std::string_view NameOf(TimelineEvent::What what);
// "Cluster", "ClusterLoadAssignment", ...
std::string_view ShortName(xds::XdsType type);

// Confined to the insight executor. Memory: 56 bytes for each event, and texts that are its own.
class Timeline {
 public:
  static constexpr size_t kMaxEvents = 64;

  void Add(TimelineEvent event);
  std::vector<TimelineEvent> events() const;  // oldest first

 private:
  std::vector<TimelineEvent> ring_;
  size_t next_ = 0;  // to be overwritten, once the ring is full
};

}  // namespace kuma::insight

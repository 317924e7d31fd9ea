#pragma once

// Values of a proxy itself inside cells that proxies otherwise share.

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "base/hash.h"
#include "model/resource.h"

namespace kuma::policy {

// A set of fields of Slot.
enum class SlotFields : uint8_t {
  kNone = 0,
  kAddress = 1,
  kZone = 2,
  kWorkload = 4,
  kAccessLogSocket = 8,
  kLabels = 16,
  kAll = 31,       // that listeners and clusters can have
  kAffinity = 32,  // of endpoint sets; listeners and clusters carry it to them
};
constexpr SlotFields operator|(SlotFields a, SlotFields b) {
  return static_cast<SlotFields>(static_cast<uint8_t>(a) | static_cast<uint8_t>(b));
}
constexpr SlotFields operator&(SlotFields a, SlotFields b) {
  return static_cast<SlotFields>(static_cast<uint8_t>(a) & static_cast<uint8_t>(b));
}

// What a cell may know of the proxy that it was made for: the values that policies of its view use
// there; everything else is empty. Immutable once made by MakeSlot.
struct Slot {
  SlotFields fields = SlotFields::kNone;  // that are set
  std::string address;
  std::string address_with_port;  // "10.0.0.1:0", "[::1]:0"; with kAddress
  std::string zone;               // label kuma.io/zone, or empty
  std::string service;            // label kuma.io/workload, or "unknown"; with kWorkload
  std::string workload_kri;       // of the label kuma.io/workload, or empty; with kWorkload
  std::string access_log_socket;
  model::Labels labels;
  model::Labels affinity = {};  // of the labels those that balancing compares with the endpoints'
  base::ContentHash hash = {};  // of all of the above
};
using SlotPtr = std::shared_ptr<const Slot>;  // null: the cell knows nothing of its proxy

// Fills in the hash.
SlotPtr MakeSlot(Slot values);
// These fields of `slot` only; null when none of them is left.
SlotPtr Narrow(const SlotPtr& slot, SlotFields fields);
bool SameSlot(const SlotPtr& a, const SlotPtr& b);
// Of null everything is empty.
const Slot& ValuesOf(const SlotPtr& slot);

// Which values the confs of a policy put into the cells of a kind. Whoever calls a cluster also
// has a listener of its own.
struct SlotUse {
  SlotFields listener = SlotFields::kNone;
  SlotFields cluster = SlotFields::kNone;
  std::set<std::string> affinity = {};  // labels, for endpoint sets
  bool operator==(const SlotUse&) const = default;
  SlotFields All() const {
    return listener | cluster | (affinity.empty() ? SlotFields::kNone : SlotFields::kAffinity);
  }
};
SlotUse operator|(SlotUse a, const SlotUse& b);

}  // namespace kuma::policy

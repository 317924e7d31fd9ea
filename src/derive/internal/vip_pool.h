#pragma once

// Virtual IPs of one kind. An address belongs to a KRI for as long as the resource lives.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"
#include "model/resource.h"

namespace kuma::derive {

// Confined to its Derivation.
class VipPool {
 public:
  // An address that was given up is not given to another KRI for so long: clients may still use it.
  static constexpr std::chrono::nanoseconds kRest = std::chrono::hours(1);

  // "241.0.0.0/8". kInvalid: not an IPv4 range of at least four addresses.
  static base::Result<VipPool> Make(std::string_view cidr);

  // Found in the store: kept, also outside of the range or held by two.
  void Hold(std::string_view ip, const std::string& kri);
  void Release(std::string_view ip, const std::string& kri, model::WallTime now);
  // A free address, the same one for the same KRI whenever it can be. Nothing when the range is
  // used up.
  std::optional<std::string> Take(const std::string& kri, model::WallTime now);

 private:
  struct Rest {
    std::string kri;
    model::WallTime since;
  };

  VipPool(uint32_t first, uint32_t size) : first_(first), size_(size) {}
  bool IsFree(uint32_t address, const std::string& kri) const;
  void EndRests(model::WallTime now);

  uint32_t first_;  // usable: the range without its first and last address
  uint32_t size_;
  std::unordered_map<uint32_t, std::set<std::string>> holders_;
  std::unordered_map<uint32_t, Rest> resting_;
  std::multimap<model::WallTime, uint32_t> rests_by_time_;
};

}  // namespace kuma::derive

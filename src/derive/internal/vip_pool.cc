#include "derive/internal/vip_pool.h"

#include <algorithm>
#include <vector>

#include "base/format.h"
#include "base/hash.h"
#include "base/strings.h"

namespace kuma::derive {
namespace {

std::optional<uint32_t> ParseIpv4(std::string_view text) {
  const std::vector<std::string> parts = base::Split(text, '.');
  if (parts.size() != 4) return std::nullopt;
  uint32_t address = 0;
  for (const std::string& part : parts) {
    const std::optional<uint64_t> byte = base::ParseUint(part);
    if (!byte.has_value() || *byte > 255 || part.size() > 3) return std::nullopt;
    address = address << 8 | static_cast<uint32_t>(*byte);
  }
  return address;
}

std::string FormatIpv4(uint32_t address) {
  return base::Format("{}.{}.{}.{}", address >> 24, address >> 16 & 255, address >> 8 & 255,
                      address & 255);
}

}  // namespace

base::Result<VipPool> VipPool::Make(std::string_view cidr) {
  const size_t slash = cidr.find('/');
  const auto address = ParseIpv4(cidr.substr(0, slash));
  const auto bits =
      slash == std::string_view::npos ? std::nullopt : base::ParseUint(cidr.substr(slash + 1));
  if (!address.has_value() || !bits.has_value() || *bits < 1 || *bits > 30)
    return base::Invalid(base::Format("\"{}\" is not an IPv4 range such as 241.0.0.0/8", cidr));
  const uint32_t count = uint32_t{1} << (32 - *bits);
  return VipPool((*address & ~(count - 1)) + 1, count - 2);
}

void VipPool::Hold(std::string_view ip, const std::string& kri) {
  if (const auto address = ParseIpv4(ip)) holders_[*address].insert(kri);
}

void VipPool::Release(std::string_view ip, const std::string& kri, model::WallTime now) {
  const auto address = ParseIpv4(ip);
  if (!address.has_value()) return;
  const auto found = holders_.find(*address);
  if (found == holders_.end() || found->second.erase(kri) == 0) return;
  if (!found->second.empty()) return;
  holders_.erase(found);
  resting_[*address] = {kri, now};
  rests_by_time_.emplace(now, *address);
}

bool VipPool::IsFree(uint32_t address, const std::string& kri) const {
  if (holders_.contains(address)) return false;
  const auto rest = resting_.find(address);
  return rest == resting_.end() || rest->second.kri == kri;
}

void VipPool::EndRests(model::WallTime now) {
  while (!rests_by_time_.empty() && rests_by_time_.begin()->first + kRest <= now) {
    const auto [since, address] = *rests_by_time_.begin();
    rests_by_time_.erase(rests_by_time_.begin());
    const auto rest = resting_.find(address);
    if (rest != resting_.end() && rest->second.since == since) resting_.erase(rest);
  }
}

std::optional<std::string> VipPool::Take(const std::string& kri, model::WallTime now) {
  EndRests(now);
  const uint32_t start = static_cast<uint32_t>(base::Hash64(kri) % size_);
  // No free one among as many as are taken, plus one: the range is used up.
  const uint64_t limit = std::min<uint64_t>(size_, holders_.size() + resting_.size() + 1);
  for (uint64_t i = 0; i < limit; ++i) {
    const uint32_t address = first_ + static_cast<uint32_t>((start + i) % size_);
    if (!IsFree(address, kri)) continue;
    holders_[address].insert(kri);
    resting_.erase(address);
    return FormatIpv4(address);
  }
  return std::nullopt;
}

}  // namespace kuma::derive

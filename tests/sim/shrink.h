#pragma once

// What of a long story is needed for its end: delta debugging.

#include <algorithm>
#include <cstddef>
#include <functional>
#include <set>
#include <vector>

namespace kuma::sim {

// The numbers 1 to `count`, less those that `fails` does without: none of what is left can be left
// out alone. REQUIRES: fails(all of them).
inline std::set<size_t> Shrink(size_t count,
                               const std::function<bool(const std::set<size_t>&)>& fails) {
  std::vector<size_t> kept;
  for (size_t number = 1; number <= count; ++number) kept.push_back(number);
  for (size_t part = (count + 1) / 2; !kept.empty();) {
    bool fewer = false;
    for (size_t begin = 0; begin < kept.size();) {
      const size_t end = std::min(begin + part, kept.size());
      std::set<size_t> rest(kept.begin(), kept.end());
      for (size_t i = begin; i < end; ++i) rest.erase(kept[i]);
      if (fails(rest)) {
        kept.assign(rest.begin(), rest.end());
        fewer = true;
      } else {
        begin = end;
      }
    }
    if (part > 1) {
      part = (part + 1) / 2;
    } else if (!fewer) {
      break;
    }
  }
  return {kept.begin(), kept.end()};
}

}  // namespace kuma::sim

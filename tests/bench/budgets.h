#pragma once

// What we hold ourselves to, and what Kuma 3.0 was measured at, on the same work on two cores.

#include <optional>
#include <string_view>

namespace kuma::bench {

struct Budget {
  std::string_view piece;
  std::string_view name;
  std::optional<double> ours;
  std::optional<double> kuma;
};
// Null: none.
const Budget* FindBudget(std::string_view piece, std::string_view name);

}  // namespace kuma::bench

#pragma once

#include <algorithm>
#include <ostream>
#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace kuma::base {

// A secret. Printing, formatting and logging give "[redacted]"; Reveal() is the only way in, and is
// searchable. Comparison is not constant-time.
template <class T>
class Redacted {
 public:
  Redacted() = default;
  explicit Redacted(T value) : value_(std::move(value)) {}
  const T& Reveal() const { return value_; }
  bool operator==(const Redacted&) const = default;

 private:
  T value_;
};

template <class T>
std::ostream& operator<<(std::ostream& out, const Redacted<T>&) {
  return out << "[redacted]";
}

}  // namespace kuma::base

template <class T>
struct fmt::formatter<kuma::base::Redacted<T>> {
  template <class ParseContext>
  constexpr auto parse(ParseContext& context) {
    return context.begin();
  }
  template <class Context>
  auto format(const kuma::base::Redacted<T>&, Context& context) const {
    constexpr std::string_view kText = "[redacted]";
    return std::copy(kText.begin(), kText.end(), context.out());
  }
};

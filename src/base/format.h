#pragma once

// Text formatting. <format> is missing in libstdc++ 12; libfmt has the same syntax.

#include <fmt/core.h>

#include <string>
#include <utility>

namespace kuma::base {

template <class... Args>
std::string Format(fmt::format_string<Args...> text, Args&&... args) {
  return fmt::format(text, std::forward<Args>(args)...);
}

}  // namespace kuma::base

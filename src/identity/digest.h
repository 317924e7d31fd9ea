#pragma once

#include <string>
#include <string_view>

namespace kuma::identity {

// SHA-256: 32 bytes, not text. Pure.
std::string Sha256(std::string_view bytes);

}  // namespace kuma::identity

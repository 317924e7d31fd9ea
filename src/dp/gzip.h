#pragma once

#include <string>
#include <string_view>

namespace kuma::dp {

// RFC 1952, at zlib's default level. The work memory of 256 KiB is given back.
std::string Gzip(std::string_view bytes);

}  // namespace kuma::dp

#pragma once

#include <cstdint>
#include <string_view>

namespace kuma::envoy {

// What an application speaks on a port. Unknown and absent protocols are opaque TCP.
enum class Protocol : uint8_t { kTcp, kHttp, kHttp2, kGrpc };

// "tcp", "http", "http2", "grpc" in any case; everything else is kTcp.
Protocol ParseProtocol(std::string_view text);
std::string_view ToString(Protocol protocol);

// Requests of these are routed one by one; bytes of the others are passed on.
inline bool IsHttpBased(Protocol protocol) { return protocol != Protocol::kTcp; }

}  // namespace kuma::envoy

#include "envoy/protocol.h"

#include "base/strings.h"

namespace kuma::envoy {

Protocol ParseProtocol(std::string_view text) {
  for (const Protocol protocol : {Protocol::kHttp, Protocol::kHttp2, Protocol::kGrpc}) {
    if (base::EqualsIgnoreCase(text, ToString(protocol))) return protocol;
  }
  return Protocol::kTcp;
}

std::string_view ToString(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp: return "tcp";
    case Protocol::kHttp: return "http";
    case Protocol::kHttp2: return "http2";
    case Protocol::kGrpc: return "grpc";
  }
  return "tcp";
}

}  // namespace kuma::envoy

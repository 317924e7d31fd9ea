// URLs, request targets, percent-encoding, grpc-timeout and grpc-message.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "net/grpc.h"
#include "net/http.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace kuma::net;  // NOLINT: one small program
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  HttpRequest request;
  ParseTarget(text, request);
  if (const auto url = ParseUrl(text); url.has_value()) {
    CHECK(!url->host.empty() && url->target.starts_with('/'), "a URL has a host and a target");
  }
  (void)MakeRequest("GET", text).has_value();
  if (text.find('\0') == std::string_view::npos) {
    CHECK(PercentDecode(PercentEncode(text)) == text, "encoding is reversible");
  }
  CHECK(DecodeGrpcMessage(EncodeGrpcMessage(text)) == text, "encoding is reversible");
  if (const auto timeout = ParseGrpcTimeout(text)) {
    CHECK(timeout->count() >= 0, "a timeout is not negative");
    CHECK(ParseGrpcTimeout(FormatGrpcTimeout(*timeout)).has_value(), "a timeout can be formatted");
  }
  return 0;
}

#include "net/internal/grpc_metadata.h"

#include <nghttp2/nghttp2.h>

#include <utility>

#include "base/format.h"
#include "base/strings.h"
#include "net/internal/session.h"

namespace kuma::net::internal {
namespace {

bool IsReservedMetadata(std::string_view name) {
  return IsHopByHop(name) || name == "content-type" || name == "host" ||
         (name.starts_with("grpc-") && !name.ends_with("-bin"));
}

// One received value; a binary one may be a list. False: not base64.
bool AddReceived(std::string_view name, std::string_view value, Headers& out) {
  if (!name.ends_with("-bin")) {
    out.Add(name, std::string(value));
    return true;
  }
  for (const std::string& part : base::Split(value, ',')) {
    std::string padded(base::Trim(part));
    while (padded.size() % 4 != 0) padded += '=';
    auto decoded = base::DecodeBase64(padded);
    if (!decoded.has_value()) return false;
    out.Add(name, *std::move(decoded));
  }
  return true;
}

}  // namespace

bool IsGrpcType(std::string_view content_type) {
  static constexpr std::string_view kType = "application/grpc";
  return content_type.starts_with(kType) &&
         (content_type.size() == kType.size() || content_type[kType.size()] == '+' ||
          content_type[kType.size()] == ';');
}

std::string CleanedValue(const std::string& value) {
  return std::string(base::Trim(CleanHeaderValue(value)));
}

void AppendMetadata(const Headers& metadata, Headers& out) {
  for (const auto& [name, value] : metadata) {
    if (!IsHeaderName(name) || IsReservedMetadata(name)) continue;
    if (name.ends_with("-bin")) {
      std::string encoded = base::EncodeBase64(value);
      while (encoded.ends_with('=')) encoded.pop_back();
      out.Add(name, std::move(encoded));
    } else {
      out.Add(name, CleanedValue(value));
    }
  }
}

bool DecodeMetadata(const Headers& received, Headers& out) {
  for (const auto& [name, value] : received) {
    if (IsReservedMetadata(name)) continue;
    if (!AddReceived(name, value, out)) return false;
  }
  return true;
}

GrpcStatus StatusOfHttp(int status) {
  std::string message = base::Format("HTTP status {} instead of gRPC", status);
  switch (status) {
    case 400: return {GrpcCode::kInternal, std::move(message)};
    case 401: return {GrpcCode::kUnauthenticated, std::move(message)};
    case 403: return {GrpcCode::kPermissionDenied, std::move(message)};
    case 404: return {GrpcCode::kUnimplemented, std::move(message)};
    case 429:
    case 502:
    case 503:
    case 504: return {GrpcCode::kUnavailable, std::move(message)};
    default: return {GrpcCode::kUnknown, std::move(message)};
  }
}

GrpcStatus StatusOfReset(uint32_t code) {
  std::string message =
      base::Format("the peer reset the stream ({})", nghttp2_http2_strerror(code));
  switch (code) {
    case NGHTTP2_REFUSED_STREAM: return {GrpcCode::kUnavailable, std::move(message)};
    case NGHTTP2_CANCEL: return {GrpcCode::kCancelled, std::move(message)};
    case NGHTTP2_ENHANCE_YOUR_CALM: return {GrpcCode::kResourceExhausted, std::move(message)};
    case NGHTTP2_INADEQUATE_SECURITY: return {GrpcCode::kPermissionDenied, std::move(message)};
    default: return {GrpcCode::kInternal, std::move(message)};
  }
}

}  // namespace kuma::net::internal

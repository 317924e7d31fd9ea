#include "net/grpc.h"

#include <algorithm>
#include <array>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::net {

std::string_view ToString(GrpcCode code) {
  static constexpr std::array<std::string_view, 17> kNames = {"OK",
                                                              "CANCELLED",
                                                              "UNKNOWN",
                                                              "INVALID_ARGUMENT",
                                                              "DEADLINE_EXCEEDED",
                                                              "NOT_FOUND",
                                                              "ALREADY_EXISTS",
                                                              "PERMISSION_DENIED",
                                                              "RESOURCE_EXHAUSTED",
                                                              "FAILED_PRECONDITION",
                                                              "ABORTED",
                                                              "OUT_OF_RANGE",
                                                              "UNIMPLEMENTED",
                                                              "INTERNAL",
                                                              "UNAVAILABLE",
                                                              "DATA_LOSS",
                                                              "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < kNames.size() ? kNames[index] : "UNKNOWN";
}

GrpcStatus ToGrpcStatus(const base::Error& error) {
  GrpcCode code = GrpcCode::kInternal;
  switch (error.code()) {
    case base::Code::kInvalid: code = GrpcCode::kInvalidArgument; break;
    case base::Code::kNotFound: code = GrpcCode::kNotFound; break;
    case base::Code::kConflict: code = GrpcCode::kAborted; break;
    case base::Code::kDenied: code = GrpcCode::kPermissionDenied; break;
    case base::Code::kUnavailable: code = GrpcCode::kUnavailable; break;
    case base::Code::kCancelled: code = GrpcCode::kCancelled; break;
    case base::Code::kInternal: code = GrpcCode::kInternal; break;
  }
  return {code, error.message()};
}

base::Error ToError(const GrpcStatus& status) {
  base::Code code = base::Code::kInternal;
  switch (status.code) {
    case GrpcCode::kInvalidArgument:
    case GrpcCode::kFailedPrecondition:
    case GrpcCode::kOutOfRange:
    case GrpcCode::kUnimplemented: code = base::Code::kInvalid; break;
    case GrpcCode::kNotFound: code = base::Code::kNotFound; break;
    case GrpcCode::kAlreadyExists:
    case GrpcCode::kAborted: code = base::Code::kConflict; break;
    case GrpcCode::kPermissionDenied:
    case GrpcCode::kUnauthenticated: code = base::Code::kDenied; break;
    case GrpcCode::kUnavailable:
    case GrpcCode::kDeadlineExceeded:
    case GrpcCode::kResourceExhausted: code = base::Code::kUnavailable; break;
    case GrpcCode::kCancelled: code = base::Code::kCancelled; break;
    default: break;
  }
  return {code, base::Format("{}: {}", ToString(status.code), status.message)};
}

std::optional<runtime::Duration> ParseGrpcTimeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  int64_t value = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  switch (text.back()) {
    // Eight digits of hours do not fit into nanoseconds; a year is as good as for ever.
    case 'H': return std::chrono::hours(std::min<int64_t>(value, 8760));
    case 'M': return std::chrono::minutes(std::min<int64_t>(value, 525'600));
    case 'S': return std::chrono::seconds(value);
    case 'm': return std::chrono::milliseconds(value);
    case 'u': return std::chrono::microseconds(value);
    case 'n': return std::chrono::nanoseconds(value);
    default: return std::nullopt;
  }
}

std::string FormatGrpcTimeout(runtime::Duration timeout) {
  static constexpr int64_t kMax = 99'999'999;
  const int64_t nanos = std::max<int64_t>(timeout.count(), 0);
  struct Unit {
    int64_t nanos;
    char letter;
  };
  static constexpr Unit kUnits[] = {{1, 'n'}, {1000, 'u'}, {1'000'000, 'm'}, {1'000'000'000, 'S'}};
  for (const Unit& unit : kUnits) {
    const int64_t value = nanos / unit.nanos + (nanos % unit.nanos != 0 ? 1 : 0);
    if (value <= kMax) return base::Format("{}{}", value, unit.letter);
  }
  return base::Format("{}H", nanos / 3'600'000'000'000);
}

std::string EncodeGrpcMessage(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '%') {
      out += c;
    } else {
      out += base::Format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string DecodeGrpcMessage(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const auto digit = [](char c) {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        return -1;
      };
      const int high = digit(text[i + 1]);
      const int low = digit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        out += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

}  // namespace kuma::net

#include "net/internal/http1_parser.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/strings.h"
#include "net/internal/session.h"

namespace kuma::net::internal {
namespace {

constexpr size_t kChunkLineBytes = 256;  // size and extensions

bool HasControlCharacter(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return (u < ' ' && u != '\t') || u == 0x7f;
  });
}

std::optional<uint64_t> ParseDigits(std::string_view text, int radix) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, radix);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// Whether a comma-separated list contains the token.
bool HasToken(std::string_view list, std::string_view token) {
  for (const std::string& part : base::Split(list, ',')) {
    if (base::EqualsIgnoreCase(base::Trim(part), token)) return true;
  }
  return false;
}

}  // namespace

void Http1Parser::Reset(bool head) {
  method.clear();
  target.clear();
  status = 0;
  minor_version = 1;
  headers = {};
  body.clear();
  keep_alive = true;
  expects_continue = false;
  state_ = State::kStartLine;
  begun_ = false;
  head_ = head;
  line_.clear();
  header_bytes_ = 0;
  remaining_ = 0;
  error_status_ = 0;
  error_.clear();
}

void Http1Parser::Fail(int status_code, std::string why) {
  state_ = State::kFailed;
  error_status_ = status_code;
  error_ = std::move(why);
}

size_t Http1Parser::Feed(std::string_view input) {
  const size_t size = input.size();
  if (!input.empty()) begun_ = true;
  while (!input.empty() && state_ != State::kDone && state_ != State::kFailed) {
    if (state_ == State::kLength || state_ == State::kChunkData || state_ == State::kUntilClose) {
      size_t count = input.size();
      if (state_ != State::kUntilClose) {
        count = static_cast<size_t>(std::min<uint64_t>(count, remaining_));
      }
      if (!AppendBody(input.substr(0, count))) break;
      input.remove_prefix(count);
      remaining_ -= state_ == State::kUntilClose ? 0 : count;
      if (remaining_ == 0 && state_ == State::kLength) state_ = State::kDone;
      if (remaining_ == 0 && state_ == State::kChunkData) state_ = State::kChunkEnd;
      continue;
    }
    const size_t end = input.find('\n');
    const size_t count = end == std::string_view::npos ? input.size() : end + 1;
    const bool in_body = state_ == State::kChunkSize || state_ == State::kChunkEnd;
    const size_t limit = in_body ? kChunkLineBytes : limits_.header_bytes - header_bytes_;
    if (line_.size() + count > limit) {
      Fail(in_body ? 400 : 431, in_body ? "chunk header is too long" : "headers are too large");
      break;
    }
    if (end == std::string_view::npos) {
      line_.append(input);
      input = {};
      break;
    }
    std::string joined;
    std::string_view line = input.substr(0, count);
    if (!line_.empty()) {
      joined = std::move(line_);
      line_.clear();
      joined.append(line);
      line = joined;
    }
    input.remove_prefix(count);
    if (!in_body) header_bytes_ += line.size();
    if (line.size() < 2 || line[line.size() - 2] != '\r') {
      Fail(400, "a line does not end with CRLF");
      break;
    }
    OnLine(line.substr(0, line.size() - 2));
  }
  return size - input.size();
}

void Http1Parser::OnLine(std::string_view line) {
  switch (state_) {
    case State::kStartLine:
      // An empty line before a request is allowed (RFC 9112, 2.2) and counts as header bytes.
      if (line.empty() && kind_ == Kind::kRequest) {
        if (header_bytes_ > 8) Fail(400, "empty lines before the request");
        return;
      }
      OnStartLine(line);
      return;
    case State::kHeaders:
      if (line.empty()) {
        OnHeadersDone();
      } else {
        OnHeaderLine(line);
      }
      return;
    case State::kChunkSize: OnChunkSize(line); return;
    case State::kChunkEnd:
      if (!line.empty()) {
        Fail(400, "a chunk is longer than its size");
      } else {
        state_ = State::kChunkSize;
      }
      return;
    case State::kTrailers:
      if (line.empty()) state_ = State::kDone;
      return;
    default: return;
  }
}

void Http1Parser::OnStartLine(std::string_view line) {
  if (HasControlCharacter(line)) return Fail(400, "control character in the start line");
  std::string_view version;
  if (kind_ == Kind::kRequest) {
    const size_t first = line.find(' ');
    const size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last)
      return Fail(400, "malformed request line");
    method = std::string(line.substr(0, first));
    target = std::string(line.substr(first + 1, last - first - 1));
    version = line.substr(last + 1);
    if (!IsHeaderName(method) || target.empty() || target.find(' ') != std::string::npos) {
      return Fail(400, "malformed request line");
    }
  } else {
    version = line.substr(0, std::min<size_t>(8, line.size()));
    const std::string_view rest = line.substr(version.size());
    const auto code = rest.size() >= 4 && rest[0] == ' ' && (rest.size() == 4 || rest[4] == ' ')
                          ? ParseDigits(rest.substr(1, 3), 10)
                          : std::nullopt;
    if (!code.has_value() || *code < 100) return Fail(400, "malformed status line");
    status = static_cast<int>(*code);
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    const bool other = version.size() == 8 && version.starts_with("HTTP/") && version[6] == '.';
    return Fail(other ? 505 : 400, "not HTTP/1.1");
  }
  minor_version = version.back() - '0';
  keep_alive = minor_version == 1;
  state_ = State::kHeaders;
}

void Http1Parser::OnHeaderLine(std::string_view line) {
  if (headers.size() >= limits_.header_count) return Fail(431, "too many headers");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !IsHeaderName(line.substr(0, colon))) {
    return Fail(400, "malformed header");
  }
  const std::string_view value = base::Trim(line.substr(colon + 1));
  if (HasControlCharacter(value)) return Fail(400, "control character in a header");
  headers.Add(line.substr(0, colon), std::string(value));
}

void Http1Parser::OnHeadersDone() {
  for (const std::string_view value : headers.GetAll("connection")) {
    if (HasToken(value, "close")) keep_alive = false;
    if (HasToken(value, "keep-alive") && minor_version == 0) keep_alive = true;
  }
  if (kind_ == Kind::kRequest) {
    const size_t hosts = headers.GetAll("host").size();
    if (hosts > 1 || (hosts == 0 && minor_version == 1))
      return Fail(400, "exactly one Host is needed");
    expects_continue =
        minor_version == 1 && base::EqualsIgnoreCase(headers.Get("expect"), "100-continue");
  } else if (head_ || status < 200 || status == 204 || status == 304) {
    state_ = State::kDone;
    return;
  }
  const auto encodings = headers.GetAll("transfer-encoding");
  const auto lengths = headers.GetAll("content-length");
  if (!encodings.empty()) {
    if (!lengths.empty()) return Fail(400, "both Content-Length and Transfer-Encoding");
    if (minor_version == 0) return Fail(400, "Transfer-Encoding in HTTP/1.0");
    if (encodings.size() != 1 || !base::EqualsIgnoreCase(encodings[0], "chunked")) {
      return Fail(501, "unknown Transfer-Encoding");
    }
    state_ = State::kChunkSize;
    return;
  }
  if (lengths.empty()) {
    state_ = kind_ == Kind::kRequest ? State::kDone : State::kUntilClose;
    if (kind_ == Kind::kResponse) keep_alive = false;
    return;
  }
  const auto length = ParseDigits(lengths[0], 10);
  const bool same = std::all_of(lengths.begin(), lengths.end(),
                                [&](std::string_view other) { return other == lengths[0]; });
  if (!length.has_value() || !same) return Fail(400, "malformed Content-Length");
  if (*length > limits_.body_bytes) return Fail(413, "the body is too large");
  remaining_ = *length;
  state_ = remaining_ == 0 ? State::kDone : State::kLength;
}

void Http1Parser::OnChunkSize(std::string_view line) {
  const auto size = ParseDigits(base::Trim(line.substr(0, line.find(';'))), 16);
  if (!size.has_value() || HasControlCharacter(line)) return Fail(400, "malformed chunk size");
  if (*size > limits_.body_bytes) return Fail(413, "the body is too large");
  remaining_ = *size;
  state_ = remaining_ == 0 ? State::kTrailers : State::kChunkData;
}

bool Http1Parser::AppendBody(std::string_view bytes) {
  if (body.size() + bytes.size() > limits_.body_bytes) {
    Fail(413, "the body is too large");
    return false;
  }
  body.append(bytes);
  return true;
}

void Http1Parser::OnEof() {
  if (state_ == State::kUntilClose) {
    state_ = State::kDone;
  } else if (state_ != State::kDone && state_ != State::kFailed) {
    Fail(400, "the connection was closed within a message");
  }
}

}  // namespace kuma::net::internal

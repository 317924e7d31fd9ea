#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/http.h"
#include "net/limits.h"

namespace kuma::net::internal {

// One HTTP/1.x message, byte by byte. Strict where leniency lets requests be smuggled: lines end
// with CRLF, no white space before a colon, no folded lines, never both Content-Length and
// Transfer-Encoding.
//
//   start line -> headers -> [body: length | chunks | until close] -> done
//        \___________\_____________\____________________________-> failed
class Http1Parser {
 public:
  enum class Kind : uint8_t { kRequest, kResponse };

  // `limits` outlives the parser.
  Http1Parser(Kind kind, const Limits& limits) : kind_(kind), limits_(limits) {}

  // Forgets the message. `head`: the next response answers HEAD and has no body.
  void Reset(bool head = false);
  // Consumes bytes from the front of `input` up to the end of the message; returns how many.
  size_t Feed(std::string_view input);
  // The peer sends no more; may complete a response without length.
  void OnEof();

  bool begun() const { return begun_; }
  bool headers_done() const { return state_ > State::kHeaders; }
  bool done() const { return state_ == State::kDone; }
  bool failed() const { return state_ == State::kFailed; }
  int error_status() const { return error_status_; }  // 400, 413, 431, 501, 505
  const std::string& error() const { return error_; }

  // Of the message, as far as it has been read.
  std::string method;
  std::string target;
  int status = 0;
  int minor_version = 1;
  Headers headers;
  std::string body;
  bool keep_alive = true;
  bool expects_continue = false;

 private:
  enum class State : uint8_t {
    kStartLine,
    kHeaders,
    kLength,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailers,
    kUntilClose,
    kDone,
    kFailed
  };

  void Fail(int status_code, std::string why);
  void OnLine(std::string_view line);
  void OnStartLine(std::string_view line);
  void OnHeaderLine(std::string_view line);
  void OnHeadersDone();
  void OnChunkSize(std::string_view line);
  bool AppendBody(std::string_view bytes);

  const Kind kind_;
  const Limits& limits_;
  State state_ = State::kStartLine;
  bool begun_ = false;
  bool head_ = false;
  std::string line_;  // a line that is not complete yet
  size_t header_bytes_ = 0;
  uint64_t remaining_ = 0;  // of the body or chunk
  int error_status_ = 0;
  std::string error_;
};

}  // namespace kuma::net::internal

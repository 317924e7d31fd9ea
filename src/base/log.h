#pragma once

// Structured logs: one line per event, `key=value` fields after the message. Written to stderr.
// Thread-safe. Secrets never reach a log: wrap them in Redacted<T>.

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/format.h"

namespace kuma::base {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };

// A named source of log lines ("xds", "store"); cheap to copy. The names are what PUT /logging
// sets.
class Logger {
 public:
  explicit constexpr Logger(std::string_view component) : component_(component) {}

  struct Field {
    std::string_view key;
    std::string value;
    template <class T>
    Field(std::string_view name, const T& content) : key(name), value(Format("{}", content)) {}
  };
  using Fields = std::initializer_list<Field>;

  void Debug(std::string_view message, Fields fields = {}) const {
    Write(LogLevel::kDebug, message, fields);
  }
  void Info(std::string_view message, Fields fields = {}) const {
    Write(LogLevel::kInfo, message, fields);
  }
  void Warn(std::string_view message, Fields fields = {}) const {
    Write(LogLevel::kWarn, message, fields);
  }
  void Error(std::string_view message, Fields fields = {}) const {
    Write(LogLevel::kError, message, fields);
  }

 private:
  void Write(LogLevel level, std::string_view message, Fields fields) const;
  std::string_view component_;
};

// Below this level nothing is written. Default: info.
void SetLogLevel(LogLevel level);
LogLevel GetLogLevel();

}  // namespace kuma::base

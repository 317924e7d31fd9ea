#pragma once

// How log lines leave the process: their form, their file, and how often the same message is
// written.

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kuma::base {

// Text: "time LEVEL logger message key=value ..."; JSON: one object per line with the members time,
// level, logger, message and the fields.
enum class LogFormat { kText, kJson };
void SetLogFormat(LogFormat format);
// "text" or "json"; kInvalid names the choices.
Result<LogFormat> ParseLogFormat(std::string_view name);

// Writes to this file from now on, appending; stderr follows, so that what libraries print is not
// lost. Calling it again with the same path opens it anew (log rotation). kUnavailable names the
// path.
Status SetLogFile(const std::string& path);

// The same message of one logger is written this often within this time; what is above that is
// counted, and the count is written as one line when the time is over and anything else is logged,
// or at FlushLog. Debug lines are not limited.
inline constexpr size_t kLogLinesPerWindow = 20;
inline constexpr std::chrono::seconds kLogWindow{60};
void FlushLog();

// The rule above. Pure; time is a parameter.
class RepeatLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit RepeatLimit(size_t lines = kLogLinesPerWindow, std::chrono::seconds window = kLogWindow)
      : lines_(lines), window_(window) {}
  struct Counted {
    std::string logger;
    std::string message;
    uint64_t lines = 0;  // not written
  };

  // May this line be written?
  bool Allow(std::string_view logger, std::string_view message, Time now);
  // What was counted in windows that are over; `all`: in those that are not, too.
  std::vector<Counted> Take(Time now, bool all = false);

 private:
  struct Window {
    Time end;
    size_t written = 0;
    uint64_t counted = 0;
  };
  const size_t lines_;
  const std::chrono::seconds window_;
  std::map<std::pair<std::string, std::string>, Window, std::less<>> windows_;
  Time first_end_ = Time::max();  // of windows that counted something
};

}  // namespace kuma::base

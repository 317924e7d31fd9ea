#include "base/log.h"

#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <mutex>

#include "base/log_output.h"

namespace kuma::base {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kInfo};
std::atomic<LogFormat> g_format{LogFormat::kText};
// Messages differ by program text, not by what peers send; more of them are not limited.
constexpr size_t kMaxWindows = 512;

std::string_view Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "DEBUG";
    case LogLevel::kInfo: return "INFO";
    case LogLevel::kWarn: return "WARN";
    case LogLevel::kError: return "ERROR";
    case LogLevel::kOff: return "OFF";
  }
  return "?";
}

bool NeedsQuotes(std::string_view text) {
  if (text.empty()) return true;
  for (const unsigned char c : text) {
    if (c <= ' ' || c == '"' || c == '=' || c == 0x7f) return true;
  }
  return false;
}

// One event stays one line whatever a peer puts into a value.
void AppendEscaped(std::string& line, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '\n': line += "\\n"; break;
      case '\r': line += "\\r"; break;
      case '\t': line += "\\t"; break;
      case '"': line += "\\\""; break;
      default:
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) {
          line += Format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
          line += c;
        }
    }
  }
}

// Length of the UTF-8 sequence at the beginning of `text`, 0 if there is none.
size_t SequenceLength(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const size_t length = first < 0x80   ? 1
                        : first < 0xc2 ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  if (length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  return length;
}

void AppendJson(std::string& line, std::string_view text) {
  line += '"';
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    const char c = text[0];
    if (length == 0) {
      line += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) {
      line += Format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      line += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  line += '"';
}

std::string Timestamp() {
  timeval now{};
  gettimeofday(&now, nullptr);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  char text[32];
  const size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return Format("{}.{:03}Z", std::string_view(text, size), now.tv_usec / 1000);
}

std::string LineOf(LogLevel level, std::string_view logger, std::string_view message,
                   Logger::Fields fields) {
  if (g_format.load(std::memory_order_relaxed) == LogFormat::kJson) {
    std::string line =
        Format("{{\"time\":\"{}\",\"level\":\"{}\",\"logger\":", Timestamp(), Name(level));
    AppendJson(line, logger);
    line += ",\"message\":";
    AppendJson(line, message);
    for (const Logger::Field& field : fields) {
      line += ',';
      AppendJson(line, field.key);
      line += ':';
      AppendJson(line, field.value);
    }
    line += "}\n";
    return line;
  }
  std::string line = Format("{} {:<5} {} ", Timestamp(), Name(level), logger);
  AppendEscaped(line, message);
  for (const Logger::Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    const bool quotes = NeedsQuotes(field.value);
    if (quotes) line += '"';
    AppendEscaped(line, field.value);
    if (quotes) line += '"';
  }
  line += '\n';
  return line;
}

// One write keeps lines whole among threads; a closed stderr must not end the process.
void WriteOut(const std::string& line) {
  ssize_t written;
  do {
    written = ::write(STDERR_FILENO, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
}

// Never destroyed: threads may log while the process ends.
struct Repeats {
  std::mutex mutex;
  RepeatLimit limit;
};
Repeats& AllRepeats() {
  static auto* const repeats = new Repeats;
  return *repeats;
}

void WriteCounted(const std::vector<RepeatLimit::Counted>& all) {
  for (const RepeatLimit::Counted& counted : all) {
    WriteOut(LineOf(LogLevel::kInfo, counted.logger,
                    "more lines like an earlier one were counted, not written",
                    {{"like", counted.message}, {"lines", counted.lines}}));
  }
}

}  // namespace

void SetLogLevel(LogLevel level) { g_level = level; }
LogLevel GetLogLevel() { return g_level; }
void SetLogFormat(LogFormat format) { g_format = format; }

Result<LogFormat> ParseLogFormat(std::string_view name) {
  if (name == "text") return LogFormat::kText;
  if (name == "json") return LogFormat::kJson;
  return Invalid(Format("unknown log format \"{}\": it is text or json", name));
}

Status SetLogFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return Unavailable(Format("open the log file {}: {}", path, std::strerror(errno)));
  ::dup2(fd, STDERR_FILENO);
  ::close(fd);
  return Ok{};
}

void FlushLog() {
  std::vector<RepeatLimit::Counted> counted;
  {
    const std::lock_guard lock(AllRepeats().mutex);
    counted = AllRepeats().limit.Take(RepeatLimit::Time::clock::now(), true);
  }
  WriteCounted(counted);
}

bool RepeatLimit::Allow(std::string_view logger, std::string_view message, Time now) {
  const auto key = std::pair<std::string, std::string>(logger, message);
  auto found = windows_.find(key);
  if (found == windows_.end()) {
    if (windows_.size() >= kMaxWindows) {
      std::erase_if(windows_, [now](const auto& entry) {
        return entry.second.counted == 0 && entry.second.end <= now;
      });
      if (windows_.size() >= kMaxWindows) return true;
    }
    found = windows_.emplace(key, Window{.end = now + window_}).first;
  }
  Window& window = found->second;
  // One that counted is over when Take has told so.
  if (window.end <= now && window.counted == 0) window = Window{.end = now + window_};
  if (window.written < lines_) {
    ++window.written;
    return true;
  }
  ++window.counted;
  first_end_ = std::min(first_end_, window.end);
  return false;
}

std::vector<RepeatLimit::Counted> RepeatLimit::Take(Time now, bool all) {
  std::vector<Counted> taken;
  if (!all && now < first_end_) return taken;
  first_end_ = Time::max();
  for (auto& [key, window] : windows_) {
    if (window.counted == 0) continue;
    if (!all && now < window.end) {
      first_end_ = std::min(first_end_, window.end);
      continue;
    }
    taken.push_back({key.first, key.second, window.counted});
    window = Window{.end = now + window_};
  }
  return taken;
}

void Logger::Write(LogLevel level, std::string_view message, Fields fields) const {
  if (level < g_level.load(std::memory_order_relaxed)) return;
  if (level > LogLevel::kDebug) {
    std::vector<RepeatLimit::Counted> counted;
    bool allowed = false;
    {
      const std::lock_guard lock(AllRepeats().mutex);
      const auto now = RepeatLimit::Time::clock::now();
      counted = AllRepeats().limit.Take(now);
      allowed = AllRepeats().limit.Allow(component_, message, now);
    }
    WriteCounted(counted);
    if (!allowed) return;
  }
  WriteOut(LineOf(level, component_, message, fields));
}

}  // namespace kuma::base

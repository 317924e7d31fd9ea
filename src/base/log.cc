#include "base/log.h"

#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <ctime>

namespace kuma::base {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kInfo};

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

std::string Timestamp() {
  timeval now{};
  gettimeofday(&now, nullptr);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  char text[32];
  const size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return Format("{}.{:03}Z", std::string_view(text, size), now.tv_usec / 1000);
}

}  // namespace

void SetLogLevel(LogLevel level) { g_level = level; }
LogLevel GetLogLevel() { return g_level; }

void Logger::Write(LogLevel level, std::string_view message, Fields fields) const {
  if (level < g_level.load(std::memory_order_relaxed)) return;
  std::string line = Format("{} {:<5} {} ", Timestamp(), Name(level), component_);
  AppendEscaped(line, message);
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    const bool quotes = NeedsQuotes(field.value);
    if (quotes) line += '"';
    AppendEscaped(line, field.value);
    if (quotes) line += '"';
  }
  line += '\n';
  // One write keeps lines whole among threads; a closed stderr must not end the process.
  ssize_t written;
  do {
    written = ::write(STDERR_FILENO, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
}

}  // namespace kuma::base
